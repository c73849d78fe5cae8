//! `tacit wallet room`

use serde_json::{Value, json};
use tacit_wallet::{Confirmed, PostView, RoomView, Wallet};

use crate::{
    args::{RoomVerb, WalletOptions},
    commands::wallet::{PAGE, done, done_line, known, open},
    context::Context,
    failure::Done,
    output::{printable, time},
};

pub(crate) fn run(context: &Context, options: &WalletOptions, verb: RoomVerb) -> Done {
    let mut wallet = open(context, options)?;
    let wallet = &mut wallet;
    let confirmed = match verb {
        RoomVerb::List => return list(context, wallet),
        RoomVerb::Read { room, after } => return read(context, wallet, &room, after),
        RoomVerb::Create { title, members } => return create(context, wallet, &title, &members),
        RoomVerb::Invite { room, member } => {
            let (room, member) = (wallet.find_room(&room)?, context.recipient(wallet, &member)?);
            wallet.invite(&room, &member)?
        }
        RoomVerb::Remove { room, member } => {
            let (room, member) = (wallet.find_room(&room)?, context.recipient(wallet, &member)?);
            wallet.remove(&room, &member)?
        }
        RoomVerb::Leave { room } => {
            let room = wallet.find_room(&room)?;
            wallet.leave(&room)?
        }
        RoomVerb::Post { room, text } => {
            let room = wallet.find_room(&room)?;
            wallet.post(&room, &text)?
        }
    };
    print(context, &confirmed);
    Ok(())
}

fn print(context: &Context, confirmed: &Confirmed) {
    context.output.result(&done(confirmed), || done_line(confirmed));
}

fn create(context: &Context, wallet: &mut Wallet, title: &str, members: &[String]) -> Done {
    let mut addresses = Vec::with_capacity(members.len());
    for member in members {
        addresses.push(context.recipient(wallet, member)?);
    }
    let (room, confirmed) = wallet.create_room(title, &addresses)?;
    let mut value = done(&confirmed);
    value["room"] = room.to_string().into();
    context
        .output
        .result(&value, || format!("room {room}\n{}", done_line(&confirmed)));
    Ok(())
}

fn read(context: &Context, wallet: &mut Wallet, room: &str, after: u64) -> Done {
    let room = wallet.find_room(room)?;
    let posts = wallet.read_room(&room, after, PAGE)?;
    let next = posts.last().map_or(after, |post| post.number.saturating_add(1));
    let values: Vec<Value> = posts.iter().map(|post| value(context, post)).collect();
    if posts.is_empty() {
        context.output.note("none", "no posts");
    }
    let document = json!({ "room": room.to_string(), "posts": values, "next": next, "verified": true });
    context.output.result(&document, || {
        let lines: Vec<String> = posts.iter().map(|post| line(context, post)).collect();
        lines.join("\n")
    });
    Ok(())
}

fn value(context: &Context, post: &PostView) -> Value {
    json!({
        "number": post.number,
        "from": post.from.to_string(),
        "from_name": known(context, &post.from),
        "height": post.height,
        "time": time(post.time_ms),
        "text": post.text,
    })
}

fn line(context: &Context, post: &PostView) -> String {
    let from = known(context, &post.from).unwrap_or_else(|| post.from.to_string());
    let text = post
        .text
        .as_deref()
        .map_or_else(|| "(does not open with this wallet's keys)".to_owned(), printable);
    format!("{:>4}  {}  {from:<8}  {text}", post.number, time(post.time_ms))
}

fn list(context: &Context, wallet: &mut Wallet) -> Done {
    let rooms = wallet.rooms()?;
    let value = |room: &RoomView| {
        json!({
            "room": room.id.to_string(),
            "title": room.title,
            "owner": room.owner.to_string(),
            "members": room.members.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "posts": room.posts,
            "generation": room.generation,
        })
    };
    if rooms.is_empty() {
        context.output.note(
            "none",
            "no rooms; make one: tacit wallet room create TITLE MEMBER...",
        );
    }
    let document = json!({ "rooms": rooms.iter().map(value).collect::<Vec<_>>(), "verified": true });
    context.output.result(&document, || {
        let line = |room: &RoomView| {
            let title = room
                .title
                .as_deref()
                .map_or_else(|| "(sealed)".to_owned(), printable);
            format!(
                "{:.12}  {title:<24}  {} members, {} posts\n",
                room.id.to_string(),
                room.members.len(),
                room.posts
            )
        };
        rooms.iter().map(line).collect()
    });
    Ok(())
}

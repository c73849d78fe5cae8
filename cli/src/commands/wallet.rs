//! `tacit wallet`

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tacit_attest::NetworkClass;
use tacit_ledger::format_amount;
use tacit_wallet::{
    Address, Api, Confirmed, Keyfile, Passphrase, Received, Seeds, Submitted, Trust, Wallet, Work,
    address_of, amount, system_clock, system_rng, trust,
};
use zeroize::Zeroizing;

use crate::{
    args::{ClassChoice, NameVerb, TrustVerb, WalletNoun, WalletOptions, WalletVerb},
    commands::room,
    context::{Context, hash},
    failure::{Done, Failure},
    output::{printable, time},
};

/// Letters read in one go.
pub(crate) const PAGE: u64 = 200;
/// Pause between two looks at a mailbox: a fixed beat, so that traffic does not follow activity.
const BEAT: Duration = Duration::from_secs(2);

pub(crate) fn run(context: &Context, noun: WalletNoun) -> Done {
    let options = &noun.options;
    match noun.verb {
        WalletVerb::New {
            name,
            test_work,
            founding,
        } => new(context, options, &name, test_work, founding),
        WalletVerb::List => list(context),
        WalletVerb::Balance => balance(context, options),
        WalletVerb::Send { to, amount } => send(context, options, &to, &amount),
        WalletVerb::Msg { to, text } => message(context, options, &to, &text),
        WalletVerb::Inbox { after, follow } => inbox(context, options, after, follow),
        WalletVerb::Room(verb) => room::run(context, options, verb),
        WalletVerb::Name(verb) => name(context, options, verb),
        WalletVerb::Receipt { id, out, disclose } => receipt(context, options, &id, out.as_deref(), disclose),
        WalletVerb::Trust(verb) => trust_verb(context, options, &verb),
    }
}

/// Opens the wallet, verifies the chain, and publishes the mail key if that was never done.
pub(crate) fn open(context: &Context, options: &WalletOptions) -> Done<Wallet> {
    let mut wallet = context.wallet(options)?;
    context.check(&mut wallet, options)?;
    Ok(wallet)
}

fn prepare_mail(context: &Context, wallet: &mut Wallet) -> Done {
    if let Some(done) = wallet.prepare_mail()? {
        context
            .output
            .note("mail", format!("key published at height {}", done.receipt.height));
    }
    Ok(())
}

/// Follows a transaction, telling people how it goes.
pub(crate) fn follow(context: &Context, wallet: &mut Wallet, mut wish: Submitted) -> Done<Confirmed> {
    let class = wish.size_class;
    let until = wish.expires_at;
    context.output.note(
        "sealed",
        format!(
            "X-Wing + ChaCha20-Poly1305, size class {class} B, epoch {}, expires at height {until}",
            wish.epoch
        ),
    );
    context
        .output
        .note("sent", format!("tx {}  to {}", wish.id, context.rpc()));
    Ok(wallet.wait(&mut wish)?)
}

/// What scripts get for a final transaction.
pub(crate) fn done(confirmed: &Confirmed) -> Value {
    let receipt = &confirmed.receipt;
    json!({
        "tx_id": receipt.envelope.to_string(),
        "outcome": "applied",
        "height": receipt.height,
        "index": receipt.index,
        "fee": format_amount(receipt.fee.into()),
        "detail": hex::encode(&receipt.detail),
        "verified": true,
    })
}

/// The line for people.
pub(crate) fn done_line(confirmed: &Confirmed) -> String {
    let receipt = &confirmed.receipt;
    format!(
        "committed at height {}, fee {}, receipt verified and saved\ntx {}",
        receipt.height,
        format_amount(receipt.fee.into()),
        receipt.envelope
    )
}

fn new(
    context: &Context,
    options: &WalletOptions,
    name: &str,
    test_work: bool,
    founding: Option<ClassChoice>,
) -> Done {
    let home = context.home()?;
    if home.wallet(name)?.exists() {
        return Err(tacit_wallet::Error::WalletExists {
            name: name.to_owned(),
        }
        .into());
    }
    // The address says what kind of network it is for, so the chain is verified first, if there is one yet.
    let (class, chain) = match founding {
        Some(class) => (network_class(class), Keyfile::FOUNDING),
        None => {
            let transport = context.transport()?;
            let trust = context.trust(transport.as_ref())?;
            (trust.class(), trust.chain())
        }
    };
    let passphrase: Passphrase = context.passphrase(options, name, true)?;
    let mut rng = system_rng()?;
    let mut seed = || {
        let mut bytes = Zeroizing::new([0; 32]);
        rand_core::Rng::fill_bytes(&mut rng, bytes.as_mut_slice());
        bytes
    };
    let seeds = Seeds {
        account: seed(),
        mail: seed(),
    };
    let work = if test_work { Work::Test } else { Work::User };
    let made = Keyfile::create(&home, name, seeds, class, chain, &passphrase, work)?;
    let file = home.wallet(name)?;
    context
        .output
        .note("file", format!("{} (encrypted; keep a copy)", file.display()));
    // Whoever gave the hash here meant it for this folder.
    if founding.is_none() && context.global.genesis_hash.is_some() && trust::pinned(&home)?.is_none() {
        trust::pin(&home, &chain)?;
        context.output.note("pinned", chain.to_string());
    }
    let chain = founding.is_none().then(|| made.chain.to_string());
    let value = json!({ "name": name, "address": made.address.to_string(), "file": file, "chain": chain });
    context.output.result(&value, || made.address.to_string());
    Ok(())
}

fn network_class(choice: ClassChoice) -> NetworkClass {
    match choice {
        ClassChoice::Production => NetworkClass::Production,
        ClassChoice::Test => NetworkClass::Test,
        ClassChoice::Dev => NetworkClass::Dev,
    }
}

fn list(context: &Context) -> Done {
    let home = context.home()?;
    let mut wallets = Vec::new();
    for name in home.wallet_names()? {
        let address = address_of(&home, &name)?.to_string();
        wallets.push(json!({ "name": name, "address": address }));
    }
    if wallets.is_empty() {
        context
            .output
            .note("none", "no wallets here; make one: tacit wallet new NAME");
    }
    context.output.result(&json!({ "wallets": wallets }), || {
        let line = |wallet: &Value| {
            format!(
                "{:<16} {}\n",
                wallet["name"].as_str().unwrap_or(""),
                wallet["address"].as_str().unwrap_or("")
            )
        };
        wallets.iter().map(line).collect()
    });
    Ok(())
}

fn balance(context: &Context, options: &WalletOptions) -> Done {
    let mut wallet = open(context, options)?;
    let balance = wallet.balance()?;
    let amount = format_amount(balance.amount);
    let value = json!({
        "account": wallet.address().to_string(),
        "balance": amount,
        "height": balance.height,
        "verified": true,
    });
    context.output.result(&value, || amount.clone());
    Ok(())
}

fn send(context: &Context, options: &WalletOptions, to: &str, text: &str) -> Done {
    let amount = amount(text)?;
    let mut wallet = open(context, options)?;
    let to = context.recipient(&mut wallet, to)?;
    let wish = wallet.submit_transfer(&to, amount)?;
    let confirmed = follow(context, &mut wallet, wish)?;
    context.output.result(&done(&confirmed), || done_line(&confirmed));
    Ok(())
}

fn message(context: &Context, options: &WalletOptions, to: &str, text: &str) -> Done {
    let mut wallet = open(context, options)?;
    let to = context.recipient(&mut wallet, to)?;
    prepare_mail(context, &mut wallet)?;
    let wish = wallet.submit_message(&to, text)?;
    let confirmed = follow(context, &mut wallet, wish)?;
    context.output.result(&done(&confirmed), || done_line(&confirmed));
    Ok(())
}

fn inbox(context: &Context, options: &WalletOptions, after: u64, follow: bool) -> Done {
    let mut wallet = open(context, options)?;
    prepare_mail(context, &mut wallet)?;
    let mut next = after;
    let mut all = Vec::new();
    loop {
        let letters = wallet.inbox(next, PAGE)?;
        let more = letters.len() as u64 == PAGE;
        next = letters
            .last()
            .map_or(next, |letter| letter.number.saturating_add(1));
        if context.output.json() && !follow {
            all.extend(letters.iter().map(|letter| letter_value(context, letter)));
        } else {
            for letter in &letters {
                context
                    .output
                    .result(&letter_value(context, letter), || letter_line(context, letter));
            }
        }
        if more {
            continue;
        }
        if !follow {
            break;
        }
        beat();
    }
    if next == after {
        context.output.note("none", "no letters");
    }
    if context.output.json() {
        context
            .output
            .document(&json!({ "letters": all, "next": next, "verified": true }));
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a mailbox is looked at by a fixed beat on purpose"
)]
fn beat() {
    std::thread::sleep(BEAT);
}

fn letter_value(context: &Context, letter: &Received) -> Value {
    json!({
        "number": letter.number,
        "from": letter.from.to_string(),
        "from_name": known(context, &letter.from),
        "height": letter.height,
        "time": time(letter.time_ms),
        "text": letter.text,
    })
}

fn letter_line(context: &Context, letter: &Received) -> String {
    let from = known(context, &letter.from).unwrap_or_else(|| letter.from.to_string());
    let text = letter
        .text
        .as_deref()
        .map_or_else(|| "(does not open with this wallet's key)".to_owned(), printable);
    format!(
        "{:>4}  {}  {from:<8}  {text}    height {}",
        letter.number,
        time(letter.time_ms),
        letter.height
    )
}

/// The name of a wallet in this folder that has this address.
pub(crate) fn known(context: &Context, address: &Address) -> Option<String> {
    let home = context.home().ok()?;
    let names = home.wallet_names().ok()?;
    names
        .into_iter()
        .find(|name| address_of(&home, name).is_ok_and(|known| known == *address))
}

fn name(context: &Context, options: &WalletOptions, verb: NameVerb) -> Done {
    let mut wallet = open(context, options)?;
    match verb {
        NameVerb::Claim { name } => {
            let confirmed = wallet.claim_name(&name)?;
            context.output.result(&done(&confirmed), || done_line(&confirmed));
        }
        NameVerb::Resolve { name } => {
            let address = wallet.resolve_name(&name)?.to_string();
            let value = json!({ "name": name, "address": address, "verified": true });
            context.output.result(&value, || address.clone());
        }
    }
    Ok(())
}

fn receipt(
    context: &Context,
    options: &WalletOptions,
    id: &str,
    out: Option<&std::path::Path>,
    disclose: bool,
) -> Done {
    let id = hash(id)?;
    let mut wallet = open(context, options)?;
    if let Some(out) = out {
        let file = wallet.receipt_file(&id, disclose)?;
        fs::write(out, file.to_json()).map_err(|error| Failure::file(out, error))?;
        let value = json!({ "tx_id": id.to_string(), "file": out, "discloses": disclose });
        context
            .output
            .result(&value, || format!("written: {}", out.display()));
        return Ok(());
    }
    let confirmed = wallet.receipt(&id)?;
    let outcome = tacit_wallet::OutcomeText::from(&confirmed.receipt);
    let value = json!({ "tx_id": id.to_string(), "outcome": outcome, "verified": true });
    context.output.result(&value, || {
        let reason = outcome
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(" ({reason})"));
        format!(
            "{}{reason} at height {}, index {}, fee {}",
            outcome.result, outcome.height, outcome.index, outcome.fee
        )
    });
    Ok(())
}

fn trust_verb(context: &Context, options: &WalletOptions, verb: &TrustVerb) -> Done {
    match verb {
        TrustVerb::Pin { hash: text } => {
            let hash = hash(text)?;
            trust::pin(&context.home()?, &hash)?;
            context.output.result(&json!({ "pinned": hash.to_string() }), || {
                format!("pinned {hash}")
            });
            Ok(())
        }
        TrustVerb::Show => {
            let transport = context.transport()?;
            let trust = context.trust(transport.as_ref())?;
            context.output.result(&shown(&trust), || lines(&shown(&trust)));
            Ok(())
        }
        TrustVerb::Check => check(context, options),
    }
}

fn check(context: &Context, options: &WalletOptions) -> Done {
    let transport = context.transport()?;
    let api = Api::new(transport.as_ref());
    let mut trust = context.trust(transport.as_ref())?;
    let summary = trust.refresh(&api, system_clock())?;
    context.witness(&trust, options)?;
    if context.output.verbose() > 0 {
        let state = trust.state();
        for (seat, holder) in state.record.validators.iter().zip(&state.holders) {
            let evidence = format!(
                "{} {} chip {:.16}",
                holder.platform,
                holder.measurement,
                holder.chip.to_string()
            );
            context
                .output
                .note("holder", format!("{}  {evidence}", seat.name));
        }
    }
    let mut value = shown(&trust);
    value["summary"] = summary.to_string().into();
    value["verified"] = true.into();
    context.output.result(&value, || summary.to_string());
    Ok(())
}

fn shown(trust: &Trust) -> Value {
    let state = trust.state();
    json!({
        "genesis_hash": trust.chain().to_string(),
        "recovered": trust.genesis().origin.as_ref().map(crate::commands::genesis::origin),
        "name": state.name,
        "class": trust.class().to_string(),
        "epoch": state.record.epoch,
        "key_id": state.record.key_id(),
        "height": state.height(),
        "head_time": trust.head().map(|head| time(head.time_ms)),
        "policy_version": state.record.policy_version,
        "validators": state.record.validators.iter().map(|seat| seat.name.clone()).collect::<Vec<_>>(),
    })
}

fn lines(value: &Value) -> String {
    crate::commands::query::render(value)
}

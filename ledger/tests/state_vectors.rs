//! Pinned encodings of what is stored or stands under a root: a change here is a change of format.

mod state_support;

use state_support::*;
use tacit_consensus::{
    Anchor, Block, Certificate, CommitProof, Digest, Executed, Header, Payload, Signature,
};
use tacit_ledger::*;

fn digest<T: borsh::BorshSerialize>(value: &T) -> String {
    hash_hex(&encode(value))
}

fn hash_hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().as_str()[..16].to_owned()
}

/// Compares all rows at once, so that one run shows every difference.
fn compare(rows: &[(&str, String, &str)]) {
    let wrong: Vec<_> = rows.iter().filter(|(_, have, pinned)| have != pinned).collect();
    assert!(wrong.is_empty(), "changed (what, now, pinned): {wrong:#?}");
}

#[test]
fn keys() {
    let (a, room) = (AccountId([0xaa; 32]), Digest([0xbb; 32]));
    let bytes = |key: StateKey| hex::encode(key.bytes());
    let (account, id) = ("aa".repeat(32), "bb".repeat(32));
    let rows = [
        (StateKey::Nonce(a), format!("00{account}")),
        (TokenKey::Balance(a).into(), format!("0100{account}")),
        (TokenKey::Fees.into(), "0101".into()),
        (NamesKey::Owner("abc".into()).into(), "020003000000616263".into()),
        (NamesKey::NameOf(a).into(), format!("0201{account}")),
        (MailKey::SealingKey(a).into(), format!("0300{account}")),
        (MailKey::Head(a).into(), format!("0301{account}")),
        (
            MailKey::Letter(a, 5).into(),
            format!("0302{account}0500000000000000"),
        ),
        (MailKey::Room(room).into(), format!("0303{id}")),
        (
            MailKey::RoomKey(room, 6, a).into(),
            format!("0304{id}06000000{account}"),
        ),
        (MailKey::Post(room, 7).into(), format!("0305{id}0700000000000000")),
        (MailKey::RoomsOf(a).into(), format!("0306{account}")),
    ];
    let places: Vec<_> = rows.iter().map(|(key, _)| key.tree_key()).collect();
    for (key, pinned) in rows {
        assert_eq!(bytes(key), pinned);
    }
    compare(&[
        ("tree keys", hash_hex(&places.concat()), "9dfb8e6af81b9d6b"),
        (
            "room id",
            room_id(&a, &[1; 16]).to_string()[..16].to_owned(),
            "1f0d9ba330636782",
        ),
    ]);
}

#[test]
fn actions_and_values() {
    let (a, room, key) = (
        AccountId([0xaa; 32]),
        Digest([0xbb; 32]),
        SealingPublic(vec![0xcc; 1216]),
    );
    let wrapped = vec![(a, vec![1, 2, 3])];
    let mail = [
        MailAction::PublishKey { key },
        MailAction::Send {
            to: a,
            sealed: vec![1; 9],
        },
        MailAction::CreateRoom {
            salt: [2; 16],
            title: vec![3; 4],
            members: wrapped.clone(),
        },
        MailAction::Invite {
            room,
            account: a,
            wrapped: vec![4; 5],
        },
        MailAction::Remove {
            room,
            account: a,
            rekey: wrapped,
        },
        MailAction::Leave { room },
        MailAction::Post {
            room,
            generation: 6,
            sealed: vec![7; 8],
        },
    ];
    let names = [
        NamesAction::Claim { name: "abc".into() },
        NamesAction::Release { name: "abc".into() },
    ];
    let members = vec![Member {
        account: a,
        joined_height: 3,
    }];
    compare(&[
        (
            "token",
            digest(&TokenAction::Transfer { to: a, amount: 5 }),
            "138542fd8fe281f2",
        ),
        ("names", digest(&names), "e5d146ca9572c051"),
        ("mail", digest(&mail), "d5dd75a1ea2c499f"),
        (
            "letter",
            digest(&Letter {
                from: a,
                height: 1,
                time_ms: 2,
                sealed: vec![3],
            }),
            "13ed3bb8cbba38d7",
        ),
        (
            "post",
            digest(&Post {
                from: a,
                height: 1,
                time_ms: 2,
                generation: 4,
                sealed: vec![3],
            }),
            "484a6f2908511df2",
        ),
        (
            "room",
            digest(&Room {
                owner: a,
                members,
                generation: 1,
                head: 2,
                title: vec![3],
            }),
            "490aa46359a35466",
        ),
    ]);
}

#[test]
fn private_state() {
    let mut world = World::new();
    world.block(&[(1, transfer(2, 5)), (2, claim("bob")), (3, publish(3))]);
    let entry = world
        .state
        .read(&id(1), &TokenKey::Balance(id(1)).into(), 1)
        .unwrap();
    let absent = world.state.read(&id(1), &MailKey::Head(id(1)).into(), 1).unwrap();
    compare(&[
        (
            "root",
            world.state.root().to_string()[..16].to_owned(),
            "41fb468b8843febd",
        ),
        ("frame", hash_hex(&world.frames[0].to_bytes()), "fbdb35ad94d9cf26"),
        (
            "checkpoint",
            hash_hex(&world.state.to_checkpoint()),
            "c952300c5c426084",
        ),
        ("entry", digest(&entry), "fa2b8bff283a6210"),
        ("absent entry", digest(&absent), "a37305dacb267261"),
    ]);
}

#[test]
fn stored_records() {
    let executed = Executed {
        height: 1,
        supply: 9,
        ..Executed::default()
    };
    let anchor = Anchor {
        epoch: 1,
        block: Digest([1; 32]),
        height: 0,
        time_ms: 0,
        executed,
    };
    let header = Header {
        chain: Digest([1; 32]),
        epoch: 1,
        height: 2,
        view: 3,
        parent: Digest([4; 32]),
        time_ms: 5,
        payload_root: Payload::default().root(),
        executed,
        next_epoch: None,
    };
    let certificate = Certificate::genesis(&anchor);
    let block = Block {
        header,
        payload: Payload::default(),
        justify: certificate.clone(),
        timeout: None,
        commit: None,
        signature: Signature([6; 64]),
    };
    let id = Digest([7; 32]);
    let tx = TxRecord {
        id,
        height: 2,
        index: 1,
        epoch: 1,
        size_class: 512,
        expiry_height: 9,
        bytes: vec![8; 3],
    };
    let receipt = StoredReceipt {
        height: 2,
        index: 1,
        sealed: SealedReceipt::unopened(&id),
    };
    let result = BlockResult {
        executed,
        receipts: id,
        envelopes: vec![id],
    };
    let proof = CommitProof {
        certificate,
        path: vec![block.header.clone()],
    };
    compare(&[
        (
            "committed block",
            digest(&CommittedBlock { block, proof }),
            "63027c7f555c7960",
        ),
        ("tx", digest(&tx), "f55a99ae96a39cc8"),
        ("receipt", digest(&receipt), "c50272e143f55f29"),
        ("result", digest(&result), "61b02ea3eb0636b5"),
    ]);
}

//! Defects of headers and of their order.

use tacit_consensus::{Digest, Executed};
use tacit_ledger::*;

use crate::{
    forge::{Case, Forge, case, run},
    maker::{Maker, genesis},
    story::{KINDS, story},
    world::HOUR,
};

const OTHER: Digest = Digest([0xee; 32]);

/// A field of a stored header that nobody signed so.
fn unsigned() -> Vec<Case> {
    let at = story().unopened + 2;
    let edit = |name, code, change: fn(&mut tacit_consensus::Header)| {
        case(name, code, at, move |forge: &mut Forge| {
            forge.edit(at, |committed| change(&mut committed.block.header));
        })
    };
    vec![
        edit("chain", "chain.foreign", |header| header.chain = OTHER),
        edit("epoch", "chain.epoch", |header| header.epoch += 1),
        edit("height", "chain.height", |header| header.height += 1),
        edit("view", "chain.certificate", |header| header.view += 1),
        edit("parent", "chain.parent", |header| header.parent = OTHER),
        edit("time", "chain.certificate", |header| header.time_ms += 1),
        edit("payload root", "chain.payload", |header| {
            header.payload_root = OTHER
        }),
        edit("executed height", "chain.certificate", |header| {
            header.executed.height -= 1
        }),
        edit("public root", "chain.certificate", |header| {
            header.executed.public_root = OTHER
        }),
        edit("private root", "chain.certificate", |header| {
            header.executed.private_root = OTHER
        }),
        edit("receipts root", "chain.certificate", |header| {
            header.executed.receipts_root = OTHER
        }),
        edit("supply", "chain.certificate", |header| {
            header.executed.supply += 1
        }),
        edit("next epoch", "chain.certificate", |header| {
            header.next_epoch = Some(OTHER)
        }),
    ]
}

/// The same by the leader and a quorum.
fn signed() -> Vec<Case> {
    let at = story().unopened + 2;
    let forge = |name, code, at, change: fn(&mut tacit_consensus::Header)| {
        case(name, code, at, move |forge: &mut Forge| {
            forge.reforge(at, |block| change(&mut block.header));
        })
    };
    let parent = move |forge: &Forge| forge.block(at - 1).block.header;
    let stated = move |name, code, change: fn(&mut Executed, Executed)| {
        case(name, code, at, move |forge: &mut Forge| {
            let before = parent(forge).executed;
            forge.reforge(at, |block| change(&mut block.header.executed, before));
        })
    };
    vec![
        case(
            "signed: time of the parent",
            "chain.time",
            at,
            move |forge: &mut Forge| {
                let time_ms = parent(forge).time_ms;
                forge.reforge(at, |block| block.header.time_ms = time_ms);
            },
        ),
        case(
            "signed: time before the parent",
            "chain.time",
            at,
            move |forge: &mut Forge| {
                let time_ms = parent(forge).time_ms;
                forge.reforge(at, |block| block.header.time_ms = time_ms - 1);
            },
        ),
        forge("signed: epoch", "chain.epoch", at, |header| header.epoch -= 1),
        forge("signed: payload root", "chain.payload", at, |header| {
            header.payload_root = OTHER
        }),
        forge(
            "signed: execution ahead of the parent",
            "chain.executed",
            at,
            |header| {
                header.executed.height = header.height;
            },
        ),
        forge("signed: execution backwards", "chain.executed", at, |header| {
            header.executed.height -= 2;
        }),
        stated(
            "signed: another execution of the parent's height",
            "chain.executed",
            |executed, before| {
                *executed = Executed {
                    public_root: OTHER,
                    ..before
                };
            },
        ),
        forge("signed: public root", "chain.public_root", at, |header| {
            header.executed.public_root = OTHER;
        }),
        forge("signed: receipts root", "chain.receipts_root", at, |header| {
            header.executed.receipts_root = OTHER;
        }),
        forge(
            "signed: private root without an envelope",
            "chain.private_root",
            at,
            |header| {
                header.executed.private_root = OTHER;
            },
        ),
        forge(
            "signed: private root after one that did not open",
            "chain.private_root",
            at - 1,
            |header| {
                header.executed.private_root = OTHER;
            },
        ),
        forge(
            "signed: no private root",
            "chain.private_root",
            story().payments + 1,
            |header| {
                header.executed.private_root = Digest::ZERO;
            },
        ),
        forge(
            "signed: private root before the first keys",
            "chain.private_root",
            2,
            |header| {
                header.executed.private_root = OTHER;
            },
        ),
        forge("signed: more supply", "chain.supply", at, |header| {
            header.executed.supply += 1
        }),
        forge(
            "signed: less supply, at an old height",
            "chain.supply",
            1,
            |header| {
                header.executed.supply -= 1;
            },
        ),
        forge("signed: other genesis state", "chain.executed", 1, |header| {
            header.executed.public_root = OTHER;
        }),
        forge(
            "signed: a next epoch out of nowhere",
            "chain.epoch_record",
            at,
            |header| {
                header.next_epoch = Some(OTHER);
            },
        ),
        forge("signed: a view left out", "chain.timeout", at, |header| {
            header.view += 1
        }),
    ]
}

fn order() -> Vec<Case> {
    let story = story();
    let (at, head) = (story.unopened + 2, story.head);
    vec![
        case(
            "two blocks swapped",
            "chain.height",
            at,
            move |forge: &mut Forge| {
                let (one, two) = (forge.block(at), forge.block(at + 1));
                forge.place(at, &two);
                forge.place(at + 1, &one);
            },
        ),
        case("a block twice", "chain.height", at, move |forge: &mut Forge| {
            let below = forge.block(at - 1);
            forge.place(at, &below);
        }),
        case(
            "a block missing",
            "chain.block_missing",
            at,
            move |forge: &mut Forge| {
                forge.remove(Column::Blocks, &height_key(at));
            },
        ),
        case(
            "the first block missing",
            "chain.block_missing",
            1,
            |forge: &mut Forge| {
                forge.remove(Column::Blocks, &height_key(1));
            },
        ),
        case(
            "the newest block missing",
            "chain.block_missing",
            head,
            move |forge: &mut Forge| {
                forge.remove(Column::Blocks, &height_key(head));
            },
        ),
        case(
            "all blocks missing",
            "chain.block_missing",
            1,
            move |forge: &mut Forge| {
                (1..=head).for_each(|height| forge.remove(Column::Blocks, &height_key(height)));
            },
        ),
        case(
            "a block cut short",
            "chain.damaged",
            at,
            move |forge: &mut Forge| {
                let bytes = forge.bytes(Column::Blocks, &height_key(at));
                bytes.truncate(bytes.len() / 2);
            },
        ),
        case(
            "a block with more behind it",
            "chain.damaged",
            at,
            move |forge: &mut Forge| {
                forge.bytes(Column::Blocks, &height_key(at)).push(0);
            },
        ),
        case(
            "an empty block value",
            "chain.damaged",
            at,
            move |forge: &mut Forge| {
                forge.bytes(Column::Blocks, &height_key(at)).clear();
            },
        ),
        case(
            "a block of another network of the same validators",
            "chain.foreign",
            2,
            |forge: &mut Forge| {
                let mut maker = Maker::new(genesis(&KINDS, HOUR + 1));
                maker.turn();
                let (_, other) = maker.done();
                let block = other.block(2);
                forge.place(2, &block);
            },
        ),
        case(
            "the whole folder of another network",
            "chain.foreign",
            0,
            |forge: &mut Forge| {
                let (_, other) = Maker::new(genesis(&KINDS, HOUR + 1)).done();
                forge.folder = other;
            },
        ),
        case(
            "blocks of another network, unnamed",
            "chain.foreign",
            1,
            |forge: &mut Forge| {
                forge.genesis = genesis(&KINDS, HOUR + 1);
                forge.remove(Column::Meta, meta::CHAIN);
            },
        ),
        case(
            "formats of another release",
            "chain.format",
            0,
            |forge: &mut Forge| {
                forge.bytes(Column::Meta, meta::FORMAT)[0] += 1;
            },
        ),
        case("nothing", "chain.empty", 0, |forge: &mut Forge| {
            forge.folder.0.clear()
        }),
        case(
            "a founder's evidence",
            "genesis.invalid",
            0,
            |forge: &mut Forge| {
                forge.genesis.validators[1].evidence.report[100] ^= 1;
            },
        ),
        case(
            "a founder with two seats",
            "genesis.invalid",
            0,
            |forge: &mut Forge| {
                forge.genesis.validators[1] = forge.genesis.validators[0].clone();
            },
        ),
    ]
}

#[test]
fn every_field_of_a_header_is_under_its_certificate() {
    run(unsigned());
}

#[test]
fn what_a_quorum_must_not_sign_in_a_header_is_refused_by_name() {
    run(signed());
}

#[test]
fn blocks_stand_in_their_order_and_belong_to_this_network() {
    run(order());
}

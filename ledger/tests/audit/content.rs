//! Defects of batches, envelopes, receipts, and of what a node stores beside its blocks.

use tacit_consensus::Digest;
use tacit_ledger::*;

use crate::{
    forge::{Case, Forge, case, run},
    story::story,
    world::node_key,
};

const OTHER: Digest = Digest([0xee; 32]);

fn batches() -> Vec<Case> {
    let at = story().payments;
    /// Names another batch in the place of the block's own, stored and signed by the block's quorum.
    fn rename(forge: &mut Forge, at: u64, change: impl FnOnce(Batch) -> Batch) {
        let batch = change(forge.batches(at).remove(0));
        forge
            .folder
            .put(|writes| writes.put_batch(&batch.digest(), &batch));
        forge.reforge(at, |block| block.payload.batches = vec![batch.digest()]);
    }
    fn sign(batch: &Batch, author: u16, key: u8) -> Batch {
        let envelopes = batch.envelopes.clone();
        Batch::sign(batch.chain, batch.epoch, author, 77, envelopes, &node_key(key))
    }
    let key = move |forge: &Forge| digest_key(&forge.block(at).block.payload.batches[0]);
    let stored = move |name, code, change: fn(&mut Batch)| {
        case(name, code, at, move |forge: &mut Forge| {
            let mut batch = forge.batches(at).remove(0);
            change(&mut batch);
            *forge.bytes(Column::Batches, &key(forge)) = encode(&batch);
        })
    };
    vec![
        case(
            "a batch missing",
            "chain.batch_missing",
            at,
            move |forge: &mut Forge| {
                forge.remove(Column::Batches, &key(forge));
            },
        ),
        stored("the author's signature", "chain.batch_author", |batch| {
            batch.signature.0[3] ^= 1
        }),
        stored("an envelope's body", "chain.batch", |batch| {
            batch.envelopes[0].body[9] ^= 1
        }),
        stored("an envelope left out", "chain.batch", |batch| {
            batch.envelopes.truncate(1)
        }),
        stored("envelopes in another order", "chain.batch", |batch| {
            batch.envelopes.swap(0, 1)
        }),
        stored("the author", "chain.batch", |batch| batch.author += 1),
        case(
            "a batch cut short",
            "chain.damaged",
            at,
            move |forge: &mut Forge| {
                forge.bytes(Column::Batches, &key(forge)).truncate(500);
            },
        ),
        case(
            "a batch of another one's name",
            "chain.batch_author",
            at,
            move |forge: &mut Forge| {
                rename(forge, at, |batch| sign(&batch, 1, 2));
            },
        ),
        case(
            "a batch of a seat that there is not",
            "chain.batch",
            at,
            move |forge: &mut Forge| {
                rename(forge, at, |batch| sign(&batch, 9, 0));
            },
        ),
        case(
            "a batch of another epoch",
            "chain.batch",
            at,
            move |forge: &mut Forge| {
                rename(forge, at, |mut batch| {
                    batch.epoch = 2;
                    sign(&batch, 0, 0)
                });
            },
        ),
        case(
            "a batch of another network",
            "chain.batch",
            at,
            move |forge: &mut Forge| {
                rename(forge, at, |mut batch| {
                    batch.chain = OTHER;
                    sign(&batch, 0, 0)
                });
            },
        ),
        case(
            "a batch with a stranger's envelope",
            "chain.batch",
            at,
            move |forge: &mut Forge| {
                rename(forge, at, |mut batch| {
                    batch.envelopes[1].epoch = 2;
                    sign(&batch, 0, 0)
                });
            },
        ),
        case("an empty batch", "chain.batch", at, move |forge: &mut Forge| {
            rename(forge, at, |mut batch| {
                batch.envelopes.clear();
                sign(&batch, 0, 0)
            });
        }),
        case(
            "a batch that nobody has",
            "chain.batch_missing",
            at,
            move |forge: &mut Forge| {
                forge.reforge(at, |block| block.payload.batches = vec![OTHER]);
            },
        ),
    ]
}

fn envelopes() -> Vec<Case> {
    let story = story();
    let (at, again) = (story.payments, story.repeated);
    let receipt = move |name, code, height, change: fn(&mut StoredReceipt)| {
        case(name, code, height, move |forge: &mut Forge| {
            let id = forge.envelope(at);
            let mut stored = forge.receipt(&id);
            change(&mut stored);
            forge.folder.put(|writes| writes.put_receipt(&id, &stored));
        })
    };
    vec![
        case(
            "an envelope that counts again",
            "chain.result",
            again + 1,
            move |forge: &mut Forge| {
                let id = forge.envelope(again);
                let mut result = forge.result(again);
                result.envelopes.push(id);
                forge.folder.put(|writes| writes.put_result(&result));
            },
        ),
        case(
            "an envelope that is said to stand where it came again",
            "chain.index",
            again - 1,
            move |forge: &mut Forge| {
                let id = forge.envelope(again);
                let mut record = forge.folder.get::<TxRecord>(Column::Txs, &digest_key(&id));
                record.height = again;
                forge.folder.put(|writes| writes.put_tx(&record));
            },
        ),
        case(
            "the bytes of an envelope",
            "chain.index",
            at,
            move |forge: &mut Forge| {
                let id = forge.envelope(at);
                let bytes = forge.bytes(Column::Txs, &digest_key(&id));
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            },
        ),
        case(
            "an envelope's record missing",
            "chain.index",
            at,
            move |forge: &mut Forge| {
                let id = forge.envelope(at);
                forge.remove(Column::Txs, &digest_key(&id));
            },
        ),
        case(
            "a receipt missing",
            "chain.receipt_missing",
            at,
            move |forge: &mut Forge| {
                let id = forge.envelope(at);
                forge.remove(Column::Receipts, &digest_key(&id));
            },
        ),
        receipt("a bit of a receipt", "chain.receipts_root", at + 1, |stored| {
            stored.sealed.0[40] ^= 1
        }),
        receipt("a receipt cut short", "chain.receipt", at, |stored| {
            stored.sealed.0.truncate(100)
        }),
        receipt("a receipt at another height", "chain.index", at, |stored| {
            stored.height += 1
        }),
        receipt("a receipt in another place", "chain.index", at, |stored| {
            stored.index += 1
        }),
        case(
            "receipts swapped",
            "chain.receipts_root",
            at + 1,
            move |forge: &mut Forge| {
                let ids: Vec<Digest> = forge.batches(at)[0].envelopes.iter().map(Envelope::id).collect();
                let (mut one, mut two) = (forge.receipt(&ids[0]), forge.receipt(&ids[1]));
                std::mem::swap(&mut one.sealed, &mut two.sealed);
                forge.folder.put(|writes| {
                    writes.put_receipt(&ids[0], &one);
                    writes.put_receipt(&ids[1], &two);
                });
            },
        ),
        case(
            "a payment that is said not to have opened",
            "chain.receipts_root",
            at + 1,
            move |forge: &mut Forge| {
                let id = forge.envelope(at);
                let mut stored = forge.receipt(&id);
                stored.sealed = SealedReceipt::unopened(&id);
                forge.folder.put(|writes| writes.put_receipt(&id, &stored));
            },
        ),
    ]
}

fn tables() -> Vec<Case> {
    let story = story();
    let (at, closing, head) = (story.payments, story.closing, story.head);
    let result = move |name, height, change: fn(&mut BlockResult)| {
        case(name, "chain.result", height, move |forge: &mut Forge| {
            let mut result = forge.result(at);
            change(&mut result);
            result.executed.height = at;
            forge.folder.put(|writes| writes.put_result(&result));
        })
    };
    let link = move |name, change: fn(&mut EpochLink)| {
        case(name, "chain.link", closing, move |forge: &mut Forge| {
            let mut link = forge.folder.get::<EpochLink>(Column::Epochs, &epoch_key(2));
            change(&mut link);
            let key = epoch_key(2);
            *forge.bytes(Column::Epochs, &key) = encode(&link);
        })
    };
    vec![
        result("a result's public root", at + 1, |result| {
            result.executed.public_root = OTHER
        }),
        result("a result's private root", at + 1, |result| {
            result.executed.private_root = OTHER
        }),
        result("a result's receipts root", at + 1, |result| {
            result.executed.receipts_root = OTHER
        }),
        result("a result's supply", at + 1, |result| result.executed.supply += 1),
        result("a result's root of the block's receipts", at + 1, |result| {
            result.receipts = OTHER
        }),
        result("an envelope left out of a result", at + 1, |result| {
            result.envelopes.truncate(1)
        }),
        case(
            "a result of another height",
            "chain.result",
            at + 1,
            move |forge: &mut Forge| {
                let mut result = forge.result(at);
                result.executed.height += 1;
                *forge.bytes(Column::Results, &height_key(at)) = encode(&result);
            },
        ),
        case(
            "a result that no header states yet",
            "chain.result",
            head,
            move |forge: &mut Forge| {
                let mut result = forge.result(head);
                result.executed.public_root = OTHER;
                forge.folder.put(|writes| writes.put_result(&result));
            },
        ),
        case(
            "a result missing",
            "chain.result",
            at,
            move |forge: &mut Forge| {
                forge.remove(Column::Results, &height_key(at));
            },
        ),
        case(
            "a result cut short",
            "chain.damaged",
            at,
            move |forge: &mut Forge| {
                forge.bytes(Column::Results, &height_key(at)).truncate(20);
            },
        ),
        case(
            "a block's id that leads elsewhere",
            "chain.index",
            at,
            move |forge: &mut Forge| {
                let id = forge.block(at).block.id();
                *forge.bytes(Column::BlockIds, &digest_key(&id)) = 999u64.to_le_bytes().to_vec();
            },
        ),
        case(
            "a block's id that leads nowhere",
            "chain.index",
            at,
            move |forge: &mut Forge| {
                let id = forge.block(at).block.id();
                forge.remove(Column::BlockIds, &digest_key(&id));
            },
        ),
        case(
            "a public transaction that cannot be found",
            "chain.index",
            story.renewal,
            move |forge: &mut Forge| {
                let bytes = &forge.block(story.renewal).block.payload.system[0];
                let id = SystemTx::decode(bytes).unwrap().id();
                forge.remove(Column::System, &digest_key(&id));
            },
        ),
        case(
            "an epoch's link missing",
            "chain.link",
            closing,
            move |forge: &mut Forge| {
                forge.remove(Column::Epochs, &epoch_key(2));
            },
        ),
        link("a link's record", |link| link.record.start_ms += 1),
        link("a link's header", |link| link.header.time_ms += 1),
        link("a link's proof", |link| {
            link.proof.certificate.signatures[0].0[1] ^= 1
        }),
        case(
            "a link cut short",
            "chain.damaged",
            closing,
            move |forge: &mut Forge| {
                forge.bytes(Column::Epochs, &epoch_key(2)).truncate(900);
            },
        ),
        case(
            "a public state in which other things happened",
            "chain.state",
            head,
            move |forge: &mut Forge| {
                // It ends with the ids of the newest blocks.
                *forge.bytes(Column::Public, PUBLIC_KEY).last_mut().unwrap() ^= 1;
            },
        ),
        case(
            "a public state of seats that do not fit",
            "chain.damaged",
            0,
            move |forge: &mut Forge| {
                let bytes = forge.bytes(Column::Public, PUBLIC_KEY);
                let key = tacit_consensus::Signer::public(&crate::world::consensus_key(0)).0;
                let place = bytes.windows(32).position(|part| part == key).expect("a key");
                bytes[place] ^= 1;
            },
        ),
        case(
            "a public state of a height that is not there",
            "chain.state",
            head - 1,
            move |forge: &mut Forge| {
                forge.remove(Column::Blocks, &height_key(head));
                forge.remove(Column::Results, &height_key(head));
            },
        ),
        case(
            "the stored public state cut short",
            "chain.damaged",
            0,
            move |forge: &mut Forge| {
                forge.bytes(Column::Public, PUBLIC_KEY).truncate(1000);
            },
        ),
    ]
}

/// The links of a chain whose beginning was pruned.
fn links() -> Vec<Case> {
    let story = story();
    let first = story.second_closing;
    let link = move |name, code, change: fn(&mut EpochLink)| {
        case(name, code, story.closing, move |forge: &mut Forge| {
            forge.folder.prune(first);
            let mut link = forge.folder.get::<EpochLink>(Column::Epochs, &epoch_key(2));
            change(&mut link);
            *forge.bytes(Column::Epochs, &epoch_key(2)) = encode(&link);
        })
    };
    vec![
        link("pruned: a certificate's signature", "chain.certificate", |link| {
            link.proof.certificate.signatures[0].0[1] ^= 1;
        }),
        link("pruned: another network", "chain.foreign", |link| {
            link.header.chain = OTHER
        }),
        link("pruned: another epoch", "chain.epoch", |link| {
            link.header.epoch += 1
        }),
        link(
            "pruned: a header that nobody signed",
            "chain.certificate",
            |link| link.header.time_ms += 1,
        ),
        link("pruned: a set of strangers", "chain.epoch_record", |link| {
            link.record.validators.truncate(1);
        }),
        link("pruned: a sealing key", "chain.epoch_record", |link| {
            link.record.sealing_key = Some(crate::world::kem(3));
        }),
        link("pruned: a record of another time", "chain.epoch_record", |link| {
            link.record.start_ms += 1
        }),
        case(
            "pruned: a link missing",
            "chain.block_missing",
            story.first_closing + 1,
            move |forge: &mut Forge| {
                forge.folder.prune(first);
                forge.remove(Column::Epochs, &epoch_key(2));
            },
        ),
        case(
            "pruned: another closing block",
            "chain.link",
            first,
            move |forge: &mut Forge| {
                forge.folder.prune(first);
                forge.edit(first, |closing| closing.block.header.time_ms += 1);
            },
        ),
        case(
            "pruned: other content of the closing block",
            "chain.payload",
            first,
            move |forge: &mut Forge| {
                forge.folder.prune(first);
                forge.edit(first, |closing| closing.block.payload.system.truncate(1));
            },
        ),
        case(
            "pruned: the closing block's own certificate",
            "chain.certificate",
            first,
            move |forge: &mut Forge| {
                forge.folder.prune(first);
                forge.edit(first, |closing| {
                    closing.proof.certificate.signatures[2].0[0] ^= 1;
                });
            },
        ),
        case(
            "pruned: more than is said",
            "chain.block_missing",
            first + 1,
            move |forge: &mut Forge| {
                forge.folder.prune(first);
                forge.remove(Column::Blocks, &height_key(first + 1));
            },
        ),
        case(
            "pruned, and not said",
            "chain.block_missing",
            1,
            move |forge: &mut Forge| {
                forge.folder.prune(first);
                forge.remove(Column::Meta, meta::FIRST);
            },
        ),
        case(
            "pruned: links swapped",
            "chain.epoch",
            story.closing,
            move |forge: &mut Forge| {
                forge.folder.prune(first);
                let second = forge.bytes(Column::Epochs, &epoch_key(2)).clone();
                *forge.bytes(Column::Epochs, &epoch_key(1)) = second;
            },
        ),
    ]
}

#[test]
fn batches_are_their_authors_and_what_blocks_name() {
    run(batches());
}

#[test]
fn envelopes_count_once_and_receipts_are_the_certified_ones() {
    run(envelopes());
}

#[test]
fn what_is_stored_beside_the_blocks_fits_them() {
    run(tables());
}

#[test]
fn links_over_a_pruned_part_are_certified() {
    run(links());
}

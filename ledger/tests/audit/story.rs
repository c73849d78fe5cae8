//! One chain with everything in it, made once.

use std::sync::LazyLock;

use tacit_ledger::*;

use crate::{
    maker::{Folder, Maker, genesis},
    world::{GENOA, HOUR, Kind, MINUTE, Machine, TURIN},
};

static CHAIN: LazyLock<(Genesis, Folder)> = LazyLock::new(make);

/// Six epochs: keys; payments, renewals, an adopted policy; a suspension; time.
pub(crate) fn chain() -> (&'static Genesis, &'static Folder) {
    let (genesis, folder) = &*CHAIN;
    (genesis, folder)
}

fn make() -> (Genesis, Folder) {
    let kinds = [GENOA, TURIN, GENOA, Kind::Td];
    let mut maker = Maker::new(genesis(&kinds, HOUR));
    (maker.gaps, maker.late) = (7, 5);
    maker.turn();
    // Epoch 1: money and machines.
    for round in 0..3u16 {
        let payments = vec![maker.payment(5), maker.payment(7)];
        let batch = maker.batch(round, payments);
        maker.block(vec![batch], &[]);
    }
    let repeated = maker.payment(9);
    let (one, two) = (maker.batch(0, vec![repeated.clone()]), maker.batch(1, vec![repeated]));
    maker.block(vec![one], &[]);
    maker.block(vec![two], &[]);
    for n in 0..4u8 {
        let renewal = maker.renewal(n, Machine::new(kinds[usize::from(n)], n));
        maker.block(Vec::new(), &[renewal]);
    }
    // A stricter policy, which is due at once.
    let (proposal, [bob, _]) = maker.policy(|policy| policy.evidence_age_max_ms -= MINUTE);
    maker.block(Vec::new(), &[SystemTx::Propose(proposal)]);
    maker.block(Vec::new(), &[bob]);
    assert_eq!(maker.turn().reason, EpochReason::Policy);
    // Epoch 2: envelopes that do not open, then time passes.
    let mut broken = maker.payment(1);
    broken.body[40] ^= 1;
    let batch = maker.batch(2, vec![broken]);
    maker.block(vec![batch], &[]);
    for _ in 0..3 {
        maker.block(Vec::new(), &[]);
    }
    maker.now += HOUR;
    assert_eq!(maker.turn().reason, EpochReason::Schedule);
    let payment = maker.payment(3);
    let batch = maker.batch(3, vec![payment]);
    maker.block(vec![batch], &[]);
    for _ in 0..4 {
        maker.block(Vec::new(), &[]);
    }
    maker.done()
}

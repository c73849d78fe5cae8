//! The public state: how an epoch ends, each rule of the tail by what breaks it, and roots and proofs.

use std::sync::LazyLock;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tacit_attest::{
    Generation, Measurement, NetworkClass, Platform, Policy, SimulatedQuoter, SimulatorAuthority, Suspension,
    TrustRoots,
};
use tacit_consensus::{
    Anchor, Block, Certificate, Digest, Ed25519Signer, Executed, Header, Payload, Signature, hash,
};
use tacit_ledger::*;

const START_MS: u64 = 1_790_000_000_000;
const MEASUREMENT: Measurement = Measurement([1; 48]);
const NONCE: [u8; 32] = [1; 32];
static AUTHORITY: LazyLock<SimulatorAuthority> =
    LazyLock::new(|| SimulatorAuthority::generate([1; 32], START_MS).unwrap());
static FOUNDERS: LazyLock<Vec<Registration>> = LazyLock::new(|| (0..4).map(register).collect());
const EPOCH_MS: u64 = 60_000;

fn kem(n: u8) -> SealingPublic {
    SealingSecret::derive(&[n + 1; 32]).public().clone()
}

/// Public keys of an epoch that nobody can open anything with.
fn keys(n: u8) -> EpochKeys {
    EpochKeys {
        sealing_key: kem(n),
        state_keys: vec![n; WRAPPED_STATE_KEYS_BYTES],
        recovery: None,
    }
}

fn register(n: u8) -> Registration {
    let chip = AUTHORITY
        .issue_chip([n; 32], Generation::Genoa, START_MS)
        .unwrap();
    Registration::make(
        &format!("v{n}"),
        &Ed25519Signer::from_seed([n; 32]),
        &Ed25519Signer::from_seed([100 + n; 32]),
        &kem(n),
        &RegistrationPlace::founder(NONCE, 1),
        &SimulatedQuoter::new(chip, MEASUREMENT),
    )
    .unwrap()
}

fn genesis(n: u8) -> Genesis {
    Genesis {
        version: GENESIS_VERSION,
        name: "dev-test".into(),
        trust: TrustRoots {
            class: NetworkClass::Dev,
            simulator: Some(AUTHORITY.root()),
        },
        nonce: NONCE,
        time_ms: START_MS,
        params: Params {
            epoch_ms_max: EPOCH_MS,
            ..Params::default()
        },
        policy: Policy::dev(MEASUREMENT),
        governance: Governance::none(),
        protocol: tacit_ledger::PROTOCOL_VERSION,
        recovery: tacit_ledger::RecoveryMembers::none(),
        origin: None,
        collateral: Vec::new(),
        validators: FOUNDERS[..usize::from(n)].to_vec(),
        allocations: Vec::new(),
    }
}

fn contribution(epoch: u64, dealer: u16, n: u8) -> Contribution {
    let recipients: Vec<_> = (0..n).map(kem).collect();
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(dealer));
    deal(&mut rng, &Digest([2; 32]), epoch, dealer, &recipients).unwrap()
}

/// What a block in a test consists of.
#[derive(Clone)]
struct Plan {
    time_ms: u64,
    leader: u16,
    batches: Vec<Digest>,
    system: Vec<SystemTx>,
    next_epoch: Option<Digest>,
    /// The height whose execution the header states; that of the parent unless it says another.
    executed: Option<u64>,
}

impl Plan {
    fn at(time_ms: u64, leader: u16, system: Vec<SystemTx>) -> Self {
        let close = system.iter().find_map(|tx| match tx {
            SystemTx::CloseEpoch(record) => Some(record.digest()),
            _ => None,
        });
        Self {
            time_ms,
            leader,
            batches: Vec::new(),
            system,
            next_epoch: close,
            executed: None,
        }
    }

    fn block(&self, state: &PublicState) -> Block {
        let epoch = state.current().epoch;
        let n = state.committee().n() as u64;
        let view = u64::from(self.leader) + 2 * n - epoch % n;
        let payload = Payload {
            batches: self.batches.clone(),
            system: self.system.iter().map(SystemTx::encode).collect(),
        };
        let header = Header {
            chain: *state.chain(),
            epoch,
            height: state.height() + 1,
            view,
            parent: Digest::ZERO,
            time_ms: self.time_ms,
            payload_root: payload.root(),
            executed: Executed {
                height: self.executed.unwrap_or(state.height()),
                ..Executed::default()
            },
            next_epoch: self.next_epoch,
        };
        assert_eq!(state.committee().leader(view), self.leader);
        let anchor = Anchor {
            epoch,
            block: *state.chain(),
            height: 0,
            time_ms: 0,
            executed: Executed::default(),
        };
        let justify = Certificate::genesis(&anchor);
        Block {
            header,
            payload,
            justify,
            timeout: None,
            commit: None,
            signature: Signature([0; 64]),
        }
    }

    fn check(&self, state: &PublicState) -> Result<(), SystemError> {
        let block = self.block(state);
        let checked = state.check_system(&block.header, &block.payload, self.leader);
        // Checking and applying are one judgement, and a refusal leaves the state alone.
        let mut applied = state.clone();
        assert_eq!(applied.apply(&block).map(drop), checked);
        assert_eq!(applied.height() == state.height() + 1, checked.is_ok());
        checked
    }

    fn apply(&self, state: &mut PublicState) {
        self.check(state).unwrap();
        state.apply(&self.block(state)).unwrap();
    }

    fn refused(&self, state: &PublicState) -> SystemError {
        self.check(state).unwrap_err()
    }
}

fn end(reason: EpochReason) -> SystemTx {
    SystemTx::EndEpoch { reason }
}

fn give(epoch: u64, dealer: u16) -> SystemTx {
    SystemTx::Contribute(contribution(epoch, dealer, 4))
}

/// A state of four validators in epoch 1, whose first block comes next.
fn first_epoch() -> PublicState {
    let mut state = PublicState::genesis(&genesis(4));
    Plan::at(START_MS + 1, 0, vec![end(EpochReason::Genesis), give(1, 0)]).apply(&mut state);
    close(&mut state, START_MS + 2, 1);
    assert_eq!(state.current().epoch, 1);
    state
}

fn closing(state: &PublicState, time_ms: u64, leader: u16) -> Plan {
    let seats = state.next_validators(time_ms).len() as u8;
    let own = contribution(state.current().epoch + 1, leader, seats);
    let record = state
        .next_record(time_ms, &own, &keys(99))
        .expect("one contribution is missing");
    Plan::at(
        time_ms,
        leader,
        vec![SystemTx::Contribute(own), SystemTx::CloseEpoch(record)],
    )
}

fn close(state: &mut PublicState, time_ms: u64, leader: u16) {
    closing(state, time_ms, leader).apply(state);
}

#[test]
fn the_first_epoch_ends_in_its_first_block_and_later_ones_by_time() {
    let state = PublicState::genesis(&genesis(4));
    assert_eq!(state.end_due(0), Some(EpochReason::Genesis));
    let late = Plan::at(START_MS + 1, 0, vec![]).refused(&state);
    assert_eq!(
        late,
        SystemError::EndMissing {
            time_ms: START_MS + 1,
            due_ms: 0
        }
    );
    let mut state = first_epoch();
    let record = state.current().clone();
    assert_eq!((record.start_height, record.start_ms), (3, START_MS + 2));
    assert_eq!(
        (record.reason, record.sealing_key.clone()),
        (EpochReason::Genesis, Some(kem(99)))
    );
    assert_eq!(record.validators, genesis(4).record0().validators);
    let due_ms = START_MS + 2 + EPOCH_MS;
    assert_eq!(
        (state.end_due(due_ms - 1), state.end_due(due_ms)),
        (None, Some(EpochReason::Schedule))
    );
    let early = Plan::at(due_ms - 1, 0, vec![end(EpochReason::Schedule)]);
    assert_eq!(
        early.refused(&state),
        SystemError::EndNotDue {
            time_ms: due_ms - 1,
            due_ms
        }
    );
    Plan {
        batches: vec![Digest([1; 32])],
        ..Plan::at(due_ms - 1, 0, vec![])
    }
    .apply(&mut state);
    let missing = Plan::at(due_ms, 0, vec![]);
    assert_eq!(
        missing.refused(&state),
        SystemError::EndMissing {
            time_ms: due_ms,
            due_ms
        }
    );
    let wrong = Plan::at(due_ms, 0, vec![end(EpochReason::Genesis)]);
    let reason = SystemError::Reason {
        have: EpochReason::Genesis,
        expected: EpochReason::Schedule,
    };
    assert_eq!(wrong.refused(&state), reason);
    Plan::at(due_ms, 0, vec![end(EpochReason::Schedule)]).apply(&mut state);
    assert!(state.is_ending());
    assert_eq!(state.tail().unwrap().since, 4);
    assert_eq!(state.contributions_missing(START_MS), 2);
}

/// Four validators, epoch 1 ending since height 4 without a contribution yet.
fn ending() -> (PublicState, u64) {
    let mut state = first_epoch();
    let due_ms = START_MS + 2 + EPOCH_MS;
    Plan::at(due_ms - 1, 0, vec![]).apply(&mut state);
    Plan::at(due_ms, 0, vec![end(EpochReason::Schedule)]).apply(&mut state);
    (state, due_ms)
}

#[test]
fn t1_a_block_follows_the_state() {
    let state = first_epoch();
    let plan = Plan::at(START_MS + 3, 0, vec![]);
    let good = plan.block(&state);
    let mut header = good.header.clone();
    header.height += 1;
    let checked = state.check_system(&header, &good.payload, 0);
    assert_eq!(checked, Err(SystemError::Height { have: 4, expected: 3 }));
    let mut header = good.header.clone();
    header.epoch = 0;
    let checked = state.check_system(&header, &good.payload, 0);
    assert_eq!(checked, Err(SystemError::Epoch { have: 0, expected: 1 }));
}

#[test]
fn t2_an_epoch_ends_once_and_first_in_its_block() {
    let (state, due_ms) = ending();
    let twice = Plan::at(due_ms + 1, 1, vec![end(EpochReason::Schedule)]);
    assert_eq!(twice.refused(&state), SystemError::EndTwice { since: 4 });
    let second = Plan::at(due_ms + 1, 1, vec![give(2, 1), end(EpochReason::Schedule)]);
    assert_eq!(second.refused(&state), SystemError::Order { index: 1 });
    let state = PublicState::genesis(&genesis(4));
    let double = Plan::at(
        START_MS,
        0,
        vec![end(EpochReason::Genesis), end(EpochReason::Genesis)],
    );
    assert_eq!(double.refused(&state), SystemError::Order { index: 1 });
}

#[test]
fn t3_no_batches_from_the_ending_block_on() {
    let (state, due_ms) = ending();
    let with_batch = |plan: Plan| Plan {
        batches: vec![Digest([1; 32])],
        ..plan
    };
    let plan = with_batch(Plan::at(due_ms + 1, 1, vec![]));
    assert_eq!(plan.refused(&state), SystemError::Batches { have: 1 });
    let state = PublicState::genesis(&genesis(4));
    let plan = with_batch(Plan::at(START_MS, 0, vec![end(EpochReason::Genesis)]));
    assert_eq!(plan.refused(&state), SystemError::Batches { have: 1 });
}

#[test]
fn t4_contributions_come_from_the_leader_once_and_whole() {
    let (mut state, due_ms) = ending();
    assert_eq!(state.dealer(2, START_MS), Some(2));
    let plan = |leader, tx| Plan::at(due_ms + 1, leader, vec![tx]);
    let other = plan(1, give(2, 2)).refused(&state);
    assert_eq!(
        other,
        SystemError::Dealer {
            dealer: 2,
            seat: Some(1)
        }
    );
    let epoch = plan(1, give(1, 1)).refused(&state);
    assert_eq!(epoch, SystemError::DealtEpoch { have: 1, expected: 2 });
    let narrow = plan(1, SystemTx::Contribute(contribution(2, 1, 3))).refused(&state);
    assert!(matches!(
        narrow,
        SystemError::Shares(DealError::Shares {
            dealer: 1,
            have: 3,
            need: 4
        })
    ));
    let mut short = contribution(2, 1, 4);
    short.shares[2].pop();
    let short = plan(1, SystemTx::Contribute(short)).refused(&state);
    assert!(matches!(
        short,
        SystemError::Shares(DealError::ShareSize {
            dealer: 1,
            index: 2,
            ..
        })
    ));
    let two = Plan::at(due_ms + 1, 1, vec![give(2, 1), give(2, 1)]);
    assert_eq!(two.refused(&state), SystemError::Order { index: 1 });
    plan(1, give(2, 1)).apply(&mut state);
    assert_eq!(
        (state.dealer(1, START_MS), state.contributions_missing(START_MS)),
        (None, 1)
    );
    assert_eq!(
        plan(1, give(2, 1)).refused(&state),
        SystemError::DealtTwice { dealer: 1 }
    );
    // A leader who has contributed leaves the block empty; that is no fault.
    Plan::at(due_ms + 2, 1, vec![]).apply(&mut state);
    // A view beyond the set's seats has no seat in the next one.
    let block = plan(2, give(2, 2)).block(&state);
    let checked = state.check_system(&block.header, &block.payload, 9);
    assert_eq!(
        checked,
        Err(SystemError::Dealer {
            dealer: 2,
            seat: None
        })
    );
}

#[test]
fn t4_the_last_contribution_waits_for_a_header_that_certifies_the_state_to_come() {
    // The epoch ends in block 4: block 3 is the last that may have changed the private state.
    let (mut state, due_ms) = ending();
    let stating = |plan: Plan, executed| Plan {
        executed: Some(executed),
        ..plan
    };
    // The first of two need not wait.
    stating(Plan::at(due_ms + 1, 0, vec![give(2, 0)]), 2).apply(&mut state);
    let early = SystemError::DealtEarly { have: 2, need: 3 };
    let good = closing(&state, due_ms + 3, 3);
    assert!(!state.may_close(2));
    assert_eq!(stating(good.clone(), 2).refused(&state), early);
    // Who leads before that leaves the block empty, and the end goes on.
    stating(Plan::at(due_ms + 2, 1, vec![]), 2).apply(&mut state);
    assert!(state.may_close(3));
    let good = closing(&state, due_ms + 3, 3);
    assert_eq!(stating(good.clone(), 2).refused(&state), early);
    stating(good, 3).apply(&mut state);
    assert_eq!(state.current().epoch, 2);
}

#[test]
fn t4_a_block_that_ends_and_closes_an_epoch_states_what_its_parent_led_to() {
    // One validator needs one contribution.
    let mut state = PublicState::genesis(&genesis(1));
    let whole = |state: &PublicState, time_ms, reason| {
        let closing = closing(state, time_ms, 0);
        Plan {
            system: [vec![end(reason)], closing.system].concat(),
            ..closing
        }
    };
    whole(&state, START_MS, EpochReason::Genesis).apply(&mut state);
    let due_ms = START_MS + EPOCH_MS;
    Plan::at(due_ms - 1, 0, vec![]).apply(&mut state);
    let good = whole(&state, due_ms, EpochReason::Schedule);
    let behind = Plan {
        executed: Some(1),
        ..good.clone()
    };
    assert_eq!(
        behind.refused(&state),
        SystemError::DealtEarly { have: 1, need: 2 }
    );
    good.apply(&mut state);
    assert_eq!(state.current().epoch, 2);
}

#[test]
fn t4_nothing_of_a_tail_stands_in_an_ordinary_block() {
    let state = first_epoch();
    let plan = Plan::at(START_MS + 3, 1, vec![give(2, 1)]);
    assert_eq!(plan.refused(&state), SystemError::NotEnding { index: 0 });
    let plan = Plan::at(
        START_MS + 3,
        1,
        vec![SystemTx::CloseEpoch(state.current().clone())],
    );
    assert_eq!(plan.refused(&state), SystemError::NotEnding { index: 0 });
}

#[test]
fn t5_an_epoch_closes_with_its_last_contribution_exactly() {
    let (mut state, due_ms) = ending();
    let own = contribution(2, 0, 4);
    assert_eq!(state.next_record(due_ms + 1, &own, &keys(99)), None);
    let record = state.current().clone();
    let early = Plan::at(
        due_ms + 1,
        0,
        vec![SystemTx::Contribute(own), SystemTx::CloseEpoch(record)],
    );
    assert_eq!(
        early.refused(&state),
        SystemError::CloseEarly { have: 1, need: 2 }
    );
    Plan::at(due_ms + 1, 0, vec![give(2, 0)]).apply(&mut state);
    let missing = Plan::at(due_ms + 2, 3, vec![give(2, 3)]);
    assert_eq!(missing.refused(&state), SystemError::CloseMissing { need: 2 });
    let good = closing(&state, due_ms + 2, 3);
    let turned = Plan {
        system: good.system.iter().rev().cloned().collect(),
        ..good.clone()
    };
    assert_eq!(turned.refused(&state), SystemError::Order { index: 1 });
    let twice = Plan {
        system: [&good.system[..], &good.system[1..]].concat(),
        ..good.clone()
    };
    assert_eq!(twice.refused(&state), SystemError::Order { index: 2 });
    good.apply(&mut state);
    assert_eq!((state.current().epoch, state.is_ending()), (2, false));
    assert_eq!(state.current().reason, EpochReason::Schedule);
    assert_eq!(
        state.records().map(|record| record.epoch).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    // The next epoch's blocks are ordinary ones again.
    Plan {
        batches: vec![Digest([1; 32])],
        ..Plan::at(due_ms + 3, 0, vec![])
    }
    .apply(&mut state);
}

#[test]
fn t6_the_next_record_is_the_one_that_everybody_computes() {
    let (mut state, due_ms) = ending();
    Plan::at(due_ms + 1, 0, vec![give(2, 0)]).apply(&mut state);
    let good = closing(&state, due_ms + 2, 3);
    let SystemTx::CloseEpoch(record) = good.system[1].clone() else {
        panic!("closes")
    };
    type Change = fn(&mut EpochRecord);
    let changes: [(&str, Change); 11] = [
        ("epoch", |record| record.epoch += 1),
        ("start height", |record| record.start_height += 1),
        ("start time", |record| record.start_ms += 1),
        ("validators", |record| record.validators.swap(0, 1)),
        ("validators", |record| record.validators[2].kem_key = kem(50)),
        ("validators", |record| drop(record.validators.pop())),
        ("suite", |record| record.suite += 1),
        ("policy version", |record| record.policy_version += 1),
        ("policy", |record| record.policy = Digest::ZERO),
        ("reason", |record| record.reason = EpochReason::Genesis),
        ("transcript", |record| record.transcript = Digest::ZERO),
    ];
    for (field, change) in changes {
        let mut bent = record.clone();
        change(&mut bent);
        let plan = Plan::at(
            due_ms + 2,
            3,
            vec![good.system[0].clone(), SystemTx::CloseEpoch(bent)],
        );
        assert_eq!(plan.refused(&state), SystemError::Record { field });
    }
    for sealing_key in [None, Some(SealingPublic(vec![0; 7]))] {
        let bent = EpochRecord {
            sealing_key,
            ..record.clone()
        };
        let plan = Plan::at(
            due_ms + 2,
            3,
            vec![good.system[0].clone(), SystemTx::CloseEpoch(bent)],
        );
        assert_eq!(plan.refused(&state), SystemError::Record { field: "sealing key" });
    }
    // Any well-formed key passes here: those who hold the secret judge it.
    let bent = EpochRecord {
        sealing_key: Some(kem(98)),
        ..record
    };
    Plan::at(
        due_ms + 2,
        3,
        vec![good.system[0].clone(), SystemTx::CloseEpoch(bent)],
    )
    .check(&state)
    .unwrap();
}

#[test]
fn t7_the_header_names_the_next_epoch_exactly_when_the_payload_does() {
    let (mut state, due_ms) = ending();
    let some = Some(Digest([5; 32]));
    let plan = Plan {
        next_epoch: some,
        ..Plan::at(due_ms + 1, 0, vec![give(2, 0)])
    };
    assert_eq!(
        plan.refused(&state),
        SystemError::NextEpoch {
            have: some,
            expected: None
        }
    );
    Plan::at(due_ms + 1, 0, vec![give(2, 0)]).apply(&mut state);
    let good = closing(&state, due_ms + 2, 3);
    for have in [None, some] {
        let plan = Plan {
            next_epoch: have,
            ..good.clone()
        };
        assert_eq!(
            plan.refused(&state),
            SystemError::NextEpoch {
                have,
                expected: good.next_epoch
            }
        );
    }
}

#[test]
fn undecodable_system_transactions_are_refused_by_place() {
    let state = PublicState::genesis(&genesis(4));
    let mut block = Plan::at(START_MS, 0, vec![end(EpochReason::Genesis)]).block(&state);
    block.payload.system.push(vec![0xff; 9]);
    let refused = state.check_system(&block.header, &block.payload, 0).unwrap_err();
    assert!(matches!(refused, SystemError::Codec { index: 1, .. }));
}

#[test]
fn a_network_of_one_ends_keys_and_closes_in_one_block() {
    let mut state = PublicState::genesis(&genesis(1));
    let own = contribution(1, 0, 1);
    let record = state.next_record(START_MS + 1, &own, &keys(99)).unwrap();
    let system = vec![
        end(EpochReason::Genesis),
        SystemTx::Contribute(own),
        SystemTx::CloseEpoch(record),
    ];
    Plan::at(START_MS + 1, 0, system).apply(&mut state);
    assert_eq!(state.current().epoch, 1);
}

#[test]
fn uncommitted_parents_count_and_leave_the_state_alone() {
    let (state, due_ms) = ending();
    let first = Plan::at(due_ms + 1, 0, vec![give(2, 0)]).block(&state);
    let ahead = state.after([&first]).unwrap();
    assert_eq!(
        (
            state.contributions_missing(START_MS),
            ahead.contributions_missing(START_MS)
        ),
        (2, 1)
    );
    closing(&ahead, due_ms + 2, 1).check(&ahead).unwrap();
    let second = Plan::at(due_ms + 2, 0, vec![give(2, 0)]).block(&ahead);
    assert_eq!(
        state.after([&first, &second]).err(),
        Some(SystemError::DealtTwice { dealer: 0 })
    );
}

#[test]
fn roots_prove_what_is_registered_and_are_the_same_after_a_restart() {
    let mut state = first_epoch();
    let due_ms = START_MS + 2 + EPOCH_MS;
    Plan::at(due_ms, 0, vec![end(EpochReason::Schedule), give(2, 0)]).apply(&mut state);
    let restored = PublicState::from_bytes(&state.to_bytes()).unwrap();
    let height = state.height();
    assert_eq!(restored.root(height), state.root(height));
    assert_eq!(
        (restored.tail(), restored.current()),
        (state.tail(), state.current())
    );
    assert_ne!(state.root(height), state.root(height - 1));
    assert_eq!((state.root(height + 1), restored.root(height - 1)), (None, None));
    let root = state.root(height).unwrap();
    let prove = |entry: &PublicEntry| state.prove(height, entry).unwrap();
    let registered = |name: &str| {
        let one = state.registered(name).unwrap();
        let place = (one.seat.registered_ms, one.height, one.chip);
        assert!(one.chip.is_some());
        hash("registered", &[&one.registration.digest().0, &encode(&place)])
    };
    for (entry, leaf) in [
        (PublicEntry::Registration("v2".into()), Some(registered("v2"))),
        (PublicEntry::Registration("v4".into()), None),
        (PublicEntry::Epoch(1), Some(state.current().digest())),
        (PublicEntry::Epoch(2), None),
        (PublicEntry::Policy, Some(policy_digest(&genesis(4).policy))),
    ] {
        verify_membership(&root, &entry.tree_key(), leaf.as_ref(), &prove(&entry)).unwrap();
        let wrong = leaf.is_none().then_some(Digest([3; 32]));
        assert!(verify_membership(&root, &entry.tree_key(), wrong.as_ref(), &prove(&entry)).is_err());
    }
    // Both continue alike.
    let (mut one, mut other) = (state, restored);
    close(&mut one, due_ms + 1, 2);
    close(&mut other, due_ms + 1, 2);
    assert_eq!(one.root(one.height()), other.root(other.height()));
    assert_eq!(one.to_bytes(), other.to_bytes());
}

#[test]
fn stored_public_states_that_are_cut_or_of_another_version_are_refused() {
    let bytes = first_epoch().to_bytes();
    let mut newer = bytes.clone();
    newer[0] = 9;
    assert!(PublicState::from_bytes(&newer).is_err());
    assert!(PublicState::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    assert!(PublicState::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    assert!(PublicState::from_bytes(&[]).is_err());
}

#[test]
fn the_formats_are_pinned() {
    let hex = |bytes: &[u8]| blake3::hash(bytes).to_hex().as_str()[..16].to_owned();
    let entries = [
        PublicEntry::Registration("v1".into()),
        PublicEntry::Epoch(3),
        PublicEntry::Policy,
        PublicEntry::Tail,
    ];
    assert_eq!(
        hex::encode(encode(&entries)),
        "000200000076310103000000000000000203"
    );
    assert_eq!(
        hex(&entries.map(|entry| entry.tree_key()).concat()),
        "0f44421931e0acbf"
    );
    let target = Suspension::Platform(Platform::Simulated);
    let governed = [
        PublicEntry::Collateral,
        PublicEntry::PolicyVersion(2),
        PublicEntry::Proposal(3),
        PublicEntry::Suspension(target),
        PublicEntry::SuspendVotes(target),
        PublicEntry::Recovery,
        PublicEntry::Constants,
    ];
    assert_eq!(
        hex::encode(encode(&governed)),
        "04050200000000000000060300070003080003090a"
    );
    let members = [
        PublicEntry::Leaving("v1".into()),
        PublicEntry::Convicted(tacit_consensus::PublicKey([9; 32])),
        PublicEntry::Membership,
    ];
    assert_eq!(
        hex::encode(encode(&members)),
        format!("0b0200000076310c{}0d", "09".repeat(32))
    );
    let contribution = Contribution {
        epoch: 2,
        dealer: 1,
        commitment: Digest([3; 32]),
        shares: vec![vec![4; 5]],
    };
    let tail = Tail {
        since: 9,
        reason: EpochReason::Schedule,
        decision: Decision {
            protocol: 1,
            judged_ms: 5,
            validators: Vec::new(),
            policy_version: 6,
            policy: Digest([7; 32]),
            collateral: Digest([8; 32]),
            kept: true,
            dropped: vec![Dropped {
                name: "v1".into(),
                code: "suspend.in_force".into(),
            }],
        },
        contributions: vec![contribution],
    };
    assert_eq!(hex(&encode(&tail)), "6b38b196adf091a2");
    let state = PublicState::genesis(&genesis(4));
    let bytes = state.to_bytes();
    assert_eq!((bytes[0], &bytes[1..33]), (3, &state.chain().0[..]));
}

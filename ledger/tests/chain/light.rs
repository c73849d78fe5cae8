//! The light client: it follows honest bundles and refuses every forged one by name.

use tacit_attest::{Collateral, Measurement, Policy};
use tacit_consensus::{Digest, Ed25519, Executed};
use tacit_ledger::*;

use crate::network::*;

const NOW: u64 = TIME + 60_000;
const MAX_AGE: u64 = 60_000;

fn start() -> TrustedState {
    TrustedState::from_pinned_genesis(&network().genesis, &network().chain).unwrap()
}

fn bundle() -> LightBundle {
    let network = network();
    let head = header(
        1,
        9,
        Executed {
            height: 8,
            ..Executed::default()
        },
    );
    LightBundle {
        links: vec![network.link.clone()],
        head_proof: commit(&head, &[1, 2, 3]),
        head,
        registrations: network.genesis.validators.clone(),
        policy: network.genesis.policy.clone(),
        collateral: Collateral::new(),
    }
}

fn advance(state: &TrustedState, bundle: &LightBundle) -> Result<TrustedState, LightError> {
    state.advance(bundle, NOW, MAX_AGE, &Ed25519, &mut Verdicts::default())
}

fn refused(change: impl FnOnce(&mut LightBundle)) -> LightError {
    let mut bundle = bundle();
    change(&mut bundle);
    let error = advance(&start(), &bundle).unwrap_err();
    assert!(
        codes::lookup(error.code()).is_some(),
        "{} is not in the table",
        error.code()
    );
    error
}

#[test]
fn an_honest_bundle_leads_to_the_sealing_key() {
    let start = start();
    assert_eq!(start.sealing_key(), Err(LightError::NoSealingKey { epoch: 0 }));
    let state = advance(&start, &bundle()).unwrap();
    let (epoch, key) = state.sealing_key().unwrap();
    assert_eq!((epoch, key), (1, network().secret.sealing().public()));
    assert_eq!((state.height(), state.holders.len()), (9, 4));
    assert_eq!(
        decode::<TrustedState>(&encode(&state), 1 << 20),
        Ok(state.clone())
    );
    assert_eq!(LightBundle::decode(&encode(&bundle())), Ok(bundle()));

    // What it leads to is what the holders can open.
    let call = Call::sign(&network().chain, &account(1), 0, 1_000, transfer(), [0; 32]);
    let (envelope, _) = seal_envelope(&mut rng(1), key, &network().chain, epoch, 100, &call).unwrap();
    assert!(open_envelope(&network().secret.sealing(), &envelope).is_ok());

    // Asking again from there needs no links.
    let head = header(1, 12, Executed::default());
    let later = LightBundle {
        links: vec![],
        head_proof: commit(&head, &[0, 1, 2, 3]),
        head,
        ..bundle()
    };
    assert_eq!(advance(&state, &later).unwrap().height(), 12);
    assert_eq!(
        advance(
            &state,
            &LightBundle {
                links: vec![],
                ..bundle()
            }
        )
        .unwrap(),
        state
    );
}

fn transfer() -> Action {
    Action::Token(TokenAction::Transfer {
        to: account(2).id(),
        amount: 1,
    })
}

#[test]
fn right_after_an_epoch_the_closing_header_is_the_newest() {
    let link = network().link.clone();
    let bundle = LightBundle {
        head: link.header.clone(),
        head_proof: link.proof.clone(),
        ..bundle()
    };
    assert_eq!(advance(&start(), &bundle).unwrap().height(), 3);
    let over = LightBundle {
        links: vec![],
        ..bundle
    };
    assert_eq!(advance(&start(), &over), Err(LightError::EpochOver { epoch: 0 }));
}

/// Row 1: genesis bytes hash to the pinned value.
#[test]
fn another_genesis_is_refused() {
    let mut genesis = network().genesis.clone();
    genesis.allocations[0].1 += 1;
    let error = TrustedState::from_pinned_genesis(&genesis, &network().chain).unwrap_err();
    assert_eq!(error.code(), "genesis.hash_mismatch");
    genesis.validators[0].consensus_signature.0[0] ^= 1;
    assert_eq!(
        TrustedState::from_genesis(&genesis).unwrap_err().code(),
        "genesis.invalid"
    );
}

/// Row 2: each set change signed by more than two thirds of the previous set.
#[test]
fn forged_headers_are_refused() {
    let link = |change: fn(&mut EpochLink)| refused(|bundle| change(&mut bundle.links[0]));
    let forged = |error: LightError| match error {
        LightError::Link { epoch: 0, ref source } => (source.code(), error.code()).0,
        other => panic!("{other}"),
    };
    assert_eq!(
        forged(link(|link| link.proof = commit(&link.header, &[0, 1]))),
        "proof.bad_signature"
    );
    assert_eq!(
        forged(link(|link| link.proof.certificate.signatures[0].0[9] ^= 1)),
        "proof.bad_signature"
    );
    assert_eq!(
        forged(link(|link| link.header.time_ms += 1)),
        "proof.bad_signature"
    );
    assert_eq!(
        forged(link(|link| link.header.chain = Digest([9; 32]))),
        "proof.header"
    );
    assert_eq!(forged(link(|link| link.header.epoch = 1)), "proof.header");
    let head = refused(|bundle| bundle.head.executed.private_root = Digest([9; 32]));
    assert!(matches!(head, LightError::Head(ProofError::Commit(_))));
    let head = refused(|bundle| bundle.head_proof = commit(&bundle.head, &[0, 1]));
    assert_eq!(head.code(), "proof.bad_signature");
    let head = refused(|bundle| {
        bundle.head.epoch = 0;
        bundle.head_proof = commit(&bundle.head, &[0, 1, 2]);
    });
    assert_eq!(head, LightError::Head(ProofError::Epoch { have: 0, need: 1 }));
    let many = refused(|bundle| bundle.links = vec![bundle.links[0].clone(); MAX_EPOCH_LINKS + 1]);
    assert_eq!(
        many,
        LightError::TooManyLinks {
            have: MAX_EPOCH_LINKS + 1,
            max: MAX_EPOCH_LINKS
        }
    );
    let twice = refused(|bundle| bundle.links.push(bundle.links[0].clone()));
    assert!(matches!(
        twice,
        LightError::Link {
            epoch: 1,
            source: ProofError::Epoch { .. }
        }
    ));
}

/// Row 2: newest header within the allowed age and clock skew, and never backwards.
#[test]
fn stale_future_and_backward_heads_are_refused() {
    let at = |now| start().advance(&bundle(), now, MAX_AGE, &Ed25519, &mut Verdicts::default());
    let time = bundle().head.time_ms;
    assert!(at(time + MAX_AGE).is_ok());
    let stale = at(time + MAX_AGE + 1).unwrap_err();
    assert_eq!(
        stale,
        LightError::HeadStale {
            age_ms: MAX_AGE + 1,
            max_ms: MAX_AGE
        }
    );
    assert!(at(time - MAX_CLOCK_SKEW_MS).is_ok());
    let early = at(time - MAX_CLOCK_SKEW_MS - 1).unwrap_err();
    assert_eq!(early.code(), "trust.clock_skew");
    let state = advance(&start(), &bundle()).unwrap();
    let head = header(1, 8, Executed::default());
    let older = LightBundle {
        links: vec![],
        head_proof: commit(&head, &[0, 1, 2]),
        head,
        ..bundle()
    };
    assert_eq!(
        advance(&state, &older),
        Err(LightError::HeadBackwards { have: 8, trusted: 9 })
    );
    let early = refused(|bundle| {
        bundle.head = header(1, 3, Executed::default());
        bundle.head_proof = commit(&bundle.head, &[0, 1, 2]);
    });
    assert!(matches!(
        early,
        LightError::Head(ProofError::Stale { have: 3, need: 4 })
    ));
}

/// Row 3, the part that one client sees alone: two committed blocks at one height.
#[test]
fn a_fork_is_noticed() {
    let state = advance(&start(), &bundle()).unwrap();
    let head = header(1, 9, Executed::default());
    let other = LightBundle {
        links: vec![],
        head_proof: commit(&head, &[0, 1, 2]),
        head,
        ..bundle()
    };
    let fork = advance(&state, &other).unwrap_err();
    assert_eq!(
        (fork.code(), matches!(fork, LightError::Fork { height: 9, .. })),
        ("trust.fork", true)
    );
    // An epoch that is said to have closed below a block of it that was seen.
    let mut above = start();
    above.head = Some(header(0, 5, Executed::default()));
    assert!(matches!(
        advance(&above, &bundle()),
        Err(LightError::Fork { height: 3, .. })
    ));
}

/// Row 4: the policy.
#[test]
fn another_policy_is_refused() {
    let looser = refused(|bundle| bundle.policy = Policy::dev(Measurement([0x22; 48])));
    assert_eq!(
        (looser.code(), looser),
        ("proof.policy", LightError::Policy { epoch: 1 })
    );
}

/// Row 5: evidence of every holder.
#[test]
fn every_holder_is_checked() {
    let missing = refused(|bundle| drop(bundle.registrations.pop()));
    assert_eq!(missing, LightError::Registrations { have: 3, need: 4 });
    let swapped = refused(|bundle| bundle.registrations.swap(0, 1));
    assert_eq!(swapped, LightError::OtherRegistration { index: 0 });
    let bent = refused(|bundle| bundle.registrations[3].evidence.report[0x50] ^= 1);
    assert_eq!(bent, LightError::OtherRegistration { index: 3 });
    assert_eq!(bent.code(), "epoch.holder");

    // A quorum that certified a holder whose evidence is not acceptable.
    let certified = |registration: Registration| {
        refused(|bundle| {
            let link = &mut bundle.links[0];
            link.record.validators[2] = ValidatorRecord::of(&registration, TIME);
            link.header.next_epoch = Some(link.record.digest());
            link.proof = commit(&link.header, &[0, 1, 2]);
            bundle.registrations[2] = registration.clone();
        })
    };
    let place = RegistrationPlace::founder(NONCE, 1);
    let unknown = certified(register(2, 2, Measurement([0x22; 48]), &place));
    assert_eq!(unknown.code(), "attest.measurement_unknown");
    let mut bent = founder(2);
    bent.evidence.report[0x50] ^= 1;
    assert!(matches!(
        certified(bent),
        LightError::Holder {
            index: 2,
            source: RegistrationError::ConsensusSignature
        }
    ));
    assert_eq!(
        certified(register(2, 0, MEASUREMENT, &place)),
        LightError::SameChip { index: 2 }
    );
    let elsewhere = RegistrationPlace {
        network: Digest([9; 32]),
        ..place
    };
    let elsewhere = certified(register(2, 2, MEASUREMENT, &elsewhere));
    assert_eq!(elsewhere, LightError::OtherRegistration { index: 2 });
}

/// Row 5, the other way: who joined later is bound to the chain id.
#[test]
fn a_later_validator_is_bound_to_the_chain() {
    let place = RegistrationPlace {
        network: network().chain,
        height: 2,
        block: Digest([2; 32]),
        policy_version: 1,
    };
    let registration = register(2, 8, MEASUREMENT, &place);
    let mut bundle = bundle();
    let link = &mut bundle.links[0];
    link.record.validators[2] = ValidatorRecord::of(&registration, TIME);
    link.header.next_epoch = Some(link.record.digest());
    link.proof = commit(&link.header, &[0, 1, 2]);
    bundle.registrations[2] = registration;
    assert_eq!(advance(&start(), &bundle).map(|state| state.height()), Ok(9));
}

/// Row 6: the epoch's record.
#[test]
fn another_record_is_refused() {
    let key = refused(|bundle| bundle.links[0].record.sealing_key = Some(kem(9).public().clone()));
    assert_eq!(
        (key.code(), key),
        ("epoch.record", LightError::Record { epoch: 0 })
    );
    let certified = |change: fn(&mut EpochRecord)| {
        refused(|bundle| {
            let link = &mut bundle.links[0];
            change(&mut link.record);
            link.header.next_epoch = Some(link.record.digest());
            link.proof = commit(&link.header, &[0, 1, 2]);
        })
    };
    let record = LightError::Record { epoch: 0 };
    assert_eq!(certified(|record| record.epoch = 2), record);
    assert_eq!(certified(|record| record.start_height = 5), record);
    assert_eq!(certified(|record| record.start_ms += 1), record);
    let shape = |what| LightError::RecordShape { epoch: 1, what };
    assert_eq!(
        certified(|record| record.sealing_key = None),
        shape("sealing key")
    );
    assert_eq!(
        certified(|record| record.sealing_key = Some(SealingPublic(vec![0; 9]))),
        shape("sealing key")
    );
    assert_eq!(certified(|record| record.suite = 2), shape("suite"));
    assert_eq!(
        certified(|record| record.validators.clear()),
        shape("number of validators")
    );
    assert_eq!(
        certified(|record| record.validators[0].name.clear()),
        shape("validator name")
    );
    let twice = certified(|record| record.validators[1].consensus_key = record.validators[0].consensus_key);
    assert_eq!(twice, shape("consensus keys"));
    let unnamed = refused(|bundle| {
        let link = &mut bundle.links[0];
        link.header.next_epoch = None;
        link.proof = commit(&link.header, &[0, 1, 2]);
    });
    assert_eq!(unnamed, LightError::Record { epoch: 0 });
}

#[test]
fn verdicts_are_remembered_by_everything_they_depend_on() {
    struct Counting(Verdicts, usize);
    impl VerdictCache for Counting {
        fn get(&self, key: &Digest) -> Option<HolderVerdict> {
            self.0.get(key)
        }
        fn put(&mut self, key: Digest, verdict: HolderVerdict) {
            self.1 += 1;
            self.0.put(key, verdict);
        }
    }
    let mut cache = Counting(Verdicts::default(), 0);
    start()
        .advance(&bundle(), NOW, MAX_AGE, &Ed25519, &mut cache)
        .unwrap();
    assert_eq!(cache.1, 4);
    start()
        .advance(&bundle(), NOW, MAX_AGE, &Ed25519, &mut cache)
        .unwrap();
    assert_eq!(cache.1, 4, "the second time costs no evidence check");
    assert_eq!(
        decode::<Verdicts>(&encode(&cache.0), 1 << 20),
        Ok(cache.0.clone())
    );
    let mut later = bundle();
    let link = &mut later.links[0];
    link.record.judged_ms += 1;
    link.header.next_epoch = Some(link.record.digest());
    link.proof = commit(&link.header, &[0, 1, 2]);
    start()
        .advance(&later, NOW, MAX_AGE, &Ed25519, &mut cache)
        .unwrap();
    assert_eq!(cache.1, 8, "another time is another question");
}

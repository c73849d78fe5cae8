//! What a genesis must be, and every way in which it is refused.

use tacit_attest::{Measurement, NetworkClass, Refusal, TrustRoots};
use tacit_consensus::{Digest, Signature, Signer};
use tacit_ledger::*;

use crate::network::*;

fn good() -> Genesis {
    network().genesis.clone()
}

fn refused(change: impl FnOnce(&mut Genesis)) -> GenesisError {
    let mut genesis = good();
    change(&mut genesis);
    genesis.verify().unwrap_err()
}

#[test]
fn a_good_genesis_verifies_and_says_what_it_is() {
    let genesis = good();
    let verified = genesis.verify().unwrap();
    assert_eq!(verified.len(), 4);
    assert!(verified.iter().all(|one| one.measurement == MEASUREMENT));
    assert_eq!(genesis.supply(), 1_005 * UNIT);
    assert_eq!(genesis.faults_tolerated(), 1);
    let record = genesis.record0();
    assert_eq!((record.epoch, record.start_height, record.start_ms), (0, 1, TIME));
    assert_eq!(record.check_shape(), Ok(()));
    assert_eq!(record.key_id(), None);
    assert_eq!(genesis.committee0(), record.committee());
    assert_eq!(genesis.committee0().quorum(), 3);
    let anchor = genesis.anchor(Digest([1; 32]), Digest::ZERO);
    assert_eq!(
        (anchor.block, anchor.height, anchor.executed.supply),
        (genesis.chain_id(), 0, 1_005 * UNIT)
    );
}

#[test]
fn json_and_borsh_carry_the_same_genesis() {
    let genesis = good();
    let json = genesis.to_json();
    assert!(json.contains("\"amount\": \"1000.000000\""));
    assert_eq!(Genesis::from_json(&json).unwrap(), genesis);
    assert_eq!(
        Genesis::from_json(&json.replace("  ", "\t")).unwrap().chain_id(),
        genesis.chain_id()
    );
    assert_eq!(Genesis::decode(&encode(&genesis)).unwrap(), genesis);
    let unknown = json.replacen("\"version\"", "\"extra\": 1, \"version\"", 1);
    assert!(matches!(
        Genesis::from_json(&unknown),
        Err(GenesisError::Json { line: 2, .. })
    ));
    assert!(matches!(
        Genesis::from_json(&json[1..]),
        Err(GenesisError::Json { .. })
    ));
    let long = " ".repeat(MAX_GENESIS_BYTES + 1);
    assert!(matches!(
        Genesis::from_json(&long),
        Err(GenesisError::Codec(CodecError::TooLong { .. }))
    ));
}

#[test]
fn names_fit_the_class() {
    let name = |name: &str| refused(|genesis| genesis.name = name.to_owned());
    assert_eq!(name("de"), GenesisError::Name);
    assert_eq!(name("dev-UPPER"), GenesisError::Name);
    assert_eq!(name(&"d".repeat(33)), GenesisError::Name);
    assert_eq!(
        name("mainnet"),
        GenesisError::NamePrefix {
            class: NetworkClass::Dev,
            need: "dev-"
        }
    );
    let production = |name: &str| {
        refused(|genesis| {
            genesis.trust = TrustRoots {
                class: NetworkClass::Production,
                simulator: None,
            };
            genesis.name = name.to_owned();
        })
    };
    assert_eq!(production("dev-stories"), GenesisError::NameOfProduction);
    assert_eq!(production("test-stories"), GenesisError::NameOfProduction);
    // The name is fine then, and the simulated founders are not.
    assert!(matches!(
        production("stories"),
        GenesisError::Registration { index: 0, .. }
    ));
}

#[test]
fn a_simulator_root_makes_no_network_but_dev() {
    let refusal = refused(|genesis| {
        genesis.trust.class = NetworkClass::Test;
        genesis.name = "test-stories".to_owned();
    });
    let class = NetworkClass::Test;
    assert_eq!(
        refusal,
        GenesisError::Policy(Refusal::SimulatorForbidden { class })
    );
}

#[test]
fn versions_and_parameters_have_their_ranges() {
    assert_eq!(
        refused(|genesis| genesis.version = 1),
        GenesisError::Version { have: 1 }
    );
    let parameter = |change: fn(&mut Params)| match refused(|genesis| change(&mut genesis.params)) {
        GenesisError::Parameter { name, .. } => name,
        other => panic!("{other}"),
    };
    assert_eq!(parameter(|params| params.epoch_ms_max = 999), "epoch_ms_max");
    assert_eq!(parameter(|params| params.epoch_ms_min = u64::MAX), "epoch_ms_min");
    assert_eq!(parameter(|params| params.heartbeat_ms = 0), "heartbeat_ms");
    assert_eq!(
        parameter(|params| params.base_timeout_ms = 60_001),
        "base_timeout_ms"
    );
    assert_eq!(parameter(|params| params.fee_per_512 = u64::MAX), "fee_per_512");
    assert_eq!(
        parameter(|params| params.max_clock_ahead_ms = 0),
        "max_clock_ahead_ms"
    );
}

#[test]
fn allocations_are_spendable_unique_and_sum_up() {
    let reason = |list: Vec<(AccountId, Amount)>| match refused(|genesis| genesis.allocations = list) {
        GenesisError::Allocation { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let (one, two) = (account(1).id(), account(2).id());
    assert_eq!(reason(vec![(one, 0)]), "zero");
    assert_eq!(reason(vec![(one, 1), (two, 1), (one, 1)]), "listed twice");
    assert_eq!(
        reason(vec![(AccountId([255; 32]), 1)]),
        "no public key, nobody could spend it"
    );
    let overflow = refused(|genesis| genesis.allocations = vec![(one, Amount::MAX), (two, 1)]);
    assert_eq!(overflow, GenesisError::Supply);
    let many = refused(|genesis| genesis.allocations = vec![(one, 1); MAX_ALLOCATIONS + 1]);
    assert_eq!(
        many,
        GenesisError::Allocations {
            have: MAX_ALLOCATIONS + 1,
            max: MAX_ALLOCATIONS
        }
    );
}

#[test]
fn every_founder_is_checked() {
    let none = refused(|genesis| genesis.validators.clear());
    assert_eq!(
        none,
        GenesisError::Validators {
            have: 0,
            max: MAX_VALIDATORS
        }
    );
    let other = GenesisError::OtherGenesis { index: 0 };
    assert_eq!(refused(|genesis| genesis.nonce[0] ^= 1), other);
    assert_eq!(refused(|genesis| genesis.policy.version = 2), other);
    assert_eq!(refused(|genesis| genesis.validators[0].height = 1), other);

    let place = RegistrationPlace::founder(NONCE, 1);
    let unknown = Measurement([0x22; 48]);
    let refusal = refused(|genesis| genesis.validators[2] = register(2, 2, unknown, &place));
    let GenesisError::Registration {
        index: 2,
        source: RegistrationError::Evidence(refusal),
    } = refusal
    else {
        panic!("{refusal}");
    };
    assert_eq!(refusal.code(), "attest.measurement_unknown");

    let late = refused(|genesis| genesis.time_ms += 20 * 365 * 86_400_000);
    assert!(matches!(
        late,
        GenesisError::Registration {
            index: 0,
            source: RegistrationError::Evidence(_)
        }
    ));
}

#[test]
fn no_two_founders_share_a_name_a_key_or_a_chip() {
    let what = |change: &dyn Fn(&mut Registration)| {
        let mut genesis = good();
        let mut twin = founder(3);
        change(&mut twin);
        genesis.validators[3] = twin;
        match genesis.verify().unwrap_err() {
            GenesisError::Duplicate { index: 3, what } => what,
            other => panic!("{other}"),
        }
    };
    let place = RegistrationPlace::founder(NONCE, 1);
    assert_eq!(what(&|twin| *twin = register(3, 0, MEASUREMENT, &place)), "chip");
    assert_eq!(what(&|twin| *twin = founder(0)), "name");
    let remake = |name: &str, consensus: u8, node: u8, kem_of: u8| {
        let quoter = tacit_attest::SimulatedQuoter::new(chip(9), MEASUREMENT);
        let kem_key = kem(kem_of);
        Registration::make(
            name,
            &consensus_key(consensus),
            &node_key(node),
            kem_key.public(),
            &place,
            &quoter,
        )
        .unwrap()
    };
    assert_eq!(what(&|twin| *twin = remake("other", 0, 9, 9)), "consensus key");
    assert_eq!(what(&|twin| *twin = remake("other", 9, 0, 9)), "node key");
    assert_eq!(what(&|twin| *twin = remake("other", 9, 9, 0)), "KEM key");
}

#[test]
fn a_registration_is_refused_when_any_part_is_not_its_own() {
    let genesis = good();
    let refused = |change: &dyn Fn(&mut Registration)| {
        let mut registration = founder(0);
        change(&mut registration);
        registration
            .verify(
                &genesis.trust,
                &tacit_attest::Collateral::new(),
                &genesis.policy,
                TIME,
            )
            .unwrap_err()
    };
    let resign = |registration: &mut Registration| {
        let message = registration.message();
        registration.consensus_signature = consensus_key(0).sign(&message.0);
        registration.node_signature = node_key(0).sign(&message.0);
        registration.operator_signature = Some(node_key(0).sign(&message.0));
    };
    assert_eq!(
        refused(&|one| one.name = "Node".to_owned()),
        RegistrationError::Name
    );
    assert_eq!(refused(&|one| one.name.clear()), RegistrationError::Name);
    assert_eq!(
        refused(&|one| one.node_key = one.consensus_key),
        RegistrationError::SameKey
    );
    assert!(matches!(
        refused(&|one| one.kem_key.0.truncate(9)),
        RegistrationError::KemKey(_)
    ));
    let unsigned = RegistrationError::ConsensusSignature;
    assert_eq!(refused(&|one| one.name = "other".to_owned()), unsigned);
    assert_eq!(refused(&|one| one.evidence.report[100] ^= 1), unsigned);
    assert_eq!(refused(&|one| one.policy_version = 2), unsigned);
    assert_eq!(
        refused(&|one| one.consensus_signature = Signature([0; 64])),
        unsigned
    );
    let node = RegistrationError::NodeSignature;
    assert_eq!(refused(&|one| one.node_signature = one.consensus_signature), node);
    // Signed by its owner, but not what the evidence is bound to.
    let unbound = |change: &dyn Fn(&mut Registration)| {
        matches!(
            refused(&|one| {
                change(one);
                resign(one);
            }),
            RegistrationError::Evidence(Refusal::ReportData)
        )
    };
    assert!(unbound(&|one| one.network = Digest([9; 32])));
    assert!(unbound(&|one| one.height = 5));
    assert!(unbound(&|one| one.block = Digest([9; 32])));
    assert!(unbound(&|one| one.policy_version = 2));
    assert!(unbound(&|one| one.kem_key = kem(1).public().clone()));
    assert_eq!(Registration::decode(&encode(&founder(0))).unwrap(), founder(0));
}

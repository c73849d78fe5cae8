//! Honest inputs to begin from, made by the code of today, so that a changed format needs no new files.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tacit_attest::{
    Collateral, CollateralUpdate, Document, Evidence, Generation, Policy, SimulatedList, SimulatedQuoter,
    SimulatedTcbInfo, Suspension, Tee,
};
use tacit_consensus::{Certificate, CommitProof, Digest, Ed25519Signer, Header, Payload};
use tacit_ledger::{
    AccountKey, EpochLink, EpochReason, EpochRecord, EpochSecret, GENESIS_VERSION, Genesis, Governance,
    OriginProof, Params, RecoveryMember, RecoveryMembers, RecoveryScope, Registration, RegistrationPlace,
    SealingSecret, StateFile, StateKeys, SuspendVote, SystemTx, UNIT, deal,
};

use super::attest::{MEASUREMENT, NOW_MS, WORLD, World};

/// A genuine Milan machine, version 2, of the crate `sev`.
const MILAN_REPORT: &str = include_str!("../../../attest/tests/fixtures/sev-milan.report.hex");
const MILAN_LEAF: &[u8] = include_bytes!("../../../attest/tests/fixtures/sev-milan.vcek.der");

/// Genuine quotes of the crate `dcap-qvl` with their collateral.
const FILES: [(&str, &[u8], &str); 4] = [
    (
        "sgx",
        include_bytes!("../../../attest/tests/fixtures/dcap-qvl/sgx_quote"),
        include_str!("../../../attest/tests/fixtures/dcap-qvl/sgx_quote_collateral.json"),
    ),
    (
        "tdx-v4",
        include_bytes!("../../../attest/tests/fixtures/dcap-qvl/tdx_quote"),
        include_str!("../../../attest/tests/fixtures/dcap-qvl/tdx_quote_collateral.json"),
    ),
    (
        "tdx-v5",
        include_bytes!("../../../attest/tests/fixtures/dcap-qvl/tdx_quote_outdated"),
        include_str!("../../../attest/tests/fixtures/dcap-qvl/tdx_quote_outdated_collateral.json"),
    ),
    (
        "tdx-v5-extended",
        include_bytes!("../../../attest/tests/fixtures/dcap-qvl/tdx_quote_td15ex"),
        include_str!("../../../attest/tests/fixtures/dcap-qvl/tdx_quote_td15ex_collateral.json"),
    ),
];

/// Names and bytes of the seeds of `target`; at least one for each.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let world = &*WORLD;
    match target {
        "snp_report" => machines(world)
            .into_iter()
            .map(|(name, e)| (name, e.report))
            .collect(),
        "snp_leaf" => machines(world)
            .into_iter()
            .map(|(name, e)| (name, e.leaf))
            .collect(),
        "evidence" => encoded([machines(world), domains(world)].concat()),
        "detect" => told(world),
        "quote" => quotes(world),
        "bare_quote" => domains(world)
            .into_iter()
            .map(|(name, e)| (name, e.report))
            .collect(),
        "pck_leaf" => domains(world)
            .into_iter()
            .map(|(name, e)| (name, e.leaf))
            .collect(),
        "tcb_info" => bodies(world, |document| match document {
            Document::TcbInfo(signed) => Some(signed.body.into_bytes()),
            _ => None,
        }),
        "qe_identity" => bodies(world, |document| match document {
            Document::QeIdentity(signed) => Some(signed.body.into_bytes()),
            _ => None,
        }),
        "revocation_list" => bodies(world, |document| match document {
            Document::IntelRootCrl(list)
            | Document::IntelPckCrl { list, .. }
            | Document::AmdCrl { list, .. } => Some(list),
            _ => None,
        }),
        "collateral_update" => encoded(documents(world)),
        "collateral" => vec![
            ("simulated".to_owned(), bytes(&world.collateral)),
            ("empty".to_owned(), bytes(&Collateral::new())),
        ],
        "collateral_file" => FILES
            .iter()
            .map(|(name, _, json)| ((*name).to_owned(), json.as_bytes().to_vec()))
            .collect(),
        "policy_borsh" => encoded(policies()),
        "policy_json" => {
            let json = |policy| serde_json::to_vec(&policy).expect("a policy has a JSON form");
            policies()
                .into_iter()
                .map(|(name, policy)| (name, json(policy)))
                .collect()
        }
        "registration" => vec![("founder".to_owned(), bytes(&founder(world, 1)))],
        "system_transaction" => transactions(world),
        "released_share" => vec![("json".to_owned(), released_share())],
        "state_file" => vec![("borsh".to_owned(), state_file(world))],
        "genesis" => {
            let genesis = genesis(world);
            vec![
                ("borsh".to_owned(), bytes(&genesis)),
                ("json".to_owned(), genesis.to_json().into_bytes()),
            ]
        }
        other => super::consensus::seeds(other)
            .or_else(|| super::sealed::seeds(other))
            .or_else(|| super::sync::seeds(other))
            .or_else(|| super::node::seeds(other))
            .unwrap_or_default(),
    }
}

pub(super) fn bytes<T: borsh::BorshSerialize>(value: &T) -> Vec<u8> {
    borsh::to_vec(value).expect("a seed encodes")
}

fn encoded<T: borsh::BorshSerialize>(list: Vec<(String, T)>) -> Vec<(String, Vec<u8>)> {
    list.into_iter()
        .map(|(name, value)| (name, bytes(&value)))
        .collect()
}

/// The simulated machines and a genuine one.
fn machines(world: &World) -> Vec<(String, Evidence)> {
    let mut list = world.machines.clone();
    let real = Evidence {
        platform: tacit_attest::Platform::SevSnp,
        report: hex::decode(MILAN_REPORT.trim()).expect("hex"),
        leaf: MILAN_LEAF.to_vec(),
    };
    list.push(("real-milan-v2".to_owned(), real));
    list
}

/// Simulated trust domains and genuine ones.
fn domains(world: &World) -> Vec<(String, Evidence)> {
    let real = FILES.iter().map(|(name, raw, _)| {
        let evidence = Evidence::from_quote(raw).expect("a genuine quote");
        (format!("real-{name}"), evidence)
    });
    world.domains.iter().cloned().chain(real).collect()
}

/// As machines give them, and whole again.
fn quotes(world: &World) -> Vec<(String, Vec<u8>)> {
    let raw = FILES
        .iter()
        .map(|(name, raw, _)| (format!("raw-{name}"), raw.to_vec()));
    let whole = domains(world);
    let whole = whole
        .into_iter()
        .map(|(name, e)| (name, e.to_quote().expect("a whole quote")));
    raw.chain(whole).collect()
}

/// For the target that tells kinds apart: the leaf's length in units of 16, what is told, the leaf.
fn told(world: &World) -> Vec<(String, Vec<u8>)> {
    let quotes = quotes(world)
        .into_iter()
        .map(|(name, quote)| (name, [vec![0], quote].concat()));
    let reports = machines(world).into_iter().map(|(name, e)| {
        let units = e.leaf.len().div_ceil(16);
        let fill = units * 16 - e.leaf.len();
        let bytes = [vec![units as u8], e.report, e.leaf, vec![0; fill]].concat();
        (name, bytes)
    });
    quotes.chain(reports).collect()
}

/// Simulated documents and Intel's own.
fn documents(world: &World) -> Vec<(String, CollateralUpdate)> {
    let authority = &world.authority;
    let mut all = authority.collateral(NOW_MS).expect("documents");
    let list = SimulatedList {
        revoked: vec![vec![1], vec![2, 3]],
        ..SimulatedList::new(NOW_MS)
    };
    all.push(authority.amd_list(Generation::Genoa, &list).expect("a list"));
    all.push(authority.pck_list(&list).expect("a list"));
    all.push(
        authority
            .tcb_info(&SimulatedTcbInfo::new(Tee::Sgx, NOW_MS))
            .expect("a TCB info"),
    );
    for (_, _, json) in FILES {
        all.extend(Collateral::from_qvl_json(json).expect("a collateral file"));
    }
    all.into_iter()
        .enumerate()
        .map(|(i, update)| (format!("document-{i:02}"), update))
        .collect()
}

fn bodies(world: &World, body: fn(Document) -> Option<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    let all = documents(world).into_iter();
    all.filter_map(|(name, update)| Some((name, body(update.document)?)))
        .collect()
}

/// One of each kind.
fn transactions(world: &World) -> Vec<(String, Vec<u8>)> {
    let signer = Ed25519Signer::from_seed([1; 32]);
    let chain = genesis(world).chain_id();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let recipients: Vec<_> = (1..=4)
        .map(|n| SealingSecret::derive(&[n; 32]).public().clone())
        .collect();
    let contribution = deal(&mut rng, &chain, 1, 0, &recipients).expect("a contribution");
    let (_, update) = documents(world).swap_remove(0);
    let target = Suspension::Platform(tacit_attest::Platform::Simulated);
    let all = [
        (
            "end",
            SystemTx::EndEpoch {
                reason: EpochReason::Genesis,
            },
        ),
        ("contribute", SystemTx::Contribute(contribution)),
        ("close", SystemTx::CloseEpoch(genesis(world).record0())),
        ("close-recoverable", SystemTx::CloseEpoch(recoverable(world))),
        ("collateral", SystemTx::Collateral(update)),
        (
            "suspend",
            SystemTx::Suspend(SuspendVote::sign(chain, 1, target, 0, &signer)),
        ),
        ("renew", SystemTx::Register(founder(world, 1))),
    ];
    all.into_iter()
        .map(|(name, tx)| (name.to_owned(), tx.encode()))
        .collect()
}

fn policies() -> Vec<(String, Policy)> {
    vec![
        ("dev".to_owned(), Policy::dev(MEASUREMENT)),
        ("production".to_owned(), Policy::production()),
    ]
}

fn founder(world: &World, n: u8) -> Registration {
    let chip = world
        .authority
        .issue_chip([n; 32], Generation::Genoa, NOW_MS)
        .expect("a chip");
    let signer = |seed| Ed25519Signer::from_seed([seed; 32]);
    Registration::make(
        &format!("node-{n}"),
        &signer(n),
        &signer(100 + n),
        SealingSecret::derive(&[50 + n; 32]).public(),
        &RegistrationPlace::founder([0x77; 32], 1),
        &SimulatedQuoter::new(chip, MEASUREMENT),
    )
    .expect("a registration")
}

pub(super) fn genesis(world: &World) -> Genesis {
    let account = AccountKey::from_seed([1; 32]).expect("an account");
    Genesis {
        version: GENESIS_VERSION,
        name: "dev-fuzz".to_owned(),
        trust: world.trust.clone(),
        nonce: [0x77; 32],
        time_ms: NOW_MS,
        params: Params::default(),
        policy: Policy::dev(MEASUREMENT),
        governance: Governance::none(),
        protocol: tacit_ledger::PROTOCOL_VERSION,
        recovery: holders(),
        origin: None,
        collateral: world.authority.collateral(NOW_MS).expect("documents"),
        validators: (1..=4).map(|n| founder(world, n)).collect(),
        allocations: vec![(account.id(), 1_000 * UNIT)],
    }
}

/// Who can bring the state back.
fn holders() -> RecoveryMembers {
    let member = |(n, name): (u8, &str)| RecoveryMember {
        name: name.to_owned(),
        key: SealingSecret::derive(&[200 + n; 32]).public().clone(),
    };
    RecoveryMembers {
        members: [(0, "ada"), (1, "ben")].into_iter().map(member).collect(),
        threshold: 2,
    }
}

/// A record that carries the members' shares.
pub(super) fn recoverable(world: &World) -> EpochRecord {
    let (chain, members) = (genesis(world).chain_id(), holders());
    let secret = EpochSecret::from_bytes([5; 32]);
    let (epoch, members) = (1, &members);
    let scope = RecoveryScope {
        chain: &chain,
        epoch,
        members,
    };
    let package = scope.package(&secret, &StateKeys::derive(&secret));
    EpochRecord {
        epoch,
        sealing_key: Some(secret.sealing().public().clone()),
        recovery: package.expect("a package"),
        ..genesis(world).record0()
    }
}

fn released_share() -> Vec<u8> {
    let (chain, members) = (Digest([1; 32]), holders());
    let secret = EpochSecret::from_bytes([5; 32]);
    let (epoch, members) = (1, &members);
    let scope = RecoveryScope {
        chain: &chain,
        epoch,
        members,
    };
    let package = scope
        .package(&secret, &StateKeys::derive(&secret))
        .expect("a package");
    let key = SealingSecret::derive(&[200; 32]);
    let share = scope.open(&package.expect("members"), &key).expect("its share");
    let founders = [SealingSecret::derive(&[51; 32]).public().clone()];
    let released = share.release(&mut ChaCha20Rng::seed_from_u64(1), &Digest([2; 32]), &founders);
    released.expect("released").to_json().into_bytes()
}

fn state_file(world: &World) -> Vec<u8> {
    let genesis = genesis(world);
    let anchor = genesis.anchor(Digest::ZERO, Digest::ZERO);
    let header = Header {
        chain: genesis.chain_id(),
        epoch: 0,
        height: 1,
        view: 1,
        parent: anchor.block,
        time_ms: NOW_MS + 1,
        payload_root: Payload::default().root(),
        executed: anchor.executed,
        next_epoch: None,
    };
    let certificate = Certificate::genesis(&anchor);
    let proof = CommitProof {
        certificate,
        path: Vec::new(),
    };
    let link = EpochLink {
        header: header.clone(),
        proof: proof.clone(),
        record: recoverable(world),
    };
    let proof = OriginProof {
        genesis,
        links: vec![link],
        header,
        proof,
    };
    StateFile::new(proof, (1, vec![7; 64]), vec![(2, vec![8; 64])]).to_bytes()
}

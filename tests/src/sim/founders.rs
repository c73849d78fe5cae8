//! The founders and the genesis that they sign. RSA keys are slow to make, so this is done once.

use std::sync::{Arc, LazyLock, Once};

use tacit_attest::{
    Generation, Measurement, NetworkClass, Policy, SimulatedQuoter, SimulatorAuthority, TrustRoots,
};
use tacit_consensus::{Digest, Ed25519Signer, Signer};
use tacit_ledger::{
    AccountId, AccountKey, EvidenceVerdicts, GENESIS_VERSION, Genesis, Governance, GovernanceMember,
    Operator, PROTOCOL_VERSION, Params, Registration, RegistrationPlace, RegistrationTerms, SealingPublic,
    SealingSecret, UNIT,
};
use tacit_node::{
    keyring::{IdentitySeeds, Keyring},
    replica::{NodeKey, ValidatorParts},
};

use super::{toy, vault::MemoryVault};

/// Genesis time.
pub const TIME: u64 = 1_790_000_000_000;
/// Sum of the allocations.
pub const SUPPLY: u128 = 1_500 * UNIT;
const MEASUREMENT: Measurement = Measurement([0x11; 48]);
const NONCE: [u8; 32] = [0x77; 32];
/// The largest network that can be founded here.
const FOUNDERS: u8 = 7;
/// How long a policy waits that admits more.
pub const LOOSENING_DELAY_MS: u64 = 60_000;

static REGISTRATIONS: LazyLock<(SimulatorAuthority, Vec<Registration>)> = LazyLock::new(|| {
    let authority = SimulatorAuthority::generate([1; 32], TIME).expect("an authority");
    let place = RegistrationPlace::founder(NONCE, 1);
    let registrations = (0..FOUNDERS)
        .map(|n| register(&authority, n, &first_kem(n), &place, PROTOCOL_VERSION))
        .collect();
    (authority, registrations)
});

/// What all replicas of this process remember of evidence: looking at it costs more than a minute of an idle network.
pub(super) static VERDICTS: LazyLock<EvidenceVerdicts> = LazyLock::new(EvidenceVerdicts::default);

/// Fresh evidence of validator `n`'s machine for a KEM key, bound to a later place.
pub fn renewal(n: u8, kem: &SealingPublic, place: &RegistrationPlace) -> Registration {
    renewal_of(n, kem, place, PROTOCOL_VERSION)
}

/// The same by a build that speaks the protocol up to this version.
pub fn renewal_of(n: u8, kem: &SealingPublic, place: &RegistrationPlace, protocol: u16) -> Registration {
    register(&REGISTRATIONS.0, n, kem, place, protocol)
}

/// A registration of `val-{name}`, whose machine has the chip and whose operator the key of that number, by the keys of
/// `identity`.
pub fn registration(
    name: usize,
    identity: usize,
    kem: &SealingPublic,
    place: &RegistrationPlace,
) -> Registration {
    let chip = [u8::try_from(name).expect("few"); 32];
    let chip = REGISTRATIONS.0.issue_chip(chip, Generation::Genoa, TIME);
    let quoter = SimulatedQuoter::new(chip.expect("a chip"), MEASUREMENT);
    let (consensus, node) = (consensus_signer(identity), node_signer(identity));
    let terms = RegistrationTerms {
        name: &format!("val-{name}"),
        operator: Operator::Signs(&node_signer(name)),
        protocol: PROTOCOL_VERSION,
    };
    Registration::make_for(&terms, &consensus, &node, kem, place, &quoter).expect("a registration")
}

/// The secret half of [`first_kem`].
pub fn first_kem_secret(n: usize) -> SealingSecret {
    SealingSecret::derive(&kem_seed(n))
}

/// The KEM key with which validator `n` was founded.
pub fn first_kem(n: u8) -> SealingPublic {
    SealingSecret::derive(&kem_seed(n.into())).public().clone()
}

fn register(
    authority: &SimulatorAuthority,
    n: u8,
    kem: &SealingPublic,
    place: &RegistrationPlace,
    protocol: u16,
) -> Registration {
    let chip = authority
        .issue_chip([n; 32], Generation::Genoa, TIME)
        .expect("a chip");
    let node = node_signer(n.into());
    let terms = RegistrationTerms {
        name: &format!("val-{n}"),
        operator: Operator::Signs(&node),
        protocol,
    };
    Registration::make_for(
        &terms,
        &consensus_signer(n.into()),
        &node,
        kem,
        place,
        &SimulatedQuoter::new(chip, MEASUREMENT),
    )
    .expect("a registration")
}

/// A network of four with these constants. Alice has 1000 tokens, Bob 500.
pub fn genesis(params: Params) -> Arc<Genesis> {
    Arc::new(founded(params, 4))
}

fn founded(params: Params, founders: usize) -> Genesis {
    let (authority, registrations) = &*REGISTRATIONS;
    let genesis = Genesis {
        version: GENESIS_VERSION,
        name: "dev-replica".into(),
        trust: TrustRoots {
            class: NetworkClass::Dev,
            simulator: Some(authority.root()),
        },
        nonce: NONCE,
        time_ms: TIME,
        params,
        policy: policy(),
        governance: Governance {
            members: ["ada", "ben", "cem"]
                .into_iter()
                .zip(0..)
                .map(|(name, n)| GovernanceMember {
                    name: name.into(),
                    account: member(n).id(),
                })
                .collect(),
            threshold: 2,
        },
        protocol: tacit_ledger::PROTOCOL_VERSION,
        recovery: tacit_ledger::RecoveryMembers::none(),
        origin: None,
        collateral: Vec::new(),
        validators: registrations[..founders].to_vec(),
        allocations: vec![(alice().id(), 1_000 * UNIT), (bob().id(), 500 * UNIT)],
    };
    genesis.params.check().expect("constants within their ranges");
    // Nothing else that the caller chooses enters the evidence: each size is looked at once.
    static HOLDS: [Once; FOUNDERS as usize + 1] = [const { Once::new() }; FOUNDERS as usize + 1];
    HOLDS[founders].call_once(|| drop(genesis.verify().expect("a genesis that holds")));
    genesis
}

/// The same of so many founders, up to seven, with so many accounts more, of one unit each: a state of some size. They are
/// nobody's.
pub fn genesis_of(params: Params, founders: usize, accounts: u32) -> Arc<Genesis> {
    let mut genesis = founded(params, founders);
    let account = |n: u32| AccountId(*blake3::hash(&n.to_le_bytes()).as_bytes());
    genesis.allocations.extend((0..accounts).map(|n| (account(n), 1)));
    Arc::new(genesis)
}

/// Alice's key, who has 1000 tokens.
pub fn alice() -> AccountKey {
    account(1)
}

/// Bob's key, who has 500.
pub fn bob() -> AccountKey {
    account(2)
}

/// A member's key by its number. Members are public, so they are nobody who has secrets in these stories.
pub fn member(n: u8) -> AccountKey {
    account(200 + n)
}

/// The policy of genesis: one build on simulated Genoa machines, an hour's delay before more is admitted.
pub fn policy() -> Policy {
    Policy {
        loosening_delay_ms: LOOSENING_DELAY_MS,
        ..Policy::dev(MEASUREMENT)
    }
}

/// The account key of this number.
pub fn account(n: u8) -> AccountKey {
    AccountKey::from_seed([n; 32]).expect("a key")
}

fn seeds(n: usize) -> IdentitySeeds {
    let n = u8::try_from(n).expect("few nodes");
    IdentitySeeds {
        consensus: [10 + n; 32],
        node: [40 + n; 32],
    }
}

fn kem_seed(n: usize) -> [u8; 32] {
    [70 + u8::try_from(n).expect("few nodes"); 32]
}

/// The key with which validator `n` votes: crooked stories sign with it too.
pub fn consensus_signer(n: usize) -> Ed25519Signer {
    Ed25519Signer::from_seed(seeds(n).consensus)
}

/// The key with which node `n` signs batches.
pub fn node_signer(n: usize) -> Ed25519Signer {
    Ed25519Signer::from_seed(seeds(n).node)
}

/// Node `n`'s name in the network.
pub fn node_key(n: usize) -> NodeKey {
    match NODE_KEYS.get(n) {
        Some(key) => *key,
        None => node_signer(n).public().0,
    }
}

/// The first nodes' names: every packet asks for one, and making it from the secret costs a multiplication on the curve.
static NODE_KEYS: LazyLock<Vec<NodeKey>> =
    LazyLock::new(|| (0..16).map(|n| node_signer(n).public().0).collect());

/// Validator `n`'s secrets: new, or as its vault kept them; with real or toy signatures.
pub fn parts(n: usize, vault: &MemoryVault, real: bool) -> ValidatorParts {
    let kept = vault.plaintext();
    let boxed = Box::new(vault.clone());
    let keyring = if kept.is_empty() {
        Keyring::create(seeds(n), &kem_seed(n), boxed)
    } else {
        Keyring::restore(&kept, boxed)
    };
    ValidatorParts {
        keyring: keyring.expect("a keyring"),
        signer: toy::signer(real, consensus_signer(n)),
        node_signer: Arc::new(node_signer(n)),
    }
}

/// A digest that is nothing's.
pub const NOTHING: Digest = Digest([0xee; 32]);

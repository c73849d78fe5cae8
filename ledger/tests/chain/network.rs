//! A simulated network of four founders, whose blocks are headers signed by whoever the test says.

use std::sync::LazyLock;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tacit_attest::{
    Generation, Measurement, NetworkClass, Policy, SimulatedChip, SimulatedQuoter, SimulatorAuthority,
    TrustRoots,
};
use tacit_consensus::{
    Certificate, CommitProof, Digest, Ed25519Signer, Executed, Header, Phase, Signature, Signer, Signers,
    Vote,
};
use tacit_ledger::*;

/// Genesis time.
pub(crate) const TIME: u64 = 1_790_000_000_000;
/// What the founders run.
pub(crate) const MEASUREMENT: Measurement = Measurement([0x11; 48]);
/// What the founders' evidence is bound to.
pub(crate) const NONCE: [u8; 32] = [0x77; 32];

pub(crate) static AUTHORITY: LazyLock<SimulatorAuthority> =
    LazyLock::new(|| SimulatorAuthority::generate([1; 32], TIME).unwrap());
static NETWORK: LazyLock<Network> = LazyLock::new(Network::build);

/// The network and its secrets.
pub(crate) struct Network {
    pub(crate) genesis: Genesis,
    pub(crate) chain: Digest,
    /// The first epoch with a key, and the closing header that leads to it.
    pub(crate) link: EpochLink,
    pub(crate) kems: Vec<SealingSecret>,
    pub(crate) secret: EpochSecret,
}

pub(crate) fn network() -> &'static Network {
    &NETWORK
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn account(n: u8) -> AccountKey {
    AccountKey::from_seed([n; 32]).ok().unwrap()
}

pub(crate) fn consensus_key(n: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed([n; 32])
}

pub(crate) fn node_key(n: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed([100 + n; 32])
}

pub(crate) fn kem(n: u8) -> SealingSecret {
    SealingSecret::derive(&[50 + n; 32])
}

pub(crate) fn chip(n: u8) -> SimulatedChip {
    AUTHORITY.issue_chip([n; 32], Generation::Genoa, TIME).unwrap()
}

/// A registration by validator `n`'s keys on chip `on`, running `measurement`.
pub(crate) fn register(n: u8, on: u8, measurement: Measurement, place: &RegistrationPlace) -> Registration {
    let quoter = SimulatedQuoter::new(chip(on), measurement);
    let name = format!("node-{n}");
    Registration::make(
        &name,
        &consensus_key(n),
        &node_key(n),
        kem(n).public(),
        place,
        &quoter,
    )
    .unwrap()
}

pub(crate) fn founder(n: u8) -> Registration {
    register(n, n, MEASUREMENT, &RegistrationPlace::founder(NONCE, 1))
}

/// A header that the whole set of its epoch would sign.
pub(crate) fn header(epoch: u64, height: u64, executed: Executed) -> Header {
    Header {
        chain: network_chain(),
        epoch,
        height,
        view: height,
        parent: Digest([height as u8; 32]),
        time_ms: TIME + 1_000 * height,
        payload_root: Digest::ZERO,
        executed,
        next_epoch: None,
    }
}

fn network_chain() -> Digest {
    GENESIS.chain_id()
}

/// A finalize certificate for `header` by validators `signers`.
pub(crate) fn commit(header: &Header, signers: &[u8]) -> CommitProof {
    let (epoch, view, height, block) = (header.epoch, header.view, header.height, header.id());
    let phase = Phase::Finalize;
    let vote = Vote {
        epoch,
        view,
        height,
        block,
        phase,
        voter: 0,
        signature: Signature([0; 64]),
    };
    let message = vote.message(&header.chain);
    let signatures = signers
        .iter()
        .map(|n| consensus_key(*n).sign(&message.0))
        .collect();
    let signers = Signers::new(4, signers.iter().map(|n| u16::from(*n)));
    CommitProof {
        certificate: Certificate {
            epoch,
            view,
            height,
            block,
            phase,
            signers,
            signatures,
        },
        path: vec![],
    }
}

static GENESIS: LazyLock<Genesis> = LazyLock::new(|| Genesis {
    version: GENESIS_VERSION,
    name: "dev-stories".to_owned(),
    trust: TrustRoots {
        class: NetworkClass::Dev,
        simulator: Some(AUTHORITY.root()),
    },
    nonce: NONCE,
    time_ms: TIME,
    params: Params::default(),
    policy: Policy::dev(MEASUREMENT),
    governance: Governance::none(),
    protocol: tacit_ledger::PROTOCOL_VERSION,
    recovery: tacit_ledger::RecoveryMembers::none(),
    origin: None,
    collateral: Vec::new(),
    validators: (0..4).map(founder).collect(),
    allocations: vec![(account(1).id(), 1_000 * UNIT), (account(2).id(), 5 * UNIT)],
});

impl Network {
    fn build() -> Self {
        let genesis = GENESIS.clone();
        let chain = genesis.chain_id();
        let record = genesis.record0();
        let kems: Vec<_> = (0..4).map(kem).collect();
        let contributions: Vec<_> = (0..2u16)
            .map(|dealer| deal(&mut rng(9), &chain, 1, dealer, &record.kem_keys()).unwrap())
            .collect();
        let open = |c: &Contribution| (c.clone(), open_share(&kems[3], &chain, c, 3).ok().unwrap());
        let secret = EpochSecret::combine(&chain, 1, &contributions.iter().map(open).collect::<Vec<_>>());
        let mut closing = header(0, 3, Executed::default());
        let record = EpochRecord {
            epoch: 1,
            start_height: 4,
            start_ms: closing.time_ms,
            sealing_key: Some(secret.sealing().public().clone()),
            reason: EpochReason::Schedule,
            transcript: transcript(&contributions),
            ..record
        };
        closing.next_epoch = Some(record.digest());
        let proof = commit(&closing, &[0, 1, 2]);
        Self {
            genesis,
            chain,
            link: EpochLink {
                header: closing,
                proof,
                record,
            },
            kems,
            secret,
        }
    }
}

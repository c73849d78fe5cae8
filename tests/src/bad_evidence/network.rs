//! A network of four in the ledger's own state, whose blocks nobody had to agree on: three simulated SNP machines and one
//! of trust domains.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tacit_attest::{
    ChipId, Evidence, Generation, Measurement, Platform, QuoteError, Quoter, Suspension, Vendor,
};
use tacit_consensus::{
    Anchor, Block, Certificate, Digest, Ed25519Signer, EquivocationProof, Executed, Header, Payload, Phase,
    Signature, Signer, Vote,
};
use tacit_ledger::{
    Contribution, EpochKeys, EpochReason, GENESIS_VERSION, Genesis, Governance, LeaveRequest, Params,
    PublicState, Registration, RegistrationPlace, SealingPublic, SealingSecret, SuspendVote, SystemTx,
    WRAPPED_STATE_KEYS_BYTES, deal,
};
use zeroize::Zeroizing;

use super::snp::SnpDraft;
use super::td::{Layout, TdDraft};
use super::workshop::{MEASUREMENT, NOW_MS, Workshop};

/// Validators.
const SEATS: u8 = 4;
/// The one on a machine for trust domains.
pub(super) const TD_SEAT: u8 = 3;
/// Founders' evidence is bound to it.
const NONCE: [u8; 32] = [0x77; 32];
/// How old, in blocks, what a renewal is bound to may be.
pub(super) const BLOCK_AGE_MAX: u64 = 4;
/// Blocks after the turn into the first epoch with a key.
const BLOCKS: u64 = 7;

/// A platform that gives the one answer it has.
struct Answer(Evidence);

impl Quoter for Answer {
    fn platform(&self) -> Platform {
        self.0.platform
    }

    fn quote(&self, _: [u8; 64]) -> Result<Evidence, QuoteError> {
        Ok(self.0.clone())
    }

    fn sealing_key(&self, _: &[u8]) -> Result<Zeroizing<[u8; 32]>, QuoteError> {
        Ok(Zeroizing::new([0; 32]))
    }

    fn measurement(&self) -> Option<Measurement> {
        Some(MEASUREMENT)
    }
}

/// Whose registration it is.
pub(super) struct Holder {
    pub(super) name: String,
    pub(super) consensus: Ed25519Signer,
    pub(super) node: Ed25519Signer,
    pub(super) kem: SealingPublic,
}

impl Holder {
    /// The holder of a seat.
    pub(super) fn of(seat: u8) -> Self {
        Self {
            name: format!("v{seat}"),
            consensus: consensus_key(seat),
            node: node_key(seat),
            kem: kem(seat),
        }
    }

    /// A registration with whatever evidence is made of the report data that it needs.
    pub(super) fn register(
        &self,
        place: &RegistrationPlace,
        evidence: impl FnOnce([u8; 64]) -> Evidence,
    ) -> Registration {
        let with = |evidence| {
            let quoter = Answer(evidence);
            Registration::make(&self.name, &self.consensus, &self.node, &self.kem, place, &quoter)
                .expect("an answer is there")
        };
        let nothing = Evidence {
            platform: Platform::Simulated,
            report: Vec::new(),
            leaf: Vec::new(),
        };
        with(evidence(with(nothing).binding().report_data()))
    }
}

/// The SNP machine of a seat, honest until `change`.
pub(super) fn snp(
    shop: &Workshop,
    seat: u8,
    report_data: [u8; 64],
    change: impl FnOnce(&mut SnpDraft<'_>),
) -> Evidence {
    let mut draft = SnpDraft::honest(shop, Generation::Genoa, 3);
    let chip = shop.chip(100 + seat, Generation::Genoa);
    draft.report = chip.chip.report(3, MEASUREMENT, report_data);
    draft.leaf = super::workshop::parse(chip.chip.leaf()).tbs_certificate;
    draft.chip = chip;
    change(&mut draft);
    draft.finish().evidence
}

/// The trust domain, honest until `change`.
pub(super) fn td(shop: &Workshop, report_data: [u8; 64], change: impl FnOnce(&mut TdDraft<'_>)) -> Evidence {
    let mut draft = TdDraft::honest(shop, Layout::V5);
    draft.body().report_data = report_data;
    change(&mut draft);
    draft.finish().evidence
}

fn honest(shop: &Workshop, seat: u8, report_data: [u8; 64]) -> Evidence {
    if seat == TD_SEAT {
        td(shop, report_data, |_| ())
    } else {
        snp(shop, seat, report_data, |_| ())
    }
}

pub(super) fn consensus_key(seat: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed([seat; 32])
}

pub(super) fn node_key(seat: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed([100 + seat; 32])
}

pub(super) fn kem(seat: u8) -> SealingPublic {
    SealingSecret::derive(&[50 + seat; 32]).public().clone()
}

/// Public keys of an epoch that nobody can open anything with.
fn keys(n: u8) -> EpochKeys {
    EpochKeys {
        sealing_key: kem(n),
        state_keys: vec![n; WRAPPED_STATE_KEYS_BYTES],
        recovery: None,
    }
}

/// A registration of a seat by its own keys and an honest machine.
fn register(shop: &Workshop, seat: u8, place: &RegistrationPlace) -> Registration {
    Holder::of(seat).register(place, |report_data| honest(shop, seat, report_data))
}

fn genesis(shop: &Workshop) -> Genesis {
    let mut policy = shop.policy();
    policy.block_age_max = BLOCK_AGE_MAX;
    let place = RegistrationPlace::founder(NONCE, policy.version);
    Genesis {
        version: GENESIS_VERSION,
        name: "dev-bad-evidence".to_owned(),
        trust: shop.trust(),
        nonce: NONCE,
        time_ms: NOW_MS,
        params: Params::default(),
        policy,
        governance: Governance::none(),
        protocol: tacit_ledger::PROTOCOL_VERSION,
        recovery: tacit_ledger::RecoveryMembers::none(),
        origin: None,
        collateral: shop.authority().collateral(NOW_MS).expect("documents"),
        validators: (0..SEATS).map(|seat| register(shop, seat, &place)).collect(),
        allocations: Vec::new(),
    }
}

/// A public state and the blocks that lead on from it.
pub(super) struct Network<'w> {
    shop: &'w Workshop,
    /// The ledger's state, in the first epoch with a key.
    pub(super) state: PublicState,
    /// The time of the next block.
    pub(super) time_ms: u64,
    blocks: Vec<Digest>,
}

impl<'w> Network<'w> {
    /// Founded, keyed, and some blocks on.
    pub(super) fn new(shop: &'w Workshop) -> Self {
        let genesis = genesis(shop);
        genesis.verify().expect("an honest genesis");
        let mut network = Self {
            shop,
            state: PublicState::genesis(&genesis),
            time_ms: NOW_MS + 1,
            blocks: vec![genesis.chain_id()],
        };
        network.turn(EpochReason::Genesis);
        for _ in 0..BLOCKS {
            network.block(Vec::new());
        }
        network
    }

    /// The next block carries `system`, and counts.
    pub(super) fn block(&mut self, system: Vec<SystemTx>) {
        let next_epoch = system.iter().find_map(|tx| match tx {
            SystemTx::CloseEpoch(record) => Some(record.digest()),
            _ => None,
        });
        let (state, payload) = (
            &self.state,
            Payload {
                batches: Vec::new(),
                system: system.iter().map(SystemTx::encode).collect(),
            },
        );
        let dealer = system.iter().find_map(|tx| match tx {
            SystemTx::Contribute(own) => Some(u64::from(own.dealer)),
            _ => None,
        });
        let (n, epoch) = (state.committee().n() as u64, state.current().epoch);
        let header = Header {
            chain: *state.chain(),
            epoch,
            height: state.height() + 1,
            view: dealer.unwrap_or_default() + 2 * n - epoch % n,
            parent: Digest::ZERO,
            time_ms: self.time_ms,
            payload_root: payload.root(),
            executed: Executed {
                height: state.height(),
                ..Executed::default()
            },
            next_epoch,
        };
        let anchor = Anchor {
            epoch,
            block: *state.chain(),
            height: 0,
            time_ms: 0,
            executed: Executed::default(),
        };
        let block = Block {
            header,
            payload,
            justify: Certificate::genesis(&anchor),
            timeout: None,
            commit: None,
            signature: Signature([0; 64]),
        };
        self.blocks.push(block.header.id());
        self.state.apply(&block).expect("a good block");
        self.time_ms += 1;
    }

    /// The epoch ends, in as many blocks as the next set needs dealers.
    pub(super) fn turn(&mut self, reason: EpochReason) {
        let mut first = vec![SystemTx::EndEpoch { reason }];
        for dealer in 0.. {
            let own = self.contribution(dealer);
            let record = self.state.next_record(self.time_ms, &own, &keys(99));
            let mut system = core::mem::take(&mut first);
            system.push(SystemTx::Contribute(own));
            let closes = record.is_some();
            system.extend(record.map(SystemTx::CloseEpoch));
            self.block(system);
            if closes {
                break;
            }
        }
    }

    fn contribution(&self, dealer: u16) -> Contribution {
        let seats = self.state.next_validators(self.time_ms);
        let recipients: Vec<_> = seats.iter().map(|seat| seat.kem_key.clone()).collect();
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(dealer));
        let epoch = self.state.current().epoch + 1;
        deal(&mut rng, self.state.chain(), epoch, dealer, &recipients).expect("a contribution")
    }

    /// Where a renewal is made that is bound to the block at `height`.
    pub(super) fn place(&self, height: u64) -> RegistrationPlace {
        let block = usize::try_from(height)
            .ok()
            .and_then(|height| self.blocks.get(height));
        RegistrationPlace {
            network: *self.state.chain(),
            height,
            block: block.copied().unwrap_or(Digest::ZERO),
            policy_version: self.state.policy().version,
        }
    }

    /// Where an honest renewal is made now.
    pub(super) fn newest(&self) -> RegistrationPlace {
        self.place(self.state.height())
    }

    /// A renewal of a seat by its keys and an honest machine.
    pub(super) fn renewal(&self, seat: u8, place: &RegistrationPlace) -> Registration {
        register(self.shop, seat, place)
    }

    /// Two votes of a seat for one view.
    pub(super) fn contradiction(&self, seat: u8) -> EquivocationProof {
        let [first, second] = [1, 2].map(|block| {
            let mut vote = Vote {
                epoch: self.state.current().epoch,
                view: 3,
                height: 3,
                block: Digest([block; 32]),
                phase: Phase::Certify,
                voter: seat.into(),
                signature: Signature([0; 64]),
            };
            vote.signature = consensus_key(seat).sign(&vote.message(self.state.chain()).0);
            vote
        });
        EquivocationProof::Votes { first, second }
    }

    /// A validator leaves: its operator's request, and the turn that it causes.
    pub(super) fn leave(&mut self, seat: u8) {
        let held = self.state.registration(&format!("v{seat}")).expect("a founder");
        let request = LeaveRequest::sign(*self.state.chain(), held, &node_key(seat));
        self.block(vec![SystemTx::Leave(request)]);
        self.time_ms += self.state.params().epoch_ms_min;
        self.turn(EpochReason::Membership);
    }

    /// The network drops a chip: votes of a quorum, and the turn that they cause.
    pub(super) fn suspend(&mut self, chip: ChipId) {
        let target = Suspension::Chip {
            vendor: Vendor::Amd,
            chip,
        };
        let (chain, epoch) = (*self.state.chain(), self.state.current().epoch);
        let votes = (0..3).map(|seat: u8| {
            let vote = SuspendVote::sign(chain, epoch, target, u16::from(seat), &node_key(seat));
            SystemTx::Suspend(vote)
        });
        self.block(votes.collect());
        self.turn(EpochReason::Suspension);
    }
}

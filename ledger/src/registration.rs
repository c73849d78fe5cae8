//! A registration: a validator's keys, the evidence that they live in a TEE, and their signatures.
//!
//! The report data binds the keys, the network and a recent block; both Ed25519 keys sign the whole, so that
//! nobody registers another's key. Evidence bytes are malleable and never an identity: the digest here only
//! pins which bytes the ledger keeps.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use tacit_attest::{Binding, Collateral, Evidence, Policy, QuoteError, Quoter, TrustRoots, Verified};
use tacit_consensus::{Digest, Ed25519, Height, Millis, PublicKey, Scheme, Signature, Signer, hash};

use crate::{
    codec::{decode, encode},
    envelope::SUITE_XWING,
    error::{CodecError, RegistrationError},
    limits::{MAX_NAME, MAX_REGISTRATION_BYTES},
    sealing::SealingPublic,
};

/// The newest version of the protocol that this release speaks: of the rules by which blocks are made, judged and
/// executed. A network changes it by its members, from an epoch on.
pub const PROTOCOL_VERSION: u16 = 1;

/// One validator's entry in the registry.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// 1 to 32 of `a-z 0-9 -`, unique in the registry.
    pub name: String,
    /// Signs votes and proposals.
    pub consensus_key: PublicKey,
    /// The libp2p identity; signs batches.
    pub node_key: PublicKey,
    /// Receives shares and queries.
    pub kem_key: SealingPublic,
    /// Shows that the keys live in an accepted TEE.
    pub evidence: Evidence,
    /// The genesis nonce for a founder, the chain id for everybody later.
    pub network: Digest,
    /// Height of a recent block; 0 for a founder.
    pub height: Height,
    /// That block's id; zero for a founder.
    pub block: Digest,
    /// The policy it was made under.
    pub policy_version: u64,
    /// The newest version of the protocol that the validator's build speaks.
    pub protocol: u16,
    /// Ed25519, held outside the TEE: may register this name again with other keys, and take it off the network.
    pub operator_key: PublicKey,
    /// By the consensus key over [`Self::message`].
    pub consensus_signature: Signature,
    /// By the node key over [`Self::message`].
    pub node_signature: Signature,
    /// By the operator key over [`Self::message`]. A renewal by the registered keys can do without.
    pub operator_signature: Option<Signature>,
}

/// Who answers for a validator's name outside its TEE.
#[derive(Clone, Copy)]
pub enum Operator<'a> {
    /// Its key is at hand and signs.
    Signs(&'a dyn Signer),
    /// It has signed before: only its key is named.
    Named(PublicKey),
}

impl Operator<'_> {
    /// Its key.
    pub fn key(&self) -> PublicKey {
        match self {
            Self::Signs(signer) => signer.public(),
            Self::Named(key) => *key,
        }
    }
}

/// What a registration says besides keys and place.
#[derive(Clone, Copy)]
pub struct RegistrationTerms<'a> {
    /// The registry's name.
    pub name: &'a str,
    /// Who answers for it.
    pub operator: Operator<'a>,
    /// The newest version of the protocol that the build speaks.
    pub protocol: u16,
}

/// Where and when a registration is made: what its evidence is bound to besides the keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegistrationPlace {
    /// The genesis nonce for a founder, the chain id for everybody later.
    pub network: Digest,
    /// Height of a recent block; 0 for a founder.
    pub height: Height,
    /// That block's id; zero for a founder.
    pub block: Digest,
    /// The policy it is made under.
    pub policy_version: u64,
}

impl RegistrationPlace {
    /// A founder's place: bound to the genesis nonce, before any block exists.
    pub fn founder(nonce: [u8; 32], policy_version: u64) -> Self {
        Self {
            network: Digest(nonce),
            height: 0,
            block: Digest::ZERO,
            policy_version,
        }
    }
}

impl Registration {
    /// As [`Self::make_for`], for a machine that answers for itself: its node key is its operator's.
    pub fn make(
        name: &str,
        consensus: &dyn Signer,
        node: &dyn Signer,
        kem_key: &SealingPublic,
        place: &RegistrationPlace,
        quoter: &dyn Quoter,
    ) -> Result<Self, QuoteError> {
        let terms = RegistrationTerms {
            name,
            operator: Operator::Signs(node),
            protocol: PROTOCOL_VERSION,
        };
        Self::make_for(&terms, consensus, node, kem_key, place, quoter)
    }

    /// Asks the platform for evidence over the keys and signs the whole with both keys, and with the operator's where it
    /// is at hand. The one failure is the platform's.
    pub fn make_for(
        terms: &RegistrationTerms<'_>,
        consensus: &dyn Signer,
        node: &dyn Signer,
        kem_key: &SealingPublic,
        place: &RegistrationPlace,
        quoter: &dyn Quoter,
    ) -> Result<Self, QuoteError> {
        let (consensus_key, node_key) = (consensus.public(), node.public());
        let binding = bind(&consensus_key, &node_key, kem_key, place);
        let evidence = quoter.quote(binding.report_data())?;
        let mut registration = Self {
            name: terms.name.to_owned(),
            consensus_key,
            node_key,
            kem_key: kem_key.clone(),
            evidence,
            network: place.network,
            height: place.height,
            block: place.block,
            policy_version: place.policy_version,
            protocol: terms.protocol,
            operator_key: terms.operator.key(),
            consensus_signature: Signature([0; 64]),
            node_signature: Signature([0; 64]),
            operator_signature: None,
        };
        let message = registration.message();
        registration.consensus_signature = consensus.sign(&message.0);
        registration.node_signature = node.sign(&message.0);
        if let Operator::Signs(operator) = terms.operator {
            registration.operator_signature = Some(operator.sign(&message.0));
        }
        Ok(registration)
    }

    /// Decodes one registration of at most [`MAX_REGISTRATION_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_REGISTRATION_BYTES)
    }

    /// What the evidence must be bound to.
    pub fn binding(&self) -> Binding {
        bind(&self.consensus_key, &self.node_key, &self.kem_key, &self.place())
    }

    /// Where and when it was made.
    pub fn place(&self) -> RegistrationPlace {
        let Self {
            network,
            height,
            block,
            policy_version,
            ..
        } = self;
        RegistrationPlace {
            network: *network,
            height: *height,
            block: *block,
            policy_version: *policy_version,
        }
    }

    /// What all three keys sign: a hash of everything but the signatures.
    pub fn message(&self) -> Digest {
        let keys = (&self.name, &self.consensus_key, &self.node_key, &self.kem_key);
        let place = (&self.network, self.height, &self.block, self.policy_version);
        let terms = (self.protocol, &self.operator_key);
        hash("registration", &[&encode(&(keys, &self.evidence, place, terms))])
    }

    /// Pins the whole, signatures and evidence bytes included, for epoch records.
    pub fn digest(&self) -> Digest {
        hash("registration record", &[&encode(self)])
    }

    /// Checks everything that does not need the ledger: name, keys, signatures, and the evidence by `policy` with
    /// `collateral` at `now_ms` with this registration's own binding. Whether network and block are right is the caller's
    /// knowledge.
    pub fn verify(
        &self,
        trust: &TrustRoots,
        collateral: &Collateral,
        policy: &Policy,
        now_ms: Millis,
    ) -> Result<Verified, RegistrationError> {
        if !is_name(&self.name, 1) {
            return Err(RegistrationError::Name);
        }
        if self.consensus_key == self.node_key {
            return Err(RegistrationError::SameKey);
        }
        self.kem_key.check().map_err(RegistrationError::KemKey)?;
        let message = self.message();
        if !Ed25519.verify(&self.consensus_key, &message.0, &self.consensus_signature) {
            return Err(RegistrationError::ConsensusSignature);
        }
        if !Ed25519.verify(&self.node_key, &message.0, &self.node_signature) {
            return Err(RegistrationError::NodeSignature);
        }
        let operator = self.operator_signature.as_ref();
        if operator.is_some_and(|signature| !Ed25519.verify(&self.operator_key, &message.0, signature)) {
            return Err(RegistrationError::OperatorSignature);
        }
        let binding = self.binding();
        Ok(tacit_attest::verify(
            &self.evidence,
            trust,
            collateral,
            Some(policy),
            Some(&binding),
            now_ms,
        )?)
    }
}

/// An operator's wish to have its validator out of the set from the next epoch on.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaveRequest {
    /// The network.
    pub chain: Digest,
    /// The validator's name.
    pub name: String,
    /// [`Registration::digest`] of what the registry holds: a request does not outlive it.
    pub registration: Digest,
    /// By the operator key over [`Self::message`].
    pub signature: Signature,
}

impl LeaveRequest {
    /// Makes and signs one with the operator's key.
    pub fn sign(chain: Digest, held: &Registration, operator: &dyn Signer) -> Self {
        let mut request = Self {
            chain,
            name: held.name.clone(),
            registration: held.digest(),
            signature: Signature([0; 64]),
        };
        request.signature = operator.sign(&request.message().0);
        request
    }

    /// What the operator key signs.
    pub fn message(&self) -> Digest {
        hash(
            "leave",
            &[&self.chain.0, &encode(&(&self.name, &self.registration))],
        )
    }

    /// Whether the operator's key signed it.
    pub fn is_signed_by(&self, operator_key: &PublicKey) -> bool {
        Ed25519.verify(operator_key, &self.message().0, &self.signature)
    }
}

fn bind(
    consensus: &PublicKey,
    node: &PublicKey,
    kem_key: &SealingPublic,
    place: &RegistrationPlace,
) -> Binding {
    Binding {
        network: place.network.0,
        consensus_key: consensus.0,
        node_key: node.0,
        // The suite stands before the key, so that a later suite's key of the same bytes is another binding.
        kem_key: [&[SUITE_XWING], &kem_key.0[..]].concat(),
        height: place.height,
        block: place.block.0,
        policy_version: place.policy_version,
    }
}

/// Whether `name` has `min` to [`MAX_NAME`] characters of `a-z 0-9 -`.
pub(crate) fn is_name(name: &str, min: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (min..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

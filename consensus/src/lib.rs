//! The HotStuff core of Tacit: two phases, broadcast votes, as a pure state machine.
//!
//! ```text
//!   Input  --->  Core::step(now, input)  --->  Vec<Effect>
//! ```
//! Promise: with at most f of n >= 3f + 1 validators faulty in any way, no two honest cores commit different
//! blocks at one height; and once messages arrive in time, blocks commit. `docs/protocol.md` states the rules
//! R1 to R16 with the argument; the code names them where it applies them.
//!
//! The core reads no clock, does no I/O, draws no randomness and holds no key that opens anything: time and
//! answers are arguments. What the host owes it: carry out the effects in order, and make a
//! [`Effect::Persist`] durable before any effect after it, of this step or a later one.
//!
//! Departures from HotStuff-2 (Malkhi and Nayak, 2023): votes go to everybody, so progress never needs two good
//! leaders in a row; a leader never waits, because timeouts carry the highest certificates (as in Jolteon).

mod block;
mod certificate;
mod committee;
mod core;
mod crypto;
mod effect;
mod error;
mod evidence;
mod input;
pub mod limits;
mod message;
mod pacemaker;
#[doc(hidden)]
pub mod planted;
mod reputation;
mod safety;
mod standing;
pub mod trace;
mod tree;
mod types;
mod vote;
mod votes;

pub use crate::block::{Anchor, Block, Content, Header, Payload, SignedHeader};
pub use crate::certificate::{Certificate, CommitProof, Signers, TimeoutCertificate, TimeoutEntry};
pub use crate::committee::Committee;
pub use crate::core::{Core, Held, Status};
pub use crate::crypto::{Ed25519, Ed25519Signer, Scheme, Signer};
pub use crate::effect::Effect;
pub use crate::error::{
    CertificateError, DecodeError, EvidenceError, Fault, ProofError, Refusal, StandingError,
};
pub use crate::evidence::EquivocationProof;
pub use crate::input::Input;
pub use crate::limits::{
    MAX_BATCHES_PER_BLOCK, MAX_COMMIT_PATH, MAX_MESSAGE_BYTES, MAX_SYSTEM_BYTES, MAX_VALIDATORS,
};
pub use crate::message::Message;
pub use crate::pacemaker::Config;
pub use crate::safety::{MAX_RECORD_BYTES, SafetyRecord};
pub use crate::standing::{Found, Probation, Standing, Statements};
pub use crate::types::{Digest, Epoch, Executed, Height, HexError, Millis, PublicKey, Signature, View, hash};
pub use crate::vote::{Phase, SignedTimeout, Timeout, Vote};

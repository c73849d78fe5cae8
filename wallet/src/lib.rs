//! A user's keys, and a client that trusts nothing a node says.
//!
//! ```text
//!   genesis hash (from a person)
//!        │
//!     trust ── epochs, evidence of every holder, sealing key ──► seal ──► node ──► receipt, proven
//!        │
//!     session ── sealed private reads, each value proven under a certified root
//! ```
//!
//! Promise: nothing is sealed before every check of [`trust`] passed; no value is believed without a proof; a
//! transaction is applied at most once however often it has to be sealed; keys are encrypted at rest and passphrases
//! never in an argument. Limits: a node sees when and from where it is asked, and how long envelopes are, in powers
//! of two; it can stay silent. Deliberately absent: TLS (see [`HttpTransport`]), hardware wallets,
//! mnemonics, sending through several nodes at once.

mod address;
mod api;
mod client;
mod entropy;
mod error;
mod home;
mod keyfile;
mod letter;
mod mail;
mod money;
mod records;
mod rooms;
mod session;
pub mod trust;

pub use address::{Address, looks_like_address};
pub use api::{
    Accepted, Api, Included, MAX_WAIT_MS, NodeAnswer, RefusalAnswer, StatusAnswer, SyncAnswer, SystemAnswer,
    TxAnswer, Until,
};
#[cfg(feature = "http")]
pub use client::HttpTransport;
pub use client::{Bounds, Response, Transport, Unreachable};
pub use entropy::{Clock, system_clock, system_rng};
pub use error::Error;
pub use home::{Home, MAX_WALLET_NAME};
pub use keyfile::{Keyfile, Passphrase, Seeds, Work, address_of};
pub use letter::{MAX_LETTER_TEXT, MAX_POST_TEXT, MAX_TITLE_TEXT};
pub use mail::Received;
pub use money::{Balance, amount};
pub use records::{MAX_RECEIPT_FILE_BYTES, OutcomeText, Proven, ReceiptFile};
pub use rooms::{PostView, RoomView};
pub use session::{Confirmed, Submitted, Wallet, WalletOptions};
pub use trust::{Trust, TrustSummary};

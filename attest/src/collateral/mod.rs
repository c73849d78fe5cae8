//! Vendors' signed statements that evidence alone does not carry: TCB levels, the quoting enclave's identity,
//! revocation lists. The ledger holds them as state; anyone may bring a newer one, because the vendor signed it.
//!
//! Each document has one place, its [`CollateralKey`], and each place only moves forward: a document that is
//! older than the one held, or from the future, is refused by name. TCB infos and QE identities stand under
//! their evaluation number, so that Intel's next level can be held, and forecast, before a policy asks for it.
//!
//! ```text
//! update ──apply: signature, time, newer──▶ place ──select: number, time──▶ verify
//! ```

pub(crate) mod apply;
pub(crate) mod list;
mod needs;
mod qvl;
pub(crate) mod read;
pub(crate) mod select;

pub use needs::CollateralNeeds;

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::facts::{Fmspc, Tee};
use crate::limits;
use crate::snp::generation::Generation;

/// A document and who signed it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollateralUpdate {
    /// Signed under the simulator's root of a dev genesis instead of the vendor's.
    pub simulated: bool,
    /// What is said.
    pub document: Document,
}

/// A vendor's statement. The borsh tags are fixed for ever.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Document {
    /// TCB levels of one kind of machine.
    TcbInfo(SignedJson),
    /// Identity and levels of the quoting enclave.
    QeIdentity(SignedJson),
    /// Intel's root revokes intermediates: DER of the list.
    IntelRootCrl(
        #[borsh(deserialize_with = "limits::read_crl")]
        #[serde(with = "limits::hexed")]
        Vec<u8>,
    ),
    /// One of Intel's two authorities revokes machines: DER of the list.
    IntelPckCrl {
        /// Whose list.
        authority: PckAuthority,
        /// DER of the list.
        #[borsh(deserialize_with = "limits::read_crl")]
        #[serde(with = "limits::hexed")]
        list: Vec<u8>,
    },
    /// AMD's root of one generation revokes intermediates.
    AmdCrl {
        /// Whose root.
        generation: Generation,
        /// DER of the list.
        #[borsh(deserialize_with = "limits::read_crl")]
        #[serde(with = "limits::hexed")]
        list: Vec<u8>,
    },
}

/// A JSON body exactly as Intel signed it: one changed byte breaks the signature.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedJson {
    /// The body, at most [`limits::COLLATERAL_BYTES_MAX`] bytes.
    #[borsh(deserialize_with = "limits::read_collateral_text")]
    pub body: String,
    /// ECDSA P-256, `r` and `s`, big-endian.
    #[borsh(deserialize_with = "limits::read_signature")]
    #[serde(with = "limits::hexed")]
    pub signature: Vec<u8>,
    /// DER of the signer's certificate, issued by the root itself.
    #[borsh(deserialize_with = "limits::read_leaf")]
    #[serde(with = "limits::hexed")]
    pub signer: Vec<u8>,
}

/// Which of Intel's two authorities issues a machine's leaf certificate.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[borsh(use_discriminant = true)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum PckAuthority {
    /// Machines of one package.
    Processor = 0,
    /// Machines that register as a platform.
    Platform = 1,
}

/// Where a document stands.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct CollateralKey {
    /// Under the simulator's root.
    pub simulated: bool,
    /// Which document.
    pub kind: CollateralKind,
}

/// Kinds of documents, as [`CollateralKey`] tells them apart.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum CollateralKind {
    /// See [`Document::TcbInfo`].
    TcbInfo {
        /// Of which TEE.
        tee: Tee,
        /// Of which machines.
        fmspc: Fmspc,
        /// Intel's number of the level, `tcbEvaluationDataNumber`.
        evaluation: u32,
    },
    /// See [`Document::QeIdentity`].
    QeIdentity {
        /// Of which TEE.
        tee: Tee,
        /// Intel's number of the level, `tcbEvaluationDataNumber`.
        evaluation: u32,
    },
    /// See [`Document::IntelRootCrl`].
    IntelRootCrl,
    /// See [`Document::IntelPckCrl`].
    IntelPckCrl(PckAuthority),
    /// See [`Document::AmdCrl`].
    AmdCrl(Generation),
}

impl fmt::Display for CollateralKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.simulated {
            f.write_str("simulated ")?;
        }
        match self.kind {
            CollateralKind::TcbInfo {
                tee,
                fmspc,
                evaluation,
            } => write!(f, "{tee} TCB info of fmspc {fmspc}, evaluation {evaluation}"),
            CollateralKind::QeIdentity { tee, evaluation } => {
                write!(f, "{tee} QE identity, evaluation {evaluation}")
            }
            CollateralKind::IntelRootCrl => f.write_str("Intel root CRL"),
            CollateralKind::IntelPckCrl(PckAuthority::Processor) => f.write_str("Intel processor CRL"),
            CollateralKind::IntelPckCrl(PckAuthority::Platform) => f.write_str("Intel platform CRL"),
            CollateralKind::AmdCrl(generation) => write!(f, "AMD {generation} CRL"),
        }
    }
}

/// Dates and numbers of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollateralInfo {
    /// First moment, Unix milliseconds.
    pub issued_ms: u64,
    /// Last second, Unix milliseconds; inclusive.
    pub next_update_ms: u64,
    /// `tcbEvaluationDataNumber` of a TCB info or QE identity.
    pub evaluation: Option<u32>,
    /// The number of a revocation list; 0 where it has none.
    pub number: Option<u64>,
}

/// All documents held, each verified when it came. At most [`limits::COLLATERAL_ITEMS_MAX`].
///
/// Decoded collateral is only known to be in order, each readable document in its own place: what judges by it verifies
/// the signatures again.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize)]
pub struct Collateral {
    documents: BTreeMap<CollateralKey, CollateralUpdate>,
}

impl BorshDeserialize for Collateral {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let documents: Vec<(CollateralKey, CollateralUpdate)> =
            limits::read_list(reader, limits::COLLATERAL_ITEMS_MAX)?;
        if !documents.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(limits::invalid("collateral is not in order"));
        }
        for (place, update) in &documents {
            if read::key(update).is_ok_and(|(key, _)| key != *place) {
                return Err(limits::invalid("a document stands in the place of another"));
            }
        }
        Ok(Self {
            documents: documents.into_iter().collect(),
        })
    }
}

impl Collateral {
    /// No document: enough for AMD, whose chain needs none.
    pub fn new() -> Self {
        Self::default()
    }

    /// BLAKE3 of the encoding: what the ledger certifies.
    pub fn digest(&self) -> [u8; 32] {
        let bytes = borsh::to_vec(self).unwrap_or_default();
        let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 collateral");
        hasher.update(&bytes);
        hasher.finalize().into()
    }

    /// Everything held, in order.
    pub fn documents(&self) -> impl Iterator<Item = (&CollateralKey, &CollateralUpdate)> {
        self.documents.iter()
    }

    /// The document of a place.
    pub fn get(&self, key: &CollateralKey) -> Option<&CollateralUpdate> {
        self.documents.get(key)
    }

    /// Dates and numbers of the document of a place; `None` where none is held.
    pub fn info(&self, key: &CollateralKey) -> Option<CollateralInfo> {
        read::info(&self.get(key)?.document).ok()
    }

    /// The evaluation numbers of the TCB infos held for one kind of machine, in order.
    pub fn levels(&self, simulated: bool, tee: Tee, fmspc: Fmspc) -> Vec<u32> {
        self.levels_of(|key| match key.kind {
            CollateralKind::TcbInfo {
                tee: t,
                fmspc: f,
                evaluation,
            } if key.simulated == simulated && t == tee && f == fmspc => Some(evaluation),
            _ => None,
        })
    }

    /// The evaluation numbers of the QE identities held for one TEE, in order.
    pub fn identity_levels(&self, simulated: bool, tee: Tee) -> Vec<u32> {
        self.levels_of(|key| match key.kind {
            CollateralKind::QeIdentity { tee: t, evaluation } if key.simulated == simulated && t == tee => {
                Some(evaluation)
            }
            _ => None,
        })
    }

    fn levels_of(&self, level: impl Fn(&CollateralKey) -> Option<u32>) -> Vec<u32> {
        self.documents.keys().filter_map(level).collect()
    }

    /// Drops every document that has ended, and says which.
    pub fn remove_expired(&mut self, now_ms: u64) -> Vec<CollateralKey> {
        let keys = self.ended(now_ms);
        for key in &keys {
            self.documents.remove(key);
        }
        keys
    }

    fn ended(&self, now_ms: u64) -> Vec<CollateralKey> {
        let ended = |update: &CollateralUpdate| {
            read::info(&update.document).is_ok_and(|info| now_ms / 1000 > info.next_update_ms / 1000)
        };
        let held = self.documents.iter().filter(|(_, update)| ended(update));
        held.map(|(key, _)| *key).collect()
    }

    /// The same without the documents in places that `keep` refuses: what would be if they were gone.
    pub(crate) fn retaining(&self, keep: impl Fn(&CollateralKey) -> bool) -> Self {
        let kept = self.documents.iter().filter(|(key, _)| keep(key));
        Self {
            documents: kept.map(|(key, update)| (*key, update.clone())).collect(),
        }
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }
}

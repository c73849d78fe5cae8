//! What answers look like in JSON, and how values are written in it.

use std::time::{Duration, UNIX_EPOCH};

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tacit_consensus::Digest;
use utoipa::ToSchema;

use super::problem::{Answer, Refusal};

/// Most items of one page.
pub(crate) const MAX_LIMIT: usize = 200;
/// Items of a page when the caller names no number.
const DEFAULT_LIMIT: usize = 30;
/// The last moment that RFC 3339 can write, in milliseconds: 9999-12-31T23:59:59.999Z.
const LAST_MOMENT_MS: u64 = 253_402_300_799_999;
/// Hex digits of a hash or key.
pub(crate) const HASH_DIGITS: usize = 64;

/// A moment as RFC 3339 in UTC with milliseconds; beyond the year 9999, the last moment of it.
pub(crate) fn time(ms: u64) -> String {
    let moment = UNIX_EPOCH
        .checked_add(Duration::from_millis(ms.min(LAST_MOMENT_MS)))
        .unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_millis(moment).to_string()
}

/// Standard base64.
pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Borsh in base64.
pub(crate) fn borsh64<T: borsh::BorshSerialize>(value: &T) -> Answer<String> {
    borsh::to_vec(value).map(base64).map_err(Refusal::internal)
}

/// Reads standard base64 of at most `max` bytes.
pub(crate) fn unbase64(text: &str, max: usize) -> Answer<Vec<u8>> {
    if text.len() > max.div_ceil(3) * 4 {
        return Err(Refusal::new(
            "rpc.too_large",
            format!("at most {max} bytes fit here"),
        ));
    }
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| Refusal::malformed("not standard base64"))?;
    if bytes.len() > max {
        return Err(Refusal::new(
            "rpc.too_large",
            format!("{} bytes, at most {max} fit here", bytes.len()),
        ));
    }
    Ok(bytes)
}

/// The path's parameter, percent-decoded.
pub(crate) fn parameter(path: Result<Path<String>, PathRejection>) -> Answer<String> {
    path.map(|Path(text)| text)
        .map_err(|_| Refusal::malformed("the path is not UTF-8"))
}

/// The query's parameters; unknown ones are refused, so that a typing error does not pass for a default.
pub(crate) fn parameters<T>(query: Result<Query<T>, QueryRejection>) -> Answer<T> {
    query
        .map(|Query(value)| value)
        .map_err(|error| Refusal::malformed(error.body_text()))
}

/// The body of a POST. Its type must be JSON: browsers then ask first (CORS), and are told no.
pub(crate) fn body(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Answer<Bytes> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/json")
    {
        return Err(Refusal::malformed("the content type must be application/json"));
    }
    body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new("rpc.too_large", "the body is too long"),
        _ => Refusal::malformed("the body could not be read"),
    })
}

/// What the JSON of a body says.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    // Only the position: the message of the decoder may repeat contents.
    serde_json::from_slice(bytes).map_err(|error| {
        Refusal::malformed(format!(
            "not the expected JSON: line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

/// A hash or key as 64 hex digits.
pub(crate) fn digest(text: &str) -> Answer<Digest> {
    Digest::from_hex(text).map_err(|_| Refusal::malformed("not 64 hex digits"))
}

/// A decimal number without sign; `None` when the text is something else or too large.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// An answer with an `ETag` of its contents; `forever` when the object can never change.
pub(crate) fn tagged<T: Serialize>(value: &T, forever: bool) -> Answer<Response> {
    let bytes = serde_json::to_vec(value).map_err(Refusal::internal)?;
    let hash = blake3::hash(&bytes).to_hex();
    let tag = format!("\"{}\"", hash.get(..32).unwrap_or_default());
    let cache = if forever {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(
        header::ETAG,
        HeaderValue::try_from(tag).map_err(Refusal::internal)?,
    );
    Ok(response)
}

/// An answer about this moment.
pub(crate) fn fresh<T: Serialize>(value: T) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(value)).into_response()
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<usize>,
    after: Option<String>,
}

impl Page {
    /// Number of items asked for, 1 to [`MAX_LIMIT`].
    pub(crate) fn limit(&self) -> Answer<usize> {
        self.limit_or(DEFAULT_LIMIT)
    }

    /// The same with another default.
    pub(crate) fn limit_or(&self, default: usize) -> Answer<usize> {
        match self.limit {
            None => Ok(default),
            Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            Some(_) => Err(Refusal::malformed(format!("limit must be 1 to {MAX_LIMIT}"))),
        }
    }

    /// The cursor of lists whose cursors are numbers.
    pub(crate) fn after(&self) -> Answer<Option<u64>> {
        let refused = || Refusal::malformed("not a cursor of this list");
        self.after
            .as_deref()
            .map(|text| decimal(text).ok_or_else(refused))
            .transpose()
    }
}

/// A page of a list, newest first where items have an age.
#[derive(Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// The next page's `after`; null at the end.
    pub(crate) next: Option<String>,
}

/// A block, without what it orders.
#[derive(Serialize, ToSchema)]
pub(crate) struct BlockSummary {
    /// Distance from genesis.
    pub(crate) height: u64,
    /// The block's id.
    pub(crate) hash: String,
    /// The parent's id.
    pub(crate) parent: String,
    /// The leader's clock.
    pub(crate) time: String,
    /// The leader's consensus key.
    pub(crate) proposer: String,
    /// The leader's name.
    pub(crate) proposer_name: String,
    /// View in which it was proposed.
    pub(crate) view: u64,
    /// Epoch whose validators certified it.
    pub(crate) epoch: u64,
    /// Attestation policy of that epoch.
    pub(crate) policy_version: u64,
    /// Sealed transactions executed.
    pub(crate) tx_count: u64,
    /// Bytes of the block itself, without the batches that it orders.
    pub(crate) bytes: u64,
    /// The newest executed state that this block certifies.
    pub(crate) executed: ExecutedBody,
    /// In a closing block: the hash of the next epoch's record.
    pub(crate) next_epoch: Option<String>,
    /// One digit for each validator, 1 if it signed the commit.
    pub(crate) signers: String,
}

/// An executed state.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExecutedBody {
    /// Height after whose block this is the state.
    pub(crate) height: u64,
    /// Root of the public registry.
    pub(crate) public_root: String,
    /// Root of the private state.
    pub(crate) private_root: String,
    /// Root of all receipts so far.
    pub(crate) receipts_root: String,
    /// All tokens, as a decimal amount.
    pub(crate) supply: String,
}

/// Why a block is final.
#[derive(Serialize, ToSchema)]
pub(crate) struct CommitBody {
    /// Borsh of the header, base64.
    pub(crate) header: String,
    /// Borsh of the commit proof, base64.
    pub(crate) proof: String,
    /// One digit for each validator, 1 if it signed.
    pub(crate) signers: String,
}

/// What is public about a sealed transaction.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnvelopeBody {
    /// Format of the envelope.
    pub(crate) version: u8,
    /// Epoch to whose key it is sealed.
    pub(crate) epoch: u64,
    /// That key's short name.
    pub(crate) key_id: Option<String>,
    /// Cipher suite.
    pub(crate) suite: String,
    /// Bytes of the padded contents.
    pub(crate) size_class: u32,
    /// Bytes of the whole envelope.
    pub(crate) bytes: u64,
    /// Height after which it can no longer be included.
    pub(crate) expires_at_height: u64,
}

/// Where a transaction stands in the chain.
#[derive(Serialize, ToSchema)]
pub(crate) struct IncludedBody {
    /// The block's height.
    pub(crate) height: u64,
    /// Position among the block's transactions.
    pub(crate) index: u32,
    /// The block's time.
    pub(crate) time: String,
}

/// A transaction of a block.
#[derive(Serialize, ToSchema)]
pub(crate) struct BlockTx {
    /// The envelope's hash.
    pub(crate) tx_id: String,
    /// Position among the block's transactions.
    pub(crate) index: u32,
    /// What is public about it.
    pub(crate) envelope: EnvelopeBody,
}

/// A transaction's state.
#[derive(Serialize, ToSchema)]
pub(crate) struct TxBody {
    /// The envelope's hash.
    pub(crate) tx_id: String,
    /// `pending`, `committed` or `expired`.
    #[schema(example = "committed")]
    pub(crate) status: &'static str,
    /// What is public about it; null until it is committed.
    pub(crate) envelope: Option<EnvelopeBody>,
    /// Where it stands; null until it is committed.
    pub(crate) included: Option<IncludedBody>,
    /// Whether its receipt can be proven now.
    pub(crate) receipt_ready: bool,
    /// `sealed`: only the receipt's key tells. `unopened`: the envelope did not open. Null until committed.
    #[schema(example = "sealed")]
    pub(crate) outcome: Option<&'static str>,
}

/// A receipt and the proof that the chain agreed on it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReceiptBody {
    /// The envelope's hash.
    pub(crate) tx_id: String,
    /// The block that included it.
    pub(crate) height: u64,
    /// Borsh of the receipt proof, base64.
    pub(crate) proof: String,
}

/// An envelope to submit.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubmitBody {
    /// Borsh of the envelope, base64.
    pub(crate) envelope: String,
}

/// An envelope was accepted.
#[derive(Serialize, ToSchema)]
pub(crate) struct AcceptedBody {
    /// The envelope's hash.
    pub(crate) tx_id: String,
    /// Epoch to whose key it is sealed.
    pub(crate) epoch: u64,
    /// Height after which it can no longer be included.
    pub(crate) expires_at_height: u64,
}

/// A sealed question or answer.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedBody {
    /// Sealed bytes, base64.
    pub(crate) sealed: String,
}

/// A registered validator.
#[derive(Serialize, ToSchema)]
pub(crate) struct ValidatorBody {
    /// Consensus key.
    pub(crate) id: String,
    /// Name.
    pub(crate) name: String,
    /// Position in the set, as in `signers`; null without a seat.
    pub(crate) index: Option<u32>,
    /// Network key.
    pub(crate) node_id: String,
    /// `active`: member of the epoch in force. `leaving`: the same, and its operator took it off from the next one on.
    /// `registered`: waits for a seat. `dropped`: found wanting. `left`: its operator took it off.
    #[schema(example = "active")]
    pub(crate) status: &'static str,
    /// Votes that it has.
    pub(crate) power: u32,
    /// Why it was found wanting when the epoch's set was decided, as a code of the table of codes; in a kept set it has
    /// its seat all the same.
    pub(crate) dropped_for: Option<String>,
    /// Kind of hardware.
    pub(crate) platform: Option<String>,
    /// What the evidence says the program is; unjudged.
    pub(crate) measurement: Option<String>,
    /// The key to which private reads are sealed, base64.
    pub(crate) kem_key: String,
    /// Digest of the registration that gave it its seat.
    pub(crate) registration: String,
    /// Its newest evidence.
    pub(crate) evidence: Option<EvidenceSummary>,
    /// The key that answers for the name: it may register the name with other keys, and take it off.
    pub(crate) operator_key: Option<String>,
    /// The newest version of the protocol that its build speaks.
    pub(crate) protocol: Option<u16>,
    /// What the next epoch brings it if this one ended now; null before the first forecast.
    pub(crate) next: Option<super::membership::NextBody>,
    /// When and why it will have no seat any more, unless somebody acts; null where nothing that is known ends it.
    pub(crate) out: Option<super::membership::OutBody>,
    /// Until when its evidence is accepted, under today's rules and under those to come.
    pub(crate) outlook: Vec<OutlookBody>,
}

/// What a validator can expect under one set of rules.
#[derive(Serialize, ToSchema)]
pub(crate) struct OutlookBody {
    /// `today`: the policy in force. `pending`: an adopted one whose time has not come. `proposed`: one that waits for
    /// approvals. `next`: the policy in force, by the vendor's next level.
    #[schema(example = "today")]
    pub(crate) set: &'static str,
    /// The policy's version, where it is not the one in force.
    pub(crate) policy_version: Option<u64>,
    /// From which block time on a pending policy is due.
    pub(crate) active_from: Option<String>,
    /// The proposal's id, for one that is proposed.
    pub(crate) proposal: Option<String>,
    /// The vendor's number of the next level.
    pub(crate) evaluation: Option<u32>,
    /// Whether the evidence would be accepted now.
    pub(crate) accepted: bool,
    /// Until when; null where it is not accepted, or nothing that is known ends it.
    pub(crate) until: Option<String>,
    /// The code of the refusal; null where it is accepted.
    pub(crate) code: Option<&'static str>,
    /// What ends it then, or why it is refused.
    pub(crate) cause: String,
    /// What to update.
    pub(crate) update: String,
    /// Every part of the machine that is too old for the vendor's next level, with what it has and needs.
    pub(crate) short: Vec<String>,
}

/// What there is to know about evidence without reading it.
#[derive(Serialize, ToSchema)]
pub(crate) struct EvidenceSummary {
    /// Digest of the evidence.
    pub(crate) digest: String,
    /// Height at which it was registered.
    pub(crate) recorded_at_height: u64,
    /// That block's time, from which its age counts.
    pub(crate) recorded_at: String,
    /// When today's rules stop accepting it; null where they refuse it already.
    pub(crate) expires_at: Option<String>,
    /// Policy under which it was accepted.
    pub(crate) policy_version: u64,
    /// Vendor and identity of the chip.
    pub(crate) chip: Option<String>,
}

/// Evidence and what it must be bound to, for everybody to check.
#[derive(Serialize, ToSchema)]
pub(crate) struct EvidenceBody {
    /// Borsh of the registration, base64.
    pub(crate) registration: String,
    /// The evidence itself.
    pub(crate) evidence: EvidenceBytes,
    /// What its report data commits to.
    pub(crate) bound: BoundBody,
    /// The commitment.
    pub(crate) report_data: String,
}

/// A report and the certificate that signs it.
#[derive(Serialize, ToSchema)]
pub(crate) struct EvidenceBytes {
    /// Kind of hardware.
    pub(crate) platform: String,
    /// The report, base64.
    pub(crate) report: String,
    /// The leaf certificate (DER), base64.
    pub(crate) leaf: String,
}

/// The facts to which evidence is bound.
#[derive(Serialize, ToSchema)]
pub(crate) struct BoundBody {
    /// Genesis hash, or the founders' nonce.
    pub(crate) network: String,
    /// Consensus key.
    pub(crate) consensus_key: String,
    /// Network key.
    pub(crate) node_key: String,
    /// Key for sealed reads and shares, base64.
    pub(crate) kem_key: String,
    /// A recent height when the report was made.
    pub(crate) height: u64,
    /// The block at that height.
    pub(crate) block: String,
    /// Policy in force then.
    pub(crate) policy_version: u64,
}

/// An epoch and its key.
#[derive(Serialize, ToSchema)]
pub(crate) struct EpochBody {
    /// Number of the epoch.
    pub(crate) number: u64,
    /// The sealing key's short name; null in epoch 0, which has none.
    pub(crate) key_id: Option<String>,
    /// Cipher suite of the key.
    pub(crate) suite: String,
    /// The sealing key, base64.
    pub(crate) public_key: Option<String>,
    /// First height that accepts envelopes sealed to it.
    pub(crate) valid_from_height: u64,
    /// When it began.
    pub(crate) started: String,
    /// When it ended, or is due to end.
    pub(crate) ends_at: String,
    /// Consensus keys of those who can open what is sealed to it.
    pub(crate) holders: Vec<String>,
    /// Why it began: `genesis`, `schedule`, `policy`, `suspension` or `recovery`.
    #[schema(example = "schedule")]
    pub(crate) reason: &'static str,
    /// Attestation policy in force.
    pub(crate) policy_version: u64,
    /// The time at which the evidence of its validators was judged.
    pub(crate) judged_at: String,
    /// Digest of the collateral with which it was.
    pub(crate) collateral: String,
    /// Too few of the set before were acceptable, so it stayed whole: wallets do not seal to this epoch.
    pub(crate) kept: bool,
    /// Who is registered and has no seat, or in a kept set should have none.
    pub(crate) dropped: Vec<DroppedBody>,
    /// Borsh of the record, base64; its hash stands in the closing block before it.
    pub(crate) record: String,
}

/// A registered validator that was found wanting.
#[derive(Serialize, ToSchema)]
pub(crate) struct DroppedBody {
    /// Its name.
    pub(crate) name: String,
    /// Why, as a code of the table of codes.
    pub(crate) code: String,
}

/// What a wallet needs to move its trust forward.
#[derive(Serialize, ToSchema)]
pub(crate) struct BundleBody {
    /// Borsh of the light bundle, base64.
    pub(crate) bundle: String,
    /// False when it stops before now: follow it, then ask again from the epoch reached.
    pub(crate) complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_and_never_panic() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(1_763_820_191_204), "2025-11-22T14:03:11.204Z");
        assert_eq!(time(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn decimals_have_no_sign_and_fit() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("18446744073709551615"), Some(u64::MAX));
        for bad in ["", "+5", "-5", " 5", "5 ", "0x5", "18446744073709551616", "٣"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn base64_is_bounded_before_it_is_decoded() {
        assert_eq!(
            unbase64("AAAA", 3).map_err(|refusal| refusal.code()),
            Ok(vec![0; 3])
        );
        assert_eq!(
            unbase64("AAAA", 2).map_err(|refusal| refusal.code()),
            Err("rpc.too_large")
        );
        assert_eq!(
            unbase64("AAAAAAAA", 3).map_err(|refusal| refusal.code()),
            Err("rpc.too_large")
        );
        assert_eq!(
            unbase64("A*AA", 3).map_err(|refusal| refusal.code()),
            Err("request.malformed")
        );
    }
}

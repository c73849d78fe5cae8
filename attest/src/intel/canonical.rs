//! From the bytes that hardware gives to the one form in which a quote travels, and back.
//!
//! A quote carries its certificates as PEM, which no signature covers: lines may be broken elsewhere, another root put
//! in, zeros appended. Evidence has none of that freedom: the quote is bare (no certificates, nothing after it) and the
//! leaf is DER; the authority and the root are pinned.

use x509_cert::der::pem::{self, LineEnding};

use super::ec::Certificate;
use super::quote::{Quote, QuoteBody};
use super::roots::{authority_der, pinned_authority_named, root_der};
use crate::evidence::{Evidence, Platform};
use crate::facts::SIMULATOR_OWNER_CONFIG;
use crate::limits::{LEAF_BYTES_MAX, QUOTE_BYTES_MAX};
use crate::refusal::Refusal;
use crate::snp::layout::REPORT_LEN;

const PEM_LABEL: &str = "CERTIFICATE";
const PEM_END: &str = "-----END CERTIFICATE-----\n";

impl Evidence {
    /// Evidence from a quote as a machine gives it. The platform follows from its TEE type, and from the simulator's
    /// mark in MROWNERCONFIG.
    ///
    /// The certificates in it must be PEM of exactly the leaf, Intel's pinned authority and Intel's pinned root, in
    /// lines of 64, up to a final newline and zero byte; in a simulated quote, of the leaf alone. Zero bytes after the
    /// quote are dropped. Nothing is verified here.
    ///
    /// # Errors
    /// A [`Refusal`] of check 1 or 2 says what is in the way.
    pub fn from_quote(raw: &[u8]) -> Result<Self, Refusal> {
        if raw.len() > QUOTE_BYTES_MAX {
            return Err(Refusal::EvidenceTooLong {
                what: "quote",
                have: raw.len(),
                max: QUOTE_BYTES_MAX,
            });
        }
        let len = Quote::len_of(raw)?;
        let (bytes, padding) = raw.split_at_checked(len).unwrap_or((raw, &[]));
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Refusal::QuoteTrailing { have: padding.len() });
        }
        let mut quote = Quote::parse(bytes)?;
        let platform = platform_of(&quote.body);
        let leaf = leaf_of(&quote.certificates, platform)?;
        quote.certificates.clear();
        Ok(Self {
            platform,
            report: quote.to_bytes(),
            leaf,
        })
    }

    /// The quote with its certificates in it, as other verifiers want it: the inverse of [`Evidence::from_quote`] but
    /// for padding. A simulated quote carries the leaf alone.
    ///
    /// # Errors
    /// A [`Refusal`] of check 1, 2 or 4 where this is no bare quote with a leaf of Intel's.
    pub fn to_quote(&self) -> Result<Vec<u8>, Refusal> {
        self.check_bounds()?;
        let mut quote = Quote::parse(&self.report)?;
        let platform = platform_of(&quote.body);
        if platform != self.platform {
            return Err(Refusal::QuotePlatform {
                have: platform,
                platform: self.platform,
            });
        }
        quote.certificates = chain_of(&self.leaf, platform)?.into_bytes();
        Ok(quote.to_bytes())
    }

    /// Evidence of whatever kind the bytes are: an SEV-SNP report of 1,184 bytes, which needs its `leaf`, or a quote,
    /// which carries its own. The simulator's marks decide whether it is simulated.
    ///
    /// # Errors
    /// A [`Refusal`] of check 1 or 2: neither kind, or one with too little or too much beside it.
    pub fn detect(report: &[u8], leaf: Option<&[u8]>) -> Result<Self, Refusal> {
        // A quote is longer than a report even without its certificates and names its version in two bytes.
        let snp = report.len() == REPORT_LEN;
        match (snp, leaf) {
            (true, None) => Err(Refusal::LeafMissing),
            (false, Some(_)) => Err(Refusal::LeafUnwanted),
            (false, None) => Self::from_quote(report),
            (true, Some(leaf)) => {
                if leaf.len() > LEAF_BYTES_MAX {
                    return Err(Refusal::EvidenceTooLong {
                        what: "leaf",
                        have: leaf.len(),
                        max: LEAF_BYTES_MAX,
                    });
                }
                let platform = if crate::snp::is_marked_simulated(report) {
                    Platform::Simulated
                } else {
                    Platform::SevSnp
                };
                Ok(Self {
                    platform,
                    report: report.to_vec(),
                    leaf: leaf.to_vec(),
                })
            }
        }
    }
}

/// Which platform a quote is about.
pub(crate) fn platform_of(body: &QuoteBody) -> Platform {
    match body {
        QuoteBody::Enclave(_) => Platform::Sgx,
        QuoteBody::Td(report) if report.mr_owner_config == SIMULATOR_OWNER_CONFIG => Platform::SimulatedTdx,
        QuoteBody::Td(_) => Platform::Tdx,
    }
}

/// The leaf of a chain, which must be the only text that says the same.
fn leaf_of(text: &[u8], platform: Platform) -> Result<Vec<u8>, Refusal> {
    let refuse = |reason| Refusal::CertificationChain { reason };
    let text = core::str::from_utf8(text).map_err(|_| refuse("are not text"))?;
    let text = text.strip_suffix('\0').unwrap_or(text);
    let mut text = text.to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let end = text.find(PEM_END).ok_or(refuse("are not PEM of 64 columns"))?;
    let (first, _) = text
        .split_at_checked(end + PEM_END.len())
        .ok_or(refuse("are not PEM of 64 columns"))?;
    let (label, leaf) = pem::decode_vec(first.as_bytes()).map_err(|_| refuse("are not PEM of 64 columns"))?;
    if label != PEM_LABEL || leaf.len() > LEAF_BYTES_MAX {
        return Err(refuse("do not begin with a leaf certificate"));
    }
    if chain_of(&leaf, platform)? != text {
        return Err(refuse(
            "are not exactly the leaf, Intel's pinned authority and Intel's pinned root in canonical PEM",
        ));
    }
    Ok(leaf)
}

/// The chain that a leaf belongs to, as PEM.
pub(crate) fn chain_of(leaf: &[u8], platform: Platform) -> Result<String, Refusal> {
    if platform.is_simulated() {
        return to_pem(leaf);
    }
    let certificate = Certificate::parse(leaf).map_err(|reason| Refusal::LeafEncoding { reason })?;
    let issuer = &certificate.x509.tbs_certificate.issuer;
    let authority = pinned_authority_named(issuer).ok_or_else(|| Refusal::LeafIssuer {
        have: crate::snp::leaf::common_name(issuer).unwrap_or_default(),
    })?;
    let mut chain = to_pem(leaf)?;
    chain.push_str(&to_pem(authority_der(authority))?);
    chain.push_str(&to_pem(root_der())?);
    Ok(chain)
}

/// One certificate as PEM, lines of 64 ended by a line feed.
pub(crate) fn to_pem(der: &[u8]) -> Result<String, Refusal> {
    pem::encode_string(PEM_LABEL, LineEnding::LF, der).map_err(|_| Refusal::CertificationChain {
        reason: "cannot be written as PEM",
    })
}

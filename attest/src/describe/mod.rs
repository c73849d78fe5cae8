//! Every field of evidence, certificates and collateral by name, without judging any: for people who look before
//! they trust. What cannot be read is a line that says so; nothing here fails on a wrong value, and nothing
//! panics. Every byte of a report or quote is in some value: two that differ are never described alike.

mod certificate;
mod document;
mod fields;
mod quote;
mod snp;

use crate::collateral::CollateralUpdate;
use crate::evidence::{Evidence, Platform};
use crate::intel::{self, quote::Quote};
use crate::refusal::Refusal;
use fields::Fields;

/// Names and values of all fields, in the order of the report or quote, then the leaf's. A leaf that does not
/// parse is one line that says so.
///
/// # Errors
/// Evidence above its bounds, and an SNP report whose layout is unknown: wrong length, version or CPU.
pub fn describe(evidence: &Evidence) -> Result<Vec<(String, String)>, Refusal> {
    evidence.check_bounds()?;
    let mut out = Fields::new();
    out.put("platform", evidence.platform);
    match evidence.platform {
        Platform::SevSnp | Platform::Simulated => snp::evidence(evidence, &mut out)?,
        Platform::Tdx | Platform::Sgx | Platform::SimulatedTdx => {
            quote::quote(&evidence.report, &mut out);
            // Several registers in one value, as policies list it.
            if let Ok(quote) = Quote::parse(&evidence.report) {
                let (measurement, ..) = intel::describe(&quote.body);
                out.put("quote.measurement", measurement);
            }
            certificate::certificate("leaf", &evidence.leaf, &mut out);
        }
    }
    Ok(out.into_lines())
}

/// All fields of a quote as hardware gives it, with every certificate that it carries. At most
/// [`crate::limits::REPORT_BYTES_MAX`] bytes are looked at.
pub fn describe_quote(quote: &[u8]) -> Vec<(String, String)> {
    let mut out = Fields::new();
    quote::quote(quote, &mut out);
    out.into_lines()
}

/// All fields of a document of collateral: every level of a TCB info or QE identity and its signer, every entry
/// of a revocation list.
pub fn describe_update(update: &CollateralUpdate) -> Vec<(String, String)> {
    let mut out = Fields::new();
    document::update(update, &mut out);
    out.into_lines()
}

/// All fields of a certificate in DER, AMD's and Intel's extensions taken apart.
pub fn describe_certificate(der: &[u8]) -> Vec<(String, String)> {
    let mut out = Fields::new();
    certificate::certificate("certificate", der, &mut out);
    out.into_lines()
}

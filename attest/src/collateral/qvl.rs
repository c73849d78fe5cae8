//! The collateral file of the crate `dcap-qvl` (`QuoteCollateralV3` as JSON), as collections of real quotes and tools
//! of others have it: signed bodies as strings, lists and signatures in hex, chains as PEM.

use serde::Deserialize;
use x509_cert::der::pem;

use super::list::List;
use super::{CollateralUpdate, Document, PckAuthority, SignedJson};
use crate::intel::roots::pinned_authority_named;
use crate::limits::{COLLATERAL_BYTES_MAX, LEAF_BYTES_MAX};
use crate::refusal::Refusal;

/// Bytes of such a file: three documents at their bounds in hex, one as text, and chains.
const FILE_BYTES_MAX: usize = 8 * COLLATERAL_BYTES_MAX;
const PEM_END: &str = "-----END CERTIFICATE-----";

#[derive(Deserialize)]
struct File {
    root_ca_crl: String,
    pck_crl: String,
    tcb_info_issuer_chain: String,
    tcb_info: String,
    tcb_info_signature: String,
    qe_identity_issuer_chain: String,
    qe_identity: String,
    qe_identity_signature: String,
}

impl super::Collateral {
    /// The documents of a collateral file of `dcap-qvl`, in the order in which [`super::Collateral::apply`] takes them.
    /// Of each chain only the signer is kept: the root is pinned. Nothing is verified here.
    ///
    /// # Errors
    /// [`Refusal::CollateralEncoding`] says what cannot be read.
    pub fn from_qvl_json(text: &str) -> Result<Vec<CollateralUpdate>, Refusal> {
        let refuse = |reason| Refusal::CollateralEncoding {
            what: "collateral file",
            reason,
        };
        if text.len() > FILE_BYTES_MAX {
            return Err(refuse("is too long"));
        }
        let file: File =
            serde_json::from_str(text).map_err(|_| refuse("is not the JSON that dcap-qvl writes"))?;
        let hex = |text: &str| hex::decode(text).map_err(|_| refuse("has an unreadable hex field"));
        let signed = |body: String, signature: &str, chain: &str| -> Result<SignedJson, Refusal> {
            Ok(SignedJson {
                body,
                signature: hex(signature)?,
                signer: signer(chain).ok_or(refuse("has an unreadable chain of certificates"))?,
            })
        };
        let pck_crl = hex(&file.pck_crl)?;
        let authority = authority_of(&pck_crl).map_err(|reason| Refusal::CollateralEncoding {
            what: "Intel PCK CRL",
            reason,
        })?;
        let documents = [
            Document::IntelRootCrl(hex(&file.root_ca_crl)?),
            Document::IntelPckCrl {
                authority,
                list: pck_crl,
            },
            Document::TcbInfo(signed(
                file.tcb_info,
                &file.tcb_info_signature,
                &file.tcb_info_issuer_chain,
            )?),
            Document::QeIdentity(signed(
                file.qe_identity,
                &file.qe_identity_signature,
                &file.qe_identity_issuer_chain,
            )?),
        ];
        Ok(documents
            .map(|document| CollateralUpdate {
                simulated: false,
                document,
            })
            .to_vec())
    }
}

/// Whose list it is, by the issuer it names.
fn authority_of(list: &[u8]) -> Result<PckAuthority, &'static str> {
    pinned_authority_named(List::parse(list)?.issuer()).ok_or("is issued by none of Intel's authorities")
}

/// The first certificate of a PEM chain.
fn signer(chain: &str) -> Option<Vec<u8>> {
    let end = chain.find(PEM_END)?.checked_add(PEM_END.len())?;
    let (label, der) = pem::decode_vec(chain.get(..end)?.trim_start().as_bytes()).ok()?;
    (label == "CERTIFICATE" && der.len() <= LEAF_BYTES_MAX).then_some(der)
}

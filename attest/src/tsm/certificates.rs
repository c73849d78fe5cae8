//! The certificate table that an SNP host hands to its guest (AMD 56421, "GHCB standardization", section
//! 4.1.8.1): entries of 24 bytes (GUID, offset, length), one of zeros, then the certificates.
//!
//! The bytes are the host's. They are read here and not by `sev`, whose reader follows the host's offsets by raw
//! pointers beyond the buffer: a host could read this process's memory out of the "certificate" that we publish.

use crate::limits::LEAF_BYTES_MAX;
use crate::quote_error::QuoteError;
use crate::snp::layout::Report;

/// Bytes of a table. The kernel asks its host for 16 KiB.
pub(super) const TABLE_BYTES_MAX: usize = 16 * 1024;
/// Entries of a table. Six kinds of certificates have a GUID.
const ENTRIES_MAX: usize = 32;
const ENTRY_LEN: usize = 24;

/// 63da758d-e664-4564-adc5-f4b93be8accd
pub(super) const VCEK: [u8; 16] = 0x63da758d_e664_4564_adc5_f4b93be8accd_u128.to_be_bytes();
/// a8074bc2-a25a-483e-aae6-39c045a0b8a1
pub(super) const VLEK: [u8; 16] = 0xa8074bc2_a25a_483e_aae6_39c045a0b8a1_u128.to_be_bytes();
/// 4ab7b379-bbac-4fe4-a02f-05aef327c782: the ASK of a VCEK, the ASVK of a VLEK.
pub(super) const INTERMEDIATE: [u8; 16] = 0x4ab7b379_bbac_4fe4_a02f_05aef327c782_u128.to_be_bytes();

const SIGNED_BY_VCEK: u32 = 0;
const SIGNED_BY_VLEK: u32 = 1;

/// The leaf field of the evidence for `report`, from the host's table: the VCEK, or the VLEK and its ASVK,
/// whichever the report says signed it.
pub(super) fn leaf(report: &Report, table: &[u8]) -> Result<Vec<u8>, QuoteError> {
    let table = Table::parse(table)?;
    let leaf = match report.signing_key() {
        SIGNED_BY_VCEK => table.need(VCEK, "VCEK")?.to_vec(),
        SIGNED_BY_VLEK => [table.need(VLEK, "VLEK")?, table.need(INTERMEDIATE, "ASVK")?].concat(),
        _ => {
            return Err(QuoteError::NoCertificate {
                missing: "signing key's (the host masks the chip key: it must not)",
            });
        }
    };
    bounded(leaf)
}

/// `leaf`, if evidence has room for it.
pub(super) fn bounded(leaf: Vec<u8>) -> Result<Vec<u8>, QuoteError> {
    if leaf.len() > LEAF_BYTES_MAX {
        return Err(QuoteError::LeafTooLong {
            have: leaf.len(),
            max: LEAF_BYTES_MAX,
        });
    }
    Ok(leaf)
}

struct Table<'a>(Vec<([u8; 16], &'a [u8])>);

impl<'a> Table<'a> {
    /// No bytes are no certificates.
    fn parse(bytes: &'a [u8]) -> Result<Self, QuoteError> {
        let unusable = |reason| QuoteError::CertificateTable { reason };
        let mut entries: Vec<([u8; 16], &[u8])> = Vec::new();
        let mut rest = bytes;
        while !bytes.is_empty() {
            let (entry, after) = rest
                .split_first_chunk::<ENTRY_LEN>()
                .ok_or(unusable("it ends before its last entry"))?;
            if *entry == [0; ENTRY_LEN] {
                break;
            }
            if entries.len() == ENTRIES_MAX {
                return Err(unusable("it has more than 32 entries"));
            }
            let [guid @ .., o0, o1, o2, o3, l0, l1, l2, l3] = *entry;
            let guid: [u8; 16] = guid;
            let offset = u32::from_le_bytes([o0, o1, o2, o3]) as usize;
            let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            let certificate = bytes
                .get(offset..)
                .and_then(|from| from.get(..length))
                .ok_or(unusable("an entry points beyond its end"))?;
            if entries.iter().any(|(other, _)| *other == guid) {
                return Err(unusable("it has two certificates of one kind"));
            }
            entries.push((guid, certificate));
            rest = after;
        }
        Ok(Self(entries))
    }

    fn need(&self, guid: [u8; 16], missing: &'static str) -> Result<&'a [u8], QuoteError> {
        self.0
            .iter()
            .find(|(other, certificate)| *other == guid && !certificate.is_empty())
            .map(|(_, certificate)| *certificate)
            .ok_or(QuoteError::NoCertificate { missing })
    }
}

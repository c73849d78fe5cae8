//! Evidence as it lies in files: reports and quotes as hardware gives them, certificates in DER or PEM, collateral
//! as verifiers of quotes exchange it. Each file is bounded before it is read.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use tacit_attest::{
    Collateral, CollateralUpdate, Document, Evidence, Generation, PckAuthority, Platform, Refusal, describe,
    key_info, pins,
};

use crate::{
    context::{Context, read_file},
    failure::{Done, Failure},
};

/// Longest file of a report or quote, in bytes. A quote has 5 KiB, with the zeros that some clouds append 8,000
/// bytes; twice that in hex.
const MAX_REPORT: u64 = 32 * 1024;
/// Longest file of certificates, in bytes: three certificates of under 3 KiB in PEM.
const MAX_CERTIFICATES: u64 = 32 * 1024;
/// Longest file of collateral, in bytes: two signed documents, two lists and two chains, 16 to 22 KiB as a rule.
const MAX_COLLATERAL: u64 = 512 * 1024;
/// Files looked at, in a folder, for an intermediate that a VLEK came without.
const MAX_NEIGHBOURS: usize = 256;
/// Longest certificate looked at there, in bytes.
const MAX_NEIGHBOUR: u64 = 8 * 1024;

/// Evidence from a file of what hardware gave, and files of certificates. What cannot be evidence is refused by
/// name, in the inner result: such bytes have a verdict too.
pub(crate) fn evidence(
    context: &Context,
    report: &Path,
    leaves: &[PathBuf],
) -> Done<Result<Evidence, Refusal>> {
    let report = self::report(report)?;
    let mut chain = Vec::new();
    for path in leaves {
        chain.extend(certificates(path)?);
    }
    // Roots are compiled in and pinned: one that came along says nothing. The order of files is no matter.
    chain.retain(|certificate| pinned(certificate) != Some(Pinned::Root));
    chain.sort_by_key(|certificate| pinned(certificate).is_some());
    let leaf = chain.concat();
    let found = Evidence::detect(&report, (!leaf.is_empty()).then_some(leaf.as_slice()));
    if let (Ok(evidence), [_], Some(path)) = (&found, chain.as_slice(), leaves.first())
        && let Some(generation) = vlek_generation(evidence)
        && let Some((file, intermediate)) = neighbour(path, generation)
    {
        let text = format!("{}: AMD's VLEK signer, by its fingerprint", file.display());
        context.output.note("found", text);
        return Ok(Evidence::detect(&report, Some(&[leaf, intermediate].concat())));
    }
    Ok(found)
}

/// A report or quote as hardware gave it.
pub(crate) fn report(path: &Path) -> Done<Vec<u8>> {
    Ok(unhex(read_file(path, MAX_REPORT)?))
}

/// Documents of collateral files, in their order.
pub(crate) fn collateral(paths: &[PathBuf]) -> Done<Result<Vec<CollateralUpdate>, Refusal>> {
    let mut all = Vec::new();
    for path in paths {
        match documents(path)? {
            Ok(found) => all.extend(found),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    Ok(Ok(all))
}

/// The documents of one file: what a verifier of quotes took from Intel, this project's own form, or one list in DER.
pub(crate) fn documents(path: &Path) -> Done<Result<Vec<CollateralUpdate>, Refusal>> {
    let bytes = read_file(path, MAX_COLLATERAL)?;
    let unknown = || {
        Failure::usage(format!("{}: no collateral in a known form", path.display()))
            .hint("give the JSON that dcap-qvl writes, or one revocation list in DER")
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        let document = revocation_list(bytes).ok_or_else(unknown)?;
        return Ok(Ok(vec![CollateralUpdate {
            simulated: false,
            document,
        }]));
    };
    if let Ok(updates) = serde_json::from_str::<Vec<CollateralUpdate>>(text) {
        return Ok(Ok(updates));
    }
    let quotes = serde_json::from_str::<serde_json::Value>(text).map_err(|_| unknown())?;
    if quotes.get("tcb_info").is_none() {
        return Err(unknown());
    }
    Ok(Collateral::from_qvl_json(text))
}

/// A list, put where its issuer's name says; whether the issuer signed it is for the verifier.
fn revocation_list(list: Vec<u8>) -> Option<Document> {
    let names = |name: &str| list.windows(name.len()).any(|bytes| bytes == name.as_bytes());
    if names("Intel SGX Root CA") {
        return Some(Document::IntelRootCrl(list));
    }
    let authority = if names("Intel SGX PCK Platform CA") {
        Some(PckAuthority::Platform)
    } else if names("Intel SGX PCK Processor CA") {
        Some(PckAuthority::Processor)
    } else {
        None
    };
    if let Some(authority) = authority {
        return Some(Document::IntelPckCrl { authority, list });
    }
    let generation = [
        (Generation::Milan, "ARK-Milan"),
        (Generation::Genoa, "ARK-Genoa"),
        (Generation::Turin, "ARK-Turin"),
    ]
    .into_iter()
    .find(|(_, name)| names(name))?
    .0;
    Some(Document::AmdCrl { generation, list })
}

/// The generation of an SNP report that says that a provider's key signs it.
fn vlek_generation(evidence: &Evidence) -> Option<Generation> {
    const KEY_INFO: std::ops::Range<usize> = 0x48..0x4c;
    let key = evidence.report.get(KEY_INFO)?.try_into().ok()?;
    let kind = u32::from_le_bytes(key) >> key_info::SIGNING_KEY_SHIFT;
    if evidence.platform != Platform::SevSnp || kind & key_info::SIGNING_KEY_MASK != 1 {
        return None;
    }
    let fields = describe(evidence).ok()?;
    let (_, named) = fields.into_iter().find(|(name, _)| name == "report.generation")?;
    Generation::ALL
        .into_iter()
        .find(|generation| named.starts_with(&generation.to_string()))
}

/// The first certificate of a file.
pub(crate) fn leaf(path: &Path) -> Done<Vec<u8>> {
    let first = certificates(path)?.into_iter().next();
    first.ok_or_else(|| Failure::usage(format!("{}: no certificate in DER or PEM", path.display())))
}

/// Certificates of a file in DER or PEM, in their order.
fn certificates(path: &Path) -> Done<Vec<Vec<u8>>> {
    let bytes = read_file(path, MAX_CERTIFICATES)?;
    let broken = |what: &str| Failure::usage(format!("{}: {what}", path.display())).hint("give DER or PEM");
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains(BEGIN) => text,
        _ => return split_der(&bytes).ok_or_else(|| broken("no certificate in DER or PEM")),
    };
    let mut found = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let (body, _) = block
            .split_once(END)
            .ok_or_else(|| broken("a PEM block without its end"))?;
        let digits: String = body.split_whitespace().collect();
        found.push(
            STANDARD
                .decode(digits)
                .map_err(|_| broken("a PEM block that is not base64"))?,
        );
    }
    Ok(found)
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Certificates that follow each other in DER. Only their lengths are looked at: what they are is for the verifier.
fn split_der(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while !rest.is_empty() {
        // SEQUENCE with a length of two bytes: every certificate of 256 to 65,535 bytes.
        let [0x30, 0x82, high, low, ..] = rest else {
            return None;
        };
        let length = 4 + usize::from(u16::from_be_bytes([*high, *low]));
        let (certificate, tail) = rest.split_at_checked(length)?;
        found.push(certificate.to_vec());
        rest = tail;
    }
    (!found.is_empty()).then_some(found)
}

/// A text of hex digits, as tools print reports; any other bytes are what they are. No report begins with two
/// digits: its first bytes are a small version number.
fn unhex(bytes: Vec<u8>) -> Vec<u8> {
    let digits: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    hex::decode(digits).unwrap_or(bytes)
}

/// Which of AMD's certificates this is, by fingerprint.
#[derive(PartialEq, Eq)]
enum Pinned {
    Root,
    Intermediate,
}

fn pinned(certificate: &[u8]) -> Option<Pinned> {
    let hash: [u8; 32] = Sha256::digest(certificate).into();
    Generation::ALL.into_iter().map(pins).find_map(|pins| match hash {
        hash if hash == pins.ark => Some(Pinned::Root),
        hash if hash == pins.ask || hash == pins.asvk => Some(Pinned::Intermediate),
        _ => None,
    })
}

/// AMD's VLEK signer of a generation, in the folder of a leaf or in the folder `roots` there. Only the pinned
/// fingerprint counts, so it is no matter whose file it is.
fn neighbour(leaf: &Path, generation: Generation) -> Option<(PathBuf, Vec<u8>)> {
    let folder = match leaf.parent()? {
        here if here.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    let mut files: Vec<PathBuf> = [folder.to_path_buf(), folder.join("roots")]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.take(MAX_NEIGHBOURS).flatten().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|end| ["der", "pem", "crt", "cer"].iter().any(|known| end == *known))
        })
        .collect();
    files.sort();
    files.into_iter().find_map(|path| {
        let short = path
            .metadata()
            .is_ok_and(|file| file.is_file() && file.len() <= MAX_NEIGHBOUR);
        let found = if short {
            certificates(&path).ok()?
        } else {
            Vec::new()
        };
        let is_signer = |certificate: &Vec<u8>| {
            let hash: [u8; 32] = Sha256::digest(certificate).into();
            pins(generation).asvk == hash
        };
        found
            .into_iter()
            .find(is_signer)
            .map(|certificate| (path, certificate))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_text_is_decoded_and_bytes_are_left_alone() {
        assert_eq!(unhex(b"02 00\n00ff\n".to_vec()), [2, 0, 0, 0xff]);
        assert_eq!(unhex(vec![2, 0, 0, 0]), [2, 0, 0, 0]);
        assert_eq!(unhex(b"0x02".to_vec()), b"0x02");
    }

    #[test]
    fn certificates_come_in_der_one_after_another_or_in_pem() {
        let one = [&[0x30, 0x82, 0x01, 0x00][..], &[7; 256]].concat();
        let two = [&[0x30, 0x82, 0x01, 0x01][..], &[8; 257]].concat();
        let both = [one.clone(), two.clone()].concat();
        assert_eq!(split_der(&both), Some(vec![one.clone(), two.clone()]));
        for broken in [&both[..both.len() - 1], b"", b"rubbish", &[0x30, 0x82, 1]] {
            assert_eq!(split_der(broken), None);
        }

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain.pem");
        let block = |der: &[u8]| format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der));
        std::fs::write(&path, format!("subject=x\n{}{}", block(&one), block(&two))).unwrap();
        assert_eq!(certificates(&path).unwrap(), [one, two]);
        for broken in [format!("{BEGIN}\nAAAA"), format!("{BEGIN}\n%%\n{END}")] {
            std::fs::write(&path, broken).unwrap();
            assert_eq!(certificates(&path).err().unwrap().code, "usage.invalid");
        }
    }
}

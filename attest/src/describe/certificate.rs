//! X.509 certificates and revocation lists, with the extensions of AMD's VCEK and VLEK (AMD 57230) and of Intel's
//! PCK (Intel, "SGX PCK Certificate and CRL Profile", 1.3.5) taken apart.

use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, DecodePem, Encode};
use x509_cert::ext::Extension;

use super::fields::Fields;
use crate::snp::leaf::OID_AMD;

/// Intel's extension of PCK certificates.
const OID_SGX: &str = "1.2.840.113741.1.13.1";
/// Depth of Intel's extension at most; it has three levels.
const DEPTH_MAX: u8 = 4;
/// AMD's extensions by their arcs under [`OID_AMD`].
const AMD: [(&str, &str); 13] = [
    ("1", "structure_version"),
    ("2", "product"),
    ("3.1", "tcb.bootloader"),
    ("3.2", "tcb.tee"),
    ("3.3", "tcb.snp"),
    ("3.4", "tcb.reserved4"),
    ("3.5", "tcb.reserved5"),
    ("3.6", "tcb.reserved6"),
    ("3.7", "tcb.reserved7"),
    ("3.8", "tcb.microcode"),
    ("3.9", "tcb.fmc"),
    ("4", "hardware_id"),
    ("5", "provider"),
];
/// Intel's by their arcs under [`OID_SGX`]; components have arcs 2.1 to 2.16.
const SGX: [(&str, &str); 11] = [
    ("1", "ppid"),
    ("2.17", "tcb.pce_svn"),
    ("2.18", "tcb.cpu_svn"),
    ("3", "pce_id"),
    ("4", "fmspc"),
    ("5", "sgx_type"),
    ("6", "platform_instance_id"),
    ("7.1", "configuration.dynamic_platform"),
    ("7.2", "configuration.cached_keys"),
    ("7.3", "configuration.smt"),
    ("8", "tcb_type"),
];
/// RFC 5280's, as far as vendors use them.
const STANDARD: [(&str, &str); 8] = [
    ("2.5.29.14", "subject_key_id"),
    ("2.5.29.15", "key_usage"),
    ("2.5.29.19", "basic_constraints"),
    ("2.5.29.20", "crl_number"),
    ("2.5.29.31", "crl_distribution_points"),
    ("2.5.29.32", "certificate_policies"),
    ("2.5.29.35", "authority_key_id"),
    ("2.5.29.37", "extended_key_usage"),
];
const ALGORITHMS: [(&str, &str); 6] = [
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.10045.2.1", "EC"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.3.132.0.34", "P-384"),
];

/// A certificate in PEM.
pub(super) fn pem(name: &str, pem: &str, out: &mut Fields) {
    match Certificate::from_pem(pem.trim_start()) {
        Ok(certificate) => parsed(name, &certificate, out),
        Err(_) => out.put(name, "is not a certificate in PEM"),
    }
}

/// A certificate in DER.
pub(super) fn certificate(name: &str, der: &[u8], out: &mut Fields) {
    match Certificate::from_der(der) {
        Ok(certificate) => parsed(name, &certificate, out),
        Err(_) if der.is_empty() => out.put(name, "is not there"),
        Err(_) => out.put(name, "is not one DER certificate"),
    }
}

fn parsed(name: &str, certificate: &Certificate, out: &mut Fields) {
    let tbs = &certificate.tbs_certificate;
    let field = |field: &str| format!("{name}.{field}");
    out.put(&field("version"), format!("{:?}", tbs.version));
    out.hex(&field("serial"), tbs.serial_number.as_bytes());
    out.put(&field("subject"), &tbs.subject);
    out.put(&field("issuer"), &tbs.issuer);
    let validity = &tbs.validity;
    out.put(
        &field("validity"),
        format!("{} to {}", validity.not_before, validity.not_after),
    );
    let key = &tbs.subject_public_key_info;
    let curve = key.algorithm.parameters.as_ref();
    let curve = curve.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    let algorithm = algorithm(&key.algorithm.oid);
    out.put(
        &field("public_key.algorithm"),
        match curve {
            Some(curve) => format!("{algorithm} on {}", self::algorithm(&curve)),
            None => algorithm,
        },
    );
    out.hex(&field("public_key"), key.subject_public_key.raw_bytes());
    for extension in tbs.extensions.iter().flatten() {
        self::extension(name, extension, out);
    }
    out.put(
        &field("signature.algorithm"),
        self::algorithm(&certificate.signature_algorithm.oid),
    );
    out.hex(&field("signature"), certificate.signature.raw_bytes());
}

fn algorithm(oid: &ObjectIdentifier) -> String {
    let oid = oid.to_string();
    let known = ALGORITHMS.iter().find(|(known, _)| *known == oid);
    known.map_or(oid.clone(), |(_, name)| (*name).to_owned())
}

fn extension(name: &str, extension: &Extension, out: &mut Fields) {
    let oid = extension.extn_id.to_string();
    let value = extension.extn_value.as_bytes();
    if extension.critical {
        out.put(&format!("{name}.extension.{oid}.critical"), true);
    }
    if let Some(arc) = oid.strip_prefix(OID_AMD) {
        match AMD.iter().find(|(known, _)| *known == arc) {
            // Alone among them the hardware id is raw bytes.
            Some((_, "hardware_id")) => out.hex(&format!("{name}.hardware_id"), value),
            Some((_, field)) => out.put(&format!("{name}.{field}"), der_value(value)),
            None => out.hex(&format!("{name}.extension.{oid}"), value),
        }
    } else if oid == OID_SGX {
        sgx(&format!("{name}.sgx"), value, DEPTH_MAX, out);
    } else {
        let known = STANDARD.iter().find(|(known, _)| *known == oid);
        let field = known.map_or(format!("extension.{oid}"), |(_, field)| (*field).to_owned());
        out.hex(&format!("{name}.{field}"), value);
    }
}

/// A sequence of pairs of OID and value, where a value may be such a sequence.
fn sgx(name: &str, der: &[u8], depth: u8, out: &mut Fields) {
    let Some((0x30, mut pairs, [])) = tlv(der) else {
        return out.hex(name, der);
    };
    while let Some((0x30, pair, rest)) = tlv(pairs) {
        pairs = rest;
        let Some((0x06, oid, value)) = tlv(pair) else {
            out.hex(&format!("{name}.unreadable"), pair);
            continue;
        };
        let oid = ObjectIdentifier::from_bytes(oid).map_or_else(|_| hex::encode(oid), |oid| oid.to_string());
        let arc = oid
            .strip_prefix(OID_SGX)
            .map_or(oid.as_str(), |arc| arc.trim_start_matches('.'));
        if depth > 1 && matches!(tlv(value), Some((0x30, _, []))) {
            sgx(name, value, depth - 1, out);
            continue;
        }
        let known = SGX.iter().find(|(known, _)| *known == arc);
        let component = arc
            .strip_prefix("2.")
            .and_then(|number| number.parse::<u8>().ok());
        let field = match (known, component) {
            (Some((_, field)), _) => (*field).to_owned(),
            (None, Some(number)) => format!("tcb.component{number:02}"),
            (None, None) => format!("extension.{arc}"),
        };
        out.put(&format!("{name}.{field}"), der_value(value));
    }
    if !pairs.is_empty() {
        out.hex(&format!("{name}.unreadable"), pairs);
    }
}

/// An integer, boolean, enumeration, text or byte string for people; hex of the encoding for all else.
fn der_value(der: &[u8]) -> String {
    match tlv(der) {
        Some((0x02 | 0x0a, number, [])) if (1..=8).contains(&number.len()) => {
            let value = number.iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
            value.to_string()
        }
        Some((0x01, [flag], [])) => (*flag != 0).to_string(),
        Some((0x04, bytes, [])) => hex::encode(bytes),
        Some((0x0c | 0x13 | 0x16, text, [])) if text.is_ascii() => String::from_utf8_lossy(text).into_owned(),
        _ => hex::encode(der),
    }
}

/// Splits off one DER value: its tag, content, and what follows. Lengths of at most two bytes.
fn tlv(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, len, rest) = match der {
        [tag, len @ 0..=0x7f, rest @ ..] => (*tag, usize::from(*len), rest),
        [tag, 0x81, len, rest @ ..] => (*tag, usize::from(*len), rest),
        [tag, 0x82, high, low, rest @ ..] => (*tag, usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

/// A revocation list in DER.
pub(super) fn revocation_list(name: &str, der: &[u8], out: &mut Fields) {
    let Ok(list) = CertificateList::from_der(der) else {
        return out.put(name, "is not one DER revocation list");
    };
    let tbs = &list.tbs_cert_list;
    let field = |field: &str| format!("{name}.{field}");
    out.put(&field("version"), format!("{:?}", tbs.version));
    out.put(&field("issuer"), &tbs.issuer);
    out.put(&field("this_update"), tbs.this_update);
    let next_update = tbs.next_update.map(|time| time.to_string());
    out.put(&field("next_update"), next_update.unwrap_or("none".to_owned()));
    let entries = || tbs.revoked_certificates.iter().flatten();
    out.put(&field("revoked"), entries().count());
    for (i, entry) in entries().enumerate() {
        let mut line = format!(
            "serial {} since {}",
            hex::encode(entry.serial_number.as_bytes()),
            entry.revocation_date
        );
        for extension in entry.crl_entry_extensions.iter().flatten() {
            let value = extension.to_der().unwrap_or_default();
            line += &format!(", extension {} {}", extension.extn_id, hex::encode(value));
        }
        out.put(&field(&format!("revoked{i}")), line);
    }
    for extension in tbs.crl_extensions.iter().flatten() {
        if extension.extn_id.to_string() == "2.5.29.20" {
            out.put(&field("crl_number"), der_value(extension.extn_value.as_bytes()));
        } else {
            self::extension(name, extension, out);
        }
    }
    out.put(
        &field("signature.algorithm"),
        algorithm(&list.signature_algorithm.oid),
    );
    out.hex(&field("signature"), list.signature.raw_bytes());
}

//! Intel quotes of version 3 (SGX), 4 and 5 (SGX, TD 1.0, 1.5, 1.5ex), after Intel's `sgx_quote_3.h`,
//! `sgx_quote_4.h` and `sgx_quote_5.h`. All numbers are little-endian.

use super::certificate;
use super::fields::{CutOff, Fields, Reader};
use crate::limits::REPORT_BYTES_MAX;
use crate::snp::roots::sha256;

/// Certification data: a PEM chain.
const PEM_CHAIN: u64 = 5;
/// Certification data: the quoting enclave's report, and certification data of its own.
const QE_REPORT: u64 = 6;
const TEE_TDX: u64 = 0x81;
/// Certificates of a chain that are shown.
const CHAIN_MAX: usize = 8;

/// Intel 348551, TD_PARAMS: ATTRIBUTES.
const TD_ATTRIBUTES: [(u32, &str); 13] = [
    (0, "debug"),
    (4, "hgs_plus_prof"),
    (5, "perf_prof"),
    (6, "pmt_prof"),
    (16, "icssd"),
    (17, "servtd_ext"),
    (27, "lass"),
    (28, "sept_ve_disable"),
    (29, "migratable"),
    (30, "pks"),
    (31, "kl"),
    (62, "tpa"),
    (63, "perfmon"),
];
/// Intel SDM volume 3D: SECS.ATTRIBUTES.
const ENCLAVE_ATTRIBUTES: [(u32, &str); 7] = [
    (0, "init"),
    (1, "debug"),
    (2, "mode64bit"),
    (4, "provision_key"),
    (5, "einittoken_key"),
    (6, "cet"),
    (7, "kss"),
];

pub(super) fn quote(bytes: &[u8], out: &mut Fields) {
    let (bytes, more) = match bytes.split_at_checked(REPORT_BYTES_MAX) {
        Some((head, rest)) => (head, rest.len()),
        None => (bytes, 0),
    };
    let mut reader = Reader(bytes);
    // A line about what is cut off is there already.
    let _ = parts(&mut reader, out);
    if more != 0 {
        out.put("quote.not_shown", format!("{more} bytes"));
    }
}

fn parts(reader: &mut Reader<'_>, out: &mut Fields) -> Result<(), CutOff> {
    let version = reader.number("quote.version", 2, out)?;
    reader.number("quote.attestation_key_type", 2, out)?;
    let tee_type = reader.number("quote.tee_type", 4, out)?;
    reader.number("quote.qe_svn", 2, out)?;
    reader.number("quote.pce_svn", 2, out)?;
    reader.hex("quote.qe_vendor_id", 16, out)?;
    reader.hex("quote.user_data", 20, out)?;
    let body_type = match (version, tee_type) {
        (3, _) | (4, 0) => 1,
        (4, TEE_TDX) => 2,
        (5, _) => {
            let body_type = reader.number("quote.body_type", 2, out)?;
            reader.number("quote.body_size", 4, out)?;
            body_type
        }
        _ => {
            out.put(
                "quote.body",
                format!("of unknown layout: version {version}, TEE {tee_type:#x}"),
            );
            return Err(CutOff);
        }
    };
    match body_type {
        1 => enclave("enclave", reader, out)?,
        2..=4 => trust_domain(body_type, reader, out)?,
        other => {
            out.put("quote.body", format!("of unknown type {other}"));
            return Err(CutOff);
        }
    }
    let len = reader.number("quote.signature_bytes", 4, out)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let mut signature = Reader(reader.take("quote.signature", len, out)?);
    self::signature(version, &mut signature, out)?;
    rest("quote.signature.trailing", &signature, out);
    rest("quote.trailing", reader, out);
    Ok(())
}

/// Bytes that no field claims.
fn rest(name: &str, reader: &Reader<'_>, out: &mut Fields) {
    match reader.0 {
        [] => {}
        zero if zero.iter().all(|byte| *byte == 0) => out.put(name, format!("{} zero bytes", zero.len())),
        other => out.hex(name, other),
    }
}

fn signature(version: u64, reader: &mut Reader<'_>, out: &mut Fields) -> Result<(), CutOff> {
    reader.hex("quote.signature.ecdsa", 64, out)?;
    reader.hex("quote.signature.attestation_key", 64, out)?;
    if version == 3 {
        return qe(reader, out);
    }
    let kind = reader.number("quote.certification.type", 2, out)?;
    let data = sized("quote.certification.data", reader, out)?;
    if kind != QE_REPORT {
        out.hex("quote.certification.data", data);
        return Ok(());
    }
    let mut inner = Reader(data);
    qe(&mut inner, out)?;
    rest("quote.certification.trailing", &inner, out);
    Ok(())
}

/// The quoting enclave: its report, the leaf's signature over it, and who vouches for the leaf.
fn qe(reader: &mut Reader<'_>, out: &mut Fields) -> Result<(), CutOff> {
    let mut report = Reader(reader.take("qe", 384, out)?);
    enclave("qe", &mut report, out)?;
    reader.hex("qe.signature", 64, out)?;
    let len = reader.number("qe.authentication_data_bytes", 2, out)?;
    reader.hex(
        "qe.authentication_data",
        usize::try_from(len).unwrap_or(usize::MAX),
        out,
    )?;
    let kind = reader.number("qe.certification.type", 2, out)?;
    let data = sized("qe.certification.data", reader, out)?;
    match kind {
        PEM_CHAIN => {
            // The text itself, which may say the same in other bytes.
            out.hex("qe.certification.sha256", &sha256(data));
            chain(data, out);
        }
        _ => out.hex("qe.certification.data", data),
    }
    Ok(())
}

fn sized<'a>(name: &str, reader: &mut Reader<'a>, out: &mut Fields) -> Result<&'a [u8], CutOff> {
    let len = reader.number(&format!("{name}_bytes"), 4, out)?;
    reader.take(name, usize::try_from(len).unwrap_or(usize::MAX), out)
}

/// Each certificate of a PEM chain; a bare quote has none.
fn chain(pem: &[u8], out: &mut Fields) {
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(pem);
    let blocks = text.split_inclusive(END).filter(|block| block.ends_with(END));
    for (i, block) in blocks.take(CHAIN_MAX).enumerate() {
        certificate::pem(&format!("certificate{i}"), block, out);
    }
}

/// 384 bytes: a report about an enclave.
fn enclave(name: &str, reader: &mut Reader<'_>, out: &mut Fields) -> Result<(), CutOff> {
    let field = |field: &str| format!("{name}.{field}");
    reader.hex(&field("cpu_svn"), 16, out)?;
    reader.number(&field("misc_select"), 4, out)?;
    reader.hex(&field("reserved1"), 28, out)?;
    reader.flags(&field("attributes"), &ENCLAVE_ATTRIBUTES, out)?;
    reader.flags(&field("xfrm"), &[], out)?;
    reader.hex(&field("mr_enclave"), 32, out)?;
    reader.hex(&field("reserved2"), 32, out)?;
    reader.hex(&field("mr_signer"), 32, out)?;
    reader.hex(&field("reserved3"), 96, out)?;
    reader.number(&field("isv_prod_id"), 2, out)?;
    reader.number(&field("isv_svn"), 2, out)?;
    reader.hex(&field("reserved4"), 60, out)?;
    reader.hex(&field("report_data"), 64, out)?;
    Ok(())
}

/// 584 bytes of TD 1.0, 648 of TD 1.5, 885 of TD 1.5ex.
fn trust_domain(body_type: u64, reader: &mut Reader<'_>, out: &mut Fields) -> Result<(), CutOff> {
    reader.hex("td.tee_tcb_svn", 16, out)?;
    reader.hex("td.mr_seam", 48, out)?;
    reader.hex("td.mr_signer_seam", 48, out)?;
    reader.flags("td.seam_attributes", &[], out)?;
    reader.flags("td.attributes", &TD_ATTRIBUTES, out)?;
    reader.flags("td.xfam", &[], out)?;
    let registers = [
        "mr_td",
        "mr_config_id",
        "mr_owner",
        "mr_owner_config",
        "rtmr0",
        "rtmr1",
        "rtmr2",
        "rtmr3",
    ];
    for register in registers {
        reader.hex(&format!("td.{register}"), 48, out)?;
    }
    reader.hex("td.report_data", 64, out)?;
    if body_type >= 3 {
        reader.hex("td.tee_tcb_svn2", 16, out)?;
        reader.hex("td.mr_service_td", 48, out)?;
    }
    if body_type >= 4 {
        reader.number("td.vm_id", 1, out)?;
        reader.hex("td.td_id", 32, out)?;
        reader.hex("td.dev_info", 48, out)?;
        reader.hex("td.init_service_td_hash", 48, out)?;
        reader.flags("td.init_service_td_attributes", &[], out)?;
        reader.hex("td.init_cpu_svn", 16, out)?;
        reader.hex("td.init_tee_tcb_svn", 16, out)?;
        reader.hex("td.init_tee_fmspc", 12, out)?;
        reader.hex("td.cur_service_td_hash", 48, out)?;
        reader.flags("td.cur_service_td_attributes", &[], out)?;
    }
    Ok(())
}

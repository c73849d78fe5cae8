//! What a TDX guest reads of its own quote.

use crate::evidence::Measurement;
use crate::measure::tdx;

/// Bytes of the quote's header (Intel, "TDX DCAP Quoting Library API", appendix 3).
const HEADER_LEN: usize = 48;
/// Bytes of version 5's type and size, between header and body.
const BODY_HEADER_LEN: usize = 6;
/// Bytes of a TD report body 1.0; later ones only append.
const BODY_LEN: usize = 584;
const TEE_TYPE_TDX: [u8; 4] = [0x81, 0, 0, 0];

/// What a machine needs to know of its own, unverified quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TdBody {
    pub(super) report_data: [u8; 64],
    pub(super) measurement: Measurement,
}

impl TdBody {
    /// Reads a TDX quote of version 4, or of version 5 with a TD report 1.0 or 1.5. Verifies nothing.
    pub(super) fn of_quote(quote: &[u8]) -> Option<Self> {
        let (header, rest) = quote.split_first_chunk::<HEADER_LEN>()?;
        if header.get(4..8)? != TEE_TYPE_TDX {
            return None;
        }
        let body = match u16::from_le_bytes(*header.first_chunk()?) {
            4 => rest,
            5 => {
                let (kind, body) = rest.split_first_chunk::<BODY_HEADER_LEN>()?;
                matches!(u16::from_le_bytes(*kind.first_chunk()?), 2 | 3).then_some(body)?
            }
            _ => return None,
        };
        let body = body.first_chunk::<BODY_LEN>()?;
        let register = |at: usize| -> Option<[u8; 48]> { body.get(at..)?.first_chunk().copied() };
        Some(Self {
            report_data: *body.get(520..)?.first_chunk()?,
            measurement: tdx(
                register(136)?,
                [register(328)?, register(376)?, register(424)?, register(472)?],
                register(184)?,
                register(232)?,
                register(280)?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::PathBuf;

    use serde_json::Value;

    use super::*;

    /// Eight registers and report data, each of one byte value.
    fn quote(version: u16) -> Vec<u8> {
        let mut body = vec![0; BODY_LEN];
        for (number, at) in [
            (1, 136),
            (6, 184),
            (7, 232),
            (8, 280),
            (2, 328),
            (3, 376),
            (4, 424),
            (5, 472),
        ] {
            body[at..at + 48].fill(number);
        }
        body[520..].fill(0xda);
        let mut quote = vec![0; HEADER_LEN];
        quote[..2].copy_from_slice(&version.to_le_bytes());
        quote[4..8].copy_from_slice(&TEE_TYPE_TDX);
        if version == 5 {
            quote.extend([3, 0]);
            quote.extend(648_u32.to_le_bytes());
            body.extend([0; 64]);
        }
        quote.extend(body);
        quote
    }

    #[test]
    fn each_register_is_read_from_its_place() {
        let register = |byte| [byte; 48];
        let need = TdBody {
            report_data: [0xda; 64],
            measurement: tdx(
                register(1),
                [register(2), register(3), register(4), register(5)],
                register(6),
                register(7),
                register(8),
            ),
        };
        for version in [4, 5] {
            assert_eq!(
                TdBody::of_quote(&quote(version)).as_ref(),
                Some(&need),
                "version {version}"
            );
        }
    }

    /// The collection stands beside the workspace, or where `TACIT_EVIDENCE` says; without it the test says so.
    #[test]
    fn real_quotes_give_the_registers_of_their_manifest() {
        let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/evidence");
        let folder = std::env::var_os("TACIT_EVIDENCE").map_or(beside, PathBuf::from);
        let Ok(manifest) = std::fs::read(folder.join("manifest.json")) else {
            let notice = format!(
                "NOTICE: no evidence at {}: this test checked nothing\n",
                folder.display()
            );
            std::io::stderr()
                .write_all(notice.as_bytes())
                .expect("standard error");
            return;
        };
        let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        let mut count = 0;
        for case in manifest["cases"].as_array().expect("cases") {
            if case["platform"] != "intel-tdx" {
                continue;
            }
            let facts = &case["facts"];
            let text = |name: &str| facts[name].as_str().unwrap_or_else(|| panic!("{name} in {case}"));
            let register = |name: &str| text(name).parse::<Measurement>().expect("48 bytes").0;
            let quote = case["files"]["quote"]["path"].as_str().expect("a path");
            let quote = std::fs::read(folder.join(quote)).expect("a quote");
            let body = TdBody::of_quote(&quote).expect("a TDX quote");
            assert_eq!(
                hex::encode(body.report_data),
                text("report_data"),
                "{}",
                case["id"]
            );
            let need = tdx(
                register("mr_td"),
                ["rtmr0", "rtmr1", "rtmr2", "rtmr3"].map(register),
                register("mr_config_id"),
                register("mr_owner"),
                register("mr_owner_config"),
            );
            assert_eq!(body.measurement, need, "{}", case["id"]);
            count += 1;
        }
        assert!(count >= 8, "{count} quotes");
    }

    #[test]
    fn what_is_no_td_quote_has_no_measurement() {
        let good = quote(4);
        for len in 0..HEADER_LEN + BODY_LEN {
            assert_eq!(TdBody::of_quote(&good[..len]), None, "{len} bytes");
        }
        for (at, value) in [(0, 3), (0, 6), (4, 0)] {
            let mut other = good.clone();
            other[at] = value;
            assert_eq!(TdBody::of_quote(&other), None, "byte {at} is {value}");
        }
        let mut sgx = quote(5);
        sgx[HEADER_LEN] = 1;
        assert_eq!(TdBody::of_quote(&sgx), None, "version 5 with an SGX body");
    }
}

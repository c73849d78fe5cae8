//! The SEV-SNP guest device, by `sev`'s ioctls. The only file here that touches hardware.

use sev::firmware::guest::{DerivedKey, Firmware, GuestFieldSelect};
use sev::firmware::host::CertType;
use zeroize::Zeroizing;

use crate::evidence::{Evidence, Measurement, Platform};
use crate::quoter::{QuoteError, Quoter, sealing_key};
use crate::snp::generation::Generation;
use crate::snp::layout::Report;
use crate::snp::sized;

/// The device file that `sev` opens.
const PATH: &str = "/dev/sev-guest";
/// Version 2 of the key request demands a mitigation vector, which would change the key with the firmware.
const MESSAGE_VERSION: u32 = 1;
/// Report and key are asked for at the most privileged level.
const VMPL: u32 = 0;

/// This machine's security processor. Opened anew for each request, so that making one needs no device.
#[derive(Debug, Default)]
pub struct SnpDevice {
    leaf: Option<Vec<u8>>,
}

impl SnpDevice {
    /// Takes the VCEK certificate from the host with each report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses `leaf`, the DER of this chip's VCEK for its reported TCB, for hosts that supply none.
    pub fn with_leaf(leaf: Vec<u8>) -> Self {
        Self { leaf: Some(leaf) }
    }

    fn open() -> Result<Firmware, QuoteError> {
        Firmware::open().map_err(|source| QuoteError::NoDevice { path: PATH, source })
    }
}

fn refused<E: ToString>(request: &'static str) -> impl FnOnce(E) -> QuoteError {
    move |error| QuoteError::Firmware {
        request,
        detail: error.to_string(),
    }
}

impl Quoter for SnpDevice {
    fn platform(&self) -> Platform {
        Platform::SevSnp
    }

    fn quote(&self, report_data: [u8; 64]) -> Result<Evidence, QuoteError> {
        let mut firmware = Self::open()?;
        let (message, data, vmpl) = (Some(MESSAGE_VERSION), Some(report_data), Some(VMPL));
        if let Some(leaf) = &self.leaf {
            let report = firmware
                .get_report(message, data, vmpl)
                .map_err(refused("a report"))?;
            return Ok(Evidence {
                platform: Platform::SevSnp,
                report,
                leaf: leaf.clone(),
            });
        }
        let (report, certificates) = firmware
            .get_ext_report(message, data, vmpl)
            .map_err(refused("a report with certificates"))?;
        let leaf = certificates
            .unwrap_or_default()
            .into_iter()
            .find(|entry| entry.cert_type == CertType::VCEK)
            .ok_or(QuoteError::NoCertificate)?
            .data;
        Ok(Evidence {
            platform: Platform::SevSnp,
            report,
            leaf,
        })
    }

    fn sealing_key(&self, context: &[u8]) -> Result<Zeroizing<[u8; 32]>, QuoteError> {
        let mut fields = GuestFieldSelect::default();
        fields.set_measurement(true);
        fields.set_guest_policy(true);
        let request = DerivedKey::new(false, fields, VMPL, 0, 0, None);
        let root = Self::open()?
            .get_derived_key(Some(MESSAGE_VERSION), request)
            .map(Zeroizing::new)
            .map_err(refused("a derived key"))?;
        Ok(sealing_key(&root, context))
    }

    fn measurement(&self) -> Option<Measurement> {
        let report = Self::open()
            .ok()?
            .get_report(Some(MESSAGE_VERSION), None, Some(VMPL))
            .ok()?;
        // The measurement stands at the same place in every generation's layout.
        Some(Report::read(sized(&report).ok()?, Generation::Genoa).measurement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_device_the_error_says_what_is_missing() {
        if std::path::Path::new(PATH).exists() {
            println!("notice: {PATH} exists here, nothing to test");
            return;
        }
        let device = SnpDevice::new();
        for error in [device.quote([0; 64]).err(), device.sealing_key(b"context").err()] {
            let text = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains(PATH) && text.contains("SEV-SNP"), "{text}");
        }
        assert_eq!(device.measurement(), None);
    }
}

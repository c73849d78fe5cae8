//! The SEV-SNP guest device, by `sev`'s ioctls, and the choice between it and the kernel's report interface.

use std::path::Path;

use sev::firmware::guest::{DerivedKey, Firmware, GuestFieldSelect};
use zeroize::Zeroizing;

use crate::evidence::{Evidence, Measurement, Platform};
use crate::limits::LEAF_BYTES_MAX;
use crate::quote_error::QuoteError;
use crate::quoter::{Quoter, sealing_key};
use crate::snp::generation::Generation;
use crate::snp::layout::Report;
use crate::snp::sized;
use crate::tsm::{TSM_ROOT, TsmDevice};

/// The device file that `sev` opens.
const PATH: &str = "/dev/sev-guest";
/// Version 2 of the key request demands a mitigation vector, which would change the key with the firmware.
const MESSAGE_VERSION: u32 = 1;
/// Report and key are asked for at the most privileged level.
const VMPL: u32 = 0;

/// This machine's way to attest: configfs-tsm if the kernel has it (SEV-SNP and TDX), else the SNP device.
/// `leaf` is as in [`TsmDevice::with_leaf`]; without it SNP needs a host that supplies certificates, and
/// configfs-tsm to fetch them safely.
///
/// # Errors
/// Neither is there ([`QuoteError::NoPlatform`] lists what was looked for), or configfs-tsm is there and unusable.
pub fn pick(leaf: Option<Vec<u8>>) -> Result<Box<dyn Quoter>, QuoteError> {
    pick_from(Path::new(TSM_ROOT), Path::new(PATH), leaf)
}

fn pick_from(tsm_root: &Path, device: &Path, leaf: Option<Vec<u8>>) -> Result<Box<dyn Quoter>, QuoteError> {
    if tsm_root.is_dir() {
        let device = TsmDevice::open_at(tsm_root)?;
        return Ok(Box::new(match leaf {
            Some(leaf) => device.with_leaf(leaf),
            None => device,
        }));
    }
    if device.exists() {
        return Ok(Box::new(SnpDevice { leaf }));
    }
    Err(QuoteError::NoPlatform {
        looked_for: [tsm_root, device]
            .iter()
            .map(|path| path.display().to_string())
            .collect(),
    })
}

/// This machine's security processor. Opened anew for each request, so that making one needs no device.
#[derive(Debug, Default)]
pub struct SnpDevice {
    leaf: Option<Vec<u8>>,
}

impl SnpDevice {
    /// A device that derives sealing keys and measures, but cannot quote: that takes [`Self::with_leaf`].
    ///
    /// The certificates that a host hands out are not fetched by this way: `sev` 8.0.0 follows the host's
    /// offsets by raw pointers beyond its buffer, so a host could have this process's memory published as a
    /// certificate. [`TsmDevice`] reads the same certificates within their bounds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Quotes with `leaf`, the DER of this chip's VCEK for its reported TCB.
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
        let leaf = self
            .leaf
            .clone()
            .ok_or(QuoteError::NoCertificate { missing: "VCEK" })?;
        if leaf.len() > LEAF_BYTES_MAX {
            return Err(QuoteError::LeafTooLong {
                have: leaf.len(),
                max: LEAF_BYTES_MAX,
            });
        }
        let report = firmware
            .get_report(Some(MESSAGE_VERSION), Some(report_data), Some(VMPL))
            .map_err(refused("a report"))?;
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
        if Path::new(PATH).exists() {
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

    #[test]
    fn a_machine_without_either_interface_is_told_what_was_looked_for() {
        let nowhere = tempfile::tempdir().expect("a folder");
        let (tsm, device) = (nowhere.path().join("report"), nowhere.path().join("sev-guest"));
        let error = pick_from(&tsm, &device, None)
            .err()
            .expect("nothing attests here");
        assert_eq!(error.code(), "quote.no_platform");
        let text = error.to_string();
        for path in [&tsm, &device] {
            assert!(text.contains(&path.display().to_string()), "{text}");
        }
    }

    #[test]
    fn the_snp_device_is_the_fallback_and_configfs_tsm_comes_first() {
        let place = tempfile::tempdir().expect("a folder");
        let (tsm, device) = (place.path().join("report"), place.path().join("sev-guest"));
        std::fs::write(&device, []).expect("a file");
        let picked = pick_from(&tsm, &device, None).expect("the device is there");
        assert_eq!(picked.platform(), Platform::SevSnp);

        // A plain folder in the interface's place fills no entry: that is an error, not a reason to fall back.
        std::fs::create_dir(&tsm).expect("a folder");
        let error = pick_from(&tsm, &device, None).err().expect("no attributes");
        assert_eq!(error.code(), "quote.tsm_file");
        assert!(error.to_string().contains("provider"), "{error}");
        assert_eq!(
            std::fs::read_dir(&tsm).expect("the folder").count(),
            0,
            "the entry is gone"
        );
    }
}

//! The kernel's report interface for confidential guests, configfs-tsm, for SEV-SNP and TDX alike (Linux 6.7;
//! `Documentation/ABI/testing/configfs-tsm-report`).
//!
//! ```text
//! mkdir E ─▶ E/provider ─▶ E/generation = g ─▶ write E/privlevel (SNP) and E/inblob: w writes
//!         ─▶ E/generation = g + w ─▶ read E/outblob, E/auxblob (SNP) ─▶ E/generation = g + w ─▶ rmdir E
//! ```
//!
//! Every report has an entry of its own, so nobody else has a reason to write to it. The generation is compared
//! all the same: the kernel takes `inblob` over when the file is closed, and drops it without an error when the
//! entry is busy. Where the count differs the report is thrown away and a fresh entry tried, [`ATTEMPTS`] times
//! in all; no other error is tried again here.
//!
//! No machine that builds this has such hardware: it is tested against a double that behaves as the kernel's
//! sources say (`tsm/double.rs`) and against a directory on disk, not against a kernel.

mod certificates;
#[cfg(test)]
mod double;
mod files;
#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroizing;

use crate::device::SnpDevice;
use crate::evidence::{Evidence, Measurement, Platform};
use crate::intel::{self, quote::Quote};
use crate::limits::QUOTE_BYTES_MAX;
use crate::quote_error::QuoteError;
use crate::quoter::Quoter;
use crate::snp::generation::Generation;
use crate::snp::layout::Report;
use crate::snp::sized;
use certificates::TABLE_BYTES_MAX;
use files::{ConfigFs, Files};

/// The report interface's folder.
pub const TSM_ROOT: &str = "/sys/kernel/config/tsm/report";

/// Entries that one report may use up: names that are taken, and generations that do not fit.
const ATTEMPTS: u32 = 4;
/// Bytes of `outblob`. An SNP report has 1,184, a TDX quote with its certificates about 5,000, padded 8,000.
const OUTBLOB_BYTES_MAX: usize = QUOTE_BYTES_MAX;
/// Bytes of a text attribute: a number, or a provider's name.
const TEXT_BYTES_MAX: usize = 64;
/// The kernel's `TSM_REPORT_PRIVLEVEL_MAX`.
const PRIVILEGE_LEVEL_MAX: u32 = 3;

/// Linux errors that `std` has no kind for.
const ENXIO: i32 = 6;
const ENOTTY: i32 = 25;

/// This guest's attestation by configfs-tsm: SEV-SNP or TDX, whichever the kernel runs on.
///
/// Restart: nothing is kept between reports. Entries are named after process, report data and a counter; one that
/// a killed process leaves behind costs the kernel some memory and can be removed by `rmdir`.
pub struct TsmDevice {
    root: PathBuf,
    files: Box<dyn Files>,
    platform: Platform,
    leaf: Option<Vec<u8>>,
    privilege_level: Option<u32>,
    serial: AtomicU64,
}

/// What the kernel gave for one request.
struct Raw {
    outblob: Vec<u8>,
    auxblob: Vec<u8>,
}

enum Asked {
    Answered(Raw),
    /// The generation counts other writes than ours.
    Conflict {
        have: u64,
        need: u64,
    },
}

impl TsmDevice {
    /// Opens the interface at [`TSM_ROOT`] and asks it for its provider.
    ///
    /// # Errors
    /// The folder is missing, has no provider or one that is unknown here, or this process may not use it.
    pub fn open() -> Result<Self, QuoteError> {
        Self::open_at(Path::new(TSM_ROOT))
    }

    /// As [`Self::open`], at another folder.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(root: &Path) -> Result<Self, QuoteError> {
        Self::open_with(root, Box::new(ConfigFs))
    }

    fn open_with(root: &Path, files: Box<dyn Files>) -> Result<Self, QuoteError> {
        let mut device = Self {
            root: root.to_path_buf(),
            files,
            platform: Platform::SevSnp,
            leaf: None,
            privilege_level: None,
            serial: AtomicU64::new(0),
        };
        device.platform = device.in_entry(&[], |device, entry| device.provider(entry))?;
        Ok(device)
    }

    /// Uses `leaf` for SNP reports instead of the host's certificates: the DER of this chip's VCEK for its
    /// reported TCB, or of the VLEK followed by that of its ASVK. TDX quotes bring their own certificates.
    #[must_use]
    pub fn with_leaf(mut self, leaf: Vec<u8>) -> Self {
        self.leaf = Some(leaf);
        self
    }

    /// Asks for SNP reports at this privilege level (VMPL), 0 to 3; else at the highest that this guest has.
    ///
    /// # Errors
    /// TDX has no privilege levels. Whether this guest has the level shows at the first report.
    pub fn with_privilege_level(mut self, level: u32) -> Result<Self, QuoteError> {
        if self.platform != Platform::SevSnp {
            return Err(QuoteError::NoPrivilegeLevel {
                platform: self.platform,
            });
        }
        self.privilege_level = Some(level);
        Ok(self)
    }

    /// A report over `report_data`, each attempt in an entry of its own.
    fn report(&self, report_data: &[u8; 64]) -> Result<Raw, QuoteError> {
        let mut last = (0, 0);
        for _ in 0..ATTEMPTS {
            match self.in_entry(report_data, |device, entry| device.ask(entry, report_data))? {
                Asked::Answered(raw) => return Ok(raw),
                Asked::Conflict { have, need } => last = (have, need),
            }
        }
        Err(QuoteError::TsmConflict {
            have: last.0,
            need: last.1,
            attempts: ATTEMPTS,
        })
    }

    /// Runs `work` in a fresh entry and removes the entry whatever comes of it.
    fn in_entry<T>(
        &self,
        report_data: &[u8],
        work: impl FnOnce(&Self, &Path) -> Result<T, QuoteError>,
    ) -> Result<T, QuoteError> {
        let entry = self.create_entry(report_data)?;
        let result = work(self, &entry);
        match self.files.remove_dir(&entry) {
            Ok(()) => result,
            // Somebody was faster; what matters is that it is gone.
            Err(error) if error.kind() == ErrorKind::NotFound => result,
            // The error that came first says more.
            Err(source) => result.and(Err(QuoteError::TsmEntryStays { path: entry, source })),
        }
    }

    fn create_entry(&self, report_data: &[u8]) -> Result<PathBuf, QuoteError> {
        // Two containers may share configfs and have the same process id; they hardly ask the same.
        let asked = blake3::hash(report_data).to_hex();
        let mut path = PathBuf::new();
        for _ in 0..ATTEMPTS {
            let serial = self.serial.fetch_add(1, Ordering::Relaxed);
            path = self
                .root
                .join(format!("tacit-{}-{:.16}-{serial}", std::process::id(), asked));
            match self.files.create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(QuoteError::TsmMissing {
                        path: self.root.clone(),
                    });
                }
                Err(error) if error.raw_os_error() == Some(ENXIO) => {
                    return Err(QuoteError::TsmNoProvider {
                        path: self.root.clone(),
                    });
                }
                Err(error) => return Err(named("create", &path, error)),
            }
        }
        Err(QuoteError::TsmEntryTaken {
            path,
            attempts: ATTEMPTS,
        })
    }

    fn ask(&self, entry: &Path, report_data: &[u8; 64]) -> Result<Asked, QuoteError> {
        let provider = self.provider(entry)?;
        if provider != self.platform {
            return Err(QuoteError::TsmProviderChanged {
                have: provider,
                need: self.platform,
            });
        }
        let snp = provider == Platform::SevSnp;
        let before = self.number(entry, "generation")?;
        let mut need = 0;
        if snp {
            let level = self.level(entry)?;
            self.write(entry, "privlevel", level.to_string().as_bytes())?;
            need += 1;
        }
        self.write(entry, "inblob", report_data)?;
        need += 1;
        let writes = || Ok::<_, QuoteError>(self.number(entry, "generation")?.wrapping_sub(before));
        let have = writes()?;
        if have != need {
            return Ok(Asked::Conflict { have, need });
        }
        let outblob = self.read(entry, "outblob", OUTBLOB_BYTES_MAX)?;
        let auxblob = if snp && self.leaf.is_none() {
            self.read(entry, "auxblob", TABLE_BYTES_MAX)?
        } else {
            Vec::new()
        };
        let have = writes()?;
        if have != need {
            return Ok(Asked::Conflict { have, need });
        }
        Ok(Asked::Answered(Raw { outblob, auxblob }))
    }

    fn provider(&self, entry: &Path) -> Result<Platform, QuoteError> {
        match self.text(entry, "provider")?.as_str() {
            "sev_guest" => Ok(Platform::SevSnp),
            "tdx_guest" => Ok(Platform::Tdx),
            other => Err(QuoteError::TsmProvider {
                have: other.to_owned(),
            }),
        }
    }

    /// The privilege level to ask for. The kernel's default is 0 even where it cannot have it.
    fn level(&self, entry: &Path) -> Result<u32, QuoteError> {
        let floor = self.number(entry, "privlevel_floor")?;
        let floor = u32::try_from(floor).unwrap_or(u32::MAX);
        let have = self.privilege_level.unwrap_or(floor);
        if have < floor || have > PRIVILEGE_LEVEL_MAX {
            return Err(QuoteError::PrivilegeLevel {
                have,
                floor,
                max: PRIVILEGE_LEVEL_MAX,
            });
        }
        Ok(have)
    }

    fn number(&self, entry: &Path, name: &'static str) -> Result<u64, QuoteError> {
        let text = self.text(entry, name)?;
        // `parse` alone would also take a sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Ok(number),
            _ => Err(QuoteError::TsmFormat {
                path: entry.join(name),
                have: text,
                need: "a decimal number",
            }),
        }
    }

    fn text(&self, entry: &Path, name: &'static str) -> Result<String, QuoteError> {
        let bytes = self.read(entry, name, TEXT_BYTES_MAX)?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        match core::str::from_utf8(line) {
            Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.to_owned()),
            _ => Err(QuoteError::TsmFormat {
                path: entry.join(name),
                have: line.escape_ascii().to_string(),
                need: "one printable word",
            }),
        }
    }

    fn read(&self, entry: &Path, name: &'static str, max: usize) -> Result<Vec<u8>, QuoteError> {
        let path = entry.join(name);
        // One byte more tells a file that fits from one that was cut off.
        match self.files.read(&path, max + 1) {
            Ok(bytes) if bytes.len() > max => Err(QuoteError::TsmTooLong { path, max }),
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(named("read", &path, error)),
        }
    }

    fn write(&self, entry: &Path, name: &'static str, bytes: &[u8]) -> Result<(), QuoteError> {
        let path = entry.join(name);
        self.files
            .write(&path, bytes)
            .map_err(|error| named("write", &path, error))
    }

    fn snp_evidence(&self, raw: Raw, report_data: &[u8; 64]) -> Result<Evidence, QuoteError> {
        let report = snp_report(&raw.outblob)?;
        if report.report_data != *report_data {
            return Err(QuoteError::OtherReportData {
                platform: Platform::SevSnp,
            });
        }
        let leaf = match &self.leaf {
            Some(leaf) => certificates::bounded(leaf.clone())?,
            None => certificates::leaf(&report, &raw.auxblob)?,
        };
        Ok(Evidence {
            platform: Platform::SevSnp,
            report: raw.outblob,
            leaf,
        })
    }
}

/// A quote as the kernel hands it out, with its PEM chain and any padding, as evidence; and what it says.
fn tdx_evidence(quote: &[u8]) -> Result<(Evidence, Measurement, [u8; 64]), QuoteError> {
    let refused = |refusal| QuoteError::Evidence {
        platform: Platform::Tdx,
        refusal,
    };
    let evidence = Evidence::from_quote(quote).map_err(refused)?;
    if evidence.platform != Platform::Tdx {
        return Err(QuoteError::ReportLayout {
            platform: Platform::Tdx,
            reason: "it is no quote of a TDX machine",
        });
    }
    let body = Quote::parse(&evidence.report).map_err(refused)?.body;
    let (measurement, report_data, _) = intel::describe(&body);
    Ok((evidence, measurement, report_data))
}

/// The fields read from an own report stand at the same place in every generation's layout.
fn snp_report(outblob: &[u8]) -> Result<Report, QuoteError> {
    let bytes = sized(outblob).map_err(|_| QuoteError::ReportLayout {
        platform: Platform::SevSnp,
        reason: "it must have 1,184 bytes",
    })?;
    Ok(Report::read(bytes, Generation::Genoa))
}

/// The kernel's errors by their meaning on this interface.
fn named(operation: &'static str, path: &Path, source: io::Error) -> QuoteError {
    let path = path.to_path_buf();
    match source.kind() {
        ErrorKind::PermissionDenied => QuoteError::TsmPermission { operation, path },
        ErrorKind::ResourceBusy => QuoteError::TsmBusy { path },
        ErrorKind::FileTooLarge => QuoteError::TsmTooBig { path },
        ErrorKind::WouldBlock => QuoteError::TsmNotReady { path },
        ErrorKind::TimedOut => QuoteError::TsmTimeout { path },
        ErrorKind::InvalidInput => QuoteError::TsmRefused { operation, path },
        _ if source.raw_os_error() == Some(ENOTTY) => QuoteError::TsmDisabled { path },
        _ => QuoteError::TsmFile {
            operation,
            path,
            source,
        },
    }
}

impl Quoter for TsmDevice {
    fn platform(&self) -> Platform {
        self.platform
    }

    fn quote(&self, report_data: [u8; 64]) -> Result<Evidence, QuoteError> {
        let raw = self.report(&report_data)?;
        match self.platform {
            Platform::Tdx => {
                let (evidence, _, have) = tdx_evidence(&raw.outblob)?;
                if have != report_data {
                    return Err(QuoteError::OtherReportData {
                        platform: Platform::Tdx,
                    });
                }
                Ok(evidence)
            }
            _ => self.snp_evidence(raw, &report_data),
        }
    }

    /// SNP: derived by the chip through the SNP device, which the same driver offers. TDX: refused.
    fn sealing_key(&self, context: &[u8]) -> Result<Zeroizing<[u8; 32]>, QuoteError> {
        match self.platform {
            Platform::SevSnp => SnpDevice::new().sealing_key(context),
            platform => Err(QuoteError::NoSealingKey { platform }),
        }
    }

    fn measurement(&self) -> Option<Measurement> {
        let raw = self.report(&[0; 64]).ok()?;
        match self.platform {
            Platform::Tdx => Some(tdx_evidence(&raw.outblob).ok()?.1),
            _ => Some(snp_report(&raw.outblob).ok()?.measurement),
        }
    }
}

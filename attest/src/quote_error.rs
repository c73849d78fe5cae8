//! Why a machine cannot attest: one named reason with its facts, and what to do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::evidence::Platform;
use crate::refusal::Refusal;

/// Why a machine cannot attest, and what to do about it. The fault is this machine's or its host's.
#[derive(Debug, Error)]
pub enum QuoteError {
    /// Nothing on this machine attests.
    #[error(
        "this machine cannot attest, looked for {}: it must be an SEV-SNP or TDX guest with Linux 6.7 or newer, \
         configfs mounted and the driver sev-guest or tdx-guest loaded",
        looked_for.join(" and ")
    )]
    NoPlatform {
        /// Each interface, in the order of preference.
        looked_for: Vec<String>,
    },
    /// The device file cannot be opened: no SNP guest, no driver, or no permission.
    #[error("{path} cannot be opened ({source}): this needs an SEV-SNP guest with the sev-guest driver")]
    NoDevice {
        /// The device file.
        path: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The firmware or the host refused the request.
    #[error("the SNP firmware refused {request}: {detail}")]
    Firmware {
        /// What was asked for.
        request: &'static str,
        /// The firmware's or the host's words.
        detail: String,
    },
    /// The platform derives no key for its guest.
    #[error(
        "{platform} derives no sealing key: Linux offers TDX guests none, so nothing can be sealed to this \
         machine; keep its secrets in memory and let it register anew after a restart"
    )]
    NoSealingKey {
        /// The platform.
        platform: Platform,
    },

    /// The report interface is not there.
    #[error(
        "{} is missing: mount configfs (mount -t configfs none /sys/kernel/config) and load the driver sev-guest \
         or tdx-guest, Linux 6.7 or newer", path.display()
    )]
    TsmMissing {
        /// The folder that was looked for.
        path: PathBuf,
    },
    /// The report interface is there, but no driver stands behind it (ENXIO).
    #[error("{} has no provider: load the driver sev-guest or tdx-guest", path.display())]
    TsmNoProvider {
        /// The report folder.
        path: PathBuf,
    },
    /// EACCES or EPERM.
    #[error("no permission to {operation} {}: only root may ask for reports", path.display())]
    TsmPermission {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
    },
    /// EBUSY: the kernel or the host still works on an earlier request.
    #[error(
        "{} is busy: an earlier request is still with the host (on TDX its quote generation service has not \
         answered); ask again later, restart the guest if it stays busy", path.display()
    )]
    TsmBusy {
        /// The file that said so.
        path: PathBuf,
    },
    /// EFBIG: the provider made more than the kernel accepts.
    #[error(
        "{} is larger than this kernel accepts: kernel, driver and the host's attestation software do not fit \
         together; update the guest's kernel or ask the provider of the machine", path.display()
    )]
    TsmTooBig {
        /// The file that said so.
        path: PathBuf,
    },
    /// Larger than this program accepts.
    #[error("{} has more than {max} bytes, more than any report or certificate table known here", path.display())]
    TsmTooLong {
        /// The file.
        path: PathBuf,
        /// Bytes read at most.
        max: usize,
    },
    /// EAGAIN (EWOULDBLOCK): no report stands ready for what was written.
    #[error("{} has no report ready for what was written: ask again", path.display())]
    TsmNotReady {
        /// The file that said so.
        path: PathBuf,
    },
    /// ETIMEDOUT: the host did not answer.
    #[error(
        "{}: the host did not answer in time; it throttles this guest, or its quote generation service is down",
        path.display()
    )]
    TsmTimeout {
        /// The file that said so.
        path: PathBuf,
    },
    /// ENOTTY: the driver is gone, or has given up its key to the firmware.
    #[error(
        "{}: the driver no longer reaches the firmware (it was unloaded, or wiped its message key after an error, \
         see the kernel's log); restart the guest", path.display()
    )]
    TsmDisabled {
        /// The file that said so.
        path: PathBuf,
    },
    /// EINVAL: the provider does not take this request.
    #[error("{} refuses {operation} (EINVAL): report data or privilege level do not suit the provider", path.display())]
    TsmRefused {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
    },
    /// Any other error of the interface.
    #[error("cannot {operation} {}: {source}", path.display())]
    TsmFile {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// An attribute does not read as the kernel documents it.
    #[error("{} reads {have:?}, must be {need}: this is not the kernel's report interface", path.display())]
    TsmFormat {
        /// The attribute.
        path: PathBuf,
        /// Its first bytes.
        have: String,
        /// What it must be.
        need: &'static str,
    },
    /// A provider that nothing here can verify.
    #[error("the kernel's report provider is {have:?}, must be \"sev_guest\" or \"tdx_guest\"")]
    TsmProvider {
        /// The provider's name.
        have: String,
    },
    /// The provider is another one than when this device was opened.
    #[error("the kernel's report provider changed to {have}, was {need}: open the device again")]
    TsmProviderChanged {
        /// Now.
        have: Platform,
        /// When opened.
        need: Platform,
    },
    /// The entry's generation shows other writes than ours, or that ours was dropped.
    #[error(
        "report entry was written {have} times, must be {need}: the kernel dropped a write, or another process \
         writes into entries that are not its own; {attempts} fresh entries met the same, so find that process"
    )]
    TsmConflict {
        /// Writes that the kernel counts.
        have: u64,
        /// Writes made here.
        need: u64,
        /// Entries tried.
        attempts: u32,
    },
    /// Every name tried is taken.
    #[error("{attempts} report entries exist already, the last is {}: remove those that nobody uses", path.display())]
    TsmEntryTaken {
        /// The last one tried.
        path: PathBuf,
        /// Entries tried.
        attempts: u32,
    },
    /// The report was made, but its entry cannot be removed.
    #[error("report entry {} cannot be removed ({source}): remove it by hand (rmdir), the kernel keeps its memory", path.display())]
    TsmEntryStays {
        /// The entry.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The privilege level asked for is one that this guest cannot have.
    #[error("privilege level {have} was asked for, this guest can have {floor} to {max}")]
    PrivilegeLevel {
        /// Asked for.
        have: u32,
        /// The kernel's floor.
        floor: u32,
        /// The interface's maximum.
        max: u32,
    },
    /// The platform knows no privilege levels.
    #[error("{platform} has no privilege levels: leave the level out")]
    NoPrivilegeLevel {
        /// The platform.
        platform: Platform,
    },

    /// The report does not have the platform's layout.
    #[error("the {platform} report is unusable: {reason}")]
    ReportLayout {
        /// The platform.
        platform: Platform,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The report is over other data than asked for.
    #[error(
        "the {platform} report is over other data than asked for: another process uses the same entry, or the host lies"
    )]
    OtherReportData {
        /// The platform.
        platform: Platform,
    },
    /// What the hardware gave cannot be made into evidence.
    #[error("the {platform} quote makes no evidence: {refusal}")]
    Evidence {
        /// The platform.
        platform: Platform,
        /// What a verifier would say.
        refusal: Refusal,
    },
    /// The certificate table that the host supplies does not decode.
    #[error("the host's certificate table is unusable: {reason}")]
    CertificateTable {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The host supplies no certificate for the key that signed the report.
    #[error(
        "the host supplies no {missing} certificate: let it configure one, or give this node the certificate's \
         DER, fetched from AMD for this chip and TCB"
    )]
    NoCertificate {
        /// Which certificate: VCEK, VLEK, or the ASVK that must follow a VLEK.
        missing: &'static str,
    },
    /// A certificate above the bound of evidence.
    #[error("the leaf certificate has {have} bytes, at most {max} are allowed")]
    LeafTooLong {
        /// Its bytes.
        have: usize,
        /// The bound.
        max: usize,
    },

    /// A simulator key file does not decode.
    #[error("simulator key file is unusable: {reason}")]
    KeyFile {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The simulator could not make a key, certificate or signature.
    #[error("simulator failed to make {what}")]
    Simulator {
        /// What it was making.
        what: &'static str,
    },
}

impl QuoteError {
    /// A stable name for operators, metrics and the API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPlatform { .. } => "quote.no_platform",
            Self::NoDevice { .. } => "quote.no_device",
            Self::Firmware { .. } => "quote.firmware",
            Self::NoSealingKey { .. } => "quote.no_sealing_key",
            Self::TsmMissing { .. } => "quote.tsm_missing",
            Self::TsmNoProvider { .. } => "quote.tsm_no_provider",
            Self::TsmPermission { .. } => "quote.tsm_permission",
            Self::TsmBusy { .. } => "quote.tsm_busy",
            Self::TsmTooBig { .. } => "quote.tsm_too_big",
            Self::TsmTooLong { .. } => "quote.tsm_too_long",
            Self::TsmNotReady { .. } => "quote.tsm_not_ready",
            Self::TsmTimeout { .. } => "quote.tsm_timeout",
            Self::TsmDisabled { .. } => "quote.tsm_disabled",
            Self::TsmRefused { .. } => "quote.tsm_refused",
            Self::TsmFile { .. } => "quote.tsm_file",
            Self::TsmFormat { .. } => "quote.tsm_format",
            Self::TsmProvider { .. } => "quote.tsm_provider",
            Self::TsmProviderChanged { .. } => "quote.tsm_provider_changed",
            Self::TsmConflict { .. } => "quote.tsm_conflict",
            Self::TsmEntryTaken { .. } => "quote.tsm_entry_taken",
            Self::TsmEntryStays { .. } => "quote.tsm_entry_stays",
            Self::PrivilegeLevel { .. } => "quote.privilege_level",
            Self::NoPrivilegeLevel { .. } => "quote.no_privilege_level",
            Self::ReportLayout { .. } => "quote.report_layout",
            Self::OtherReportData { .. } => "quote.other_report_data",
            Self::Evidence { .. } => "quote.evidence",
            Self::CertificateTable { .. } => "quote.certificate_table",
            Self::NoCertificate { .. } => "quote.no_certificate",
            Self::LeafTooLong { .. } => "quote.leaf_too_long",
            Self::KeyFile { .. } => "quote.key_file",
            Self::Simulator { .. } => "quote.simulator",
        }
    }
}

//! `tacit attest`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum AttestVerb {
    /// Check evidence step by step
    #[command(after_help = "Examples:\n  tacit attest verify --validator val-2\n  \
                            tacit attest verify --report quote.bin --collateral collateral.json \
                            --at 2026-03-31T22:20:07Z --json")]
    Verify {
        #[command(flatten)]
        evidence: Evidence,
        #[command(flatten)]
        alone: ReportRules,
        /// Roots and policy from this genesis, offline, instead of from the pinned chain; with --report the class of
        /// network and the simulator's root alone
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
    /// Print every field of evidence or collateral, judging nothing
    #[command(after_help = "Examples:\n  tacit attest show --validator val-2\n  \
                            tacit attest show --report report.bin --leaf vcek.der --json")]
    Show {
        #[command(flatten)]
        evidence: Evidence,
        /// The certificate of the report's key (DER or PEM); give it again for a VLEK's intermediate
        #[arg(long = "leaf", value_name = "FILE", requires = "report")]
        leaves: Vec<PathBuf>,
    },
    /// Compute the measurement of a build, from firmware, kernel, initrd and command line
    #[command(
        after_help = "Examples:\n  tacit attest measure --firmware OVMF.fd --kernel bzImage --initrd initrd \
                            --append \"console=ttyS0\" --vcpus 4 --vcpu-type EPYC-Genoa\n  \
                            tacit attest measure --tdx-mrtd 91eb... --tdx-rtmr1 5bd5... --json"
    )]
    Measure(Box<MeasureArgs>),
    /// Ask this machine for evidence; inside a guest only
    #[command(
        after_help = "Examples:\n  tacit attest quote --bind 9c1e2ab4 --out quote.bin\n  \
                            tacit attest quote --bind 9c1e2ab4 --out report.bin --leaf vcek.der --json"
    )]
    Quote(QuoteArgs),
    /// Until when each validator's evidence is accepted: today, under pending policies, at the vendor's next level
    #[command(
        after_help = "Examples:\n  tacit attest status\n  tacit attest status --validator val-2 --strict --json"
    )]
    Status {
        /// One validator, by name; all when absent
        #[arg(long, value_name = "NAME")]
        validator: Option<String>,
        /// Fail also when a pending policy or the vendor's next level would refuse one
        #[arg(long)]
        strict: bool,
    },
    /// Vendors' signed documents: TCB levels, identities, revocation lists
    #[command(subcommand)]
    Collateral(CollateralVerb),
    /// Which evidence a network accepts
    #[command(subcommand)]
    Policy(PolicyVerb),
}

/// Whose evidence.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Evidence {
    /// A validator of the chain, by name or consensus key
    #[arg(long, value_name = "NAME")]
    pub(crate) validator: Option<String>,
    /// A registration file, as `tacit node init` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// An SNP report, or a TDX or SGX quote, as hardware gives it; binary, or hex digits
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// By what a bare report is judged, offline.
#[derive(Args)]
pub(crate) struct ReportRules {
    /// The certificate of the report's key (DER or PEM); give it again for a VLEK's intermediate
    #[arg(long = "leaf", value_name = "FILE", requires = "report")]
    pub(crate) leaves: Vec<PathBuf>,
    /// The vendor's documents, as `dcap-qvl` writes them (JSON); give it once a file
    #[arg(long = "collateral", value_name = "FILE", requires = "report")]
    pub(crate) collateral: Vec<PathBuf>,
    /// The moment of the verdict, such as 2026-03-31T22:20:07Z
    #[arg(long, value_name = "RFC3339", requires = "report", required_unless_present_any = ["validator", "file"],
          value_parser = crate::args::moment)]
    pub(crate) at: Option<u64>,
    /// Judge by this policy (JSON) too, not authenticity alone
    #[arg(long, value_name = "FILE", requires = "report")]
    pub(crate) policy: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum CollateralVerb {
    /// Print what documents say, judging nothing; without a file, what the chain holds
    #[command(after_help = "Examples:\n  tacit attest collateral show\n  \
                            tacit attest collateral show collateral.json --json")]
    Show {
        /// Documents as `dcap-qvl` writes them, or one revocation list (DER)
        file: Option<PathBuf>,
    },
    /// Check signatures and dates
    #[command(
        after_help = "Examples:\n  tacit attest collateral check collateral.json --at 2026-03-31T22:20:07Z\n  \
                            tacit attest collateral check collateral.json --at 2026-03-31T22:20:07Z \
                            --genesis genesis.json --json"
    )]
    Check {
        /// Documents as `dcap-qvl` writes them, or one revocation list (DER)
        file: PathBuf,
        /// The moment of the verdict
        #[arg(long, value_name = "RFC3339", value_parser = crate::args::moment)]
        at: u64,
        /// The network whose roots count: needed for simulated documents
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
    /// Bring newer documents onto the chain; anybody may, the vendor signed them
    #[command(after_help = "Examples:\n  tacit attest collateral push collateral.json\n  \
                            tacit attest collateral push collateral.json --rpc http://127.0.0.1:26610 --json")]
    Push {
        /// Documents as `dcap-qvl` writes them, or one revocation list (DER)
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum PolicyVerb {
    /// Print a policy of the chain
    #[command(after_help = "Examples:\n  tacit attest policy show\n  \
                            tacit attest policy show --version 7 --json")]
    Show {
        /// Its version; the one in force when absent
        #[arg(long = "version", value_name = "VERSION")]
        version_number: Option<u64>,
    },
    /// Check that a policy file can be used
    #[command(after_help = "Examples:\n  tacit attest policy check policy.json\n  \
                            tacit attest policy check policy.json --json")]
    Check {
        /// The file (JSON)
        file: PathBuf,
    },
    /// What changes from one policy to another, and whether that tightens or loosens
    #[command(after_help = "Examples:\n  tacit attest policy diff old.json new.json\n  \
                            tacit attest policy diff 7 new.json --json")]
    Diff {
        /// A file, a version of the chain, or `production` for the default
        from: String,
        /// A file, a version of the chain, or `production` for the default
        to: String,
    },
    /// Print the default policy for real value, to begin from
    #[command(after_help = "Examples:\n  tacit attest policy production > policy.json\n  \
                            tacit attest policy production --json")]
    Production,
}

/// `tacit attest measure`
#[derive(Args)]
pub(crate) struct MeasureArgs {
    /// SEV-SNP: the firmware, OVMF built for it
    #[arg(long, value_name = "FILE", required_unless_present = "tdx_mrtd")]
    pub(crate) firmware: Option<PathBuf>,
    /// The kernel; without one the firmware boots what it finds
    #[arg(long, value_name = "FILE", requires = "firmware")]
    pub(crate) kernel: Option<PathBuf>,
    /// The initrd
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub(crate) initrd: Option<PathBuf>,
    /// The kernel's command line, exactly as the VMM passes it
    #[arg(
        long,
        visible_alias = "append",
        value_name = "TEXT",
        requires = "kernel",
        allow_hyphen_values = true
    )]
    pub(crate) cmdline: Option<String>,
    /// How many vCPUs; several counts give a family of digests
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', default_value = "1")]
    pub(crate) vcpus: Vec<u32>,
    /// Their type, by QEMU's name; several types give a family of digests
    #[arg(
        long,
        value_name = "TYPES",
        value_delimiter = ',',
        default_value = "EPYC-Genoa"
    )]
    pub(crate) vcpu_type: Vec<String>,
    /// Who launches the guest: qemu, ec2 or krun
    #[arg(long, default_value = "qemu", value_name = "VMM")]
    pub(crate) vmm: String,
    /// The SEV features that the host turns on: bit 0 is SNP, bit 5 debug swap
    #[arg(long, default_value = "0x1", value_name = "HEX", value_parser = crate::args::bits)]
    pub(crate) guest_features: u64,
    /// TDX: the build of the domain, 96 hex digits; the registers that are not given are zero
    #[arg(long, value_name = "HEX", conflicts_with = "firmware")]
    pub(crate) tdx_mrtd: Option<String>,
    /// Firmware's own data
    #[arg(long, value_name = "HEX", requires = "tdx_mrtd")]
    pub(crate) tdx_rtmr0: Option<String>,
    /// Kernel
    #[arg(long, value_name = "HEX", requires = "tdx_mrtd")]
    pub(crate) tdx_rtmr1: Option<String>,
    /// Command line and initrd
    #[arg(long, value_name = "HEX", requires = "tdx_mrtd")]
    pub(crate) tdx_rtmr2: Option<String>,
    /// What ran later
    #[arg(long, value_name = "HEX", requires = "tdx_mrtd")]
    pub(crate) tdx_rtmr3: Option<String>,
    /// MRCONFIGID
    #[arg(long, value_name = "HEX", requires = "tdx_mrtd")]
    pub(crate) tdx_mrconfigid: Option<String>,
    /// MROWNER
    #[arg(long, value_name = "HEX", requires = "tdx_mrtd")]
    pub(crate) tdx_mrowner: Option<String>,
    /// MROWNERCONFIG
    #[arg(long, value_name = "HEX", requires = "tdx_mrtd")]
    pub(crate) tdx_mrownerconfig: Option<String>,
    /// For the policy: release and machine
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(crate) label: String,
    /// For the policy: the source commit
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(crate) source: String,
}

/// `tacit attest quote`
#[derive(Args)]
pub(crate) struct QuoteArgs {
    /// What the evidence shall vouch for: 1 to 64 bytes in hex; zeros follow up to 64
    #[arg(
        long,
        value_name = "HEX",
        required_unless_present = "report_data",
        conflicts_with = "report_data"
    )]
    pub(crate) bind: Option<String>,
    /// The report data itself: 64 bytes in hex
    #[arg(long, value_name = "HEX")]
    pub(crate) report_data: Option<String>,
    /// Where to write the report or quote; an SNP leaf goes beside it, as FILE.leaf.der
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// This chip's VCEK (DER), for hosts that supply none
    #[arg(long, value_name = "FILE")]
    pub(crate) leaf: Option<PathBuf>,
}

//! `tacit gov`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::WalletOptions;

/// `tacit gov [options] <verb>`
#[derive(Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct GovNoun {
    /// With which wallet a member signs, and how it is opened.
    #[command(flatten)]
    pub(crate) options: WalletOptions,
    #[command(subcommand)]
    pub(crate) verb: GovVerb,
}

#[derive(Subcommand)]
pub(crate) enum GovVerb {
    /// Propose a policy; counts as the proposer's approval
    #[command(after_help = "Examples:\n  tacit gov propose policy.json --as alice\n  \
                            tacit gov propose policy.json --as alice --allow-below-quorum --json")]
    Propose {
        /// The policy (JSON), as `tacit attest policy show` prints it
        file: PathBuf,
        /// End a suspension with it, as `tacit gov list` names it: platform=sev-snp, family=milan, chip=amd:HEX,
        /// measurement=sev-snp:HEX or validator=HEX; give it once a suspension
        #[arg(long = "reinstate", value_name = "TARGET")]
        reinstate: Vec<String>,
        /// Raise the version of the protocol with it: only builds that speak it keep their seats
        #[arg(long, value_name = "N")]
        protocol: Option<u16>,
        /// Adopt it even if fewer than a quorum of today's validators remain acceptable
        #[arg(long)]
        allow_below_quorum: bool,
    },
    /// Approve a proposal
    #[command(
        after_help = "Examples:\n  tacit gov approve 5f0c... --as bob\n  tacit gov approve 5f0c... --as bob --json"
    )]
    Approve {
        /// Its id, or the beginning of it
        id: String,
    },
    /// The members, and the proposals that are open
    #[command(after_help = "Examples:\n  tacit gov list\n  tacit gov list --json")]
    List,
    /// One proposal: what it changes, who approved, whom it would drop
    #[command(after_help = "Examples:\n  tacit gov show 5f0c...\n  tacit gov show 5f0c... --json")]
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
}

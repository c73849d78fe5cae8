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
    /// A recovery member's share of the state, where the genesis names members for it
    #[command(subcommand)]
    Share(ShareVerb),
}

/// `tacit gov share`
#[derive(Subcommand)]
pub(crate) enum ShareVerb {
    /// The key to which this wallet's shares are sealed: for the genesis
    #[command(after_help = "Examples:\n  tacit gov share key --as alice\n  \
                            tacit gov share key --as alice --out alice.key")]
    Key {
        /// Write it to this file instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Whose shares stand in the epoch in force, and how many it takes
    #[command(after_help = "Examples:\n  tacit gov share show\n  tacit gov share show --as alice --json")]
    Show,
    /// Open this member's share and check it against the commitments on the ledger
    #[command(
        after_help = "Examples:\n  tacit gov share check --as alice\n  tacit gov share check --as alice --json"
    )]
    Check,
    /// Seal this member's share to the founders of the network that goes on with a lost one's state
    #[command(after_help = "Examples:\n  \
                            tacit gov share release genesis.json --state state.bin --as alice\n  \
                            tacit gov share release genesis.json --state state.bin --as alice --out alice.share.json")]
    Release {
        /// The new network's genesis, as `tacit genesis recover` wrote it; all of it is verified
        genesis: PathBuf,
        /// The state file that was written with it
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
        /// Where to write the share; MEMBER.share.json when absent
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

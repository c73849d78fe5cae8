//! `tacit query`, `tacit genesis`, `tacit verify`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum QueryVerb {
    /// The node and its chain
    #[command(after_help = "Examples:\n  tacit query status\n  tacit query status --json")]
    Status,
    /// One block
    #[command(
        after_help = "Examples:\n  tacit query block latest\n  tacit query block 1842 --json | jq .tx_count"
    )]
    Block {
        /// Height, hash or latest
        #[arg(default_value = "latest")]
        block: String,
        /// Its envelopes' public headers too
        #[arg(long)]
        txs: bool,
    },
    /// Blocks, newest first
    #[command(after_help = "Examples:\n  tacit query blocks\n  tacit query blocks --limit 5 --after 1842")]
    Blocks {
        #[command(flatten)]
        page: Page,
    },
    /// What is public about a transaction
    #[command(after_help = "Examples:\n  tacit query tx 5f0c...\n  \
                            tacit query tx 5f0c... --wait committed --timeout 20s")]
    Tx {
        /// Its id
        id: String,
        /// Wait until it is there
        #[arg(long, value_name = "STATE", value_parser = ["committed", "receipt"])]
        wait: Option<String>,
    },
    /// The proof of a transaction's sealed receipt
    #[command(after_help = "Examples:\n  tacit query receipt 5f0c...\n  tacit query receipt 5f0c... --json")]
    Receipt {
        /// The transaction
        id: String,
    },
    /// The validators
    #[command(after_help = "Examples:\n  tacit query validators\n  tacit query validators --json")]
    Validators,
    /// One validator
    #[command(after_help = "Examples:\n  tacit query validator val-2\n  tacit query validator val-2 --json")]
    Validator {
        /// Name or consensus key
        id: String,
    },
    /// One epoch
    #[command(after_help = "Examples:\n  tacit query epoch\n  tacit query epoch 12 --json")]
    Epoch {
        /// Its number, or current
        #[arg(default_value = "current")]
        epoch: String,
    },
    /// Epochs, newest first
    #[command(after_help = "Examples:\n  tacit query epochs\n  tacit query epochs --limit 5")]
    Epochs {
        #[command(flatten)]
        page: Page,
    },
    /// Which evidence the chain accepts
    #[command(after_help = "Examples:\n  tacit query policy\n  tacit query policy --version-number 7 --json")]
    Policy {
        /// Its version; the one in force when absent
        #[arg(long, value_name = "VERSION")]
        version_number: Option<u64>,
    },
    /// Where the node stands between following and voting
    #[command(
        after_help = "Examples:\n  tacit query node\n  tacit query node --rpc http://127.0.0.1:26640 --json"
    )]
    Node,
    /// Who will be out of the set, when and why
    #[command(after_help = "Examples:\n  tacit query forecast\n  tacit query forecast --json")]
    Forecast,
    /// Follow events, one JSON document a line
    #[command(after_help = "Examples:\n  tacit query events --types block,epoch\n  \
                            tacit query events --after 1842-0 --limit 10")]
    Events {
        /// Which: block, tx, epoch
        #[arg(long, default_value = "block,tx,epoch", value_name = "LIST")]
        types: String,
        /// Go on after this event id
        #[arg(long, value_name = "HEIGHT-SEQUENCE")]
        after: Option<String>,
        /// Stop after so many
        #[arg(long, value_name = "COUNT")]
        limit: Option<u64>,
    },
}

/// Where in a list.
#[derive(Args)]
pub(crate) struct Page {
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) limit: u16,
    /// Go on after this one
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<u64>,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "read once from the command line")]
pub(crate) enum GenesisVerb {
    /// Assemble founders' registrations into a genesis
    #[command(
        after_help = "Examples:\n  tacit genesis create --name dev-local --registration a.json \
                            --simulator-root root.json\n  tacit genesis create --name acme --registration a.json \
                            --registration b.json --policy policy.json --out genesis.json"
    )]
    Create {
        /// The network's name; dev-... and test-... for these classes and for them alone
        #[arg(long)]
        name: String,
        /// A founder's registration; give it once a founder, in the order of their seats
        #[arg(long = "registration", required = true, value_name = "FILE")]
        registrations: Vec<PathBuf>,
        /// Which evidence is accepted (JSON); for dev networks it can be made from the founders' own measurement
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// Root of simulated hardware (JSON): dev networks only
        #[arg(long, value_name = "FILE")]
        simulator_root: Option<PathBuf>,
        /// An initial balance; give it once an account
        #[arg(long = "allocation", value_name = "ADDRESS=AMOUNT")]
        allocations: Vec<String>,
        /// Who may change the policy; give it once a member, in the order of their numbers. Without members it is frozen
        #[arg(long = "member", value_name = "NAME=ADDRESS")]
        members: Vec<String>,
        /// How many members adopt a policy; more than half of them when absent
        #[arg(long, value_name = "COUNT", requires = "members")]
        threshold: Option<u16>,
        /// Who can bring the state back if every validator loses its keys: NAME and the key that `tacit gov share key` prints,
        /// or its file; give it once a member. Without members what is lost stays lost
        #[arg(long = "recovery-member", value_name = "NAME=PUBKEY")]
        recovery_members: Vec<String>,
        /// How many of them it takes, 2 at least; more than half of them when absent
        #[arg(long, value_name = "COUNT", requires = "recovery_members")]
        recovery_threshold: Option<u16>,
        /// The vendor's documents that the founders' evidence is judged with; give it once a file
        #[arg(long = "collateral", value_name = "FILE")]
        collateral: Vec<PathBuf>,
        /// Longest epoch
        #[arg(long, default_value = "1day", value_parser = humantime::parse_duration, value_name = "TIME")]
        epoch: std::time::Duration,
        /// Shortest epoch, when somebody joins or leaves; not longer than the longest
        #[arg(long, default_value = "1m", value_parser = humantime::parse_duration, value_name = "TIME")]
        epoch_min: std::time::Duration,
        /// When it begins, in milliseconds since 1970; now when absent
        #[arg(long, value_name = "MS")]
        time_ms: Option<u64>,
        /// Where to write it
        #[arg(long, default_value = "genesis.json", value_name = "FILE")]
        out: PathBuf,
    },
    /// Begin a network that goes on with the state of one whose validators have all lost their keys
    #[command(after_help = "Examples:\n  \
                            tacit genesis recover --from old/val-0 --registration a.json --registration b.json\n  \
                            tacit genesis recover --from old/val-0 --from old/val-1 --registration a.json \
                            --policy policy.json --out new.json --state new.state --json")]
    Recover(RecoverArgs),
    /// Check everything in a genesis again
    #[command(after_help = "Examples:\n  tacit genesis verify genesis.json\n  \
                            tacit genesis verify genesis.json --genesis-hash 9c1e2ab4...")]
    Verify {
        /// The file
        file: PathBuf,
    },
    /// Show a genesis
    #[command(
        after_help = "Examples:\n  tacit genesis show genesis.json\n  tacit genesis show genesis.json --json"
    )]
    Show {
        /// The file
        file: PathBuf,
    },
    /// Print the hash of a genesis: the chain id
    #[command(
        after_help = "Examples:\n  tacit genesis hash genesis.json\n  tacit genesis hash genesis.json --json"
    )]
    Hash {
        /// The file
        file: PathBuf,
    },
}

/// `tacit genesis recover`. What is not given is the lost network's.
#[derive(Args)]
pub(crate) struct RecoverArgs {
    /// The home of a stopped validator of the lost network; of several, the one that proves the newest state is taken
    #[arg(long = "from", required = true, value_name = "DIR")]
    pub(crate) from: Vec<PathBuf>,
    /// A founder's registration for the new network; give it once a founder, in the order of their seats
    #[arg(long = "registration", required = true, value_name = "FILE")]
    pub(crate) registrations: Vec<PathBuf>,
    /// The new network's name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Which evidence is accepted (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Another root of simulated hardware (JSON): dev networks only
    #[arg(long, value_name = "FILE")]
    pub(crate) simulator_root: Option<PathBuf>,
    /// The vendor's documents that the founders' evidence is judged with; give it once a file
    #[arg(long = "collateral", value_name = "FILE")]
    pub(crate) collateral: Vec<PathBuf>,
    /// A recovery member of the new network; give it once a member
    #[arg(long = "recovery-member", value_name = "NAME=PUBKEY")]
    pub(crate) recovery_members: Vec<String>,
    /// How many of them it takes; more than half of them when absent
    #[arg(long, value_name = "COUNT", requires = "recovery_members")]
    pub(crate) recovery_threshold: Option<u16>,
    /// When it begins, in milliseconds since 1970; now when absent
    #[arg(long, value_name = "MS")]
    pub(crate) time_ms: Option<u64>,
    /// Where to write the new genesis
    #[arg(long, default_value = "genesis.json", value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Where to write the sealed state
    #[arg(long, default_value = "state.bin", value_name = "FILE")]
    pub(crate) state: PathBuf,
}

/// `tacit verify`
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct VerifyArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<VerifyVerb>,
    #[command(flatten)]
    pub(crate) receipt: Option<VerifyReceipt>,
}

/// A receipt and whose it is to be.
#[derive(Args)]
pub(crate) struct VerifyReceipt {
    /// A file written by `tacit wallet receipt --out`
    pub(crate) file: PathBuf,
    /// The network's genesis
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: PathBuf,
}

/// What else can be verified.
#[derive(Subcommand)]
pub(crate) enum VerifyVerb {
    /// Verify a whole chain from its genesis, offline, from a node's folder
    #[command(
        after_help = "Examples:\n  tacit verify chain --genesis genesis.json --home ./val-1\n  \
                            tacit verify chain --genesis genesis.json --data ./copy-of-db --json"
    )]
    Chain(VerifyChain),
}

/// Which chain, and where it is stored.
#[derive(Args)]
pub(crate) struct VerifyChain {
    /// The network's genesis
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: PathBuf,
    /// The folder of a database, or a copy of one, in the place of --home
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

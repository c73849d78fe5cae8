//! `tacit wallet ...`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `tacit wallet [options] <verb>`
#[derive(Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct WalletNoun {
    #[command(flatten)]
    pub(crate) options: WalletOptions,
    #[command(subcommand)]
    pub(crate) verb: WalletVerb,
}

/// Which wallet, and how it is opened.
#[derive(Args, Clone)]
#[command(next_help_heading = "Wallet options")]
pub(crate) struct WalletOptions {
    /// The wallet to use; needed when there are several, except on a local network, whose first is meant then
    #[arg(long = "as", global = true, env = "TACIT_WALLET", value_name = "NAME")]
    pub(crate) wallet: Option<String>,
    /// Read the password from the first line of this file; it must be yours alone (mode 0600)
    #[arg(long, global = true, env = "TACIT_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Read the password from this open file descriptor
    #[arg(long, global = true, value_name = "FD", conflicts_with = "password_file")]
    pub(crate) password_fd: Option<u32>,
    /// A second node that must show the same chain
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) witness: Option<String>,
}

/// What kind of network an account is for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClassChoice {
    Production,
    Test,
    Dev,
}

#[derive(Subcommand)]
pub(crate) enum WalletVerb {
    /// Make a wallet
    #[command(after_help = "Examples:\n  tacit wallet new alice\n  \
                            tacit wallet new alice --password-file pass.txt --genesis-hash 9c1e2ab4...")]
    New {
        /// Its name: 1 to 32 of a-z, 0-9 and -
        name: String,
        /// Guessing the password costs next to nothing: for throw-away wallets on dev networks
        #[arg(long)]
        test_work: bool,
        /// For a founder's account, before there is a genesis to name it: the class of the network to be. The wallet
        /// works on the chains whose genesis names it, as a member or with a balance
        #[arg(long, value_name = "CLASS", value_enum)]
        founding: Option<ClassChoice>,
    },
    /// List the wallets here
    #[command(after_help = "Examples:\n  tacit wallet list\n  tacit wallet list --json")]
    List,
    /// Show a balance
    #[command(after_help = "Examples:\n  tacit wallet balance --as alice\n  tacit wallet balance --json")]
    Balance,
    /// Send money
    #[command(
        after_help = "Examples:\n  tacit wallet send bob 5\n  tacit wallet send @carol 0.25 --as alice --json"
    )]
    Send {
        /// An address, a wallet here, or @name for a name on the chain
        to: String,
        /// How much, as a decimal
        #[arg(allow_negative_numbers = true)]
        amount: String,
    },
    /// Send a letter that only its reader can open
    #[command(
        after_help = "Examples:\n  tacit wallet msg bob \"the meeting is at nine\"\n  \
                            tacit wallet msg @carol \"did you get it?\" --as alice"
    )]
    Msg {
        /// An address, a wallet here, or @name for a name on the chain
        to: String,
        /// The text
        text: String,
    },
    /// Read letters
    #[command(
        after_help = "Examples:\n  tacit wallet inbox --as bob\n  tacit wallet inbox --after 12 --json"
    )]
    Inbox {
        /// Only letters from this number on
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        after: u64,
        /// Stay and print letters as they come, until interrupted
        #[arg(long)]
        follow: bool,
    },
    /// Rooms with members
    #[command(subcommand)]
    Room(RoomVerb),
    /// Human names for accounts
    #[command(subcommand)]
    Name(NameVerb),
    /// Show a transaction's verified receipt
    #[command(after_help = "Examples:\n  tacit wallet receipt 5f0c...\n  \
                            tacit wallet receipt 5f0c... --out receipt.json --disclose")]
    Receipt {
        /// The transaction
        id: String,
        /// Write a file that `tacit verify` checks offline
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Put the receipt's key into the file, so that its holder can read the outcome
        #[arg(long, requires = "out")]
        disclose: bool,
    },
    /// What this wallet trusts, and why
    #[command(subcommand)]
    Trust(TrustVerb),
}

#[derive(Subcommand)]
pub(crate) enum RoomVerb {
    /// Make a room
    #[command(after_help = "Examples:\n  tacit wallet room create plans bob carol\n  \
                            tacit wallet room create plans @carol --as alice")]
    Create {
        /// Its title; only members can read it
        title: String,
        /// Addresses, wallets here, or @names
        members: Vec<String>,
    },
    /// Let somebody in (owner only)
    #[command(after_help = "Examples:\n  tacit wallet room invite 7ab3 carol\n  \
                            tacit wallet room invite 7ab3 @dave --as alice")]
    Invite {
        /// The room's id, or the beginning of it
        room: String,
        /// An address, a wallet here, or @name
        member: String,
    },
    /// Shut somebody out and change the room's key (owner only)
    #[command(after_help = "Examples:\n  tacit wallet room remove 7ab3 carol\n  \
                            tacit wallet room remove 7ab3 @dave --as alice")]
    Remove {
        /// The room's id, or the beginning of it
        room: String,
        /// An address, a wallet here, or @name
        member: String,
    },
    /// Leave a room
    #[command(
        after_help = "Examples:\n  tacit wallet room leave 7ab3\n  tacit wallet room leave 7ab3 --as bob"
    )]
    Leave {
        /// The room's id, or the beginning of it
        room: String,
    },
    /// Post to a room
    #[command(after_help = "Examples:\n  tacit wallet room post 7ab3 \"nine it is\"\n  \
                            tacit wallet room post 7ab3 \"agreed\" --as bob")]
    Post {
        /// The room's id, or the beginning of it
        room: String,
        /// The text
        text: String,
    },
    /// Read a room
    #[command(after_help = "Examples:\n  tacit wallet room read 7ab3\n  \
                            tacit wallet room read 7ab3 --after 40 --json")]
    Read {
        /// The room's id, or the beginning of it
        room: String,
        /// Only posts from this number on
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        after: u64,
    },
    /// List my rooms
    #[command(after_help = "Examples:\n  tacit wallet room list\n  tacit wallet room list --as bob --json")]
    List,
}

#[derive(Subcommand)]
pub(crate) enum NameVerb {
    /// Claim a name: 3 to 32 of a-z, 0-9 and -, first come
    #[command(after_help = "Examples:\n  tacit wallet name claim alice\n  \
                            tacit wallet name claim treasury --as alice")]
    Claim {
        /// The name
        name: String,
    },
    /// Whose name it is, proven
    #[command(after_help = "Examples:\n  tacit wallet name resolve alice\n  \
                            tacit wallet name resolve alice --json")]
    Resolve {
        /// The name
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum TrustVerb {
    /// What is pinned here, and how far it was verified
    #[command(after_help = "Examples:\n  tacit wallet trust show\n  tacit wallet trust show --json")]
    Show,
    /// Verify now, from the pin to the sealing key
    #[command(after_help = "Examples:\n  tacit wallet trust check\n  \
                            tacit wallet trust check --witness http://127.0.0.1:26610 -v")]
    Check,
    /// Pin a genesis hash; what was verified under it so far is forgotten
    #[command(after_help = "Examples:\n  tacit wallet trust pin 9c1e2ab4...\n  \
                            tacit wallet trust pin 9c1e2ab4... --home ~/.tacit")]
    Pin {
        /// The genesis hash, 64 hex digits, from someone you trust
        hash: String,
    },
}

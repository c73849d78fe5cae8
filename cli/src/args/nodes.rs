//! `tacit node` and `tacit testnet`

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use tacit_node::config::HistoryChoice;

/// Which TEE.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TeeChoice {
    Guest,
    SevSnp,
    Tdx,
    Simulated,
    SimulatedTdx,
}

/// Where a validator's keys live between two starts.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeysChoice {
    Sealed,
    Memory,
}

#[derive(Subcommand)]
pub(crate) enum NodeVerb {
    /// Make a node's keys and registration
    #[command(
        after_help = "Examples:\n  tacit node init --home val-0 --name val-0 --nonce 11c0...\n  \
                            tacit node init --home val-4 --name val-4 --join --genesis genesis.json --peer /ip4/203.0.113.7/tcp/26601/p2p/12D3..."
    )]
    Init {
        /// The node's name: 1 to 32 of a-z, 0-9 and -
        #[arg(long)]
        name: String,
        /// Where the keys will live: the guest that this runs in, whatever it is or of this kind alone; simulated protects
        /// nothing, and is for dev networks only
        #[arg(long, value_enum, default_value_t = TeeChoice::Guest)]
        tee: TeeChoice,
        /// This chip's certificate (DER or PEM), where the host supplies none; SEV-SNP only
        #[arg(long, value_name = "FILE")]
        leaf: Option<PathBuf>,
        /// The founders' nonce, 64 hex digits: all founders of one network use the same
        #[arg(long, value_name = "HEX", required_unless_present_any = ["observer", "join"])]
        nonce: Option<String>,
        /// Join a running network, whose genesis is given: the node registers by itself once it runs
        #[arg(long, requires = "genesis", conflicts_with_all = ["nonce", "observer"])]
        join: bool,
        /// Where the keys live between two starts; in memory, the node registers anew at each
        #[arg(long, value_enum, default_value_t = KeysChoice::Sealed, requires = "join")]
        keys: KeysChoice,
        /// Follow only: no keys in the set, no TEE
        #[arg(long)]
        observer: bool,
        /// The simulator's authority; made when it does not exist (simulated only)
        #[arg(long, default_value = "simulator-authority.bin", value_name = "FILE")]
        authority: PathBuf,
        /// Install this genesis too
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
        /// Where the API listens
        #[arg(long, default_value = "127.0.0.1:26600", value_name = "ADDRESS")]
        api: SocketAddr,
        /// Where the peer-to-peer network listens
        #[arg(long, default_value = "0.0.0.0:26601", value_name = "ADDRESS")]
        p2p: SocketAddr,
        /// A peer to dial, with its /p2p/ suffix; give it once a peer
        #[arg(long = "peer", value_name = "MULTIADDR")]
        peers: Vec<String>,
    },
    /// Install a genesis into a node's home
    #[command(
        after_help = "Examples:\n  tacit node install genesis.json --home val-0 --genesis-hash 9c1e2ab4...\n  \
                            tacit node install genesis.json --home val-0 --peer /ip4/203.0.113.7/tcp/26601/p2p/12D3..."
    )]
    Install {
        /// The file
        genesis: PathBuf,
        /// A peer to dial, as its `node init` printed it; give it once a peer. They replace those of before
        #[arg(long = "peer", value_name = "MULTIADDR")]
        peers: Vec<String>,
        /// The lost network's state, where the genesis goes on with one: the file that `tacit genesis recover` wrote
        #[arg(long, value_name = "FILE", requires = "shares")]
        state: Option<PathBuf>,
        /// A recovery member's share, as it released it; give it once a member
        #[arg(long = "share", value_name = "FILE", requires = "state")]
        shares: Vec<PathBuf>,
    },
    /// Run a node until it is told to stop
    #[command(
        after_help = "Examples:\n  tacit node run --home val-0\n  tacit node run --home val-0 --history 30"
    )]
    Run {
        /// How much of the chain to keep: "all", or blocks of so many epochs; config.toml says it otherwise
        #[arg(long, value_name = "all|N")]
        history: Option<HistoryChoice>,
    },
    /// What the node at --rpc says about itself
    #[command(
        after_help = "Examples:\n  tacit node status\n  tacit node status --rpc http://127.0.0.1:26610"
    )]
    Status,
    /// Have the running node of --home register, and follow it until it votes; ends with the refusal if it is refused
    #[command(
        after_help = "Examples:\n  tacit node join --home val-4 --timeout 5m\n  tacit node join --home val-4 --json"
    )]
    Join,
    /// Make fresh keys under the old name, where the old ones do not open: on another chip, or with another build
    #[command(after_help = "Examples:\n  tacit node rejoin --home val-2\n  \
                            tacit node rejoin --home val-2 --tee simulated --authority simulator-authority.bin")]
    Rejoin {
        /// Which simulated machine to make, where the home has none; by default what is there is used
        #[arg(long, value_enum)]
        tee: Option<TeeChoice>,
        /// The simulator's authority (simulated only)
        #[arg(long, default_value = "simulator-authority.bin", value_name = "FILE")]
        authority: PathBuf,
        /// This chip's certificate (DER or PEM), where the host supplies none; SEV-SNP only
        #[arg(long, value_name = "FILE")]
        leaf: Option<PathBuf>,
    },
    /// Take the validator of --home off the network, from the next epoch on
    #[command(
        after_help = "Examples:\n  tacit node leave --home val-2 --wait --timeout 15m\n  \
                            tacit node leave --home val-2 --operator-key operator.key --rpc http://127.0.0.1:26600"
    )]
    Leave {
        /// The operator's key [default: operator.key of the home]
        #[arg(long, value_name = "FILE")]
        operator_key: Option<PathBuf>,
        /// Wait until it has no seat any more
        #[arg(long)]
        wait: bool,
    },
    /// Have the running node of --home take no new envelopes, and wait until those it took in are final
    #[command(
        after_help = "Examples:\n  tacit node drain --home val-2 --timeout 2m\n  tacit node drain --home val-2 --cancel"
    )]
    Drain {
        /// Take new envelopes again
        #[arg(long)]
        cancel: bool,
    },
    /// Vote to drop machines at once, as the validator of --home; n - f votes end the epoch without them
    #[command(
        after_help = "Examples:\n  tacit node suspend --home val-0 --family milan\n  \
                            tacit node suspend --home val-0 --platform tdx --measurement 6b1f... --json"
    )]
    Suspend(SuspendArgs),
    /// Whether the node at --rpc is ready; exits 3 when it is not
    #[command(after_help = "Examples:\n  tacit node health\n  tacit node health --json")]
    Health,
}

/// `tacit node suspend`: which machines, or which validator.
#[derive(Args)]
#[group(id = "whom", required = true, multiple = true)]
pub(crate) struct SuspendArgs {
    /// One machine, by its chip: 128 hex digits, as `tacit attest show` prints them
    #[arg(long, value_name = "HEX", requires = "vendor", conflicts_with_all = ["family", "measurement", "platform"])]
    pub(crate) chip: Option<String>,
    /// In whose space of chips: amd or intel
    #[arg(long, value_name = "VENDOR", requires = "chip")]
    pub(crate) vendor: Option<String>,
    /// All machines of a family: milan, genoa, turin, or an FMSPC
    #[arg(long, value_name = "NAME", conflicts_with_all = ["measurement", "platform"])]
    pub(crate) family: Option<String>,
    /// All machines that run one build: 96 hex digits
    #[arg(long, value_name = "HEX", requires = "platform")]
    pub(crate) measurement: Option<String>,
    /// All machines of a platform, or where the build runs: sev-snp, tdx, sgx, simulated or simulated-tdx
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<String>,
    /// One validator, whatever it runs on, by its consensus key: 64 hex digits, as /v1/validators names it
    #[arg(long, value_name = "HEX", conflicts_with_all = ["chip", "family", "measurement", "platform"])]
    pub(crate) validator: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum TestnetVerb {
    /// Make or resume a local network and start it
    #[command(after_help = "Examples:\n  tacit testnet up\n  \
                            tacit testnet up --validators 7 --epoch 30s --detach --json")]
    Up(UpArgs),
    /// Stop it; its state is kept
    #[command(after_help = "Examples:\n  tacit testnet down\n  tacit testnet down --dir /tmp/net")]
    Down(Dir),
    /// Height, view, epoch and peers of each node
    #[command(after_help = "Examples:\n  tacit testnet status\n  tacit testnet status --json")]
    Status(Dir),
    /// Kill nodes without warning (SIGKILL)
    #[command(after_help = "Examples:\n  tacit testnet kill 3\n  tacit testnet kill 0 1 2 3")]
    Kill(Nodes),
    /// Start nodes again
    #[command(after_help = "Examples:\n  tacit testnet restart 3\n  tacit testnet restart 2 3")]
    Restart(Nodes),
    /// Freeze nodes (SIGSTOP)
    #[command(after_help = "Examples:\n  tacit testnet pause 3\n  tacit testnet pause 2 3")]
    Pause(Nodes),
    /// Let frozen nodes go on (SIGCONT)
    #[command(after_help = "Examples:\n  tacit testnet resume 3\n  tacit testnet resume 2 3")]
    Resume(Nodes),
    /// Add validators to the running network
    #[command(after_help = "Examples:\n  tacit testnet join\n  tacit testnet join 2 --timeout 5m --json")]
    Join {
        /// How many, one after the other
        #[arg(default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
        count: u16,
        #[command(flatten)]
        dir: Dir,
    },
    /// Move validators to another build, one after the other: members admit it, each node starts with fresh keys
    #[command(
        after_help = "Examples:\n  tacit testnet upgrade 0 1 2 3 --build ./tacit-next\n  \
                            tacit testnet upgrade 0 1 2 3 --build ./tacit-next --drop-old --timeout 5m --json"
    )]
    Upgrade {
        /// Their numbers, from 0, or names
        #[arg(required = true)]
        nodes: Vec<String>,
        /// The build
        #[arg(long, value_name = "FILE")]
        build: PathBuf,
        /// Have the members drop the builds that no validator runs any more
        #[arg(long)]
        drop_old: bool,
        #[command(flatten)]
        dir: Dir,
    },
    /// Take validators off the network, and stop them once they have no seat
    #[command(
        after_help = "Examples:\n  tacit testnet leave 3\n  tacit testnet leave 0 1 --timeout 5m --json"
    )]
    Leave(Nodes),
    /// Start nodes from an older copy of their home: save one, and later put it back
    #[command(after_help = "Examples:\n  tacit testnet rollback 2 --save\n  tacit testnet rollback 2 --json")]
    Rollback {
        /// Their numbers, from 0, or names
        #[arg(required = true)]
        nodes: Vec<String>,
        /// Save a copy of the home as it is now
        #[arg(long)]
        save: bool,
        #[command(flatten)]
        dir: Dir,
    },
    /// Cut the links between groups of nodes, and heal all others; needs `up --proxy` or `--namespaces`
    #[command(after_help = "Examples:\n  tacit testnet partition 0,1/2,3\n  \
                            tacit testnet partition --from 0 --to 1,2 --json")]
    Partition {
        /// Groups of numbers or names, such as 0,1/2,3; nodes in none of them form one more
        #[arg(required_unless_present_any = ["from", "to"], conflicts_with_all = ["from", "to"])]
        groups: Option<String>,
        /// Cut one way only, beside what is cut already: what these say does not arrive [default: all]
        #[arg(long, value_name = "NODES")]
        from: Option<String>,
        /// Cut one way only, beside what is cut already: nothing arrives at these [default: all]
        #[arg(long, value_name = "NODES")]
        to: Option<String>,
        #[command(flatten)]
        dir: Dir,
    },
    /// Make all links whole; slow ones stay slow
    #[command(after_help = "Examples:\n  tacit testnet heal\n  tacit testnet heal --json")]
    Heal(Dir),
    /// Make links slow, or with 0ms fast again; needs `up --proxy`
    #[command(after_help = "Examples:\n  tacit testnet latency 200ms --jitter 100ms\n  \
                            tacit testnet latency 1s --from 0 --to 1,2 --json")]
    Latency {
        /// How long what is said takes, one way
        #[arg(value_parser = humantime::parse_duration)]
        delay: Duration,
        /// Up to so much more or less
        #[arg(long, value_parser = humantime::parse_duration, default_value = "0ms", value_name = "TIME")]
        jitter: Duration,
        /// What these say [default: all]
        #[arg(long, value_name = "NODES")]
        from: Option<String>,
        /// What is said to these [default: all]
        #[arg(long, value_name = "NODES")]
        to: Option<String>,
        #[command(flatten)]
        dir: Dir,
    },
    /// Have an adversary take a validator's place and keys, until `restart` brings the validator back
    #[command(after_help = "Examples:\n  tacit testnet adversary 3 equivocate\n  \
                            tacit testnet adversary val-2 silent --json")]
    Adversary {
        /// The validator's number, from 0, or name
        node: String,
        /// How it is not honest
        #[arg(value_enum)]
        kind: AdversaryKind,
        #[command(flatten)]
        dir: Dir,
    },
    /// The process of an adversary; `adversary` starts it
    #[command(hide = true)]
    Crook {
        /// How it is not honest
        #[arg(value_enum)]
        kind: AdversaryKind,
        /// The home of the validator whose place it takes
        home: PathBuf,
    },
    /// The process that links go through; `up --proxy` starts it
    #[command(hide = true)]
    Proxy {
        /// Its folder
        folder: PathBuf,
    },
    /// A node's log
    #[command(after_help = "Examples:\n  tacit testnet logs 0\n  tacit testnet logs 0 --follow")]
    Logs {
        /// Its number or name
        node: String,
        /// Only the last so many lines
        #[arg(long, value_name = "COUNT")]
        lines: Option<usize>,
        /// Stay and print what comes
        #[arg(long)]
        follow: bool,
        #[command(flatten)]
        dir: Dir,
    },
    /// Put sealed transactions through it
    #[command(after_help = "Examples:\n  tacit testnet load --rate 100 --seconds 20\n  \
                            tacit testnet load --rate 50 --seconds 10 --kind message --json")]
    Load {
        /// Transactions a second; 0 for as many as the wallets can
        #[arg(long, default_value_t = 50.0, allow_negative_numbers = true)]
        rate: f64,
        /// How long, in seconds
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// How many wallets
        #[arg(long, default_value_t = 16)]
        wallets: u16,
        /// What they send
        #[arg(long, value_enum, default_value_t = LoadKind::Transfer)]
        kind: LoadKind,
        #[command(flatten)]
        dir: Dir,
    },
    /// Search everything an operator can read for words that must stay sealed
    #[command(
        after_help = "Examples:\n  tacit testnet leakscan \"the meeting is at nine\"\n  \
                            tacit testnet leakscan secret --capture capture.pcap --json"
    )]
    Leakscan {
        /// The words
        #[arg(required = true)]
        words: Vec<String>,
        /// A file to search too, such as a packet capture; give it once a file
        #[arg(long = "capture", value_name = "FILE")]
        captures: Vec<PathBuf>,
        #[command(flatten)]
        dir: Dir,
    },
}

/// Which network.
#[derive(Args)]
pub(crate) struct Dir {
    /// Its folder
    #[arg(long, default_value = ".tacit-testnet", value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// Which nodes of which network.
#[derive(Args)]
pub(crate) struct Nodes {
    /// Their numbers, from 0, or names
    #[arg(required = true)]
    pub(crate) nodes: Vec<String>,
    #[command(flatten)]
    pub(crate) dir: Dir,
}

/// How a validator is not honest.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AdversaryKind {
    /// It is there, and says nothing
    Silent,
    /// It sends more than it may, of every kind
    Spam,
    /// It says again what it heard: stale certificates, others' votes
    Replay,
    /// It votes twice in each view, and proposes two blocks
    Equivocate,
    /// It answers with forged blocks, snapshot chunks, shares and standings
    Forge,
}

impl From<AdversaryKind> for tacit_testnet::Adversary {
    fn from(kind: AdversaryKind) -> Self {
        match kind {
            AdversaryKind::Silent => Self::Silent,
            AdversaryKind::Spam => Self::Spam,
            AdversaryKind::Replay => Self::Replay,
            AdversaryKind::Equivocate => Self::Equivocate,
            AdversaryKind::Forge => Self::Forge,
        }
    }
}

/// What the load does.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoadKind {
    Transfer,
    Message,
    Mixed,
}

/// `tacit testnet up`
#[derive(Args)]
pub(crate) struct UpArgs {
    /// Validators; four tolerate one fault
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=32))]
    pub(crate) validators: u16,
    /// How many of them, the last ones, are simulated TDX machines instead of simulated SEV-SNP machines
    #[arg(long, default_value_t = 0, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(0..=32))]
    pub(crate) tdx: u16,
    /// Nodes that only follow
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=32))]
    pub(crate) observers: u16,
    /// The API of node i is at this port + 10 i, its peer-to-peer port one above
    #[arg(long, default_value_t = 26_600)]
    pub(crate) base_port: u16,
    /// Fail when a port is taken instead of moving on
    #[arg(long)]
    pub(crate) strict_ports: bool,
    /// Let the links between nodes go through a proxy, where `partition` cuts and `latency` slows them
    #[arg(long)]
    pub(crate) proxy: bool,
    /// Give each node a network namespace, where `partition` loses packets in the kernel; needs root and iproute2
    #[arg(long, conflicts_with_all = ["proxy", "latency"])]
    pub(crate) namespaces: bool,
    /// Begin with slow links: how long what is said takes, one way; implies --proxy
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0ms", value_name = "TIME")]
    pub(crate) latency: Duration,
    /// Up to so much more or less
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0ms", value_name = "TIME")]
    pub(crate) jitter: Duration,
    /// Everything random comes from this
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Longest epoch
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) epoch: Duration,
    /// Wallets, each with a balance of 1000
    #[arg(
        long,
        default_value = "alice,bob,carol,faucet",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub(crate) accounts: Vec<String>,
    /// Funded wallets for `load`
    #[arg(long, default_value_t = 32)]
    pub(crate) load_accounts: u16,
    /// Throw an older network in this folder away
    #[arg(long)]
    pub(crate) reset: bool,
    /// Leave it running and return
    #[arg(long)]
    pub(crate) detach: bool,
    /// Write this file once it is ready
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) dir: Dir,
}

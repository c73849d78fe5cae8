//! Every kind of fault that a run can meet, by name, and how often each one struck.

use std::{fmt, str::FromStr};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fault {
    /// A packet is lost.
    Loss,
    /// A packet takes up to seconds.
    Delay,
    /// A packet is held back until later ones of its link have overtaken it.
    Reorder,
    /// A packet comes twice.
    Duplicate,
    /// A byte of a packet is changed.
    Corrupt,
    /// A packet of any earlier time comes again, to anybody.
    Replay,
    /// A request is taken and not answered; its asker's transport gives up.
    Unanswered,
    /// An answer comes seconds after its asker has turned elsewhere.
    LateAnswer,
    /// Another answer than the one asked for, from a node that may lie.
    WrongAnswer,
    /// Nothing passes from one node to another; the other way it does.
    OneWay,
    /// The network falls into two parts.
    Partition,
    /// Each node reaches its two neighbours only.
    Ring,
    /// Two parts and one node between them that reaches both.
    Bridge,
    /// A partition whose parts change again and again.
    MovingPartition,
    /// A link holds everything back, then lets all of it go at once.
    Clog,
    /// One link is slow.
    SlowLink,
    /// All links of one node are slow.
    SlowNode,
    /// Connections break and are made again.
    Flap,
    /// The power goes: every write that was not synced is lost.
    UnsyncedLost,
    /// The power goes: of the writes that were not synced some of the last are lost.
    SuffixLost,
    /// The power goes: of the writes that were not synced any may be lost.
    SubsetLost,
    /// The power goes at some write within a step.
    PowerCut,
    /// A write fails.
    WriteFails,
    /// A sync fails.
    SyncFails,
    /// The disk is full for a while.
    DiskFull,
    /// A byte of a stored block is changed.
    BlockDamaged,
    /// An earlier image of disk and keyring is put in place.
    ImageRestored,
    /// The vault cannot save the keyring.
    VaultFails,
    /// The power goes between the vault's save and the store's write.
    VaultCut,
    /// A clock is wrong.
    ClockOffset,
    /// A clock runs fast or slow.
    ClockRate,
    /// A clock jumps ahead.
    ClockAhead,
    /// A clock jumps back.
    ClockBack,
    /// A clock stands still.
    ClockStops,
    /// A process is stopped for a while and then goes on; what came waits.
    Pause,
    /// A process ends between two inputs.
    Crash,
    /// A process ends between two effects of one step.
    CrashMidStep,
    /// All processes end at once.
    CrashAll,
    /// A process is down for long.
    SlowRestart,
}

impl Fault {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 39] = [
        Self::Loss,
        Self::Delay,
        Self::Reorder,
        Self::Duplicate,
        Self::Corrupt,
        Self::Replay,
        Self::Unanswered,
        Self::LateAnswer,
        Self::WrongAnswer,
        Self::OneWay,
        Self::Partition,
        Self::Ring,
        Self::Bridge,
        Self::MovingPartition,
        Self::Clog,
        Self::SlowLink,
        Self::SlowNode,
        Self::Flap,
        Self::UnsyncedLost,
        Self::SuffixLost,
        Self::SubsetLost,
        Self::PowerCut,
        Self::WriteFails,
        Self::SyncFails,
        Self::DiskFull,
        Self::BlockDamaged,
        Self::ImageRestored,
        Self::VaultFails,
        Self::VaultCut,
        Self::ClockOffset,
        Self::ClockRate,
        Self::ClockAhead,
        Self::ClockBack,
        Self::ClockStops,
        Self::Pause,
        Self::Crash,
        Self::CrashMidStep,
        Self::CrashAll,
        Self::SlowRestart,
    ];

    /// Its name on a command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Delay => "delay",
            Self::Reorder => "reorder",
            Self::Duplicate => "duplicate",
            Self::Corrupt => "corrupt",
            Self::Replay => "replay",
            Self::Unanswered => "unanswered",
            Self::LateAnswer => "late-answer",
            Self::WrongAnswer => "wrong-answer",
            Self::OneWay => "one-way",
            Self::Partition => "partition",
            Self::Ring => "ring",
            Self::Bridge => "bridge",
            Self::MovingPartition => "moving-partition",
            Self::Clog => "clog",
            Self::SlowLink => "slow-link",
            Self::SlowNode => "slow-node",
            Self::Flap => "flap",
            Self::UnsyncedLost => "unsynced-lost",
            Self::SuffixLost => "suffix-lost",
            Self::SubsetLost => "subset-lost",
            Self::PowerCut => "power-cut",
            Self::WriteFails => "write-fails",
            Self::SyncFails => "sync-fails",
            Self::DiskFull => "disk-full",
            Self::BlockDamaged => "block-damaged",
            Self::ImageRestored => "image-restored",
            Self::VaultFails => "vault-fails",
            Self::VaultCut => "vault-cut",
            Self::ClockOffset => "clock-offset",
            Self::ClockRate => "clock-rate",
            Self::ClockAhead => "clock-ahead",
            Self::ClockBack => "clock-back",
            Self::ClockStops => "clock-stops",
            Self::Pause => "pause",
            Self::Crash => "crash",
            Self::CrashMidStep => "crash-mid-step",
            Self::CrashAll => "crash-all",
            Self::SlowRestart => "slow-restart",
        }
    }

    /// Whether it strikes single packets; others have moments of their own.
    pub fn strikes_packets(self) -> bool {
        self <= Self::WrongAnswer
    }

    /// Whether it breaks more than a correct node may suffer: only those nodes meet it that count among the faulty.
    pub fn is_beyond_a_correct_node(self) -> bool {
        matches!(
            self,
            Self::WrongAnswer | Self::SubsetLost | Self::BlockDamaged | Self::ImageRestored
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|fault| fault.name() == name);
        found.ok_or_else(|| format!("no fault is called {name}"))
    }
}

/// How often each kind struck. A cut or a slow link counts each packet that it swallowed or held.
#[derive(Clone, PartialEq, Eq)]
pub struct Counts([u64; Fault::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(fault, count)| (fault.name(), count)))
            .finish()
    }
}

impl Counts {
    /// It struck once more.
    pub fn strike(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Those of another run on top.
    pub fn add(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(own, more)| *own += more);
    }

    /// How often one kind struck.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Every kind that struck, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> + '_ {
        let all = Fault::ALL.into_iter().map(|fault| (fault, self.of(fault)));
        all.filter(|(_, count)| *count > 0)
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

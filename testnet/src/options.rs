//! What network to make.

use std::path::PathBuf;
use std::time::Duration;

use tacit_attest::Generation;

use crate::error::Error;
use crate::links::Delay;
use crate::ports;

/// The folder used when none is named.
pub const DEFAULT_DIR: &str = ".tacit-testnet";
/// First port when none is named: below the range from which the system hands out ports by itself.
pub const DEFAULT_BASE_PORT: u16 = 26_600;
/// More processes than this on one machine measure the machine and not the network.
pub const MAX_NODES: u16 = 64;
/// Prefunded wallets for load, at most (each is one allocation in the genesis).
pub const MAX_LOAD_ACCOUNTS: u16 = 2_048;
/// Named wallets, at most.
pub const MAX_ACCOUNTS: usize = 64;

/// What [`crate::Testnet::up`] makes, or resumes.
///
/// When the folder holds a network already, that network is resumed as it was made; of these options only `ports`,
/// `proxy`, `namespaces`, `delay`, `binary`, `timeout`, `ready_file` and the two about stopping count then, and an [`crate::Event`] names what was
/// ignored.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything lives.
    pub dir: PathBuf,
    /// Validators, 1 to [`MAX_NODES`] together with the observers. Fewer than 4 tolerate no fault.
    pub validators: u16,
    /// The last so many validators are simulated TDX machines; the others are simulated SEV-SNP machines.
    pub tdx: u16,
    /// The last so many of the SEV-SNP machines are of the Milan generation, the others Genoa: a floor for one of them
    /// leaves the others alone.
    pub milan: u16,
    /// Nodes that follow and serve, but hold no secret.
    pub observers: u16,
    /// Node i serves its API on `base_port + 10 i` and its peers on the next port, on loopback.
    pub base_port: u16,
    /// Fail when a port is taken, instead of moving to the next free run.
    pub strict_ports: bool,
    /// Let the links between the nodes go through a proxy, where they can be cut and slowed.
    pub proxy: bool,
    /// Give each node a network namespace of its own, where cut links lose packets; not with `proxy`. Needs root and iproute2.
    pub namespaces: bool,
    /// How slow the links are at first; needs `proxy`.
    pub delay: Delay,
    /// Source of every key in the network.
    pub seed: u64,
    /// Genesis time, Unix milliseconds; now when absent. Same seed and time: byte-identical genesis.
    pub time_ms: Option<u64>,
    /// An epoch ends at the latest after this, milliseconds.
    pub epoch_ms: u64,
    /// An epoch that has lasted so long ends when its membership is to change, milliseconds.
    pub epoch_ms_min: u64,
    /// Fee for each 512 bytes of envelope, in smallest units.
    pub fee_per_512: u64,
    /// Names of the wallets to make.
    pub accounts: Vec<String>,
    /// What each of them owns at genesis, in whole coins.
    pub balance: u64,
    /// Further funded wallets, without files, for [`crate::load`].
    pub load_accounts: u16,
    /// Delete what the folder holds and start over.
    pub reset: bool,
    /// The `tacit` binary that every node runs.
    pub binary: PathBuf,
    /// How long the network may take to get ready.
    pub timeout: Duration,
    /// Written, with the path of `testnet.json` in it, once the network is ready.
    pub ready_file: Option<PathBuf>,
    /// Leave the nodes running when the [`crate::Testnet`] is dropped.
    pub detach: bool,
    /// Listen for SIGINT and SIGTERM, so that they stop the nodes too. For commands; a library caller that leaves
    /// it off keeps the signals' usual meaning.
    pub stop_on_interrupt: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            dir: PathBuf::from(DEFAULT_DIR),
            validators: 4,
            tdx: 0,
            milan: 0,
            observers: 0,
            base_port: DEFAULT_BASE_PORT,
            strict_ports: false,
            proxy: false,
            namespaces: false,
            delay: Delay::default(),
            seed: 42,
            time_ms: None,
            epoch_ms: 600_000,
            epoch_ms_min: 1_000,
            fee_per_512: 0,
            accounts: ["alice", "bob", "carol", "faucet"].map(String::from).to_vec(),
            balance: 1_000,
            load_accounts: 32,
            reset: false,
            binary: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("tacit")),
            timeout: Duration::from_secs(60),
            ready_file: None,
            detach: false,
            stop_on_interrupt: false,
        }
    }
}

impl Options {
    /// Nodes in all.
    pub fn nodes(&self) -> usize {
        usize::from(self.validators) + usize::from(self.observers)
    }

    /// Whether validator `i` is a simulated TDX machine.
    pub(crate) fn is_tdx(&self, i: usize) -> bool {
        let snp = self.validators.saturating_sub(self.tdx);
        (usize::from(snp)..usize::from(self.validators)).contains(&i)
    }

    /// The processor of validator `i`, where it is a simulated SEV-SNP machine.
    pub(crate) fn generation(&self, i: usize) -> Generation {
        let snp = self.validators.saturating_sub(self.tdx);
        match i < usize::from(snp.saturating_sub(self.milan)) {
            true => Generation::Genoa,
            false => Generation::Milan,
        }
    }

    /// Refuses what cannot be made, before anything is touched.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Usage(what));
        if self.validators == 0 {
            return refuse("a network needs at least one validator".into());
        }
        if self.tdx > self.validators {
            return refuse(format!(
                "--tdx {} of {} validators: there are not so many",
                self.tdx, self.validators
            ));
        }
        if self.milan > self.validators - self.tdx {
            return refuse(format!(
                "{} Milan machines of {} SEV-SNP validators: there are not so many",
                self.milan,
                self.validators - self.tdx
            ));
        }
        if self.nodes() > usize::from(MAX_NODES) {
            return refuse(format!(
                "{} nodes asked for, at most {MAX_NODES} fit one machine",
                self.nodes()
            ));
        }
        if self.base_port < 1_024 || ports::last(self.base_port, self.nodes()).is_none() {
            return refuse(format!(
                "--base-port {} leaves no room for {} nodes",
                self.base_port,
                self.nodes()
            ));
        }
        if self.namespaces && self.proxy {
            return refuse("links go through the proxy, or between namespaces: not both".into());
        }
        if self.delay != Delay::default() && !self.proxy {
            return refuse("slow links go through the proxy: it was not asked for".into());
        }
        if self.epoch_ms < 1_000 {
            return refuse("an epoch lasts at least one second".into());
        }
        if self.load_accounts > MAX_LOAD_ACCOUNTS {
            return refuse(format!("at most {MAX_LOAD_ACCOUNTS} load accounts"));
        }
        if self.accounts.len() > MAX_ACCOUNTS {
            return refuse(format!("at most {MAX_ACCOUNTS} accounts"));
        }
        for (i, name) in self.accounts.iter().enumerate() {
            let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 32 || !name.chars().all(letters) {
                return refuse(format!("account name {name:?}: 1 to 32 of a-z, 0-9 and -"));
            }
            if self.accounts[..i].contains(name) || name.starts_with("load-") || name.starts_with("probe") {
                return refuse(format!("account name {name:?} is taken"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_validators_are_the_tdx_machines() {
        let options = Options {
            tdx: 1,
            observers: 1,
            ..Options::default()
        };
        let tdx: Vec<bool> = (0..options.nodes()).map(|i| options.is_tdx(i)).collect();
        assert_eq!(tdx, [false, false, false, true, false]);
    }

    #[test]
    fn what_cannot_be_made_is_refused_before_anything_is_touched() {
        assert!(Options::default().check().is_ok());
        let bad = [
            Options {
                validators: 0,
                ..Options::default()
            },
            Options {
                validators: 60,
                observers: 5,
                ..Options::default()
            },
            Options {
                tdx: 5,
                ..Options::default()
            },
            Options {
                tdx: 2,
                milan: 3,
                ..Options::default()
            },
            Options {
                base_port: 80,
                ..Options::default()
            },
            Options {
                base_port: 65_530,
                ..Options::default()
            },
            Options {
                proxy: true,
                namespaces: true,
                ..Options::default()
            },
            Options {
                epoch_ms: 999,
                ..Options::default()
            },
            Options {
                accounts: vec!["../x".into()],
                ..Options::default()
            },
            Options {
                accounts: vec!["bob".into(), "bob".into()],
                ..Options::default()
            },
            Options {
                accounts: vec!["load-3".into()],
                ..Options::default()
            },
        ];
        for options in bad {
            assert!(matches!(options.check(), Err(Error::Usage(_))), "{options:?}");
        }
    }
}

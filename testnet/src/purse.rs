//! This network's own wallets, as the wallet crate runs them: nothing here believes a node.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tacit_ledger::{AccountId, Action, Genesis, TokenAction};
use tacit_wallet::{
    Address, Api, Error as WalletError, Home, HttpTransport, Keyfile, Passphrase, Seeds, Submitted,
    Transport, Trust, Wallet, WalletOptions, Work, system_clock,
};

use crate::error::Error;
use crate::facts::Facts;
use crate::founding;
use crate::interrupt::Interrupt;
use crate::load::{Fate, LoadKind, LoadOptions, Sender};
use crate::pause::pause;
use crate::seeds;

/// Longest time for one HTTP exchange, besides what a long poll adds.
const EXCHANGE: Duration = Duration::from_secs(10);
/// A node that has brought no news of a transaction for this long is changed for the next one.
const TURN: Duration = Duration::from_secs(5);
/// Pause before a node that is not ready yet is asked again.
const BEAT: Duration = Duration::from_millis(50);

/// Writes the key file of a named wallet; gives its address and its path.
pub(crate) fn write_file(
    dir: &Path,
    name: &str,
    seed: u64,
    genesis: &Genesis,
    password: &str,
) -> Result<(String, PathBuf), Error> {
    let home = Home::at(dir);
    let made = Keyfile::create(
        &home,
        name,
        secrets(seed, name),
        genesis.trust.class,
        genesis.chain_id(),
        &Passphrase::new(password.to_owned()),
        Work::Test,
    );
    let file = home.wallet(name).map_err(|e| refused(name, e))?;
    Ok((made.map_err(|e| refused(name, e))?.address.to_string(), file))
}

/// Sends a sealed transfer and follows it to its verified receipt; gives its height. What is not ready yet is
/// asked again within `patience`; the transfer itself is sent once. While it is on its way, the network's named
/// wallets publish their mail keys if they have not yet, so that each of them can be written to at once.
pub(crate) fn prove_ready(facts: &Facts, patience: Duration, interrupt: &Interrupt) -> Result<u64, Error> {
    let end = Instant::now() + patience;
    let name = seeds::PROBE;
    let sink = founding::account(facts.seed, seeds::PROBE_SINK)?.id();
    let genesis = founding::read_genesis(facts)?;
    let mut purse = Purse::open(facts, &genesis, None, name, sink, 0, patience)?;
    let mut sent = loop {
        match purse.wallet.submit(transfer(sink)) {
            Ok(sent) => break sent,
            // The first key may reach the node's proofs a moment after its status.
            Err(e) if (e.retryable() || e.code() == "epoch.key") && Instant::now() < end => {
                interrupt.check()?;
                pause(BEAT);
            }
            Err(e) => return Err(refused(name, e)),
        }
    };
    let mut named = Vec::with_capacity(facts.wallets.len());
    for (at, wallet) in facts.wallets.iter().enumerate() {
        // What the probe has verified need not be verified again.
        let trust = Some(purse.wallet.trust().clone());
        named.push(Purse::open(
            facts,
            &genesis,
            trust,
            &wallet.name,
            sink,
            at,
            patience,
        )?);
    }
    thread::scope(|scope| {
        let letters = scope.spawn(|| prepare_all(&mut named));
        let confirmed = purse.follow(&mut sent, end).map_err(|e| refused(name, e))?;
        letters.join().unwrap_or_else(|_| Err(broken()))?;
        Ok(confirmed.receipt.height)
    })
}

/// Publishes the mail keys of these wallets, all at once: one after the other would take a round of consensus each.
fn prepare_all(purses: &mut [Purse]) -> Result<(), Error> {
    thread::scope(|scope| {
        let workers: Vec<_> = purses
            .iter_mut()
            .map(|purse| scope.spawn(|| purse.prepare_mail()))
            .collect();
        // All are joined before the first error is told.
        let prepared: Vec<_> = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err(broken())))
            .collect();
        prepared.into_iter().collect()
    })
}

fn broken() -> Error {
    Error::Usage("a wallet's thread ended".into())
}

/// Wallets for load, spread over the validators, each ready to send at once.
pub(crate) fn load_purses(facts: &Facts, options: &LoadOptions) -> Result<Vec<Purse>, Error> {
    let genesis = founding::read_genesis(facts)?;
    let trust = first_trust(facts, &genesis)?;
    let mut purses = Vec::with_capacity(options.wallets.into());
    for n in 0..options.wallets {
        let next = seeds::load_wallet((n + 1) % options.wallets);
        let to = founding::account(facts.seed, &next)?.id();
        let name = seeds::load_wallet(n);
        let (trust, patience) = (Some(trust.clone()), options.patience);
        purses.push(Purse::open(
            facts,
            &genesis,
            trust,
            &name,
            to,
            n.into(),
            patience,
        )?);
    }
    if options.kind != LoadKind::Transfer {
        // Who is written to must have published a key.
        prepare_all(&mut purses)?;
    }
    Ok(purses)
}

/// A member's wallet, at one node.
pub(crate) fn member(facts: &Facts, genesis: &Genesis, name: &str, rpc: &str) -> Result<Wallet, Error> {
    let trust = Trust::begin(genesis.clone(), &genesis.chain_id(), None).map_err(|e| refused(name, e))?;
    let keyfile = keyfile(facts, genesis, name)?;
    wallet(&keyfile, &[rpc.to_owned()], 0, trust).map_err(|e| refused(name, e))
}

/// One wallet at work: at a validator, and at the next one when that is silent.
pub(crate) struct Purse {
    /// Where the network's facts are: validators come and go while a wallet works.
    dir: PathBuf,
    keyfile: Keyfile,
    wallet: Wallet,
    nodes: Vec<String>,
    at: usize,
    to: Address,
    patience: Duration,
}

impl Purse {
    fn open(
        facts: &Facts,
        genesis: &Genesis,
        trust: Option<Trust>,
        name: &str,
        to: AccountId,
        at: usize,
        patience: Duration,
    ) -> Result<Purse, Error> {
        let nodes = validators(facts);
        let keyfile = keyfile(facts, genesis, name)?;
        let trust = match trust {
            Some(trust) => trust,
            None => Trust::begin(genesis.clone(), &genesis.chain_id(), None).map_err(|e| refused(name, e))?,
        };
        let at = at % nodes.len().max(1);
        let wallet = wallet(&keyfile, &nodes, at, trust).map_err(|e| refused(name, e))?;
        Ok(Purse {
            dir: facts.genesis.parent().map(Path::to_path_buf).unwrap_or_default(),
            keyfile,
            wallet,
            nodes,
            at,
            to: Address::new(genesis.trust.class, to),
            patience,
        })
    }

    /// Goes on at the next validator with everything verified so far.
    fn move_on(&mut self) -> Result<(), WalletError> {
        if let Ok(facts) = Facts::read(&self.dir) {
            self.nodes = validators(&facts);
        }
        let next = (self.at + 1) % self.nodes.len().max(1);
        self.wallet = wallet(&self.keyfile, &self.nodes, next, self.wallet.trust().clone())?;
        self.at = next;
        Ok(())
    }

    /// Follows a transaction to its verified receipt until `end`, asking another validator when one is silent.
    fn follow(&mut self, sent: &mut Submitted, end: Instant) -> Result<tacit_wallet::Confirmed, WalletError> {
        loop {
            match self.wallet.wait(sent) {
                Err(e) if silent(&e) && Instant::now() < end => self.move_on()?,
                other => return other,
            }
        }
    }

    fn prepare_mail(&mut self) -> Result<(), Error> {
        let name = self.keyfile.name.clone();
        self.wallet
            .prepare_mail()
            .map(|_| ())
            .map_err(|e| refused(&name, e))
    }

    fn submit(&mut self, number: u64, kind: LoadKind) -> Result<Submitted, WalletError> {
        if kind == LoadKind::Message || kind == LoadKind::Mixed && number % 2 == 1 {
            let to = self.to;
            self.wallet
                .submit_message(&to, &format!("message {number} of a load"))
        } else {
            self.wallet.submit(transfer(self.to.account))
        }
    }
}

impl Sender for Purse {
    fn send(&mut self, number: u64, kind: LoadKind) -> Fate {
        let end = Instant::now() + self.patience;
        let mut sent = match self.submit(number, kind) {
            Ok(sent) => sent,
            Err(e) => {
                let code = e.code().to_owned();
                // Whatever ails this node, the next transaction goes to another one.
                return match self.move_on() {
                    Ok(()) => Fate::Refused(code),
                    Err(e) => Fate::Refused(e.code().to_owned()),
                };
            }
        };
        match self.follow(&mut sent, end) {
            Ok(confirmed) => Fate::Committed(confirmed.proof.envelope),
            Err(e @ WalletError::Failed { .. }) => Fate::Failed(e.code().to_owned()),
            Err(
                e @ WalletError::Refused {
                    code: "tx.not_openable",
                    ..
                },
            ) => Fate::Failed(e.code().to_owned()),
            Err(e @ WalletError::Resealed { .. }) => Fate::Expired(e.code().to_owned()),
            Err(e) => Fate::Lost(e.code().to_owned()),
        }
    }
}

/// Where validators serve.
fn validators(facts: &Facts) -> Vec<String> {
    facts.validators().map(|node| node.rpc.clone()).collect()
}

/// Refusals that say something about this node, and nothing about the transaction: it stops, starts, is behind, or has left.
fn of_the_node(code: &str) -> bool {
    let behind = ["query.not_a_validator", "epoch.not_found"];
    code.starts_with("node.") || code.starts_with("rpc.") || behind.contains(&code)
}

/// Whether another validator may know more.
fn silent(error: &WalletError) -> bool {
    matches!(
        error,
        WalletError::WaitTimeout { .. } | WalletError::Unreachable(_) | WalletError::BadAnswer { .. }
    ) || matches!(error, WalletError::Refused { code, .. } if of_the_node(code))
}

/// One smallest unit.
fn transfer(to: AccountId) -> Action {
    Action::Token(TokenAction::Transfer { to, amount: 1 })
}

fn wallet(keyfile: &Keyfile, nodes: &[String], at: usize, trust: Trust) -> Result<Wallet, WalletError> {
    let endpoint = nodes.get(at).map_or("", String::as_str);
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new(endpoint, EXCHANGE)?);
    let options = WalletOptions {
        patience: TURN,
        ..WalletOptions::default()
    };
    Wallet::new(keyfile, transport, trust, options)
}

/// Verifies the chain once, at the first validator that serves, for all wallets of a load.
pub(crate) fn first_trust(facts: &Facts, genesis: &Genesis) -> Result<Trust, Error> {
    let name = "load";
    let pin = genesis.chain_id();
    let mut last = Error::NotRunning {
        name: "every validator".into(),
    };
    for node in facts.validators() {
        let mut trust = Trust::begin(genesis.clone(), &pin, None).map_err(|e| refused(name, e))?;
        let transport = HttpTransport::new(&node.rpc, EXCHANGE).map_err(|e| refused(name, e.into()))?;
        match trust.refresh(&Api::new(&transport), system_clock()) {
            Ok(_) => return Ok(trust),
            Err(WalletError::Unreachable(_)) => {}
            Err(e) => last = refused(name, e),
        }
    }
    Err(last)
}

fn keyfile(facts: &Facts, genesis: &Genesis, name: &str) -> Result<Keyfile, Error> {
    let account = founding::account(facts.seed, name)?.id();
    Ok(Keyfile {
        name: name.to_owned(),
        seeds: secrets(facts.seed, name),
        address: Address::new(genesis.trust.class, account),
        chain: genesis.chain_id(),
    })
}

pub(crate) fn secrets(seed: u64, name: &str) -> Seeds {
    Seeds {
        account: seeds::wallet(seed, name).into(),
        mail: seeds::mail(seed, name).into(),
    }
}

fn refused(wallet: &str, error: WalletError) -> Error {
    Error::Wallet {
        wallet: wallet.to_owned(),
        code: error.code(),
        detail: error.to_string(),
    }
}

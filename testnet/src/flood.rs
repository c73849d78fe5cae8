//! A flood: sealed beforehand, sent as fast as told, by wallets that wait for nothing but the answer that it was taken in.
//! What becomes of it is for the chain to tell.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use getrandom::fill;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use serde::Serialize;
use tacit_ledger::{Action, Call, DEFAULT_EXPIRY, Envelope, MAX_BUCKET, TokenAction, charge, seal_envelope};
use tacit_wallet::{Api, HttpTransport, system_clock};

use crate::error::{Error, io_error};
use crate::facts::{Facts, NodeFacts, NodeRole};
use crate::pause::pause;
use crate::{founding, purse, seeds};

/// Longest time for one HTTP exchange.
const EXCHANGE: Duration = Duration::from_secs(10);

/// How much of a flood, and whose.
#[derive(Clone, Copy, Debug)]
pub struct FloodOptions {
    /// The first of the network's load accounts that send. Its accounts must never have sent anything: their transactions
    /// are numbered from 0.
    pub first: u16,
    /// How many send, each by a thread of its own, to one validator each.
    pub wallets: u16,
    /// Transactions in all.
    pub count: u64,
    /// A second; 0 for as many as are answered.
    pub rate: f64,
}

/// What became of a flood at the doors of the nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FloodReport {
    /// Sent.
    pub sent: u64,
    /// Taken in.
    pub accepted: u64,
    /// Refused, or not answered.
    pub refused: u64,
    /// How long it was sent, seconds.
    pub seconds: f64,
    /// How often each code was met.
    pub errors: BTreeMap<String, u64>,
}

/// Transactions that are sealed and not sent yet.
pub struct Flood {
    /// What each account sends, in its order, and where.
    parts: Vec<(String, Vec<Envelope>)>,
    rate: f64,
}

/// Seals a flood of smallest transfers to a running network's present key.
///
/// # Errors
/// [`Error::Usage`] where there are not so many accounts; what the verification of the chain refuses.
pub fn seal_flood(facts: &Facts, options: FloodOptions) -> Result<Flood, Error> {
    let FloodOptions {
        first,
        wallets,
        count,
        rate,
    } = options;
    if wallets == 0 || first.saturating_add(wallets) > facts.load_accounts {
        return Err(Error::Usage(format!(
            "accounts {first} to {} of {}",
            first.saturating_add(wallets),
            facts.load_accounts
        )));
    }
    let genesis = founding::read_genesis(facts)?;
    let trust = purse::first_trust(facts, &genesis)?;
    let refused = |e: tacit_wallet::Error| Error::Wallet {
        wallet: "flood".into(),
        code: e.code(),
        detail: e.to_string(),
    };
    let (epoch, key) = trust.sealing_key(system_clock()).map_err(refused)?;
    let expiry = trust.state().height().saturating_add(DEFAULT_EXPIRY);
    let fee = charge(MAX_BUCKET as u32, trust.params().fee_per_512);
    let mut seed = [0; 32];
    let entropy = |e: getrandom::Error| io_error("draw randomness beside", &facts.genesis)(e.into());
    fill(&mut seed).map_err(entropy)?;
    let mut rng = ChaCha20Rng::from_seed(seed);
    let nodes: Vec<&NodeFacts> = facts
        .nodes
        .iter()
        .filter(|n| n.role == NodeRole::Validator)
        .collect();
    let sink = founding::account(facts.seed, seeds::PROBE_SINK)?.id();
    let mut parts = Vec::new();
    for (place, number) in (first..first + wallets).enumerate() {
        let account = founding::account(facts.seed, &seeds::load_wallet(number))?;
        let own = count / u64::from(wallets) + u64::from((place as u64) < count % u64::from(wallets));
        let mut sealed = Vec::new();
        for nonce in 0..own {
            let action = Action::Token(TokenAction::Transfer { to: sink, amount: 1 });
            let call = Call::sign(&genesis.chain_id(), &account, nonce, fee, action, seed);
            let (envelope, _) = seal_envelope(&mut rng, key, &genesis.chain_id(), epoch, expiry, &call)
                .map_err(|e| founding::founding("a flood", e))?;
            sealed.push(envelope);
        }
        let to = nodes.get(place % nodes.len().max(1)).map(|node| node.rpc.clone());
        parts.push((to.unwrap_or_default(), sealed));
    }
    Ok(Flood { parts, rate })
}

impl Flood {
    /// Sends it, and returns once all of it was sent and answered.
    pub fn send(self) -> FloodReport {
        let start = Instant::now();
        let senders = self.parts.len();
        let mut report = FloodReport::default();
        thread::scope(|scope| {
            let workers: Vec<_> = self
                .parts
                .into_iter()
                .enumerate()
                .map(|(place, (rpc, sealed))| {
                    scope.spawn(move || send(&rpc, sealed, |k| due(self.rate, place + senders * k), start))
                })
                .collect();
            for worker in workers {
                // A worker that broke has sent nothing that counts.
                let own = worker.join().unwrap_or_default();
                report.sent += own.sent;
                report.accepted += own.accepted;
                report.refused += own.refused;
                for (code, count) in own.errors {
                    *report.errors.entry(code).or_default() += count;
                }
            }
        });
        report.seconds = start.elapsed().as_secs_f64();
        report
    }
}

/// When the transaction of this number is due.
fn due(rate: f64, number: usize) -> Duration {
    match rate > 0.0 {
        true => Duration::from_secs_f64(number as f64 / rate),
        false => Duration::ZERO,
    }
}

fn send(rpc: &str, sealed: Vec<Envelope>, due: impl Fn(usize) -> Duration, start: Instant) -> FloodReport {
    let mut own = FloodReport::default();
    let Ok(transport) = HttpTransport::new(rpc, EXCHANGE) else {
        return own;
    };
    let api = Api::new(&transport);
    for (k, envelope) in sealed.iter().enumerate() {
        pause(due(k).saturating_sub(start.elapsed()));
        own.sent += 1;
        match api.submit(envelope) {
            Ok(_) => own.accepted += 1,
            Err(error) => {
                own.refused += 1;
                *own.errors.entry(error.code().to_owned()).or_default() += 1;
            }
        }
    }
    own
}

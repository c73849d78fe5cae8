//! A flood: sealed beforehand, sent as fast as told, by wallets that wait for nothing but the answer that it was taken in.
//! What becomes of it is for the chain to tell.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use getrandom::fill;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use serde::Serialize;
use serde_json::{Value, json};
use tacit_ledger::{
    Action, Call, DEFAULT_EXPIRY, Envelope, MAX_BUCKET, TokenAction, charge, codes, encode, seal_envelope,
};
use tacit_wallet::system_clock;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::error::{Error, io_error};
use crate::facts::{Facts, NodeFacts, NodeRole};
use crate::{founding, purse, seeds};

/// Longest time for one HTTP exchange.
const EXCHANGE: Duration = Duration::from_secs(10);
/// Largest answer to a submission, bytes.
const MAX_ANSWER: usize = 64 << 10;

/// How much of a flood, and whose.
#[derive(Clone, Copy, Debug)]
pub struct FloodOptions {
    /// The first of the network's load accounts that send. Its accounts must never have sent anything: their transactions
    /// are numbered from 0.
    pub first: u16,
    /// How many send, to one validator each: so many requests are open at once.
    pub wallets: u16,
    /// Transactions that are sealed, in all.
    pub count: u64,
    /// How long they are sent.
    pub time: Duration,
    /// Offered a second, among them what is offered again after a refusal; 0 for as many as are answered.
    pub rate: f64,
}

/// What became of a flood at the doors of the nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FloodReport {
    /// Offered to a node.
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
    parts: Vec<Part>,
    time: Duration,
    rate: f64,
}

/// What an account sends, in its order, and where.
struct Part {
    address: String,
    requests: Vec<Vec<u8>>,
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
        time,
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
        let node = nodes.get(place % nodes.len().max(1));
        let rpc = node.map(|node| node.rpc.clone()).unwrap_or_default();
        let address = rpc.trim_start_matches("http://").to_owned();
        let mut requests = Vec::new();
        for nonce in 0..own {
            let action = Action::Token(TokenAction::Transfer { to: sink, amount: 1 });
            let call = Call::sign(&genesis.chain_id(), &account, nonce, fee, action, seed);
            let (envelope, _) = seal_envelope(&mut rng, key, &genesis.chain_id(), epoch, expiry, &call)
                .map_err(|e| founding::founding("a flood", e))?;
            requests.push(request(&address, &envelope));
        }
        parts.push(Part { address, requests });
    }
    Ok(Flood { parts, time, rate })
}

/// As bytes on the wire.
fn request(address: &str, envelope: &Envelope) -> Vec<u8> {
    let body = json!({ "envelope": STANDARD.encode(encode(envelope)) }).to_string();
    let length = body.len();
    format!(
        "POST /v1/txs HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

impl Flood {
    /// Sends it from one thread, and returns when its time is over or all of it was taken in.
    ///
    /// # Errors
    /// When the system gives no means to.
    pub fn send(self) -> Result<FloodReport, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(io_error("send a flood beside", Path::new(".")))?;
        let start = Instant::now();
        let senders = self.parts.len();
        let mut report = runtime.block_on(async {
            let mut sending = JoinSet::new();
            for (place, part) in self.parts.into_iter().enumerate() {
                let due = move |k| due(self.rate, place + senders * k);
                sending.spawn(offer(part, due, start, self.time));
            }
            let mut report = FloodReport::default();
            while let Some(own) = sending.join_next().await {
                // A sender that broke has sent nothing that counts.
                let own = own.unwrap_or_default();
                report.sent += own.sent;
                report.accepted += own.accepted;
                report.refused += own.refused;
                for (code, count) in own.errors {
                    *report.errors.entry(code).or_default() += count;
                }
            }
            report
        });
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }
}

/// When the transaction of this number is due.
fn due(rate: f64, number: usize) -> Duration {
    match rate > 0.0 {
        true => Duration::from_secs_f64(number as f64 / rate),
        false => Duration::ZERO,
    }
}

/// Offers each until it is taken in, so that an account's transactions come in their order.
async fn offer(part: Part, due: impl Fn(usize) -> Duration, start: Instant, time: Duration) -> FloodReport {
    let mut own = FloodReport::default();
    let mut connection = None;
    let mut waiting = part.requests.iter();
    let mut next = waiting.next();
    for k in 0.. {
        tokio::time::sleep_until((start + due(k)).into()).await;
        let Some(request) = next.filter(|_| start.elapsed() < time) else {
            break;
        };
        own.sent += 1;
        let answered = tokio::time::timeout(EXCHANGE, exchange(&mut connection, &part.address, request));
        let code = match answered.await {
            Ok(Ok(None)) => {
                own.accepted += 1;
                next = waiting.next();
                continue;
            }
            Ok(Ok(Some(code))) => code,
            Ok(Err(_)) | Err(_) => {
                connection = None;
                "rpc.unreachable".into()
            }
        };
        own.refused += 1;
        if !codes::lookup(&code).is_some_and(|row| row.retryable) {
            next = waiting.next();
        }
        *own.errors.entry(code).or_default() += 1;
    }
    own
}

/// One request and its answer, on a connection that is kept: nothing, or the code of the refusal. A client that does no more
/// than this leaves the processor to those who are flooded.
async fn exchange(
    connection: &mut Option<BufReader<TcpStream>>,
    address: &str,
    request: &[u8],
) -> std::io::Result<Option<String>> {
    let socket = match connection {
        Some(socket) => socket,
        None => connection.insert(BufReader::new(TcpStream::connect(address).await?)),
    };
    socket.get_mut().write_all(request).await?;
    let broken = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let (mut line, mut status, mut length) = (String::new(), None, 0);
    loop {
        line.clear();
        if socket.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        match text.split_once(": ") {
            None => status = text.split(' ').nth(1).and_then(|word| word.parse::<u16>().ok()),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value
                    .parse()
                    .ok()
                    .filter(|long| *long <= MAX_ANSWER)
                    .ok_or_else(broken)?;
            }
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await?;
    if (200..300).contains(&status.ok_or_else(broken)?) {
        return Ok(None);
    }
    let answer: Value = serde_json::from_slice(&body)?;
    Ok(Some(answer["code"].as_str().ok_or_else(broken)?.to_owned()))
}

//! The way of a lost network's state into new validators.
//!
//! ```text
//! a stopped node's home ──gather──► state file ──► members: check it, release their shares to the new genesis
//!                                       │                                      │
//!                                       ▼                                      ▼
//! a founder's home:  install: in the TEE, open the shares, combine, open the state, compare its root ──► recovery/
//! its first epoch:   load: the same again at each start; once the first epoch has ended, forget
//! ```
//! Nothing is opened outside a TEE that the new genesis names: released shares are sealed to the founders' attested keys.
//! Once the first epoch has ended, the state lies under the new network's keys and the folder goes.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use tacit_consensus::Height;
use tacit_ledger::{
    Amount, ChainLog, EpochLink, Genesis, MAX_RECOVERY_MEMBERS, MAX_RELEASED_SHARE_BYTES,
    MAX_STATE_FILE_BYTES, Origin, OriginProof, PrivateState, ProvenOrigin, RecoveryError, ReleasedShare,
    RocksStore, StateFile, Store,
};

use crate::{
    NodeError,
    home::{Home, write_private},
    init,
    keyring::{self, Keyring},
};

/// Epoch links and frames read at once.
const AT_ONCE: usize = 256;

/// What a lost network's node still holds.
pub struct Gathered {
    /// For the new validators.
    pub file: StateFile,
    /// What it proves.
    pub proven: ProvenOrigin,
    /// Envelopes in final blocks whose execution no final header states: they are not brought back.
    pub unproven: usize,
    /// The policy in force when it stopped.
    pub policy: tacit_attest::Policy,
}

/// Reads a stopped validator's home: its chain, verified from genesis, and its sealed state up to the newest height that
/// a final header proves. No key is needed, and none is found.
///
/// # Errors
/// [`NodeError::HomeLocked`] while it runs; [`NodeError::Recovery`] where the chain does not prove itself, names no
/// members, or the home holds no sealed state.
pub fn gather(home: &Home) -> Result<Gathered, NodeError> {
    if !home.database().exists() || !home.genesis().exists() {
        return Err(NodeError::HomeMissing(home.root().to_path_buf()));
    }
    let _lock = home.lock()?;
    let store = RocksStore::open(home.database())?;
    gather_from(&store, &home.load_genesis()?)
}

/// [`gather`], from an open store.
///
/// # Errors
/// As there.
pub fn gather_from(store: &dyn Store, genesis: &Genesis) -> Result<Gathered, NodeError> {
    let log = ChainLog::new(store);
    let missing = |what: &str| RecoveryError::State {
        reason: format!("this home holds no {what}"),
    };
    let head = log.head()?.ok_or_else(|| missing("block"))?;
    let (header, proof) = (head.block.header, head.proof);
    let mut links: Vec<EpochLink> = Vec::new();
    loop {
        let next = links.last().map_or(1, |link| link.record.epoch + 1);
        let more = log.epochs_from(next, AT_ONCE)?;
        if more.is_empty() {
            break;
        }
        links.extend(more);
    }
    let proof = OriginProof {
        genesis: genesis.clone(),
        links,
        header,
        proof,
    };
    let proven = proof.verify()?;
    let executed = proven.origin.executed;
    // From the epoch's first on they are sealed under its key. That first one may stand above what is proven: nothing
    // was executed in between.
    let first = proven.record.start_height.saturating_sub(1);
    let checkpoint = match log.checkpoint_up_to(executed)? {
        Some(found) if found.0 >= first => Some(found),
        _ => log.checkpoint_up_to(first)?.filter(|found| found.0 == first),
    };
    let checkpoint = checkpoint.ok_or_else(|| {
        missing("sealed state of the newest epoch: take the home of a validator that had a seat")
    })?;
    let frames = frames(&log, checkpoint.0, executed)?;
    let mut unproven = 0;
    for height in executed + 1..=proven.origin.height {
        unproven += log.result(height)?.map_or(0, |result| result.envelopes.len());
    }
    let policy = match log.public()? {
        Some(public) => public.policy().clone(),
        None => genesis.policy.clone(),
    };
    Ok(Gathered {
        file: StateFile::new(proof, checkpoint, frames),
        proven,
        unproven,
        policy,
    })
}

/// The sealed frames above a checkpoint, up to a height, without a gap.
fn frames(log: &ChainLog<'_>, checkpoint: Height, to: Height) -> Result<Vec<(Height, Vec<u8>)>, NodeError> {
    let mut frames: Vec<(Height, Vec<u8>)> = Vec::new();
    loop {
        let next = frames.last().map_or(checkpoint, |(height, _)| *height) + 1;
        if next > to {
            return Ok(frames);
        }
        let more = log.frames_from(next, AT_ONCE)?;
        let before = frames.len();
        let follows = |(at, frame): (Height, (Height, Vec<u8>))| (frame.0 == at && at <= to).then_some(frame);
        frames.extend((next..).zip(more).map_while(follows));
        if frames.len() == before {
            let reason = format!("this home holds no frame of height {next}");
            return Err(RecoveryError::State { reason }.into());
        }
    }
}

/// What was put into a founder's home.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Where the network goes on from.
    pub origin: Origin,
    /// The sum of all balances and fees of the state.
    pub supply: Amount,
}

/// Opens the members' shares and the state in this platform's TEE, compares the state with what the lost chain certified,
/// and puts both into the home of a founder of `genesis`. Nothing is written unless all of it holds.
///
/// # Errors
/// [`NodeError::Recovery`], by the member's name where it is a share.
pub fn install(
    home: &Home,
    genesis: &Genesis,
    state: &Path,
    shares: &[PathBuf],
) -> Result<Installed, NodeError> {
    let origin = genesis.origin.clone().ok_or_else(|| RecoveryError::Origin {
        reason: "this genesis begins a network of its own: it takes no state".to_owned(),
    })?;
    if shares.len() > MAX_RECOVERY_MEMBERS {
        return Err(RecoveryError::Members {
            have: shares.len(),
            max: MAX_RECOVERY_MEMBERS,
        }
        .into());
    }
    let bytes = read(state, MAX_STATE_FILE_BYTES)?;
    let texts = shares
        .iter()
        .map(|path| read(path, MAX_RELEASED_SHARE_BYTES))
        .collect::<Result<Vec<_>, _>>()?;
    let (quoter, _) = init::platform(home)?;
    let keyring = keyring::open(&home.keyring(), quoter)?;
    let supply = open(genesis, &origin, &bytes, &texts, &keyring)?.supply();
    let folder = home.recovery();
    forget(home)?;
    init::make_directory(&folder)?;
    write_private(&folder.join(STATE), &bytes)?;
    for (number, text) in texts.iter().enumerate() {
        write_private(&folder.join(format!("{SHARE}{number}")), text)?;
    }
    Ok(Installed { origin, supply })
}

const STATE: &str = "state";
const SHARE: &str = "share-";

/// The state with which a recovered network's founder begins, as [`install`] put it into its home; `None` where there is
/// none, or where the network's first epoch has ended and it is no longer needed: then it is deleted.
///
/// # Errors
/// As [`install`].
pub fn load(
    home: &Home,
    genesis: &Genesis,
    store: &dyn Store,
    keyring: &Keyring,
) -> Result<Option<PrivateState>, NodeError> {
    let folder = home.recovery();
    let Some(origin) = genesis.origin.as_ref().filter(|_| folder.exists()) else {
        return Ok(None);
    };
    if !ChainLog::new(store).epochs_from(1, 1)?.is_empty() {
        forget(home)?;
        return Ok(None);
    }
    let bytes = read(&folder.join(STATE), MAX_STATE_FILE_BYTES)?;
    let mut texts = Vec::new();
    for number in 0..MAX_RECOVERY_MEMBERS {
        let path = folder.join(format!("{SHARE}{number}"));
        if path.exists() {
            texts.push(read(&path, MAX_RELEASED_SHARE_BYTES)?);
        }
    }
    open(genesis, origin, &bytes, &texts, keyring).map(Some)
}

/// Deletes what [`install`] put there: the state lies under the new network's keys now.
///
/// # Errors
/// When the folder cannot be deleted.
pub fn forget(home: &Home) -> Result<(), NodeError> {
    let folder = home.recovery();
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(NodeError::file(&folder, error)),
        _ => Ok(()),
    }
}

/// The state from a state file and released shares, for the founder whose keyring this is.
///
/// # Errors
/// [`NodeError::Recovery`].
fn open(
    genesis: &Genesis,
    origin: &Origin,
    bytes: &[u8],
    shares: &[Vec<u8>],
    keyring: &Keyring,
) -> Result<PrivateState, NodeError> {
    let founders = genesis.validators.iter().zip(0u16..);
    let mut own = founders.filter_map(|(founder, seat)| Some((seat, keyring.kem(&founder.kem_key)?)));
    let (seat, kem) = own.next().ok_or_else(|| RecoveryError::Origin {
        reason: "this node is no founder of the network that goes on with it".to_owned(),
    })?;
    let shares = shares
        .iter()
        .map(|text| released(text))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(reconstruct(genesis, origin, bytes, &shares, seat, kem)?)
}

fn released(text: &[u8]) -> Result<ReleasedShare, RecoveryError> {
    let text = std::str::from_utf8(text).map_err(|_| RecoveryError::Released {
        reason: "it is not text".to_owned(),
    })?;
    ReleasedShare::from_json(text)
}

/// The lost state, as founder `seat` of `genesis` opens it with its KEM key.
///
/// # Errors
/// The file is not the one that genesis names, its proof does not hold or is another's, or the members' shares do not
/// give the keys; see [`RecoveryError`].
pub fn reconstruct(
    genesis: &Genesis,
    origin: &Origin,
    bytes: &[u8],
    shares: &[ReleasedShare],
    seat: u16,
    kem: &tacit_ledger::SealingSecret,
) -> Result<PrivateState, RecoveryError> {
    let digest = StateFile::digest(bytes);
    if digest != origin.state {
        return Err(RecoveryError::OtherState {
            have: digest,
            need: origin.state,
        });
    }
    let file = StateFile::from_bytes(bytes)?;
    let proven = file.proof.verify()?;
    let stated = Origin {
        state: digest,
        ..proven.origin.clone()
    };
    if stated != *origin {
        return Err(RecoveryError::Origin {
            reason: "the genesis says something else of it than its own headers".to_owned(),
        });
    }
    let (scope, package, network) = (proven.scope(), proven.package()?, genesis.chain_id());
    let opened = shares
        .iter()
        .map(|share| share.open(&scope, package, &network, seat, kem))
        .collect::<Result<Vec<_>, _>>()?;
    let keys = scope.combine(package, &opened)?;
    file.open(&keys, origin)
}

/// A file of at most so many bytes.
fn read(path: &Path, max: usize) -> Result<Vec<u8>, NodeError> {
    let failed = |error| NodeError::file(path, error);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > max {
        let reason = format!("{} is longer than {max} bytes", path.display());
        return Err(RecoveryError::State { reason }.into());
    }
    Ok(bytes)
}

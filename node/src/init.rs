//! Making a node: keys inside the platform, evidence bound to them, and the registration that carries both.

use std::{io::Read, path::Path, sync::Arc};

use tacit_attest::{
    Generation, Measurement, Platform, Quoter, SimulatedChip, SimulatedQuoter, SimulatorAuthority, SnpDevice,
};
use tacit_consensus::{Ed25519Signer, Millis};
use tacit_ledger::{Genesis, Registration, RegistrationPlace, SealingSecret};
use zeroize::Zeroizing;

use crate::{
    NodeError,
    config::{Config, Role},
    home::{Home, write_private},
    keyring::{IdentitySeeds, Keyring, SealedFile},
};

/// The longest simulated chip file that is read.
const MAX_CHIP_BYTES: u64 = 64 << 10;

/// Which TEE a new validator lives in.
pub enum Tee<'a> {
    /// A simulated chip, issued by a network's throw-away authority.
    Simulated {
        /// The authority that issues the chip.
        authority: &'a SimulatorAuthority,
        /// What the chip is made from.
        chip_seed: [u8; 32],
        /// When the chip's certificate is issued.
        now_ms: Millis,
        /// What is said to run inside.
        measurement: Measurement,
    },
    /// The AMD SEV-SNP guest that this process runs in.
    SevSnp,
}

/// What a new validator is.
pub struct InitConfig<'a> {
    /// Its name in the registry.
    pub name: String,
    /// Where it lives.
    pub tee: Tee<'a>,
    /// The nonce of the genesis that it founds.
    pub nonce: [u8; 32],
    /// The version of that genesis' policy.
    pub policy_version: u64,
    /// Seeds of its keys. A real validator's are drawn inside the TEE: give `None`.
    pub seeds: Option<[u8; 32]>,
}

/// Makes a validator in a home: keys, sealed; evidence bound to them and to the genesis nonce; registration.
///
/// # Errors
/// [`NodeError::HomeExists`] when there is a node already; the platform's refusal; files.
pub fn init(home: &Home, init: InitConfig<'_>) -> Result<Registration, NodeError> {
    if home.keyring().exists() {
        return Err(NodeError::HomeExists(home.root().to_path_buf()));
    }
    make_directory(home.root())?;
    let quoter: Arc<dyn Quoter> = match init.tee {
        Tee::Simulated {
            authority,
            chip_seed,
            now_ms,
            measurement,
        } => {
            let chip = authority.issue_chip(chip_seed, Generation::Genoa, now_ms)?;
            write_private(&home.simulated_chip(), &chip.to_bytes()?)?;
            Arc::new(SimulatedQuoter::new(chip, measurement))
        }
        Tee::SevSnp => Arc::new(SnpDevice::new()),
    };
    let master = match init.seeds {
        Some(seed) => Zeroizing::new(seed),
        None => {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *seed).map_err(|e| NodeError::Entropy(e.to_string()))?;
            seed
        }
    };
    let seed = |what: &str| {
        *blake3::Hasher::new_derive_key(what)
            .update(&*master)
            .finalize()
            .as_bytes()
    };
    let seeds = IdentitySeeds {
        consensus: seed("tacit 2026 validator consensus key"),
        node: seed("tacit 2026 validator node key"),
        kem: seed("tacit 2026 validator kem key"),
    };
    let consensus = Ed25519Signer::from_seed(seeds.consensus);
    let node = Ed25519Signer::from_seed(seeds.node);
    let kem = SealingSecret::derive(&seeds.kem);
    let place = RegistrationPlace::founder(init.nonce, init.policy_version);
    let registration = Registration::make(&init.name, &consensus, &node, kem.public(), &place, &*quoter)?;
    Keyring::create(seeds, Box::new(SealedFile::new(home.keyring(), quoter)))?;
    let json = serde_json::to_vec_pretty(&registration)
        .map_err(|e| NodeError::Corrupt(format!("the registration does not encode: {e}")))?;
    write_private(&home.registration(), &json)?;
    if !home.config().exists() {
        Config::new(&init.name, Role::Validator).save(&home.config())?;
    }
    Ok(registration)
}

/// Makes an observer in a home: an identity for the network, no secrets of the ledger.
///
/// # Errors
/// [`NodeError::HomeExists`] when there is a node already; files.
pub fn init_observer(home: &Home, name: &str, seed: Option<[u8; 32]>) -> Result<(), NodeError> {
    if home.node_seed().exists() || home.keyring().exists() {
        return Err(NodeError::HomeExists(home.root().to_path_buf()));
    }
    make_directory(home.root())?;
    let mut seed = Zeroizing::new(seed.unwrap_or([0; 32]));
    if *seed == [0; 32] {
        getrandom::fill(&mut *seed).map_err(|e| NodeError::Entropy(e.to_string()))?;
    }
    write_private(&home.node_seed(), &*seed)?;
    Config::new(name, Role::Observer).save(&home.config())
}

/// Puts a verified genesis into a home.
///
/// # Errors
/// When it does not verify, or the file cannot be written.
pub fn install_genesis(home: &Home, genesis: &Genesis) -> Result<(), NodeError> {
    genesis.verify()?;
    write_private(&home.genesis(), genesis.to_json().as_bytes())
}

/// What a simulated TEE says runs inside it: a hash of the program's file, so that two builds differ as their
/// launch digests would.
///
/// # Errors
/// When the file cannot be read.
pub fn simulated_measurement(program: &Path) -> Result<Measurement, NodeError> {
    let fail = |e| NodeError::file(program, e);
    let mut file = std::fs::File::open(program).map_err(fail)?;
    let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 simulated measurement");
    std::io::copy(&mut file.by_ref(), &mut hasher).map_err(fail)?;
    let mut measurement = [0; 48];
    hasher.finalize_xof().fill(&mut measurement);
    Ok(Measurement(measurement))
}

/// The platform of the node in a home: its simulated chip if it has one, else this machine's device.
///
/// # Errors
/// When the chip's file does not decode.
pub fn platform(home: &Home) -> Result<(Arc<dyn Quoter>, Platform), NodeError> {
    let path = home.simulated_chip();
    if !path.exists() {
        return Ok((Arc::new(SnpDevice::new()), Platform::SevSnp));
    }
    let length = std::fs::metadata(&path)
        .map_err(|e| NodeError::file(&path, e))?
        .len();
    if length > MAX_CHIP_BYTES {
        return Err(NodeError::SealedElsewhere(path));
    }
    let bytes = Zeroizing::new(std::fs::read(&path).map_err(|e| NodeError::file(&path, e))?);
    let chip = SimulatedChip::from_bytes(&bytes).map_err(|_| NodeError::SealedElsewhere(path))?;
    let program = std::env::current_exe().map_err(|e| NodeError::file(Path::new("/proc/self/exe"), e))?;
    let measurement = simulated_measurement(&program)?;
    Ok((
        Arc::new(SimulatedQuoter::new(chip, measurement)),
        Platform::Simulated,
    ))
}

fn make_directory(path: &Path) -> Result<(), NodeError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| NodeError::file(path, e))
}

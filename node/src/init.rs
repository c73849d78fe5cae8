//! Making a node: keys inside the platform, evidence bound to them, and the registration that carries both.

use std::{io::Read, path::Path, sync::Arc};

use tacit_attest::{
    Generation, Measurement, Platform, QuoteError, Quoter, SimulatedChip, SimulatedQuoter, SimulatedTd,
    SimulatedTdQuoter, SimulatorAuthority,
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
    /// A simulated SEV-SNP chip, issued by a network's throw-away authority.
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
    /// A simulated Intel machine with trust domains, issued by the same kind of authority.
    SimulatedTdx {
        /// The authority that issues the machine's certificate.
        authority: &'a SimulatorAuthority,
        /// What the machine is made from.
        chip_seed: [u8; 32],
        /// When its certificate is issued.
        now_ms: Millis,
        /// The build that is said to run inside.
        measurement: Measurement,
    },
    /// The confidential guest that this process runs in: SEV-SNP or TDX by the kernel's report interface, or SEV-SNP by
    /// its device.
    Machine {
        /// Refuses another platform than this one; `None` takes what is there.
        platform: Option<Platform>,
        /// DER of the chip's certificate, where the host supplies none: the VCEK for the reported TCB, or the VLEK
        /// followed by its intermediate. Kept in the home, for later evidence. TDX has no use for it.
        leaf: Option<Vec<u8>>,
    },
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
        Tee::SimulatedTdx {
            authority,
            chip_seed,
            now_ms,
            measurement,
        } => {
            let machine = authority.issue_td(chip_seed, now_ms)?;
            write_private(&home.simulated_td(), &machine.to_bytes()?)?;
            Arc::new(SimulatedTdQuoter::new(machine, measurement))
        }
        Tee::Machine { platform, leaf } => {
            let quoter = machine(leaf.clone(), platform)?;
            if let Some(leaf) = leaf {
                write_private(&home.leaf(), &leaf)?;
            }
            quoter
        }
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
    };
    let kem_seed = Zeroizing::new(seed("tacit 2026 validator kem key"));
    let consensus = Ed25519Signer::from_seed(seeds.consensus);
    let node = Ed25519Signer::from_seed(seeds.node);
    let kem = SealingSecret::derive(&kem_seed);
    let place = RegistrationPlace::founder(init.nonce, init.policy_version);
    let registration = Registration::make(&init.name, &consensus, &node, kem.public(), &place, &*quoter)?;
    Keyring::create(
        seeds,
        &kem_seed,
        Box::new(SealedFile::new(home.keyring(), quoter)),
    )?;
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

/// The platform of the node in a home: its simulated chip or machine if it has one, else the guest that this process
/// runs in.
///
/// # Errors
/// When the simulated chip's file does not decode; when there is neither a chip nor a platform.
pub fn platform(home: &Home) -> Result<(Arc<dyn Quoter>, Platform), NodeError> {
    let (chip, td) = (home.simulated_chip(), home.simulated_td());
    let quoter: Arc<dyn Quoter> = if chip.exists() {
        let bytes = read_chip(&chip)?;
        let decoded = SimulatedChip::from_bytes(&bytes).map_err(|_| NodeError::SealedElsewhere(chip))?;
        Arc::new(SimulatedQuoter::new(decoded, own_measurement()?))
    } else if td.exists() {
        let bytes = read_chip(&td)?;
        let decoded = SimulatedTd::from_bytes(&bytes).map_err(|_| NodeError::SealedElsewhere(td))?;
        Arc::new(SimulatedTdQuoter::new(decoded, own_measurement()?))
    } else {
        let path = home.leaf();
        let leaf = match path.exists() {
            true => Some(read_chip(&path)?.to_vec()),
            false => None,
        };
        machine(leaf, None).map_err(|error| match error {
            // The keys are here, and what sealed them is not.
            NodeError::Quote(QuoteError::NoPlatform { .. }) => NodeError::SealedElsewhere(home.keyring()),
            other => other,
        })?
    };
    let platform = quoter.platform();
    Ok((quoter, platform))
}

/// This guest's way to attest, if it is of the platform asked for.
fn machine(leaf: Option<Vec<u8>>, need: Option<Platform>) -> Result<Arc<dyn Quoter>, NodeError> {
    let quoter: Arc<dyn Quoter> = tacit_attest::pick(leaf)?.into();
    let have = quoter.platform();
    match need {
        Some(need) if need != have => Err(NodeError::OtherPlatform { have, need }),
        _ => Ok(quoter),
    }
}

/// A small file of a chip: a simulated one's secrets, or a certificate.
fn read_chip(path: &Path) -> Result<Zeroizing<Vec<u8>>, NodeError> {
    let length = std::fs::metadata(path)
        .map_err(|e| NodeError::file(path, e))?
        .len();
    if length > MAX_CHIP_BYTES {
        return Err(NodeError::SealedElsewhere(path.to_path_buf()));
    }
    let bytes = std::fs::read(path).map_err(|e| NodeError::file(path, e))?;
    Ok(Zeroizing::new(bytes))
}

/// What a simulated TEE says of this very program.
fn own_measurement() -> Result<Measurement, NodeError> {
    let program = std::env::current_exe().map_err(|e| NodeError::file(Path::new("/proc/self/exe"), e))?;
    simulated_measurement(&program)
}

pub(crate) fn make_directory(path: &Path) -> Result<(), NodeError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| NodeError::file(path, e))
}

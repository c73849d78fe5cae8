//! Making a node: keys inside the platform, evidence bound to them, and the registration that carries both.

use std::{io::Read, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use tacit_attest::{
    Generation, Measurement, Platform, QuoteError, Quoter, SimulatedChip, SimulatedQuoter, SimulatedTd,
    SimulatedTdQuoter, SimulatorAuthority,
};
use tacit_consensus::{Ed25519Signer, Millis, PublicKey, Signer};
use tacit_ledger::{
    Genesis, Operator, PROTOCOL_VERSION, Registration, RegistrationPlace, RegistrationTerms, SealingSecret,
};
use zeroize::Zeroizing;

use crate::{
    NodeError,
    config::{Config, KeyStore, Role},
    home::{Home, write_private},
    keyring::{self, IdentitySeeds, Keyring, SealedFile, Vault},
    operator::OperatorKey,
};

/// The longest file of a chip, or of an identity, that is read.
const MAX_SMALL_BYTES: u64 = 64 << 10;

/// Which TEE a new validator lives in.
pub enum Tee<'a> {
    /// A simulated SEV-SNP chip, issued by a network's throw-away authority.
    Simulated {
        /// The authority that issues the chip.
        authority: &'a SimulatorAuthority,
        /// Which processor it plays.
        generation: Generation,
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

/// What a validator is that joins a running network.
pub struct JoinConfig<'a> {
    /// Its name in the registry.
    pub name: String,
    /// Where it lives.
    pub tee: Tee<'a>,
    /// Where its keys live between two starts.
    pub keys: KeyStore,
    /// Seed of its keys. A real validator's are drawn inside the TEE: give `None`.
    pub seeds: Option<[u8; 32]>,
}

/// Who a validator is, for everybody: `identity.json` of its home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its name in the registry.
    pub name: String,
    /// Signs votes; none while keys that live in memory have not been made.
    pub consensus_key: Option<PublicKey>,
    /// Its libp2p identity; none while keys that live in memory have not been made.
    pub node_key: Option<PublicKey>,
    /// Answers for the name.
    pub operator_key: PublicKey,
}

impl Identity {
    /// Reads that of a home.
    ///
    /// # Errors
    /// When it is missing or does not parse.
    pub fn load(home: &Home) -> Result<Self, NodeError> {
        let path = home.identity();
        let bytes = read_small(&path)?;
        serde_json::from_slice(&bytes).map_err(|e| NodeError::Config {
            path,
            detail: e.to_string(),
        })
    }

    pub(crate) fn save(&self, home: &Home) -> Result<(), NodeError> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|e| NodeError::Corrupt(format!("an identity does not encode: {e}")))?;
        write_private(&home.identity(), &json)
    }
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
    let quoter = settle(home, init.tee)?;
    let made = Made::draw(home, init.seeds)?;
    let (consensus, node, kem) = made.keys();
    let place = RegistrationPlace::founder(init.nonce, init.policy_version);
    let terms = RegistrationTerms {
        name: &init.name,
        operator: Operator::Signs(made.operator.signer()),
        protocol: PROTOCOL_VERSION,
    };
    let registration = Registration::make_for(&terms, &consensus, &node, kem.public(), &place, &*quoter)?;
    made.identity(&init.name).save(home)?;
    Keyring::create(
        made.seeds,
        &made.kem,
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

/// Makes a validator that will join a running network: its keys, and the operator's. It registers by itself once it runs
/// and has caught up. Where nothing can be sealed, or nothing shall be, only the operator's key is made now.
///
/// # Errors
/// [`NodeError::HomeExists`] when there is a node already; the platform's refusal; files.
pub fn join(home: &Home, join: JoinConfig<'_>) -> Result<Identity, NodeError> {
    if home.keyring().exists() || home.config().exists() {
        return Err(NodeError::HomeExists(home.root().to_path_buf()));
    }
    make_directory(home.root())?;
    let quoter = settle(home, join.tee)?;
    let keys = match keyring::seals(&*quoter)? {
        true => join.keys,
        false => KeyStore::Memory,
    };
    let made = Made::draw(home, join.seeds)?;
    let identity = match keys {
        KeyStore::Sealed => made.identity(&join.name),
        KeyStore::Memory => Identity {
            consensus_key: None,
            node_key: None,
            ..made.identity(&join.name)
        },
    };
    identity.save(home)?;
    if keys == KeyStore::Sealed {
        Keyring::create(
            made.seeds,
            &made.kem,
            Box::new(SealedFile::new(home.keyring(), quoter)),
        )?;
    }
    let mut config = Config::new(&join.name, Role::Validator);
    config.node.keys = keys;
    config.save(&home.config())?;
    Ok(identity)
}

/// Gives a validator whose keys do not open here (another chip, another build) fresh ones under its old name. What it
/// held is lost to it; it registers by itself once it runs, takes its seat in the next epoch, and fetches the state then.
///
/// `tee`: makes a simulated machine where the home has none.
///
/// # Errors
/// [`NodeError::HomeMissing`] where there is no validator; [`NodeError::HomeLocked`] while it runs;
/// [`NodeError::Operator`] without the operator's key, for without it nobody may take the name; the platform's refusal.
pub fn rejoin(home: &Home, tee: Option<Tee<'_>>) -> Result<Identity, NodeError> {
    if !home.config().exists() {
        return Err(NodeError::HomeMissing(home.root().to_path_buf()));
    }
    let _lock = home.lock()?;
    let config = Config::load(&home.config())?;
    if config.node.role != Role::Validator {
        return Err(NodeError::HomeMissing(home.root().to_path_buf()));
    }
    // Before the old keys go.
    OperatorKey::load(&home.operator_key())?;
    let has_machine = home.simulated_chip().exists() || home.simulated_td().exists();
    let quoter = match tee {
        Some(tee) if !has_machine => settle(home, tee)?,
        _ => platform(home)?.0,
    };
    let made = Made::draw(home, None)?;
    let identity = made.identity(&config.node.name);
    if config.node.keys == KeyStore::Memory || !keyring::seals(&*quoter)? {
        return Err(NodeError::Config {
            path: home.config(),
            detail: "this node's keys live in memory: it registers anew at every start by itself".into(),
        });
    }
    // Written before the keys: with the old ones still there a crash leaves a home that can be rejoined again.
    identity.save(home)?;
    Keyring::create(
        made.seeds,
        &made.kem,
        Box::new(SealedFile::new(home.keyring(), quoter)),
    )?;
    let _ = std::fs::remove_file(home.left());
    Ok(identity)
}

/// A keyring that lives as long as the process, for a home whose keys are in memory alone.
///
/// # Errors
/// Without the operator's key, which must sign each registration; randomness; files.
pub(crate) fn volatile(home: &Home, name: &str) -> Result<Keyring, NodeError> {
    OperatorKey::load(&home.operator_key())?;
    let made = Made::draw(home, None)?;
    made.identity(name).save(home)?;
    Keyring::create(made.seeds, &made.kem, Box::new(Volatile))
}

/// Keeps nothing.
struct Volatile;

impl Vault for Volatile {
    fn save(&mut self, _: &[u8]) -> Result<(), NodeError> {
        Ok(())
    }
}

/// The seed of one key of those that follow from a seed.
fn derive(seed: &[u8; 32], what: &str) -> [u8; 32] {
    *blake3::Hasher::new_derive_key(what)
        .update(seed)
        .finalize()
        .as_bytes()
}

/// The keys by which a validator is known whose keys follow from a seed, as development networks have them.
pub fn seeded(seed: &[u8; 32]) -> IdentitySeeds {
    IdentitySeeds {
        consensus: derive(seed, "tacit 2026 validator consensus key"),
        node: derive(seed, "tacit 2026 validator node key"),
    }
}

/// A new validator's keys, and its operator's.
struct Made {
    seeds: IdentitySeeds,
    kem: Zeroizing<[u8; 32]>,
    operator: OperatorKey,
}

impl Made {
    /// Draws the keys, or derives them from a seed; the operator's key is the home's if it has one.
    fn draw(home: &Home, seed: Option<[u8; 32]>) -> Result<Self, NodeError> {
        let given = seed.is_some();
        let mut master = Zeroizing::new(seed.unwrap_or([0; 32]));
        if !given {
            getrandom::fill(&mut *master).map_err(|e| NodeError::Entropy(e.to_string()))?;
        }
        let path = home.operator_key();
        let operator = match path.exists() {
            true => OperatorKey::load(&path)?,
            false => OperatorKey::create(
                &path,
                given.then(|| derive(&master, "tacit 2026 validator operator key")),
            )?,
        };
        Ok(Self {
            seeds: seeded(&master),
            kem: Zeroizing::new(derive(&master, "tacit 2026 validator kem key")),
            operator,
        })
    }

    fn keys(&self) -> (Ed25519Signer, Ed25519Signer, SealingSecret) {
        (
            Ed25519Signer::from_seed(self.seeds.consensus),
            Ed25519Signer::from_seed(self.seeds.node),
            SealingSecret::derive(&self.kem),
        )
    }

    fn identity(&self, name: &str) -> Identity {
        let (consensus, node, _) = self.keys();
        Identity {
            name: name.to_owned(),
            consensus_key: Some(consensus.public()),
            node_key: Some(node.public()),
            operator_key: self.operator.public(),
        }
    }
}

/// Puts a machine into a home, and gives the way to ask it.
fn settle(home: &Home, tee: Tee<'_>) -> Result<Arc<dyn Quoter>, NodeError> {
    Ok(match tee {
        Tee::Simulated {
            authority,
            generation,
            chip_seed,
            now_ms,
            measurement,
        } => {
            let chip = authority.issue_chip(chip_seed, generation, now_ms)?;
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
    })
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
        let bytes = read_small(&chip)?;
        let decoded = SimulatedChip::from_bytes(&bytes).map_err(|_| NodeError::SealedElsewhere(chip))?;
        Arc::new(SimulatedQuoter::new(decoded, own_measurement()?))
    } else if td.exists() {
        let bytes = read_small(&td)?;
        let decoded = SimulatedTd::from_bytes(&bytes).map_err(|_| NodeError::SealedElsewhere(td))?;
        Arc::new(SimulatedTdQuoter::new(decoded, own_measurement()?))
    } else {
        let path = home.leaf();
        let leaf = match path.exists() {
            true => Some(read_small(&path)?.to_vec()),
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

/// A small file: a simulated chip's secrets, a certificate, an identity.
fn read_small(path: &Path) -> Result<Zeroizing<Vec<u8>>, NodeError> {
    let length = std::fs::metadata(path)
        .map_err(|e| NodeError::file(path, e))?
        .len();
    if length > MAX_SMALL_BYTES {
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

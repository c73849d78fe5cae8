//! The machine in which a validator's keys are made: the guest that this runs in, or a simulated one with the throw-away
//! authority that issues it.

use std::{fs, path::Path};

use tacit_attest::{Generation, Measurement, Platform, QuoteError, SimulatorAuthority};
use tacit_node::{
    NodeError,
    init::{self, Tee},
};
use tacit_wallet::{system_clock, system_rng};
use zeroize::Zeroizing;

use crate::{
    args::TeeChoice,
    commands::attest::files,
    context::{Context, read_file},
    failure::{Done, Failure},
};

/// Longest authority file that is read, in bytes: two RSA keys and two certificates.
const MAX_AUTHORITY: u64 = 64 * 1024;

/// The machine that a validator's keys are made in.
pub(crate) enum Machine {
    Guest {
        platform: Option<Platform>,
        leaf: Option<Vec<u8>>,
    },
    Simulated {
        authority: Box<SimulatorAuthority>,
        chip_seed: Zeroizing<[u8; 32]>,
        measurement: Measurement,
        tdx: bool,
    },
}

impl Machine {
    pub(crate) fn choose(
        context: &Context,
        tee: TeeChoice,
        authority: &Path,
        leaf: Option<&Path>,
    ) -> Done<Self> {
        let platform = match tee {
            TeeChoice::Guest => None,
            TeeChoice::SevSnp => Some(Platform::SevSnp),
            TeeChoice::Tdx => Some(Platform::Tdx),
            TeeChoice::Simulated | TeeChoice::SimulatedTdx => {
                context.output.simulated();
                let program = std::env::current_exe().map_err(|error| Failure::new("internal", error))?;
                return Ok(Self::Simulated {
                    authority: Box::new(simulator(context, authority)?),
                    chip_seed: random()?,
                    measurement: init::simulated_measurement(&program)?,
                    tdx: tee == TeeChoice::SimulatedTdx,
                });
            }
        };
        let leaf = leaf.map(files::leaf).transpose()?;
        Ok(Self::Guest { platform, leaf })
    }

    pub(crate) fn tee(&self) -> Tee<'_> {
        match self {
            Self::Guest { platform, leaf } => Tee::Machine {
                platform: *platform,
                leaf: leaf.clone(),
            },
            Self::Simulated {
                authority,
                chip_seed,
                measurement,
                tdx,
            } => {
                let (chip_seed, now_ms, measurement) = (**chip_seed, system_clock(), *measurement);
                if *tdx {
                    Tee::SimulatedTdx {
                        authority,
                        chip_seed,
                        now_ms,
                        measurement,
                    }
                } else {
                    Tee::Simulated {
                        authority,
                        generation: Generation::Genoa,
                        chip_seed,
                        now_ms,
                        measurement,
                    }
                }
            }
        }
    }
}

/// A guest that cannot attest, or cannot keep a founder's keys.
pub(crate) fn unattested(error: NodeError) -> Failure {
    match error {
        NodeError::Quote(error @ QuoteError::NoSealingKey { .. }) => Failure::new("quote.failed", error).hint(
            "a founder's keys must outlive a restart; let such a guest join a running network: tacit node init --join",
        ),
        NodeError::Quote(error) => {
            Failure::usage(error).hint("run this inside the guest; for a dev network give --tee simulated")
        }
        other => other.into(),
    }
}

fn random() -> Done<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand_core::Rng::fill_bytes(&mut system_rng()?, bytes.as_mut_slice());
    Ok(bytes)
}

/// The throw-away authority of a dev network, made at first use, with its root and its collateral beside it for
/// `genesis create`.
fn simulator(context: &Context, path: &Path) -> Done<SimulatorAuthority> {
    let failed = |error: tacit_attest::QuoteError| Failure::new("internal", error);
    if path.exists() {
        let bytes = Zeroizing::new(read_file(path, MAX_AUTHORITY)?);
        return SimulatorAuthority::from_bytes(&bytes).map_err(failed);
    }
    let authority = SimulatorAuthority::generate(*random()?, system_clock()).map_err(failed)?;
    write_private(path, &authority.to_bytes().map_err(failed)?)?;
    let documents = authority.collateral(system_clock()).map_err(failed)?;
    let root = path.with_extension("root.json");
    let collateral = path.with_extension("collateral.json");
    write_json(&root, &authority.root())?;
    write_json(&collateral, &documents)?;
    let text = format!(
        "{}; give {} to tacit genesis create, and {} where a machine is simulated TDX",
        path.display(),
        root.display(),
        collateral.display()
    );
    context.output.note("made", text);
    Ok(authority)
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Done {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new("internal", error))?;
    fs::write(path, text).map_err(|error| Failure::file(path, error))
}

fn write_private(path: &Path, bytes: &[u8]) -> Done {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(|error| Failure::file(path, error))
}

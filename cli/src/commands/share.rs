//! `tacit gov share`: what a recovery member does. Its key follows from its wallet's seeds, so that a wallet that is kept
//! keeps the share too; the share itself stands in every epoch's record, sealed to that key.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tacit_consensus::Digest;
use tacit_ledger::{
    EpochRecord, Genesis, OriginProof, ProvenOrigin, RecoveryError, RecoveryPackage, RecoveryScope,
    SealingPublic, StateFile,
};
use tacit_wallet::{Api, Keyfile, Trust, system_clock, system_rng};

use crate::{
    args::{ShareVerb, WalletOptions},
    commands::genesis,
    context::Context,
    failure::{Done, Failure},
};

pub(crate) fn run(context: &Context, options: &WalletOptions, verb: ShareVerb) -> Done {
    match verb {
        ShareVerb::Key { out } => key(context, options, out.as_deref()),
        ShareVerb::Show => show(context, options),
        ShareVerb::Check => check(context, options),
        ShareVerb::Release { genesis, state, out } => {
            release(context, options, &genesis, &state, out.as_deref())
        }
    }
}

/// The public key that a founder writes into the genesis for this member.
fn key(context: &Context, options: &WalletOptions, out: Option<&Path>) -> Done {
    let keyfile = context.keyfile(options)?;
    let key = keyfile.seeds.recovery_key();
    let digits = hex::encode(&key.public().0);
    if let Some(out) = out {
        fs::write(out, format!("{digits}\n")).map_err(|error| Failure::file(out, error))?;
    }
    let value = json!({
        "member": keyfile.name,
        "key_id": key.public().key_id(),
        "recovery_key": digits,
        "file": out,
    });
    context.output.result(&value, || match out {
        Some(out) => format!(
            "wrote {}\ngive it to genesis create as --recovery-member {}={}",
            out.display(),
            keyfile.name,
            out.display()
        ),
        None => digits.clone(),
    });
    Ok(())
}

/// The newest verified record, and who may recover its state.
struct Newest {
    trust: Trust,
}

impl Newest {
    fn verify(context: &Context) -> Done<Self> {
        let transport = context.transport()?;
        let mut trust = context.trust(transport.as_ref())?;
        trust.refresh(&Api::new(transport.as_ref()), system_clock())?;
        let newest = Self { trust };
        newest.package()?;
        Ok(newest)
    }

    fn record(&self) -> &EpochRecord {
        &self.trust.state().record
    }

    fn genesis(&self) -> &Genesis {
        self.trust.genesis()
    }

    fn package(&self) -> Done<&RecoveryPackage> {
        Ok(self.record().recovery.as_ref().ok_or(RecoveryError::Nobody)?)
    }

    fn scope(&self) -> RecoveryScope<'_> {
        RecoveryScope {
            chain: &self.trust.state().chain,
            epoch: self.record().epoch,
            members: &self.genesis().recovery,
        }
    }
}

/// What anybody may know of the shares of the epoch in force.
fn shown(scope: &RecoveryScope<'_>, package: &RecoveryPackage) -> Value {
    let members = scope.members.members.iter().enumerate();
    json!({
        "chain": scope.chain.to_string(),
        "epoch": scope.epoch,
        "threshold": scope.members.threshold,
        "members": members
            .map(|(index, member)| json!({
                "number": index + 1,
                "name": member.name,
                "key_id": member.key.key_id(),
            }))
            .collect::<Vec<_>>(),
        "commitments": package.commitments.iter().map(hex::encode).collect::<Vec<_>>(),
        "share_bytes": package.shares.first().map(Vec::len),
    })
}

fn show(context: &Context, options: &WalletOptions) -> Done {
    let newest = Newest::verify(context)?;
    let scope = newest.scope();
    let package = newest.package()?;
    scope.check_shape(package)?;
    let mut value = shown(&scope, package);
    if options.wallet.is_some() {
        let keyfile = context.keyfile(options)?;
        value["own"] = own(&scope, keyfile.seeds.recovery_key().public()).into();
    }
    context.output.result(&value, || {
        let members = value["members"].as_array().into_iter().flatten();
        let text = |member: &Value, key: &str| member[key].as_str().unwrap_or_default().to_owned();
        let lines = members.map(|member| {
            format!(
                "  {}  {}  key {}",
                member["number"],
                text(member, "name"),
                text(member, "key_id")
            )
        });
        let head = format!(
            "epoch {}: {} of {} members bring its state back",
            scope.epoch,
            scope.members.threshold,
            scope.members.members.len()
        );
        std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

/// Which member's the key is, by name.
fn own(scope: &RecoveryScope<'_>, key: &SealingPublic) -> Option<String> {
    let index = scope.members.index_of(key)?;
    let member = scope.members.members.get(usize::from(index))?;
    Some(member.name.clone())
}

/// Opens this member's share of the epoch in force and checks it against the commitments.
fn check(context: &Context, options: &WalletOptions) -> Done {
    let keyfile = context.keyfile(options)?;
    let newest = Newest::verify(context)?;
    let scope = newest.scope();
    let key = keyfile.seeds.recovery_key();
    let share = scope.open(newest.package()?, &key)?;
    let value = json!({
        "checked": true,
        "member": own(&scope, key.public()),
        "number": u32::from(share.member()) + 1,
        "epoch": scope.epoch,
        "threshold": scope.members.threshold,
    });
    context.output.result(&value, || {
        format!(
            "ok: share {} of epoch {} opens and fits the commitments; {} of {} such shares bring the state back",
            u32::from(share.member()) + 1,
            scope.epoch,
            scope.members.threshold,
            scope.members.members.len()
        )
    });
    Ok(())
}

/// Seals this member's share of a lost chain to the founders of the network that is to go on with its state.
fn release(
    context: &Context,
    options: &WalletOptions,
    file: &Path,
    state: &Path,
    out: Option<&Path>,
) -> Done {
    let keyfile = context.keyfile(options)?;
    // The pin of this folder is the lost chain's: the hash of the new one is given with --genesis-hash, or compared by eye.
    let new = genesis::read(context, file)?;
    new.verify()
        .map_err(|error| Failure::new("genesis.invalid", error))?;
    let (proven, digest) = read_proof(state)?;
    agree(&new, &proven, digest)?;
    known(context, &keyfile, &proven)?;
    let key = keyfile.seeds.recovery_key();
    let scope = proven.scope();
    let share = scope.open(proven.package()?, &key)?;
    let founders: Vec<SealingPublic> = new.validators.iter().map(|one| one.kem_key.clone()).collect();
    let network = new.chain_id();
    let released = share.release(&mut system_rng()?, &network, &founders)?;
    let name = own(&scope, key.public()).unwrap_or_else(|| keyfile.name.clone());
    let path = out.map_or_else(|| format!("{name}.share.json").into(), Path::to_path_buf);
    if path.exists() {
        let message = format!("{} exists", path.display());
        return Err(Failure::new("home.exists", message).hint("choose another --out"));
    }
    for measurement in &new.policy.measurements {
        context.output.note("program", measurement.value.to_string());
    }
    fs::write(&path, released.to_json()).map_err(|error| Failure::file(&path, error))?;
    let value = json!({
        "released": true,
        "member": name,
        "number": u32::from(share.member()) + 1,
        "lost_chain": proven.origin.chain.to_string(),
        "epoch": scope.epoch,
        "height": proven.origin.executed,
        "network": network.to_string(),
        "founders": new.validators.iter().map(|one| one.name.clone()).collect::<Vec<_>>(),
        "file": path,
    });
    context.output.result(&value, || {
        format!(
            "share {} of {} is released to the {} founders of {network}\nwrote {}",
            u32::from(share.member()) + 1,
            proven.origin.chain,
            founders.len(),
            path.display()
        )
    });
    Ok(())
}

/// The proof at the head of a state file, verified, and the file's hash.
pub(crate) fn read_proof(state: &Path) -> Done<(ProvenOrigin, Digest)> {
    let file = fs::File::open(state)
        .map_err(|error| Failure::usage(format!("{}: {error}", state.display())).hint("check the path"))?;
    let (proof, digest): (OriginProof, Digest) = StateFile::read_proof(std::io::BufReader::new(file))?;
    Ok((proof.verify()?, digest))
}

/// The new genesis goes on from what the state file proves, on machines of the same kind.
fn agree(new: &Genesis, proven: &ProvenOrigin, digest: Digest) -> Done {
    let refused = |reason: &str| {
        Failure::from(RecoveryError::Origin {
            reason: reason.to_owned(),
        })
    };
    let origin = new
        .origin
        .as_ref()
        .ok_or_else(|| refused("this genesis begins a network of its own"))?;
    if digest != origin.state {
        return Err(RecoveryError::OtherState {
            have: digest,
            need: origin.state,
        }
        .into());
    }
    let stated = tacit_ledger::Origin {
        state: digest,
        ..proven.origin.clone()
    };
    if stated != *origin {
        return Err(refused(
            "the genesis says something else of it than its own headers",
        ));
    }
    if new.trust.class != proven.class {
        return Err(refused("the new network is of another class"));
    }
    Ok(())
}

/// The lost chain is the one that this member knows, and the state no older than what its wallet has verified.
fn known(context: &Context, keyfile: &Keyfile, proven: &ProvenOrigin) -> Done {
    let lost = proven.origin.chain;
    if keyfile.chain != lost
        && keyfile.chain != Keyfile::FOUNDING
        && !proven.origin.before.contains(&keyfile.chain)
    {
        return Err(tacit_wallet::Error::OtherChain {
            name: keyfile.name.clone(),
            wallet: keyfile.chain,
            pinned: lost,
        }
        .into());
    }
    let Some(trust) = Trust::stored(&context.home()?, &lost)? else {
        context.output.note(
            "note",
            format!("compare the lost chain's hash with the one you know: {lost}"),
        );
        return Ok(());
    };
    let (seen, have) = (trust.state().height(), proven.origin.height);
    if seen > have {
        context.output.note(
            "warning",
            format!("this wallet has seen height {seen} of the lost chain, the state file ends at {have}: is there a newer one?"),
        );
    }
    Ok(())
}

/// A member's key as `genesis create` takes it: the hex digits, or a file that holds them.
pub(crate) fn member_key(text: &str) -> Done<SealingPublic> {
    let digits = match hex::decode(text) {
        Ok(bytes) => return Ok(SealingPublic(bytes)),
        Err(_) => crate::context::read_text(Path::new(text), MAX_KEY_FILE)?,
    };
    hex::decode(digits.trim()).map(SealingPublic).map_err(|_| {
        Failure::usage(format!(
            "{text:?}: a recovery member's key is hex, or a file of hex"
        ))
    })
}

/// Longest file of a member's key, in bytes.
const MAX_KEY_FILE: u64 = 16 * 1024;

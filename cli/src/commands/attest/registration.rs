//! Evidence of registrations, on the chain or in a file: verified as the chain verifies it.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use tacit_attest::{Collateral, Policy, TrustRoots, verify_steps};
use tacit_consensus::Digest;
use tacit_ledger::{LightBundle, Registration, collateral_digest, policy_digest};
use tacit_wallet::{Api, Transport, system_clock};

use super::report::{step_line, step_value};
use crate::{
    args::Evidence,
    commands::genesis,
    context::{Context, read_text},
    failure::{Done, Failure},
};

/// Longest registration file that is read, in bytes.
const MAX_REGISTRATION: u64 = 256 * 1024;

/// By what evidence is judged.
struct Rules {
    trust: TrustRoots,
    collateral: Collateral,
    policy: Policy,
    /// Whether the policy is proven to be in force: not when the chain itself could not be verified.
    proven: Result<(), Failure>,
    now_ms: u64,
}

/// The registration from a file, or as the node shows it.
fn registration(context: &Context, of: &Evidence) -> Done<Registration> {
    if let Some(path) = &of.file {
        return serde_json::from_str(&read_text(path, MAX_REGISTRATION)?)
            .map_err(|error| Failure::new("config.invalid", format!("{}: {error}", path.display())));
    }
    let name = of.validator.as_deref().unwrap_or_default();
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        return Err(Failure::usage(format!("{name:?} names no validator")));
    }
    let transport = context.http()?;
    let page = Api::new(&transport).page(&format!("/v1/validators/{name}/evidence"), 0)?;
    let bytes = page["registration"]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .unwrap_or_default();
    Registration::decode(&bytes)
        .map_err(|error| Failure::new("rpc.bad_answer", format!("the registration: {error}")))
}

/// All fields of a registration's evidence.
pub(crate) fn show(context: &Context, of: &Evidence) -> Done {
    let registration = registration(context, of)?;
    super::show::fields(context, Some(&registration.name), &registration.evidence)
}

/// Every check of a registration, and the chain's own verdict over it.
pub(crate) fn verify(context: &Context, of: &Evidence, genesis: Option<&Path>) -> Done {
    let registration = registration(context, of)?;
    let rules = rules(context, &registration, genesis)?;
    let binding = registration.binding();
    let (steps, _) = verify_steps(
        &registration.evidence,
        &rules.trust,
        &rules.collateral,
        Some(&rules.policy),
        Some(&binding),
        rules.now_ms,
    );
    // The evidence and the signatures around it together; this is what the chain's own rule says.
    let refused = registration
        .verify(&rules.trust, &rules.collateral, &rules.policy, rules.now_ms)
        .err();
    let verdict = match (&refused, &rules.proven) {
        (Some(_), _) => "REFUSED",
        (None, Err(_)) => "UNKNOWN: the policy could not be proven",
        (None, Ok(())) => "TRUSTED",
    };
    let listed: Vec<_> = steps.iter().map(step_value).collect();
    let report = || -> String {
        steps
            .iter()
            .map(step_line)
            .chain([format!("verdict: {verdict}")])
            .collect()
    };
    let failure = match (refused, rules.proven) {
        (Some(tacit_ledger::RegistrationError::Evidence(refusal)), _) => {
            Failure::new(refusal.code(), &refusal)
        }
        (Some(other), _) => Failure::new("epoch.holder", other),
        (None, Err(failure)) => failure,
        (None, Ok(())) => {
            context.output.result(
                &json!({ "name": registration.name, "verdict": verdict, "steps": listed }),
                report,
            );
            return Ok(());
        }
    };
    if !context.output.json() {
        context.output.line(&report());
    }
    Err(failure
        .detail("validator", registration.name)
        .detail("steps", listed))
}

/// Roots, policy and time: from a genesis, or from the pinned chain.
fn rules(context: &Context, registration: &Registration, genesis: Option<&Path>) -> Done<Rules> {
    if let Some(path) = genesis {
        let genesis = genesis::read(context, path)?;
        let founder = registration.network == Digest(genesis.nonce);
        let now_ms = if founder { genesis.time_ms } else { system_clock() };
        let collateral = genesis
            .collateral()
            .map_err(|error| Failure::new("genesis.invalid", error))?;
        return Ok(Rules {
            trust: genesis.trust,
            collateral,
            policy: genesis.policy,
            proven: Ok(()),
            now_ms,
        });
    }
    let transport = context.transport()?;
    let api = Api::new(transport.as_ref() as &dyn Transport);
    let mut trust = context.trust(transport.as_ref())?;
    let refreshed = trust.refresh(&api, system_clock());
    let bundle: LightBundle = api.light_bundle(trust.state().record.epoch)?;
    let record = &trust.state().record;
    let proven = match refreshed {
        Err(error) => Err(Failure::from(error)),
        Ok(_) if policy_digest(&bundle.policy) != record.policy => Err(Failure::new(
            "proof.policy",
            "the policy is not the one of the certified epoch record",
        )),
        Ok(_) if collateral_digest(&bundle.collateral) != record.collateral => Err(Failure::new(
            "proof.collateral",
            "the collateral is not the one of the certified epoch record",
        )),
        Ok(_) => Ok(()),
    };
    // What holds a seat was judged when the set was decided; what came since is judged now.
    let seated = record
        .validators
        .iter()
        .any(|seat| seat.registration == registration.digest());
    let now_ms = if seated { record.judged_ms } else { system_clock() };
    Ok(Rules {
        trust: trust.genesis().trust.clone(),
        collateral: bundle.collateral,
        policy: bundle.policy,
        proven,
        now_ms,
    })
}

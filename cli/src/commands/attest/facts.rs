//! What verified evidence says, as JSON for scripts.

use serde_json::{Value, json};
use tacit_attest::{Facts, IntelBody, IntelFacts, SnpFacts, Tcb, Verified};

use crate::output::time;

/// All facts that a policy may look at.
pub(crate) fn facts(verified: &Verified) -> Value {
    let mut value = match &verified.facts {
        Facts::Snp(facts) => snp(facts),
        Facts::Intel(facts) => intel(facts),
    };
    value["vendor"] = verified.vendor().to_string().into();
    value["family"] = verified.family().to_string().into();
    value["measurement"] = verified.measurement.to_string().into();
    value["chip"] = verified.chip.to_string().into();
    value["report_data"] = hex::encode(verified.report_data).into();
    value["not_after"] = time(verified.not_after_ms).into();
    value
}

/// Intel's verdict on a machine's firmware; AMD gives none, floors are the policy's.
pub(crate) fn tcb_status(verified: &Verified) -> Option<String> {
    verified.facts.intel().map(|facts| facts.tcb_status.to_string())
}

fn bits(value: u64) -> Value {
    format!("{value:#x}").into()
}

fn tcb(tcb: &Tcb) -> Value {
    tcb.parts()
        .into_iter()
        .map(|(name, number)| (name.to_owned(), Value::from(number)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn snp(facts: &SnpFacts) -> Value {
    let [family, model, stepping] = facts.cpuid;
    json!({
        "generation": facts.generation.to_string(),
        "report_version": facts.report_version,
        "leaf_kind": format!("{:?}", facts.leaf_kind).to_lowercase(),
        "guest_policy": bits(facts.guest_policy),
        "platform_info": bits(facts.platform_info),
        "vmpl": facts.vmpl,
        "guest_svn": facts.guest_svn,
        "cpuid": { "family": family, "model": model, "stepping": stepping },
        "reported_tcb": tcb(&facts.reported_tcb),
        "current_tcb": tcb(&facts.current_tcb),
        "committed_tcb": tcb(&facts.committed_tcb),
        "launch_tcb": tcb(&facts.launch_tcb),
        "report_id": hex::encode(facts.report_id),
        "report_id_ma": hex::encode(facts.report_id_ma),
        "host_data": hex::encode(facts.host_data),
        "id_key_digest": hex::encode(facts.id_key_digest),
        "author_key_digest": hex::encode(facts.author_key_digest),
    })
}

fn intel(facts: &IntelFacts) -> Value {
    let mut value = json!({
        "tee": facts.tee.to_string(),
        "quote_version": facts.quote_version,
        "fmspc": facts.fmspc.to_string(),
        "sgx_type": facts.sgx_type,
        "cpu_svn": hex::encode(facts.cpu_svn),
        "pce_svn": facts.pce_svn,
        "tcb_status": facts.tcb_status.to_string(),
        "advisories": facts.advisories,
        "evaluation": facts.evaluation,
        "dynamic_platform": facts.dynamic_platform,
        "cached_keys": facts.cached_keys,
        "smt": facts.smt,
    });
    let body = match &facts.body {
        IntelBody::Td(td) => json!({
            "tee_tcb_svn": hex::encode(td.tee_tcb_svn),
            "tee_tcb_svn2": td.tee_tcb_svn2.map(hex::encode),
            "attributes": bits(td.attributes),
            "xfam": bits(td.xfam),
            "mr_seam": hex::encode(td.mr_seam),
            "mr_td": hex::encode(td.mr_td),
            "mr_config_id": hex::encode(td.mr_config_id),
            "mr_owner": hex::encode(td.mr_owner),
            "mr_owner_config": hex::encode(td.mr_owner_config),
            "rtmr": td.rtmr.map(hex::encode),
        }),
        IntelBody::Enclave(enclave) => json!({
            "attributes": hex::encode(enclave.attributes),
            "mr_enclave": hex::encode(enclave.mr_enclave),
            "mr_signer": hex::encode(enclave.mr_signer),
            "isv_prod_id": enclave.isv_prod_id,
            "isv_svn": enclave.isv_svn,
        }),
    };
    if let (Value::Object(all), Value::Object(body)) = (&mut value, body) {
        all.extend(body);
    }
    value
}

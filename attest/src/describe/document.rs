//! Documents of collateral: Intel's signed JSON flattened, revocation lists entry by entry.

use serde_json::Value;

use super::certificate;
use super::fields::Fields;
use crate::collateral::{CollateralUpdate, Document, PckAuthority, SignedJson};

pub(super) fn update(update: &CollateralUpdate, out: &mut Fields) {
    out.put("simulated", update.simulated);
    match &update.document {
        Document::TcbInfo(signed) => signed_json("tcb_info", signed, out),
        Document::QeIdentity(signed) => signed_json("qe_identity", signed, out),
        Document::IntelRootCrl(list) => {
            out.put("document", "Intel root CRL");
            certificate::revocation_list("crl", list, out);
        }
        Document::IntelPckCrl { authority, list } => {
            let name = match authority {
                PckAuthority::Processor => "Intel processor CRL",
                PckAuthority::Platform => "Intel platform CRL",
            };
            out.put("document", name);
            certificate::revocation_list("crl", list, out);
        }
        Document::AmdCrl { generation, list } => {
            out.put("document", format!("AMD {generation} CRL"));
            certificate::revocation_list("crl", list, out);
        }
    }
}

fn signed_json(name: &str, signed: &SignedJson, out: &mut Fields) {
    out.put("document", name);
    match serde_json::from_str(&signed.body) {
        Ok(value) => flatten(name, &value, out),
        Err(_) => out.put(name, "is not JSON"),
    }
    out.hex("signature", &signed.signature);
    certificate::certificate("signer", &signed.signer, out);
}

/// Names longer than this are not taken apart further: nested keys would be repeated in every name below them.
const NAME_MAX: usize = 200;

/// One line for each value. A list of firmware components is one line: its numbers, with what Intel says of each.
fn flatten(name: &str, value: &Value, out: &mut Fields) {
    match value {
        other if name.len() > NAME_MAX => out.put(name, other),
        Value::Object(map) => {
            for (key, value) in map {
                flatten(&format!("{name}.{key}"), value, out);
            }
        }
        Value::Array(list) => {
            let components: Option<Vec<_>> = list.iter().map(component).collect();
            match components {
                Some(components) if !components.is_empty() => out.put(name, components.join(", ")),
                _ => {
                    for (i, value) in list.iter().enumerate() {
                        flatten(&format!("{name}[{i}]"), value, out);
                    }
                }
            }
        }
        Value::String(text) => out.put(name, text),
        other => out.put(name, other),
    }
}

/// "5 (BIOS, Early Microcode Update)"; a plain text or number stands for itself.
fn component(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(map) => {
            let svn = map.get("svn")?;
            if map
                .keys()
                .any(|key| !["svn", "category", "type"].contains(&key.as_str()))
            {
                return None;
            }
            let texts: Vec<_> = ["category", "type"]
                .iter()
                .filter_map(|key| map.get(*key)?.as_str())
                .collect();
            match texts.as_slice() {
                [] => Some(svn.to_string()),
                texts => Some(format!("{svn} ({})", texts.join(", "))),
            }
        }
        _ => None,
    }
}

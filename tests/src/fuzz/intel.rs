//! Targets of Intel's formats: quotes, leaves, documents. Where a signature would hide what lies behind it, the
//! simulator signs whatever the fuzzer wrote.

use tacit_attest::{
    Collateral, CollateralUpdate, Document, Evidence, Generation, PckAuthority, Platform, Quote, SignedJson,
    verify,
};

use super::attest::{NOW_MS, WORLD, exact, judge};

/// A quote as a machine gives it: one canonical form comes out, and it is a fixed point.
pub fn quote(data: &[u8]) {
    if let Ok(evidence) = Evidence::from_quote(data) {
        let whole = evidence.to_quote().expect("evidence of a quote is a quote again");
        assert!(data.starts_with(&whole[..48]), "the header is the machine's");
        assert_eq!(
            Evidence::from_quote(&whole).as_ref(),
            Ok(&evidence),
            "two forms of one quote"
        );
        judge(&evidence);
    }
    if let Ok(quote) = Quote::parse(data) {
        assert!(quote.to_bytes() == data, "a quote has two encodings");
    }
}

/// A quote as it travels, beside an honest leaf: only what the machine signed is authentic.
pub fn bare_quote(data: &[u8]) {
    let domains = &WORLD.domains;
    for platform in [Platform::SimulatedTdx, Platform::Tdx, Platform::Sgx] {
        let evidence = Evidence {
            platform,
            report: data.to_vec(),
            leaf: domains[0].1.leaf.clone(),
        };
        if judge(&evidence) {
            let signed = |bytes: &[u8]| Quote::parse(bytes).map(|quote| quote.signed_bytes());
            let known = domains
                .iter()
                .any(|(_, domain)| signed(&domain.report) == signed(data));
            assert!(known, "a forged quote is authentic");
        }
    }
}

/// A leaf beside an honest quote. An ECDSA signature has a twin, so one field of the leaf has two values.
pub fn pck_leaf(data: &[u8]) {
    let (_, honest) = &WORLD.domains[1];
    let evidence = Evidence {
        leaf: data.to_vec(),
        ..honest.clone()
    };
    if judge(&evidence) {
        // What is signed, and nothing else, comes first in a certificate; its length stands in bytes 6 and 7.
        let signed = |der: &[u8]| {
            let length: [u8; 2] = der.get(6..8)?.try_into().ok()?;
            der.get(4..8 + usize::from(u16::from_be_bytes(length)))
                .map(<[u8]>::to_vec)
        };
        assert_eq!(signed(data), signed(&honest.leaf), "a forged leaf is authentic");
    }
}

fn simulated(document: Document) -> CollateralUpdate {
    CollateralUpdate {
        simulated: true,
        document,
    }
}

fn sign(data: &[u8]) -> Option<SignedJson> {
    let body = String::from_utf8(data.to_vec()).ok()?;
    WORLD.authority.sign_body(body).ok()
}

/// Takes a document in beside the honest ones and judges an honest machine by it.
fn take(update: CollateralUpdate) {
    let world = &*WORLD;
    let mut held = Collateral::new();
    let empty = held.digest();
    match held.apply(update.clone(), &world.trust, NOW_MS) {
        Err(refusal) => {
            assert_eq!(held.digest(), empty, "a refusal changes nothing");
            assert!(!refusal.to_string().is_empty());
            return;
        }
        Ok(key) => {
            let info = held.info(&key).expect("what was taken in has dates");
            assert!(info.issued_ms <= NOW_MS && NOW_MS / 1000 <= info.next_update_ms / 1000);
            let again = held.apply(update.clone(), &world.trust, NOW_MS);
            assert!(again.is_err(), "what is held is not newer than itself");
            let bytes = borsh::to_vec(&held).expect("collateral encodes");
            let decoded: Collateral = borsh::from_slice(&bytes).expect("what was taken in is read again");
            assert_eq!(decoded, held);
        }
    }
    // In the place of the honest document where it is newer, beside it otherwise.
    let mut held = world.collateral.clone();
    let _ = held.apply(update, &world.trust, NOW_MS);
    for (_, domain) in &world.domains {
        let _ = verify(domain, &world.trust, &held, None, None, NOW_MS);
    }
}

/// Any text signed as a TCB info.
pub fn tcb_info(data: &[u8]) {
    if let Some(signed) = sign(data) {
        take(simulated(Document::TcbInfo(signed)));
    }
}

/// Any text signed as a QE identity.
pub fn qe_identity(data: &[u8]) {
    if let Some(signed) = sign(data) {
        take(simulated(Document::QeIdentity(signed)));
    }
}

/// Any bytes as a revocation list of each kind; nobody signs them.
pub fn revocation_list(data: &[u8]) {
    let list = data.to_vec();
    take(simulated(Document::IntelRootCrl(list.clone())));
    let authority = PckAuthority::Platform;
    take(simulated(Document::IntelPckCrl {
        authority,
        list: list.clone(),
    }));
    take(simulated(Document::AmdCrl {
        generation: Generation::Genoa,
        list,
    }));
}

/// A document as it travels.
pub fn collateral_update(data: &[u8]) {
    if let Some(update) = exact::<CollateralUpdate>(data) {
        let json = serde_json::to_string(&update).expect("a document has a JSON form");
        let again: CollateralUpdate = serde_json::from_str(&json).expect("its own JSON form is read again");
        assert_eq!(again, update);
        take(update);
    }
}

/// All that a ledger holds, as somebody else encoded it.
pub fn collateral(data: &[u8]) {
    if let Some(held) = exact::<Collateral>(data) {
        let world = &*WORLD;
        for (key, _) in held.documents() {
            let _ = (held.info(key), key.to_string());
        }
        for (_, domain) in &world.domains {
            let _ = verify(domain, &world.trust, &held, None, None, NOW_MS);
        }
        let _ = verify(&world.turin, &world.trust, &held, None, None, NOW_MS);
        let mut rest = held.clone();
        rest.remove_expired(NOW_MS);
        assert!(rest.documents().count() <= held.documents().count());
    }
}

/// A collateral file of `dcap-qvl`.
pub fn collateral_file(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Ok(updates) = Collateral::from_qvl_json(text) {
        assert_eq!(updates.len(), 4);
        for update in updates {
            let bytes = borsh::to_vec(&update).expect("a document encodes");
            let _ = exact::<CollateralUpdate>(&bytes);
        }
    }
}

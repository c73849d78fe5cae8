//! Evidence on the wrong network or under the wrong name: simulated where real is required, the reverse, and one
//! platform's evidence under another's tag.

use core::str::FromStr;

use sev::certs::snp::builtin;
use tacit_attest::{Collateral, Evidence, NetworkClass, Platform, TrustRoots, key_info};
use x509_cert::der::asn1::OctetString;
use x509_cert::name::Name;

use super::snp::{GENOA_V3, SnpDraft, TURIN_V5};
use super::{Attempt, Case, Table, Workshop};

/// A genuine Milan machine, version 2, of the crate `sev`.
const REAL_REPORT: &str = include_str!("../../../attest/tests/fixtures/sev-milan.report.hex");
const REAL_LEAF: &[u8] = include_bytes!("../../../attest/tests/fixtures/sev-milan.vcek.der");
/// Inside its leaf's validity, 2023 to 2030.
const REAL_NOW_MS: u64 = super::NOW_MS;

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    simulated(table, shop);
    real(table, shop);
    disguised(table, shop);
}

/// Simulated machines where real ones are required.
fn simulated(table: &mut Table, shop: &Workshop) {
    const FORBIDDEN: (&str, u8) = ("attest.simulator_forbidden", 0);
    const MISSING: (&str, u8) = ("attest.simulator_root_missing", 0);
    let mut on = |base, what: &str, expected, change: fn(&mut TrustRoots)| {
        table.snp(shop, "simulated for real", base, what, expected, |d| {
            change(&mut d.trust)
        });
    };
    on(
        TURIN_V5,
        "the network is of class production",
        FORBIDDEN,
        |trust| {
            trust.class = NetworkClass::Production;
            trust.simulator = None;
        },
    );
    on(TURIN_V5, "the network is of class test", FORBIDDEN, |trust| {
        trust.class = NetworkClass::Test;
        trust.simulator = None;
    });
    on(
        GENOA_V3,
        "a production network names the simulator's root",
        FORBIDDEN,
        |trust| {
            trust.class = NetworkClass::Production;
        },
    );
    on(GENOA_V3, "a dev network names no simulator", MISSING, |trust| {
        trust.simulator = None
    });
}

/// A genuine machine's evidence on a production network, without policy.
fn real_case() -> Case {
    Case {
        evidence: Evidence {
            platform: Platform::SevSnp,
            report: hex::decode(REAL_REPORT.trim()).expect("hex"),
            leaf: REAL_LEAF.to_vec(),
        },
        trust: TrustRoots {
            class: NetworkClass::Production,
            simulator: None,
        },
        collateral: Collateral::new(),
        policy: None,
        binding: None,
        now_ms: REAL_NOW_MS,
    }
}

fn real(table: &mut Table, shop: &Workshop) {
    const BASE: &str = "real snp v2 milan";
    let attempt = |case: Case| Attempt::Verify(Box::new(case));
    table.base(BASE, || attempt(real_case()));
    let mut row = |topic, what: &str, expected, change: &dyn Fn(&mut Case)| {
        let mut case = real_case();
        change(&mut case);
        table.push(topic, format!("{BASE}: {what}"), expected, attempt(case));
    };
    row(
        "real for simulated",
        "it calls itself simulated",
        ("attest.simulator_mark", 2),
        &|case| {
            case.trust = shop.trust();
            case.evidence.platform = Platform::Simulated;
        },
    );
    row(
        "real for simulated",
        "it calls itself simulated on a production network",
        ("attest.simulator_forbidden", 0),
        &|case| case.evidence.platform = Platform::Simulated,
    );
    row(
        "simulated for real",
        "a production network names the simulator's root besides",
        ("attest.simulator_forbidden", 0),
        &|case| case.trust.simulator = shop.trust().simulator,
    );
    row(
        "policy",
        "a production policy judges it",
        ("attest.report_version_not_allowed", 9),
        &|case| {
            case.policy = Some(tacit_attest::Policy::production());
        },
    );
    row(
        "kind of leaf",
        "it claims a VLEK, no ASVK came with it",
        ("attest.vlek_not_supported", 4),
        &|case| {
            case.evidence.report[0x48] |= 1 << key_info::SIGNING_KEY_SHIFT;
        },
    );
    row(
        "signature",
        "its measurement has one bit wrong",
        ("attest.report_signature", 7),
        &|case| {
            case.evidence.report[0x90] ^= 1;
        },
    );
    row(
        "validity",
        "its leaf ended one second ago",
        ("attest.leaf_expired", 4),
        &|case| {
            case.now_ms = 1_901_474_624_000;
        },
    );
    row(
        "validity",
        "its leaf begins one second later",
        ("attest.leaf_not_yet_valid", 4),
        &|case| {
            case.now_ms = 1_680_549_822_999;
        },
    );
    row(
        "layout",
        "a reserved byte of its TCB is set",
        ("attest.reserved_not_zero", 1),
        &|case| {
            case.evidence.report[0x3a] = 1;
        },
    );
    row(
        "chip id",
        "its host masks the chip id",
        ("attest.not_canonical", 1),
        &|case| {
            case.evidence.report[0x1a0..0x1e0].fill(0);
        },
    );
    row(
        "chip id",
        "its chip id has one bit wrong",
        ("attest.chip_id_mismatch", 6),
        &|case| {
            case.evidence.report[0x1a0] ^= 1;
        },
    );
    for platform in [Platform::Tdx, Platform::Sgx] {
        let what = format!("it calls itself {platform}");
        row(
            "platform confusion",
            &what,
            ("attest.quote_version", 2),
            &|case| {
                case.evidence.platform = platform;
            },
        );
    }
    row(
        "TCB",
        "its microcode is not the leaf's",
        ("attest.leaf_tcb", 5),
        &|case| {
            case.evidence.report[0x187] += 1;
        },
    );
}

/// A simulated machine that looks more and more like AMD's: what nobody can sign is what stops it.
fn disguised(table: &mut Table, shop: &Workshop) {
    const TOPIC: &str = "simulated for real";
    fn on_production(draft: &mut SnpDraft<'_>) {
        draft.platform = Platform::SevSnp;
        (draft.trust.class, draft.trust.simulator) = (NetworkClass::Production, None);
    }
    fn unmarked(draft: &mut SnpDraft<'_>) {
        on_production(draft);
        draft.report.family_id = [0; 16];
    }
    fn amd_product(draft: &mut SnpDraft<'_>) {
        unmarked(draft);
        for extension in draft.leaf.extensions.iter_mut().flatten() {
            if extension.extn_id.to_string() == "1.3.6.1.4.1.3704.1.2" {
                extension.extn_value = OctetString::new(&b"\x16\x05Genoa"[..]).expect("an octet string");
            }
        }
    }
    fn amd_issuer(draft: &mut SnpDraft<'_>) {
        amd_product(draft);
        let ask = builtin::genoa::ask()
            .and_then(|ask| ask.to_der())
            .expect("AMD's certificate");
        draft.leaf.issuer = super::leaf::subject_of(&ask);
    }
    fn amd_names(draft: &mut SnpDraft<'_>) {
        amd_issuer(draft);
        let name = draft.leaf.issuer.to_string();
        let subject = name.replace("SEV-Genoa", "SEV-VCEK");
        draft.leaf.subject = Name::from_str(&subject).expect("a name");
    }
    let mut row = |base, what: &str, expected, change: fn(&mut SnpDraft<'_>)| {
        table.snp(shop, TOPIC, base, what, expected, change);
    };
    row(
        TURIN_V5,
        "it calls itself real",
        ("attest.simulator_mark", 2),
        on_production,
    );
    row(
        TURIN_V5,
        "it hides the simulator's mark on a dev network",
        ("attest.simulator_mark", 2),
        |d| {
            d.report.family_id = [0; 16];
        },
    );
    row(
        GENOA_V3,
        "it calls itself real, unmarked",
        ("attest.leaf_extensions", 4),
        unmarked,
    );
    row(
        GENOA_V3,
        "it has AMD's product name besides",
        ("attest.leaf_issuer", 4),
        amd_product,
    );
    row(
        GENOA_V3,
        "it has AMD's issuer besides",
        ("attest.leaf_subject", 4),
        amd_issuer,
    );
    row(
        GENOA_V3,
        "it has all of AMD's names, and a shorter signature",
        ("attest.leaf_encoding", 4),
        amd_names,
    );
    row(
        GENOA_V3,
        "it has all but AMD's signature",
        ("attest.leaf_signature", 7),
        |d| {
            amd_names(d);
            // AMD signs with 4096 bits.
            d.leaf_edit = Some(Box::new(|c| {
                c.signature =
                    x509_cert::der::asn1::BitString::from_bytes(&[0x5a; 512]).expect("a bit string");
            }));
        },
    );
}

//! Defects of an SNP leaf certificate, signed by the intermediate that signs honest ones.

use core::str::FromStr;
use core::time::Duration;

use tacit_attest::Evidence;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{Any, BitString, ObjectIdentifier, OctetString, UtcTime};
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, TbsCertificate};

use super::snp::{GENOA_V3, GENOA_V5, MILAN_V2, MILAN_V3, SnpDraft, TURIN_V3, TURIN_V5};
use super::workshop::NOW_MS;
use super::{Table, Workshop};

/// The arc of AMD's extensions.
const AMD: &str = "1.3.6.1.4.1.3704.1.";
const ENCODING: (&str, u8) = ("attest.leaf_encoding", 4);
const EXTENSIONS: (&str, u8) = ("attest.leaf_extensions", 4);
const NOW_S: u64 = NOW_MS / 1000;

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    encoding(table, shop);
    names(table, shop);
    extensions(table, shop);
    validity(table, shop);
}

fn encoding(table: &mut Table, shop: &Workshop) {
    let mut late = |topic, what: &str, change: fn(&mut Evidence)| {
        table.snp(shop, topic, TURIN_V5, what, ENCODING, |d| d.afterwards(change));
    };
    late("trailing bytes", "a byte follows the leaf", |e| e.leaf.push(0));
    late("trailing bytes", "a second leaf follows the leaf", |e| {
        e.leaf.extend_from_within(..)
    });
    late("truncation", "the leaf is empty", |e| e.leaf.clear());
    late("truncation", "the leaf lacks its last byte", |e| {
        e.leaf.pop();
    });
    late("truncation", "the leaf is cut after its header", |e| {
        e.leaf.truncate(4)
    });
    late(
        "leaf",
        "the leaf's length takes one byte more than it needs",
        |e| {
            // 30 82 hh ll becomes 30 83 00 hh ll: BER, not DER.
            e.leaf[1] = 0x83;
            e.leaf.insert(2, 0);
        },
    );
    late("leaf", "the leaf is PEM", |e| {
        let mut pem = b"-----BEGIN CERTIFICATE-----\n".to_vec();
        pem.append(&mut e.leaf);
        e.leaf = pem;
        e.leaf.truncate(4096);
    });

    let mut outer = |what: &str, change: fn(&mut Certificate)| {
        table.snp(shop, "leaf", MILAN_V3, what, ENCODING, |d| {
            d.leaf_edit = Some(Box::new(change))
        });
    };
    outer("the leaf's outer algorithm is not the signed one", |c| {
        c.signature_algorithm.oid = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
    });
    outer("the leaf's outer algorithm lacks its parameters", |c| {
        c.signature_algorithm.parameters = None;
    });
    outer("the leaf's signature has unused bits", |c| {
        let mut bytes = c.signature.raw_bytes().to_vec();
        if let Some(last) = bytes.last_mut() {
            *last &= 0xfe;
        }
        c.signature = BitString::new(1, bytes).expect("a bit string");
    });
    outer("the leaf's signature is a byte short", |c| {
        let bytes = c.signature.raw_bytes();
        c.signature = BitString::from_bytes(&bytes[1..]).expect("a bit string");
    });

    let mut body = |what: &str, change: fn(&mut TbsCertificate)| {
        table.snp(shop, "leaf", GENOA_V3, what, ENCODING, |d| change(&mut d.leaf));
    };
    body("the leaf is signed by PKCS#1 v1.5 by its own words", |tbs| {
        tbs.signature.oid = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
        tbs.signature.parameters = Some(Any::null());
    });
    body("the leaf has an issuer's unique id", |tbs| {
        tbs.issuer_unique_id = Some(BitString::from_bytes(&[1]).expect("a bit string"));
    });
    body("the leaf's key is on another curve", |tbs| {
        tbs.subject_public_key_info.algorithm.parameters =
            Some(Any::from(ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7")));
    });
    body("the leaf's key is compressed", |tbs| {
        let point = tbs.subject_public_key_info.subject_public_key.raw_bytes();
        let sign = 2 | (point[96] & 1);
        let short: Vec<u8> = core::iter::once(sign)
            .chain(point[1..49].iter().copied())
            .collect();
        tbs.subject_public_key_info.subject_public_key = BitString::from_bytes(&short).expect("a bit string");
    });
    body("the leaf's key is no point of the curve", |tbs| {
        let mut point = tbs
            .subject_public_key_info
            .subject_public_key
            .raw_bytes()
            .to_vec();
        point[96] ^= 1;
        tbs.subject_public_key_info.subject_public_key = BitString::from_bytes(&point).expect("a bit string");
    });
    body("the leaf's key is the point at infinity", |tbs| {
        tbs.subject_public_key_info.subject_public_key = BitString::from_bytes(&[0]).expect("a bit string");
    });
}

fn name(text: &str) -> Name {
    Name::from_str(text).expect("a name")
}

fn names(table: &mut Table, shop: &Workshop) {
    const SUBJECT: (&str, u8) = ("attest.leaf_subject", 4);
    const ISSUER: (&str, u8) = ("attest.leaf_issuer", 4);
    let mut called = |what: &str, text: &'static str| {
        table.snp(shop, "kind of leaf", TURIN_V5, what, SUBJECT, |d| {
            d.leaf.subject = name(text)
        });
    };
    called(
        "the leaf calls itself a VLEK",
        "CN=SIM-SEV-VLEK,O=SIMULATOR - NOT HARDWARE",
    );
    called(
        "the leaf calls itself a real VCEK",
        "CN=SEV-VCEK,O=SIMULATOR - NOT HARDWARE",
    );
    called(
        "the leaf does not call itself simulated",
        "CN=SIM-SEV-VCEK,O=Advanced Micro Devices",
    );
    called("the leaf has no common name", "O=SIMULATOR - NOT HARDWARE");
    called(
        "the leaf has two common names",
        "CN=SIM-SEV-VCEK,CN=SIM-SEV-VCEK,O=SIMULATOR - NOT HARDWARE",
    );
    let mut issued = |what: &str, issuer: Name| {
        table.snp(shop, "chain", GENOA_V3, what, ISSUER, |d| d.leaf.issuer = issuer);
    };
    issued(
        "the leaf is issued in the root's name",
        name("CN=SIM-ARK,O=SIMULATOR - NOT HARDWARE"),
    );
    issued(
        "the leaf is issued in its own name",
        name("CN=SIM-SEV-VCEK,O=SIMULATOR - NOT HARDWARE"),
    );
    issued("the leaf has no issuer", Name::default());
}

fn value(bytes: &[u8]) -> OctetString {
    OctetString::new(bytes).expect("an octet string")
}

/// The extension under AMD's arc, to be changed.
fn amd<'a>(tbs: &'a mut TbsCertificate, arc: &str) -> &'a mut Extension {
    let oid = ObjectIdentifier::new(&format!("{AMD}{arc}")).expect("an arc");
    let mut list = tbs.extensions.iter_mut().flatten();
    list.find(|extension| extension.extn_id == oid)
        .expect("an honest leaf has it")
}

fn without(tbs: &mut TbsCertificate, arc: &str) {
    let oid = ObjectIdentifier::new(&format!("{AMD}{arc}")).expect("an arc");
    if let Some(list) = &mut tbs.extensions {
        list.retain(|extension| extension.extn_id != oid);
    }
}

fn with(tbs: &mut TbsCertificate, oid: &str, critical: bool, bytes: &[u8]) {
    tbs.extensions.get_or_insert_default().push(Extension {
        extn_id: ObjectIdentifier::new(oid).expect("an identifier"),
        critical,
        extn_value: value(bytes),
    });
}

fn extensions(table: &mut Table, shop: &Workshop) {
    let mut has = |base, what: &str, change: fn(&mut TbsCertificate)| {
        table.snp(shop, "leaf extensions", base, what, EXTENSIONS, |d| {
            change(&mut d.leaf)
        });
    };
    has(TURIN_V5, "the leaf has no extensions", |tbs| {
        tbs.extensions = None
    });
    has(TURIN_V5, "the leaf lacks the product name", |tbs| {
        without(tbs, "2")
    });
    has(TURIN_V5, "the leaf lacks the hardware id", |tbs| {
        without(tbs, "4")
    });
    has(TURIN_V5, "the leaf lacks the FMC version", |tbs| {
        without(tbs, "3.9")
    });
    has(MILAN_V3, "the leaf lacks the microcode version", |tbs| {
        without(tbs, "3.8")
    });
    has(GENOA_V3, "the leaf of a Genoa has an FMC version", |tbs| {
        with(tbs, &format!("{AMD}3.9"), false, &[2, 1, 0]);
    });
    has(TURIN_V5, "the leaf has an extension that is not AMD's", |tbs| {
        with(tbs, "2.5.29.19", false, &[0x30, 0]);
    });
    has(TURIN_V3, "the leaf has an extension twice", |tbs| {
        with(tbs, &format!("{AMD}3.1"), false, &[2, 1, 1]);
    });
    has(TURIN_V5, "an extension of the leaf is critical", |tbs| {
        amd(tbs, "3.3").critical = true
    });
    has(MILAN_V2, "the leaf has the provider of a VLEK besides", |tbs| {
        with(tbs, &format!("{AMD}5"), false, b"\x16\x04test");
    });
    has(
        GENOA_V3,
        "the leaf has a provider instead of a hardware id",
        |tbs| {
            without(tbs, "4");
            with(tbs, &format!("{AMD}5"), false, b"\x16\x04test");
        },
    );
    has(
        TURIN_V5,
        "a version in the leaf takes one byte more than it needs",
        |tbs| {
            amd(tbs, "3.1").extn_value = value(&[2, 2, 0, 1]);
        },
    );
    has(MILAN_V3, "a version in the leaf is negative", |tbs| {
        amd(tbs, "3.8").extn_value = value(&[2, 1, 0xdb]);
    });
    has(MILAN_V3, "a version in the leaf is above 255", |tbs| {
        amd(tbs, "3.8").extn_value = value(&[2, 2, 1, 0xdb]);
    });
    has(GENOA_V3, "a reserved version in the leaf is set", |tbs| {
        amd(tbs, "3.5").extn_value = value(&[2, 1, 1]);
    });
    has(GENOA_V3, "the leaf's structure version is unknown", |tbs| {
        amd(tbs, "1").extn_value = value(&[2, 1, 9]);
    });
    has(TURIN_V5, "the leaf's product is unknown", |tbs| {
        amd(tbs, "2").extn_value = value(b"\x16\x0aSIM-Venice");
    });
    has(TURIN_V5, "the leaf's product is not marked as simulated", |tbs| {
        amd(tbs, "2").extn_value = value(b"\x16\x05Turin");
    });
    has(TURIN_V5, "the leaf's product name is UTF-8, not IA5", |tbs| {
        amd(tbs, "2").extn_value = value(b"\x0c\x09SIM-Turin");
    });
    const CHIP: (&str, u8) = ("attest.chip_id_mismatch", 6);
    table.snp(
        shop,
        "chip id",
        TURIN_V5,
        "the leaf's hardware id is longer than eight bytes",
        CHIP,
        |d| {
            let id = d.report.chip_id.0;
            amd(&mut d.leaf, "4").extn_value = value(&id);
        },
    );
    table.snp(
        shop,
        "chip id",
        GENOA_V3,
        "the leaf's hardware id is empty",
        CHIP,
        |d| {
            amd(&mut d.leaf, "4").extn_value = value(&[]);
        },
    );
}

fn time(seconds: u64) -> Time {
    Time::UtcTime(UtcTime::from_unix_duration(Duration::from_secs(seconds)).expect("a time before 2050"))
}

fn validity(table: &mut Table, shop: &Workshop) {
    const EARLY: (&str, u8) = ("attest.leaf_not_yet_valid", 4);
    const LATE: (&str, u8) = ("attest.leaf_expired", 4);
    let span = |from, to| Validity {
        not_before: time(from),
        not_after: time(to),
    };
    let mut valid = |base, what: &str, expected, (from, to)| {
        table.snp(shop, "validity", base, what, expected, |d| {
            d.leaf.validity = span(from, to)
        });
    };
    valid(
        TURIN_V5,
        "the leaf begins one second later",
        EARLY,
        (NOW_S + 1, NOW_S + 9),
    );
    valid(
        TURIN_V5,
        "the leaf ended one second ago",
        LATE,
        (NOW_S - 9, NOW_S - 1),
    );
    valid(
        MILAN_V3,
        "the leaf ends before it begins",
        LATE,
        (NOW_S, NOW_S - 1),
    );
    // A policy may bear that a leaf begins a little ahead of a lagging block clock; its end has no tolerance.
    let mut borne = |what: &str, expected, (from, to)| {
        table.snp(shop, "validity", GENOA_V5, what, expected, |d| {
            d.policy.not_before_tolerance_ms = 600_000;
            d.leaf.validity = span(from, to);
        });
    };
    borne(
        "the leaf begins one second after what the policy bears",
        EARLY,
        (NOW_S + 601, NOW_S + 900),
    );
    borne(
        "the leaf ended one second ago, and the policy bears early ones",
        LATE,
        (NOW_S - 9, NOW_S - 1),
    );
    let mut at = |what: &str, expected, now_ms| {
        table.snp(
            shop,
            "validity",
            GENOA_V3,
            what,
            expected,
            |d: &mut SnpDraft<'_>| d.now_ms = now_ms,
        );
    };
    at("the time is 1970", EARLY, 0);
    at("the time is the end of time", LATE, u64::MAX);
}

/// The DER of a name's certificate, for others who forge.
pub(super) fn subject_of(der: &[u8]) -> Name {
    Certificate::from_der(der)
        .expect("a certificate")
        .tbs_certificate
        .subject
}

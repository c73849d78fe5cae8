//! Defects of a machine's certificate (PCK) and of the authority and root above it.

use core::str::FromStr;
use core::time::Duration;

use tacit_attest::{Evidence, SimulatedPck, TrustRoots};
use x509_cert::der::asn1::{Any, BitString, ObjectIdentifier, OctetString, UtcTime};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, TbsCertificate};

use super::td::Layout::{V4, V5};
use super::td::TdDraft;
use super::workshop::{NOW_MS, SignerP256, TdMachine, parse};
use super::{Table, Workshop};

/// What the SGX extension of a PCK certificate stands under.
const SGX: &str = "1.2.840.113741.1.13.1";
const KEY_USAGE: &str = "2.5.29.15";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const ENCODING: (&str, u8) = ("attest.leaf_encoding", 4);
const EXTENSIONS: (&str, u8) = ("attest.leaf_extensions", 4);
const NOW_S: u64 = NOW_MS / 1000;

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    encoding(table, shop);
    names(table, shop);
    extensions(table, shop);
    machine_extension(table, shop);
    validity(table, shop);
    chain(table, shop);
}

fn encoding(table: &mut Table, shop: &Workshop) {
    let mut late = |topic, what: &str, change: fn(&mut Evidence)| {
        table.td(shop, topic, V5, what, ENCODING, |d| d.afterwards(change));
    };
    late("trailing bytes", "a byte follows the leaf", |e| e.leaf.push(0));
    late("truncation", "the leaf is empty", |e| e.leaf.clear());
    late("truncation", "the leaf lacks its last byte", |e| {
        e.leaf.pop();
    });
    late(
        "leaf",
        "the leaf's length takes one byte more than it needs",
        |e| {
            e.leaf[1] = 0x83;
            e.leaf.insert(2, 0);
        },
    );
    late("kind of leaf", "the leaf is PEM", |e| {
        let mut pem = b"-----BEGIN CERTIFICATE-----\n".to_vec();
        pem.append(&mut e.leaf);
        e.leaf = pem;
    });
    table.td(shop, "kind of leaf", V5, "the leaf is a VCEK", ENCODING, |d| {
        let vcek = shop.chip(1, tacit_attest::Generation::Genoa).chip.leaf().to_vec();
        d.afterwards(move |e| e.leaf = vcek);
    });

    let mut outer = |what: &str, change: fn(&mut Certificate)| {
        table.td(shop, "leaf", V4, what, ENCODING, |d| {
            d.leaf_edit = Some(Box::new(change))
        });
    };
    outer("the leaf's outer algorithm is not the signed one", |c| {
        c.signature_algorithm.oid = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
    });
    outer("the leaf's outer algorithm has parameters", |c| {
        c.signature_algorithm.parameters = Some(Any::null())
    });
    outer("the leaf's signature has unused bits", |c| {
        let mut bytes = c.signature.raw_bytes().to_vec();
        if let Some(last) = bytes.last_mut() {
            *last &= 0xfe;
        }
        c.signature = BitString::new(1, bytes).expect("a bit string");
    });
    outer("the leaf's signature is followed by a byte", |c| {
        let mut bytes = c.signature.raw_bytes().to_vec();
        bytes.push(0);
        c.signature = BitString::from_bytes(&bytes).expect("a bit string");
    });
    outer("the leaf's signature writes r with a zero too much", |c| {
        // SEQUENCE { INTEGER r, INTEGER s }: one more leading zero, and the lengths that say so.
        let mut bytes = c.signature.raw_bytes().to_vec();
        bytes.insert(4, 0);
        (bytes[1], bytes[3]) = (bytes[1] + 1, bytes[3] + 1);
        c.signature = BitString::from_bytes(&bytes).expect("a bit string");
    });

    let mut body = |what: &str, change: fn(&mut TbsCertificate)| {
        table.td(shop, "leaf", V5, what, ENCODING, |d| change(&mut d.leaf));
    };
    body(
        "the leaf is signed by ECDSA with SHA-384 by its own words",
        |tbs| {
            tbs.signature.oid = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
        },
    );
    body("the leaf has a subject's unique id", |tbs| {
        tbs.subject_unique_id = Some(BitString::from_bytes(&[1]).expect("a bit string"));
    });
    body("the leaf's key is on another curve", |tbs| {
        tbs.subject_public_key_info.algorithm.parameters =
            Some(Any::from(ObjectIdentifier::new_unwrap("1.3.132.0.34")));
    });
    body("the leaf's key is compressed", |tbs| {
        let point = tbs.subject_public_key_info.subject_public_key.raw_bytes();
        let sign = 2 | (point[64] & 1);
        let short: Vec<u8> = core::iter::once(sign)
            .chain(point[1..33].iter().copied())
            .collect();
        tbs.subject_public_key_info.subject_public_key = BitString::from_bytes(&short).expect("a bit string");
    });
    body("the leaf's key is no point of the curve", |tbs| {
        let mut point = tbs
            .subject_public_key_info
            .subject_public_key
            .raw_bytes()
            .to_vec();
        point[64] ^= 1;
        tbs.subject_public_key_info.subject_public_key = BitString::from_bytes(&point).expect("a bit string");
    });
}

fn name(text: &str) -> Name {
    Name::from_str(text).expect("a name")
}

fn names(table: &mut Table, shop: &Workshop) {
    const SUBJECT: (&str, u8) = ("attest.leaf_subject", 4);
    const ISSUER: (&str, u8) = ("attest.leaf_issuer", 4);
    let mut called = |what: &str, text: &'static str| {
        table.td(shop, "kind of leaf", V5, what, SUBJECT, |d| {
            d.leaf.subject = name(text)
        });
    };
    called(
        "the leaf calls itself a signer of TCB infos",
        "CN=SIM-SGX TCB Signing,O=SIMULATOR - NOT HARDWARE",
    );
    called(
        "the leaf calls itself a real PCK certificate",
        "CN=Intel SGX PCK Certificate,O=SIMULATOR - NOT HARDWARE",
    );
    called(
        "the leaf does not call itself simulated",
        "CN=SIM-SGX PCK Certificate,O=Intel Corporation",
    );
    called("the leaf has no common name", "O=SIMULATOR - NOT HARDWARE");
    let mut issued = |what: &str, issuer: Name| {
        table.td(shop, "chain", V4, what, ISSUER, |d| d.leaf.issuer = issuer);
    };
    issued(
        "the leaf is issued in the root's name",
        name("CN=SIM-SGX Root CA,O=SIMULATOR - NOT HARDWARE"),
    );
    issued(
        "the leaf is issued in Intel's name",
        name("CN=Intel SGX PCK Platform CA,O=Intel Corporation"),
    );
    issued("the leaf has no issuer", Name::default());
    table.td(
        shop,
        "kind of leaf",
        V5,
        "the leaf is the authority's own certificate",
        EXTENSIONS,
        |d| {
            let ca = d.trust.simulator.as_ref().expect("a simulator").pck_ca.clone();
            d.afterwards(move |e| e.leaf = ca);
        },
    );
}

fn extension<'a>(tbs: &'a mut TbsCertificate, oid: &str) -> &'a mut Extension {
    let oid = ObjectIdentifier::new(oid).expect("an identifier");
    let mut list = tbs.extensions.iter_mut().flatten();
    list.find(|extension| extension.extn_id == oid)
        .expect("an honest leaf has it")
}

fn value(bytes: &[u8]) -> OctetString {
    OctetString::new(bytes).expect("an octet string")
}

fn extensions(table: &mut Table, shop: &Workshop) {
    let mut has = |what: &str, change: fn(&mut TbsCertificate)| {
        table.td(shop, "leaf extensions", V4, what, EXTENSIONS, |d| {
            change(&mut d.leaf)
        });
    };
    has("the leaf has no extensions", |tbs| tbs.extensions = None);
    has("the leaf may sign certificates", |tbs| {
        extension(tbs, KEY_USAGE).extn_value = value(&[3, 2, 1, 6])
    });
    has("the leaf is an authority", |tbs| {
        extension(tbs, BASIC_CONSTRAINTS).extn_value = value(&[0x30, 3, 1, 1, 0xff]);
    });
    has("the leaf's key usage is not critical", |tbs| {
        extension(tbs, KEY_USAGE).critical = false
    });
    has("the leaf's SGX extension is critical", |tbs| {
        extension(tbs, SGX).critical = true
    });
    has("the leaf has an extension that is not Intel's", |tbs| {
        tbs.extensions.get_or_insert_default().push(Extension {
            extn_id: ObjectIdentifier::new_unwrap("2.5.29.17"),
            critical: false,
            extn_value: value(&[0x30, 0]),
        });
    });
    has("the leaf has an extension twice", |tbs| {
        let twice = extension(tbs, SGX).clone();
        tbs.extensions.get_or_insert_default().push(twice);
    });
    has("the leaf lacks the SGX extension", |tbs| {
        let oid = ObjectIdentifier::new_unwrap(SGX);
        if let Some(list) = &mut tbs.extensions {
            list.retain(|extension| extension.extn_id != oid);
        }
    });
    has("the leaf's SGX extension is followed by a byte", |tbs| {
        let mut bytes = extension(tbs, SGX).extn_value.as_bytes().to_vec();
        bytes.push(0);
        extension(tbs, SGX).extn_value = value(&bytes);
    });
    has("the leaf's SGX extension is no sequence", |tbs| {
        extension(tbs, SGX).extn_value = value(&[2, 1, 1])
    });
}

/// Entries of the SGX extension, to be changed: pairs of identifier and value.
fn entries(tbs: &mut TbsCertificate, change: impl FnOnce(&mut Vec<Vec<Any>>)) {
    let extension = extension(tbs, SGX);
    let mut list = Vec::<Vec<Any>>::from_der(extension.extn_value.as_bytes()).expect("an honest extension");
    change(&mut list);
    extension.extn_value = value(&list.to_der().expect("a list encodes"));
}

fn octets(bytes: &[u8]) -> Any {
    let der = value(bytes).to_der().expect("an octet string encodes");
    Any::from_der(&der).expect("a value")
}

fn machine_extension(table: &mut Table, shop: &Workshop) {
    let mut says = |what: &str, expected, change: fn(&mut Vec<Vec<Any>>)| {
        table.td(shop, "leaf extensions", V5, what, expected, |d| {
            entries(&mut d.leaf, change)
        });
    };
    // In the order of the profile: PPID, TCB, PCE id, FMSPC, SGX type, instance, configuration.
    says("the leaf lacks the PPID", EXTENSIONS, |list| drop(list.remove(0)));
    says("the leaf lacks the TCB", EXTENSIONS, |list| drop(list.remove(1)));
    says("the leaf lacks the FMSPC", EXTENSIONS, |list| {
        drop(list.remove(3))
    });
    says("the leaf lacks the platform instance", EXTENSIONS, |list| {
        drop(list.remove(5))
    });
    says("the leaf's PPID is a byte longer", EXTENSIONS, |list| {
        list[0][1] = octets(&[1; 17])
    });
    says("the leaf's FMSPC is a byte shorter", EXTENSIONS, |list| {
        list[3][1] = octets(&[1; 5])
    });
    says("the leaf has the PPID twice", EXTENSIONS, |list| {
        let twice = list[0].clone();
        list.push(twice);
    });
    says("the leaf's SGX type is unknown", EXTENSIONS, |list| {
        list[4][1] = Any::from_der(&[0x0a, 1, 3]).expect("an enumerated value");
    });
    says("the leaf's SGX type is an integer", EXTENSIONS, |list| {
        list[4][1] = Any::from_der(&[2, 1, 1]).expect("an integer");
    });
    says(
        "the leaf says something of the machine that is unknown",
        EXTENSIONS,
        |list| {
            let oid = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.8");
            list.push(vec![Any::from(oid), octets(&[1])]);
        },
    );
    says("an entry of the leaf has three parts", EXTENSIONS, |list| {
        let third = octets(&[1]);
        list[0].push(third);
    });
    let tcb = |list: &mut Vec<Vec<Any>>, change: fn(&mut Vec<Vec<Any>>)| {
        let der = list[1][1].to_der().expect("a value encodes");
        let mut inner = Vec::<Vec<Any>>::from_der(&der).expect("an honest TCB");
        change(&mut inner);
        let der = inner.to_der().expect("a list encodes");
        list[1][1] = Any::from_der(&der).expect("a value");
    };
    let mut has = |what: &str, expected, change: fn(&mut Vec<Vec<Any>>)| {
        table.td(shop, "TCB", V5, what, expected, |d| {
            entries(&mut d.leaf, |list| tcb(list, change))
        });
    };
    has(
        "the leaf's CPU SVN is not its components",
        ("attest.leaf_cpu_svn", 4),
        |tcb| {
            tcb[17][1] = octets(&[9; 16]);
        },
    );
    has(
        "one component of the leaf is not its CPU SVN",
        ("attest.leaf_cpu_svn", 4),
        |tcb| {
            tcb[0][1] = Any::from_der(&[2, 1, 0x7f]).expect("an integer");
        },
    );
    has("the leaf lacks a component", EXTENSIONS, |tcb| {
        drop(tcb.remove(15))
    });
    has("the leaf lacks the PCE's SVN", EXTENSIONS, |tcb| {
        drop(tcb.remove(16))
    });
    has("a component of the leaf is above 255", EXTENSIONS, |tcb| {
        tcb[0][1] = Any::from_der(&[2, 2, 1, 0]).expect("an integer");
    });
    has("the leaf has a seventeenth component", EXTENSIONS, |tcb| {
        let oid = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.2.19");
        tcb.push(vec![
            Any::from(oid),
            Any::from_der(&[2, 1, 0]).expect("an integer"),
        ]);
    });
}

pub(super) fn span(from_s: u64, to_s: u64) -> Validity {
    let time = |s| Time::UtcTime(UtcTime::from_unix_duration(Duration::from_secs(s)).expect("before 2050"));
    Validity {
        not_before: time(from_s),
        not_after: time(to_s),
    }
}

fn validity(table: &mut Table, shop: &Workshop) {
    const EARLY: (&str, u8) = ("attest.leaf_not_yet_valid", 4);
    const LATE: (&str, u8) = ("attest.leaf_expired", 4);
    const ISSUER: (&str, u8) = ("attest.issuer_not_valid", 4);
    let mut valid = |what: &str, expected, (from, to)| {
        table.td(shop, "validity", V5, what, expected, |d| {
            d.leaf.validity = span(from, to)
        });
    };
    valid("the leaf begins one second later", EARLY, (NOW_S + 1, NOW_S + 9));
    valid("the leaf ended one second ago", LATE, (NOW_S - 9, NOW_S - 1));
    table.td(shop, "validity", V4, "the time is 1970", EARLY, |d| d.now_ms = 0);
    table.td(shop, "validity", V4, "the time is the end of time", LATE, |d| {
        d.now_ms = u64::MAX
    });
    let mut network = |what: &str, change: fn(&mut TbsCertificate, &mut TbsCertificate)| {
        table.td(shop, "validity", V5, what, ISSUER, |d| {
            d.trust = shop.intel_trust_with(change)
        });
    };
    network("the authority ended one second ago", |_, ca| {
        ca.validity = span(NOW_S - 9, NOW_S - 1)
    });
    network("the authority begins one second later", |_, ca| {
        ca.validity = span(NOW_S + 1, NOW_S + 9)
    });
    network("the root ended one second ago", |root, _| {
        root.validity = span(NOW_S - 9, NOW_S - 1)
    });
}

fn chain(table: &mut Table, shop: &Workshop) {
    const LEAF: (&str, u8) = ("attest.leaf_signature", 7);
    let mut by = |layout, what: &str, signer| {
        table.td(shop, "chain", layout, what, LEAF, |d| d.leaf_signer = signer);
    };
    by(V5, "the root signs the leaf itself", SignerP256::Root);
    by(
        V5,
        "the signer of TCB infos signs the leaf",
        SignerP256::TcbSigner,
    );
    by(V4, "another simulator signs the leaf", SignerP256::Stranger);
    table.td(
        shop,
        "chain",
        V5,
        "the leaf's serial number changed after it was signed",
        LEAF,
        |d| {
            d.leaf_edit = Some(Box::new(|c| c.tbs_certificate.serial_number = 1u8.into()));
        },
    );
    table.td(
        shop,
        "chain",
        V4,
        "the machine is another simulator's",
        LEAF,
        |d| {
            let machine = shop.foreign().issue_td([9; 32], NOW_MS).expect("a machine");
            d.leaf = parse(machine.leaf()).tbs_certificate;
            (d.leaf_signer, d.machine) = (SignerP256::Stranger, TdMachine::new(machine));
        },
    );
    // The quote of one machine beside the certificate of another: no field of a quote names its machine.
    table.td(
        shop,
        "chip id",
        V5,
        "its leaf is another machine's",
        ("attest.qe_report_signature", 7),
        |d| d.leaf = parse(shop.td(2).machine.leaf()).tbs_certificate,
    );

    const INVALID: (&str, u8) = ("attest.simulator_root_invalid", 0);
    let mut network = |what: &str, change: &dyn Fn(&mut TrustRoots)| {
        table.td(shop, "chain", V5, what, INVALID, |d: &mut TdDraft<'_>| {
            change(&mut d.trust)
        });
    };
    network(
        "the network's Intel root does not call itself simulated",
        &|trust| {
            *trust = shop
                .intel_trust_with(|root, _| root.subject = name("CN=Intel SGX Root CA,O=Intel Corporation"));
        },
    );
    network(
        "the network's authority does not call itself simulated",
        &|trust| {
            *trust = shop.intel_trust_with(|_, ca| {
                ca.subject = name("CN=Intel SGX PCK Platform CA,O=Intel Corporation")
            });
        },
    );
    network("the network's authority is another simulator's", &|trust| {
        if let Some(root) = &mut trust.simulator {
            root.pck_ca = shop.foreign_root().pck_ca;
        }
    });
    network("the network's Intel root is another simulator's", &|trust| {
        if let Some(root) = &mut trust.simulator {
            root.intel_root = shop.foreign_root().intel_root;
        }
    });
    network("the network's Intel root is AMD's", &|trust| {
        if let Some(root) = &mut trust.simulator {
            root.intel_root = root.ark.clone();
        }
    });
    network("the network's authority is followed by a byte", &|trust| {
        if let Some(root) = &mut trust.simulator {
            root.pck_ca.push(0);
        }
    });
}

/// A machine whose certificate says something else, in the place of the honest one.
pub(super) fn machine_with(draft: &mut TdDraft<'_>, change: impl FnOnce(&mut SimulatedPck)) {
    let machine = draft
        .shop
        .authority()
        .issue_td_with([1; 32], NOW_MS, change)
        .expect("a machine");
    draft.leaf = parse(machine.leaf()).tbs_certificate;
    draft.machine = TdMachine::new(machine);
}

//! Defects of documents that somebody brings to a ledger: unreadable, out of time, older than what is held, rolled back,
//! or on the wrong network.

use tacit_attest::{
    Collateral, CollateralUpdate, Document, Fmspc, Generation, NetworkClass, PckAuthority, SimulatedList,
    SimulatedQeIdentity, SimulatedTcbInfo, Tee,
};
use x509_cert::crl::CertificateList;
use x509_cert::der::asn1::{ObjectIdentifier, OctetString};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;

use super::workshop::{NOW_MS, SignerP256};
use super::{Attempt, Brought, Table, Workshop};

const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 24 * 60 * 60 * SECOND_MS;
const ENCODING: (&str, u8) = ("attest.collateral_encoding", 8);
const LATE: (&str, u8) = ("attest.collateral_expired", 8);
const EARLY: (&str, u8) = ("attest.collateral_not_yet_valid", 8);
const LONG: (&str, u8) = ("attest.evidence_too_long", 1);

impl Table {
    /// Adds a defect of a document that is brought to a ledger that holds none.
    pub(super) fn bring(
        &mut self,
        shop: &Workshop,
        what: &str,
        expected: (&'static str, u8),
        update: CollateralUpdate,
    ) {
        self.bring_to(shop, what, expected, Collateral::new(), update);
    }

    /// The same to a ledger that holds something.
    pub(super) fn bring_to(
        &mut self,
        shop: &Workshop,
        what: &str,
        expected: (&'static str, u8),
        held: Collateral,
        update: CollateralUpdate,
    ) {
        let brought = Brought {
            held,
            update,
            trust: shop.trust(),
            now_ms: NOW_MS,
        };
        let name = format!("brought: {what}");
        self.push(
            "collateral update",
            name,
            expected,
            Attempt::Bring(Box::new(brought)),
        );
    }
}

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    honest(table, shop);
    unreadable(table, shop);
    untimely(table, shop);
    backwards(table, shop);
    misplaced(table, shop);
}

/// Every honest document, to a ledger that holds none and to one that holds yesterday's.
fn honest(table: &mut Table, shop: &Workshop) {
    let authority = shop.authority();
    let mut updates = authority.collateral(NOW_MS).expect("documents");
    updates.push(
        authority
            .amd_list(Generation::Genoa, &SimulatedList::new(NOW_MS))
            .expect("a list"),
    );
    for (number, update) in updates.into_iter().enumerate() {
        for held in [Collateral::new(), shop.collateral_of(NOW_MS - DAY_MS)] {
            let full = if held.is_empty() { "first" } else { "newer" };
            let brought = Brought {
                held,
                update: update.clone(),
                trust: shop.trust(),
                now_ms: NOW_MS,
            };
            let name = format!("brought: document {number}, {full}");
            table.base(&name, || Attempt::Bring(Box::new(brought)));
        }
    }
}

fn info_json() -> String {
    SimulatedTcbInfo::new(Tee::Tdx, NOW_MS)
        .to_json()
        .expect("a TCB info")
}

fn identity_json() -> String {
    SimulatedQeIdentity::new(Tee::Tdx, NOW_MS)
        .to_json()
        .expect("a QE identity")
}

fn simulated(document: Document) -> CollateralUpdate {
    CollateralUpdate {
        simulated: true,
        document,
    }
}

fn unreadable(table: &mut Table, shop: &Workshop) {
    let signed = |body: String| shop.authority().sign_body(body).expect("a signature");
    let mut info = |what: &str, body: String| {
        let document = Document::TcbInfo(signed(body));
        table.bring(
            shop,
            &format!("the TCB info {what}"),
            ENCODING,
            simulated(document),
        );
    };
    let with = |json: String, from: &str, to: &str| {
        assert!(json.contains(from), "{from} is in {json}");
        json.replace(from, to)
    };
    let but = |from: &str, to: &str| with(info_json(), from, to);
    info("is no JSON", "{".to_owned());
    info("is empty", String::new());
    info("is a QE identity", identity_json());
    info("is followed by a second one", info_json() + &info_json());
    info("is of version 2", but("\"version\":3", "\"version\":2"));
    info("is of another type", but("\"tcbType\":0", "\"tcbType\":1"));
    info("is of an unknown TEE", but("\"id\":\"TDX\"", "\"id\":\"TDY\""));
    info(
        "names no readable date",
        but("\"issueDate\":\"", "\"issueDate\":\"x"),
    );
    info(
        "names a status that does not exist",
        but("\"UpToDate\"", "\"Fine\""),
    );
    info("lacks the TDX module", but("\"tdxModule\":", "\"tdxModulo\":"));
    info(
        "names an FMSPC of seven bytes",
        but("\"fmspc\":\"", "\"fmspc\":\"00"),
    );
    info(
        "names a PCE id of one byte",
        but("\"pceId\":\"0000\"", "\"pceId\":\"00\""),
    );
    info("has an SVN above 255", but("\"svn\":3", "\"svn\":300"));
    info(
        "has a negative evaluation number",
        but("DataNumber\":20", "DataNumber\":-1"),
    );
    info(
        "has a field twice",
        but("\"version\":3", "\"version\":3,\"version\":3"),
    );
    info("ends before it begins", {
        let info = SimulatedTcbInfo {
            next_update_ms: NOW_MS - 2 * DAY_MS,
            ..SimulatedTcbInfo::new(Tee::Tdx, NOW_MS)
        };
        info.to_json().expect("a TCB info")
    });
    let mut identity = |what: &str, body: String| {
        let document = Document::QeIdentity(signed(body));
        table.bring(
            shop,
            &format!("the QE identity {what}"),
            ENCODING,
            simulated(document),
        );
    };
    let but = |from: &str, to: &str| with(identity_json(), from, to);
    identity("is a TCB info", info_json());
    identity("is of version 1", but("\"version\":2", "\"version\":1"));
    identity(
        "is of an unknown enclave",
        but("\"id\":\"TD_QE\"", "\"id\":\"TD_QQ\""),
    );
    identity("is cut off", identity_json().split_at(200).0.to_owned());

    let mut list = |what: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut update = shop
            .authority()
            .pck_list(&SimulatedList::new(NOW_MS))
            .expect("a list");
        if let Document::IntelPckCrl { list, .. } = &mut update.document {
            change(list);
        }
        table.bring(shop, &format!("the authority's list {what}"), ENCODING, update);
    };
    list("is empty", &Vec::clear);
    list("is followed by a byte", &|list| list.push(0));
    list("is cut off", &|list| {
        list.pop();
    });
    list("takes one byte more for its length than it needs", &|list| {
        list[1] = 0x82;
        list.insert(2, 0);
    });
    list("is a certificate", &|list| {
        *list = shop.trust().simulator.expect("a simulator").pck_ca
    });
    let resigned = |list: &mut Vec<u8>, change: &dyn Fn(&mut CertificateList)| {
        let mut parsed = CertificateList::from_der(list).expect("an honest list");
        change(&mut parsed);
        parsed.signature = shop.sign_x509(&parsed.tbs_cert_list, SignerP256::Authority);
        *list = parsed.to_der().expect("a list encodes");
    };
    list("has no end", &|list| {
        resigned(list, &|l| l.tbs_cert_list.next_update = None)
    });
    list("is a delta", &|list| {
        resigned(list, &|l| {
            l.tbs_cert_list
                .crl_extensions
                .get_or_insert_default()
                .push(Extension {
                    extn_id: ObjectIdentifier::new_unwrap("2.5.29.27"),
                    critical: true,
                    extn_value: OctetString::new(&[2, 1, 1][..]).expect("an octet string"),
                });
        });
    });
    list("has another outer algorithm", &|list| {
        resigned(list, &|l| {
            l.signature_algorithm.oid = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
        });
    });

    let long = "x".repeat(64 * 1024 + 1);
    let document = Document::TcbInfo(signed(long.clone()));
    table.bring(shop, "the TCB info is above its bound", LONG, simulated(document));
    let mut big = signed(info_json());
    big.signer = vec![0; 4 * 1024 + 1];
    table.bring(
        shop,
        "the TCB info's signer is above its bound",
        LONG,
        simulated(Document::TcbInfo(big)),
    );
    let document = Document::IntelRootCrl(long.into_bytes());
    table.bring(
        shop,
        "Intel's root list is above its bound",
        LONG,
        simulated(document),
    );
}

fn untimely(table: &mut Table, shop: &Workshop) {
    let authority = shop.authority();
    for (what, expected, issued_ms, next_update_ms) in [
        ("ended one second ago", LATE, NOW_MS - DAY_MS, NOW_MS - SECOND_MS),
        (
            "begins one second later",
            EARLY,
            NOW_MS + SECOND_MS,
            NOW_MS + DAY_MS,
        ),
    ] {
        let list = SimulatedList {
            issued_ms,
            next_update_ms,
            ..SimulatedList::new(NOW_MS)
        };
        let info = SimulatedTcbInfo {
            issued_ms,
            next_update_ms,
            ..SimulatedTcbInfo::new(Tee::Tdx, NOW_MS)
        };
        let identity = SimulatedQeIdentity {
            issued_ms,
            next_update_ms,
            ..SimulatedQeIdentity::new(Tee::Tdx, NOW_MS)
        };
        for (name, update) in [
            ("the TCB info", authority.tcb_info(&info)),
            ("the QE identity", authority.qe_identity(&identity)),
            ("Intel's root list", authority.intel_root_list(&list)),
            ("the authority's list", authority.pck_list(&list)),
            ("AMD's list", authority.amd_list(Generation::Turin, &list)),
        ] {
            table.bring(
                shop,
                &format!("{name} {what}"),
                expected,
                update.expect("a document"),
            );
        }
    }
}

fn backwards(table: &mut Table, shop: &Workshop) {
    const NOT_NEWER: (&str, u8) = ("attest.collateral_not_newer", 8);
    const NUMBER: (&str, u8) = ("attest.collateral_number", 8);
    const ROLLED_BACK: (&str, u8) = ("attest.collateral_rolled_back", 8);
    let authority = shop.authority();
    let held = || shop.collateral();
    for (number, update) in authority
        .collateral(NOW_MS)
        .expect("documents")
        .into_iter()
        .enumerate()
    {
        let what = format!("document {number} is held already");
        table.bring_to(shop, &what, NOT_NEWER, held(), update);
    }
    let older = authority.collateral(NOW_MS - SECOND_MS).expect("documents");
    for (number, update) in older.into_iter().enumerate() {
        let what = format!("document {number} is one second older than the one held");
        table.bring_to(shop, &what, NOT_NEWER, held(), update);
    }
    let newer = |number| SimulatedList {
        number,
        issued_ms: NOW_MS,
        ..SimulatedList::new(NOW_MS)
    };
    let mut before = Collateral::new();
    let seven = SimulatedList {
        number: 7,
        ..SimulatedList::new(NOW_MS)
    };
    for update in [authority.pck_list(&seven), authority.intel_root_list(&seven)] {
        before
            .apply(update.expect("a list"), &shop.trust(), NOW_MS)
            .expect("an honest list");
    }
    for (name, update) in [
        ("the authority's list", authority.pck_list(&newer(6))),
        ("Intel's root list", authority.intel_root_list(&newer(6))),
    ] {
        let what = format!("{name} is newer by date and older by number");
        table.bring_to(shop, &what, NUMBER, before.clone(), update.expect("a list"));
    }
    let info = SimulatedTcbInfo {
        evaluation: 19,
        issued_ms: NOW_MS,
        ..SimulatedTcbInfo::new(Tee::Tdx, NOW_MS)
    };
    let update = authority.tcb_info(&info).expect("a TCB info");
    table.bring_to(
        shop,
        "the TCB info is of an earlier evaluation number",
        ROLLED_BACK,
        held(),
        update,
    );
    let identity = SimulatedQeIdentity {
        evaluation: 19,
        issued_ms: NOW_MS,
        ..SimulatedQeIdentity::new(Tee::Tdx, NOW_MS)
    };
    let update = authority.qe_identity(&identity).expect("a QE identity");
    table.bring_to(
        shop,
        "the QE identity is of an earlier evaluation number",
        ROLLED_BACK,
        held(),
        update,
    );

    let mut full = Collateral::new();
    let machines = |n: u8| SimulatedTcbInfo {
        fmspc: Fmspc([n; 6]),
        ..SimulatedTcbInfo::new(Tee::Tdx, NOW_MS)
    };
    let mut update = None;
    for n in 0..=u8::MAX {
        let next = authority.tcb_info(&machines(n)).expect("a TCB info");
        if full.apply(next.clone(), &shop.trust(), NOW_MS).is_err() {
            update = Some(next);
            break;
        }
    }
    let update = update.expect("what is held is bounded");
    table.bring_to(
        shop,
        "no place is left",
        ("attest.collateral_full", 8),
        full,
        update,
    );
}

fn misplaced(table: &mut Table, shop: &Workshop) {
    const SIGNATURE: (&str, u8) = ("attest.collateral_signature", 8);
    let authority = shop.authority();
    let list = SimulatedList::new(NOW_MS);
    let pck = |authority, update: CollateralUpdate| match update.document {
        Document::IntelRootCrl(list) | Document::IntelPckCrl { list, .. } => {
            simulated(Document::IntelPckCrl { authority, list })
        }
        other => simulated(other),
    };
    let root = authority.intel_root_list(&list).expect("a list");
    let own = authority.pck_list(&list).expect("a list");
    table.bring(
        shop,
        "the root's list as the authority's",
        SIGNATURE,
        pck(PckAuthority::Platform, root),
    );
    table.bring(
        shop,
        "the authority's list as the other authority's",
        SIGNATURE,
        pck(PckAuthority::Processor, own.clone()),
    );
    if let Document::IntelPckCrl { list, .. } = own.document {
        table.bring(
            shop,
            "the authority's list as the root's",
            SIGNATURE,
            simulated(Document::IntelRootCrl(list.clone())),
        );
        let generation = Generation::Genoa;
        table.bring(
            shop,
            "the authority's list as AMD's",
            SIGNATURE,
            simulated(Document::AmdCrl { generation, list }),
        );
    }
    let foreign = shop.foreign().pck_list(&list).expect("a list");
    table.bring(
        shop,
        "the authority's list of another simulator",
        SIGNATURE,
        foreign,
    );
    let foreign = shop.foreign().amd_list(Generation::Milan, &list).expect("a list");
    table.bring(shop, "AMD's list of another simulator", SIGNATURE, foreign);

    for update in authority
        .collateral(NOW_MS)
        .expect("documents")
        .into_iter()
        .take(3)
        .skip(1)
    {
        let expected = match update.document {
            Document::TcbInfo(_) => ("attest.collateral_signer", 8),
            _ => SIGNATURE,
        };
        let name = match update.document {
            Document::TcbInfo(_) => "a simulated TCB info as Intel's",
            _ => "a simulated list as Intel's",
        };
        let real = CollateralUpdate {
            simulated: false,
            ..update
        };
        table.bring(shop, name, expected, real);
    }
    const FORBIDDEN: (&str, u8) = ("attest.simulator_forbidden", 0);
    for class in [NetworkClass::Production, NetworkClass::Test] {
        let brought = Brought {
            held: Collateral::new(),
            update: authority.pck_list(&list).expect("a list"),
            trust: tacit_attest::TrustRoots {
                class,
                simulator: None,
            },
            now_ms: NOW_MS,
        };
        let name = format!("brought: a simulated list on a network of class {class}");
        table.push(
            "collateral update",
            name,
            FORBIDDEN,
            Attempt::Bring(Box::new(brought)),
        );
    }
}

//! Genuine Intel quotes with one thing wrong: what travels with them, what they are called, what they are held against.
//! Nobody here can sign for Intel, so these are the defects that need no signature.

use std::sync::LazyLock;

use tacit_attest::{
    Collateral, Evidence, NetworkClass, Platform, Policy, Quote, TcbStatus, TrustRoots, Verified, verify,
};

use super::{Attempt, Brought, Case, Table, Workshop};

/// A sample of the crate `dcap-qvl`.
struct Sample {
    name: &'static str,
    raw: &'static [u8],
    collateral: &'static str,
    /// Inside every window.
    now_ms: u64,
}

macro_rules! sample {
    ($name:literal, $file:literal, $now_ms:literal) => {
        Sample {
            name: $name,
            raw: include_bytes!(concat!("../../../attest/tests/fixtures/dcap-qvl/", $file)),
            collateral: include_str!(concat!(
                "../../../attest/tests/fixtures/dcap-qvl/",
                $file,
                "_collateral.json"
            )),
            now_ms: $now_ms,
        }
    };
}

const SGX: Sample = sample!("real sgx v3", "sgx_quote", 1_751_624_924_000);
const TDX_V4: Sample = sample!("real tdx v4", "tdx_quote", 1_751_624_191_000);
const TDX_V5_OLD: Sample = sample!("real tdx v5 outdated", "tdx_quote_outdated", 1_772_707_803_000);
const TDX_V5: Sample = sample!("real tdx v5 extended", "tdx_quote_td15ex", 1_792_454_400_000);

fn production() -> TrustRoots {
    TrustRoots {
        class: NetworkClass::Production,
        simulator: None,
    }
}

impl Sample {
    fn evidence(&self) -> Evidence {
        Evidence::from_quote(self.raw).expect("a genuine quote")
    }

    /// With its certificates inside, and nothing behind it.
    fn whole(&self) -> Quote {
        let bytes = self.evidence().to_quote().expect("a genuine quote");
        Quote::parse(&bytes).expect("a genuine quote")
    }

    fn held(&self) -> Collateral {
        let mut held = Collateral::new();
        for update in Collateral::from_qvl_json(self.collateral).expect("a collateral file") {
            held.apply(update, &production(), self.now_ms)
                .expect("a genuine document");
        }
        held
    }

    fn case(&self) -> Case {
        Case {
            evidence: self.evidence(),
            trust: production(),
            collateral: self.held(),
            policy: None,
            binding: None,
            now_ms: self.now_ms,
        }
    }

    fn verified(&self) -> Verified {
        let case = self.case();
        verify(
            &case.evidence,
            &case.trust,
            &case.collateral,
            None,
            None,
            case.now_ms,
        )
        .expect("authentic")
    }
}

/// A policy that admits the SGX sample but for its code.
static SGX_POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let verified = SGX.verified();
    let facts = verified.facts.intel().expect("facts of Intel's");
    let mut policy = Policy::production();
    policy.platforms = vec![Platform::Sgx];
    policy.sgx.types = vec![facts.sgx_type];
    policy.sgx.machine.evaluation_min = facts.evaluation;
    policy.sgx.machine.statuses = vec![facts.tcb_status];
    policy.sgx.machine.advisories = facts.advisories.clone();
    policy
});

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    evidence(table, shop);
    enclave(table);
    policies(table);
    times(table);
    quotes(table);
    kinds(table, shop);
    documents(table, shop);
}

fn row(
    table: &mut Table,
    topic: &'static str,
    sample: &Sample,
    what: &str,
    expected: (&'static str, u8),
    change: impl FnOnce(&mut Case),
) {
    let mut case = sample.case();
    table.base(sample.name, || Attempt::Verify(Box::new(case.clone())));
    change(&mut case);
    table.push(
        topic,
        format!("{}: {what}", sample.name),
        expected,
        Attempt::Verify(Box::new(case)),
    );
}

fn evidence(table: &mut Table, shop: &Workshop) {
    const MARK: (&str, u8) = ("attest.simulator_mark", 2);
    const PLATFORM: (&str, u8) = ("attest.quote_platform", 2);
    const SIGNATURE: (&str, u8) = ("attest.quote_signature", 7);
    row(
        table,
        "real for simulated",
        &TDX_V4,
        "it calls itself simulated",
        MARK,
        |case| {
            (case.evidence.platform, case.trust) = (Platform::SimulatedTdx, shop.trust());
        },
    );
    row(
        table,
        "real for simulated",
        &SGX,
        "it calls itself simulated TDX",
        PLATFORM,
        |case| {
            (case.evidence.platform, case.trust) = (Platform::SimulatedTdx, shop.trust());
        },
    );
    let forbidden = ("attest.simulator_forbidden", 0);
    row(
        table,
        "real for simulated",
        &TDX_V5,
        "it calls itself simulated on a production network",
        forbidden,
        |case| {
            case.evidence.platform = Platform::SimulatedTdx;
        },
    );
    row(
        table,
        "platform confusion",
        &TDX_V4,
        "it calls itself SGX",
        PLATFORM,
        |case| {
            case.evidence.platform = Platform::Sgx;
        },
    );
    row(
        table,
        "platform confusion",
        &SGX,
        "it calls itself TDX",
        PLATFORM,
        |case| {
            case.evidence.platform = Platform::Tdx;
        },
    );
    let length = ("attest.report_length", 1);
    row(
        table,
        "platform confusion",
        &TDX_V5,
        "it calls itself SEV-SNP",
        length,
        |case| {
            case.evidence.platform = Platform::SevSnp;
        },
    );
    let enclave = ("attest.qe_report_signature", 7);
    row(
        table,
        "chip id",
        &TDX_V5,
        "its leaf is another machine's",
        enclave,
        |case| {
            case.evidence.leaf = TDX_V4.evidence().leaf;
        },
    );
    row(
        table,
        "signature",
        &TDX_V4,
        "its MRTD has one bit wrong",
        SIGNATURE,
        |case| {
            case.evidence.report[48 + 136] ^= 1;
        },
    );
    row(
        table,
        "signature",
        &TDX_V5,
        "its report data has one bit wrong",
        SIGNATURE,
        |case| {
            case.evidence.report[54 + 520 + 63] ^= 1;
        },
    );
    row(
        table,
        "signature",
        &SGX,
        "its MRENCLAVE has one bit wrong",
        SIGNATURE,
        |case| {
            case.evidence.report[48 + 64] ^= 1;
        },
    );
    let leaf = ("attest.leaf_encoding", 4);
    row(
        table,
        "trailing bytes",
        &TDX_V5,
        "its whole chain is in the place of the leaf",
        leaf,
        |case| {
            case.evidence.leaf = TDX_V5.whole().certificates;
        },
    );
    let listed = ("attest.tcb_not_listed", 5);
    let case = TDX_V5_OLD.case();
    let name = format!("{}: no level of Intel's fits it", TDX_V5_OLD.name);
    table.push("TCB", name, listed, Attempt::Verify(Box::new(case)));
}

/// Check 2 comes before any signature, so what it refuses can be shown without one.
fn enclave(table: &mut Table) {
    /// Where the enclave's attributes begin.
    const ATTRIBUTES: usize = 48 + 48;
    let mut says = |what: &str, code: &'static str, number, change: fn(&mut [u8])| {
        row(table, "report fields", &SGX, what, (code, number), |case| {
            change(&mut case.evidence.report)
        });
    };
    says("its host may debug it", "attest.enclave_debug", 2, |q| {
        q[ATTRIBUTES] |= 2
    });
    says(
        "a reserved bit of its attributes is set",
        "attest.enclave_attributes",
        2,
        |q| q[ATTRIBUTES] |= 8,
    );
    says("it is not initialised", "attest.enclave_attributes", 2, |q| {
        q[ATTRIBUTES] &= !1
    });
    says(
        "its MISCSELECT has an unknown bit",
        "attest.quote_reserved",
        1,
        |q| q[48 + 16 + 3] |= 0x80,
    );
    says("it has a configuration id", "attest.quote_reserved", 1, |q| {
        q[48 + 192] = 1
    });
    says("its version is TDX's", "attest.quote_tee", 2, |q| q[0] = 4);
    says("its TEE is TDX", "attest.quote_tee", 2, |q| q[4] = 0x81);
}

fn policies(table: &mut Table) {
    let mut judged = |sample: &Sample, what: &str, code: &'static str, number, policy: Policy| {
        row(table, "policy", sample, what, (code, number), |case| {
            case.policy = Some(policy)
        });
    };
    let production = Policy::production;
    judged(
        &SGX,
        "a production policy judges it",
        "attest.platform_not_allowed",
        9,
        production(),
    );
    judged(
        &TDX_V4,
        "a production policy judges it",
        "attest.evaluation_too_low",
        10,
        production(),
    );
    judged(
        &TDX_V5,
        "a production policy judges it",
        "attest.measurement_unknown",
        11,
        production(),
    );
    let with = |change: fn(&mut Policy)| {
        let mut policy = SGX_POLICY.clone();
        change(&mut policy);
        policy
    };
    judged(
        &SGX,
        "its code is not listed",
        "attest.measurement_unknown",
        11,
        with(|_| ()),
    );
    judged(
        &SGX,
        "its type is not listed",
        "attest.sgx_type_not_allowed",
        9,
        with(|policy| policy.sgx.types = vec![2]),
    );
    judged(
        &SGX,
        "its security version is too low",
        "attest.isv_svn_too_low",
        10,
        with(|policy| {
            policy.sgx.isv_svn_min = u16::MAX;
        }),
    );
    judged(
        &SGX,
        "its status is not listed",
        "attest.tcb_status_not_allowed",
        10,
        with(|policy| {
            policy.sgx.machine.statuses = vec![TcbStatus::UpToDate];
        }),
    );
    judged(
        &SGX,
        "an advisory is open on it",
        "attest.advisory_open",
        10,
        with(|policy| {
            policy.sgx.machine.advisories.pop();
        }),
    );
    judged(
        &SGX,
        "the policy denies its kind of machine",
        "attest.fmspc_denied",
        9,
        with(|policy| {
            policy.sgx.machine.fmspc_denied = vec![tacit_attest::Fmspc([0, 0xa0, 0x67, 0x11, 0, 0])];
        }),
    );
    let strict = |change: fn(&mut Policy)| {
        let mut policy = Policy::production();
        change(&mut policy);
        policy
    };
    judged(
        &TDX_V5,
        "packages may be added to it",
        "attest.machine_not_allowed",
        9,
        strict(|policy| {
            policy.tdx.machine.dynamic_platform = false;
        }),
    );
    judged(
        &TDX_V5,
        "version 4 alone is listed",
        "attest.quote_version_not_allowed",
        9,
        strict(|policy| {
            policy.tdx.quote_versions = vec![4];
        }),
    );
}

fn times(table: &mut Table) {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    const LATE: (&str, u8) = ("attest.collateral_expired", 8);
    const EARLY: (&str, u8) = ("attest.collateral_not_yet_valid", 8);
    const MISSING: (&str, u8) = ("attest.collateral_missing", 8);
    for sample in [&SGX, &TDX_V4, &TDX_V5] {
        row(
            table,
            "collateral",
            sample,
            "its documents are of last month",
            LATE,
            |case| {
                case.now_ms += 40 * DAY_MS;
            },
        );
        row(
            table,
            "collateral",
            sample,
            "its documents are of next month",
            EARLY,
            |case| {
                case.now_ms -= 40 * DAY_MS;
            },
        );
        row(table, "collateral", sample, "nothing is held", MISSING, |case| {
            case.collateral = Collateral::new();
        });
    }
    row(
        table,
        "collateral",
        &TDX_V4,
        "another kind of machine's documents are held",
        MISSING,
        |case| {
            case.collateral = SGX.held();
        },
    );
    row(
        table,
        "validity",
        &TDX_V5,
        "its leaf has ended",
        ("attest.leaf_expired", 4),
        |case| {
            case.now_ms += 20 * 365 * DAY_MS;
        },
    );
    row(
        table,
        "validity",
        &TDX_V5,
        "its leaf has not begun",
        ("attest.leaf_not_yet_valid", 4),
        |case| {
            case.now_ms -= 20 * 365 * DAY_MS;
        },
    );
}

/// What a machine, a tool or a liar hands over as "the quote".
fn quotes(table: &mut Table) {
    const CHAIN: (&str, u8) = ("attest.certification_chain", 1);
    for sample in [&SGX, &TDX_V4, &TDX_V5_OLD, &TDX_V5] {
        let name = format!("{}: as a machine gives it", sample.name);
        table.base(&name, || Attempt::Quote(sample.raw.to_vec()));
    }
    let mut chained = |sample: &Sample, what: &str, change: &dyn Fn(String) -> String| {
        let mut quote = sample.whole();
        let text = String::from_utf8(quote.certificates).expect("PEM");
        quote.certificates = change(text).into_bytes();
        let name = format!("{}: {what}", sample.name);
        table.push(
            "certificates in the quote",
            name,
            CHAIN,
            Attempt::Quote(quote.to_bytes()),
        );
    };
    let certificates = |text: &str| -> Vec<String> {
        let ends = text.split_inclusive("-----END CERTIFICATE-----\n");
        ends.map(str::to_owned).collect()
    };
    chained(&TDX_V4, "they have Windows' line ends", &|text| {
        text.replace('\n', "\r\n")
    });
    chained(&TDX_V5, "they have lines of 76", &|text| {
        let lines = |pem: &String| {
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            let rows: Vec<_> = body.as_bytes().chunks(76).map(String::from_utf8_lossy).collect();
            format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                rows.join("\n")
            )
        };
        certificates(&text).iter().map(lines).collect()
    });
    chained(&SGX, "an empty line is between them", &|text| {
        certificates(&text).join("\n")
    });
    chained(&TDX_V4, "the root is left out", &|text| {
        certificates(&text)[..2].concat()
    });
    chained(&TDX_V4, "only the leaf is there", &|text| {
        certificates(&text)[..1].concat()
    });
    chained(&TDX_V5, "the root is there twice", &|text| {
        text.clone() + &certificates(&text)[2]
    });
    chained(&TDX_V5, "authority and root are exchanged", &|text| {
        let list = certificates(&text);
        [&list[0], &list[2], &list[1]].map(String::as_str).concat()
    });
    chained(&SGX, "the root is replaced by the leaf", &|text| {
        let list = certificates(&text);
        [&list[0], &list[1], &list[0]].map(String::as_str).concat()
    });
    chained(&SGX, "the authority is that of other machines", &|text| {
        let other = String::from_utf8(TDX_V4.whole().certificates).expect("PEM");
        let (list, other) = (certificates(&text), certificates(&other));
        [&list[0], &other[1], &list[2]].map(String::as_str).concat()
    });
    chained(&TDX_V4, "a remark stands before them", &|text| {
        format!("a genuine machine\n{text}")
    });
    chained(&TDX_V4, "a remark stands after them", &|text| {
        text + "a genuine machine\n"
    });
    chained(&TDX_V5, "two zero bytes follow them", &|text| text + "\0\0");
    chained(&TDX_V5, "they are absent", &|_| String::new());
    chained(&TDX_V5, "they are called trusted certificates", &|text| {
        text.replace("BEGIN CERTIFICATE", "BEGIN TRUSTED CERTIFICATE")
    });

    let mut raw = |sample: &Sample, topic, what: &str, expected, change: fn(&mut Vec<u8>)| {
        let mut bytes = sample.whole().to_bytes();
        change(&mut bytes);
        let name = format!("{}: {what}", sample.name);
        table.push(topic, name, expected, Attempt::Quote(bytes));
    };
    let trailing = ("attest.quote_trailing", 1);
    raw(&TDX_V4, "trailing bytes", "a byte follows it", trailing, |q| {
        q.push(1)
    });
    raw(
        &SGX,
        "trailing bytes",
        "its padding ends in a byte",
        trailing,
        |q| q.extend([0, 0, 0, 7]),
    );
    raw(
        &TDX_V5,
        "trailing bytes",
        "a second quote follows it",
        trailing,
        |q| {
            q.extend_from_within(..);
        },
    );
    let cut = ("attest.quote_truncated", 1);
    raw(&TDX_V4, "truncation", "it lacks its last byte", cut, |q| {
        q.pop();
    });
    raw(&SGX, "truncation", "it is cut in its header", cut, |q| {
        q.truncate(20)
    });
    raw(&TDX_V5, "truncation", "nothing is left of it", cut, Vec::clear);
    raw(
        &TDX_V4,
        "report fields",
        "its version is from the future",
        ("attest.quote_version", 2),
        |q| q[0] = 6,
    );
}

/// Bytes whose kind is told by themselves.
fn kinds(table: &mut Table, shop: &Workshop) {
    let report = super::SnpDraft::honest(shop, tacit_attest::Generation::Genoa, 3)
        .finish()
        .evidence;
    let quote = TDX_V4.raw.to_vec();
    table.base("any: a report and its leaf", || {
        Attempt::Detect(report.report.clone(), Some(report.leaf.clone()))
    });
    table.base("any: a quote", || Attempt::Detect(quote.clone(), None));
    let mut told = |topic, what: &str, expected, bytes: Vec<u8>, leaf: Option<Vec<u8>>| {
        table.push(
            topic,
            format!("any: {what}"),
            expected,
            Attempt::Detect(bytes, leaf),
        );
    };
    let leaf = Some(report.leaf.clone());
    told(
        "kind of leaf",
        "a report without its leaf",
        ("attest.leaf_missing", 1),
        report.report.clone(),
        None,
    );
    told(
        "kind of leaf",
        "a quote with a leaf",
        ("attest.leaf_unwanted", 1),
        quote.clone(),
        leaf.clone(),
    );
    told(
        "truncation",
        "a report without its last byte",
        ("attest.leaf_unwanted", 1),
        report.report[1..].to_vec(),
        leaf,
    );
    told(
        "truncation",
        "nothing",
        ("attest.quote_truncated", 1),
        Vec::new(),
        None,
    );
    told(
        "trailing bytes",
        "a report with a byte behind it",
        ("attest.quote_truncated", 1),
        {
            let mut bytes = report.report.clone();
            bytes.push(0);
            bytes
        },
        None,
    );
    told(
        "trailing bytes",
        "a report with a leaf above its bound",
        ("attest.evidence_too_long", 1),
        report.report,
        Some(vec![0; 4097]),
    );
    told(
        "trailing bytes",
        "a quote padded above its bound",
        ("attest.evidence_too_long", 1),
        {
            let mut bytes = quote;
            bytes.resize(16 * 1024 + 1, 0);
            bytes
        },
        None,
    );
}

/// Intel's own documents, brought wrongly.
fn documents(table: &mut Table, shop: &Workshop) {
    const TOPIC: &str = "collateral update";
    const NAMES: [&str; 4] = [
        "Intel's root list",
        "Intel's machine list",
        "Intel's TCB info",
        "Intel's QE identity",
    ];
    let updates = Collateral::from_qvl_json(TDX_V5.collateral).expect("a collateral file");
    for (name, update) in NAMES.into_iter().zip(updates) {
        let mut bring = |what: &str, expected, change: &dyn Fn(&mut Brought)| {
            let mut brought = Brought {
                held: Collateral::new(),
                update: update.clone(),
                trust: production(),
                now_ms: TDX_V5.now_ms,
            };
            table.base(&format!("brought: {name}"), || {
                Attempt::Bring(Box::new(brought.clone()))
            });
            change(&mut brought);
            let name = format!("brought: {name} {what}");
            table.push(TOPIC, name, expected, Attempt::Bring(Box::new(brought)));
        };
        let list = name.ends_with("list");
        let unsigned = if list {
            "attest.collateral_signature"
        } else {
            "attest.collateral_signer"
        };
        bring("as a simulator's", (unsigned, 8), &|brought| {
            (brought.update.simulated, brought.trust) = (true, shop.trust());
        });
        bring("a year later", ("attest.collateral_expired", 8), &|brought| {
            brought.now_ms += 366 * 86_400_000
        });
        bring(
            "with a bit of its signature wrong",
            ("attest.collateral_signature", 8),
            &|brought| {
                use tacit_attest::Document;
                match &mut brought.update.document {
                    Document::TcbInfo(signed) | Document::QeIdentity(signed) => signed.signature[40] ^= 1,
                    Document::IntelRootCrl(list) | Document::IntelPckCrl { list, .. } => {
                        if let Some(last) = list.last_mut() {
                            *last ^= 1;
                        }
                    }
                    Document::AmdCrl { .. } => {}
                }
            },
        );
    }
}

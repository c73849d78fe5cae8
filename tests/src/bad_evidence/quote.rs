//! Defects of a TDX quote: layout, header, the domain's attributes, signatures, and what it commits to.

use tacit_attest::{Evidence, Measurement, Platform, Quote, td_attributes};

use super::td::Layout::{V4, V5, V5Extended};
use super::td::{Layout, TdDraft};
use super::{Table, Workshop};

/// Where the signature data's length stands: behind header and body.
const DATA_LEN_AT: [usize; 2] = [48 + 584, 54 + 648];

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    layout(table, shop);
    header(table, shop);
    attributes(table, shop);
    signatures(table, shop);
    commitment(table, shop);
}

fn layout(table: &mut Table, shop: &Workshop) {
    const CUT: (&str, u8) = ("attest.quote_truncated", 1);
    const LENGTH: (&str, u8) = ("attest.quote_length", 1);
    const RESERVED: (&str, u8) = ("attest.quote_reserved", 1);
    let mut late = |topic, layout, what: &str, expected, change: fn(&mut Vec<u8>)| {
        table.td(shop, topic, layout, what, expected, |d| {
            d.afterwards(move |e| change(&mut e.report))
        });
    };
    late("truncation", V4, "the quote is empty", CUT, Vec::clear);
    late("truncation", V4, "the quote is cut in its header", CUT, |q| {
        q.truncate(40)
    });
    late("truncation", V5, "the quote is cut in its body", CUT, |q| {
        q.truncate(300)
    });
    late(
        "truncation",
        V4,
        "the quote ends before its signature data",
        CUT,
        |q| q.truncate(DATA_LEN_AT[0]),
    );
    late("truncation", V5, "the quote lacks its last byte", LENGTH, |q| {
        q.pop();
    });
    late(
        "trailing bytes",
        V4,
        "a zero byte follows the quote",
        LENGTH,
        |q| q.push(0),
    );
    late(
        "trailing bytes",
        V5,
        "the quote is padded as a cloud provider pads it",
        LENGTH,
        |q| q.resize(8000, 0),
    );
    const LONG: (&str, u8) = ("attest.evidence_too_long", 1);
    late("trailing bytes", V5, "the quote is above its bound", LONG, |q| {
        q.resize(8 * 1024 + 1, 0)
    });
    late(
        "layout",
        V4,
        "its signature data says that it is a byte longer",
        LENGTH,
        |q| q[DATA_LEN_AT[0]] += 1,
    );
    late(
        "layout",
        V5,
        "its signature data says that it is 4 GiB long",
        LENGTH,
        |q| {
            q[DATA_LEN_AT[1]..][..4].fill(0xff);
        },
    );
    late(
        "layout",
        V5,
        "its body says that it is of an unknown type",
        ("attest.quote_body_type", 2),
        |q| q[48] = 9,
    );
    late("layout", V5, "its body says that it is of TDX 1.0", LENGTH, |q| {
        q[48] = 2
    });
    late(
        "layout",
        V5,
        "its body says that it is a byte shorter",
        LENGTH,
        |q| q[50] -= 1,
    );
    // Behind signature (64) and attestation key (64).
    const KIND_AT: usize = DATA_LEN_AT[0] + 4 + 128;
    const TYPE: (&str, u8) = ("attest.certification_type", 1);
    late(
        "layout",
        V4,
        "its certification data is not a QE report",
        TYPE,
        |q| q[KIND_AT] = 5,
    );
    late(
        "layout",
        V4,
        "its certification data is a byte longer than it is",
        LENGTH,
        |q| q[KIND_AT + 2] += 1,
    );
    const QE_DATA_LEN_AT: usize = KIND_AT + 6 + 384 + 64;
    late("layout", V4, "the QE's data is shorter", LENGTH, |q| {
        q[QE_DATA_LEN_AT] = 31
    });
    const CHAIN_AT: usize = QE_DATA_LEN_AT + 2 + 32;
    late("layout", V4, "it is certified by an encrypted PPID", TYPE, |q| {
        q[CHAIN_AT] = 3
    });

    let mut quote = |what: &str, expected, change: fn(&mut Quote)| {
        table.td(shop, "layout", V5, what, expected, |d| change(&mut d.quote));
    };
    quote(
        "its certificates travel inside",
        ("attest.certification_chain", 1),
        |q| {
            q.certificates = b"-----BEGIN CERTIFICATE-----\n".to_vec();
        },
    );
    quote("the reserved part of its header is set", RESERVED, |q| {
        q.header.reserved[3] = 1
    });
    quote("a reserved byte of the QE report is set", RESERVED, |q| {
        q.qe_report.reserved2[0] = 1
    });
    quote("the QE report has a configuration id", RESERVED, |q| {
        q.qe_report.config[95] = 1
    });
    quote("the QE report has a family id", RESERVED, |q| {
        q.qe_report.family[59] = 1
    });
    quote("the QE report has an extended product id", RESERVED, |q| {
        q.qe_report.extended[27] = 1
    });
}

fn header(table: &mut Table, shop: &Workshop) {
    let mut says = |topic, layout, what: &str, expected, change: fn(&mut Quote)| {
        table.td(shop, topic, layout, what, expected, |d| change(&mut d.quote));
    };
    const VERSION: (&str, u8) = ("attest.quote_version", 2);
    says("report fields", V4, "its version is 0", VERSION, |q| {
        q.header.version = 0
    });
    says("report fields", V4, "its version is 2", VERSION, |q| {
        q.header.version = 2
    });
    says("report fields", V5, "its version is 6", VERSION, |q| {
        q.header.version = 6
    });
    says("report fields", V5, "its version is 0xffff", VERSION, |q| {
        q.header.version = u16::MAX
    });
    const TEE: (&str, u8) = ("attest.quote_tee", 2);
    says("platform confusion", V4, "its version is SGX's", TEE, |q| {
        q.header.version = 3
    });
    says("platform confusion", V4, "its TEE is SGX", TEE, |q| {
        q.header.tee_type = 0
    });
    says("platform confusion", V5, "its TEE is unknown", TEE, |q| {
        q.header.tee_type = 0x82
    });
    const KEY: (&str, u8) = ("attest.quote_key_type", 2);
    says("report fields", V4, "its attestation key is on P-384", KEY, |q| {
        q.header.key_type = 3
    });
    says("report fields", V5, "its attestation key is EPID", KEY, |q| {
        q.header.key_type = 0
    });
    says(
        "report fields",
        V5,
        "its quoting enclave is not Intel's",
        ("attest.qe_vendor", 2),
        |q| {
            q.header.qe_vendor[0] ^= 1;
        },
    );
    const MARK: (&str, u8) = ("attest.simulator_mark", 2);
    let mut claims = |topic, what: &str, expected, change: fn(&mut TdDraft<'_>)| {
        table.td(shop, topic, V5, what, expected, change);
    };
    claims(
        "simulated for real",
        "it hides the simulator's mark on a dev network",
        MARK,
        |d| {
            d.body().mr_owner_config = [0; 48];
        },
    );
    claims("simulated for real", "it calls itself real", MARK, |d| {
        d.platform = Platform::Tdx
    });
    claims("platform confusion", "it calls itself SGX", MARK, |d| {
        d.platform = Platform::Sgx;
    });
    claims(
        "platform confusion",
        "it calls itself a simulated SNP machine",
        ("attest.report_length", 1),
        |d| {
            d.platform = Platform::Simulated;
        },
    );
}

fn attributes(table: &mut Table, shop: &Workshop) {
    // Authentic, and admitted by no policy.
    for layout in [V4, V5] {
        table.td(
            shop,
            "report fields",
            layout,
            "its host may debug it",
            ("attest.td_debug", 9),
            |d| {
                d.body().td_attributes |= td_attributes::DEBUG;
            },
        );
    }
    for bit in [4, 5, 6] {
        let what = format!("its host may profile it (bit {bit})");
        table.td(shop, "report fields", V5, &what, ("attest.td_profiled", 2), |d| {
            d.body().td_attributes |= 1 << bit;
        });
    }
    let mut has = |layout, what: &str, code: &'static str, change: fn(&mut TdDraft<'_>)| {
        table.td(shop, "report fields", layout, what, (code, 2), change);
    };
    has(V4, "it may be migrated", "attest.td_migratable", |d| {
        d.body().td_attributes |= td_attributes::MIGRATABLE;
    });
    has(
        V5,
        "service domains may be bound to it",
        "attest.td_service_td",
        |d| {
            d.body().td_attributes |= td_attributes::SERVTD_EXT;
        },
    );
    has(
        V5,
        "a service domain is bound to it",
        "attest.td_service_td",
        |d| {
            if let Some(td15) = &mut d.body().td15 {
                td15.mr_service_td[47] = 1;
            }
        },
    );
    has(
        V5Extended,
        "a service domain was bound to it at creation",
        "attest.td_service_td",
        |d| {
            if let Some(extended) = d.body().td15.as_mut().and_then(|td15| td15.extended.as_mut()) {
                extended.service[155] = 1;
            }
        },
    );
    has(
        V5Extended,
        "a partition inside it asked",
        "attest.td_partition",
        |d| {
            if let Some(extended) = d.body().td15.as_mut().and_then(|td15| td15.extended.as_mut()) {
                extended.vm_id = 1;
            }
        },
    );
    has(V4, "SEPT_VE_DISABLE is clear", "attest.td_sept_ve_disable", |d| {
        d.body().td_attributes &= !td_attributes::SEPT_VE_DISABLE;
    });
    has(V5, "SEPT_VE_DISABLE is clear", "attest.td_sept_ve_disable", |d| {
        d.body().td_attributes &= !td_attributes::SEPT_VE_DISABLE;
    });
    has(
        V4,
        "a reserved bit of its attributes is set",
        "attest.td_attributes_reserved",
        |d| {
            d.body().td_attributes |= 1 << 40;
        },
    );
    has(
        V5,
        "a bit of its attributes that once meant untrusted is set",
        "attest.td_attributes_reserved",
        |d| {
            d.body().td_attributes |= 1 << 7;
        },
    );
}

fn signatures(table: &mut Table, shop: &Workshop) {
    const QUOTE: (&str, u8) = ("attest.quote_signature", 7);
    const KEY: (&str, u8) = ("attest.attestation_key", 7);
    const ENCLAVE: (&str, u8) = ("attest.qe_report_signature", 7);
    let mut after = |layout: Layout, what: &str, expected, change: fn(&mut Quote)| {
        table.td(shop, "signature", layout, what, expected, |d| {
            d.quote_afterwards(change)
        });
    };
    after(V4, "its user data changed after it was signed", QUOTE, |q| {
        q.header.user_data[0] ^= 1
    });
    after(V5, "its signature has one bit wrong", QUOTE, |q| {
        q.signature[63] ^= 1
    });
    after(V5, "its r is zero", QUOTE, |q| q.signature[..32].fill(0));
    after(V5, "its s is above the order of the group", QUOTE, |q| {
        q.signature[32..].fill(0xff)
    });
    after(V4, "its attestation key is no point of the curve", QUOTE, |q| {
        q.attestation_key[63] ^= 1
    });
    after(V4, "the QE's data changed after it was signed", KEY, |q| {
        q.qe_data[0] ^= 1
    });
    after(V4, "the QE report changed after it was signed", ENCLAVE, |q| {
        q.qe_report.isv_svn += 1
    });
    after(V5, "the QE report's signature is zero", ENCLAVE, |q| {
        q.qe_signature = [0; 64]
    });
    let mut by = |what: &str, expected, change: fn(&mut TdDraft<'_>)| {
        table.td(shop, "signature", V5, what, expected, change);
    };
    by("its body changed after it was signed", QUOTE, |d| {
        d.afterwards(|e: &mut Evidence| e.report[54 + 136] ^= 1);
    });
    by("another machine's key signed it", QUOTE, |d| {
        d.quote.attestation_key = d.machine.attestation_key();
        d.quote_signer = Some(d.shop.td(2));
    });
    by(
        "its key is one that the quoting enclave did not certify",
        KEY,
        |d| {
            // Freshly made by a liar, who lets the enclave's report commit to the true one.
            use sha2::{Digest, Sha256};
            let hash = Sha256::new_with_prefix(d.machine.attestation_key());
            let hash = hash.chain_update(d.quote.qe_data).finalize();
            d.quote.qe_report.report_data[..32].copy_from_slice(&hash);
            d.quote_signer = Some(d.shop.td(2));
        },
    );
    by("the QE report commits to more than the key", KEY, |d| {
        use sha2::{Digest, Sha256};
        let hash = Sha256::new_with_prefix(d.machine.attestation_key());
        let hash = hash.chain_update(d.quote.qe_data).finalize();
        d.quote.qe_report.report_data[..32].copy_from_slice(&hash);
        d.quote.qe_report.report_data[63] = 1;
    });
    by("another machine's key signed the QE report", ENCLAVE, |d| {
        d.enclave_signer = Some(d.shop.td(2))
    });
}

fn commitment(table: &mut Table, shop: &Workshop) {
    const DATA: (&str, u8) = ("attest.report_data", 12);
    let mut bound = |layout, what: &str, change: fn(&mut TdDraft<'_>)| {
        table.td(shop, "binding", layout, what, DATA, change);
    };
    bound(V4, "it commits to another network", |d| d.binding.network[0] ^= 1);
    bound(V5, "it commits to another consensus key", |d| {
        d.binding.consensus_key[0] ^= 1
    });
    bound(V5, "it commits to another block", |d| d.binding.block[31] ^= 1);
    bound(V4, "it commits to a newer policy", |d| {
        d.binding.policy_version -= 1
    });
    bound(V5, "its report data is zero", |d| d.body().report_data = [0; 64]);

    const CODE: (&str, u8) = ("attest.measurement_unknown", 11);
    let mut runs = |layout, what: &str, change: fn(&mut TdDraft<'_>)| {
        table.td(shop, "measurement", layout, what, CODE, change);
    };
    runs(V4, "it runs unknown code (MRTD)", |d| d.body().mr_td[0] ^= 1);
    runs(V5, "something was measured at run time (RTMR0)", |d| {
        d.body().rtmr[0][0] = 1
    });
    runs(V5, "something was measured at run time (RTMR3)", |d| {
        d.body().rtmr[3][47] = 1
    });
    runs(V5, "its owner configured it (MRCONFIGID)", |d| {
        d.body().mr_config_id[0] = 1
    });
    runs(V4, "it has an owner (MROWNER)", |d| d.body().mr_owner[0] = 1);
    runs(V5, "its code is listed for real machines only", |d| {
        for listed in &mut d.policy.measurements {
            listed.platform = Platform::Tdx;
        }
    });
    runs(
        V5,
        "its MRTD alone is listed, as if it were the measurement",
        |d| {
            for listed in &mut d.policy.measurements {
                listed.value = Measurement([0x11; 48]);
            }
        },
    );
}

//! Defects of an SNP report: shape, header, CPU, TCB, chip, signature, and what it commits to.

use tacit_attest::{Measurement, Platform, Tcb, key_info};

use super::snp::{Base, GENOA_V3, GENOA_V5, MILAN_V2, MILAN_V3, SnpDraft, TURIN_V3, TURIN_V5};
use super::{Table, Workshop};

/// Order of P-384, little-endian as a report holds `r` and `s`.
const ORDER: [u8; 48] = [
    0x73, 0x29, 0xc5, 0xcc, 0x6a, 0x19, 0xec, 0xec, 0x7a, 0xa7, 0xb0, 0x48, 0xb2, 0x0d, 0x1a, 0x58, 0xdf,
    0x2d, 0x37, 0xf4, 0x81, 0x4d, 0x63, 0xc7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];
const R: core::ops::Range<usize> = 0x2a0..0x2d0;
const S: core::ops::Range<usize> = 0x2e8..0x318;

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    truncation(table, shop);
    unused_bytes(table, shop);
    header(table, shop);
    cpu(table, shop);
    tcb(table, shop);
    chip(table, shop);
    signature(table, shop);
    commitment(table, shop);
}

fn truncation(table: &mut Table, shop: &Workshop) {
    const LENGTH: (&str, u8) = ("attest.report_length", 1);
    let mut cut = |base, what: &str, len: usize| {
        let topic = if len < 1184 {
            "truncation"
        } else {
            "trailing bytes"
        };
        table.snp(shop, topic, base, what, LENGTH, |d| {
            d.afterwards(move |e| e.report.resize(len, 0));
        });
    };
    cut(TURIN_V5, "the report is empty", 0);
    cut(TURIN_V5, "the report has only its signed part", 0x2a0);
    cut(MILAN_V3, "the report lacks its last byte", 1183);
    cut(GENOA_V3, "a zero byte follows the report", 1185);
    cut(TURIN_V5, "the report is padded to a page", 4096);
    const LONG: (&str, u8) = ("attest.evidence_too_long", 1);
    table.snp(
        shop,
        "trailing bytes",
        TURIN_V5,
        "the report is above its bound",
        LONG,
        |d| {
            d.afterwards(|e| e.report.resize(8 * 1024 + 1, 0));
        },
    );
    table.snp(
        shop,
        "trailing bytes",
        TURIN_V5,
        "the leaf is above its bound",
        LONG,
        |d| {
            d.afterwards(|e| e.leaf.resize(4 * 1024 + 1, 0));
        },
    );
}

/// Bytes that mean nothing and are properly signed all the same.
fn unused_bytes(table: &mut Table, shop: &Workshop) {
    const RESERVED: (&str, u8) = ("attest.reserved_not_zero", 1);
    let mut set = |base, what: &str, at: usize, value: u8| {
        table.snp(shop, "layout", base, what, RESERVED, |d| d.poke.push((at, value)));
    };
    set(MILAN_V3, "a reserved byte of the current TCB is set", 0x3a, 1);
    set(GENOA_V3, "a reserved byte of the reported TCB is set", 0x185, 1);
    set(TURIN_V5, "a reserved byte of the committed TCB is set", 0x1e4, 1);
    set(TURIN_V3, "a reserved byte of the launch TCB is set", 0x1f6, 1);
    set(TURIN_V5, "the reserved bytes after the key info are set", 0x4c, 1);
    set(TURIN_V5, "an unknown bit of the key info is set", 0x48, 1 << 5);
    set(GENOA_V5, "a reserved byte after the CPUID is set", 0x18b, 1);
    set(
        GENOA_V5,
        "a reserved byte between the firmware versions is set",
        0x1eb,
        1,
    );
    set(MILAN_V2, "a version 2 report names a CPU", 0x188, 0x19);
    set(MILAN_V3, "a version 3 report has mitigation vectors", 0x1f8, 1);
    set(TURIN_V5, "a byte before the signature is set", 0x29f, 1);
    let mut late = |base, what: &str, at: usize| {
        table.snp(shop, "layout", base, what, RESERVED, |d| {
            d.afterwards(move |e| e.report[at] = 1);
        });
    };
    late(GENOA_V3, "the fill of r is set", R.end);
    late(GENOA_V3, "the fill of s is set", 0x330 - 1);
    late(TURIN_V5, "a byte after the signature is set", 0x330);
    late(MILAN_V2, "the last byte is set", 1183);

    // The other generation's drawing of the TCB, signed with care.
    let mut drawn = |base: Base, as_of: Base, what: &str, expected: (&'static str, u8)| {
        table.snp(shop, "layout", base, what, expected, |d| {
            d.layout = as_of.generation
        });
    };
    drawn(TURIN_V5, MILAN_V3, "its TCB is drawn as Milan's", RESERVED);
    drawn(MILAN_V3, TURIN_V5, "its TCB is drawn as Turin's", RESERVED);
}

fn header(table: &mut Table, shop: &Workshop) {
    const VERSION: (&str, u8) = ("attest.report_version", 2);
    for version in [0, 1, 4, 6, 99, u32::MAX] {
        let what = format!("its version is {version}");
        table.snp(shop, "report fields", TURIN_V5, &what, VERSION, |d| {
            d.report.version = version
        });
    }
    const ALGORITHM: (&str, u8) = ("attest.signature_algorithm", 2);
    for algorithm in [0, 2] {
        let what = format!("its signature algorithm is {algorithm}");
        table.snp(shop, "report fields", GENOA_V3, &what, ALGORITHM, |d| {
            d.report.signature_algorithm = algorithm;
        });
    }
    const MASKED: (&str, u8) = ("attest.chip_key_masked", 2);
    table.snp(
        shop,
        "report fields",
        TURIN_V5,
        "the host masks the chip key",
        MASKED,
        |d| {
            d.report.key_info |= key_info::MASK_CHIP_KEY;
        },
    );
    // The simulator has no VLEK; kinds above 1 nobody has.
    const KIND: (&str, u8) = ("attest.signing_key_kind", 2);
    for (kind, what) in [
        (1, "it claims a VLEK, the leaf is a VCEK"),
        (2, "it claims a key kind that is reserved"),
        (7, "it claims to be unsigned"),
    ] {
        table.snp(shop, "kind of leaf", TURIN_V5, what, KIND, |d| {
            d.report.key_info |= kind << key_info::SIGNING_KEY_SHIFT;
        });
    }
}

fn cpu(table: &mut Table, shop: &Workshop) {
    const UNKNOWN: (&str, u8) = ("attest.cpu_unknown", 3);
    // Venice: `sev` panics when it looks for its roots.
    for (cpuid, what) in [
        ([0x1a, 0x50, 0], "its CPU is a Venice"),
        ([0x17, 0x31, 0], "its CPU is a Rome, which has no SNP"),
        ([0x1a, 0x12, 0], "its CPU is one model above Turin"),
        ([0, 0, 0], "it names no CPU"),
    ] {
        table.snp(shop, "report fields", TURIN_V5, what, UNKNOWN, |d| {
            d.report.cpuid = cpuid
        });
    }
    const MISMATCH: (&str, u8) = ("attest.generation_mismatch", 3);
    let mut says = |base, what: &str, cpuid| {
        table.snp(shop, "platform confusion", base, what, MISMATCH, |d| {
            d.report.cpuid = cpuid
        });
    };
    says(TURIN_V5, "its CPU is a Genoa", [0x19, 0x11, 1]);
    says(MILAN_V3, "its CPU is a Genoa", [0x19, 0x11, 1]);
    says(GENOA_V3, "its CPU is a Milan", [0x19, 0x01, 1]);
    table.snp(
        shop,
        "platform confusion",
        GENOA_V3,
        "its leaf is that of a Turin",
        MISMATCH,
        |d| d.leaf = SnpDraft::honest(shop, TURIN_V5.generation, 5).leaf,
    );
}

/// Old firmware that claims to be newer than the TCB that its key was derived from, part by part.
fn tcb(table: &mut Table, shop: &Workshop) {
    const LEAF: (&str, u8) = ("attest.leaf_tcb", 5);
    let mut claim = |base, part: &str, change: fn(&mut Tcb)| {
        let what = format!("its {part} is not the leaf's");
        table.snp(shop, "TCB", base, &what, LEAF, |d| {
            change(&mut d.report.reported_tcb)
        });
    };
    claim(TURIN_V5, "fmc", |tcb| tcb.fmc += 1);
    claim(TURIN_V5, "bootloader", |tcb| tcb.bootloader += 1);
    claim(TURIN_V3, "tee", |tcb| tcb.tee += 1);
    claim(TURIN_V5, "snp", |tcb| tcb.snp += 1);
    claim(TURIN_V5, "microcode", |tcb| tcb.microcode += 1);
    claim(MILAN_V2, "bootloader", |tcb| tcb.bootloader += 1);
    claim(MILAN_V3, "microcode (above 0x7f, two bytes of DER)", |tcb| {
        tcb.microcode += 1
    });
    claim(GENOA_V3, "snp", |tcb| tcb.snp += 1);
    claim(GENOA_V5, "microcode (lower than the leaf's)", |tcb| {
        tcb.microcode -= 1
    });
}

fn chip(table: &mut Table, shop: &Workshop) {
    const MASKED: (&str, u8) = ("attest.chip_id_masked", 6);
    const OTHER: (&str, u8) = ("attest.chip_id_mismatch", 6);
    let mut named = |base, what: &str, expected, change: fn(&mut [u8; 64])| {
        table.snp(shop, "chip id", base, what, expected, |d| {
            change(&mut d.report.chip_id.0)
        });
    };
    named(TURIN_V5, "the host masks the chip id", MASKED, |id| *id = [0; 64]);
    named(GENOA_V3, "the host masks the chip id", MASKED, |id| *id = [0; 64]);
    // `sev` guesses the generation of version 2 by the shape of the chip id, and finds none.
    const UNREADABLE: (&str, u8) = ("attest.not_canonical", 1);
    named(MILAN_V2, "the host masks the chip id", UNREADABLE, |id| {
        *id = [0; 64]
    });
    named(TURIN_V5, "its chip id has one bit wrong", OTHER, |id| id[0] ^= 1);
    named(TURIN_V5, "its chip id goes on after eight bytes", OTHER, |id| {
        id[63] = 1
    });
    named(GENOA_V3, "its chip id has its last bit wrong", OTHER, |id| {
        id[63] ^= 1
    });
    named(
        MILAN_V3,
        "its chip id is cut to Turin's eight bytes",
        OTHER,
        |id| id[8..].fill(0),
    );
    table.snp(
        shop,
        "chip id",
        GENOA_V3,
        "its leaf is another chip's",
        OTHER,
        |d| {
            d.leaf = super::workshop::parse(shop.chip(2, GENOA_V3.generation).chip.leaf()).tbs_certificate;
        },
    );
}

fn signature(table: &mut Table, shop: &Workshop) {
    const REPORT: (&str, u8) = ("attest.report_signature", 7);
    let mut after = |base, what: &str, change: fn(&mut [u8])| {
        table.snp(shop, "signature", base, what, REPORT, |d| {
            d.afterwards(move |e| change(&mut e.report));
        });
    };
    after(TURIN_V5, "its host data changed after it was signed", |r| {
        r[0xc0] ^= 1
    });
    after(MILAN_V2, "its guest policy changed after it was signed", |r| {
        r[0x0a] ^= 1
    });
    after(TURIN_V5, "its r is zero", |r| r[R].fill(0));
    after(TURIN_V5, "its s is zero", |r| r[S].fill(0));
    after(GENOA_V5, "its r is the order of the group", |r| {
        r[R].copy_from_slice(&ORDER)
    });
    after(GENOA_V5, "its s is above the order of the group", |r| {
        r[S].fill(0xff)
    });
    after(MILAN_V3, "its r and s are swapped", |r| {
        let (head, tail) = r.split_at_mut(S.start);
        head[R].swap_with_slice(&mut tail[..48]);
    });
    after(MILAN_V3, "its r and s are big-endian", |r| {
        r[R].reverse();
        r[S].reverse();
    });
    table.snp(
        shop,
        "signature",
        TURIN_V5,
        "another chip signed it",
        REPORT,
        |d| {
            d.chip = shop.chip(2, TURIN_V5.generation);
        },
    );
}

fn commitment(table: &mut Table, shop: &Workshop) {
    const DATA: (&str, u8) = ("attest.report_data", 12);
    let mut bound = |base, what: &str, change: fn(&mut SnpDraft<'_>)| {
        table.snp(shop, "binding", base, what, DATA, change);
    };
    bound(TURIN_V5, "it commits to another network", |d| {
        d.binding.network[0] ^= 1
    });
    bound(TURIN_V5, "it commits to another consensus key", |d| {
        d.binding.consensus_key[31] ^= 1
    });
    bound(GENOA_V3, "it commits to another node key", |d| {
        d.binding.node_key[0] ^= 1
    });
    bound(GENOA_V3, "it commits to another KEM key", |d| {
        d.binding.kem_key[600] ^= 1
    });
    bound(GENOA_V3, "it commits to a shorter KEM key", |d| {
        d.binding.kem_key.pop();
    });
    bound(MILAN_V3, "it commits to another height", |d| {
        d.binding.height += 1
    });
    bound(MILAN_V3, "it commits to another block", |d| {
        d.binding.block[0] ^= 1
    });
    bound(TURIN_V3, "it commits to an older policy", |d| {
        d.binding.policy_version += 1
    });
    bound(TURIN_V5, "its report data is zero", |d| {
        d.report.report_data = [0; 64]
    });
    bound(TURIN_V5, "its report data has one bit wrong", |d| {
        d.report.report_data[63] ^= 0x80
    });

    const CODE: (&str, u8) = ("attest.measurement_unknown", 11);
    let mut runs = |base, what: &str, change: fn(&mut SnpDraft<'_>)| {
        table.snp(shop, "measurement", base, what, CODE, change);
    };
    runs(TURIN_V5, "it runs unknown code", |d| {
        d.report.measurement = Measurement([0x12; 48])
    });
    runs(MILAN_V2, "its measurement has one bit wrong", |d| {
        d.report.measurement.0[47] ^= 1
    });
    runs(GENOA_V3, "its measurement is zero", |d| {
        d.report.measurement.0 = [0; 48]
    });
    runs(TURIN_V5, "its code is listed for real machines only", |d| {
        for listed in &mut d.policy.measurements {
            listed.platform = Platform::SevSnp;
        }
    });
    runs(TURIN_V5, "the policy lists no code", |d| {
        d.policy.measurements.clear()
    });
}

//! Authentic SNP evidence of machines that a policy does not admit.

use tacit_attest::{Generation, Measurement, Platform, Report, Tcb, guest_policy, platform_info};

use super::snp::{Base, GENOA_V3, GENOA_V5, MILAN_V2, MILAN_V3, SnpDraft, TURIN_V3, TURIN_V5};
use super::{Table, Workshop};

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    guest(table, shop);
    lists(table, shop);
    demands(table, shop);
    floors(table, shop);
}

fn guest(table: &mut Table, shop: &Workshop) {
    let mut runs = |base, what: &str, code: &'static str, change: fn(&mut Report)| {
        table.snp(shop, "report fields", base, what, (code, 9), |d| {
            change(&mut d.report)
        });
    };
    runs(TURIN_V5, "its host may debug it", "attest.debug_allowed", |r| {
        r.guest_policy |= guest_policy::DEBUG;
    });
    runs(MILAN_V2, "its host may debug it", "attest.debug_allowed", |r| {
        r.guest_policy |= guest_policy::DEBUG;
    });
    runs(TURIN_V5, "it may be migrated", "attest.migration_allowed", |r| {
        r.guest_policy |= guest_policy::MIGRATE_MA;
    });
    runs(
        GENOA_V3,
        "it has a migration agent",
        "attest.migration_agent",
        |r| r.report_id_ma = [0; 32],
    );
    runs(GENOA_V5, "it may have CXL memory", "attest.cxl_allowed", |r| {
        r.guest_policy |= guest_policy::CXL;
    });
    runs(
        TURIN_V5,
        "its guest policy has an unknown bit",
        "attest.guest_policy_bits",
        |r| {
            r.guest_policy |= 1 << 40;
        },
    );
    runs(
        TURIN_V5,
        "its guest policy lacks the bit that must be set",
        "attest.guest_policy_bits",
        |r| {
            r.guest_policy &= !guest_policy::RESERVED_ONE;
        },
    );
    runs(TURIN_V3, "it asked at VMPL 1", "attest.vmpl_too_high", |r| {
        r.vmpl = 1
    });
    runs(
        TURIN_V5,
        "its host asked, not the guest",
        "attest.vmpl_too_high",
        |r| r.vmpl = u32::MAX,
    );
    runs(
        MILAN_V3,
        "its memory was not checked for aliases",
        "attest.alias_check_incomplete",
        |r| {
            r.platform_info &= !platform_info::ALIAS_CHECK_COMPLETE;
        },
    );
}

fn lists(table: &mut Table, shop: &Workshop) {
    let mut listed = |base, what: &str, code: &'static str, change: fn(&mut SnpDraft<'_>)| {
        table.snp(shop, "policy", base, what, (code, 9), change);
    };
    listed(
        TURIN_V5,
        "the policy does not list its platform",
        "attest.platform_not_allowed",
        |d| {
            d.policy.platforms = vec![Platform::SevSnp];
        },
    );
    listed(
        MILAN_V3,
        "the policy does not list its generation",
        "attest.generation_not_allowed",
        |d| {
            d.policy.generations = vec![Generation::Genoa, Generation::Turin];
        },
    );
    listed(
        MILAN_V2,
        "the policy does not list its version",
        "attest.report_version_not_allowed",
        |d| {
            d.policy.snp.report_versions = vec![3, 5];
        },
    );
    listed(
        TURIN_V5,
        "the policy does not list its version",
        "attest.report_version_not_allowed",
        |d| {
            d.policy.snp.report_versions = vec![2, 3];
        },
    );
}

/// What a policy may ask for besides: off by default, so each defect switches it on.
fn demands(table: &mut Table, shop: &Workshop) {
    let mut asks = |base, what: &str, code: &'static str, change: fn(&mut SnpDraft<'_>)| {
        table.snp(shop, "policy", base, what, (code, 9), change);
    };
    asks(
        TURIN_V5,
        "the policy asks for one socket",
        "attest.guest_policy_missing",
        |d| d.policy.snp.guest_policy_required = guest_policy::SINGLE_SOCKET,
    );
    asks(
        GENOA_V3,
        "the policy forbids SMT",
        "attest.guest_policy_forbidden",
        |d| d.policy.snp.guest_policy_forbidden = guest_policy::SMT,
    );
    asks(
        TURIN_V5,
        "the policy asks for memory with ECC",
        "attest.platform_info_missing",
        |d| {
            d.policy.snp.platform_info_required = platform_info::ECC;
            d.report.platform_info &= !platform_info::ECC;
        },
    );
    asks(
        GENOA_V5,
        "the policy asks for a newer guest",
        "attest.guest_svn_below_floor",
        |d| {
            d.policy.snp.guest_svn_min = 2;
            d.report.guest_svn = 1;
        },
    );
    asks(
        TURIN_V5,
        "nobody signed its ID block",
        "attest.guest_key_unknown",
        |d| d.policy.snp.id_keys = vec![Measurement([1; 48])],
    );
    asks(
        TURIN_V3,
        "an unknown author certified its ID key",
        "attest.guest_key_unknown",
        |d| {
            d.policy.snp.author_keys = vec![Measurement([1; 48])];
            d.report.author_key_digest = [2; 48];
        },
    );
}

fn floors(table: &mut Table, shop: &Workshop) {
    const FLOOR: (&str, u8) = ("attest.tcb_below_floor", 10);
    let mut below = |base, which: &str, part: &str, change: fn(&mut Report)| {
        let what = format!("its {which} {part} is below the floor");
        table.snp(shop, "TCB", base, &what, FLOOR, |d| change(&mut d.report));
    };
    below(TURIN_V5, "launch", "fmc", |r| r.launch_tcb.fmc = 0);
    below(TURIN_V5, "launch", "snp", |r| r.launch_tcb.snp -= 1);
    below(GENOA_V3, "launch", "microcode", |r| r.launch_tcb.microcode -= 1);
    below(MILAN_V2, "committed", "microcode", |r| {
        r.committed_tcb.microcode -= 1
    });
    below(TURIN_V5, "committed", "bootloader", |r| {
        r.committed_tcb.bootloader = 0
    });
    below(TURIN_V3, "committed", "tee", |r| r.committed_tcb.tee = 0);
    below(GENOA_V5, "launch", "TCB as a whole (zero)", |r| {
        r.launch_tcb = Tcb::default()
    });

    let mut raised = |base: Base, what: &str, change: fn(&mut tacit_attest::TcbFloor)| {
        table.snp(shop, "TCB", base, what, FLOOR, |d| {
            let mut floors = d.policy.snp.min_tcb.iter_mut();
            let floor = floors.find(|floor| floor.generation == base.generation);
            change(floor.expect("a floor for every generation"));
        });
    };
    raised(TURIN_V5, "its reported microcode is below the floor", |f| {
        f.microcode += 1
    });
    raised(MILAN_V2, "its reported bootloader is below the floor", |f| {
        f.bootloader += 1
    });
    raised(GENOA_V3, "its reported snp is below the floor", |f| f.snp += 1);
    table.snp(
        shop,
        "TCB",
        GENOA_V5,
        "its CPU model has a floor of its own, and is below it",
        FLOOR,
        |d| {
            let general = d
                .policy
                .snp
                .min_tcb
                .iter()
                .find(|f| f.generation == Generation::Genoa);
            let mut floor = *general.expect("a floor for every generation");
            (floor.models, floor.microcode) = (Some((0x11, 0x11)), floor.microcode + 1);
            d.policy.snp.min_tcb.push(floor);
        },
    );
    const MISSING: (&str, u8) = ("attest.tcb_floor_missing", 10);
    table.snp(
        shop,
        "TCB",
        TURIN_V5,
        "the policy has no floor for it",
        MISSING,
        |d| {
            d.policy.snp.min_tcb.retain(|f| f.generation != Generation::Turin);
        },
    );
}

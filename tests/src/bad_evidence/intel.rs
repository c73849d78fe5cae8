//! Authentic trust domains whose firmware or machine is not what Intel's documents or a policy ask for.

use tacit_attest::{
    Platform, SIMULATED_FMSPC, SimulatedQeIdentity, SimulatedTcbInfo, TcbStatus, Tee, td_attributes,
};

use super::pck::machine_with;
use super::td::Layout::{V4, V5};
use super::td::{TdDraft, identity_place, tcb_info_place};
use super::workshop::NOW_MS;
use super::{Table, Workshop};

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    levels(table, shop);
    module(table, shop);
    quoting_enclave(table, shop);
    judged(table, shop);
    machine(table, shop);
}

/// Another TCB info than the honest one, in its place.
pub(super) fn inform(draft: &mut TdDraft<'_>, change: impl FnOnce(&mut SimulatedTcbInfo)) {
    let mut info = SimulatedTcbInfo::new(Tee::Tdx, NOW_MS);
    change(&mut info);
    let update = draft.shop.authority().tcb_info(&info).expect("a TCB info");
    draft.hold(tcb_info_place(), update);
}

/// Another QE identity than the honest one, in its place.
pub(super) fn identify(draft: &mut TdDraft<'_>, change: impl FnOnce(&mut SimulatedQeIdentity)) {
    let mut identity = SimulatedQeIdentity::new(Tee::Tdx, NOW_MS);
    change(&mut identity);
    let update = draft
        .shop
        .authority()
        .qe_identity(&identity)
        .expect("a QE identity");
    draft.hold(identity_place(), update);
}

fn levels(table: &mut Table, shop: &Workshop) {
    const LISTED: (&str, u8) = ("attest.tcb_not_listed", 5);
    const REVOKED: (&str, u8) = ("attest.tcb_revoked", 5);
    let mut has = |layout, what: &str, expected, change: fn(&mut TdDraft<'_>)| {
        table.td(shop, "TCB", layout, what, expected, change);
    };
    has(V5, "a component of its CPU is below every level", LISTED, |d| {
        machine_with(d, |pck| pck.cpu_svn[0] = 1);
    });
    has(V5, "its PCE is below every level", LISTED, |d| {
        machine_with(d, |pck| pck.pce_svn = 12)
    });
    has(V4, "its TDX module is below every level", LISTED, |d| {
        d.body().tee_tcb_svn[0] = 2
    });
    has(
        V4,
        "a component of its TDX module is below every level",
        LISTED,
        |d| d.body().tee_tcb_svn[2] = 1,
    );
    has(V5, "its TDX module is now below every level", LISTED, |d| {
        if let Some(td15) = &mut d.body().td15 {
            td15.tee_tcb_svn2[2] = 1;
        }
    });
    has(V4, "the TCB info has no level", LISTED, |d| {
        inform(d, |info| info.levels.clear())
    });
    has(V5, "its level is revoked", REVOKED, |d| {
        inform(d, |info| info.levels[0].status = TcbStatus::Revoked);
    });
    has(V4, "the level of its TDX module is revoked", REVOKED, |d| {
        inform(d, |info| info.module_levels[0].1 = TcbStatus::Revoked);
    });
    has(V5, "the level of its quoting enclave is revoked", REVOKED, |d| {
        identify(d, |identity| identity.levels[0].1 = TcbStatus::Revoked);
    });
}

fn module(table: &mut Table, shop: &Workshop) {
    const UNKNOWN: (&str, u8) = ("attest.tdx_module_unknown", 5);
    const MISMATCH: (&str, u8) = ("attest.tdx_module_mismatch", 5);
    let mut runs = |layout, what: &str, expected, change: fn(&mut TdDraft<'_>)| {
        table.td(shop, "TCB", layout, what, expected, change);
    };
    runs(V4, "its TDX module is of an unknown version", UNKNOWN, |d| {
        d.body().tee_tcb_svn[1] = 9
    });
    runs(V5, "its TDX module is now of an unknown version", UNKNOWN, |d| {
        if let Some(td15) = &mut d.body().td15 {
            td15.tee_tcb_svn2[1] = 9;
        }
    });
    runs(V4, "somebody else signed its TDX module", MISMATCH, |d| {
        d.body().mr_signer_seam[0] = 1
    });
    runs(V5, "its TDX module is a debug build", MISMATCH, |d| {
        d.body().seam_attributes[0] = 1
    });
    runs(
        V4,
        "its TDX module of version 0 is somebody else's",
        MISMATCH,
        |d| {
            (d.body().tee_tcb_svn[1], d.body().mr_signer_seam[47]) = (0, 1);
        },
    );
}

fn quoting_enclave(table: &mut Table, shop: &Workshop) {
    const MISMATCH: (&str, u8) = ("attest.qe_mismatch", 5);
    let mut is = |layout, what: &str, change: fn(&mut TdDraft<'_>)| {
        table.td(shop, "quoting enclave", layout, what, MISMATCH, change);
    };
    is(V5, "somebody else signed its quoting enclave", |d| {
        d.quote.qe_report.mr_signer[0] ^= 1
    });
    is(V4, "its quoting enclave is another product", |d| {
        d.quote.qe_report.isv_prod_id = 1
    });
    is(V5, "its quoting enclave may be debugged", |d| {
        d.quote.qe_report.attributes[0] |= 2
    });
    is(V5, "its quoting enclave has another MISCSELECT", |d| {
        d.quote.qe_report.misc_select = 1
    });
    table.td(
        shop,
        "quoting enclave",
        V4,
        "its quoting enclave is older than every level",
        ("attest.tcb_not_listed", 5),
        |d| d.quote.qe_report.isv_svn = 1,
    );
}

fn judged(table: &mut Table, shop: &Workshop) {
    const STATUS: (&str, u8) = ("attest.tcb_status_not_allowed", 10);
    const ADVISORY: (&str, u8) = ("attest.advisory_open", 10);
    let mut is = |layout, what: &str, expected, change: fn(&mut TdDraft<'_>)| {
        table.td(shop, "TCB", layout, what, expected, change);
    };
    is(V5, "its CPU is out of date", STATUS, |d| {
        machine_with(d, |pck| pck.cpu_svn[0] = 2)
    });
    is(V4, "its TDX module is out of date", STATUS, |d| {
        d.body().tee_tcb_svn[0] = 4
    });
    is(V5, "its quoting enclave is out of date", STATUS, |d| {
        d.quote.qe_report.isv_svn = 3
    });
    is(V5, "its TDX module was updated underneath it", STATUS, |d| {
        d.body().tee_tcb_svn[0] = 4
    });
    for status in [
        TcbStatus::SWHardeningNeeded,
        TcbStatus::ConfigurationNeeded,
        TcbStatus::ConfigurationAndSWHardeningNeeded,
        TcbStatus::OutOfDateConfigurationNeeded,
    ] {
        let what = format!("Intel calls its level {status}");
        table.td(shop, "TCB", V5, &what, STATUS, |d| {
            inform(d, |info| info.levels[0].status = status)
        });
    }
    let mut is = |layout, what: &str, expected, change: fn(&mut TdDraft<'_>)| {
        table.td(shop, "TCB", layout, what, expected, change);
    };
    is(V5, "an advisory is open on its level", ADVISORY, |d| {
        inform(d, |info| {
            info.levels[0].advisories = vec!["INTEL-SA-00837".to_owned()]
        });
    });
    is(V4, "an advisory is open on its TDX module", ADVISORY, |d| {
        inform(d, |info| {
            info.module_levels[0].2 = vec!["INTEL-SA-00837".to_owned()]
        });
    });
    is(V5, "one advisory is tolerated, another is open", ADVISORY, |d| {
        d.policy.tdx.machine.advisories = vec!["INTEL-SA-00615".to_owned()];
        let open = ["INTEL-SA-00615", "INTEL-SA-00837"].map(str::to_owned).to_vec();
        inform(d, |info| info.levels[0].advisories = open);
    });
    const EVALUATION: (&str, u8) = ("attest.evaluation_too_low", 10);
    is(
        V5,
        "the policy asks for a later evaluation number",
        EVALUATION,
        |d| {
            d.policy.tdx.machine.evaluation_min = 21;
        },
    );
    is(
        V4,
        "the policy asks for a later evaluation number by far",
        EVALUATION,
        |d| {
            d.policy.tdx.machine.evaluation_min = u32::MAX;
        },
    );
}

fn machine(table: &mut Table, shop: &Workshop) {
    let mut lists = |layout, what: &str, code: &'static str, change: fn(&mut TdDraft<'_>)| {
        table.td(shop, "policy", layout, what, (code, 9), change);
    };
    lists(
        V5,
        "the policy does not list its platform",
        "attest.platform_not_allowed",
        |d| {
            d.policy.platforms = vec![Platform::Tdx, Platform::Simulated];
        },
    );
    lists(
        V4,
        "the policy does not list its version",
        "attest.quote_version_not_allowed",
        |d| {
            d.policy.tdx.quote_versions = vec![5];
        },
    );
    lists(
        V5,
        "the policy does not list its version",
        "attest.quote_version_not_allowed",
        |d| {
            d.policy.tdx.quote_versions = vec![4];
        },
    );
    lists(
        V5,
        "it has performance counters",
        "attest.td_attributes_not_allowed",
        |d| {
            d.body().td_attributes |= td_attributes::PERFMON;
        },
    );
    lists(V4, "it has Key Locker", "attest.td_attributes_not_allowed", |d| {
        d.body().td_attributes |= td_attributes::KL;
    });
    lists(
        V5,
        "the policy denies its kind of machine",
        "attest.fmspc_denied",
        |d| {
            d.policy.tdx.machine.fmspc_denied = vec![SIMULATED_FMSPC];
        },
    );
    const MACHINE: &str = "attest.machine_not_allowed";
    lists(V5, "packages may be added to it", MACHINE, |d| {
        d.policy.tdx.machine.dynamic_platform = false
    });
    lists(V5, "Intel keeps its root keys", MACHINE, |d| {
        d.policy.tdx.machine.cached_keys = false
    });
    lists(V4, "it has hyperthreading", MACHINE, |d| {
        d.policy.tdx.machine.smt = false
    });
}

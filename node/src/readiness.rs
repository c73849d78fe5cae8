//! When a node may be sent work: each condition by name, with what was found and what was asked for.

use std::path::Path;

use crate::{
    config::Role,
    phase::Phase,
    shared::Snapshot,
    status::{Check, Status},
};

/// A node that is more blocks behind than this is not ready.
const MAX_LAG: u64 = 5;
/// Less room than this on the data's disk, in bytes, and the node says so before writes fail.
const MIN_FREE_BYTES: u64 = 512 << 20;

pub(crate) fn checks(status: &Status, snapshot: &Snapshot, data: &Path) -> Vec<Check> {
    let age = status.now_ms.saturating_sub(status.head_time_ms);
    let limit = snapshot.idle_ok_until_ms;
    let lag = status.best_known.saturating_sub(status.height);
    let validators = status.peers.iter().filter(|p| p.validator).count() as u64;
    let needed = match status.role {
        Role::Validator => u64::from(status.quorum.saturating_sub(1)),
        Role::Observer => 1,
    };
    let free = free_bytes(data);
    let mut checks = vec![
        Check {
            name: "chain_advancing",
            ok: age <= limit,
            value: seconds(age),
            limit: seconds(limit),
            code: None,
        },
        Check {
            name: "lag",
            ok: lag <= MAX_LAG,
            value: lag.to_string(),
            limit: MAX_LAG.to_string(),
            code: Some("node.syncing"),
        },
        Check {
            name: "peers",
            ok: validators >= needed,
            value: validators.to_string(),
            limit: needed.to_string(),
            code: None,
        },
        Check {
            name: "epoch_key",
            ok: status.epoch > 0,
            value: format!("epoch {}", status.epoch),
            limit: "epoch 1".into(),
            code: Some("node.no_epoch_key"),
        },
        Check {
            name: "disk_free",
            ok: free.is_none_or(|bytes| bytes >= MIN_FREE_BYTES),
            value: free.map_or("unknown".into(), mebibytes),
            limit: mebibytes(MIN_FREE_BYTES),
            code: Some("disk.full"),
        },
    ];
    // A validator that has its seat and does not vote, or is about to stop, should get no work.
    let idle = status.role == Role::Validator && status.seat.is_some() && !status.phase.is_serving();
    checks.push(Check {
        name: "serving",
        ok: !idle && !status.draining,
        value: status.phase.name().into(),
        limit: match status.role {
            Role::Observer => Phase::Following,
            Role::Validator => Phase::Voting,
        }
        .name()
        .into(),
        code: Some(if status.draining {
            "node.draining"
        } else {
            "node.no_vote"
        }),
    });
    checks.push(Check {
        name: "set_judged",
        ok: !status.set_kept,
        value: if status.set_kept {
            "kept: too few of the set are acceptable".into()
        } else {
            "acceptable".into()
        },
        limit: "acceptable".into(),
        code: Some("epoch.kept"),
    });
    if let Some(own) = &status.evidence {
        let left = own.until_ms.map(|until| until.saturating_sub(status.now_ms));
        checks.push(Check {
            name: "evidence_valid",
            // The forecast may be a minute old.
            ok: own.accepted && left.is_none_or(|left| left > 0),
            value: match left {
                Some(left) if own.accepted => seconds(left),
                _ => own.cause.clone(),
            },
            limit: seconds(0),
            code: own.code.or(Some("attest.evidence_expired")),
        });
    }
    checks
}

fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn seconds(ms: u64) -> String {
    format!("{}.{}s", ms / 1000, ms % 1000 / 100)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

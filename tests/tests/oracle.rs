//! The reference model: it accepts what real cores do in worlds under faults, and rejects each change of a trace that a
//! rule forbids.

use serde_json::json;
use tacit_consensus::{
    Digest,
    trace::{Cause, Statement, Transition},
};
use tacit_tests::{
    consensus_sim::{Options, run, run_traced},
    oracle::Oracle,
    report,
};

/// One dead leader, so that views are given up, passed over and taken up again.
fn trace() -> Vec<Transition> {
    let options = Options {
        oracle: true,
        dead: vec![3],
        calm_blocks: 30,
        ..Options::calm(7, 4)
    };
    let (report, trace) = run_traced(&options);
    assert_eq!(report.violations, Vec::<String>::new());
    trace
}

fn judge(trace: &[Transition]) -> Vec<String> {
    let mut oracle = Oracle::default();
    trace.iter().for_each(|transition| oracle.judge(transition));
    let mut wrong = oracle.wrong();
    wrong.extend(oracle.finish());
    wrong
}

/// Changes the first transition that `change` finds something to change in, after the first hundred.
fn changed(trace: &[Transition], change: impl Fn(&mut Transition) -> bool) -> Vec<Transition> {
    let mut trace = trace.to_vec();
    assert!(trace.iter_mut().skip(100).any(change), "nothing to change");
    trace
}

fn vote(transition: &mut Transition, finalizes: bool) -> Option<(&mut u64, &mut Digest)> {
    transition.said.iter_mut().find_map(|statement| match statement {
        Statement::Vote {
            finalize,
            view,
            block,
            ..
        } if *finalize == finalizes => Some((view, block)),
        _ => None,
    })
}

/// A change, the rule under which it must be found, and what it stands for.
type Lie = (&'static str, &'static str, fn(&mut Transition) -> bool);

const LIES: &[Lie] = &[
    (
        "S3: a vote left before its record",
        "sent before the sync",
        |one| vote(one, false).is_some() && one.persisted.take().is_some(),
    ),
    ("R6", "votes for a block that is not the first", |one| {
        vote(one, false).is_some_and(|(_, block)| {
            block.0[0] ^= 1;
            true
        })
    }),
    ("R6", "votes in another view", |one| {
        vote(one, false).is_some_and(|(view, _)| {
            *view += 1;
            true
        })
    }),
    ("R7", "finalizes without the certificate", |one| {
        vote(one, true).is_some_and(|(view, _)| {
            *view += 1;
            true
        })
    }),
    (
        "R7: a finalize vote was recorded and never sent",
        "withholds a finalize vote",
        |one| {
            let before = one.said.len();
            one.said
                .retain(|said| !matches!(said, Statement::Vote { finalize: true, .. }));
            one.said.len() < before
        },
    ),
    ("R8", "commits without a quorum", |one| {
        one.committed.first_mut().is_some_and(|(_, id)| {
            id.0[0] ^= 1;
            true
        })
    }),
    ("S2", "commits a height twice", |one| {
        match one.committed.first().copied() {
            Some(first) => {
                one.committed.push(first);
                true
            }
            None => false,
        }
    }),
    ("R8", "forgets to commit", |one| {
        !std::mem::take(&mut one.committed).is_empty()
    }),
    ("R9", "denies the certificate that it knows", |one| {
        one.said.iter_mut().any(|said| match said {
            Statement::Timeout { high, .. } if high.view > 1 => {
                high.view -= 1;
                true
            }
            _ => false,
        })
    }),
    (
        "R9: gave a view up too early",
        "gives a view up on its own, at once",
        |one| {
            // Another view than the dead leader's, and no timeout before it.
            let Some((view, _)) = vote(one, true).map(|(view, block)| (*view, *block)) else {
                return false;
            };
            let view = view + 1;
            if (view + 1) % 4 == 3 || one.stand.view != view || one.me.is_none() {
                return false;
            }
            let Some(record) = &mut one.persisted else {
                return false;
            };
            record.given_up = view;
            record.last_timeout = Some((view, record.high.view));
            one.said.push(Statement::Timeout {
                epoch: 1,
                view,
                high: record.high.clone(),
                voter: one.me.unwrap_or_default(),
            });
            true
        },
    ),
    ("R2", "stays in a view that is over", |one| {
        matches!(one.cause, Cause::Heard(_)) && {
            one.stand.view -= 1;
            true
        }
    }),
    ("R3", "lets go of its lock", |one| {
        one.stand.high_view > 1 && {
            one.stand.high_view -= 1;
            true
        }
    }),
    ("R3: a record goes back", "writes an older record", |one| {
        one.persisted.as_mut().is_some_and(|record| {
            record.voted = 0;
            record.vote = None;
            true
        })
    }),
    ("R5", "proposes without leading", |one| {
        one.said.iter_mut().any(|said| match said {
            Statement::Proposal(block) => {
                block.view += 1;
                true
            }
            _ => false,
        })
    }),
    ("R4", "proposes on another block than its certificate's", |one| {
        one.said.iter_mut().any(|said| match said {
            Statement::Proposal(block) => {
                block.height += 1;
                true
            }
            _ => false,
        })
    }),
    ("R3", "takes a certificate of too few", |one| {
        match &mut one.cause {
            Cause::Heard(Statement::Timeout { high, .. }) if high.view == one.stand.high_view => {
                // What it takes along was new to nobody, unless it says so: claim a view that nobody certified.
                (high.view, one.stand.high_view) = (high.view + 1, high.view + 1);
                high.signers.truncate(2);
                true
            }
            _ => false,
        }
    }),
    ("R1", "counts a vote that was never cast", |one| {
        match &mut one.cause {
            Cause::Heard(Statement::Vote {
                finalize: false,
                view,
                block,
                ..
            }) if *view > one.stand.high_view => {
                block.0[0] ^= 1;
                true
            }
            _ => false,
        }
    }),
    ("S11", "blames an honest validator", |one| {
        one.blamed = vec![0];
        true
    }),
];

#[test]
fn each_breach_of_a_rule_is_named() {
    let trace = trace();
    assert_eq!(judge(&trace), Vec::<String>::new());
    for (rule, what, lie) in LIES {
        let wrong = judge(&changed(&trace, lie));
        // What follows from the first breach is wrong too; the rule itself must be among it.
        assert!(
            wrong.iter().any(|one| one.starts_with(rule)),
            "{what}: {:?}",
            wrong
                .iter()
                .map(|one| one.lines().next().unwrap_or_default())
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_disk_that_was_set_back_and_a_fork_are_named() {
    let trace = trace();
    // Validator 0 starts again from nothing, at the end.
    let first = trace.iter().find(|one| one.me == Some(0)).expect("it started");
    let mut back = trace.clone();
    back.push(first.clone());
    assert!(judge(&back).iter().any(|one| one.starts_with("R15")));
    // An observer is told of another block at a height that is final.
    let committed = trace
        .iter()
        .rev()
        .find(|one| !one.committed.is_empty())
        .expect("blocks");
    let mut fork = committed.clone();
    fork.me = None;
    fork.committed[0].1.0[0] ^= 1;
    let mut forked = trace.clone();
    forked.push(fork);
    assert!(judge(&forked).iter().any(|one| one.starts_with("S1")));
}

#[test]
fn a_trace_returns_from_its_bytes_and_its_lines() {
    for transition in trace().iter().take(500) {
        let bytes = borsh::to_vec(transition).expect("borsh");
        assert_eq!(
            borsh::from_slice::<Transition>(&bytes).expect("borsh"),
            *transition
        );
        let line = serde_json::to_string(transition).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Transition>(&line).expect("JSON"),
            *transition
        );
    }
}

/// The lane: worlds under every mixture of faults, each transition judged. `TACIT_SOAK=N`: so many times as many.
#[test]
fn worlds_under_faults_keep_every_rule() {
    let (mut judged, mut worlds, before) = (0, 0, report::core_time());
    for seed in 10_000..10_000 + 2_000 * report::soak() {
        let n = if seed.is_multiple_of(4) { 7 } else { 4 };
        let options = Options {
            oracle: true,
            ..Options::faulty(seed, n)
        };
        let report = run(&options);
        assert_eq!(report.violations, Vec::<String>::new(), "{options:?}");
        judged += report.judged;
        worlds += 1;
    }
    let seconds = (report::core_time() - before).as_secs_f64();
    println!("{worlds} worlds, {judged} transitions judged, {seconds:.1} core-seconds");
    report::record(
        "oracle",
        json!({
            "worlds": worlds,
            "transitions judged": judged,
            "rejected": 0,
            "core-seconds": (seconds * 10.0).round() / 10.0,
        }),
    );
}

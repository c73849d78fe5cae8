//! The fuzzer's targets without the fuzzer: every seed, every input that a run found worth keeping, and thousands of
//! damaged ones, the same in every run.

use std::path::Path;

use tacit_tests::fuzz::{TARGETS, mutate::mutated, seeds::seeds};

/// Damaged inputs a target.
const MUTATIONS: u64 = 500;

/// Inputs in `tests/fuzz/corpus`, in the order of their names.
fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a folder entry").path())
        .collect();
    paths.sort();
    let read = |path: &Path| std::fs::read(path).expect("a kept input");
    paths
        .iter()
        .map(|path| (path.display().to_string(), read(path)))
        .collect()
}

#[test]
fn every_target_keeps_its_promises_on_seeds_and_damaged_ones() {
    std::thread::scope(|scope| {
        let run = |half: usize| {
            for target in TARGETS.iter().skip(half).step_by(2) {
                let mut inputs = seeds(target.name);
                let made = inputs.len();
                inputs.extend(kept(target.name));
                assert!(made > 0, "{} has no seed", target.name);
                for (name, input) in &inputs {
                    assert!(
                        input.len() <= target.len_max,
                        "{}: {name} is too long",
                        target.name
                    );
                    (target.run)(input);
                }
                for number in 0..MUTATIONS {
                    let pick = |n: u64| &inputs[n as usize % inputs.len()].1;
                    let mut damaged = mutated(pick(number), pick(number / 7), number);
                    damaged.truncate(target.len_max);
                    (target.run)(&damaged);
                }
                println!(
                    "{}: {made} seeds, {} kept, {MUTATIONS} damaged",
                    target.name,
                    inputs.len() - made
                );
            }
        };
        scope.spawn(move || run(0));
        run(1);
    });
}

#[test]
fn kept_inputs_belong_to_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let name = entry.expect("a folder entry").file_name();
        assert!(
            TARGETS.iter().any(|target| *target.name == name),
            "{name:?} is no target"
        );
    }
}

//! One binary for all targets; `TACIT_FUZZ_TARGET` names the one to run. With `TACIT_FUZZ_SEEDS=FOLDER` it writes the
//! seeds of every target below that folder and ends. See `tests/fuzz/README.md`.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../src/fuzz/mod.rs"]
#[allow(dead_code, reason = "the workspace's test uses the rest")]
mod fuzz;

/// Chosen once, before the first input.
static TARGET: LazyLock<fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("TACIT_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<_> = fuzz::TARGETS.iter().map(|target| target.name).collect();
    let target = fuzz::TARGETS.into_iter().find(|target| target.name == name);
    target.unwrap_or_else(|| panic!("TACIT_FUZZ_TARGET={name:?} is none of {names:?}"))
});

fn prepare() {
    let Some(folder) = std::env::var_os("TACIT_FUZZ_SEEDS") else {
        LazyLock::force(&TARGET);
        return;
    };
    for target in fuzz::TARGETS {
        let folder = Path::new(&folder).join(target.name);
        std::fs::create_dir_all(&folder).expect("a folder for the seeds");
        for (name, bytes) in fuzz::seeds::seeds(target.name) {
            std::fs::write(folder.join(name), bytes).expect("a seed is written");
        }
        println!("{}", target.name);
    }
    std::process::exit(0);
}

fuzz_target!(
    init: prepare(),
    |data: &[u8]| {
        let target = *TARGET;
        if data.len() <= target.len_max {
            (target.run)(data);
        }
    }
);

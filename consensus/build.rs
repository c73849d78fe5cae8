//! Compiles planted bugs in where `TACIT_PLANT=1` asks for it: an examination of the test harness, never a feature
//! and never in the binary `tacit`.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(tacit_planted)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TACIT_PLANT");
    if std::env::var_os("TACIT_PLANT").is_some_and(|value| value == "1") {
        println!("cargo::rustc-cfg=tacit_planted");
    }
}

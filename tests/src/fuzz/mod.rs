//! What the fuzzer runs: one function for each parser that meets bytes from others. Each takes any bytes, panics on a
//! broken promise and on nothing else.
//!
//! Promises beside "no panic": what decodes encodes to the same bytes again; what a verifier accepts was signed by
//! somebody who has the key. `tests/fuzz` drives these functions by coverage; `tests/tests/fuzz_corpus.rs` runs them
//! over every seed and some thousands of damaged ones, with any compiler.

pub mod attest;
pub mod intel;
pub mod ledger;
pub mod mutate;
pub mod seeds;

/// A parser under fire.
#[derive(Clone, Copy)]
pub struct Target {
    /// Also the folder of its seeds.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// Inputs need not be longer: the bound of the format and a little more.
    pub len_max: usize,
}

/// Every target.
pub const TARGETS: [Target; 20] = [
    target("snp_report", attest::snp_report, 1200),
    target("snp_leaf", attest::snp_leaf, 4200),
    target("evidence", attest::evidence, 14_000),
    target("detect", attest::detect, 17_000),
    target("quote", intel::quote, 17_000),
    target("bare_quote", intel::bare_quote, 8300),
    target("pck_leaf", intel::pck_leaf, 4200),
    target("tcb_info", intel::tcb_info, 32_768),
    target("qe_identity", intel::qe_identity, 8192),
    target("revocation_list", intel::revocation_list, 8192),
    target("collateral_update", intel::collateral_update, 32_768),
    target("collateral", intel::collateral, 65_536),
    target("collateral_file", intel::collateral_file, 65_536),
    target("policy_borsh", attest::policy_borsh, 8192),
    target("policy_json", attest::policy_json, 16_384),
    target("registration", ledger::registration, 16_384),
    target("system_transaction", ledger::system_transaction, 32_768),
    target("genesis", ledger::genesis, 131_072),
    target("released_share", ledger::released_share, 16_384),
    target("state_file", ledger::state_file, 131_072),
];

const fn target(name: &'static str, run: fn(&[u8]), len_max: usize) -> Target {
    Target { name, run, len_max }
}

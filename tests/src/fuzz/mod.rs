//! What the fuzzer runs: one function for each parser that meets bytes from others. Each takes any bytes, panics on a
//! broken promise and on nothing else.
//!
//! Promises beside "no panic": what decodes encodes to the same bytes again; what a verifier accepts was signed by
//! somebody who has the key. `tests/fuzz` drives these functions by coverage; `tests/tests/fuzz_corpus.rs` runs them
//! over every seed and some thousands of damaged ones, with any compiler.

pub mod attest;
pub mod consensus;
pub mod intel;
pub mod ledger;
pub mod mutate;
pub mod node;
pub mod sealed;
pub mod seeds;
pub mod sync;

/// A parser under fire.
#[derive(Clone, Copy)]
pub struct Target {
    /// Also the folder of its seeds.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// Inputs need not be longer: the bound of the format and a little more.
    pub len_max: usize,
    /// Its share of a run by count, by what an input costs: what verifies signatures gets less.
    pub weight: u32,
}

/// Every target.
pub const TARGETS: [Target; 54] = [
    // What validators say to each other.
    target("message", consensus::message, 65_536, 600),
    target("live_core", consensus::live_core, 65_536, 24),
    target("safety_record", consensus::safety_record, 16_384, 60),
    target("commit_proof", consensus::commit_proof, 16_384, 40),
    target("equivocation", consensus::equivocation, 4096, 40),
    target("standing", consensus::standing, 8192, 12),
    // What users seal, and what comes back.
    target("envelope", sealed::envelope, 70_000, 600),
    target("opened_envelope", sealed::opened_envelope, 70_000, 4),
    target("batch", sealed::batch, 131_072, 20),
    target("call", sealed::call, 66_000, 60),
    target("executed_calls", sealed::executed_calls, 66_000, 4),
    target("query", sealed::query, 33_000, 60),
    target("sealed_query", sealed::sealed_query, 34_000, 4),
    target("answer", sealed::answer, 33_000, 60),
    target("receipt", sealed::receipt, 1024, 600),
    target("receipt_proof", sealed::receipt_proof, 16_384, 60),
    // What one takes who catches up.
    target("epoch_record", sync::epoch_record, 65_536, 600),
    target("epoch_link", sync::epoch_link, 65_536, 1),
    target("light_bundle", sync::light_bundle, 262_144, 4),
    target("contribution", sync::contribution, 16_384, 600),
    target("manifest", sync::manifest, 16_384, 600),
    target("public_snapshot", sync::public_snapshot, 131_072, 60),
    target("public_state", sync::public_state, 131_072, 5),
    target("checkpoint", sync::checkpoint, 16_384, 40),
    target("private_frame", sync::private_frame, 16_384, 600),
    target("committed_block", sync::committed_block, 65_536, 60),
    // What nodes and clients send.
    target("handshake", node::handshake, 4096, 10),
    target("frames", node::frames, 65_536, 600),
    target("direct", node::direct, 65_536, 600),
    target("gossip", node::gossip, 135_000, 600),
    target("fetch_request", node::fetch_request, 165_000, 600),
    target("fetch_response", node::fetch_response, 262_144, 20),
    target("posted", node::posted, 100_000, 600),
    target("config", node::config, 16_384, 40),
    // Evidence and what judges it.
    target("snp_report", attest::snp_report, 1200, 2),
    target("snp_leaf", attest::snp_leaf, 4200, 2),
    target("evidence", attest::evidence, 14_000, 2),
    target("detect", attest::detect, 17_000, 2),
    target("quote", intel::quote, 17_000, 2),
    target("bare_quote", intel::bare_quote, 8300, 2),
    target("pck_leaf", intel::pck_leaf, 4200, 2),
    target("tcb_info", intel::tcb_info, 32_768, 2),
    target("qe_identity", intel::qe_identity, 8192, 2),
    target("revocation_list", intel::revocation_list, 8192, 1),
    target("collateral_update", intel::collateral_update, 32_768, 4),
    target("collateral", intel::collateral, 65_536, 2),
    target("collateral_file", intel::collateral_file, 65_536, 10),
    target("policy_borsh", attest::policy_borsh, 8192, 2),
    target("policy_json", attest::policy_json, 16_384, 4),
    target("registration", ledger::registration, 16_384, 4),
    target("system_transaction", ledger::system_transaction, 32_768, 600),
    target("genesis", ledger::genesis, 131_072, 2),
    target("released_share", ledger::released_share, 16_384, 60),
    target("state_file", ledger::state_file, 131_072, 1),
];

const fn target(name: &'static str, run: fn(&[u8]), len_max: usize, weight: u32) -> Target {
    Target {
        name,
        run,
        len_max,
        weight,
    }
}

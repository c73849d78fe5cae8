//! What an operator's scraper reads.

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_name_is_exported_and_no_other() {
    let metrics = Arc::new(Metrics::new("0.0.0", "none"));
    metrics.tx_received("accepted");
    metrics.block_committed(Duration::from_millis(400), 3);
    metrics.commit_latency(Duration::from_millis(900));
    metrics.tx_open_failed("tx.not_openable");
    metrics.view_changed(ViewEnd::Certified);
    metrics.view_changed(ViewEnd::Timeout);
    metrics.fsync(Duration::from_micros(700));
    metrics.observe_network(&tacit_p2p::Metrics::default());
    metrics.api_request("/v1/status", 200, Duration::from_millis(1));
    metrics.peers.get_or_create(&[("role", "validator")]).set(3);
    metrics.ready.get_or_create(&[("check", "lag")]).set(1);
    metrics.attest_verified(Platform::Simulated, "accepted", Duration::from_millis(2));
    metrics.renewed("accepted");
    metrics.identity_conflict("val-0", "two_holders");
    metrics.phase.get_or_create(&[("phase", "voting")]).set(1);
    let labels = ValidatorOut {
        validator: "val-0".into(),
        code: "attest.leaf_expired",
    };
    metrics.validator_out.get_or_create(&labels).set(1.0);
    metrics.system_received("accepted");
    metrics
        .collateral_issued
        .get_or_create(&[("source", "amd_crl")])
        .set(1.0);
    let labels = ValidatorSet {
        validator: "val-0".into(),
        set: "today",
    };
    metrics.tcb_ok.get_or_create(&labels).set(1);
    metrics.evidence_expires.get_or_create(&labels).set(1.0);
    let text = metrics.encode();
    assert!(text.ends_with("# EOF\n"));
    let exported: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE tacit_"))
        .filter_map(|rest| rest.split(' ').next())
        .collect();
    assert_eq!(exported, NAMES.iter().copied().collect());
    assert!(text.contains("tacit_tx_committed_total 3\n"));
}

#[test]
fn totals_from_elsewhere_never_go_back() {
    let metrics = Metrics::new("0.0.0", "none");
    for bans in [5, 3] {
        metrics.observe_network(&tacit_p2p::Metrics {
            bans,
            ..Default::default()
        });
        assert!(metrics.encode().contains("tacit_p2p_bans_total 5\n"));
    }
}

#[test]
fn an_event_stream_counts_while_it_is_open() {
    let metrics = Arc::new(Metrics::new("0.0.0", "none"));
    let open = metrics.sse_client();
    assert!(metrics.encode().contains("tacit_sse_clients 1\n"));
    drop(open);
    assert!(metrics.encode().contains("tacit_sse_clients 0\n"));
}

//! Chains that keep to the rules pass, and are counted right.

use crate::{maker::*, story};

#[test]
fn an_honest_chain_of_several_epochs_passes() {
    let (genesis, folder) = story::chain();
    let summary = folder.audit(genesis).unwrap_or_else(|error| panic!("{} [{}]", error, error.code()));
    println!("{summary:#?}");
    assert_eq!(summary.chain, genesis.chain_id());
    assert_eq!(summary.blocks, summary.height);
    let _ = number;
}

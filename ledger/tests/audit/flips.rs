//! Any byte of a stored chain, whichever it is.

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use tacit_ledger::*;

use crate::story::story;

/// Bytes that are changed, one a chain.
const FLIPS: usize = 80;

/// Columns that follow from the blocks, and those themselves.
const CHAIN: [Column; 10] = [
    Column::Meta,
    Column::Blocks,
    Column::BlockIds,
    Column::Batches,
    Column::Txs,
    Column::System,
    Column::Receipts,
    Column::Results,
    Column::Epochs,
    Column::Public,
];

#[test]
fn no_byte_of_a_chain_changes_unnoticed() {
    let story = story();
    let mut rng = ChaCha20Rng::from_seed([8; 32]);
    let mut below = |bound: usize| (rng.next_u64() % bound as u64) as usize;
    // What the newest block did to the private state is stated by the next one, which is not there.
    let newest = (Column::Results, height_key(story.head).to_vec());
    for _ in 0..FLIPS {
        let column = CHAIN[below(CHAIN.len())];
        let entries: Vec<_> = story
            .folder
            .0
            .keys()
            .filter(|key| key.0 == column && **key != newest)
            .cloned()
            .collect();
        let entry = &entries[below(entries.len())];
        let mut folder = story.folder.clone();
        let bytes = folder.0.get_mut(entry).unwrap();
        let (place, bit) = (below(bytes.len()), below(8));
        bytes[place] ^= 1 << bit;
        let (length, key) = (bytes.len(), &entry.1);
        let error = folder.audit(&story.genesis);
        let error = error.expect_err(&format!(
            "{column:?} {key:02x?}, bit {bit} of byte {place} of {length}"
        ));
        assert!(codes::lookup(error.code()).is_some(), "{}", error.code());
    }
}

#[test]
fn no_entry_of_a_chain_goes_missing_unnoticed() {
    let story = story();
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let chain = story.folder.0.keys().filter(|(column, _)| {
        // Without the last two a folder says less, and nothing wrong.
        CHAIN.contains(column) && !matches!(column, Column::Meta | Column::Public)
    });
    let keys: Vec<_> = chain.cloned().collect();
    for _ in 0..FLIPS / 2 {
        let key = &keys[(rng.next_u64() % keys.len() as u64) as usize];
        let mut folder = story.folder.clone();
        folder.0.remove(key);
        let error = folder.audit(&story.genesis);
        error.expect_err(&format!("{key:02x?}"));
    }
}

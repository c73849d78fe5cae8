//! What the unit tests of this crate share.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tacit_consensus::{Digest, Ed25519Signer};

use crate::{account::AccountKey, call::Action, state::TokenAction};

/// Some network.
pub(crate) const CHAIN: Digest = Digest([0xc4; 32]);

/// A reproducible source of randomness.
pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Account number `n`, from 1.
pub(crate) fn account(n: u8) -> AccountKey {
    AccountKey::from_seed([n; 32]).ok().unwrap()
}

/// An Ed25519 signer, number `n`.
pub(crate) fn signer(n: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed([n; 32])
}

/// A transfer to account `to`.
pub(crate) fn transfer(to: u8, amount: u128) -> Action {
    Action::Token(TokenAction::Transfer {
        to: account(to).id(),
        amount,
    })
}

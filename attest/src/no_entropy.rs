//! wasm32-unknown-unknown has no source of entropy, and `getrandom` 0.2, which `rsa` reaches through `rand_core`,
//! does not compile there without being told where to find one.
//!
//! A verifier draws no randomness, so the function registered here always fails: code that asked for entropy
//! would get an error, never a constant. A program that needs entropy beside this verifier turns on the feature
//! `js` of `getrandom` 0.2, which takes precedence over this function.

use getrandom_old::{Error, register_custom_getrandom};

fn none(_: &mut [u8]) -> Result<(), Error> {
    Err(Error::UNSUPPORTED)
}

register_custom_getrandom!(none);

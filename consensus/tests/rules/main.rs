//! The protocol's rules, one story each, on cores in memory. `docs/protocol.md` numbers the rules.

mod epoch;
mod harness;
mod hostile;
mod leaders;
mod liveness;
mod restart;
mod rollback;

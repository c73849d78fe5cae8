//! Opening what clients hand in, off the threads that serve sockets. It is most of what a transaction costs before it is
//! ordered, so it is bounded: a flood is refused before anything is opened, and consensus keeps its share of the processor.

use std::sync::Arc;

use tacit_ledger::{Envelope, OpenError, OpenedEnvelope, SealingSecret, open_envelope};
use tokio::sync::Semaphore;

use crate::handle::{Problem, blocking};

/// Envelopes that wait to be opened, at most: a fraction of a second of work.
const PLACES: usize = 32;

/// The places, and who works on them.
pub(crate) struct Intake {
    places: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl Intake {
    /// With half of the processor's cores for it, one at least.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            places: Arc::new(Semaphore::new(PLACES)),
            workers: Arc::new(Semaphore::new((cores / 2).max(1))),
        }
    }

    /// Opens an envelope, or says what is wrong with it.
    ///
    /// # Errors
    /// `rpc.busy` when all places are taken: nothing was done.
    pub(crate) async fn open(
        &self,
        secret: Arc<SealingSecret>,
        envelope: Envelope,
    ) -> Result<(Envelope, Result<OpenedEnvelope, OpenError>), Problem> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{PLACES} envelopes wait to be opened");
            Problem::new("rpc.busy", detail)
        })?;
        // Never closed.
        let worker = self.workers.clone().acquire_owned().await.ok();
        blocking(move || {
            // A client that goes away ends its request, not this work: both are held until it is done.
            let _held = (place, worker);
            let opened = open_envelope(&secret, &envelope);
            (envelope, opened)
        })
        .await
    }
}

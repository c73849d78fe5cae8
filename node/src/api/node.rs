//! What the API asks of the node: a seam with two implementations, the running node and the tests' stage
//! node.
//!
//! Everything but `submit`, `submit_system` and `query` answers at once from memory; `store` may block on disk and is read on
//! blocking threads only. A refusal names a code of the table. After a restart the same questions get the
//! same answers for what is committed.

use std::sync::Arc;

use futures::future::BoxFuture;
use tacit_consensus::Digest;
use tacit_ledger::{EpochRecord, Genesis, PublicState, Store};
use tokio::sync::watch;

use crate::forecast::Forecast;
use crate::handle::{Accepted, NodeHandle, Problem, SystemAccepted, TxState};
use crate::metrics::Metrics;
use crate::status::Status;
use crate::system_waiting::SystemState;

/// See [`NodeHandle`], whose methods these are.
pub(crate) trait Node: Send + Sync + 'static {
    fn store(&self) -> &Arc<dyn Store + Send + Sync>;
    fn genesis(&self) -> &Arc<Genesis>;
    fn chain_id(&self) -> Digest;
    fn status(&self) -> Arc<Status>;
    fn head(&self) -> watch::Receiver<u64>;
    fn current(&self) -> Arc<EpochRecord>;
    fn submit(&self, envelope: Vec<u8>) -> BoxFuture<'_, Result<Accepted, Problem>>;
    fn query(&self, sealed: Vec<u8>) -> BoxFuture<'_, Result<Vec<u8>, Problem>>;
    fn tx_state(&self, id: &Digest) -> TxState;
    /// The public state after the newest block that changed it.
    fn public(&self) -> Arc<PublicState>;
    fn submit_system(&self, tx: Vec<u8>) -> BoxFuture<'_, Result<SystemAccepted, Problem>>;
    fn system_state(&self, id: &Digest) -> SystemState;
    /// The newest forecast; empty until the first is made.
    fn forecast(&self) -> Arc<Forecast>;
    fn metrics(&self) -> Arc<Metrics>;
    /// The measurements, after taking over what is measured elsewhere.
    fn scrape(&self) -> Arc<Metrics>;
}

impl Node for NodeHandle {
    fn store(&self) -> &Arc<dyn Store + Send + Sync> {
        NodeHandle::store(self)
    }

    fn genesis(&self) -> &Arc<Genesis> {
        NodeHandle::genesis(self)
    }

    fn chain_id(&self) -> Digest {
        NodeHandle::chain_id(self)
    }

    fn status(&self) -> Arc<Status> {
        NodeHandle::status(self)
    }

    fn head(&self) -> watch::Receiver<u64> {
        NodeHandle::head(self)
    }

    fn current(&self) -> Arc<EpochRecord> {
        NodeHandle::current(self)
    }

    fn submit(&self, envelope: Vec<u8>) -> BoxFuture<'_, Result<Accepted, Problem>> {
        Box::pin(NodeHandle::submit(self, envelope))
    }

    fn query(&self, sealed: Vec<u8>) -> BoxFuture<'_, Result<Vec<u8>, Problem>> {
        Box::pin(NodeHandle::query(self, sealed))
    }

    fn tx_state(&self, id: &Digest) -> TxState {
        NodeHandle::tx_state(self, id)
    }

    fn public(&self) -> Arc<PublicState> {
        NodeHandle::public(self)
    }

    fn submit_system(&self, tx: Vec<u8>) -> BoxFuture<'_, Result<SystemAccepted, Problem>> {
        Box::pin(NodeHandle::submit_system(self, tx))
    }

    fn system_state(&self, id: &Digest) -> SystemState {
        NodeHandle::system_state(self, id)
    }

    fn forecast(&self) -> Arc<Forecast> {
        NodeHandle::forecast(self)
    }

    fn metrics(&self) -> Arc<Metrics> {
        NodeHandle::metrics(self)
    }

    fn scrape(&self) -> Arc<Metrics> {
        let metrics = NodeHandle::metrics(self);
        metrics.observe(&NodeHandle::status(self));
        metrics.observe_network(&self.shared.network.metrics());
        metrics
    }
}

//! The replica's own thread: one input at a time, with the clock's reading, and what follows carried out.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use tacit_consensus::Height;
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::outbound::Outbound;
use crate::{
    NodeError, clock,
    handle::ToReplica,
    metrics::ViewEnd,
    replica::{Effect, Input, Refused, Replica, SystemSource},
    shared::{Shared, Snapshot},
};

/// Runs the replica until it is told to stop or cannot go on safely. The thread's result says which.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn spawn_replica(
    replica: Replica,
    first: Vec<Effect>,
    shared: Arc<Shared>,
    sender: mpsc::Sender<ToReplica>,
    receiver: mpsc::Receiver<ToReplica>,
) -> Result<JoinHandle<Result<(), Refused>>, NodeError> {
    let handle = Handle::current();
    std::thread::Builder::new()
        .name("replica".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .map_err(|e| Refused::new("internal", format!("no timer for the replica: {e}")))?;
            let outbound = Outbound::new(shared.clone(), sender, handle);
            runtime.block_on(
                Driver {
                    replica,
                    shared,
                    outbound,
                    view: 0,
                    public: None,
                }
                .run(first, receiver),
            )
        })
        .map_err(|e| NodeError::Network(format!("the replica's thread: {e}")))
}

struct Driver {
    replica: Replica,
    shared: Arc<Shared>,
    outbound: Outbound,
    view: u64,
    /// The height of the public state that was published last.
    public: Option<Height>,
}

impl Driver {
    async fn run(mut self, first: Vec<Effect>, mut inputs: mpsc::Receiver<ToReplica>) -> Result<(), Refused> {
        self.after(first)?;
        loop {
            let now = clock::now_ms();
            let wakes = [self.replica.next_wake(), self.outbound.next_wake()];
            let next = wakes.into_iter().flatten().min();
            let wait = next.map_or(1_000, |at| at.saturating_sub(now).min(1_000));
            let command = tokio::select! {
                biased;
                command = inputs.recv() => command,
                () = sleep_until(Instant::now() + Duration::from_millis(wait)) => {
                    Some(ToReplica::Input(Input::Tick))
                }
            };
            let input = match command {
                None | Some(ToReplica::Stop) => return Ok(()),
                Some(ToReplica::Input(input)) => input,
                Some(ToReplica::Submit(envelope, opened, answer)) => {
                    let reply = self.outbound.expect_submitted(answer);
                    Input::Submit {
                        reply,
                        envelope,
                        opened,
                    }
                }
                Some(ToReplica::System(tx, answer)) => {
                    let reply = self.outbound.expect_system(answer);
                    let source = SystemSource::Client { reply };
                    Input::System { source, tx }
                }
                Some(ToReplica::Query(query, answer)) => {
                    let reply = self.outbound.expect_answered(answer);
                    Input::Query { reply, query }
                }
                Some(ToReplica::WantKem(answer)) => {
                    let reply = self.outbound.expect_kem(answer);
                    Input::WantKem { reply }
                }
                Some(ToReplica::WantShare(from, epoch, channel)) => {
                    let reply = self.outbound.expect_answer(channel);
                    Input::WantShare { reply, from, epoch }
                }
                Some(ToReplica::Ask(from, question, channel)) => {
                    let reply = self.outbound.expect_answer(channel);
                    Input::Asked {
                        reply,
                        from,
                        question,
                    }
                }
                Some(ToReplica::WantBatches(digests, channel)) => {
                    let reply = self.outbound.expect_answer(channel);
                    Input::WantBatches { reply, digests }
                }
            };
            self.step(input)?;
            // A busy channel must not keep a timer from firing.
            if self.replica.next_wake().is_some_and(|at| at <= clock::now_ms()) {
                self.step(Input::Tick)?;
            }
        }
    }

    fn step(&mut self, input: Input) -> Result<(), Refused> {
        let effects = self.replica.step(clock::now_ms(), input);
        self.after(effects)
    }

    fn after(&mut self, effects: Vec<Effect>) -> Result<(), Refused> {
        self.publish();
        self.outbound.carry(effects)
    }

    /// What the rest of the process sees of the replica.
    fn publish(&mut self) {
        let head = self.replica.head();
        let view = self.replica.view();
        let params = &self.shared.genesis.params;
        let snapshot = Snapshot {
            height: head.height,
            head: head.id,
            head_time_ms: head.time_ms,
            best_known: self.replica.best_known(),
            view: view.map_or(0, |v| v.0),
            leader: view.map(|v| v.1),
            timeout_ms: view.map_or(0, |v| v.2),
            mempool: self.replica.mempool_size(),
            system: self.replica.system_size(),
            certified_executed: self.replica.certified_executed(),
            turned_ms: clock::now_ms(),
            // A heartbeat may be missed by one crashed leader and a full timeout before it is worth a word.
            probation: self.replica.probation(),
            rolled_back: self.replica.rolled_back(),
            idle_ok_until_ms: 2 * (params.heartbeat_ms + params.base_timeout_ms),
            seat: self.replica.me(),
            votes: view.is_some(),
            has_state: self.replica.supply().is_some(),
            fetching: self.replica.snapshot_progress(),
            first_kept: self.replica.first_kept(),
        };
        if self.public != Some(self.replica.public_changed()) {
            self.public = Some(self.replica.public_changed());
            let public = Arc::new(self.replica.public().clone());
            self.shared.public.send_replace(public);
        }
        if snapshot.view > self.view {
            // The highest certificate is of the view just left, unless that one timed out.
            let timed_out = self
                .replica
                .high_view()
                .is_some_and(|high| high + 1 < snapshot.view);
            let end = if timed_out {
                ViewEnd::Timeout
            } else {
                ViewEnd::Certified
            };
            self.shared.metrics.view_changed(end);
        }
        self.view = snapshot.view;
        *self
            .shared
            .snapshot
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = snapshot;
    }
}

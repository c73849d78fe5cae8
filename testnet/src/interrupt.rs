//! SIGINT, SIGTERM and SIGHUP as a flag that waiting loops look at.
//!
//! Nodes live in process groups of their own, so Ctrl-C does not reach them: whoever started them has to notice it
//! and stop them. Once listened to, these signals no longer end the process by themselves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, io_error};

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Whether the process was told to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// A flag that nothing ever sets.
    pub(crate) fn never() -> Interrupt {
        Interrupt(Arc::new(AtomicBool::new(false)))
    }

    /// Starts to listen, once a process. When this returns, a signal that arrives is seen.
    pub(crate) fn listen() -> Result<Interrupt, Error> {
        if let Some(flag) = FLAG.get() {
            return Ok(Interrupt(flag.clone()));
        }
        let flag = Arc::new(AtomicBool::new(false));
        let (listening, wait) = mpsc::channel();
        let seen = flag.clone();
        let fail = io_error("listen for signals on", std::path::Path::new("this process"));
        let thread = thread::Builder::new().name("signals".into()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(e) => return drop(listening.send(Err(e))),
            };
            runtime.block_on(async {
                let kinds = [
                    SignalKind::interrupt(),
                    SignalKind::terminate(),
                    SignalKind::hangup(),
                ];
                let streams: std::io::Result<Vec<_>> = kinds.into_iter().map(signal).collect();
                let mut streams = match streams {
                    Ok(streams) => streams,
                    Err(e) => return drop(listening.send(Err(e))),
                };
                let _ = listening.send(Ok(()));
                let [a, b, c] = streams.as_mut_slice() else { return };
                loop {
                    tokio::select! { _ = a.recv() => {}, _ = b.recv() => {}, _ = c.recv() => {} }
                    seen.store(true, Ordering::SeqCst);
                }
            });
        });
        let ended = || std::io::Error::other("the signal thread ended");
        let outcome = thread.and_then(|_| wait.recv().unwrap_or_else(|_| Err(ended())));
        outcome.map_err(fail)?;
        Ok(Interrupt(FLAG.get_or_init(|| flag).clone()))
    }

    /// Err once a signal has come.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::SeqCst) {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }
}

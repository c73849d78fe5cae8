//! The network of both engines: what is sent stays in memory, each link has the same delay, and links can be cut.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// What arrives: who sent it, and what, shared by all receivers.
pub(crate) struct Frame<T: ?Sized> {
    pub(crate) from: u16,
    pub(crate) body: Arc<T>,
}

/// A frame that has not arrived: when it will, where.
type Flight<T> = (Instant, u16, Frame<T>);

/// One replica's hand on the network.
pub(crate) struct Port<T: ?Sized> {
    me: u16,
    inboxes: Vec<Sender<Frame<T>>>,
    cut: Arc<Vec<AtomicBool>>,
    /// Where frames wait for their time; none where links have no delay.
    flights: Option<(Duration, Sender<Flight<T>>)>,
}

impl<T: ?Sized> Clone for Port<T> {
    fn clone(&self) -> Self {
        Self {
            me: self.me,
            inboxes: self.inboxes.clone(),
            cut: self.cut.clone(),
            flights: self.flights.clone(),
        }
    }
}

/// Cuts a replica off for good: a crash, as the others see it.
#[derive(Clone)]
pub(crate) struct Scissors(Arc<Vec<AtomicBool>>);

impl Scissors {
    pub(crate) fn cut(&self, replica: u16) {
        self.0[usize::from(replica)].store(true, Ordering::Relaxed);
    }
}

/// One replica's port, and where its frames arrive.
pub(crate) type End<T> = (Port<T>, Receiver<Frame<T>>);

/// A network of `n`, all links with this delay: one port and inbox each.
pub(crate) fn network<T>(n: u16, delay: Duration) -> (Vec<End<T>>, Scissors)
where
    T: ?Sized + Send + Sync + 'static,
{
    let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..n).map(|_| channel()).unzip();
    let cut = Arc::new((0..n).map(|_| AtomicBool::new(false)).collect::<Vec<_>>());
    let flights = (!delay.is_zero()).then(|| {
        let (sender, receiver) = channel();
        let inboxes = inboxes.clone();
        std::thread::spawn(move || carry(&receiver, &inboxes));
        (delay, sender)
    });
    let port = |me| Port {
        me,
        inboxes: inboxes.clone(),
        cut: cut.clone(),
        flights: flights.clone(),
    };
    let ports = (0..n).map(port).zip(receivers).collect();
    (ports, Scissors(cut.clone()))
}

impl<T: ?Sized> Port<T> {
    pub(crate) fn me(&self) -> u16 {
        self.me
    }

    /// To everybody else.
    pub(crate) fn broadcast(&self, body: &Arc<T>) {
        for to in 0..self.inboxes.len() as u16 {
            if to != self.me {
                self.send(to, body);
            }
        }
    }

    /// To one; to oneself without delay.
    pub(crate) fn send(&self, to: u16, body: &Arc<T>) {
        let cut = |replica: u16| self.cut[usize::from(replica)].load(Ordering::Relaxed);
        if to != self.me && (cut(self.me) || cut(to)) {
            return;
        }
        let frame = Frame {
            from: self.me,
            body: body.clone(),
        };
        match &self.flights {
            // A receiver that has gone away has stopped for good.
            Some((delay, flights)) if to != self.me => {
                let _ = flights.send((Instant::now() + *delay, to, frame));
            }
            _ => {
                let _ = self.inboxes[usize::from(to)].send(frame);
            }
        }
    }
}

/// Delivers each frame at its time, in the order of sending.
fn carry<T: ?Sized>(flights: &Receiver<Flight<T>>, inboxes: &[Sender<Frame<T>>]) {
    let mut waiting: BTreeMap<(Instant, u64), (u16, Frame<T>)> = BTreeMap::new();
    let mut number = 0;
    loop {
        while let Some(next) = waiting
            .first_entry()
            .filter(|next| next.key().0 <= Instant::now())
        {
            let (to, frame) = next.remove();
            let _ = inboxes[usize::from(to)].send(frame);
        }
        let taken = match waiting.first_key_value() {
            Some(((at, _), _)) => flights.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => flights.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match taken {
            Ok((at, to, frame)) => {
                number += 1;
                waiting.insert((at, number), (to, frame));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

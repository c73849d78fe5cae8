//! Direct messages that wait for one peer. The application pushes, one of the peer's connections takes; the swarm
//! task is not on the way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use libp2p::swarm::ConnectionId;

use crate::frame::Frame;
use crate::limits::Limits;

/// A bounded queue. With two connections to the peer the newer one takes, since the older may be dead and silent.
#[derive(Debug)]
pub(crate) struct Queue {
    max_messages: usize,
    max_bytes: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<Frame>,
    bytes: usize,
    owner: Option<ConnectionId>,
    /// Connections whose writer waits here; at most as many as the peer has connections.
    wakers: BTreeMap<ConnectionId, Waker>,
}

impl Queue {
    pub(crate) fn new(limits: &Limits) -> Self {
        let size = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        Self {
            max_messages: size(limits.queue_messages),
            max_bytes: size(limits.queue_bytes),
            inner: Mutex::default(),
        }
    }

    /// Appends a message; returns how many old ones had to go.
    pub(crate) fn push(&self, frame: Frame) -> u64 {
        let mut inner = self.lock();
        inner.bytes += frame.bytes.len();
        inner.frames.push_back(frame);
        let mut dropped = 0;
        while inner.frames.len() > self.max_messages || inner.bytes > self.max_bytes {
            let Some(old) = inner.frames.pop_front() else {
                break;
            };
            inner.bytes -= old.bytes.len();
            dropped += 1;
        }
        let waker = inner.owner.and_then(|owner| inner.wakers.remove(&owner));
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        dropped
    }

    /// Makes this connection, just ready, the one that takes.
    pub(crate) fn claim(&self, connection: ConnectionId) {
        self.lock().owner = Some(connection);
    }

    /// This connection takes no more; another of the peer's may.
    pub(crate) fn release(&self, connection: ConnectionId) {
        let mut inner = self.lock();
        inner.wakers.remove(&connection);
        if inner.owner != Some(connection) {
            return;
        }
        inner.owner = None;
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        wakers.into_values().for_each(Waker::wake);
    }

    /// The next message for this connection to write.
    pub(crate) fn poll_take(&self, connection: ConnectionId, cx: &mut Context<'_>) -> Poll<Frame> {
        let mut inner = self.lock();
        if *inner.owner.get_or_insert(connection) == connection
            && let Some(frame) = inner.frames.pop_front()
        {
            inner.bytes -= frame.bytes.len();
            return Poll::Ready(frame);
        }
        inner.wakers.insert(connection, cx.waker().clone());
        Poll::Pending
    }

    /// Whether nothing waits: time to flush.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().frames.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Channel;

    fn frame(byte: u8, len: usize) -> Frame {
        Frame {
            channel: Channel::Consensus,
            bytes: vec![byte; len].into(),
        }
    }

    fn take(queue: &Queue, connection: usize) -> Option<u8> {
        let mut cx = Context::from_waker(Waker::noop());
        match queue.poll_take(ConnectionId::new_unchecked(connection), &mut cx) {
            Poll::Ready(frame) => frame.bytes.first().copied(),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_oldest_goes_when_messages_or_bytes_are_too_many() {
        let limits = Limits {
            queue_messages: 3,
            queue_bytes: 100,
            ..Limits::default()
        };
        let queue = Queue::new(&limits);
        assert_eq!((0..5).map(|b| queue.push(frame(b, 1))).sum::<u64>(), 2);
        assert_eq!(
            queue.push(frame(9, 99)),
            2,
            "two of the three would make 101 bytes"
        );
        assert_eq!(
            (take(&queue, 1), take(&queue, 1), take(&queue, 1)),
            (Some(4), Some(9), None)
        );
    }

    #[test]
    fn the_newest_connection_takes_until_it_is_gone() {
        let queue = Queue::new(&Limits::default());
        queue.claim(ConnectionId::new_unchecked(1));
        queue.claim(ConnectionId::new_unchecked(2));
        (0..3).for_each(|b| assert_eq!(queue.push(frame(b, 1)), 0));
        assert_eq!((take(&queue, 1), take(&queue, 2)), (None, Some(0)));
        queue.release(ConnectionId::new_unchecked(2));
        assert_eq!((take(&queue, 1), take(&queue, 1)), (Some(1), Some(2)));
        assert!(queue.is_empty());
    }
}

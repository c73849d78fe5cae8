//! Who the others are: releases and protocol versions, told when two nodes connect; and whether one identity is held
//! twice.

use std::collections::BTreeMap;

use tacit_consensus::Millis;

use super::{Effect, NodeKey, Offence, Replica};
use crate::wire::{FetchRequest, FetchResponse, Hello};

/// For so long an earlier process of an identity may still be heard after a later one, in milliseconds: what was on its way.
const OVERLAP_MS: Millis = 5_000;
/// Peers whose word is kept.
const MAX_PEERS: usize = 1_024;

/// What the others said of themselves.
#[derive(Default)]
pub(super) struct Met {
    hellos: BTreeMap<NodeKey, Hello>,
    inflight: BTreeMap<u64, NodeKey>,
    /// Of each seat, in the epoch in force.
    holders: BTreeMap<u16, Holder>,
}

/// The processes heard with one identity.
struct Holder {
    newest: Process,
    before: Option<Process>,
    reported: bool,
}

/// One process, and when it was heard.
#[derive(Clone, Copy)]
struct Process {
    incarnation: u64,
    first: Millis,
    last: Millis,
}

impl Process {
    fn heard(incarnation: u64, now: Millis) -> Self {
        Self {
            incarnation,
            first: now,
            last: now,
        }
    }

    /// Whether it was still heard long after another had begun.
    fn outlives_the_start_of(&self, other: &Self) -> bool {
        self.last >= other.first.saturating_add(OVERLAP_MS)
    }
}

impl Met {
    /// Whether this is a question of ours.
    pub(super) fn is(&self, request: u64) -> bool {
        self.inflight.contains_key(&request)
    }

    pub(super) fn forget_holders(&mut self) {
        self.holders.clear();
    }

    /// A process of a seat is heard. True when that is the first proof that two are alive: each is heard long after the
    /// other began. (What an earlier one said may arrive after the words of a later one.)
    fn hear(&mut self, seat: u16, incarnation: u64, now: Millis) -> bool {
        let holder = self.holders.entry(seat).or_insert(Holder {
            newest: Process::heard(incarnation, now),
            before: None,
            reported: false,
        });
        if holder.newest.incarnation == incarnation {
            holder.newest.last = now;
        } else if let Some(before) = holder
            .before
            .as_mut()
            .filter(|one| one.incarnation == incarnation)
        {
            before.last = now;
        } else {
            holder.before = Some(holder.newest);
            holder.newest = Process::heard(incarnation, now);
        }
        let newest = holder.newest;
        let both =
            |before: Process| before.outlives_the_start_of(&newest) && newest.outlives_the_start_of(&before);
        holder.before.is_some_and(both) && !std::mem::replace(&mut holder.reported, true)
    }
}

impl Replica {
    /// What this node says of itself.
    pub(super) fn hello(&self) -> Hello {
        Hello {
            release: env!("CARGO_PKG_VERSION").into(),
            protocol_min: *self.protocols.start(),
            protocol_max: *self.protocols.end(),
            incarnation: self.incarnation,
        }
    }

    /// A peer is connected.
    pub(super) fn say_hello(&mut self, peer: NodeKey) {
        if self.met.inflight.len() >= MAX_PEERS {
            return;
        }
        let request = self.sync.number();
        self.met.inflight.insert(request, peer);
        let what = FetchRequest::Hello(self.hello());
        self.out.push(Effect::Request {
            request,
            to: peer,
            what,
        });
    }

    /// A peer is gone: what it said of itself may change before it returns.
    pub(super) fn part(&mut self, peer: &NodeKey) {
        self.met.hellos.remove(peer);
    }

    /// The answer to [`FetchRequest::Hello`].
    pub(super) fn took_hello(
        &mut self,
        now: Millis,
        request: u64,
        from: NodeKey,
        response: Option<FetchResponse>,
    ) {
        self.met.inflight.remove(&request);
        match response {
            Some(FetchResponse::Hello(hello)) => self.meet(now, from, hello),
            Some(_) => self.out.push(Effect::Penalise {
                peer: from,
                offence: Offence::Invalid,
            }),
            None => {}
        }
    }

    /// A peer says who it is.
    pub(super) fn meet(&mut self, now: Millis, peer: NodeKey, hello: Hello) {
        if !hello.is_sound() {
            self.out.push(Effect::Penalise {
                peer,
                offence: Offence::Malformed,
            });
            return;
        }
        self.hear(now, &peer, hello.incarnation);
        if self.met.hellos.get(&peer) == Some(&hello) {
            return;
        }
        if self.met.hellos.len() < MAX_PEERS {
            self.met.hellos.insert(peer, hello.clone());
            self.judge_peer(peer, hello);
        }
    }

    /// The protocol version in force may be another now.
    pub(super) fn judge_peers(&mut self) {
        let met: Vec<(NodeKey, Hello)> = self.met.hellos.clone().into_iter().collect();
        for (peer, hello) in met {
            self.judge_peer(peer, hello);
        }
    }

    fn judge_peer(&mut self, peer: NodeKey, hello: Hello) {
        let protocol = self.record.protocol;
        let speaks = hello.speaks(protocol);
        if !speaks {
            let seat = self.index_of.get(&peer).copied();
            let seat = seat.and_then(|seat| self.record.validators.get(usize::from(seat)));
            let peer: String = peer.iter().map(|byte| format!("{byte:02x}")).collect();
            tracing::warn!(
                code = "peer.protocol",
                peer,
                validator = seat.map(|seat| seat.name.as_str()),
                release = hello.release,
                speaks_from = hello.protocol_min,
                speaks_to = hello.protocol_max,
                needs = protocol,
                "a peer does not speak the protocol version in force: it cannot follow this chain before it is upgraded"
            );
        }
        self.out.push(Effect::Met { peer, hello, speaks });
    }

    /// A process with the identity of a peer is heard.
    pub(super) fn hear(&mut self, now: Millis, peer: &NodeKey, incarnation: u64) {
        let Some(seat) = self.index_of.get(peer).copied() else {
            return;
        };
        if self.met.hear(seat, incarnation, now) {
            self.out.push(Effect::TwoHolders { validator: seat });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_no_conflict_and_two_that_go_on_speaking_are_one() {
        let mut met = Met::default();
        for (process, at) in [
            (1, 0),
            (1, 9_000),
            (2, 9_500),
            (1, 9_510),
            (2, 60_000),
            (3, 61_000),
        ] {
            assert!(!met.hear(0, process, at), "{process} at {at}");
        }
        assert!(!met.hear(0, 2, 61_200), "on its way when the next one began");
        assert!(!met.hear(0, 3, 65_000));
        assert!(met.hear(0, 2, 66_000), "heard five seconds after the next one");
        assert!(!met.hear(0, 2, 67_000), "said once");
        assert!(!met.hear(1, 3, 67_000), "another seat");
        // All start at once, and what the earlier one said is late.
        for (process, at) in [(5, 0), (4, 10), (5, 20), (5, 70_000)] {
            assert!(!met.hear(2, process, at), "{process} at {at}");
        }
    }

    #[test]
    fn each_epoch_says_it_anew() {
        let mut met = Met::default();
        let mut conflict = || {
            met.forget_holders();
            (0..10).any(|second| met.hear(0, second % 2, second * 1_000))
        };
        assert!(conflict());
        assert!(conflict());
    }
}

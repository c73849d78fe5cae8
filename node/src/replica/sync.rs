//! Catching up: committed blocks from peers, each verified by its own proof with the committee that this node
//! learned through the epochs; and batches that a block names and this node lacks.

use std::collections::{BTreeMap, BTreeSet};

use tacit_consensus::{Block, Digest, Height, Input as CoreInput, Millis};
use tacit_ledger::{Batch, CommittedBlock, Durability, WriteBatch, block_receipts_root, chain_receipts};

use super::{Effect, NodeKey, Offence, Replica};
use crate::wire::{
    Announcement, FETCH_ANSWER_TARGET_BYTES, FetchRequest, FetchResponse, MAX_BATCHES_PER_FETCH,
    MAX_BLOCKS_PER_FETCH, SyncBlock,
};

/// How long a validator waits for consensus itself to bring what a peer announced.
const PATIENCE_MS: Millis = 400;
/// How long an answer may take before another peer is asked.
const ANSWER_MS: Millis = 5_000;
/// How often a missing batch is asked for before it is forgotten: by then every validator was asked a few times.
const MAX_TRIES: u32 = 64;
/// How long before missing batches are asked for again.
const BATCH_RETRY_MS: Millis = 500;

/// What catching up needs to remember.
#[derive(Default)]
pub(super) struct Sync {
    /// The highest height of which this node has seen a certificate.
    certain: Height,
    peers: BTreeSet<NodeKey>,
    /// Peers that had nothing to give since one last had: all others are asked before them.
    spent: BTreeSet<NodeKey>,
    /// Peers that do not keep the next blocks any more.
    pruned: BTreeSet<NodeKey>,
    informed: BTreeMap<NodeKey, Height>,
    inflight: Option<Inflight>,
    behind_since: Option<Millis>,
    last_asked: Option<NodeKey>,
    next_request: u64,
    wanted: BTreeMap<Digest, Wanted>,
    /// Receipts up to this height may not be what a quorum states, until a final header has named that height.
    pub(super) doubted: Height,
    /// Requests for batches under way: each is answered or fails, so there are few.
    batches: BTreeSet<u64>,
}

struct Inflight {
    request: u64,
    since: Millis,
}

/// Why a fetched block was not applied.
enum Unapplied {
    /// It is not what a peer may send.
    Refused(String),
    /// This node failed, and has halted.
    Halted,
}

struct Wanted {
    since: Millis,
    asked: usize,
    tries: u32,
}

/// Whether an answer ends because it is long, and not because its sender has no more.
fn is_full(blocks: &[SyncBlock]) -> bool {
    let bytes = blocks
        .iter()
        .map(|block| borsh::object_length(block).unwrap_or(0));
    // The next block did not fit, and one may be almost as long as an answer.
    blocks.len() >= usize::from(MAX_BLOCKS_PER_FETCH) || bytes.sum::<usize>() > FETCH_ANSWER_TARGET_BYTES / 4
}

impl Sync {
    pub(super) fn heard_of(&mut self, height: Height) {
        self.certain = self.certain.max(height);
    }

    /// The highest height that is worth asking for: anybody's claim will do.
    fn claimed(&self) -> Height {
        self.informed
            .values()
            .copied()
            .max()
            .unwrap_or(0)
            .max(self.certain)
    }

    /// The highest height that at least one honest validator claims, when at most `f` lie.
    pub(super) fn best_known(&self, f: usize) -> Height {
        let mut claims: Vec<Height> = self.informed.values().copied().collect();
        claims.sort_unstable_by(|a, b| b.cmp(a));
        claims.get(f).copied().unwrap_or(0).max(self.certain)
    }

    /// A peer does not have what was said of it: what only it was said to have is not known to exist.
    fn unlearn(&mut self, peer: &NodeKey) {
        self.informed.remove(peer);
        self.spent.insert(*peer);
    }

    pub(super) fn next_wake(&self) -> Option<Millis> {
        let answer = self.inflight.as_ref().map(|i| i.since + ANSWER_MS);
        let patience = self
            .behind_since
            .filter(|_| self.inflight.is_none())
            .map(|at| at + PATIENCE_MS);
        let batches = self.wanted.values().map(|w| w.since + BATCH_RETRY_MS).min();
        [answer, patience, batches].into_iter().flatten().min()
    }

    /// Connected peers.
    pub(super) fn peers(&self) -> &BTreeSet<NodeKey> {
        &self.peers
    }

    /// Receipts up to this height were taken without a final header that states them, or by an earlier process.
    pub(super) fn doubt(&mut self, height: Height) {
        self.doubted = self.doubted.max(height);
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }
}

impl Replica {
    /// A new peer may know more than we do: the cheapest way to learn is to ask.
    pub(super) fn sync_on_connect(&mut self, now: Millis, peer: NodeKey) {
        self.sync.peers.insert(peer);
        self.jump_at_start(now);
        if let Some(fetching) = self.fetching.as_mut() {
            fetching.connected();
        }
        if self.holds_blocks() {
            self.jump_on(now);
            self.fetch_on(now);
        } else if self.sync.inflight.is_none() {
            self.ask_blocks(now, peer);
        }
    }

    pub(super) fn sync_on_disconnect(&mut self, peer: &NodeKey) {
        self.sync.peers.remove(peer);
        self.sync.spent.remove(peer);
        self.sync.pruned.remove(peer);
        if let Some(fetching) = self.fetching.as_mut() {
            fetching.disconnected(peer);
        }
    }

    pub(super) fn announced(&mut self, now: Millis, from: NodeKey, announcement: &Announcement) {
        if announcement.chain != self.chain {
            return;
        }
        let informed = self.sync.informed.entry(from).or_default();
        *informed = announcement.height.max(*informed);
        if announcement.height <= self.head.height {
            return;
        }
        if self.core.is_none() {
            self.sync_now(now);
        } else {
            self.sync.behind_since.get_or_insert(now);
        }
    }

    /// A peer is known to be at `height` or beyond.
    pub(super) fn sync_hint(&mut self, now: Millis, peer: NodeKey, height: Height) {
        self.sync.peers.insert(peer);
        let informed = self.sync.informed.entry(peer).or_default();
        *informed = height.max(*informed);
        self.sync_now(now);
    }

    pub(super) fn sync_tick(&mut self, now: Millis) {
        if self
            .sync
            .inflight
            .as_ref()
            .is_some_and(|i| i.since + ANSWER_MS <= now)
        {
            self.sync.inflight = None;
            self.sync_now(now);
        }
        if self.sync.behind_since.is_some_and(|at| at + PATIENCE_MS <= now) {
            self.sync.behind_since = None;
            self.sync_now(now);
        }
        let late: Vec<Digest> = self
            .sync
            .wanted
            .iter()
            .filter(|(_, wanted)| wanted.since + BATCH_RETRY_MS <= now)
            .map(|(digest, _)| *digest)
            .collect();
        if !late.is_empty() {
            self.ask_batches(now, late);
        }
    }

    /// Asks for the next blocks, if there are any and nothing is under way.
    pub(super) fn sync_now(&mut self, now: Millis) {
        if self.sync.inflight.is_some() || self.sync.claimed() <= self.head.height || self.holds_blocks() {
            return;
        }
        if self.sync.peers.is_subset(&self.sync.spent) {
            // Everybody was asked: the round begins again.
            self.sync.spent.clear();
        }
        let ahead = |peer: &&NodeKey| {
            self.sync
                .informed
                .get(*peer)
                .is_some_and(|height| *height > self.head.height)
        };
        // Peers in turn, those known to be ahead first.
        let after = |peer: &&NodeKey| self.sync.last_asked.is_none_or(|last| **peer > last);
        let peers: Vec<&NodeKey> = self.sync.peers.difference(&self.sync.spent).collect();
        let find = |wanted: &dyn Fn(&&NodeKey) -> bool| peers.iter().copied().find(wanted);
        let chosen = find(&|p| ahead(p) && after(p))
            .or_else(|| find(&ahead))
            .or_else(|| find(&after))
            .or_else(|| find(&|_| true))
            .copied();
        match chosen {
            Some(peer) => self.ask_blocks(now, peer),
            None => self.sync.behind_since = Some(now),
        }
    }

    fn ask_blocks(&mut self, now: Millis, peer: NodeKey) {
        let request = self.sync.number();
        self.sync.inflight = Some(Inflight { request, since: now });
        self.sync.last_asked = Some(peer);
        let what = FetchRequest::Blocks {
            from: self.head.height + 1,
            limit: MAX_BLOCKS_PER_FETCH,
        };
        self.out.push(Effect::Request {
            request,
            to: peer,
            what,
        });
    }

    pub(super) fn fetched(
        &mut self,
        now: Millis,
        request: u64,
        from: NodeKey,
        response: Option<FetchResponse>,
    ) {
        if self.lost.is(request) {
            self.took_share(now, from, response);
            return;
        }
        if self.stand.is(request) {
            return self.took_standing(now, request, from, response);
        }
        if self.met.is(request) {
            return self.took_hello(now, request, from, response);
        }
        let Some(response) = self.take_part(now, request, response) else {
            return;
        };
        let Some(response) = self.take_jump(now, request, response) else {
            return;
        };
        let for_blocks = self.sync.inflight.as_ref().is_some_and(|i| i.request == request);
        if for_blocks {
            self.sync.inflight = None;
        }
        let for_batches = self.sync.batches.remove(&request);
        match response {
            // They are asked for again from where the snapshot leads to.
            Some(FetchResponse::Blocks(_)) if for_blocks && self.holds_blocks() => {}
            Some(FetchResponse::Blocks(blocks)) if for_blocks => self.apply_fetched(now, from, blocks),
            Some(FetchResponse::Pruned { first }) if for_blocks => self.pruned(now, from, first),
            Some(FetchResponse::Batches(batches)) => {
                for batch in batches {
                    if self.sync.wanted.remove(&batch.digest()).is_some() {
                        self.take_batch(now, batch, true);
                    }
                }
                self.retry(now);
            }
            Some(_) if for_blocks || for_batches => self.out.push(Effect::Penalise {
                peer: from,
                offence: Offence::Invalid,
            }),
            // An honest answer to a question of a moment ago that is no longer asked: of an earlier epoch, or of a start that
            // is over.
            Some(_) => {}
            // One lost answer says nothing of the peer: it is asked again in its turn.
            None if for_blocks => {
                self.sync.spent.insert(from);
                self.sync.behind_since = Some(now);
            }
            None => {}
        }
    }

    fn apply_fetched(&mut self, now: Millis, from: NodeKey, blocks: Vec<SyncBlock>) {
        if blocks.is_empty() {
            // It has no more than we have, whatever was announced.
            self.sync.unlearn(&from);
            if self.sync.claimed() > self.head.height {
                self.sync.behind_since.get_or_insert(now);
            }
            return;
        }
        let proven = match self.proven_receipts(&blocks) {
            Ok(proven) => proven,
            Err(reason) => return self.refuse_blocks(now, from, &reason),
        };
        let full = is_full(&blocks);
        let before = self.head.height;
        for block in blocks {
            if self.holds_blocks() {
                break;
            }
            let height = block.committed.block.header.height;
            if height <= self.head.height {
                continue;
            }
            if height > proven && !block.receipts.is_empty() {
                if self.head.height > before {
                    break;
                }
                if !full {
                    // The blocks that state them are on their way to being final.
                    self.sync.behind_since = Some(now);
                    return;
                }
                self.sync.doubt(height);
            }
            match self.apply_synced(now, block) {
                Ok(()) => {}
                Err(Unapplied::Halted) => return,
                Err(Unapplied::Refused(reason)) => return self.refuse_blocks(now, from, &reason),
            }
        }
        self.sync.behind_since = None;
        self.sync.spent.clear();
        // Proposals may have waited for what is executed now.
        self.retry(now);
        self.sync.pruned.clear();
        if self.sync.inflight.is_none() && !self.holds_blocks() {
            self.ask_blocks(now, from);
        }
    }

    /// A peer sent what no honest one sends: another is asked.
    fn refuse_blocks(&mut self, now: Millis, from: NodeKey, reason: &str) {
        tracing::warn!(height = self.head.height + 1, reason, "fetched block refused");
        self.out.push(Effect::Penalise {
            peer: from,
            offence: Offence::Invalid,
        });
        self.sync.unlearn(&from);
        self.sync.behind_since = Some(now);
    }

    /// Up to which height the receipts of fetched blocks are those that a final header among them states. Who executes needs
    /// nobody's receipts; an observer can compute none, and would keep and pass on whatever a liar gives it.
    fn proven_receipts(&mut self, blocks: &[SyncBlock]) -> Result<Height, String> {
        let head = self.head.height;
        if self.private.is_some() {
            return Ok(Height::MAX);
        }
        let states = |synced: &&SyncBlock| {
            let header = &synced.committed.block.header;
            header.epoch == self.record.epoch && header.executed.height > head
        };
        let Some(witness) = blocks.iter().rev().find(states) else {
            return Ok(head);
        };
        let CommittedBlock { block, proof } = &witness.committed;
        let stated = block.header.executed;
        proof
            .verify(block.id(), &self.chain, &self.committee, &*self.scheme)
            .map_err(|error| error.to_string())?;
        let (mut root, mut seen) = (self.newest_executed().receipts_root, BTreeSet::new());
        let within = |synced: &&SyncBlock| {
            let height = synced.committed.block.header.height;
            height > head && height <= stated.height
        };
        for synced in blocks.iter().filter(within) {
            let envelopes = self.counting(&synced.committed.block.header, &synced.batches, &mut seen)?;
            let of = envelopes.iter().zip(&synced.receipts);
            let leaves: Vec<Digest> = of.map(|((id, _), receipt)| receipt.leaf(id)).collect();
            root = chain_receipts(&root, &block_receipts_root(&leaves));
        }
        if root == stated.receipts_root {
            return Ok(stated.height);
        }
        match self.certified.executed < self.sync.doubted {
            // The fault may be in what is stored here.
            true => {
                self.sync.doubt(stated.height);
                Ok(stated.height)
            }
            false => Err(format!(
                "the receipts that came are not those that the final header at {} states",
                block.header.height
            )),
        }
    }

    /// A peer does not keep the next blocks. When nobody does, there are snapshots.
    fn pruned(&mut self, now: Millis, from: NodeKey, first: Height) {
        if first <= self.head.height.saturating_add(1) {
            // It denies what it says it has.
            self.out.push(Effect::Penalise {
                peer: from,
                offence: Offence::Invalid,
            });
            self.sync.unlearn(&from);
        } else {
            tracing::debug!(first, code = "block.pruned", "a peer keeps later blocks only");
            self.sync.spent.insert(from);
            self.sync.pruned.insert(from);
        }
        if !self.sync.pruned.is_empty() && self.sync.peers.is_subset(&self.sync.pruned) {
            let deny = std::mem::take(&mut self.sync.pruned);
            self.jump_forced(now, deny);
        }
        if !self.holds_blocks() {
            self.sync.behind_since = Some(now);
        }
    }

    /// Verifies and applies one fetched block on top of the head.
    fn apply_synced(&mut self, now: Millis, synced: SyncBlock) -> Result<(), Unapplied> {
        let refused = |reason: String| Err(Unapplied::Refused(reason));
        let SyncBlock {
            committed,
            batches,
            receipts,
        } = synced;
        let (block, proof) = (committed.block, committed.proof);
        let header = &block.header;
        let fits = header.chain == self.chain
            && header.epoch == self.record.epoch
            && header.height == self.head.height + 1
            && header.parent == self.head.id
            && header.payload_root == block.payload.root();
        if !fits {
            return refused(format!(
                "block {} at height {} does not follow the head",
                block.id(),
                header.height
            ));
        }
        if let Err(error) = proof.verify(block.id(), &self.chain, &self.committee, &*self.scheme) {
            return refused(error.to_string());
        }
        let named = block.payload.batches.iter().copied();
        if !batches.iter().map(Batch::digest).eq(named) {
            return refused("the batches that came are not those that the block names".into());
        }
        // A digest does not cover the author's signature, which others will ask this node for.
        let signed = |batch: &Batch| {
            let author = self.record.validators.get(usize::from(batch.author));
            author.is_some_and(|author| batch.verify(&author.node_key).is_ok())
        };
        if !batches.iter().all(signed) {
            return refused("a batch that came is not signed by its author".into());
        }
        let mut writes = WriteBatch::default();
        for (digest, batch) in block.payload.batches.iter().zip(&batches) {
            writes.put_batch(digest, batch);
        }
        if let Err(error) = self.store.commit(writes, Durability::Lazy) {
            self.halt(error);
            return Err(Unapplied::Halted);
        }
        if self.private.is_none() {
            // What they are was looked at for the whole answer, as far as a header in it states it.
            match self.envelopes_of(&block) {
                Ok(envelopes) if envelopes.len() == receipts.len() => {}
                Ok(envelopes) => {
                    let (have, need) = (receipts.len(), envelopes.len());
                    return refused(format!("{have} receipts came for {need} envelopes"));
                }
                Err(reason) => {
                    self.halt(reason);
                    return Err(Unapplied::Halted);
                }
            }
        }
        let epoch = self.record.epoch;
        if let Err(reason) = self.execute(now, block.clone(), proof.clone(), Some(receipts)) {
            self.halt(reason);
        }
        if self.halted {
            return Err(Unapplied::Halted);
        }
        if self.record.epoch == epoch {
            self.core_step(
                now,
                CoreInput::Synced {
                    block: Box::new(block),
                    proof,
                },
            );
        }
        Ok(())
    }

    /// Asks for batches that a block names, its proposer first.
    pub(super) fn fetch_batches(&mut self, now: Millis, block: &Block, missing: Vec<Digest>) {
        let new: Vec<Digest> = missing
            .into_iter()
            .filter(|digest| !self.sync.wanted.contains_key(digest))
            .collect();
        if new.is_empty() {
            return;
        }
        let leader = usize::from(self.committee.leader(block.header.view));
        for digest in &new {
            // Gossip usually brings it within the first moments; asking at once costs one message.
            self.sync.wanted.insert(
                *digest,
                Wanted {
                    since: now,
                    asked: leader,
                    tries: 0,
                },
            );
        }
        self.request_batches(leader, new);
    }

    fn ask_batches(&mut self, now: Millis, late: Vec<Digest>) {
        let still: Vec<Digest> = late
            .into_iter()
            .filter(|digest| {
                let here = self.has_batch(digest);
                if here {
                    self.sync.wanted.remove(digest);
                }
                !here
            })
            .collect();
        let n = self.record.validators.len().max(1);
        let mut whom = 0;
        for digest in &still {
            if let Some(wanted) = self.sync.wanted.get_mut(digest) {
                wanted.since = now;
                wanted.tries += 1;
                wanted.asked = (wanted.asked + 1) % n;
                whom = wanted.asked;
            }
        }
        self.request_batches(whom, still);
        // A batch that nobody has is asked for anew if a block still wants it.
        self.sync.wanted.retain(|_, wanted| wanted.tries < MAX_TRIES);
        self.execute_ready(now);
    }

    fn request_batches(&mut self, index: usize, digests: Vec<Digest>) {
        let n = self.record.validators.len().max(1);
        let index = if Some(index) == self.me.map(usize::from) {
            (index + 1) % n
        } else {
            index
        };
        let Some(to) = self.record.validators.get(index).map(|v| v.node_key.0) else {
            return;
        };
        for chunk in digests.chunks(MAX_BATCHES_PER_FETCH) {
            let request = self.sync.number();
            self.sync.batches.insert(request);
            let what = FetchRequest::Batches(chunk.to_vec());
            self.out.push(Effect::Request { request, to, what });
        }
    }

    /// An epoch's batches can no longer be asked for once it has ended.
    pub(super) fn forget_wanted(&mut self) {
        self.sync.wanted.clear();
    }
}

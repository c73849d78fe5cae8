//! A node that is far behind: over the chain of epochs to a public snapshot, and on from there.
//!
//! ```text
//! genesis or own epoch ──links, each certified by the set before──► newest epoch E
//!      public snapshot of E ──opened, headers and record compared with the link──► state, not believed yet
//!      blocks from the closing one on, certified by E's set ──first header that states its root──► the node's own state
//! ```
//! It is taken where the blocks in between would be deleted at once (`history`), and where nobody has them any more. What
//! is checked is what following would have given: the quorums of every epoch. A lying peer can only make this slow.

use std::{collections::BTreeSet, sync::Arc};

use tacit_consensus::{Epoch, Header, Height, Millis};
use tacit_ledger::{
    BlockResult, CommittedBlock, Durability, EpochLink, EpochRecord, Manifest, PublicState, SnapshotError,
    SnapshotId, SnapshotKind, WriteBatch, block_receipts_root,
};

use super::{
    Certified, Effect, Head, NodeKey, Offence, Replica,
    execute::PRUNE_LIMIT,
    join::{LoadJob, Opening},
};
use crate::{
    NodeError,
    wire::{FetchRequest, FetchResponse, MAX_LINKS_PER_FETCH, SyncBlock},
};

/// How long an answer may take.
const ANSWER_MS: Millis = 5_000;
/// How long before the same is asked again.
const RETRY_MS: Millis = 500;
/// Blocks that are asked for to find the first header that states the snapshot's root: the next one mostly does.
const CONFIRMING_BLOCKS: u16 = 16;

/// See the module.
pub(super) struct Jump {
    /// Taken because these say that they do not keep the blocks; empty where it is taken for being far behind.
    deny: BTreeSet<NodeKey>,
    /// The newest epoch that is proven so far.
    record: Arc<EpochRecord>,
    link: Option<EpochLink>,
    stage: Stage,
    asked: Option<Asked>,
    /// When the next question is due, while none is under way.
    ask_at: Option<Millis>,
    /// Peers that were asked for links, or for blocks, and gave nothing of use.
    spent: BTreeSet<NodeKey>,
}

enum Stage {
    Links,
    Fetch,
    Confirm(Box<Candidate>),
}

struct Candidate {
    manifest: Manifest,
    headers: Vec<Header>,
    state: PublicState,
}

struct Asked {
    request: u64,
    peer: NodeKey,
    since: Millis,
}

impl Jump {
    pub(super) fn next_wake(&self) -> Option<Millis> {
        let answer = self.asked.as_ref().map(|asked| asked.since + ANSWER_MS);
        answer.or(self.ask_at)
    }
}

/// What blocks after the closing one say of a snapshot.
enum Confirmed {
    /// A certified header states the root that it has.
    Yes(Box<CommittedBlock>),
    /// None of them states it yet.
    NotYet,
    /// It is another root, or the blocks do not follow from it.
    No(SnapshotError),
    /// The peer sent what no honest one does.
    Peer(&'static str),
}

impl Replica {
    /// Whether a node that keeps little history should look how far behind it is: at its start, while it holds nothing that a
    /// snapshot does not give back.
    pub(super) fn jump_at_start(&mut self, now: Millis) {
        let follows = self.me.is_none() || self.private.is_none() || self.head.height == 0;
        if self.keeps_all() || self.looked_ahead || !follows || self.holds_blocks() {
            return;
        }
        self.looked_ahead = true;
        self.begin_jump(now, BTreeSet::new());
    }

    /// Nobody has the next blocks any more, as these peers say, which are all.
    pub(super) fn jump_forced(&mut self, now: Millis, deny: BTreeSet<NodeKey>) {
        if !self.holds_blocks() {
            tracing::warn!(
                height = self.head.height,
                code = "block.pruned",
                "no peer keeps the next blocks: this node takes a public snapshot"
            );
            self.begin_jump(now, deny);
        }
    }

    fn begin_jump(&mut self, now: Millis, deny: BTreeSet<NodeKey>) {
        self.jump = Some(Jump {
            deny,
            record: self.record.clone(),
            link: None,
            stage: Stage::Links,
            asked: None,
            ask_at: Some(now),
            spent: BTreeSet::new(),
        });
        self.jump_on(now);
    }

    /// The snapshot that was wanted is held by nobody any more: a later one is.
    pub(super) fn jump_again(&mut self, now: Millis) {
        if let Some(jump) = self.jump.as_mut() {
            jump.stage = Stage::Links;
            jump.ask_at = Some(now);
        }
        self.jump_on(now);
    }

    fn end_jump(&mut self, now: Millis) {
        self.jump = None;
        self.sync_now(now);
    }

    /// Asks the next question, if one is due.
    pub(super) fn jump_on(&mut self, now: Millis) {
        let Some(jump) = self.jump.as_mut() else { return };
        if let Some(asked) = jump.asked.take_if(|asked| asked.since + ANSWER_MS <= now) {
            jump.spent.insert(asked.peer);
            jump.ask_at = Some(now);
        }
        if jump.asked.is_some() || jump.ask_at.is_none_or(|at| at > now) {
            return;
        }
        let what = match (&jump.stage, &jump.link) {
            (Stage::Links, _) => FetchRequest::Epochs {
                from: jump.record.epoch.saturating_add(1),
            },
            (Stage::Confirm(_), Some(link)) => FetchRequest::Blocks {
                from: link.header.height,
                limit: CONFIRMING_BLOCKS,
            },
            (Stage::Fetch | Stage::Confirm(_), _) => {
                jump.ask_at = None;
                return;
            }
        };
        let peers = self.sync.peers();
        let Some(peer) = peers.iter().find(|peer| !jump.spent.contains(*peer)).copied() else {
            // Everybody was asked: whoever is connected then is asked in a while.
            jump.spent.clear();
            jump.ask_at = Some(now + RETRY_MS);
            return;
        };
        let request = self.sync.number();
        jump.asked = Some(Asked {
            request,
            peer,
            since: now,
        });
        jump.ask_at = None;
        self.out.push(Effect::Request {
            request,
            to: peer,
            what,
        });
    }

    /// Takes the answer to the question under way; gives it back when it answers another.
    pub(super) fn take_jump(
        &mut self,
        now: Millis,
        request: u64,
        response: Option<FetchResponse>,
    ) -> Option<Option<FetchResponse>> {
        let Some(jump) = self.jump.as_mut() else {
            return Some(response);
        };
        let Some(asked) = jump.asked.take_if(|asked| asked.request == request) else {
            return Some(response);
        };
        let peer = asked.peer;
        jump.ask_at = Some(now);
        match (&jump.stage, response) {
            (Stage::Links, Some(FetchResponse::Epochs(links))) => self.take_links(now, peer, links),
            (Stage::Confirm(_), Some(FetchResponse::Blocks(blocks))) => self.confirm(now, peer, blocks),
            (_, None | Some(FetchResponse::Pruned { .. })) => {
                jump.spent.insert(peer);
                jump.ask_at = Some(now + RETRY_MS);
            }
            (_, Some(_)) => self.jump_penalise(peer, "it answers another question"),
        }
        self.jump_on(now);
        None
    }

    fn jump_penalise(&mut self, peer: NodeKey, why: &'static str) {
        tracing::warn!(why, "a peer's answer was refused");
        if let Some(jump) = self.jump.as_mut() {
            jump.spent.insert(peer);
        }
        self.out.push(Effect::Penalise {
            peer,
            offence: Offence::Invalid,
        });
    }

    /// Epochs, each checked with the set of the one before, and stored: they stay for ever.
    fn take_links(&mut self, now: Millis, peer: NodeKey, links: Vec<EpochLink>) {
        let Some(jump) = self.jump.as_mut() else { return };
        if links.len() > MAX_LINKS_PER_FETCH {
            return self.jump_penalise(peer, "it sends more epochs than one answer may have");
        }
        if links.is_empty() {
            return self.links_end(now, peer);
        }
        let mut writes = WriteBatch::new();
        let mut refused = false;
        for link in links {
            if let Err(error) = link.check(&self.chain, &jump.record, &*self.scheme) {
                tracing::warn!(%error, "an epoch was refused");
                refused = true;
                break;
            }
            writes.put_epoch(&link);
            jump.record = Arc::new(link.record.clone());
            jump.link = Some(link);
        }
        self.write(writes, Durability::Lazy);
        if refused {
            self.jump_penalise(peer, "its chain of epochs does not hold");
        }
    }

    /// A peer knows of no later epoch: is it worth a jump?
    fn links_end(&mut self, now: Millis, peer: NodeKey) {
        let own = self.record.epoch;
        let Some(jump) = self.jump.as_mut() else { return };
        let newest = jump.record.epoch;
        let far = |kept: Option<Epoch>| kept.is_some_and(|kept| newest.saturating_sub(kept) > own);
        let worth = newest > own && (!jump.deny.is_empty() || far(self.history.epochs()));
        jump.spent.insert(peer);
        if newest == own && jump.deny.contains(&peer) {
            // Only blocks of closed epochs are deleted.
            self.jump_penalise(peer, "it denies blocks of the newest epoch that it knows");
        }
        let Some(jump) = self.jump.as_mut() else { return };
        let all_asked = self.sync.peers().is_subset(&jump.spent);
        match jump.link.as_ref().filter(|_| worth) {
            Some(link) => {
                let (height, epoch) = (link.header.height, newest);
                jump.stage = Stage::Fetch;
                jump.ask_at = None;
                let kind = SnapshotKind::Public;
                self.begin_fetching(now, SnapshotId { kind, epoch }, height, 1);
            }
            None if all_asked => self.end_jump(now),
            // It may be as far behind as this node.
            None => {}
        }
    }

    pub(super) fn public_job(&self, manifest: &Manifest) -> Option<LoadJob> {
        let link = self.jump.as_ref()?.link.clone()?;
        Some(LoadJob {
            store: self.store.clone(),
            manifest: manifest.clone(),
            open: Opening::Public(self.chain, Box::new(link)),
        })
    }

    /// A snapshot opened, and fits the chain of epochs: now its root has to be found in a certified header.
    pub(super) fn jump_loaded(
        &mut self,
        now: Millis,
        manifest: Manifest,
        headers: Vec<Header>,
        state: PublicState,
    ) {
        let Some(jump) = self.jump.as_mut() else { return };
        let candidate = Candidate {
            manifest,
            headers,
            state,
        };
        jump.stage = Stage::Confirm(Box::new(candidate));
        jump.spent.clear();
        jump.ask_at = Some(now);
        self.jump_on(now);
    }

    fn confirm(&mut self, now: Millis, peer: NodeKey, blocks: Vec<SyncBlock>) {
        let confirmed = match self.jump.as_ref() {
            Some(Jump {
                stage: Stage::Confirm(candidate),
                link: Some(link),
                ..
            }) => self.confirmed(link, &candidate.state, blocks),
            _ => return,
        };
        match confirmed {
            Confirmed::Yes(closing) => {
                if let Err(error) = self.land(now, *closing) {
                    self.halt(error);
                }
            }
            Confirmed::NotYet => {
                let Some(jump) = self.jump.as_mut() else { return };
                jump.spent.insert(peer);
                jump.ask_at = Some(now + RETRY_MS);
            }
            Confirmed::No(error) => {
                if let Some(jump) = self.jump.as_mut() {
                    jump.stage = Stage::Fetch;
                    jump.ask_at = None;
                }
                self.refuse_snapshot(now, &error);
                self.fetch_on(now);
            }
            Confirmed::Peer(why) => self.jump_penalise(peer, why),
        }
    }

    /// Plays the blocks after the closing one on the state that came, up to the first header that states one of its roots.
    fn confirmed(&self, link: &EpochLink, state: &PublicState, blocks: Vec<SyncBlock>) -> Confirmed {
        let (height, committee) = (link.header.height, link.record.committee());
        let mut blocks = blocks.into_iter().map(|synced| synced.committed);
        let Some(closing) = blocks.next() else {
            return Confirmed::NotYet;
        };
        let header = &closing.block.header;
        if *header != link.header || header.payload_root != closing.block.payload.root() {
            return Confirmed::Peer("its closing block is another one");
        }
        let proven = |id, proof: &tacit_consensus::CommitProof, committee| {
            proof.verify(id, &self.chain, committee, &*self.scheme).is_ok()
        };
        // The one that the link carries was checked with the set of the epoch before.
        let closing = CommittedBlock {
            block: closing.block,
            proof: link.proof.clone(),
        };
        let (mut state, mut parent) = (state.clone(), closing.block.id());
        for CommittedBlock { block, proof } in blocks {
            let header = &block.header;
            let follows = header.chain == self.chain
                && header.epoch == link.record.epoch
                && header.parent == parent
                && header.height == state.height() + 1
                && header.payload_root == block.payload.root();
            if !follows || !proven(block.id(), &proof, &committee) {
                return Confirmed::Peer("its blocks do not follow the closing one");
            }
            let stated = header.executed;
            if stated.height >= height {
                return match state.root(stated.height) == Some(stated.public_root) {
                    true => Confirmed::Yes(Box::new(closing)),
                    false => Confirmed::No(SnapshotError::Root {
                        what: "public root",
                        height: stated.height,
                    }),
                };
            }
            if let Err(error) = state.apply(&block) {
                tracing::warn!(%error, "a certified block does not follow from the snapshot");
                let (what, height) = ("public state", header.height);
                return Confirmed::No(SnapshotError::Root { what, height });
            }
            if header.next_epoch.is_some() {
                break;
            }
            parent = block.id();
        }
        Confirmed::NotYet
    }

    /// The snapshot is this node's state from here on; everything below it is deleted in its time.
    fn land(&mut self, now: Millis, closing: CommittedBlock) -> Result<(), NodeError> {
        let Some(Jump {
            stage: Stage::Confirm(candidate),
            ..
        }) = self.jump.take()
        else {
            return Ok(());
        };
        let Candidate {
            manifest,
            headers,
            state,
        } = *candidate;
        let CommittedBlock { block, proof } = closing.clone();
        let header = block.header.clone();
        let (id, height, record) = (block.id(), header.height, Arc::new(state.current().clone()));
        tracing::info!(
            epoch = record.epoch,
            height,
            "the public snapshot is here: this node goes on from it"
        );
        self.fetching = None;
        (self.core, self.private, self.checkpoint) = (None, None, 0);
        self.delete_private_state(height)?;
        self.public = state;
        let executed = self.closing_executed(&header.executed, height, header.executed.private_root);
        let mut writes = std::mem::take(&mut self.unstored);
        headers.iter().for_each(|header| writes.put_header(header));
        writes.put_block(&closing);
        writes.put_result(&BlockResult {
            executed,
            receipts: block_receipts_root(&[]),
            envelopes: Vec::new(),
        });
        writes.put_public(&self.public);
        writes.put_first(height);
        writes.complete_snapshot(&manifest);
        for (height, id) in std::mem::take(&mut self.pending) {
            writes.delete_pending(height, &id);
        }
        self.store.commit(writes, Durability::Synced)?;
        self.first = height;
        self.public_changed = height;
        self.executed = [(header.executed.height, header.executed), (height, executed)].into();
        self.certified = Certified {
            executed: header.executed.height,
            header: Some((header.clone(), proof.clone())),
        };
        self.head = Head {
            id,
            height,
            time_ms: header.time_ms,
            certificate: Some(proof.certificate),
            header: Some(header),
        };
        self.out.push(Effect::Jumped { height });
        self.begin_epoch(now, record)?;
        self.sync_now(now);
        Ok(())
    }

    /// Deletes the private state on the disk, up to `height`.
    pub(super) fn delete_private_state(&mut self, height: Height) -> Result<(), NodeError> {
        let kind = SnapshotKind::Private;
        while let Some(epoch) = self.log().newest_snapshot(kind)? {
            let Some(manifest) = self.log().manifest(SnapshotId { kind, epoch })? else {
                break;
            };
            let mut writes = WriteBatch::new();
            writes.delete_snapshot(&manifest);
            self.store.commit(writes, Durability::Lazy)?;
        }
        loop {
            let old = self
                .log()
                .prune_below(height.saturating_add(1), None, PRUNE_LIMIT)?;
            if old.is_empty() {
                return Ok(());
            }
            self.store.commit(old, Durability::Synced)?;
        }
    }
}

//! Blocks from the newest committed one upwards.
//!
//! ```text
//!  recent ... root --- a --- b --- c        connected: all ancestors up to the root are here
//!              (committed)   \---- d
//!                                      x --- y    orphans: verified, but x's parent is missing
//! ```
//! A block comes in only after its signature and certificates were verified; here it must also follow from
//! its parent (R4).

use crate::block::{Anchor, Block, Header};
use crate::error::Refusal;
use crate::limits::{MAX_ORPHANS, MAX_TREE_BLOCKS, RECENT_COMMITTED};
use crate::types::{Digest, Executed, Height, Millis, View};
use borsh::BorshSerialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a child must follow from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent {
    pub(crate) height: Height,
    pub(crate) view: View,
    pub(crate) time_ms: Millis,
    pub(crate) executed: Executed,
    /// It, or an ancestor, closes the epoch.
    pub(crate) closed: bool,
}

impl Parent {
    fn of(header: &Header, closed_before: bool) -> Self {
        Self {
            height: header.height,
            view: header.view,
            time_ms: header.time_ms,
            executed: header.executed,
            closed: closed_before || header.next_epoch.is_some(),
        }
    }
}

/// The application's word on a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize)]
pub(crate) enum Verdict {
    Unasked,
    Asked,
    Accepted,
    Refused,
}

#[derive(Clone)]
struct Node {
    block: Block,
    as_parent: Parent,
    verdict: Verdict,
    /// Handed to the application for storing.
    stored: bool,
}

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    Connected,
    Orphan,
    /// Already there, or at or below the root.
    Needless,
}

#[derive(Clone)]
pub(crate) struct Tree {
    root: Digest,
    root_parent: Parent,
    nodes: BTreeMap<Digest, Node>,
    orphans: BTreeMap<Digest, Block>,
    recent: VecDeque<(Digest, Block)>,
}

impl Tree {
    pub(crate) fn new(anchor: &Anchor) -> Self {
        let root_parent = Parent {
            height: anchor.height,
            view: 0,
            time_ms: anchor.time_ms,
            executed: anchor.executed,
            closed: false,
        };
        Self {
            root: anchor.block,
            root_parent,
            nodes: BTreeMap::new(),
            orphans: BTreeMap::new(),
            recent: VecDeque::new(),
        }
    }

    pub(crate) fn root(&self) -> Digest {
        self.root
    }

    pub(crate) fn root_height(&self) -> Height {
        self.root_parent.height
    }

    pub(crate) fn root_closed(&self) -> bool {
        self.root_parent.closed
    }

    /// Blocks above the root, orphans and recent blocks.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        (self.nodes.len(), self.orphans.len(), self.recent.len())
    }

    /// For comparing two cores. A block's signature covers all of it.
    pub(crate) fn facts(&self) -> impl BorshSerialize + '_ {
        let nodes = self.nodes.iter();
        let nodes: Vec<_> = nodes
            .map(|(id, node)| (*id, node.block.signature, node.verdict, node.stored))
            .collect();
        let orphans = self.orphans.iter();
        let orphans: Vec<_> = orphans.map(|(id, block)| (*id, block.signature)).collect();
        let recent: Vec<_> = self
            .recent
            .iter()
            .map(|(id, block)| (*id, block.signature))
            .collect();
        (self.root, nodes, orphans, recent)
    }

    /// Greatest height of a connected block.
    pub(crate) fn top_height(&self) -> Height {
        self.nodes
            .values()
            .map(|node| node.as_parent.height)
            .max()
            .unwrap_or(self.root_parent.height)
    }

    /// A connected block above the root, or a recently committed one.
    pub(crate) fn get(&self, id: &Digest) -> Option<&Block> {
        let recent = || {
            self.recent
                .iter()
                .rev()
                .find(|(known, _)| known == id)
                .map(|(_, block)| block)
        };
        self.nodes.get(id).map(|node| &node.block).or_else(recent)
    }

    /// Connected: the root or above.
    pub(crate) fn is_connected(&self, id: &Digest) -> bool {
        *id == self.root || self.nodes.contains_key(id)
    }

    /// Above the root, with all its ancestors.
    pub(crate) fn is_above_root(&self, id: &Digest) -> bool {
        self.nodes.contains_key(id)
    }

    pub(crate) fn is_known(&self, id: &Digest) -> bool {
        self.is_connected(id) || self.orphans.contains_key(id)
    }

    /// What a child of this connected block must follow from.
    pub(crate) fn as_parent(&self, id: &Digest) -> Option<Parent> {
        if *id == self.root {
            Some(self.root_parent)
        } else {
            self.nodes.get(id).map(|node| node.as_parent)
        }
    }

    pub(crate) fn orphans(&self) -> impl Iterator<Item = (&Digest, &Block)> {
        self.orphans.iter()
    }

    pub(crate) fn orphan(&self, id: &Digest) -> Option<&Block> {
        self.orphans.get(id)
    }

    pub(crate) fn verdict(&self, id: &Digest) -> Option<Verdict> {
        self.nodes.get(id).map(|node| node.verdict)
    }

    pub(crate) fn set_verdict(&mut self, id: &Digest, verdict: Verdict) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.verdict = verdict;
        }
    }

    /// Marks a block as stored already.
    pub(crate) fn set_stored(&mut self, id: &Digest) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.stored = true;
        }
    }

    /// The blocks from above the root to `id` that were not stored yet, oldest first; they count as stored now.
    pub(crate) fn take_unstored(&mut self, id: &Digest) -> Vec<Block> {
        let mut blocks = Vec::new();
        for id in self.path(id) {
            if let Some(node) = self.nodes.get_mut(&id).filter(|node| !node.stored) {
                node.stored = true;
                blocks.push(node.block.clone());
            }
        }
        blocks
    }

    /// Takes a verified block in. An error is the leader's fault.
    pub(crate) fn add(&mut self, id: Digest, block: Block, keep: &Digest) -> Result<Added, Refusal> {
        if self.is_known(&id) || block.header.height <= self.root_parent.height {
            return Ok(Added::Needless);
        }
        let Some(parent) = self.as_parent(&block.header.parent) else {
            if self.orphans.len() >= MAX_ORPHANS
                && let Some(lowest) = self
                    .orphans
                    .iter()
                    .min_by_key(|(_, block)| block.header.view)
                    .map(|(id, _)| *id)
            {
                self.orphans.remove(&lowest);
            }
            self.orphans.insert(id, block);
            return Ok(Added::Orphan);
        };
        follows(&parent, &block)?;
        if self.nodes.len() >= MAX_TREE_BLOCKS {
            self.shed(keep);
        }
        let as_parent = Parent::of(&block.header, parent.closed);
        self.nodes.insert(
            id,
            Node {
                block,
                as_parent,
                verdict: Verdict::Unasked,
                stored: false,
            },
        );
        Ok(Added::Connected)
    }

    /// Connects one orphan whose parent has come; answers its id and whether it follows from the parent.
    pub(crate) fn adopt(&mut self, keep: &Digest) -> Option<(Digest, Result<Added, Refusal>)> {
        let id = self
            .orphans
            .iter()
            .find(|(_, block)| {
                block.header.height <= self.root_parent.height || self.is_connected(&block.header.parent)
            })
            .map(|(id, _)| *id)?;
        let block = self.orphans.remove(&id)?;
        Some((id, self.add(id, block, keep)))
    }

    /// Ids from above the root to `id`, oldest first; empty when `id` is not above the root.
    pub(crate) fn path(&self, id: &Digest) -> Vec<Digest> {
        let mut path = Vec::new();
        let mut at = *id;
        while let Some(node) = self.nodes.get(&at) {
            path.push(at);
            at = node.block.header.parent;
        }
        path.reverse();
        path
    }

    /// R8. Makes `id` the root and drops every branch that does not lead through it. Answers the blocks that
    /// became final, oldest first.
    pub(crate) fn commit(&mut self, id: &Digest) -> Vec<Block> {
        let path = self.path(id);
        let Some(root_parent) = self.nodes.get(id).map(|node| node.as_parent) else {
            return Vec::new();
        };
        let mut blocks = Vec::new();
        for id in path {
            if let Some(node) = self.nodes.remove(&id) {
                self.remember(id, node.block.clone());
                blocks.push(node.block);
            }
        }
        self.set_root(*id, root_parent);
        blocks
    }

    /// Makes a committed block that came from elsewhere the root.
    pub(crate) fn jump(&mut self, id: Digest, block: Block) {
        let root_parent = Parent::of(&block.header, false);
        self.remember(id, block);
        self.set_root(id, root_parent);
    }

    fn set_root(&mut self, root: Digest, root_parent: Parent) {
        self.root = root;
        self.root_parent = root_parent;
        let mut by_height: Vec<_> = self
            .nodes
            .iter()
            .map(|(id, node)| (node.as_parent.height, *id, node.block.header.parent))
            .collect();
        by_height.sort_unstable();
        let mut kept = BTreeSet::from([root]);
        for (_, id, parent) in by_height {
            if kept.contains(&parent) {
                kept.insert(id);
            }
        }
        self.nodes.retain(|id, _| kept.contains(id));
        self.orphans
            .retain(|_, block| block.header.height > root_parent.height);
    }

    fn remember(&mut self, id: Digest, block: Block) {
        if self.recent.len() >= RECENT_COMMITTED {
            self.recent.pop_front();
        }
        self.recent.push_back((id, block));
    }

    /// Drops the leaf of the lowest view that is not on the way to `keep`.
    fn shed(&mut self, keep: &Digest) {
        let kept: BTreeSet<_> = self.path(keep).into_iter().collect();
        let parents: BTreeSet<_> = self.nodes.values().map(|node| node.block.header.parent).collect();
        let lowest = self
            .nodes
            .iter()
            .filter(|(id, _)| !kept.contains(id) && !parents.contains(id))
            .min_by_key(|(id, node)| (node.as_parent.view, **id))
            .map(|(id, _)| *id);
        if let Some(id) = lowest {
            self.nodes.remove(&id);
        }
    }
}

/// R4, the part that needs the parent: height and view are bound to the parent's certificate, which must say
/// the truth about it; time grows; `executed` goes neither back nor ahead; after a closing block only epilogue.
pub(crate) fn follows(parent: &Parent, block: &Block) -> Result<(), Refusal> {
    let Block { header, justify, .. } = block;
    if (justify.height, justify.view) != (parent.height, parent.view)
        || parent.height.checked_add(1) != Some(header.height)
    {
        return Err(Refusal::Misfit(justify.block));
    }
    if header.time_ms <= parent.time_ms {
        return Err(Refusal::Time);
    }
    let executed = &header.executed;
    let forward = executed.height > parent.executed.height && executed.height <= parent.height;
    if !forward && *executed != parent.executed {
        return Err(Refusal::Executed(executed.height));
    }
    let epilogue = block.payload.is_empty() && header.next_epoch.is_none() && *executed == parent.executed;
    if parent.closed && !epilogue {
        return Err(Refusal::NotEpilogue);
    }
    Ok(())
}

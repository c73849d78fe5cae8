//! Getting blocks that a certificate names and we do not have.

use super::Core;
use crate::block::Block;
use crate::certificate::Certificate;
use crate::effect::Effect;
use crate::error::Refusal;
use crate::limits::FETCH_DEPTH;
use crate::message::Message;
use crate::types::{Digest, Height, Millis};
use std::collections::BTreeMap;

/// One block that is being asked for: from the signers of its certificate in turn, at least f + 1 of whom are
/// honest and have it.
#[derive(Clone)]
pub(super) struct Fetch {
    peers: Vec<u16>,
    tries: usize,
    /// When to ask the next one.
    pub(super) again: Millis,
}

impl Core {
    /// Serves a block from the tree.
    pub(super) fn on_block_request(&mut self, from: Option<u16>, id: &Digest) {
        if let (Some(to), Some(block)) = (from, self.tree.get(id)) {
            let message = Message::BlockResponse(Box::new(block.clone()));
            self.out.push(Effect::Send { to, message });
        }
    }

    /// Takes in a block that we asked for. One that we no longer want is dropped: it may have been late.
    pub(super) fn on_block_response(&mut self, block: Block) -> Result<(), Refusal> {
        let id = block.id();
        if self.finished.is_some() || !self.fetches.contains_key(&id) {
            return Ok(());
        }
        self.take_block(id, block, true)
    }

    /// R10. Asks for whatever is missing beneath the highest certificates and the orphans, and for nothing else.
    pub(super) fn chase(&mut self) {
        let missing = if self.finished.is_some() {
            BTreeMap::new()
        } else {
            self.missing()
        };
        self.fetches.retain(|id, _| missing.contains_key(id));
        let reach = self.tree.top_height().saturating_add(FETCH_DEPTH);
        let mut behind: Option<Height> = None;
        for (id, (height, peers)) in missing {
            if height > reach || peers.is_empty() {
                self.fetches.remove(&id);
                behind = behind.max(Some(height));
                continue;
            }
            let fetch = self.fetches.entry(id).or_insert(Fetch {
                peers,
                tries: 0,
                again: 0,
            });
            if fetch.tries >= 2 * fetch.peers.len() {
                behind = behind.max(Some(height));
            }
            if self.now >= fetch.again {
                let peer = fetch.peers.get(fetch.tries % fetch.peers.len()).copied();
                fetch.tries += 1;
                fetch.again = self.now.saturating_add(self.pacemaker.patience());
                let message = Message::BlockRequest(id);
                self.out.extend(peer.map(|to| Effect::Send { to, message }));
            }
        }
        self.behind = behind;
        if let Some(height) = behind.filter(|_| self.now >= self.behind_again) {
            self.behind_again = self.now.saturating_add(self.config.base_timeout_ms.max(1));
            self.out.push(Effect::Behind { height });
        }
    }

    /// The missing blocks with their heights and the peers to ask.
    fn missing(&self) -> BTreeMap<Digest, (Height, Vec<u16>)> {
        let tips = self.tree.orphans().map(|(_, block)| &block.justify);
        let tips = tips.chain(self.pending_commit.as_ref()).chain([self.high()]);
        let mut missing = BTreeMap::new();
        for mut tip in tips {
            // Each orphan is one height above its parent, so this ends.
            while let Some(orphan) = self.tree.orphan(&tip.block) {
                tip = &orphan.justify;
            }
            if !self.tree.is_connected(&tip.block) && tip.height > self.tree.root_height() {
                missing
                    .entry(tip.block)
                    .or_insert_with(|| (tip.height, self.peers(tip)));
            }
        }
        missing
    }

    /// The certificate's signers without us, beginning after our own index so that the askers spread.
    fn peers(&self, certificate: &Certificate) -> Vec<u16> {
        let me = self.me.unwrap_or(0);
        let (mut after, before): (Vec<u16>, Vec<u16>) = certificate
            .signers
            .iter()
            .filter(|peer| self.me != Some(*peer))
            .partition(|peer| *peer > me);
        after.extend(before);
        after
    }
}

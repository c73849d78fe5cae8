//! What must hold of a world when it has ended: what stores keep, what was said and logged, who was blamed.

use tacit_ledger::ChainLog;

use super::{fault::Fault, phases::Run};

/// Blocks below the head that are compared in each store.
const COMPARED: u64 = 512;

impl Run {
    /// Looks at everything once more.
    pub(super) fn inspect(&mut self) {
        self.same_chain();
        self.nobody_honest_is_blamed();
        self.no_leak();
        let (_, wrong) = self.world.judge.verdict();
        assert!(wrong.is_empty(), "MODEL: {wrong:#?}");
    }

    /// S1, S2: every correct node's store holds the chain that was reported.
    fn same_chain(&self) {
        for node in self
            .world
            .nodes
            .iter()
            .filter(|node| !self.is_suspect(node.index))
        {
            let log = ChainLog::new(&*node.store);
            let head = log
                .head()
                .expect("readable")
                .map_or(0, |head| head.block.header.height);
            let from = head
                .saturating_sub(COMPARED)
                .max(log.first().expect("readable"))
                .max(1);
            for committed in log.blocks_from(from, usize::MAX).expect("readable") {
                let (height, id) = (committed.block.header.height, committed.block.id());
                let known = self.world.checker.chain.get(&height);
                assert!(
                    known.is_none_or(|known| *known == id),
                    "S1: node {} keeps another block at {height}",
                    node.index
                );
            }
        }
    }

    /// S11: proofs name only those who may be faulty; where nobody changes or repeats packets, so do penalties.
    fn nobody_honest_is_blamed(&self) {
        let record = self.world.record();
        let guilty: Vec<_> = self
            .suspects
            .iter()
            .map(|index| self.world.key_of(*index))
            .collect();
        for node in self
            .world
            .nodes
            .iter()
            .filter(|node| !self.is_suspect(node.index))
        {
            for seat in &node.seen.equivocations {
                // Seats are of the epoch of the deed; one who was convicted has none later.
                let all_convicted = self.world.public().convicted().map(|(key, _)| key.0);
                let convicted: Vec<[u8; 32]> = all_convicted.collect();
                let key = record.validators.get(usize::from(*seat));
                let known = key.is_some_and(|seat| guilty.contains(&seat.node_key.0));
                assert!(
                    known || self.suspects.contains(&usize::from(*seat)) || !convicted.is_empty(),
                    "S11: node {} has a proof against seat {seat}",
                    node.index
                );
            }
            let honest_wires = ![Fault::Corrupt, Fault::Replay]
                .iter()
                .any(|fault| self.options.faults.contains_key(fault));
            let blamed = node
                .seen
                .penalties
                .iter()
                .find(|(peer, _)| !guilty.contains(peer));
            assert!(
                !honest_wires || blamed.is_none(),
                "S11: node {} blames an honest one: {blamed:?}",
                node.index
            );
        }
    }

    /// S8: planted plaintext is nowhere.
    fn no_leak(&mut self) {
        let mut leaks = self.world.leaks.take().expect("a run looks for leaks");
        for node in &self.world.nodes {
            leaks.scan_store("a store", &node.store);
            if let Some(vault) = &node.vault {
                leaks.scan("a keyring", &vault.plaintext());
            }
            let said = format!(
                "{:?} {:?} {:?} {:?}",
                node.halted, node.seen.refused_proposals, node.seen.submitted, node.seen.system_dropped
            );
            leaks.scan("an error", said.as_bytes());
        }
        assert!(
            leaks.found().is_empty(),
            "S8: planted plaintext in {:?}",
            leaks.found()
        );
        self.world.leaks = Some(leaks);
    }
}

//! One defect in a good chain: bytes changed on the disk, or a whole quorum that signs what it must not.

use tacit_consensus::{Block, CommitProof, Committee, Digest, Header, Phase};
use tacit_ledger::*;

use crate::{
    maker::{Folder, certify, quorum, sign},
    story::{Story, story},
};

/// A chain that is being spoilt.
pub(crate) struct Forge {
    pub(crate) story: &'static Story,
    pub(crate) genesis: Genesis,
    pub(crate) folder: Folder,
}

/// One row of the matrix.
pub(crate) struct Case {
    name: &'static str,
    code: &'static str,
    cause: Option<&'static str>,
    height: u64,
    spoil: Box<dyn Fn(&mut Forge)>,
}

/// A defect that is to be refused at `height` as `code`.
pub(crate) fn case(
    name: &'static str,
    code: &'static str,
    height: u64,
    spoil: impl Fn(&mut Forge) + 'static,
) -> Case {
    Case {
        name,
        code,
        cause: None,
        height,
        spoil: Box::new(spoil),
    }
}

impl Case {
    /// The rule of the ledger that is broken.
    pub(crate) fn because(mut self, cause: &'static str) -> Self {
        self.cause = Some(cause);
        self
    }
}

/// Runs all rows and names every one that is not refused as it should be.
pub(crate) fn run(cases: Vec<Case>) {
    let count = cases.len();
    let wrong: Vec<String> = cases.into_iter().filter_map(judge).collect();
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!("{count} defects refused by name");
}

fn judge(case: Case) -> Option<String> {
    let mut forge = Forge {
        story: story(),
        genesis: story().genesis.clone(),
        folder: story().folder.clone(),
    };
    (case.spoil)(&mut forge);
    let expected = (case.code, case.cause, case.height);
    match forge.folder.audit(&forge.genesis) {
        Ok(_) => Some(format!("{}: accepted, expected {expected:?}", case.name)),
        Err(error) => {
            assert!(
                codes::lookup(error.code()).is_some(),
                "{} has no row",
                error.code()
            );
            let have = (error.code(), error.defect.cause(), error.height);
            (have != expected).then(|| format!("{}: {have:?} ({error}), expected {expected:?}", case.name))
        }
    }
}

impl Forge {
    pub(crate) fn block(&self, height: u64) -> CommittedBlock {
        self.folder.block(height)
    }

    /// The record of an epoch.
    pub(crate) fn record(&self, epoch: u64) -> EpochRecord {
        match epoch {
            0 => self.story.genesis.record0(),
            _ => {
                self.story
                    .folder
                    .get::<EpochLink>(Column::Epochs, &epoch_key(epoch))
                    .record
            }
        }
    }

    pub(crate) fn committee(&self, epoch: u64) -> Committee {
        self.record(epoch).committee()
    }

    /// Puts another block into the place of `height`, whatever it says of itself.
    pub(crate) fn place(&mut self, height: u64, committed: &CommittedBlock) {
        let key = (Column::Blocks, height_key(height).to_vec());
        self.folder.0.insert(key, encode(committed));
    }

    /// Changes a stored block, and no signature.
    pub(crate) fn edit(&mut self, height: u64, change: impl FnOnce(&mut CommittedBlock)) {
        let mut committed = self.block(height);
        change(&mut committed);
        self.place(height, &committed);
    }

    /// Changes a block of which the leader and a quorum of its epoch sign whatever comes of it.
    pub(crate) fn reforge(&mut self, height: u64, change: impl FnOnce(&mut Block)) {
        let mut block = self.block(height).block;
        let committee = self.committee(block.header.epoch);
        let payload = block.payload.clone();
        change(&mut block);
        if block.payload != payload {
            block.header.payload_root = block.payload.root();
        }
        sign(&mut block, &committee);
        let proof = self.finalize(&block.header);
        self.place(height, &CommittedBlock { block, proof });
    }

    /// What a quorum of the story's epoch signs.
    pub(crate) fn finalize(&self, header: &Header) -> CommitProof {
        let epoch = self.story.folder.block(header.height.clamp(1, self.story.head));
        let committee = self.committee(epoch.block.header.epoch);
        CommitProof {
            certificate: certify(header, &committee, Phase::Finalize, &quorum(&committee, 1)),
            path: Vec::new(),
        }
    }

    /// Changes the public transactions of a block, and what its header says of the next epoch with them.
    pub(crate) fn retx(&mut self, height: u64, change: impl FnOnce(&mut Vec<SystemTx>)) {
        self.reforge(height, |block| {
            let mut txs: Vec<SystemTx> = block
                .payload
                .system
                .iter()
                .map(|bytes| SystemTx::decode(bytes).unwrap())
                .collect();
            change(&mut txs);
            block.payload.system = txs.iter().map(SystemTx::encode).collect();
            block.header.next_epoch = txs.iter().find_map(|tx| match tx {
                SystemTx::CloseEpoch(record) => Some(record.digest()),
                _ => None,
            });
        });
    }

    /// Changes the record that a closing block brings.
    pub(crate) fn rerecord(&mut self, height: u64, change: impl FnOnce(&mut EpochRecord)) {
        self.retx(height, |txs| {
            let record = txs.iter_mut().find_map(|tx| match tx {
                SystemTx::CloseEpoch(record) => Some(record),
                _ => None,
            });
            change(record.expect("a closing block"));
        });
    }

    /// Changes the contribution that a block brings.
    pub(crate) fn redeal(&mut self, height: u64, change: impl FnOnce(&mut Contribution)) {
        self.retx(height, |txs| {
            let dealt = txs.iter_mut().find_map(|tx| match tx {
                SystemTx::Contribute(contribution) => Some(contribution),
                _ => None,
            });
            change(dealt.expect("a block of a tail"));
        });
    }

    /// The stored bytes of an entry.
    pub(crate) fn bytes(&mut self, column: Column, key: &[u8]) -> &mut Vec<u8> {
        self.folder.0.get_mut(&(column, key.to_vec())).expect("an entry")
    }

    pub(crate) fn remove(&mut self, column: Column, key: &[u8]) {
        self.folder.0.remove(&(column, key.to_vec())).expect("an entry");
    }

    /// The batches that a block names.
    pub(crate) fn batches(&self, height: u64) -> Vec<Batch> {
        let named = self.block(height).block.payload.batches;
        let get = |digest| self.folder.get(Column::Batches, &digest_key(digest));
        named.iter().map(get).collect()
    }

    /// The id of a block's first envelope.
    pub(crate) fn envelope(&self, height: u64) -> Digest {
        self.batches(height)[0].envelopes[0].id()
    }

    pub(crate) fn receipt(&self, id: &Digest) -> StoredReceipt {
        self.folder.get(Column::Receipts, &digest_key(id))
    }

    pub(crate) fn result(&self, height: u64) -> BlockResult {
        self.folder.get(Column::Results, &height_key(height))
    }
}

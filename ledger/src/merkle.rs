//! A binary BLAKE3 tree over a block's receipts.
//!
//! ```text
//! root = H("merkle root", count ‖ top)          the count is bound, so a path has one shape only
//! top  = H("merkle node", left ‖ right)         an odd node goes up unchanged
//! leaf = H("merkle leaf", digest)
//! ```

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, hash};

use crate::limits::MAX_MERKLE_DEPTH;

/// Where one leaf stands in a tree, and what stands beside its way up.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MerklePath {
    /// Position of the leaf, from 0.
    pub index: u32,
    /// Number of leaves in the tree.
    pub count: u32,
    /// Siblings from the leaf upwards; at most [`MAX_MERKLE_DEPTH`].
    pub siblings: Vec<Digest>,
}

impl MerklePath {
    /// The root that this path gives for `leaf`; `None` when the path's shape is not that of a tree of `count`.
    pub fn root(&self, leaf: &Digest) -> Option<Digest> {
        if self.index >= self.count || self.siblings.len() > MAX_MERKLE_DEPTH {
            return None;
        }
        let mut siblings = self.siblings.iter();
        let (mut node, mut index, mut width) = (leaf_hash(leaf), self.index, self.count);
        while width > 1 {
            if index % 2 == 1 {
                node = node_hash(siblings.next()?, &node);
            } else if index + 1 < width {
                node = node_hash(&node, siblings.next()?);
            }
            index /= 2;
            width = width.div_ceil(2);
        }
        siblings.next().is_none().then(|| root_hash(self.count, &node))
    }
}

/// The root of a tree; [`Digest::ZERO`] when there are no leaves.
pub fn merkle_root(leaves: &[Digest]) -> Digest {
    let mut level: Vec<Digest> = leaves.iter().map(leaf_hash).collect();
    while level.len() > 1 {
        level = level.chunks(2).map(join).collect();
    }
    level
        .first()
        .map_or(Digest::ZERO, |top| root_hash(count(leaves), top))
}

/// The path of leaf `index`; `None` beyond the last leaf.
pub fn merkle_path(leaves: &[Digest], index: u32) -> Option<MerklePath> {
    let mut at = usize::try_from(index).ok()?;
    leaves.get(at)?;
    let mut siblings = Vec::new();
    let mut level: Vec<Digest> = leaves.iter().map(leaf_hash).collect();
    while level.len() > 1 {
        siblings.extend(level.get(at ^ 1));
        level = level.chunks(2).map(join).collect();
        at /= 2;
    }
    Some(MerklePath {
        index,
        count: count(leaves),
        siblings,
    })
}

fn count(leaves: &[Digest]) -> u32 {
    u32::try_from(leaves.len()).expect("a block holds fewer than 2^32 receipts")
}

fn join(pair: &[Digest]) -> Digest {
    match pair {
        [left, right] => node_hash(left, right),
        [alone] => *alone,
        _ => Digest::ZERO, // chunks(2) gives one or two
    }
}

fn leaf_hash(leaf: &Digest) -> Digest {
    hash("merkle leaf", &[&leaf.0])
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    hash("merkle node", &[&left.0, &right.0])
}

fn root_hash(count: u32, top: &Digest) -> Digest {
    hash("merkle root", &[&count.to_le_bytes(), &top.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(n: u8) -> Vec<Digest> {
        (0..n).map(|i| Digest([i; 32])).collect()
    }

    #[test]
    fn every_leaf_of_every_small_tree_proves_itself_and_nothing_else() {
        for n in 1..=17 {
            let leaves = leaves(n);
            let root = merkle_root(&leaves);
            for index in 0..u32::from(n) {
                let path = merkle_path(&leaves, index).unwrap();
                for (other, leaf) in leaves.iter().enumerate() {
                    assert_eq!(path.root(leaf) == Some(root), other == index as usize);
                }
            }
            assert_eq!(merkle_path(&leaves, u32::from(n)), None);
        }
    }

    #[test]
    fn a_bent_path_is_refused() {
        let leaves = leaves(5);
        let (root, good) = (merkle_root(&leaves), merkle_path(&leaves, 2).unwrap());
        let refused = |path: &MerklePath| path.root(&leaves[2]) != Some(root);
        assert!(!refused(&good));
        assert!(refused(&MerklePath {
            index: 3,
            ..good.clone()
        }));
        assert!(refused(&MerklePath {
            index: 9,
            ..good.clone()
        }));
        assert!(refused(&MerklePath {
            count: 6,
            ..good.clone()
        }));
        assert!(refused(&MerklePath {
            count: u32::MAX,
            ..good.clone()
        }));
        let mut short = good.clone();
        short.siblings.pop();
        assert!(refused(&short));
        let mut long = good.clone();
        long.siblings.push(Digest::ZERO);
        assert!(refused(&long));
        for i in 0..good.siblings.len() {
            let mut bent = good.clone();
            bent.siblings[i].0[7] ^= 1;
            assert!(refused(&bent));
        }
    }

    #[test]
    fn an_empty_tree_has_the_zero_root_and_a_single_leaf_is_not_its_own_root() {
        assert_eq!(merkle_root(&[]), Digest::ZERO);
        assert_ne!(merkle_root(&leaves(1)), Digest([0; 32]));
    }
}

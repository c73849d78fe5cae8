//! An authenticated map: 32-byte keys to 32-byte leaves, a root a version, proofs of presence and of absence.
//!
//! `jmt` (a sparse Merkle tree of radix 16) over BLAKE3, its nodes in memory. The root is a function of the
//! contents alone, never of the order or number of steps that led there, so a state restored from a checkpoint
//! has the root of the one that executed every block.
//!
//! Where this departs from `jmt`: a proof here carries the *hashes* of siblings, not their contents. The
//! library's own proof names the key of a neighbouring leaf, which would tell an asker which other keys exist.
//!
//! ```text
//! node  = PLACEHOLDER | H("JMT::LeafNode" ‖ key ‖ H(leaf)) | H("JMT::IntrnalNode" ‖ left ‖ right)
//! H     = BLAKE3 derive_key "tacit 2026 state tree"
//! proof = borsh { end: Option<(key, H(leaf))>, siblings: Vec<[u8; 32]> }     from the end up to the root
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use borsh::{BorshDeserialize, BorshSerialize};
use jmt::{
    JellyfishMerkleTree, KeyHash, SimpleHasher,
    proof::{INTERNAL_DOMAIN_SEPARATOR, LEAF_DOMAIN_SEPARATOR, SparseMerkleProof},
    storage::{LeafNode, NibblePath, Node, NodeKey, StaleNodeIndex, TreeReader},
};
use tacit_consensus::Digest;

use crate::{
    codec::{decode, encode},
    error::ProofError,
};

/// Most siblings between a leaf and the root: one a bit of the key.
pub const MAX_TREE_DEPTH: usize = 256;
/// Largest encoded tree proof: the end, a length, and [`MAX_TREE_DEPTH`] siblings.
pub const MAX_TREE_PROOF_BYTES: usize = 1 + 64 + 4 + 32 * MAX_TREE_DEPTH;

/// What `jmt` puts where nothing is.
const PLACEHOLDER: [u8; 32] = *b"SPARSE_MERKLE_PLACEHOLDER_HASH__";

static CONTEXT: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("tacit 2026 state tree"));

/// BLAKE3 under this tree's domain.
struct TreeHasher(blake3::Hasher);

impl SimpleHasher for TreeHasher {
    fn new() -> Self {
        Self(blake3::Hasher::new_from_context_key(&CONTEXT))
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// One write: a key and its new leaf, or `None` to remove it.
pub type LeafWrite = ([u8; 32], Option<Digest>);

/// The map. Cloning copies its nodes.
#[derive(Clone)]
pub struct AuthenticatedMap {
    nodes: Nodes,
    stale: BTreeSet<StaleNodeIndex>,
    /// From each version that changed something: the tree's own counter, and the root.
    versions: BTreeMap<u64, (u64, Digest)>,
    /// The tree's own newest and oldest versions: they count changes, not heights.
    newest: u64,
    oldest: u64,
}

impl Default for AuthenticatedMap {
    fn default() -> Self {
        Self::new()
    }
}

impl AuthenticatedMap {
    /// An empty map; its root is not zero.
    pub fn new() -> Self {
        let nodes = Nodes(BTreeMap::from([(root_key(0), Node::Null)]));
        Self {
            nodes,
            stale: BTreeSet::new(),
            versions: BTreeMap::new(),
            newest: 0,
            oldest: 0,
        }
    }

    /// Applies `writes` (distinct keys) as `version` and gives the root. Without writes nothing is stored.
    ///
    /// # Panics
    /// When `version` is not above every earlier one: a caller that goes back has lost its place.
    pub fn apply(&mut self, version: u64, writes: &[LeafWrite]) -> Digest {
        let last = self.versions.last_key_value();
        assert!(
            last.is_none_or(|(last, _)| version > *last),
            "versions of the state tree only grow"
        );
        let unchanged = last.map(|(_, (_, root))| *root);
        if let (true, Some(root)) = (writes.is_empty(), unchanged) {
            return root;
        }
        let next = self.newest + 1;
        let set = writes
            .iter()
            .map(|(key, leaf)| (KeyHash(*key), leaf.map(|leaf| leaf.0.to_vec())));
        let tree = JellyfishMerkleTree::<_, TreeHasher>::new(&self.nodes);
        let (root, batch) = tree
            .put_value_set(set, next)
            .expect("every node that a root reaches is in memory");
        self.nodes.0.extend(
            batch
                .node_batch
                .nodes()
                .iter()
                .map(|(key, node)| (key.clone(), node.clone())),
        );
        self.stale.extend(batch.stale_node_index_batch);
        self.newest = next;
        self.versions.insert(version, (next, Digest(root.0)));
        Digest(root.0)
    }

    /// The root as of `version`; `None` when nothing was applied by then, or it was pruned.
    pub fn root(&self, version: u64) -> Option<Digest> {
        self.at(version).map(|(_, root)| root)
    }

    /// Proves what stands at `key` as of `version`, presence or absence; `None` when the version is gone.
    pub fn prove(&self, version: u64, key: [u8; 32]) -> Option<Vec<u8>> {
        let (inner, _) = self.at(version)?;
        let tree = JellyfishMerkleTree::<_, TreeHasher>::new(&self.nodes);
        let (_, proof) = tree
            .get_with_proof(KeyHash(key), inner)
            .expect("every node of a kept root is in memory");
        Some(encode(&TreeProof::from(&proof)))
    }

    /// Forgets what only versions before `keep_from` need.
    pub fn prune(&mut self, keep_from: u64) {
        let Some((&first, &(inner, _))) = self.versions.range(..=keep_from).next_back() else {
            return;
        };
        self.versions = self.versions.split_off(&first);
        while let Some(entry) = self
            .stale
            .first()
            .filter(|entry| entry.stale_since_version <= inner)
        {
            self.nodes.0.remove(&entry.node_key);
            self.stale.pop_first();
        }
        // A change that left the contents as they were copies the root without calling the old one stale.
        for old in self.oldest..inner {
            self.nodes.0.remove(&root_key(old));
        }
        self.oldest = inner;
    }

    /// Number of tree nodes in memory, all kept versions together.
    pub fn nodes(&self) -> usize {
        self.nodes.0.len()
    }

    fn at(&self, version: u64) -> Option<(u64, Digest)> {
        self.versions.range(..=version).next_back().map(|(_, at)| *at)
    }
}

/// Checks that the map with `root` holds `leaf` at `key`, or nothing when `leaf` is `None`.
pub fn verify_membership(
    root: &Digest,
    key: &[u8; 32],
    leaf: Option<&Digest>,
    proof: &[u8],
) -> Result<(), ProofError> {
    let proof: TreeProof = decode(proof, MAX_TREE_PROOF_BYTES)?;
    if proof.siblings.len() > MAX_TREE_DEPTH {
        return Err(ProofError::TreeDepth {
            have: proof.siblings.len(),
            max: MAX_TREE_DEPTH,
        });
    }
    match (leaf, &proof.end) {
        (Some(leaf), Some((end, value))) if end == key && *value == tree_hash(&[&leaf.0]) => {}
        (None, Some((end, _))) if end != key && common_bits(end, key) >= proof.siblings.len() => {}
        (None, None) => {}
        _ => return Err(ProofError::Leaf),
    }
    let end = match &proof.end {
        Some((key, value)) => tree_hash(&[LEAF_DOMAIN_SEPARATOR, key, value]),
        None => PLACEHOLDER,
    };
    let depth = proof.siblings.len();
    let top = proof
        .siblings
        .iter()
        .enumerate()
        .fold(end, |node, (up, sibling)| {
            let (left, right) = if bit(key, depth - 1 - up) {
                (sibling, &node)
            } else {
                (&node, sibling)
            };
            tree_hash(&[INTERNAL_DOMAIN_SEPARATOR, left, right])
        });
    if top == root.0 {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// What travels; see the drawing at the top.
#[derive(BorshSerialize, BorshDeserialize)]
struct TreeProof {
    end: Option<([u8; 32], [u8; 32])>,
    siblings: Vec<[u8; 32]>,
}

/// The library's proof as it encodes itself: its fields are private, its encoding is not.
#[derive(BorshDeserialize)]
struct LibraryProof {
    leaf: Option<([u8; 32], [u8; 32])>,
    siblings: Vec<LibraryNode>,
}

#[derive(BorshDeserialize)]
enum LibraryNode {
    Null,
    Internal([u8; 32], [u8; 32]),
    Leaf([u8; 32], [u8; 32]),
}

impl From<&SparseMerkleProof<TreeHasher>> for TreeProof {
    fn from(proof: &SparseMerkleProof<TreeHasher>) -> Self {
        let bytes = encode(proof);
        let proof: LibraryProof =
            decode(&bytes, bytes.len()).expect("the library's encoding is pinned by tests");
        let siblings = proof.siblings.iter().map(|node| match node {
            LibraryNode::Null => PLACEHOLDER,
            LibraryNode::Internal(left, right) => tree_hash(&[INTERNAL_DOMAIN_SEPARATOR, left, right]),
            LibraryNode::Leaf(key, value) => tree_hash(&[LEAF_DOMAIN_SEPARATOR, key, value]),
        });
        Self {
            end: proof.leaf,
            siblings: siblings.collect(),
        }
    }
}

fn tree_hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = TreeHasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// Bit `index` of a key, the most significant first. `index` is below 256: depths were bounded.
fn bit(key: &[u8; 32], index: usize) -> bool {
    key[index / 8] >> (7 - index % 8) & 1 == 1
}

fn common_bits(one: &[u8; 32], other: &[u8; 32]) -> usize {
    (0..MAX_TREE_DEPTH)
        .take_while(|index| bit(one, *index) == bit(other, *index))
        .count()
}

fn root_key(version: u64) -> NodeKey {
    NodeKey::new(version, std::iter::empty().collect::<NibblePath>())
}

/// Where `jmt` finds its nodes. Leaves' contents are not kept: the caller has them.
#[derive(Clone)]
struct Nodes(BTreeMap<NodeKey, Node>);

impl TreeReader for Nodes {
    fn get_node_option(&self, key: &NodeKey) -> Result<Option<Node>, anyhow::Error> {
        Ok(self.0.get(key).cloned())
    }

    fn get_value_option(&self, _: u64, _: KeyHash) -> Result<Option<Vec<u8>>, anyhow::Error> {
        Ok(Some(Vec::new())) // asked for along with a proof, and dropped there
    }

    fn get_rightmost_leaf(&self) -> Result<Option<(NodeKey, LeafNode)>, anyhow::Error> {
        Ok(None) // only a restore asks, and states here are rebuilt from their contents
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> [u8; 32] {
        tree_hash(&[&[byte]])
    }

    fn leaf(byte: u8) -> Digest {
        Digest([byte; 32])
    }

    #[test]
    fn an_empty_map_proves_absence() {
        let mut map = AuthenticatedMap::new();
        let root = map.apply(0, &[]);
        assert_eq!(root.0, PLACEHOLDER);
        let proof = map.prove(5, key(1)).unwrap();
        verify_membership(&root, &key(1), None, &proof).unwrap();
        assert!(verify_membership(&root, &key(1), Some(&leaf(1)), &proof).is_err());
    }

    #[test]
    fn pruning_keeps_the_newer_versions_whole_and_frees_the_older() {
        let mut map = AuthenticatedMap::new();
        for version in 0..200u8 {
            // The last write of each round stores what is there already.
            let writes = [(key(version % 16), Some(leaf(version))), (key(99), Some(leaf(1)))];
            map.apply(u64::from(version) * 2, &writes);
        }
        let before = map.nodes();
        let roots: Vec<_> = (300..400).map(|version| map.root(version)).collect();
        map.prune(300);
        assert!(map.nodes() < before / 2);
        assert_eq!(map.root(299), None);
        assert_eq!(map.prove(298, key(1)), None);
        for (version, root) in (300..400u64).zip(roots) {
            assert_eq!(map.root(version), root);
            let last = (0..=version / 2).rev().find(|v| v % 16 == 3).unwrap();
            let proof = map.prove(version, key(3)).unwrap();
            verify_membership(&root.unwrap(), &key(3), Some(&leaf(last as u8)), &proof).unwrap();
        }
        map.prune(1000);
        // Seventeen leaves at the one version left; a radix-16 tree of them has few inner nodes.
        assert!(map.nodes() <= 17 + 17, "{} nodes", map.nodes());
    }

    #[test]
    fn a_bit_flipped_anywhere_in_a_proof_is_refused() {
        let mut map = AuthenticatedMap::new();
        let writes: Vec<LeafWrite> = (0..40).map(|i| (key(i), Some(leaf(i)))).collect();
        let root = map.apply(1, &writes);
        for (asked, value) in [
            (7, Some(leaf(7))),
            (200, None),
            (201, None),
            (202, None),
            (203, None),
        ] {
            let proof = map.prove(1, key(asked)).unwrap();
            verify_membership(&root, &key(asked), value.as_ref(), &proof).unwrap();
            for index in 0..proof.len() * 8 {
                let mut bent = proof.clone();
                bent[index / 8] ^= 1 << (index % 8);
                assert!(
                    verify_membership(&root, &key(asked), value.as_ref(), &bent).is_err(),
                    "bit {index}"
                );
            }
            assert!(
                verify_membership(&root, &key(asked), value.as_ref(), &proof[..proof.len() - 1]).is_err()
            );
            assert!(
                verify_membership(&root, &key(asked), value.as_ref(), &[&proof[..], &[0]].concat()).is_err()
            );
            assert!(verify_membership(&leaf(0), &key(asked), value.as_ref(), &proof).is_err());
            assert!(verify_membership(&root, &key(8), value.as_ref(), &proof).is_err());
            assert!(verify_membership(&root, &key(asked), Some(&leaf(9)), &proof).is_err());
        }
    }

    proptest! {
        /// The root is that of the contents: any history equals one write of what is left, and the compact
        /// proofs agree with the library's own verification.
        #[test]
        fn root_is_a_function_of_the_contents(history in prop::collection::vec(
            prop::collection::btree_map(0u8..24, prop::option::of(0u8..4), 0..12), 1..12)) {
            let (mut map, mut model) = (AuthenticatedMap::new(), BTreeMap::new());
            let mut root = map.apply(0, &[]);
            for (version, writes) in (1u64..).zip(&history) {
                let set: Vec<LeafWrite> = writes.iter().map(|(k, v)| (key(*k), v.map(leaf))).collect();
                root = map.apply(version, &set);
                for (k, v) in writes {
                    match v { Some(v) => model.insert(*k, *v), None => model.remove(k) };
                }
                if version % 3 == 0 { map.prune(version) }
            }
            let mut fresh = AuthenticatedMap::new();
            let all: Vec<LeafWrite> = model.iter().map(|(k, v)| (key(*k), Some(leaf(*v)))).collect();
            prop_assert_eq!(fresh.apply(9, &all), root);
            let newest = history.len() as u64;
            let tree = JellyfishMerkleTree::<_, TreeHasher>::new(&map.nodes);
            for k in 0..24 {
                let value = model.get(&k).map(|v| leaf(*v));
                let proof = map.prove(newest, key(k)).unwrap();
                prop_assert!(verify_membership(&root, &key(k), value.as_ref(), &proof).is_ok());
                let (_, library) = tree.get_with_proof(KeyHash(key(k)), map.newest).unwrap();
                let oracle = library.verify(jmt::RootHash(root.0), KeyHash(key(k)), value.map(|leaf| leaf.0.to_vec()));
                prop_assert!(oracle.is_ok());
            }
        }
    }
}

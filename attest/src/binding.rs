//! What a report vouches for: the keys and the moment that its 64 bytes of report data commit to.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::limits;

/// Domain of the report data hash.
pub const REPORT_DATA_DOMAIN: &str = "tacit 2026 report data";

/// The facts that a registration binds to its evidence. Freshness comes from `height` and `block`, never
/// from a clock inside the TEE: the ledger checks that the block exists and is recent.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Binding {
    /// Genesis hash, or the genesis nonce before there is a genesis.
    pub network: [u8; 32],
    /// Ed25519 key of votes and proposals.
    pub consensus_key: [u8; 32],
    /// Ed25519 key of the libp2p identity.
    pub node_key: [u8; 32],
    /// Public key of the epoch's KEM, suite byte included; at most [`limits::LEAF_BYTES_MAX`] bytes.
    #[borsh(deserialize_with = "limits::read_leaf")]
    pub kem_key: Vec<u8>,
    /// Height of a recent block.
    pub height: u64,
    /// Hash of that block.
    pub block: [u8; 32],
    /// Version of the policy that the registration was made under.
    pub policy_version: u64,
}

impl Binding {
    /// The 64 bytes that the hardware signs: BLAKE3 in `derive_key` mode over the borsh encoding, extended
    /// to 64 bytes. The order and types of the fields above are therefore a wire format.
    pub fn report_data(&self) -> [u8; 64] {
        let mut hasher = blake3::Hasher::new_derive_key(REPORT_DATA_DOMAIN);
        hasher.update(&self.network);
        hasher.update(&self.consensus_key);
        hasher.update(&self.node_key);
        hasher.update(
            &u32::try_from(self.kem_key.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        hasher.update(&self.kem_key);
        hasher.update(&self.height.to_le_bytes());
        hasher.update(&self.block);
        hasher.update(&self.policy_version.to_le_bytes());
        let mut out = [0; 64];
        hasher.finalize_xof().fill(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Binding {
        Binding {
            network: [1; 32],
            consensus_key: [2; 32],
            node_key: [3; 32],
            kem_key: vec![4; 5],
            height: 6,
            block: [7; 32],
            policy_version: 8,
        }
    }

    #[test]
    fn report_data_hashes_the_borsh_encoding() {
        let binding = sample();
        let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 report data");
        hasher.update(&borsh::to_vec(&binding).unwrap());
        let mut expected = [0; 64];
        hasher.finalize_xof().fill(&mut expected);
        assert_eq!(binding.report_data(), expected);
    }

    #[test]
    fn every_field_moves_the_report_data() {
        let base = sample();
        let mut others = vec![base.clone(); 7];
        others[0].network[0] ^= 1;
        others[1].consensus_key[0] ^= 1;
        others[2].node_key[0] ^= 1;
        others[3].kem_key.push(0);
        others[4].height += 1;
        others[5].block[0] ^= 1;
        others[6].policy_version += 1;
        for other in others {
            assert_ne!(other.report_data(), base.report_data());
        }
    }
}

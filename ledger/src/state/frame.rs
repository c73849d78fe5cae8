//! How private state goes to disk: sealed, padded, and in order.
//!
//! ```text
//! sealed = nonce (12) ‖ ChaCha20-Poly1305( pad(content) ) ‖ tag (16)
//! key    = BLAKE3 derive_key "tacit 2026 <kind> key" over (secret ‖ height)       one a kind and height
//! nonce  = first 12 bytes of BLAKE3 derive_key "tacit 2026 <kind> nonce" over (secret ‖ content)
//! pad    = u32 LE length ‖ content ‖ zeros, a power of two of at least 4 KiB
//! ```
//! The nonce comes from the content: the same content at the same height gives the same bytes on every
//! validator, and different content under one key (which only a fault could bring about) never shares a nonce.

use borsh::{BorshDeserialize, BorshSerialize};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, aead::Aead};
use tacit_consensus::Height;
use zeroize::Zeroizing;

use crate::{
    codec::{decode, encode},
    padding::{is_bucket, pad, unpad},
    state::error::FrameError,
};

/// Smallest padded frame or checkpoint, in bytes: hides whether a block held one transfer or ten.
pub const MIN_FRAME_BUCKET: usize = 4 * 1024;
/// Largest padded frame, in bytes: what 64 full batches of 512 KiB can write, twice over.
pub const MAX_FRAME_BUCKET: usize = 64 * 1024 * 1024;
/// Largest padded checkpoint, in bytes: the state must fit in memory, and so does its copy.
pub const MAX_CHECKPOINT_BUCKET: usize = 2 * 1024 * 1024 * 1024;

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// What one block wrote.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Frame {
    /// The block's height.
    pub height: Height,
    /// Writes in order of their keys; `None` removes.
    pub writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Frame {
    /// The frame as it goes under the seal.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(encode(self))
    }

    /// Back from opened bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrameError> {
        Ok(decode(bytes, MAX_FRAME_BUCKET)?)
    }
}

/// Seals a frame's bytes under the data key.
pub fn encrypt_frame(data_key: &[u8; 32], height: Height, bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
    seal(Kind::Frame, data_key, height, bytes)
}

/// Opens what [`encrypt_frame`] made for this height.
pub fn decrypt_frame(
    data_key: &[u8; 32],
    height: Height,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    open(Kind::Frame, data_key, height, sealed)
}

/// Seals a checkpoint's bytes under the epoch's data key: for the disk, and for a newcomer alike.
pub fn encrypt_checkpoint(key: &[u8; 32], height: Height, bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
    seal(Kind::Checkpoint, key, height, bytes)
}

/// Opens what [`encrypt_checkpoint`] made for this height.
pub fn decrypt_checkpoint(
    key: &[u8; 32],
    height: Height,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    open(Kind::Checkpoint, key, height, sealed)
}

#[derive(Clone, Copy)]
enum Kind {
    Frame,
    Checkpoint,
}

impl Kind {
    fn max(self) -> usize {
        match self {
            Self::Frame => MAX_FRAME_BUCKET,
            Self::Checkpoint => MAX_CHECKPOINT_BUCKET,
        }
    }

    fn cipher(self, secret: &[u8; 32], height: Height) -> ChaCha20Poly1305 {
        let context = match self {
            Self::Frame => "tacit 2026 frame key",
            Self::Checkpoint => "tacit 2026 checkpoint key",
        };
        let key = Zeroizing::new(derive(context, secret, &height.to_le_bytes()));
        ChaCha20Poly1305::new((&*key).into())
    }

    fn nonce(self, secret: &[u8; 32], content: &[u8]) -> [u8; NONCE_BYTES] {
        let context = match self {
            Self::Frame => "tacit 2026 frame nonce",
            Self::Checkpoint => "tacit 2026 checkpoint nonce",
        };
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&derive(context, secret, content)[..NONCE_BYTES]);
        nonce
    }
}

fn derive(context: &str, secret: &[u8; 32], rest: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(secret).update(rest);
    *hasher.finalize().as_bytes()
}

fn seal(kind: Kind, secret: &[u8; 32], height: Height, content: &[u8]) -> Result<Vec<u8>, FrameError> {
    let too_large = FrameError::TooLarge {
        have: content.len(),
        max: kind.max(),
    };
    let padded = pad(content, MIN_FRAME_BUCKET, kind.max()).ok_or(too_large)?;
    let nonce = kind.nonce(secret, content);
    let sealed = kind
        .cipher(secret, height)
        .encrypt(&Nonce::from(nonce), padded.as_slice());
    let sealed = sealed.expect("the cipher takes more than the largest bucket");
    Ok([&nonce[..], &sealed].concat())
}

fn open(
    kind: Kind,
    secret: &[u8; 32],
    height: Height,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let length = FrameError::Length { have: sealed.len() };
    let bucket = sealed.len().checked_sub(NONCE_BYTES + TAG_BYTES);
    if !bucket.is_some_and(|bucket| is_bucket(bucket, MIN_FRAME_BUCKET, kind.max())) {
        return Err(length);
    }
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(length)?;
    let padded = kind.cipher(secret, height).decrypt(&Nonce::from(*nonce), sealed);
    let padded = padded.map(Zeroizing::new).map_err(|_| FrameError::Seal)?;
    let content = unpad(&padded).ok_or(FrameError::Padding)?;
    Ok(Zeroizing::new(content.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_frames_open_alone_under_their_key_kind_and_height() {
        let (key, other) = ([7; 32], [8; 32]);
        let sealed = encrypt_frame(&key, 5, b"content").unwrap();
        assert_eq!(sealed.len(), 12 + 4096 + 16);
        assert_eq!(decrypt_frame(&key, 5, &sealed).unwrap().as_slice(), b"content");
        assert_eq!(decrypt_frame(&other, 5, &sealed), Err(FrameError::Seal));
        assert_eq!(decrypt_frame(&key, 6, &sealed), Err(FrameError::Seal));
        assert_eq!(decrypt_checkpoint(&key, 5, &sealed), Err(FrameError::Seal));
        assert_eq!(
            decrypt_frame(&key, 5, &sealed[1..]),
            Err(FrameError::Length {
                have: sealed.len() - 1
            })
        );
        assert_eq!(decrypt_frame(&key, 5, &[]), Err(FrameError::Length { have: 0 }));
    }

    #[test]
    fn a_bit_changed_anywhere_is_refused() {
        let sealed = encrypt_frame(&[7; 32], 5, b"content").unwrap();
        for index in (0..64)
            .chain((64..sealed.len()).step_by(61))
            .chain([sealed.len() - 1])
        {
            let mut bent = sealed.clone();
            bent[index] ^= 1;
            assert_eq!(
                decrypt_frame(&[7; 32], 5, &bent),
                Err(FrameError::Seal),
                "byte {index}"
            );
        }
    }

    #[test]
    fn buckets_hide_small_differences_and_nonces_follow_the_content() {
        let seal = |content: &[u8]| encrypt_frame(&[1; 32], 9, content).unwrap();
        assert_eq!(seal(b"").len(), seal(&[9; 4092]).len());
        assert_eq!(seal(&[9; 4093]).len(), 12 + 8192 + 16);
        assert_eq!(seal(b"same"), seal(b"same"));
        assert_ne!(seal(b"one")[..12], seal(b"two")[..12]);
    }

    #[test]
    fn the_format_is_pinned() {
        let frame = Frame {
            height: 3,
            writes: vec![(vec![1], Some(vec![2, 3])), (vec![4], None)],
        };
        assert_eq!(
            hex::encode(frame.to_bytes()),
            "030000000000000002000000010000000101020000000203010000000400"
        );
        let sealed = encrypt_frame(&[7; 32], 3, &frame.to_bytes()).unwrap();
        assert_eq!(
            blake3::hash(&sealed).to_hex().as_str(),
            "ee81903d3d4653457f46bd99ea15ee0f4ae10e06683b78615c55738a40c25024"
        );
        let checkpoint = encrypt_checkpoint(&[7; 32], 3, &frame.to_bytes()).unwrap();
        assert_eq!(
            blake3::hash(&checkpoint).to_hex().as_str(),
            "3c880b762885d98a936ec72391f48bb2c1f2cd688259fbd6c3a527759b5d7768"
        );
    }
}

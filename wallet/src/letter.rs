//! What is inside letters, room keys and posts: sealed once more to their readers, so that content never depends
//! on a TEE.
//!
//! ```text
//! letter    HPKE to the reader's mail key   info "tacit 2026 letter" ‖ chain     aad from ‖ to
//! room key  HPKE to each member's mail key  info "tacit 2026 room key" ‖ chain   aad room ‖ generation ‖ member
//! post      XChaCha20-Poly1305, room key    24-byte random nonce first           aad room ‖ generation ‖ author
//! title     XChaCha20-Poly1305, title key   24-byte random nonce first           aad room
//! ```
//! The chain says who wrote (it checked the account's signature); the aad ties the content to that word, so that a
//! broken TEE cannot put one person's letter under another's name. Inside a room the members share the key: among
//! them authorship rests on the chain alone.

use borsh::{BorshDeserialize, BorshSerialize};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use rand_chacha::ChaCha20Rng;
use tacit_consensus::Digest;
use tacit_ledger::{
    AccountId, ENCAPSULATION_BYTES, MAX_LETTER_BYTES, MAX_TITLE_BYTES, RoomId, SealingPublic, SealingSecret,
    TAG_BYTES, decode, encode, open_from, seal_to,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{entropy, error::Error};

const LETTER_INFO: &[u8] = b"tacit 2026 letter";
const ROOM_KEY_INFO: &[u8] = b"tacit 2026 room key";
const NONCE_BYTES: usize = 24;
/// Version byte and length word before a text.
const TEXT_HEADER: usize = 1 + 4;

/// Longest text of a letter, in bytes of UTF-8.
pub const MAX_LETTER_TEXT: usize = MAX_LETTER_BYTES - ENCAPSULATION_BYTES - TAG_BYTES - TEXT_HEADER;
/// Longest text of a post, in bytes of UTF-8.
pub const MAX_POST_TEXT: usize = MAX_LETTER_BYTES - NONCE_BYTES - TAG_BYTES - TEXT_HEADER;
/// Longest title of a room, in bytes of UTF-8.
pub const MAX_TITLE_TEXT: usize = MAX_TITLE_BYTES - NONCE_BYTES - TAG_BYTES;

/// The body of a letter or post. Later kinds are added at the end; an older wallet says that it cannot read them.
#[derive(BorshSerialize, BorshDeserialize)]
enum Body {
    Text(String),
}

/// What a member of a room holds: the key of one generation, and the title's, which never changes.
#[derive(Clone, BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct RoomSecret {
    pub(crate) key: [u8; 32],
    pub(crate) title: [u8; 32],
}

impl RoomSecret {
    /// Fresh keys for a new room.
    pub(crate) fn fresh(rng: &mut ChaCha20Rng) -> Self {
        Self {
            key: entropy::bytes(rng),
            title: entropy::bytes(rng),
        }
    }

    /// The next generation: a fresh key, the same title.
    pub(crate) fn next(&self, rng: &mut ChaCha20Rng) -> Self {
        Self {
            key: entropy::bytes(rng),
            title: self.title,
        }
    }
}

/// Who writes to whom on which chain.
pub(crate) struct Parties<'a> {
    pub(crate) chain: &'a Digest,
    pub(crate) from: &'a AccountId,
    pub(crate) to: &'a AccountId,
}

impl Parties<'_> {
    fn info(&self) -> Vec<u8> {
        [LETTER_INFO, &self.chain.0].concat()
    }

    fn aad(&self) -> Vec<u8> {
        [self.from.0, self.to.0].concat()
    }
}

/// Seals a letter to its reader.
pub(crate) fn seal_letter(
    rng: &mut ChaCha20Rng,
    reader: &SealingPublic,
    parties: &Parties<'_>,
    text: &str,
) -> Result<Vec<u8>, Error> {
    let body = body(text, "the message", MAX_LETTER_TEXT)?;
    seal_to(rng, reader, &parties.info(), &parties.aad(), &body).map_err(|_| Error::NoMailKey {
        account: parties.to.to_string(),
    })
}

/// Opens a letter with the reader's key.
pub(crate) fn open_letter(key: &SealingSecret, parties: &Parties<'_>, sealed: &[u8]) -> Option<String> {
    let plain = open_from(key, &parties.info(), &parties.aad(), sealed).ok()?;
    text(&plain)
}

/// Where in which room.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) room: &'a RoomId,
    pub(crate) generation: u32,
    /// The member for a wrapped key, the author for a post.
    pub(crate) account: &'a AccountId,
}

impl Place<'_> {
    fn aad(&self) -> Vec<u8> {
        [&self.room.0[..], &self.generation.to_le_bytes(), &self.account.0].concat()
    }
}

/// Wraps a room's secret for one member.
pub(crate) fn wrap_room_secret(
    rng: &mut ChaCha20Rng,
    reader: &SealingPublic,
    chain: &Digest,
    place: Place<'_>,
    secret: &RoomSecret,
) -> Result<Vec<u8>, Error> {
    let plain = Zeroizing::new(encode(secret));
    seal_to(
        rng,
        reader,
        &[ROOM_KEY_INFO, &chain.0].concat(),
        &place.aad(),
        &plain,
    )
    .map_err(|_| Error::NoMailKey {
        account: place.account.to_string(),
    })
}

/// Unwraps a room's secret.
pub(crate) fn open_room_secret(
    key: &SealingSecret,
    chain: &Digest,
    place: Place<'_>,
    wrapped: &[u8],
) -> Option<RoomSecret> {
    let plain = open_from(key, &[ROOM_KEY_INFO, &chain.0].concat(), &place.aad(), wrapped).ok()?;
    decode(&plain, 64).ok()
}

/// Seals a post under the room's key.
pub(crate) fn seal_post(
    rng: &mut ChaCha20Rng,
    secret: &RoomSecret,
    place: Place<'_>,
    text: &str,
) -> Result<Vec<u8>, Error> {
    let body = body(text, "the post", MAX_POST_TEXT)?;
    Ok(seal_shared(rng, &secret.key, &place.aad(), &body))
}

/// Opens a post.
pub(crate) fn open_post(secret: &RoomSecret, place: Place<'_>, sealed: &[u8]) -> Option<String> {
    text(&open_shared(&secret.key, &place.aad(), sealed)?)
}

/// Seals a room's title.
pub(crate) fn seal_title(
    rng: &mut ChaCha20Rng,
    secret: &RoomSecret,
    room: &RoomId,
    title: &str,
) -> Result<Vec<u8>, Error> {
    bounded("the title", title, MAX_TITLE_TEXT)?;
    Ok(seal_shared(rng, &secret.title, &room.0, title.as_bytes()))
}

/// Opens a room's title.
pub(crate) fn open_title(secret: &RoomSecret, room: &RoomId, sealed: &[u8]) -> Option<String> {
    String::from_utf8(open_shared(&secret.title, &room.0, sealed)?.to_vec()).ok()
}

fn seal_shared(rng: &mut ChaCha20Rng, key: &[u8; 32], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_BYTES] = entropy::bytes(rng);
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad })
        .expect("a bounded text can be encrypted");
    [&nonce[..], &sealed].concat()
}

fn open_shared(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload { msg: sealed, aad };
    XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .ok()
}

fn bounded(what: &'static str, text: &str, max: usize) -> Result<(), Error> {
    if text.len() > max {
        Err(Error::TooLong {
            what,
            have: text.len(),
            max,
        })
    } else {
        Ok(())
    }
}

fn body(text: &str, what: &'static str, max: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    bounded(what, text, max)?;
    Ok(Zeroizing::new(encode(&Body::Text(text.to_owned()))))
}

fn text(plain: &[u8]) -> Option<String> {
    let Body::Text(text) = decode(plain, MAX_LETTER_BYTES).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    const CHAIN: Digest = Digest([3; 32]);
    const A: AccountId = AccountId([1; 32]);
    const B: AccountId = AccountId([2; 32]);

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::from_seed([4; 32])
    }

    #[test]
    fn a_letter_opens_for_its_reader_under_its_writer_s_name_only() {
        let key = SealingSecret::derive(&[5; 32]);
        let parties = Parties {
            chain: &CHAIN,
            from: &A,
            to: &B,
        };
        let sealed = seal_letter(&mut rng(), key.public(), &parties, "at nine").unwrap();
        assert_eq!(open_letter(&key, &parties, &sealed).as_deref(), Some("at nine"));

        assert_eq!(
            open_letter(&SealingSecret::derive(&[6; 32]), &parties, &sealed),
            None
        );
        assert_eq!(open_letter(&key, &Parties { from: &B, ..parties }, &sealed), None);
        let parties = Parties {
            chain: &CHAIN,
            from: &A,
            to: &B,
        };
        assert_eq!(
            open_letter(
                &key,
                &Parties {
                    chain: &Digest([9; 32]),
                    ..parties
                },
                &sealed
            ),
            None
        );
        assert_eq!(
            open_letter(
                &key,
                &Parties {
                    chain: &CHAIN,
                    from: &A,
                    to: &B
                },
                &sealed[..1130]
            ),
            None
        );
    }

    #[test]
    fn the_longest_texts_fit_and_longer_ones_are_named() {
        let key = SealingSecret::derive(&[5; 32]);
        let parties = Parties {
            chain: &CHAIN,
            from: &A,
            to: &B,
        };
        let long = "x".repeat(MAX_LETTER_TEXT);
        assert_eq!(
            seal_letter(&mut rng(), key.public(), &parties, &long)
                .unwrap()
                .len(),
            MAX_LETTER_BYTES
        );
        let error = seal_letter(
            &mut rng(),
            key.public(),
            &parties,
            &"x".repeat(MAX_LETTER_TEXT + 1),
        )
        .unwrap_err();
        assert_eq!(error.code(), "usage.invalid");

        let secret = RoomSecret::fresh(&mut rng());
        let room = Digest([7; 32]);
        let place = Place {
            room: &room,
            generation: 0,
            account: &A,
        };
        let post = seal_post(&mut rng(), &secret, place, &"x".repeat(MAX_POST_TEXT)).unwrap();
        assert_eq!(post.len(), MAX_LETTER_BYTES);
        let title = seal_title(&mut rng(), &secret, &room, &"x".repeat(MAX_TITLE_TEXT)).unwrap();
        assert_eq!(title.len(), MAX_TITLE_BYTES);
    }

    #[test]
    fn a_room_s_secret_unwraps_in_its_place_and_a_new_generation_shuts_the_old_key_out() {
        let key = SealingSecret::derive(&[5; 32]);
        let room = Digest([7; 32]);
        let place = Place {
            room: &room,
            generation: 0,
            account: &B,
        };
        let secret = RoomSecret::fresh(&mut rng());
        let wrapped = wrap_room_secret(&mut rng(), key.public(), &CHAIN, place, &secret).unwrap();
        assert!(wrapped.len() <= tacit_ledger::MAX_WRAPPED_KEY_BYTES);
        let opened = open_room_secret(&key, &CHAIN, place, &wrapped).unwrap();
        assert!(opened.key == secret.key && opened.title == secret.title);
        assert!(
            open_room_secret(
                &key,
                &CHAIN,
                Place {
                    generation: 1,
                    ..place
                },
                &wrapped
            )
            .is_none()
        );
        assert!(open_room_secret(&key, &CHAIN, Place { account: &A, ..place }, &wrapped).is_none());

        let next = secret.next(&mut ChaCha20Rng::from_seed([8; 32]));
        let title = seal_title(&mut rng(), &secret, &room, "plans").unwrap();
        assert_eq!(open_title(&next, &room, &title).as_deref(), Some("plans"));
        let place = Place {
            room: &room,
            generation: 1,
            account: &A,
        };
        let post = seal_post(&mut rng(), &next, place, "new").unwrap();
        assert_eq!(open_post(&next, place, &post).as_deref(), Some("new"));
        assert_eq!(open_post(&secret, place, &post), None);
        assert_eq!(open_post(&next, Place { account: &B, ..place }, &post), None);
    }
}

//! The forms in which a word may lie on a disk or a wire, and the two ways of making them.
//!
//! [`needles`] computes what to search for; [`plant`] encodes a word the way a program would, with other bytes
//! around it. They share no code, so that the positive control tests the one against the other.
//!
//! | form | needle |
//! |---|---|
//! | raw | the bytes |
//! | hex, lower and upper | two digits a byte |
//! | base64, standard and URL alphabet | three needles: a word's letters depend on where it stands in its group of three bytes; the letters at both ends, which mix with the neighbours, are left out |
//! | UTF-16, little and big endian | text only |

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::Serialize;

/// One form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// As it is.
    Raw,
    /// Hex, lower case.
    HexLower,
    /// Hex, upper case.
    HexUpper,
    /// Base64, standard alphabet, at a distance of 0, 1 or 2 from a group's begin.
    Base64(u8),
    /// Base64, URL alphabet, likewise.
    Base64Url(u8),
    /// UTF-16, little endian.
    Utf16Le,
    /// UTF-16, big endian.
    Utf16Be,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Encoding; 11] = [
        Encoding::Raw,
        Encoding::HexLower,
        Encoding::HexUpper,
        Encoding::Base64(0),
        Encoding::Base64(1),
        Encoding::Base64(2),
        Encoding::Base64Url(0),
        Encoding::Base64Url(1),
        Encoding::Base64Url(2),
        Encoding::Utf16Le,
        Encoding::Utf16Be,
    ];
}

/// Shortest word, bytes. Six bytes meet in random data once in 2^48; shorter ones would be "found" in ciphertext.
pub const MIN_WORD: usize = 6;
/// Longest word, bytes.
pub const MAX_WORD: usize = 1_024;

/// What must not be found anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Word {
    label: String,
    bytes: Vec<u8>,
}

impl Word {
    /// A text; reports show it as `label`, never as itself.
    pub fn text(label: impl Into<String>, text: &str) -> Word {
        Word {
            label: label.into(),
            bytes: text.as_bytes().to_vec(),
        }
    }

    /// Bytes, such as a key.
    pub fn bytes(label: impl Into<String>, bytes: &[u8]) -> Word {
        Word {
            label: label.into(),
            bytes: bytes.to_vec(),
        }
    }

    /// What a report calls it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether it is long enough to mean something when found, and short enough to search for.
    pub(crate) fn fits(&self) -> bool {
        (MIN_WORD..=MAX_WORD).contains(&self.bytes.len())
    }

    fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

/// What to search for when `word` is searched for in every form. UTF-16 is absent when the word is no text.
pub(crate) fn needles(word: &Word) -> Vec<(Encoding, Vec<u8>)> {
    let mut all = Vec::with_capacity(Encoding::ALL.len());
    for encoding in Encoding::ALL {
        let needle = match encoding {
            Encoding::Raw => word.bytes.clone(),
            Encoding::HexLower => hex::encode(&word.bytes).into_bytes(),
            Encoding::HexUpper => hex::encode_upper(&word.bytes).into_bytes(),
            Encoding::Base64(offset) => base64_middle(&word.bytes, offset, &STANDARD),
            Encoding::Base64Url(offset) => base64_middle(&word.bytes, offset, &URL_SAFE),
            Encoding::Utf16Le | Encoding::Utf16Be => match word.as_text() {
                Some(text) => utf16(text, encoding == Encoding::Utf16Be),
                None => continue,
            },
        };
        // Both base64 alphabets agree on most words: one search is enough, under the first name.
        if !all.iter().any(|(_, known)| *known == needle) {
            all.push((encoding, needle));
        }
    }
    all
}

/// The base64 letters that `bytes` alone determines when `offset` other bytes precede it in its group.
fn base64_middle(bytes: &[u8], offset: u8, engine: &impl Engine) -> Vec<u8> {
    let offset = usize::from(offset);
    let mut padded = vec![0; offset];
    padded.extend_from_slice(bytes);
    let letters = engine.encode(&padded).into_bytes();
    // Letter k holds bits 6k..6k+6; those of the word are 8*offset..8*(offset+len).
    let first = (8 * offset).div_ceil(6);
    let end = 8 * (offset + bytes.len()) / 6;
    letters[first..end].to_vec()
}

fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
    let bytes = |unit: u16| {
        if big_endian {
            unit.to_be_bytes()
        } else {
            unit.to_le_bytes()
        }
    };
    text.encode_utf16().flat_map(bytes).collect()
}

/// The word as a program would write it in this form, between other bytes. None when the form is not for it.
/// Deliberately made another way than [`needles`].
pub(crate) fn plant(word: &Word, encoding: Encoding) -> Option<Vec<u8>> {
    let between = |before: usize| {
        let mut bytes = b"\xe7\x31\x9c"[..before].to_vec();
        bytes.extend_from_slice(&word.bytes);
        bytes.extend_from_slice(b"\x5a\xf0\x0d\x66");
        bytes
    };
    let digits = |upper: bool| {
        let one = |b: &u8| {
            if upper {
                format!("{b:02X}")
            } else {
                format!("{b:02x}")
            }
        };
        between(3).iter().map(one).collect::<String>().into_bytes()
    };
    Some(match encoding {
        Encoding::Raw => between(3),
        Encoding::HexLower => digits(false),
        Encoding::HexUpper => digits(true),
        Encoding::Base64(offset) => STANDARD.encode(between(offset.into())).into_bytes(),
        Encoding::Base64Url(offset) => URL_SAFE.encode(between(offset.into())).into_bytes(),
        Encoding::Utf16Le | Encoding::Utf16Be => {
            let mut bytes = Vec::new();
            for c in std::str::from_utf8(&word.bytes).ok()?.chars() {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let (high, low) = ((*unit >> 8) as u8, *unit as u8);
                    bytes.extend(if encoding == Encoding::Utf16Be {
                        [high, low]
                    } else {
                        [low, high]
                    });
                }
            }
            bytes
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(hay: &[u8], needle: &[u8]) -> bool {
        hay.windows(needle.len()).any(|window| window == needle)
    }

    #[test]
    fn every_planted_form_is_met_by_a_needle() {
        let words = [
            Word::text("w", "the meeting is at nine"),
            Word::text("w", "Grüße, 世界"),
            Word::text("w", "sixsix"),
            Word::bytes("w", &[0xfb, 0xff, 0xfe, 0x80, 0x00, 0xff, 0xef]),
            Word::bytes("w", &[0; 32]),
        ];
        for word in words {
            let needles = needles(&word);
            for encoding in Encoding::ALL {
                let Some(planted) = plant(&word, encoding) else {
                    assert!(word.as_text().is_none());
                    continue;
                };
                assert!(
                    needles.iter().any(|(_, needle)| contains(&planted, needle)),
                    "{encoding:?} of {:02x?}",
                    word.bytes
                );
            }
        }
    }

    #[test]
    fn needles_are_long_enough_to_mean_something() {
        let shortest = Word::bytes("w", b"sixsix");
        for (encoding, needle) in needles(&shortest) {
            assert!(needle.len() >= MIN_WORD, "{encoding:?}: {}", needle.len());
        }
        assert!(!Word::text("w", "five5").fits());
        assert!(shortest.fits());
        assert!(!Word::bytes("w", &[1; MAX_WORD + 1]).fits());
    }

    #[test]
    fn known_letters() {
        let word = Word::text("w", "secret");
        let of = |wanted| {
            let found = needles(&word)
                .into_iter()
                .find(|(encoding, _)| *encoding == wanted);
            String::from_utf8(found.unwrap().1).unwrap()
        };
        // base64("secret") = c2VjcmV0, base64("Asecret") = QXNlY3JldA==, base64("AAsecret") = QUFzZWNyZXQ=
        assert_eq!(of(Encoding::Base64(0)), "c2VjcmV0");
        assert_eq!(of(Encoding::Base64(1)), "NlY3Jld");
        assert_eq!(of(Encoding::Base64(2)), "zZWNyZX");
        assert_eq!(of(Encoding::HexLower), "736563726574");
    }
}

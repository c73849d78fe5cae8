//! Borsh with a bound: the only way bytes from outside become values.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::error::CodecError;

/// Decodes one value that fills `bytes` exactly.
///
/// `max` is the bound of the format in bytes; it is checked before anything is parsed. Borsh grows its vectors
/// as bytes arrive, so memory stays within a small multiple of `max`.
pub fn decode<T: BorshDeserialize>(bytes: &[u8], max: usize) -> Result<T, CodecError> {
    if bytes.len() > max {
        return Err(CodecError::TooLong {
            have: bytes.len(),
            max,
        });
    }
    let mut rest = bytes;
    let value = T::deserialize(&mut rest).map_err(|_| CodecError::Malformed {
        at: bytes.len() - rest.len(),
    })?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(CodecError::Trailing { extra: rest.len() })
    }
}

/// Encodes a value of our own.
///
/// # Panics
/// When a vector is longer than `u32::MAX`, which no bounded type reaches.
pub fn encode<T: BorshSerialize + ?Sized>(value: &T) -> Vec<u8> {
    borsh::to_vec(value).expect("writing to memory cannot fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_is_checked_first() {
        assert_eq!(
            decode::<Vec<u8>>(&[0; 9], 8),
            Err(CodecError::TooLong { have: 9, max: 8 })
        );
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert_eq!(
            decode::<u8>(&[1, 2, 3], 8),
            Err(CodecError::Trailing { extra: 2 })
        );
    }

    #[test]
    fn a_lying_length_is_malformed_and_allocates_little() {
        assert!(matches!(
            decode::<Vec<u8>>(&[255; 8], 8),
            Err(CodecError::Malformed { .. })
        ));
        assert!(matches!(
            decode::<Vec<Vec<u8>>>(&[255; 8], 8),
            Err(CodecError::Malformed { .. })
        ));
    }

    #[test]
    fn encode_then_decode() {
        let value = (7u64, vec![1u8, 2], String::from("x"));
        assert_eq!(decode::<(u64, Vec<u8>, String)>(&encode(&value), 64), Ok(value));
    }
}

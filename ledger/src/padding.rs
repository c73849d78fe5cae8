//! Padding to a bucket: `u32 LE length ‖ content ‖ zeros`, the whole as long as a power of two.

use zeroize::Zeroizing;

/// The smallest power-of-two bucket in `min..=max` that holds `content` bytes and the length word.
pub(crate) fn bucket_for(content: usize, min: usize, max: usize) -> Option<usize> {
    let bucket = content.checked_add(4)?.checked_next_power_of_two()?.max(min);
    (bucket <= max).then_some(bucket)
}

/// Whether `length` is one of the buckets between `min` and `max`.
pub(crate) fn is_bucket(length: usize, min: usize, max: usize) -> bool {
    length.is_power_of_two() && (min..=max).contains(&length)
}

/// Pads to the smallest bucket; `None` when the content does not fit the largest.
pub(crate) fn pad(content: &[u8], min: usize, max: usize) -> Option<Zeroizing<Vec<u8>>> {
    let bucket = bucket_for(content.len(), min, max)?;
    let length = u32::try_from(content.len()).ok()?;
    let mut padded = Zeroizing::new(Vec::with_capacity(bucket));
    padded.extend_from_slice(&length.to_le_bytes());
    padded.extend_from_slice(content);
    padded.resize(bucket, 0);
    Some(padded)
}

/// Gives the content back; `None` unless the length fits and every padding byte is zero.
///
/// A bucket larger than needed is accepted: a sender may pay for cover.
pub(crate) fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let (word, rest) = padded.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*word)).ok()?;
    let (content, zeros) = rest.split_at_checked(length)?;
    zeros.iter().all(|byte| *byte == 0).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_the_smallest_that_fit() {
        assert_eq!(bucket_for(0, 512, 65536), Some(512));
        assert_eq!(bucket_for(508, 512, 65536), Some(512));
        assert_eq!(bucket_for(509, 512, 65536), Some(1024));
        assert_eq!(bucket_for(65532, 512, 65536), Some(65536));
        assert_eq!(bucket_for(65533, 512, 65536), None);
    }

    #[test]
    fn only_zero_padding_and_true_lengths_unpad() {
        let mut padded = pad(b"hello", 512, 1024).unwrap();
        assert_eq!(unpad(&padded), Some(&b"hello"[..]));
        padded[511] = 1;
        assert_eq!(unpad(&padded), None);
        padded[511] = 0;
        padded[1] = 0xff;
        assert_eq!(unpad(&padded), None);
        assert_eq!(unpad(&[1, 0]), None);
    }
}

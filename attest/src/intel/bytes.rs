//! Reading and writing of fixed little-endian layouts, every step bounded.

use crate::refusal::Refusal;

/// A reader that names what is missing.
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            offset: 0,
        }
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn skip(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Refusal> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Refusal::QuoteTruncated {
            what,
            have: self.rest.len(),
            need: len,
        })?;
        self.rest = rest;
        self.offset += len;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Refusal> {
        let mut out = [0; N];
        out.copy_from_slice(self.skip(N, what)?);
        Ok(out)
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, Refusal> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Refusal> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Refusal> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// The rest must be `what` and nothing more.
    pub(crate) fn exactly(&self, len: u32, what: &'static str) -> Result<(), Refusal> {
        let have = usize::try_from(len).unwrap_or(usize::MAX);
        if have == self.rest.len() {
            Ok(())
        } else {
            Err(Refusal::QuoteLength {
                what,
                have,
                need: self.rest.len(),
            })
        }
    }
}

/// A writer.
#[derive(Default)]
pub(crate) struct Sink(pub(crate) Vec<u8>);

impl Sink {
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    /// Four bytes of length and the bytes. Longer ones do not exist: evidence is bounded far below.
    pub(crate) fn sized(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.put(bytes);
    }
}

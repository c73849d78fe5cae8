//! The list of names and values, and readers that run out of bytes in good order.

/// Lines of an answer at most: far above what the bounds on evidence and collateral allow.
const LINES_MAX: usize = 20_000;

/// Names and values in the order in which they were found.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn put(&mut self, name: &str, value: impl ToString) {
        if self.0.len() < LINES_MAX {
            self.0.push((name.to_owned(), value.to_string()));
        }
    }

    pub(super) fn hex(&mut self, name: &str, value: &[u8]) {
        self.put(name, hex::encode(value));
    }

    pub(super) fn into_lines(self) -> Vec<(String, String)> {
        self.0
    }
}

/// Little-endian fields one after the other.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

/// The bytes ended inside a field; a line says so already.
pub(super) struct CutOff;

impl<'a> Reader<'a> {
    /// The next `len` bytes. Where fewer are left, a line under `name` says so.
    pub(super) fn take(&mut self, name: &str, len: usize, out: &mut Fields) -> Result<&'a [u8], CutOff> {
        match self.0.split_at_checked(len) {
            Some((head, rest)) => {
                self.0 = rest;
                Ok(head)
            }
            None => {
                out.put(
                    name,
                    format!("cut off: needs {len} bytes, {} are left", self.0.len()),
                );
                Err(CutOff)
            }
        }
    }

    /// A field of raw bytes.
    pub(super) fn hex(&mut self, name: &str, len: usize, out: &mut Fields) -> Result<&'a [u8], CutOff> {
        let bytes = self.take(name, len, out)?;
        out.hex(name, bytes);
        Ok(bytes)
    }

    /// A number of `len` bytes, at most 8.
    pub(super) fn number(&mut self, name: &str, len: usize, out: &mut Fields) -> Result<u64, CutOff> {
        let bytes = self.take(name, len, out)?;
        let value = bytes
            .iter()
            .rev()
            .fold(0, |all, byte| all << 8 | u64::from(*byte));
        out.put(name, value);
        Ok(value)
    }

    /// Eight bytes of flags, with a line for each named one.
    pub(super) fn flags(
        &mut self,
        name: &str,
        names: &[(u32, &str)],
        out: &mut Fields,
    ) -> Result<(), CutOff> {
        let bytes = self.take(name, 8, out)?;
        let value = bytes
            .iter()
            .rev()
            .fold(0, |all, byte| all << 8 | u64::from(*byte));
        out.put(name, format!("{value:#018x}"));
        bits(name, value, names, out);
        Ok(())
    }
}

/// A line for each named bit.
pub(super) fn bits(name: &str, value: u64, names: &[(u32, &str)], out: &mut Fields) {
    for (bit, flag) in names {
        out.put(&format!("{name}.{flag}"), value >> bit & 1 == 1);
    }
}

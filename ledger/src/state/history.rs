//! The values of the private state, and how they were at the heights just passed.

use std::collections::{BTreeMap, VecDeque};

use tacit_consensus::Height;

/// How many executed heights stay readable, the newest included: at 10 blocks a second a wallet has 25 s
/// between learning of a height and asking for it.
pub const KEEP_VERSIONS: u64 = 256;

/// Values by key bytes.
pub(crate) type Values = BTreeMap<Vec<u8>, Vec<u8>>;
/// Writes by key bytes; `None` removes.
pub(crate) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Values, and for each kept height what its block replaced.
pub(crate) struct History {
    values: Values,
    height: Height,
    /// Oldest first; the last entry undoes the newest height.
    undo: VecDeque<Writes>,
}

impl History {
    pub(crate) fn new(values: Values, height: Height) -> Self {
        Self {
            values,
            height,
            undo: VecDeque::new(),
        }
    }

    pub(crate) fn height(&self) -> Height {
        self.height
    }

    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// The oldest height that can still be read.
    pub(crate) fn oldest(&self) -> Height {
        self.height - self.undo.len() as u64
    }

    /// Goes one height up.
    pub(crate) fn apply<'a>(&mut self, writes: impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>) {
        let mut undo = Writes::new();
        for (key, value) in writes {
            let before = match value {
                Some(value) => self.values.insert(key.clone(), value.clone()),
                None => self.values.remove(key),
            };
            undo.entry(key.clone()).or_insert(before);
        }
        self.undo.push_back(undo);
        self.height += 1;
        if self.undo.len() as u64 >= KEEP_VERSIONS {
            self.undo.pop_front();
        }
    }

    /// What stood at `key` as of a height that can be read.
    pub(crate) fn get_at(&self, height: Height, key: &[u8]) -> Option<&Vec<u8>> {
        let first = height.saturating_sub(self.oldest());
        let later = usize::try_from(first).unwrap_or(usize::MAX);
        match self.undo.iter().skip(later).find_map(|undo| undo.get(key)) {
            Some(before) => before.as_ref(),
            None => self.values.get(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kept_height_reads_as_it_was() {
        let mut history = History::new(Values::new(), 0);
        let key = b"k".to_vec();
        for height in 1..=1000u64 {
            let value = (height % 3 != 0).then(|| height.to_le_bytes().to_vec());
            let writes = Writes::from([(key.clone(), value)]);
            history.apply(writes.iter().filter(|_| height % 2 == 0));
        }
        assert_eq!(history.height(), 1000);
        assert_eq!(history.oldest(), 1000 - KEEP_VERSIONS + 1);
        for height in history.oldest()..=1000 {
            let written = height - height % 2;
            let expected = (written % 3 != 0).then(|| written.to_le_bytes().to_vec());
            assert_eq!(history.get_at(height, &key), expected.as_ref(), "height {height}");
        }
    }
}

//! The seam to configfs: the four operations that a report needs.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// Two implementations: [`ConfigFs`], and the tests' double of the kernel. Each call may block for as long as the
/// firmware or the host takes; an error is the kernel's, unchanged.
pub(super) trait Files: Send + Sync {
    /// Makes an entry; the kernel fills it with attributes.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes an entry with its attributes.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Writes an attribute as a whole and closes it. The kernel takes a binary attribute over when it is closed
    /// and tells nobody if it refuses then, so the caller must look at the generation.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Reads an attribute, at most `max` bytes of it.
    fn read(&self, path: &Path, max: usize) -> io::Result<Vec<u8>>;
}

/// The kernel's own.
#[derive(Debug)]
pub(super) struct ConfigFs;

impl Files for ConfigFs {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // Never creates: a folder without the attribute is not the kernel's.
        OpenOptions::new().write(true).open(path)?.write_all(bytes)
    }

    fn read(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(max as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

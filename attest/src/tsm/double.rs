//! A kernel for the tests: the report interface as `drivers/virt/coco/tsm.c`, configfs and the two guest drivers
//! implement it. Clones share one state, so that a test can look at it and interfere.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::files::Files;
use super::{ENXIO, TSM_ROOT};

pub(super) const EBUSY: i32 = 16;
pub(super) const EEXIST: i32 = 17;
pub(super) const EINVAL: i32 = 22;
pub(super) const EFBIG: i32 = 27;
const ENOENT: i32 = 2;
const EACCES: i32 = 13;
/// The kernel's `TSM_REPORT_INBLOB_MAX`.
const INBLOB_MAX: usize = 64;
/// The kernel's `TSM_REPORT_OUTBLOB_MAX`.
pub(super) const OUTBLOB_MAX: usize = 32 * 1024;

/// Makes report and auxiliary data over report data and privilege level, or fails with an error number.
pub(super) type Provide = Box<dyn FnMut(&[u8], u32) -> Result<(Vec<u8>, Vec<u8>), i32> + Send>;
/// Called before each operation with its name ("read outblob") and its entry, before the kernel looks.
pub(super) type Meddle = Box<dyn FnMut(&mut State, &str, &str) + Send>;

#[derive(Default)]
pub(super) struct Entry {
    pub(super) inblob: Vec<u8>,
    pub(super) privlevel: u32,
    pub(super) write_generation: u64,
    pub(super) read_generation: u64,
    outblob: Option<Vec<u8>>,
    auxblob: Vec<u8>,
}

pub(super) struct State {
    /// What stands in `provider`; no driver is loaded without.
    pub(super) provider: Option<String>,
    pub(super) privlevel_floor: u32,
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) log: Vec<String>,
    /// Operations that fail, and how.
    pub(super) failures: BTreeMap<&'static str, i32>,
    pub(super) provide: Provide,
}

#[derive(Clone)]
pub(super) struct Kernel {
    state: Arc<Mutex<State>>,
    meddle: Arc<Mutex<Option<Meddle>>>,
}

impl Kernel {
    pub(super) fn new(provider: &str, provide: Provide) -> Self {
        let state = State {
            provider: Some(provider.to_owned()),
            privlevel_floor: 0,
            entries: BTreeMap::new(),
            log: Vec::new(),
            failures: BTreeMap::new(),
            provide,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            meddle: Arc::new(Mutex::new(None)),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no test panics while it holds the state")
    }

    pub(super) fn meddle(&self, meddle: Meddle) {
        *self.meddle.lock().expect("not poisoned") = Some(meddle);
    }

    fn enter(&self, operation: &str, path: &Path) -> io::Result<(MutexGuard<'_, State>, String)> {
        let below = path.strip_prefix(TSM_ROOT).map_err(|_| errno(ENOENT))?;
        let entry = below
            .iter()
            .next()
            .and_then(|name| name.to_str())
            .ok_or(errno(EACCES))?;
        let name = match below.iter().nth(1) {
            Some(attribute) => format!("{operation} {}", attribute.to_string_lossy()),
            None => operation.to_owned(),
        };
        let mut state = self.state();
        if let Some(meddle) = self.meddle.lock().expect("not poisoned").as_mut() {
            meddle(&mut state, &name, entry);
        }
        state.log.push(name.clone());
        if let Some(number) = state.failures.get(name.as_str()) {
            return Err(errno(*number));
        }
        Ok((state, entry.to_owned()))
    }
}

impl State {
    /// A write as any process may make it. The error is what `store` gives, whether or not anybody sees it.
    pub(super) fn store(&mut self, entry: &str, attribute: &str, bytes: &[u8]) -> Result<(), i32> {
        let floor = self.privlevel_floor;
        let entry = self.entries.get_mut(entry).ok_or(ENOENT)?;
        let mut level = entry.privlevel;
        if attribute == "privlevel" {
            level = core::str::from_utf8(bytes)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .filter(|level| (floor..=3).contains(level))
                .ok_or(EINVAL)?;
        }
        // As try_advance_write_generation(): a whole round of writes without a read.
        if entry.write_generation == entry.read_generation.wrapping_sub(1) {
            return Err(EBUSY);
        }
        entry.write_generation = entry.write_generation.wrapping_add(1);
        entry.privlevel = level;
        if attribute == "inblob" {
            entry.inblob = bytes.to_vec();
        }
        Ok(())
    }

    fn snp(&self) -> bool {
        self.provider.as_deref() == Some("sev_guest")
    }

    /// As tsm_report_read(): the report stands until something is written.
    fn report(&mut self, name: &str) -> Result<&Entry, i32> {
        let entry = self.entries.get_mut(name).ok_or(ENOENT)?;
        if entry.inblob.is_empty() {
            return Err(EINVAL);
        }
        if entry.outblob.is_none() || entry.read_generation != entry.write_generation {
            entry.outblob = None;
            if entry.inblob.len() != INBLOB_MAX {
                return Err(EINVAL);
            }
            let (outblob, auxblob) = (self.provide)(&entry.inblob, entry.privlevel)?;
            if outblob.len() > OUTBLOB_MAX || auxblob.len() > OUTBLOB_MAX {
                return Err(EFBIG);
            }
            (entry.outblob, entry.auxblob) = (Some(outblob), auxblob);
            entry.read_generation = entry.write_generation;
        }
        Ok(entry)
    }
}

pub(super) fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl Files for Kernel {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let (mut state, entry) = self.enter("mkdir", path)?;
        if state.provider.is_none() {
            return Err(errno(ENXIO));
        }
        if state.entries.contains_key(&entry) {
            return Err(errno(EEXIST));
        }
        state.entries.insert(entry, Entry::default());
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let (mut state, entry) = self.enter("rmdir", path)?;
        state.entries.remove(&entry).map(drop).ok_or(errno(ENOENT))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (mut state, entry) = self.enter("write", path)?;
        match path.file_name().and_then(|name| name.to_str()) {
            Some("inblob") if bytes.len() > INBLOB_MAX => Err(errno(EFBIG)),
            Some("inblob") => {
                // configfs stores a binary attribute in release(), whose result nobody gets.
                let _ = state.store(&entry, "inblob", bytes);
                Ok(())
            }
            Some("privlevel") if state.snp() => state.store(&entry, "privlevel", bytes).map_err(errno),
            Some("outblob" | "auxblob" | "provider" | "generation") => Err(errno(EACCES)),
            _ => Err(errno(ENOENT)),
        }
    }

    fn read(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        let (mut state, entry) = self.enter("read", path)?;
        let (snp, floor, provider) = (state.snp(), state.privlevel_floor, state.provider.clone());
        let mut bytes = match path.file_name().and_then(|name| name.to_str()) {
            Some("outblob") => state
                .report(&entry)
                .map_err(errno)?
                .outblob
                .clone()
                .unwrap_or_default(),
            Some("auxblob") if snp => state.report(&entry).map_err(errno)?.auxblob.clone(),
            Some("provider") => format!("{}\n", provider.ok_or(errno(ENOENT))?).into_bytes(),
            Some("generation") => {
                let entry = state.entries.get(&entry).ok_or(errno(ENOENT))?;
                format!("{}\n", entry.write_generation).into_bytes()
            }
            Some("privlevel_floor") if snp => format!("{floor}\n").into_bytes(),
            _ => return Err(errno(ENOENT)),
        };
        bytes.truncate(max);
        Ok(bytes)
    }
}

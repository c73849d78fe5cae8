//! The store on disk: RocksDB, one column family a [`Column`].
//!
//! Durability rests on the write-ahead log: a synced commit fsyncs it, and recovery stops at the first record
//! that is torn, so that after a crash the store holds a prefix of what was committed. Values are sealed or
//! signed bytes, which do not compress. RocksDB's threads and files are the one place in this crate that is not
//! a pure function.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode,
    Direction, IteratorMode, Options, WriteOptions,
};

use crate::{
    columns::Column,
    store::{Durability, Entry, Store, StoreError, WriteBatch},
};

/// Memory for each column's newest writes, in bytes. Sixteen columns, of which three are busy.
const WRITE_BUFFER: usize = 4 * 1024 * 1024;
/// All write buffers together, in bytes.
const WRITE_BUFFERS: usize = 32 * 1024 * 1024;
/// Memory for blocks read, all columns together, in bytes.
const BLOCK_CACHE: usize = 16 * 1024 * 1024;
/// Bound of the write-ahead log, in bytes: what a restart reads at most.
const LOG_BYTES: u64 = 64 * 1024 * 1024;
/// Open table files: a node shares its limit with its sockets.
const OPEN_FILES: i32 = 256;

/// A store in one directory. One process at a time: RocksDB locks it.
pub struct RocksStore {
    db: DB,
}

impl RocksStore {
    /// Opens the store in `path`, and makes it when there is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let mut tables = BlockBasedOptions::default();
        tables.set_block_cache(&Cache::new_lru_cache(BLOCK_CACHE));
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_db_write_buffer_size(WRITE_BUFFERS);
        options.set_max_total_wal_size(LOG_BYTES);
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        options.set_max_open_files(OPEN_FILES);
        options.set_keep_log_file_num(4);
        options.set_max_background_jobs(2);
        options.set_paranoid_checks(true);
        let families = Column::ALL.map(|column| {
            let mut family = Options::default();
            family.set_write_buffer_size(WRITE_BUFFER);
            family.set_max_write_buffer_number(2);
            family.set_compression_type(DBCompressionType::None);
            family.set_block_based_table_factory(&tables);
            ColumnFamilyDescriptor::new(column.name(), family)
        });
        // RocksDB always has a column family of its own beside ours.
        let own = ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, Options::default());
        let db = DB::open_cf_descriptors(&options, path, families.into_iter().chain([own]));
        db.map(|db| Self { db }).map_err(|error| failed("open", error))
    }

    /// Opens the store in `path` to read what stands in it now; nothing is written, and no lock is taken. Of a folder that
    /// a node is writing to it sees what was there when it was opened.
    ///
    /// # Errors
    /// When there is no store, or one without all of our columns.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let mut options = Options::default();
        options.set_paranoid_checks(true);
        // All tables are opened at once and stay open: a writer may delete them meanwhile.
        options.set_max_open_files(-1);
        let families = Column::ALL.map(Column::name);
        let own = rocksdb::DEFAULT_COLUMN_FAMILY_NAME;
        let db = DB::open_cf_for_read_only(&options, path, families.into_iter().chain([own]), false);
        db.map(|db| Self { db }).map_err(|error| failed("open", error))
    }

    fn family(&self, column: Column) -> Result<&ColumnFamily, StoreError> {
        self.db
            .cf_handle(column.name())
            .ok_or(StoreError::Missing { column })
    }
}

impl Store for RocksStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db
            .get_cf(self.family(column)?, key)
            .map_err(|error| failed("read", error))
    }

    fn scan(
        &self,
        column: Column,
        from: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<Entry>, StoreError> {
        let mode = match (reverse, from.is_empty()) {
            (false, true) => IteratorMode::Start,
            (false, false) => IteratorMode::From(from, Direction::Forward),
            (true, true) => IteratorMode::End,
            (true, false) => IteratorMode::From(from, Direction::Reverse),
        };
        let entries = self.db.iterator_cf(self.family(column)?, mode).take(limit);
        entries
            .map(|item| match item {
                Ok((key, value)) => Ok((key.into_vec(), value.into_vec())),
                Err(error) => Err(failed("read", error)),
            })
            .collect()
    }

    fn commit(&self, batch: WriteBatch, durability: Durability) -> Result<(), StoreError> {
        let mut writes = rocksdb::WriteBatch::default();
        for op in batch.ops {
            let family = self.family(op.column)?;
            match op.value {
                Some(value) => writes.put_cf(family, op.key, value),
                None => writes.delete_cf(family, op.key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Synced);
        self.db
            .write_opt(writes, &options)
            .map_err(|error| failed("write", error))
    }
}

/// What RocksDB passes on of ENOSPC and EDQUOT: their texts, as strerror(3) gives them in the locale that a process starts in.
const NO_ROOM: [&str; 2] = ["No space left on device", "Disk quota exceeded"];

fn failed(operation: &'static str, error: rocksdb::Error) -> StoreError {
    let detail = error.into_string();
    match NO_ROOM.iter().any(|text| detail.contains(text)) {
        true => StoreError::Full(detail),
        false => StoreError::Failed { operation, detail },
    }
}

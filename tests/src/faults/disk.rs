//! A full disk: a node whose database lies on a small file system of its own, which is filled to the last byte.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use serde_json::json;

use super::{
    keep,
    kills::no_convictions,
    lane::{Lane, round},
};

/// What the node may write before the disk is filled, KiB: some hundreds of blocks, and less than what the database takes in
/// advance where it can.
const ROOM_KIB: u64 = 16 * 1_024;

/// A small file system in memory, as long as this lives.
struct Small(PathBuf);

impl Small {
    /// Mounts one over a folder; why not, where this user may not.
    fn mount(at: &Path, kib: u64) -> Result<Self, String> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tacit-faults"])
            .arg(at);
        let out = mount.output().map_err(|error| error.to_string())?;
        match out.status.success() {
            true => Ok(Self(at.to_path_buf())),
            false => Err(String::from_utf8_lossy(&out.stderr).trim().to_owned()),
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a node that a failed stage left running may still use it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fills one node's disk under load: it stops, or takes part no more, without a wrong word; the others go on; with room
/// again it comes back. Where file systems may not be mounted, nothing is done, and that is said.
///
/// # Panics
/// When the others stop, the node does not come back, or something is lost.
pub fn full_disk(lane: &mut Lane) {
    const VICTIM: usize = 2;
    let others = [0, 1, 3];
    let db = lane.home(VICTIM).join("db");
    let spare = lane.home(VICTIM).join("db-before");
    lane.net().halt(VICTIM).expect("it stops");
    fs::rename(&db, &spare).expect("moved");
    fs::create_dir(&db).expect("an empty folder");
    let files = || {
        fs::read_dir(&spare)
            .expect("its files")
            .map(|entry| entry.expect("a file"))
    };
    let held: u64 = files().map(|file| file.metadata().expect("a file").len()).sum();
    // Compacting a large database takes more.
    let room = ROOM_KIB.max(held / 1_024 / 4);
    let small = match Small::mount(&db, held / 1_024 + room) {
        Ok(small) => small,
        Err(why) => {
            fs::remove_dir(&db).expect("empty");
            fs::rename(&spare, &db).expect("moved back");
            lane.net().restart(VICTIM).expect("it starts again");
            println!("NOT RUN: full disk: no file system can be mounted here: {why}");
            keep("full disk", json!({ "not run, since": why }));
            return;
        }
    };
    for file in files() {
        fs::copy(file.path(), db.join(file.file_name())).expect("copied");
    }
    // Flat out, the room would be used up by what is committed meanwhile.
    let rate = lane.size.gentle(20.0);
    let ((stopped, blocks, back), loaded) = lane.under_load(rate, |lane| {
        lane.net().restart(VICTIM).expect("it starts on the small disk");
        lane.until("it votes", || lane.votes(VICTIM));
        lane.progress(VICTIM, 3);
        let ballast = db.join("ballast");
        fill(&ballast);
        let top = lane.top(others);
        let falls_behind = || {
            lane.height(VICTIM)
                .is_none_or(|height| height + 10 <= lane.top(others))
        };
        lane.until("it commits nothing that it cannot write", falls_behind);
        lane.until("the others go on", || lane.top(others) >= top + 10);
        let stopped = lane.network.testnet.status()[VICTIM].pid.is_none();
        if stopped {
            assert!(
                lane.in_log(VICTIM, "disk.full") > 0,
                "it does not say why it stopped"
            );
        }
        let blocks = lane.top(others) - top;
        fs::remove_file(&ballast).expect("room again");
        let begun = Instant::now();
        lane.net().restart(VICTIM).expect("it starts again");
        lane.until("it votes again", || lane.votes(VICTIM));
        (stopped, blocks, begun.elapsed())
    });
    loaded.nothing_lost();
    lane.agree(&[0, 1, 2, 3]);
    no_convictions(lane);
    // What it wrote since is worth keeping for the stages that follow.
    lane.net().halt(VICTIM).expect("it stops");
    fs::remove_dir_all(&spare).expect("deleted");
    fs::create_dir(&spare).expect("a folder");
    for entry in fs::read_dir(&db).expect("its files") {
        let entry = entry.expect("a file");
        fs::copy(entry.path(), spare.join(entry.file_name())).expect("copied");
    }
    drop(small);
    fs::remove_dir(&db).expect("empty");
    fs::rename(&spare, &db).expect("moved back");
    lane.net().restart(VICTIM).expect("it starts on its own disk");
    keep(
        "full disk",
        json!({
            "the node stopped by itself": stopped,
            "blocks of the others meanwhile": blocks,
            "with room, votes again after ms": round(back.as_secs_f64() * 1e3),
            "load": loaded.figures(),
        }),
    );
}

/// Takes every byte that is left.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).expect("a file");
    for size in [1 << 20, 4_096, 1] {
        let block = vec![0x5a; size];
        while file.write_all(&block).is_ok() {}
    }
}

//! What the figures depend on and the code does not: processors, load, and the disk, which
//! must be a real one.

use std::{
    fs,
    io::{Seek as _, Write as _},
    path::Path,
    time::Instant,
};

use anyhow::{Context as _, bail};
use serde::Serialize;

/// How often the disk is tried.
const TRIES: usize = 100;
/// As much as a page of the database.
const PAGE: [u8; 4096] = [7; 4096];

/// The machine as it was when the benchmark began.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Processors that this process may use.
    pub(crate) processors: usize,
    /// The average of the last minute: above 0 before the start, others were at work.
    pub(crate) load_before: f64,
    /// Of the data directory.
    pub(crate) file_system: String,
    /// One page written and synced, the median of many: what a commit costs at least.
    pub(crate) sync_ms: f64,
}

impl Machine {
    /// Looks at it, and refuses a data directory that only looks like a disk.
    pub(crate) fn look(data_dir: &Path) -> anyhow::Result<Self> {
        let file_system = file_system(data_dir)?;
        if matches!(file_system.as_str(), "tmpfs" | "ramfs") {
            let dir = data_dir.display();
            bail!("{dir} is in memory, where a sync costs nothing: choose a disk with --data-dir");
        }
        let load = fs::read_to_string("/proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or_default();
        Ok(Self {
            processors: std::thread::available_parallelism()?.get(),
            load_before: load.parse().context("the kernel gives no load average")?,
            file_system,
            sync_ms: sync_ms(data_dir)?,
        })
    }
}

/// The type of the file system that is mounted nearest above the directory.
fn file_system(dir: &Path) -> anyhow::Result<String> {
    let dir = dir.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mounts = mounts.lines().filter_map(|mount| {
        let mut fields = mount.split(' ').skip(1);
        Some((Path::new(fields.next()?), fields.next()?))
    });
    let above = mounts.filter(|(point, _)| dir.starts_with(point));
    let nearest = above.max_by_key(|(point, _)| point.components().count());
    Ok(nearest.context("the directory is on no file system")?.1.to_owned())
}

fn sync_ms(dir: &Path) -> anyhow::Result<f64> {
    let mut file = tempfile::tempfile_in(dir)?;
    let mut times = Vec::with_capacity(TRIES);
    for _ in 0..TRIES {
        let began = Instant::now();
        file.rewind()?;
        file.write_all(&PAGE)?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[TRIES / 2])
}

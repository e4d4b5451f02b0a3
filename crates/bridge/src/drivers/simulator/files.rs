//! The files that contacts sent and that wait for the server: one for each content, named by its
//! SHA-256, in a folder beside the journal.
//!
//! The promise: a file that a record names is there, for it is written before the record; and one that
//! nothing names any more is removed, at once or, after a crash, at the next start.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, DirBuilder},
    io::{self, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use switchboard_model::{
    file::ContentHash,
    simulator::{ContactFile, PhoneFile, SimulatorError},
};
use tempfile::NamedTempFile;
use tracing::warn;

use super::{Simulator, journal::KeptFile};

/// The most bytes that wait for the server on all lines together.
const MAX_KEPT_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// The folder, and who still needs which file in it.
pub(super) struct KeptFiles {
    dir: PathBuf,
    kept: HashMap<String, Kept>,
    bytes: u64,
}

struct Kept {
    needed_by: usize,
    size: u64,
}

impl KeptFiles {
    /// Opens the folder, or makes it, and removes what nobody needs.
    pub(super) fn open<'a>(
        dir: PathBuf,
        needed: impl Iterator<Item = &'a KeptFile>,
    ) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&dir)?;
        let mut files = Self { dir, kept: HashMap::new(), bytes: 0 };
        for file in needed {
            files.hold(&file.shown);
        }
        let known: HashSet<PathBuf> = files.kept.keys().map(|name| files.path(name)).collect();
        for found in fs::read_dir(&files.dir)? {
            let path = found?.path();
            if !known.contains(&path)
                && let Err(error) = fs::remove_file(&path)
            {
                warn!(%error, "something in the simulator's folder of files can't be removed");
            }
        }
        Ok(files)
    }

    pub(super) fn path(&self, sha256: &str) -> PathBuf {
        self.dir.join(sha256)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Somebody more needs this file.
    pub(super) fn hold(&mut self, file: &PhoneFile) {
        let kept = self.kept.entry(file.sha256.clone()).or_insert_with(|| {
            self.bytes += file.size;
            Kept { needed_by: 0, size: file.size }
        });
        kept.needed_by += 1;
    }

    /// Somebody needs this file no longer.
    pub(super) fn release(&mut self, file: &PhoneFile) {
        let Some(kept) = self.kept.get_mut(&file.sha256) else { return };
        kept.needed_by -= 1;
        if kept.needed_by == 0 {
            self.bytes -= kept.size;
            self.kept.remove(&file.sha256);
            // What can't be removed now is removed at the next start.
            let _ = fs::remove_file(self.path(&file.sha256));
        }
    }
}

/// Files on the disk that no record names yet. They go away with this, unless a record came to name them.
pub(super) struct HeldFiles<'a> {
    simulator: &'a Simulator,
    pub(super) files: Vec<KeptFile>,
}

impl Drop for HeldFiles<'_> {
    fn drop(&mut self) {
        let mut state = self.simulator.state();
        for file in &self.files {
            state.files.release(&file.shown);
        }
    }
}

impl Simulator {
    /// Writes files down, before a record names them.
    pub(super) async fn keep(
        &self,
        given: Vec<ContactFile>,
    ) -> Result<HeldFiles<'_>, SimulatorError> {
        let mut held = HeldFiles { simulator: self, files: Vec::new() };
        if given.is_empty() {
            return Ok(held);
        }
        let hashed = blocking(move || Ok(given.into_iter().map(hash).collect::<Vec<_>>())).await?;
        let (dir, to_write) = {
            let mut state = self.state();
            let size: u64 = hashed.iter().map(|(file, _)| file.shown.size).sum();
            if state.files.bytes.saturating_add(size) > MAX_KEPT_BYTES {
                return Err(SimulatorError::Full);
            }
            let dir = state.files.dir.clone();
            let mut to_write = Vec::new();
            for (file, data) in hashed {
                state.files.hold(&file.shown);
                to_write.push((file.shown.sha256.clone(), data));
                held.files.push(file);
            }
            (dir, to_write)
        };
        // If this call is dropped here, what it still writes lies there until the next start.
        blocking(move || {
            to_write.into_iter().try_for_each(|(name, data)| write_whole(&dir, &name, &data))
        })
        .await?;
        Ok(held)
    }
}

fn hash(file: ContactFile) -> (KeptFile, Vec<u8>) {
    let ContactFile { filename, mime_type, data, transcription } = file;
    let sha256 = ContentHash(Sha256::digest(&data).into()).to_string();
    let shown = PhoneFile { filename, mime_type, size: data.len() as u64, sha256 };
    (KeptFile { shown, transcription }, data)
}

/// The name stands for whole contents only, at whatever instant the process is killed.
fn write_whole(dir: &Path, name: &str, data: &[u8]) -> io::Result<()> {
    let mut draft = NamedTempFile::new_in(dir)?;
    draft.write_all(data)?;
    draft.persist(dir.join(name))?;
    Ok(())
}

/// Runs what keeps a thread busy elsewhere.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, SimulatorError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(io::Error::other).flatten().map_err(SimulatorError::Journal)
}

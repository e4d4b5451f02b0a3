//! The data directory is private: messages, tokens and files in it are its owner's alone.
//!
//! What this process makes is private from the beginning, by the umask. What was there is tightened at the start,
//! directories first: nobody gets past a closed directory, so the many files behind it need not be waited for.
//! Links are not followed: what they point to may be somebody else's.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, bail};
use rustix::{fs::Mode, process};

/// What anybody but the owner may do.
const OTHERS: u32 = 0o077;
/// The entries that are looked at before the server starts; more are looked at while it runs.
const AT_START: usize = 10_000;
/// The deepest folder that is looked into.
const MAX_DEPTH: usize = 8;

/// Makes the data directory, if it is missing, and makes it and all in it private.
pub(super) fn prepare(dir: &Path) -> anyhow::Result<()> {
    // Whatever is made from now on, by whatever library.
    process::umask(Mode::RWXG | Mode::RWXO);
    let cannot = || format!("the data directory {} can't be used", dir.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(cannot)?;
    // The directory itself may be a link, by its owner's choice.
    let found = fs::metadata(dir).with_context(cannot)?;
    let owner = found.uid();
    let own = process::geteuid().as_raw();
    if !may_use(owner, own) {
        bail!(
            "the data directory {} belongs to the user with the id {owner}, and the server runs as {own}: run it as \
             that user, or give the directory to this one with 'chown'",
            dir.display()
        );
    }
    let mut tightening = Tightening { left: vec![(dir.to_owned(), 0)], ..Tightening::default() };
    // Where nothing is kept yet, nobody could have read anything: that needs no word.
    let is_empty = fs::read_dir(dir).with_context(cannot)?.next().is_none();
    let closed = close(dir, &found).map(|changed| changed && !is_empty);
    note(closed, &mut tightening);
    tightening.go_on(AT_START);
    if tightening.left.is_empty() {
        tightening.tell();
        return Ok(());
    }
    // The directory itself is closed by now.
    let rest = thread::Builder::new().name("tighten-files".into()).spawn(move || {
        tightening.go_on(usize::MAX);
        tightening.tell();
    });
    rest.context("no thread for the files in the data directory")?;
    Ok(())
}

/// Whether a process of the user `own` may make a directory of `owner` private: its own, or, as root, any.
fn may_use(owner: u32, own: u32) -> bool {
    owner == own || own == 0
}

/// What is still to be looked at, and what came of the rest.
#[derive(Debug, Default)]
struct Tightening {
    /// Folders that are closed, but not what is in them, and how deep they are.
    left: Vec<(PathBuf, usize)>,
    tightened: usize,
    failed: usize,
}

impl Tightening {
    /// Looks at so many entries more, folder by folder.
    fn go_on(&mut self, most: usize) {
        let mut looked_at = 0;
        while looked_at < most
            && let Some((folder, depth)) = self.left.pop()
        {
            let Ok(entries) = fs::read_dir(&folder) else {
                self.failed += 1;
                continue;
            };
            // A folder is begun anew rather than left half-way; what is tight already costs little.
            for entry in entries.flatten() {
                looked_at += 1;
                if looked_at > most {
                    self.left.push((folder, depth));
                    break;
                }
                let path = entry.path();
                if tighten(&path, self) && depth + 1 < MAX_DEPTH {
                    self.left.insert(0, (path, depth + 1));
                }
            }
        }
    }

    fn tell(&self) {
        let Self { tightened, failed, .. } = *self;
        if tightened > 0 {
            tracing::warn!(
                count = tightened,
                "files and folders in the data directory could be read by others, and are private now"
            );
        }
        if failed > 0 {
            tracing::warn!(
                count = failed,
                "files or folders in the data directory can't be made private"
            );
        }
    }
}

/// Takes from a file or folder what others may do. Answers whether it is a folder that can be looked into.
fn tighten(path: &Path, tightening: &mut Tightening) -> bool {
    // Of a link this is the link itself.
    let Ok(found) = fs::symlink_metadata(path) else { return false };
    if !found.is_file() && !found.is_dir() {
        return false;
    }
    note(close(path, &found), tightening);
    found.is_dir()
}

fn note(closed: io::Result<bool>, tightening: &mut Tightening) {
    match closed {
        Ok(changed) => tightening.tightened += usize::from(changed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => tightening.failed += 1,
    }
}

/// Whether anything had to be taken from others.
fn close(path: &Path, found: &fs::Metadata) -> io::Result<bool> {
    let mode = found.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(false);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_directory_or_as_root_any() {
        assert!(may_use(1000, 1000) && may_use(1000, 0) && may_use(0, 0));
        assert!(!may_use(0, 1000) && !may_use(1001, 1000));
    }

    #[test]
    fn what_is_looked_at_at_a_time_is_bounded_and_nothing_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("files/deep");
        fs::create_dir_all(&deep).unwrap();
        for number in 0..50 {
            for folder in [dir.path(), &dir.path().join("files"), &deep] {
                let file = folder.join(number.to_string());
                fs::write(&file, "x").unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            }
        }
        for folder in [&dir.path().join("files"), &deep] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let left = vec![(dir.path().to_owned(), 0)];
        let mut tightening = Tightening { left, ..Tightening::default() };
        tightening.go_on(60);
        assert!(!tightening.left.is_empty() && tightening.tightened <= 60, "{tightening:?}");
        tightening.go_on(usize::MAX);
        assert_eq!((tightening.tightened, tightening.failed), (152, 0));
        assert_eq!(tightening.left, []);
    }
}

//! The key that secrets are encrypted with, in a file of its own. It is made once, and no file is ever overwritten with
//! one. For a database that is encrypted already none is made: what is encrypted would be lost, and a new key would
//! hide that.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Bytes of a file that holds a key, with some space around it.
const MAX_FILE: u64 = 1024;

/// Why the database can't be opened with a key.
#[derive(Debug, thiserror::Error)]
pub enum SecretKeyProblem {
    /// There is no such file, and the database is encrypted with a key.
    #[error(
        "there is no such file, and the secrets in this database are encrypted with a key: put its key file there, \
         from the backup, or name it with --secret-key-file"
    )]
    Missing,
    /// It is another database's.
    #[error(
        "the secrets in this database are encrypted with another key: put its own key file there, from the backup, or \
         name it with --secret-key-file"
    )]
    Wrong,
    /// It holds something else.
    #[error(
        "it does not hold a key, which is 32 bytes in base64: put the key file of this database there, from the backup, \
         or name it with --secret-key-file; a new database gets a new key if there is no such file"
    )]
    Malformed,
    /// The machine refuses.
    #[error(
        "it can't be read or made: check its directory, owner and mode, or name another with --secret-key-file"
    )]
    Io(#[from] io::Error),
}

/// The key in this file. If there is no such file, one is made where that `may_be_made`.
pub(crate) fn read_or_make(path: &Path, may_be_made: bool) -> Result<[u8; 32], SecretKeyProblem> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    if !may_be_made {
        return Err(SecretKeyProblem::Missing);
    }
    match make(path) {
        // Another server was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read(path)?.ok_or(SecretKeyProblem::Io(error))
        }
        made => Ok(made?),
    }
}

/// None if there is no such file.
fn read(path: &Path) -> Result<Option<[u8; 32]>, SecretKeyProblem> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    warn_of_others(&file, path)?;
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text)?;
    let key = BASE64_STANDARD.decode(text.trim_ascii()).ok().and_then(|key| key.try_into().ok());
    key.map(Some).ok_or(SecretKeyProblem::Malformed)
}

/// A warning if others may read it: whoever mounted it so may have had no other way, so it is no refusal.
#[cfg(unix)]
fn warn_of_others(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = file.metadata()?.mode() & 0o777;
    if mode & 0o077 != 0 {
        let (path, mode) = (path.display(), format!("{mode:o}"));
        tracing::warn!(%path, mode, "others may read the key that secrets are encrypted with: chmod 600");
    }
    Ok(())
}

#[cfg(not(unix))]
fn warn_of_others(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes a key, which is on the disk, whole, before anything is encrypted with it.
fn make(path: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    rand::fill(&mut key).map_err(|_| io::Error::other("the machine has no randomness"))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or_else(|| Path::new("."));
    // Its owner's alone, and removed if this fails.
    let mut draft = tempfile::Builder::new().prefix(".secret-key-").tempfile_in(directory)?;
    writeln!(draft, "{}", BASE64_STANDARD.encode(key))?;
    draft.as_file().sync_all()?;
    draft.persist_noclobber(path)?;
    File::open(directory)?.sync_all()?;
    tracing::info!(
        path = %path.display(),
        "made a secret key; keep a copy of it with each backup: without it the secrets of webhooks are lost"
    );
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
        thread,
    };

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        fs::read_dir(directory).unwrap().map(name).map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_key_is_made_once_and_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        // However many begin at the same time.
        let keys: Vec<_> = thread::scope(|scope| {
            let threads = [(); 16].map(|()| scope.spawn(|| read_or_make(&path, true).unwrap()));
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0] && *key != [0; 32]));
        assert_eq!(names(directory.path()), ["key"], "no draft is left");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_or_make(&path, false).unwrap(), keys[0]);
    }

    #[test]
    fn what_is_there_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        assert_eq!(make(&path).unwrap(), read(&path).unwrap().unwrap());
        let kept = fs::read(&path).unwrap();
        assert_eq!(make(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), kept);
        // Nor is a link to nothing, nor what holds no key.
        let link = directory.path().join("link");
        symlink("nothing", &link).unwrap();
        assert!(matches!(read_or_make(&link, true), Err(SecretKeyProblem::Io(_))));
        assert!(link.is_symlink());
        for wrong in [&b""[..], b"AAAA", b"\xff\xfe", &kept[..20], &[b' '; 5000]] {
            fs::write(&path, wrong).unwrap();
            assert!(matches!(read_or_make(&path, true), Err(SecretKeyProblem::Malformed)));
            assert_eq!(fs::read(&path).unwrap(), wrong);
        }
        let nowhere = directory.path().join("nowhere/key");
        assert!(matches!(read_or_make(&nowhere, true), Err(SecretKeyProblem::Io(_))));
        assert_eq!(names(directory.path()).len(), 2, "no draft is left");
    }
}

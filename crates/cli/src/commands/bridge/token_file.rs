//! The file that a new bridge's token is to be written into.
//!
//! It is there before the bridge is made, so a token is not lost because its file can't be; and it was not there before, so no
//! other bridge's token is.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use switchboard_model::secret::Secret;

use super::options;

/// An empty file, for its owner alone. It goes away with this, unless a token was written into it.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    file: File,
    is_written: bool,
}

impl TokenFile {
    /// Makes the file.
    pub(crate) fn make(path: &Path) -> anyhow::Result<Self> {
        let path = options::absolute(path)?;
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => Ok(Self { path, file, is_written: false }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(
                "{} is there already, and may be another bridge's: name a new file with --token-file. No bridge was made",
                path.display()
            ),
            Err(error) => Err(error).with_context(|| {
                format!("{} can't be written, and no bridge was made", path.display())
            }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the token down.
    pub(super) fn write(&mut self, token: &Secret) -> io::Result<()> {
        let text = format!("{}\n", token.reveal());
        self.file.write_all(text.as_bytes())?;
        self.file.sync_all()?;
        self.is_written = true;
        Ok(())
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        if !self.is_written {
            // Nobody can be told, and an empty file harms nobody.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use switchboard_model::secret::SecretKind;

    use super::*;

    #[test]
    fn a_file_is_only_left_with_a_token_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let token = Secret::from_random(SecretKind::Bridge, [7; 20]);
        drop(TokenFile::make(&path).unwrap());
        assert!(!path.exists());
        TokenFile::make(&path).unwrap().write(&token).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", token.reveal()));
        assert!(TokenFile::make(&path).is_err());
    }

    #[test]
    fn what_could_not_be_written_is_not_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let token = Secret::from_random(SecretKind::Bridge, [7; 20]);
        let mut file = TokenFile::make(&path).unwrap();
        // It can't be written to: as if the disk were full.
        file.file = File::open(&path).unwrap();
        assert!(file.write(&token).is_err());
        drop(file);
        assert!(!path.exists());
    }
}

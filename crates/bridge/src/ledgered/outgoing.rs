//! The files of items that go out, on the disk while they do.
//!
//! Each attempt has a folder of its own, so that a file keeps the name that the other party is shown. What a killed
//! process leaves is removed at the next start.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use switchboard_model::link::{Content, LinkedFile, SendItem};
use tempfile::TempDir;

use crate::{
    connector::OutgoingFile,
    convert::{Converter, Made, NoMemo},
    files::{FileClient, FileError},
    ledger::LedgerError,
};

/// How long the files of one item may take to come from the server.
pub(super) const FETCH_WITHIN: Duration = Duration::from_secs(10 * 60);
/// The longest name on the disk, in bytes, with its extension.
const MAX_NAME: usize = 120;

/// The folder of outgoing files.
pub(super) struct OutgoingFiles {
    dir: PathBuf,
}

/// The files of one attempt. They go away with this.
pub(super) struct Fetched {
    _dir: Option<TempDir>,
    files: Vec<(LinkedFile, PathBuf)>,
    /// What was made of some of them.
    made: Vec<Made>,
}

impl OutgoingFiles {
    /// Makes the folder, and empties it.
    pub(super) fn open(dir: PathBuf) -> Result<Self, LedgerError> {
        let emptied = match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(&dir),
        };
        match emptied {
            Ok(()) => Ok(Self { dir }),
            Err(error) => Err(LedgerError::Open { path: dir, source: error.into() }),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Fetches what goes with an item.
    pub(super) async fn fetch(
        &self,
        item: &SendItem,
        files: &FileClient,
    ) -> Result<Fetched, FileError> {
        let Content::Message { attachments, .. } = &item.content else {
            return Ok(Fetched::none());
        };
        if attachments.is_empty() {
            return Ok(Fetched::none());
        }
        let dir = tempfile::tempdir_in(&self.dir).map_err(FileError::Disk)?;
        let mut fetched = Vec::with_capacity(attachments.len());
        for (number, file) in attachments.iter().enumerate() {
            let folder = dir.path().join(number.to_string());
            std::fs::create_dir(&folder).map_err(FileError::Disk)?;
            let path = folder.join(safe_name(file));
            files.fetch(file, &path, FETCH_WITHIN).await?;
            fetched.push((file.clone(), path));
        }
        Ok(Fetched { _dir: Some(dir), files: fetched, made: Vec::new() })
    }
}

impl Fetched {
    fn none() -> Self {
        Self { _dir: None, files: Vec::new(), made: Vec::new() }
    }

    /// Makes voice memos that Messages plays of those that it does not.
    pub(super) async fn make_memos(&mut self, converter: &Converter) -> Result<(), NoMemo> {
        for (file, path) in &mut self.files {
            let Some(made) = converter.memo(path).await? else { continue };
            made.path().clone_into(path);
            let size = tokio::fs::metadata(&path).await.map_or(file.size, |found| found.len());
            let filename = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let mime_type = "audio/x-caf".to_owned();
            *file = LinkedFile { filename, mime_type, size, ..file.clone() };
            self.made.push(made);
        }
        Ok(())
    }

    pub(super) fn files(&self) -> Vec<OutgoingFile> {
        let file = |(file, path): &(LinkedFile, PathBuf)| OutgoingFile {
            file: file.clone(),
            path: path.clone(),
        };
        self.files.iter().map(file).collect()
    }
}

/// The file's own name, without what could lead out of its folder.
fn safe_name(file: &LinkedFile) -> String {
    let given = file.filename.as_deref().unwrap_or("file");
    let last = given.rsplit(['/', '\\']).next().unwrap_or("file");
    let plain: String = last.chars().filter(|c| !c.is_control()).collect();
    let plain = plain.trim_start_matches('.').trim();
    if plain.is_empty() {
        return "file".to_owned();
    }
    if plain.len() <= MAX_NAME {
        return plain.to_owned();
    }
    // The end says what it is.
    let start = plain.ceil_char_boundary(plain.len() - MAX_NAME);
    plain[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_folder() {
        let named = |name: &str| {
            safe_name(&LinkedFile {
                file_id: switchboard_model::id::Id::generate(),
                filename: Some(name.to_owned()),
                mime_type: "image/png".to_owned(),
                size: 1,
                transcription: None,
                original: None,
            })
        };
        for (given, kept) in [
            ("IMG 1.png", "IMG 1.png"),
            ("../../etc/passwd", "passwd"),
            ("..\\up.png", "up.png"),
            ("..", "file"),
            (".hidden", "hidden"),
            ("a\u{0}b\n.png", "ab.png"),
            ("", "file"),
        ] {
            assert_eq!(named(given), kept, "{given:?}");
        }
        let long = named(&format!("{}.png", "ä".repeat(200)));
        assert!(long.len() <= MAX_NAME && long.ends_with("ä.png"), "{long}");
    }
}

//! Whether a data directory can be written to.

use std::{fs, io, path::Path};

use switchboard_bridge::try_to_write;

/// Writes something and takes it away again; of a directory that is not there, the one above it that is.
pub(super) fn look(dir: &Path) -> io::Result<()> {
    // What a relative path begins in has no name.
    let there = dir.ancestors().map(|dir| match dir.as_os_str().is_empty() {
        true => Path::new("."),
        false => dir,
    });
    let there = there.into_iter().find(|dir| dir.exists()).unwrap_or(dir);
    if !fs::metadata(there)?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a directory"));
    }
    try_to_write(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_is_where_it_will_be() {
        let dir = tempfile::tempdir().unwrap();
        // Nobody makes these; the first is looked for where the tests run.
        for new in [Path::new("not-there"), &dir.path().join("not/there"), dir.path()] {
            look(new).unwrap();
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for wrong in [&file, &file.join("below")] {
            assert_eq!(look(wrong).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        }
    }
}

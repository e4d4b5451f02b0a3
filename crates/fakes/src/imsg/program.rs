//! The name by which a driver spawns `fake-imsg`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::program::built;

/// Puts a name for the program into a folder, and beside it the address of its Mac.
pub(crate) fn link(folder: &Path, address: &str) -> io::Result<PathBuf> {
    let name = folder.join("imsg");
    fs::write(folder.join("imsg.mac"), address)?;
    // Not a script: one that was just written may not be executed while another thread forks.
    std::os::unix::fs::symlink(built("fake-imsg"), &name)?;
    Ok(name)
}

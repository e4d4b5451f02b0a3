//! Which driver carries the lines: the one place that knows all of them.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use switchboard_bridge::Driver;

use super::options::{DriverName, Options};

/// The driver of these options, with its memory in `dir`. Blocks; call it within a runtime.
pub(super) fn driver(options: &Options, dir: &Path) -> anyhow::Result<Arc<dyn Driver>> {
    let _ = dir;
    match options.driver {
        DriverName::Imsg => anyhow::bail!("the driver imsg is not in this version"),
        DriverName::Bluebubbles => anyhow::bail!("the driver bluebubbles is not in this version"),
        DriverName::AndroidSms => anyhow::bail!("the driver android-sms is not in this version"),
    }
}

/// Where Homebrew puts programs; what launchd starts has neither in its PATH.
const HOMEBREW: [&str; 2] = ["/opt/homebrew/bin", "/usr/local/bin"];

/// A program by its name or its path; none if it is not there.
pub(super) fn find_program(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        let path = super::options::absolute(program).ok()?;
        return path.is_file().then_some(path);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(HOMEBREW.map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

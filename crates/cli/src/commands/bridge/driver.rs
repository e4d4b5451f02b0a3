//! Which driver carries the lines: the one place that knows all of them.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use switchboard_bridge::{
    Driver, Ledgered,
    drivers::{Imsg, ImsgProgram},
};

use super::options::{self, DriverName, Options};

/// The driver of these options, with its memory in `dir`. Blocks; call it within a runtime.
pub(super) fn driver(options: &Options, dir: &Path) -> anyhow::Result<Arc<dyn Driver>> {
    let start = options.history_since.time();
    Ok(match options.driver {
        DriverName::Imsg => Ledgered::start(imsg(options), dir, start)?,
        DriverName::Bluebubbles => anyhow::bail!("the driver bluebubbles is not in this version"),
        DriverName::AndroidSms => anyhow::bail!("the driver android-sms is not in this version"),
    })
}

fn imsg(options: &Options) -> Imsg {
    let wanted = &options.imsg.imsg;
    // One that is not there may come: the driver tries again.
    let program = find_program(wanted).unwrap_or_else(|| wanted.clone());
    let db =
        options.imsg.db.as_deref().map(|db| options::dir(db).unwrap_or_else(|_| db.to_owned()));
    Imsg::new(ImsgProgram { program, db, env: Vec::new() })
}

/// Where Homebrew puts programs; what launchd starts has neither in its PATH.
const HOMEBREW: [&str; 2] = ["/opt/homebrew/bin", "/usr/local/bin"];

/// A program by its name or its path; none if it is not there.
pub(super) fn find_program(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        let path = options::absolute(program).ok()?;
        return path.is_file().then_some(path);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(HOMEBREW.map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

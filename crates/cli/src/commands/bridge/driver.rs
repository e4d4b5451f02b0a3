//! Which driver carries the lines: the one place that knows all of them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use switchboard_bridge::{
    Connector, ConversionTools, Driver, Ledgered,
    drivers::{
        AndroidSms, AndroidSmsOptions, BlueBubbles, BlueBubblesOptions, BlueBubblesWebhook, Imsg,
        ImsgProgram,
    },
};

use super::{
    check,
    options::{self, DriverName, Options},
    secrets,
};

/// The driver of these options, with its memory in `dir`. Blocks; call it within a runtime.
pub(super) fn driver(options: &Options, dir: &Path) -> anyhow::Result<Arc<dyn Driver>> {
    Ok(match options.driver {
        DriverName::Imsg => with_memory(imsg(options), options, dir)?,
        DriverName::Bluebubbles => with_memory(bluebubbles(options)?, options, dir)?,
        DriverName::AndroidSms => with_memory(android_sms(options)?, options, dir)?,
    })
}

fn with_memory(
    connector: impl Connector,
    options: &Options,
    dir: &Path,
) -> anyhow::Result<Arc<dyn Driver>> {
    let program = |given: &PathBuf| find_program(given).unwrap_or_else(|| given.clone());
    let tools = ConversionTools {
        sips: program(&options.files.sips),
        afconvert: program(&options.files.afconvert),
        ..ConversionTools::default()
    };
    Ok(Ledgered::start_converting(connector, dir, options.history_since.time(), tools)?)
}

fn bluebubbles(options: &Options) -> anyhow::Result<BlueBubbles> {
    let given = &options.bluebubbles;
    let password = secrets::password(
        given.bluebubbles_password.as_deref(),
        given.bluebubbles_password_file.as_deref(),
        "bluebubbles-password",
    )?;
    let url = check::bluebubbles_url(options)?;
    let webhook = given.bluebubbles_listen.map(|listen| BlueBubblesWebhook { listen, url: None });
    let options = BlueBubblesOptions { webhook, ..BlueBubblesOptions::new(url, password) };
    Ok(BlueBubbles::new(options)?)
}

fn android_sms(options: &Options) -> anyhow::Result<AndroidSms> {
    let given = &options.android;
    let password = secrets::password(
        given.android_password.as_deref(),
        given.android_password_file.as_deref(),
        "android-password",
    )?;
    let url = check::android_url(options)?;
    let user = given.android_user.as_deref().context("--android-user is missing")?;
    let sims = given.android_lines.iter().map(|line| (line.handle.clone(), line.sim)).collect();
    let options = AndroidSmsOptions { sims, ..AndroidSmsOptions::new(url, user, password) };
    Ok(AndroidSms::new(options)?)
}

fn imsg(options: &Options) -> Imsg {
    let wanted = &options.imsg.imsg;
    // One that is not there may come: the driver tries again.
    let program = find_program(wanted).unwrap_or_else(|| wanted.clone());
    let db =
        options.imsg.db.as_deref().map(|db| options::dir(db).unwrap_or_else(|_| db.to_owned()));
    Imsg::new(ImsgProgram { program, db, env: Vec::new(), macos: macos() })
}

/// Which macOS this is; none on another system.
fn macos() -> Option<u32> {
    macos_of(&fs::read_to_string("/System/Library/CoreServices/SystemVersion.plist").ok()?)
}

fn macos_of(plist: &str) -> Option<u32> {
    let (_, after) = plist.split_once("<key>ProductVersion</key>")?;
    let (_, version) = after.split_once("<string>")?;
    version.split(['.', '<']).next()?.trim().parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macos_says_which_it_is() {
        let plist = |version| {
            format!(
                "<plist><dict>\n\t<key>ProductName</key>\n\t<string>macOS</string>\n\t<key>ProductVersion</key>\n\t\
                 <string>{version}</string>\n</dict></plist>"
            )
        };
        assert_eq!(macos_of(&plist("26.1")), Some(26));
        assert_eq!(macos_of(&plist("15")), Some(15));
        assert_eq!(macos_of(&plist("")), None);
        assert_eq!(macos_of("bplist00"), None);
    }
}

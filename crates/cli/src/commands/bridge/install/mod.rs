//! `switchboard bridge install`: lets launchd or systemd start the bridge with the session, and again when it ends.

mod launchd;
mod systemd;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use serde_json::json;

use super::{
    check::check,
    driver::find_program,
    options::{self, AFCONVERT, DriverName, Options, SIPS, absolute},
    secrets::{self, TOKEN, TokenSource},
};
use crate::{commands::data_dir, output};

/// The option that needs no other.
const UNINSTALL: &str = "uninstall";

/// Let the bridge start by itself: write a job for launchd (macOS) or a unit for systemd (Linux)
///
/// It writes one file and starts nothing: it says which two commands do. Secrets are named by their files and do not
/// stand in it.
#[derive(Debug, Args)]
pub(super) struct Install {
    #[command(flatten)]
    options: ToInstall,

    /// What to call it, if this machine has several bridges
    #[arg(long, default_value = "bridge", value_parser = name, value_name = "NAME")]
    name: String,

    /// Only print what would be written
    #[arg(long, conflicts_with = "uninstall")]
    print: bool,

    /// Take it away again; the data directory stays
    #[arg(long)]
    uninstall: bool,

    /// Print what was done, and the commands that follow, as JSON
    #[arg(long, conflicts_with = "print")]
    json: bool,
}

/// The options of what is to be installed; none for what is taken away.
#[derive(Debug)]
struct ToInstall(Option<Options>);

impl Args for ToInstall {
    fn augment_args(command: Command) -> Command {
        let required = |arg: Arg| arg.required(false).required_unless_present(UNINSTALL);
        Options::augment_args(command).mut_arg("server", required).mut_arg("driver", required)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ToInstall {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_wanted = !matches.get_flag(UNINSTALL);
        is_wanted.then(|| Options::from_arg_matches(matches)).transpose().map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What is to be started.
#[derive(Debug, Clone)]
struct Job {
    name: String,
    /// The program and its arguments, all from the root on: neither launchd nor systemd knows a shell.
    command: Vec<String>,
    data_dir: PathBuf,
}

/// Who starts it.
#[derive(Debug, Clone, Copy)]
enum Starter {
    Launchd,
    Systemd,
}

impl Starter {
    fn here() -> Self {
        if cfg!(target_os = "macos") { Self::Launchd } else { Self::Systemd }
    }

    fn path(self, name: &str) -> anyhow::Result<PathBuf> {
        let home = options::home()?;
        Ok(match self {
            Self::Launchd => home.join(launchd::folder()).join(launchd::file(name)),
            Self::Systemd => systemd::folder(&home).join(systemd::file(name)),
        })
    }

    fn text(self, job: &Job) -> String {
        match self {
            Self::Launchd => launchd::text(job),
            Self::Systemd => systemd::text(job),
        }
    }

    fn to_start(self, name: &str, path: &Path) -> [String; 2] {
        match self {
            Self::Launchd => launchd::to_start(name, path),
            Self::Systemd => systemd::to_start(name),
        }
    }

    /// What it leaves to its user.
    fn not_done(self) -> &'static str {
        match self {
            Self::Launchd => launchd::NOT_DONE,
            Self::Systemd => systemd::NOT_DONE,
        }
    }

    fn words(self, name: &str, path: &Path) -> String {
        let [first, second] = self.to_start(name, path);
        format!(
            "Start it now, and with each login:\n\n  {first}\n  {second}\n\n{}",
            self.not_done()
        )
    }

    fn to_stop(self, name: &str) -> String {
        match self {
            Self::Launchd => launchd::to_stop(name),
            Self::Systemd => systemd::to_stop(name),
        }
    }
}

pub(super) fn run(install: &Install) -> anyhow::Result<()> {
    let starter = Starter::here();
    let path = starter.path(&install.name)?;
    if install.uninstall {
        return uninstall(starter, install, &path);
    }
    let ToInstall(Some(options)) = &install.options else { bail!("there is nothing to install") };
    check(options)?;
    let dir = absolute(&options.data_dir)?;
    if !install.print {
        data_dir::prepare(&dir)?;
        if let TokenSource::Stdin | TokenSource::Missing = TokenSource::of(options, &dir)? {
            // It is asked for now, on the terminal: whoever starts the bridge later has none.
            secrets::token(options, &dir)?;
        }
    }
    let job = job(&install.name, options, dir)?;
    let text = starter.text(&job);
    if install.print {
        return Ok(output::data(text.trim_end())?);
    }
    let folder = path.parent().context("the job's file has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    crate::commands::host::write_private(&path, &text)?;
    if install.json {
        let told = json!({
            "path": path.display().to_string(),
            "start": starter.to_start(&install.name, &path),
            "stop": starter.to_stop(&install.name),
        });
        return Ok(output::data(&told.to_string())?);
    }
    output::data(&path.display().to_string())?;
    output::talk(&starter.words(&install.name, &path));
    Ok(())
}

fn uninstall(starter: Starter, install: &Install, path: &Path) -> anyhow::Result<()> {
    let shown = path.display().to_string();
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("{shown} is not there: nothing of that name is installed")
        }
        Err(error) => bail!("{shown} can't be taken away: {error}"),
    }
    let stop = starter.to_stop(&install.name);
    if install.json {
        return Ok(output::data(&json!({"removed": shown, "stop": stop}).to_string())?);
    }
    output::data(&format!("{shown} is gone"))?;
    output::talk(&format!("If it still runs: {stop}"));
    Ok(())
}

/// The command of the job: what was given, with secrets by their files and paths from the root on.
fn job(name: &str, options: &Options, dir: PathBuf) -> anyhow::Result<Job> {
    let mut command =
        vec![env::current_exe().context("where this program is")?.display().to_string()];
    command.extend(["bridge", "run"].map(str::to_owned));
    let mut add = |name: &str, value: String| command.extend([format!("--{name}"), value]);
    add("server", options.server.clone());
    let token = match TokenSource::of(options, &dir)? {
        TokenSource::File(file) => absolute(&file)?,
        TokenSource::Stdin | TokenSource::Missing => dir.join(TOKEN),
        TokenSource::Given(_) => bail!(
            "a token of the command line or the environment is not written into the job: leave it out and let it be \
             asked for, or use --token-file"
        ),
    };
    add("token-file", token.display().to_string());
    add("data-dir", dir.display().to_string());
    add("driver", options.driver.as_str().to_owned());
    match options.driver {
        DriverName::Imsg => {
            let wanted = &options.imsg.imsg;
            let program = find_program(wanted);
            // Where it will be, if it is not there yet.
            let program = program.unwrap_or_else(|| wanted.clone());
            add("imsg", program.display().to_string());
            if let Some(db) = &options.imsg.db {
                add("db", absolute(db)?.display().to_string());
            }
        }
        DriverName::Bluebubbles => {
            let given = &options.bluebubbles;
            add("bluebubbles-url", given.bluebubbles_url.clone().unwrap_or_default());
            add(
                "bluebubbles-password-file",
                password_file(given.bluebubbles_password_file.as_deref(), "bluebubbles")?,
            );
            if let Some(address) = given.bluebubbles_listen {
                add("bluebubbles-listen", address.to_string());
            }
        }
        DriverName::AndroidSms => {
            let given = &options.android;
            add("android-url", given.android_url.clone().unwrap_or_default());
            add("android-user", given.android_user.clone().unwrap_or_default());
            add(
                "android-password-file",
                password_file(given.android_password_file.as_deref(), "android")?,
            );
            for line in &given.android_lines {
                add("android-line", format!("{}={}", line.handle, line.sim));
            }
        }
    }
    let files = &options.files;
    for (name, program, usual) in
        [("sips", &files.sips, SIPS), ("afconvert", &files.afconvert, AFCONVERT)]
    {
        if program != Path::new(usual) {
            let program = find_program(program).unwrap_or_else(|| program.clone());
            add(name, program.display().to_string());
        }
    }
    add("log-file", dir.join("bridge.log").display().to_string());
    Ok(Job { name: name.to_owned(), command, data_dir: dir })
}

fn password_file(file: Option<&Path>, driver: &str) -> anyhow::Result<String> {
    let Some(file) = file else {
        bail!("the password has to be in a file: name it with --{driver}-password-file");
    };
    Ok(absolute(file)?.display().to_string())
}

fn name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match !text.is_empty() && text.len() <= 40 && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("must be small letters, digits and dashes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd() -> Job {
        Job {
            name: "bridge".to_owned(),
            command: [
                "/opt/bin/switchboard",
                "bridge",
                "run",
                "--data-dir",
                "/Users/a b/50% & <\"$x\">",
            ]
            .map(str::to_owned)
            .to_vec(),
            data_dir: PathBuf::from("/Users/a b/50% & <\"$x\">"),
        }
    }

    fn all_of_it(starter: Starter, path: &str) -> String {
        let (text, words) = (starter.text(&odd()), starter.words("bridge", Path::new(path)));
        format!("{text}\n{words}\n\n{}", starter.to_stop("bridge"))
    }

    #[test]
    fn a_job_for_launchd_says_all_of_it() {
        let path = "/Users/a b/Library/LaunchAgents/switchboard.bridge.plist";
        insta::assert_snapshot!(all_of_it(Starter::Launchd, path));
    }

    #[test]
    fn a_unit_for_systemd_says_all_of_it() {
        insta::assert_snapshot!(all_of_it(Starter::Systemd, "/unused"));
    }

    #[test]
    fn names_are_plain() {
        assert!(name("bridge-2").is_ok());
        for wrong in ["", "a b", "../x", "Ä", "a.b"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}

//! Where a bridge's secrets come from: a file, the environment, the terminal. On the command line they are taken, too,
//! with a warning: whoever is on the machine can read it there.

use std::{
    env,
    io::{self, IsTerminal, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use switchboard_model::secret::{self, Secret, SecretKind};

use super::options::{self, Options};
use crate::{commands::host, output};

/// The token in the data directory.
pub(super) const TOKEN: &str = "token";
/// The longest secret that is read, in bytes.
const MAX_SECRET: u64 = 4096;

/// Options that hold a secret, and what is safer.
const SECRET_OPTIONS: [(&str, &str); 3] = [
    ("--token", "--token-file"),
    ("--bluebubbles-password", "--bluebubbles-password-file"),
    ("--android-password", "--android-password-file"),
];

/// The secrets that were given in plain as arguments, and what to use instead.
pub(super) fn in_plain(args: impl Iterator<Item = String>) -> Vec<(&'static str, &'static str)> {
    let given: Vec<_> = args.map(|arg| arg.split('=').next().unwrap_or("").to_owned()).collect();
    SECRET_OPTIONS.into_iter().filter(|(option, _)| given.iter().any(|one| one == option)).collect()
}

/// The same of this process.
pub(super) fn in_plain_here() -> Vec<(&'static str, &'static str)> {
    in_plain(env::args_os().map(|arg| arg.to_string_lossy().into_owned()))
}

/// Where the token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenSource {
    Given(String),
    File(PathBuf),
    Stdin,
    /// There is none yet; on a terminal it is asked for.
    Missing,
}

impl TokenSource {
    pub(super) fn of(options: &Options, dir: &Path) -> anyhow::Result<Self> {
        let kept = dir.join(TOKEN);
        Ok(match (&options.token, &options.token_file) {
            (Some(token), _) => Self::Given(token.clone()),
            (None, Some(file)) if file.as_os_str() == "-" => Self::Stdin,
            (None, Some(file)) => Self::File(options::dir(file)?),
            (None, None) if kept.exists() => Self::File(kept),
            (None, None) => Self::Missing,
        })
    }
}

/// The bridge's token. What is typed or piped in is kept in the data directory for the next time.
pub(super) fn token(options: &Options, dir: &Path) -> anyhow::Result<String> {
    let (token, keep) = match TokenSource::of(options, dir)? {
        TokenSource::Given(token) => (token, false),
        TokenSource::File(file) => (read(&file)?, false),
        TokenSource::Stdin => (read_all(io::stdin().lock())?, true),
        TokenSource::Missing if io::stdin().is_terminal() => {
            let asked = rpassword::prompt_password("Paste the bridge's token (it is not shown): ");
            (asked.context("the token could not be read from the terminal")?, true)
        }
        TokenSource::Missing => bail!(
            "no token: 'switchboard admin bridges create' on the server's machine makes one. Put it into {}, or name \
             a file with --token-file",
            dir.join(TOKEN).display()
        ),
    };
    let token = secret::bare(&token).to_owned();
    if Secret::parse(SecretKind::Bridge, &token).is_none() {
        let prefix = SecretKind::Bridge.prefix();
        bail!("this is no bridge's token: one begins with {prefix} and was pasted whole");
    }
    if keep {
        crate::commands::data_dir::prepare(dir)?;
        let file = dir.join(TOKEN);
        host::write_private(&file, &format!("{token}\n"))?;
        output::talk(&format!("The token is kept in {}", file.display()));
    }
    Ok(token)
}

/// A password of its option, its environment or its file.
pub(super) fn password(
    given: Option<&str>,
    file: Option<&Path>,
    name: &'static str,
) -> anyhow::Result<String> {
    let password = match (given, file) {
        (Some(password), _) => password.to_owned(),
        (None, Some(file)) => read(&options::dir(file)?)?,
        (None, None) => bail!("no password: write it into a file and name that with --{name}-file"),
    };
    let password = password.trim_end_matches(['\r', '\n']).trim_start_matches('\u{feff}');
    if password.is_empty() {
        bail!("the password of --{name}-file is empty");
    }
    Ok(password.to_owned())
}

fn read(file: &Path) -> anyhow::Result<String> {
    let opened = std::fs::File::open(file);
    let opened = opened.with_context(|| format!("{} can't be read", file.display()))?;
    read_all(opened).with_context(|| format!("{} can't be read", file.display()))
}

fn read_all(source: impl io::Read) -> anyhow::Result<String> {
    let mut text = String::new();
    source.take(MAX_SECRET).read_to_string(&mut text).context("the secret can't be read")?;
    Ok(text)
}

/// Whether anybody but its owner may read this file.
pub(super) fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_plain_are_seen() {
        let seen = |args: &[&str]| in_plain(args.iter().map(|&arg| arg.to_owned())).len();
        assert_eq!(seen(&["bridge", "run", "--token", "x", "--android-password=y"]), 2);
        assert_eq!(seen(&["bridge", "run", "--token-file", "--bluebubbles-password-file=z"]), 0);
    }

    #[test]
    fn a_password_is_taken_without_the_end_of_its_line_and_with_all_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "\u{feff} p\"ss word \r\n").unwrap();
        assert_eq!(password(None, Some(&file), "x").unwrap(), " p\"ss word ");
        assert_eq!(password(Some("given"), Some(&file), "x").unwrap(), "given");
        std::fs::write(&file, "\n").unwrap();
        assert!(password(None, Some(&file), "x").is_err());
        assert!(password(None, None, "bluebubbles-password").is_err());
    }
}

//! What `run`, `doctor` and `install` take alike: whom to dial, as whom, and what carries the lines.

#![allow(rustdoc::bare_urls, reason = "a terminal shows it, as --help")]

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use switchboard_model::{Handle, Timestamp, time::Clock as _};
use switchboard_server::SystemClock;

/// Keeps what belongs to one driver apart.
const IMSG: &str = "Options of --driver imsg";
const BLUEBUBBLES: &str = "Options of --driver bluebubbles";
const ANDROID: &str = "Options of --driver android-sms";
const FILES: &str = "Options of files";

/// The folder of a bridge that was told no other.
pub(super) const DATA_DIR: &str = "~/.switchboard-bridge";

/// Where macOS has its programs.
pub(super) const SIPS: &str = "/usr/bin/sips";
pub(super) const AFCONVERT: &str = "/usr/bin/afconvert";

#[derive(Debug, Clone, Args)]
pub(super) struct Options {
    /// The Switchboard server: https://sw.example.com. Without TLS (http://…) only where nobody else can listen in
    #[arg(long, env = "SWITCHBOARD_BRIDGE_SERVER", value_name = "URL")]
    pub(super) server: String,

    /// The bridge's token, of 'switchboard admin bridges create'. Others on this machine can see it on the command
    /// line: rather let it be asked for, or use a file
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_TOKEN",
        hide_env_values = true,
        conflicts_with = "token_file",
        value_name = "TOKEN"
    )]
    pub(super) token: Option<String>,

    /// A file with the token; "-" reads it from standard input and keeps it. Without it, DATA_DIR/token, which is made
    /// from what you type when it is missing
    #[arg(long, env = "SWITCHBOARD_BRIDGE_TOKEN_FILE", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,

    /// Directory of this bridge alone: its token, its memory, its state; made if missing
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_DATA_DIR",
        default_value = DATA_DIR,
        value_name = "DIR"
    )]
    pub(super) data_dir: PathBuf,

    /// What carries the lines
    #[arg(long, env = "SWITCHBOARD_BRIDGE_DRIVER", value_name = "DRIVER")]
    pub(super) driver: DriverName,

    /// From when on messages count that were there before the bridge's first start: "now", or a time such as
    /// 2026-11-01T00:00:00Z
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_HISTORY_SINCE",
        default_value = "now",
        value_name = "TIME"
    )]
    pub(super) history_since: HistorySince,

    #[command(flatten)]
    pub(super) imsg: Imsg,

    #[command(flatten)]
    pub(super) bluebubbles: Bluebubbles,

    #[command(flatten)]
    pub(super) android: Android,

    #[command(flatten)]
    pub(super) files: Files,
}

/// What carries lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DriverName {
    /// The program imsg on this Mac, beside Messages
    Imsg,
    /// A BlueBubbles server on a Mac
    Bluebubbles,
    /// An Android phone with the app SMS Gateway for Android
    AndroidSms,
}

impl DriverName {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Imsg => "imsg",
            Self::Bluebubbles => "bluebubbles",
            Self::AndroidSms => "android-sms",
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(super) struct Imsg {
    /// The program imsg; without a path it is looked for where programs are, and where Homebrew puts them
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_IMSG",
        help_heading = IMSG,
        default_value = "imsg",
        value_name = "PROGRAM"
    )]
    pub(super) imsg: PathBuf,

    /// The database of Messages, if it is not ~/Library/Messages/chat.db
    #[arg(long, env = "SWITCHBOARD_BRIDGE_DB", help_heading = IMSG, value_name = "PATH")]
    pub(super) db: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Bluebubbles {
    /// Where the BlueBubbles server is: http://127.0.0.1:1234 on the same Mac
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_BLUEBUBBLES_URL",
        help_heading = BLUEBUBBLES,
        required_if_eq("driver", "bluebubbles"),
        value_name = "URL"
    )]
    pub(super) bluebubbles_url: Option<String>,

    /// A file with its password
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_BLUEBUBBLES_PASSWORD_FILE",
        help_heading = BLUEBUBBLES,
        value_name = "FILE"
    )]
    pub(super) bluebubbles_password_file: Option<PathBuf>,

    /// Its password; others on this machine can see it on the command line
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_BLUEBUBBLES_PASSWORD",
        hide_env_values = true,
        help_heading = BLUEBUBBLES,
        conflicts_with = "bluebubbles_password_file",
        value_name = "PASSWORD"
    )]
    pub(super) bluebubbles_password: Option<String>,

    /// Address and port at which BlueBubbles tells this bridge of news, so that they come at once; without it they are
    /// looked for every few seconds
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_BLUEBUBBLES_LISTEN",
        help_heading = BLUEBUBBLES,
        value_name = "ADDR"
    )]
    pub(super) bluebubbles_listen: Option<std::net::SocketAddr>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Android {
    /// Where the phone is: http://192.168.1.20:8080, as the app shows it
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_ANDROID_URL",
        help_heading = ANDROID,
        required_if_eq("driver", "android-sms"),
        value_name = "URL"
    )]
    pub(super) android_url: Option<String>,

    /// The user name that the app shows
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_ANDROID_USER",
        help_heading = ANDROID,
        required_if_eq("driver", "android-sms"),
        value_name = "USER"
    )]
    pub(super) android_user: Option<String>,

    /// A file with the password that the app shows
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_ANDROID_PASSWORD_FILE",
        help_heading = ANDROID,
        value_name = "FILE"
    )]
    pub(super) android_password_file: Option<PathBuf>,

    /// That password; others on this machine can see it on the command line
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_ANDROID_PASSWORD",
        hide_env_values = true,
        help_heading = ANDROID,
        conflicts_with = "android_password_file",
        value_name = "PASSWORD"
    )]
    pub(super) android_password: Option<String>,

    /// Which SIM card has which line: +15550100001=1; may be repeated. SIM cards count from 1
    #[arg(
        long = "android-line",
        env = "SWITCHBOARD_BRIDGE_ANDROID_LINES",
        help_heading = ANDROID,
        value_delimiter = ',',
        required_if_eq("driver", "android-sms"),
        value_name = "HANDLE=SIM"
    )]
    pub(super) android_lines: Vec<SimLine>,
}

/// Programs of macOS; where there is none, files go as they are.
#[derive(Debug, Clone, Args)]
pub(super) struct Files {
    /// What makes a JPEG of a HEIC picture that comes in
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_SIPS",
        help_heading = FILES,
        default_value = SIPS,
        value_name = "PROGRAM"
    )]
    pub(super) sips: PathBuf,

    /// What makes an M4A of a voice memo that comes in, and of any sound a voice memo that goes out
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_AFCONVERT",
        help_heading = FILES,
        default_value = AFCONVERT,
        value_name = "PROGRAM"
    )]
    pub(super) afconvert: PathBuf,
}

/// The SIM card of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SimLine {
    pub(super) handle: Handle,
    /// From 1.
    pub(super) sim: u32,
}

impl std::str::FromStr for SimLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "must be a number and its SIM card: +15550100001=1";
        let (handle, sim) = text.rsplit_once('=').ok_or(wanted)?;
        let handle = handle.trim().parse().map_err(|_| wanted)?;
        match sim.trim().parse() {
            Ok(sim @ 1..=8) => Ok(Self { handle, sim }),
            _ => Err(wanted.to_owned()),
        }
    }
}

/// From when on old messages count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HistorySince {
    Now,
    Time(Timestamp),
}

impl HistorySince {
    /// None: from when each line is first carried.
    pub(super) fn time(self) -> Option<Timestamp> {
        match self {
            Self::Now => None,
            Self::Time(at) => Some(at),
        }
    }
}

impl std::str::FromStr for HistorySince {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Now);
        }
        let at = chrono::DateTime::parse_from_rfc3339(text)
            .map_err(|_| "must be \"now\" or a time such as 2026-11-01T00:00:00Z".to_owned())?;
        let (at, now) = (Timestamp(at.timestamp_millis()), SystemClock.now());
        if at > now {
            let now = chrono::DateTime::from_timestamp_millis(now.0).unwrap_or_default();
            let now = now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            return Err(format!("lies in the future: by this machine's clock it is {now}"));
        }
        Ok(Self::Time(at))
    }
}

impl Options {
    /// The data directory, with the home directory in the place of `~`.
    pub(super) fn dir(&self) -> anyhow::Result<PathBuf> {
        dir(&self.data_dir)
    }
}

/// A directory, with the home directory in the place of `~`: launchd and systemd know no shell.
pub(super) fn dir(given: &Path) -> anyhow::Result<PathBuf> {
    let Ok(rest) = given.strip_prefix("~") else { return Ok(given.to_owned()) };
    Ok(home()?.join(rest))
}

/// The home directory.
pub(super) fn home() -> anyhow::Result<PathBuf> {
    match env::home_dir() {
        Some(home) if home.is_absolute() => Ok(home),
        _ => bail!("the home directory is not known: set HOME"),
    }
}

/// A path from the root on, whether it exists or not.
pub(super) fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(dir(path)?).with_context(|| format!("{} is no path", path.display()))
}

//! What the commands have in common that call `/v1` with an API key.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use switchboard_client::Client;
use switchboard_model::{EventKind, Timestamp, time::Clock};
use switchboard_server::SystemClock;

use super::dev;
use crate::output::Out;

/// Keeps what every command takes apart from what is the command's own.
const SERVER: &str = "Options of every command that calls the API";

/// Repetitions of a call whose answer got lost.
const RETRIES: u32 = 2;

/// Which server, and who asks.
#[derive(Debug, Args)]
pub(super) struct Api {
    /// The server's URL; without it, that of the development server in DATA_DIR, or else
    /// the one at 127.0.0.1:8080
    #[arg(long, global = true, help_heading = SERVER, env = "SWITCHBOARD_URL", value_name = "URL")]
    url: Option<String>,

    /// An API key; without it, the one of the development server in DATA_DIR is used
    #[arg(
        long,
        global = true,
        help_heading = SERVER,
        env = "SWITCHBOARD_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    key: Option<String>,

    /// The data directory of a development server on this machine
    #[arg(
        long,
        global = true,
        help_heading = SERVER,
        env = "SWITCHBOARD_DATA_DIR",
        default_value = "./switchboard-data",
        value_name = "DIR"
    )]
    data_dir: PathBuf,

    /// Print the answer as JSON
    #[arg(long, global = true, help_heading = SERVER)]
    json: bool,
}

impl Api {
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let key = match &self.key {
            Some(key) => Some(key.clone()),
            None => dev::api_key(&self.data_dir)?,
        };
        let Some(key) = key else {
            bail!(
                "no API key: give --key, set SWITCHBOARD_API_KEY, or name the --data-dir of a development \
                 server ({} holds none)",
                self.data_dir.display()
            );
        };
        let url = self.url()?;
        let client = Client::builder(&url).key(&key).retries(RETRIES).build();
        client.with_context(|| format!("--url or SWITCHBOARD_URL is {url}"))
    }

    /// What is said of a call that came to nothing.
    pub(super) fn not_done(&self) -> String {
        let url = self.url().unwrap_or_default();
        format!("the server at {url} did not do it (--url or SWITCHBOARD_URL names another)")
    }

    fn url(&self) -> anyhow::Result<String> {
        dev::server_url(self.url.as_deref(), &self.data_dir)
    }

    pub(super) fn out(&self) -> Out {
        Out { json: self.json }
    }
}

/// An instant: Unix milliseconds, or how long ago (`90s`, `30m`, `12h`, `5d`).
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let wrong = || "must be Unix milliseconds, or how long ago: 90s, 30m, 12h, 5d".to_owned();
    let number = |digits: &str| digits.parse::<u64>().map_err(|_| wrong());
    let Some(unit) = text.chars().last().filter(|last| !last.is_ascii_digit()) else {
        let millis = i64::try_from(number(text)?).map_err(|_| wrong())?;
        return Ok(Timestamp(millis));
    };
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let ago = number(&text[..text.len() - 1])?.checked_mul(seconds).ok_or_else(wrong)?;
    let at = SystemClock.now() - Duration::from_secs(ago);
    Ok(Timestamp(at.millis().max(0)))
}

pub(super) fn event(name: &str) -> Result<EventKind, String> {
    EventKind::from_name(name.trim()).ok_or_else(|| {
        format!("must be one of {}", EventKind::ALL.map(EventKind::as_str).join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_a_number_or_a_span() {
        assert_eq!(instant("1700000000000"), Ok(Timestamp(1_700_000_000_000)));
        let now = SystemClock.now();
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("12h", 43_200), ("5d", 432_000)] {
            let ago = now.since(instant(text).unwrap()).as_secs();
            assert!((seconds - 5..=seconds).contains(&ago), "{text}: {ago}");
        }
        for text in
            ["", "d", "5w", "-5", "1.5h", "99999999999999999999", "5é", "999999999999999999d"]
        {
            assert!(instant(text).is_err(), "{text}");
        }
    }
}

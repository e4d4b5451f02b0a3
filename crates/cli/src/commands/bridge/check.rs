//! What can't have been meant: said before anything is looked at, begun or written.

use std::env;

use anyhow::{Context as _, bail};
use switchboard_bridge::BridgeConfig;
use url::Url;

use super::options::{DriverName, Options};

/// The options of each driver alone.
const OF_DRIVERS: [(DriverName, &[&str]); 3] = [
    (DriverName::Imsg, &["--imsg", "--db"]),
    (
        DriverName::Bluebubbles,
        &[
            "--bluebubbles-url",
            "--bluebubbles-password-file",
            "--bluebubbles-password",
            "--bluebubbles-listen",
        ],
    ),
    (
        DriverName::AndroidSms,
        &[
            "--android-url",
            "--android-user",
            "--android-password-file",
            "--android-password",
            "--android-line",
        ],
    ),
];

/// Refuses what can't work whatever else is so.
pub(super) fn check(options: &Options) -> anyhow::Result<()> {
    let args = env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    of_this_driver(options.driver, args)?;
    BridgeConfig::of_server(&options.server, "none")?;
    match options.driver {
        DriverName::Imsg => {}
        DriverName::Bluebubbles => drop(bluebubbles_url(options)?),
        DriverName::AndroidSms => drop(android_url(options)?),
    }
    Ok(())
}

/// Of the arguments only: bridges of several drivers may share an environment.
fn of_this_driver(driver: DriverName, args: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let given: Vec<_> = args.map(|arg| arg.split('=').next().unwrap_or("").to_owned()).collect();
    for (other, theirs) in OF_DRIVERS.into_iter().filter(|(other, _)| *other != driver) {
        let named: Vec<_> =
            theirs.iter().copied().filter(|one| given.iter().any(|arg| arg == one)).collect();
        if !named.is_empty() {
            let (is, named) = (driver.as_str(), named.join(", "));
            bail!("{named}: for --driver {} only, and this is --driver {is}", other.as_str());
        }
    }
    Ok(())
}

pub(super) fn bluebubbles_url(options: &Options) -> anyhow::Result<Url> {
    let given = options.bluebubbles.bluebubbles_url.as_deref();
    url(given, "--bluebubbles-url", "http://127.0.0.1:1234")
}

pub(super) fn android_url(options: &Options) -> anyhow::Result<Url> {
    url(options.android.android_url.as_deref(), "--android-url", "http://192.168.1.20:8080")
}

fn url(given: Option<&str>, option: &str, example: &str) -> anyhow::Result<Url> {
    let given = given.with_context(|| format!("{option} is missing"))?.trim();
    let web = |text: &str| {
        let url = Url::parse(text).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
    };
    if let Some(url) = web(given) {
        return Ok(url);
    }
    let meant = format!("http://{given}");
    // What may hold a secret is not said again: it would stand in the log.
    if !given.contains("://") && !given.contains(['@', '?']) && web(&meant).is_some() {
        bail!("{option} must begin with http:// or https://: write {meant}");
    }
    bail!("{option} must be a URL, such as {example}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_its_beginning_is_told_how_to_be_written() {
        let said = |given| {
            url(Some(given), "--bluebubbles-url", "http://127.0.0.1:1234")
                .map_err(|e| e.to_string())
        };
        for (given, meant) in [
            ("127.0.0.1:1234", "http://127.0.0.1:1234"),
            ("localhost:1234", "http://localhost:1234"),
            ("mini.local", "http://mini.local"),
        ] {
            let wanted =
                format!("--bluebubbles-url must begin with http:// or https://: write {meant}");
            assert_eq!(said(given), Err(wanted));
        }
        for given in ["", "ftp://127.0.0.1", "http://", "x?password=secret", "u:secret@mini"] {
            let wanted = "--bluebubbles-url must be a URL, such as http://127.0.0.1:1234";
            assert_eq!(said(given), Err(wanted.to_owned()), "{given}");
        }
        assert!(said(" https://mini.example:1234/ ").is_ok());
    }

    #[test]
    fn options_of_another_driver_are_named() {
        let said = |driver, args: &[&str]| {
            of_this_driver(driver, args.iter().map(|arg| (*arg).to_owned()))
                .map_err(|error| error.to_string())
        };
        let wrong = ["--bluebubbles-url=http://x", "--db", "y", "--bluebubbles-listen", "z"];
        assert_eq!(
            said(DriverName::Imsg, &wrong).unwrap_err(),
            "--bluebubbles-url, --bluebubbles-listen: for --driver bluebubbles only, and this is --driver imsg"
        );
        assert!(said(DriverName::AndroidSms, &wrong).unwrap_err().starts_with("--db: "));
        assert_eq!(said(DriverName::Imsg, &["--imsg", "x", "--db", "y", "--sips", "z"]), Ok(()));
    }
}

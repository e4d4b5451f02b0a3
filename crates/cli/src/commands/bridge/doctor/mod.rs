//! `switchboard bridge doctor`: what stands between here and a message that goes out, and what to do about it.
//!
//! Each part looks first and judges then: what is found out is plain data, and the judgement a function of it.
//! Nothing is sent, started or changed, and a bridge that runs keeps its link.

mod android;
mod bluebubbles;
mod clock;
mod files;
mod folder;
mod http;
mod imsg;
mod report;
mod server;
#[cfg(test)]
mod tests;

use anyhow::Context as _;
use clap::Args;
use switchboard_bridge::BridgeConfig;

use super::{
    check::check,
    options::{DriverName, Options},
    secrets::{self, TokenSource},
};
use crate::output;
use report::{Check, Report};

/// Check everything that a bridge needs, and say how to mend what is wrong
///
/// Run it in a terminal on the machine of the bridge, with the options of 'bridge run'. It changes nothing, and a
/// bridge that runs goes on. Exit code 0 says that there is no problem.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    options: Options,

    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// The doctor has found problems: exit code 1, and all is said.
#[derive(Debug, thiserror::Error)]
#[error("the bridge can't work like that")]
struct ProblemsFound;

pub(super) async fn run(doctor: Doctor) -> anyhow::Result<()> {
    let Doctor { options, json } = doctor;
    let report = Report::of(examine(&options).await?);
    match json {
        true => output::data(&serde_json::to_string(&report)?)?,
        false => output::data(&report.text())?,
    }
    if report.ok { Ok(()) } else { Err(ProblemsFound.into()) }
}

async fn examine(options: &Options) -> anyhow::Result<Vec<Check>> {
    check(options)?;
    let dir = options.dir()?;
    let source = TokenSource::of(options, &dir)?;
    let token = secrets::token(options, &dir);
    // Without a token the rest can be looked at all the same.
    let config = BridgeConfig::of_server(&options.server, token.as_deref().unwrap_or("none"))?;
    let files = [
        options.bluebubbles.bluebubbles_password_file.as_ref(),
        options.android.android_password_file.as_ref(),
    ];
    let driver = options.driver.as_str();
    let folder = folder::look(&dir, &source, &files, driver, config.url().as_str());
    let lines = known_lines(&folder);
    let no_token = token.err().map(|error| format!("{error:#}"));
    let mut checks = server::judge(&server::look(&config).await, no_token.as_deref()).checks;
    checks.extend(folder::judge(&folder).checks);
    checks.extend(examine_driver(options, folder.running, lines).await?);
    checks.extend(files::judge(&files::look(options)).checks);
    Ok(checks)
}

/// The handles of the lines, as the server gave them to a bridge on this data directory.
fn known_lines(folder: &folder::Facts) -> Vec<String> {
    let lines = folder.standing.iter().flat_map(|standing| &standing.lines);
    lines.map(|line| line.handle.clone()).collect()
}

async fn examine_driver(
    options: &Options,
    running: bool,
    lines: Vec<String>,
) -> anyhow::Result<Vec<Check>> {
    let findings = match options.driver {
        DriverName::Imsg => imsg::judge(&imsg::look(&options.imsg, lines).await),
        DriverName::Bluebubbles => {
            let given = &options.bluebubbles;
            let url = given.bluebubbles_url.as_deref().context("--bluebubbles-url is missing")?;
            let password = secrets::password(
                given.bluebubbles_password.as_deref(),
                given.bluebubbles_password_file.as_deref(),
                "bluebubbles-password",
            )?;
            // A bridge that runs has it already.
            let listen = given.bluebubbles_listen.filter(|_| !running);
            let facts = bluebubbles::look(url, &password, listen, lines).await;
            bluebubbles::judge(&facts.context("--bluebubbles-url is no URL")?)
        }
        DriverName::AndroidSms => {
            let given = &options.android;
            let url = given.android_url.as_deref().context("--android-url is missing")?;
            let user = given.android_user.as_deref().context("--android-user is missing")?;
            let password = secrets::password(
                given.android_password.as_deref(),
                given.android_password_file.as_deref(),
                "android-password",
            )?;
            let facts = android::look(url, user, &password, given.android_lines.clone()).await;
            android::judge(&facts.context("--android-url is no URL")?)
        }
    };
    Ok(findings.checks)
}

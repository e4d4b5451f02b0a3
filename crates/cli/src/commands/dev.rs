//! `switchboard dev`: everything on this machine, with a simulated phone.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};
use switchboard_model::{
    key::DEFAULT_HOURLY_LIMIT,
    secret::{Secret, SecretKind},
};
use switchboard_server::{Config, config::LogFormat, telemetry};
use switchboard_store::Seed;
use tokio::sync::oneshot;

use super::host::{self, Host};
use crate::output;

/// The line of every development server.
const LINE: &str = "+15550100001";
/// The shared sandbox line of every development server.
const SANDBOX_LINE: &str = "+15550100000";
/// The contact of the commands that are printed.
const CONTACT: &str = "+15550100002";
/// Where the secrets of a development server are kept, so that it shows the same again.
const SECRETS: &str = "dev.json";

/// Where a server is that nothing else is said of.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// What the environment has no say in: development has its own.
const OVERRIDDEN: [&str; 11] = [
    "listen",
    "data_dir",
    "database",
    "secret_key_file",
    "rate_limit",
    "operator_token",
    "simulator",
    "webhook_allow_http",
    "admin_listen",
    "log",
    "log_format",
];

/// Run everything on this machine with a simulated phone: the way to begin.
///
/// The first start makes an account, a simulated line and a key with all scopes; later
/// starts on the same directory show the same. Webhooks may go to http and to loopback.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Address and port to listen on
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: SocketAddr,

    /// Directory for the database and everything else that is kept; made if missing
    #[arg(long, default_value = "./switchboard-data", value_name = "DIR")]
    data_dir: PathBuf,

    /// Requests an hour that a key may make
    #[arg(
        long,
        default_value_t = DEFAULT_HOURLY_LIMIT,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "N"
    )]
    rate_limit: u32,

    /// Print one line of JSON on stdout once ready, for scripts
    #[arg(long)]
    json: bool,

    /// What to log on standard error: error, warn, info, debug, trace
    #[arg(long, env = "SWITCHBOARD_LOG", default_value = "warn", value_name = "FILTER")]
    log: String,
}

/// What is kept in clear, in a file that only its owner may read, so that it can be shown again.
#[derive(Serialize, Deserialize)]
struct Secrets {
    api_key: String,
    operator_token: String,
    /// Where it listened last: the other commands find it there.
    #[serde(default)]
    url: Option<String>,
}

/// What a script is told.
#[derive(Serialize)]
struct Ready<'a> {
    api_url: &'a str,
    api_key: &'a str,
    line: &'a str,
    operator_token: &'a str,
    simulator_url: &'a str,
    sandbox_line: &'a str,
}

pub(crate) async fn run(dev: Dev) -> anyhow::Result<()> {
    telemetry::init(&dev.log, LogFormat::Text)?;
    let config = config(&dev)?;
    let opened = host::open(&config).await?;
    let mut secrets = secrets(&config)?;
    let kept_at = config.data_dir.join(SECRETS);
    let api_key = Secret::parse(SecretKind::ApiKey, &secrets.api_key)
        .with_context(|| format!("{SECRETS} holds no API key; delete it to get a new one"))?;
    let operator =
        Secret::parse(SecretKind::Operator, &secrets.operator_token).with_context(|| {
            format!("{SECRETS} holds no operator token; delete it to get a new one")
        })?;
    let seed = Seed {
        account: "Development".to_owned(),
        line: LINE.parse().context("the development line is a phone number")?,
        label: "Simulated line".to_owned(),
        sandbox_line: SANDBOX_LINE.parse().context("the sandbox line is a phone number")?,
        key: "Development".to_owned(),
        hint: api_key.hint(),
        hash: api_key.hash(),
    };
    opened.store.seed(seed, opened.clock.now()).await?;
    let host = Host::start(config, operator.hash(), opened).await?;

    let api_url = host.url();
    if secrets.url.as_ref() != Some(&api_url) {
        secrets.url = Some(api_url.clone());
        // No reason not to serve: the other commands only need to be told where it is.
        if let Err(error) = host::write_private(&kept_at, &serde_json::to_string_pretty(&secrets)?)
        {
            tracing::warn!(
                error = format!("{error:#}"),
                "the address of this server can't be kept"
            );
        }
    }
    let simulator_url = format!("{api_url}/simulator/v1");
    let ready = Ready {
        api_url: &api_url,
        api_key: api_key.reveal(),
        line: LINE,
        operator_token: operator.reveal(),
        simulator_url: &simulator_url,
        sandbox_line: SANDBOX_LINE,
    };
    let unwanted = tell(if dev.json { serde_json::to_string(&ready)? } else { welcome(&ready) });
    host.run_until_stopped(unwanted).await
}

/// Prints how to reach the server, on a thread of its own: a server that runs neither waits for a reader of
/// stdout that has stalled nor ends because a disk is full. Returns when the reader has gone: then nobody
/// wants the server.
async fn tell(text: String) {
    let (gone, reader_gone) = oneshot::channel();
    std::thread::spawn(move || match output::data(&text) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            let _ = gone.send(());
        }
        Err(error) => {
            tracing::warn!(%error, "stdout takes nothing; {SECRETS} has the URL and the key");
        }
    });
    if reader_gone.await.is_err() {
        std::future::pending().await
    }
}

fn config(dev: &Dev) -> anyhow::Result<Config> {
    let mut config = Config::from_env(&OVERRIDDEN)?;
    config.listen = dev.listen;
    config.data_dir.clone_from(&dev.data_dir);
    config.rate_limit = dev.rate_limit;
    config.operator_token = None;
    config.simulator = true;
    config.allow_local_webhooks();
    Ok(config)
}

fn secrets(config: &Config) -> anyhow::Result<Secrets> {
    let path = config.data_dir.join(SECRETS);
    if let Some(secrets) = read_secrets(&path)? {
        return Ok(secrets);
    }
    let secret = |kind| Secret::from_random(kind, rand::random()).reveal().to_owned();
    let secrets = Secrets {
        api_key: secret(SecretKind::ApiKey),
        operator_token: secret(SecretKind::Operator),
        url: None,
    };
    // Before the database knows them: a key that nobody can show again would be lost.
    host::write_private(&path, &serde_json::to_string_pretty(&secrets)?)?;
    Ok(secrets)
}

/// Where the server is: as configured, or where the development server on this directory is, if there is one.
pub(super) fn server_url(configured: Option<&str>, data_dir: &Path) -> anyhow::Result<String> {
    if let Some(url) = configured {
        return Ok(url.to_owned());
    }
    let kept = read_secrets(&data_dir.join(SECRETS))?.and_then(|secrets| secrets.url);
    Ok(kept.unwrap_or_else(|| DEFAULT_URL.to_owned()))
}

/// The API key of the development server on this directory, if it is one.
pub(super) fn api_key(data_dir: &Path) -> anyhow::Result<Option<String>> {
    Ok(read_secrets(&data_dir.join(SECRETS))?.map(|secrets| secrets.api_key))
}

/// The operator's token of the development server on this directory, if it is one.
pub(super) fn operator_token(data_dir: &Path) -> anyhow::Result<Option<String>> {
    Ok(read_secrets(&data_dir.join(SECRETS))?.map(|secrets| secrets.operator_token))
}

fn read_secrets(path: &Path) -> anyhow::Result<Option<Secrets>> {
    let Some(text) = host::read_private(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).with_context(|| {
        format!("{} can't be understood; delete it to get new secrets", path.display())
    })
}

fn welcome(ready: &Ready<'_>) -> String {
    let Ready { api_url, api_key, line, operator_token, simulator_url, sandbox_line } = ready;
    format!(
        "Switchboard is ready.

  API    {api_url}/v1
  Key    {api_key}
  Line   {line} (simulated)
  Shared {sandbox_line} (the sandbox line, simulated)

Text the line as a contact:

  curl -s {simulator_url}/messages -H 'Authorization: Bearer {operator_token}' \\
    -d '{{\"line\":\"{line}\",\"from\":\"{CONTACT}\",\"text\":\"Hi there\"}}'

Send an answer:

  curl -s {api_url}/v1/messages -H 'Authorization: Bearer {api_key}' \\
    -d '{{\"from\":\"{line}\",\"to\":\"{CONTACT}\",\"text\":\"Hello back\"}}'

Look at the contact's phone:

  curl -s '{simulator_url}/phones?handle=%2B{}' -H 'Authorization: Bearer {operator_token}'

Ctrl-C stops it.",
        CONTACT.trim_start_matches('+')
    )
}

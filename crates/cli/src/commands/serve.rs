//! `switchboard serve`: the server for production.

use clap::Args;
use switchboard_model::secret::{self, Secret, SecretHash, SecretKind};
use switchboard_server::{Config, telemetry};

use super::host::{self, Host};
use crate::output;

/// Where the operator's token is kept when it was not configured.
pub(super) const OPERATOR_TOKEN: &str = "operator-token";

/// Run the server for production.
///
/// Every setting is a flag and an environment variable; the flag wins. --print-config
/// shows what is in force. Accounts, lines, keys and bridges are made with 'switchboard admin'.
///
/// SIGTERM, SIGINT and SIGQUIT stop it in good order, a second one at once. Exit code 70 says that a
/// part of it has failed without which it is only half alive: it is to be started again.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    config: Config,

    /// Print the configuration in force, as an environment file, and exit
    #[arg(long)]
    print_config: bool,
}

pub(crate) async fn run(serve: Serve) -> anyhow::Result<()> {
    let Serve { config, print_config } = serve;
    if print_config {
        return Ok(output::data(config.to_env_file().trim_end())?);
    }
    telemetry::init(&config.log, config.log_format)?;
    let opened = host::open(&config).await?;
    let operator = operator(&config)?;
    let host = Host::start(config, operator, opened).await?;
    host.run_until_stopped(std::future::pending()).await
}

/// The operator's token: the configured one, or one that is made at the first start.
fn operator(config: &Config) -> anyhow::Result<SecretHash> {
    if let Some(token) = &config.operator_token {
        return Ok(SecretHash::of(secret::bare(&token.0)));
    }
    let path = config.data_dir.join(OPERATOR_TOKEN);
    if let Some(text) = host::read_private(&path)? {
        return Ok(SecretHash::of(secret::bare(&text)));
    }
    let secret = Secret::from_random(SecretKind::Operator, rand::random());
    host::write_private(&path, &format!("{}\n", secret.reveal()))?;
    tracing::warn!(path = %path.display(), "made an operator token; it is in this file");
    Ok(secret.hash())
}

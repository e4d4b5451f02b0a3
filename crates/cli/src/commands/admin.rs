//! `switchboard admin …`: the operator's commands, over `/admin/v1` of a running server.

mod lines;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use switchboard_client::{AdminClient, CreateBridge, CreateKey, KeyScopes};
use switchboard_model::{Scope, Scopes, Timestamp, key::RevokedKey, line::DriverKind, secret};

use super::{
    bridge::{ready::ReadyBridge, token_file::TokenFile},
    dev, host,
    serve::OPERATOR_TOKEN,
};
use crate::output::{self, Out};
use lines::Lines;

/// Keeps what every command takes apart from what is the command's own.
const SERVER: &str = "Options of every admin command";

/// The operator's commands: accounts, lines, keys and bridges of a running server
///
/// Example, from nothing to a key:
///
///   switchboard admin accounts create "Acme"
///   switchboard admin lines create --account acc_… --handle +15550100001 --driver simulator
///   switchboard admin keys create --account acc_… --name agent --scopes all
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Admin {
    /// The server's URL; without it, that of the development server in DATA_DIR, or else
    /// the one at 127.0.0.1:8080
    #[arg(long, global = true, help_heading = SERVER, env = "SWITCHBOARD_URL", value_name = "URL")]
    url: Option<String>,

    /// The operator's token; without it, the one in DATA_DIR is used: in operator-token, or
    /// in dev.json
    #[arg(
        long,
        global = true,
        help_heading = SERVER,
        env = "SWITCHBOARD_OPERATOR_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    operator_token: Option<String>,

    /// The server's data directory, if it is on this machine
    #[arg(
        long,
        global = true,
        help_heading = SERVER,
        env = "SWITCHBOARD_DATA_DIR",
        default_value = "./switchboard-data",
        value_name = "DIR"
    )]
    data_dir: PathBuf,

    /// Print the server's answer as JSON
    #[arg(long, global = true, help_heading = SERVER)]
    json: bool,

    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Whom everything belongs to
    #[command(subcommand)]
    Accounts(Accounts),
    /// Phone numbers and Apple IDs that you own
    #[command(subcommand)]
    Lines(Lines),
    /// What programs call the API with
    #[command(subcommand)]
    Keys(Keys),
    /// Processes beside Messages that carry lines
    #[command(subcommand)]
    Bridges(Bridges),
}

#[derive(Debug, Subcommand)]
enum Accounts {
    /// Make an account
    Create {
        /// What to call it
        name: String,
    },
    /// List all accounts
    List,
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Make a key; it is shown once
    Create {
        /// The account it belongs to: acc_…
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// What to call it
        #[arg(long)]
        name: String,
        /// What it may do: "all", or scopes separated by commas
        #[arg(long, value_parser = scopes, value_name = "SCOPES")]
        scopes: KeyScopes,
        /// Restrict it to this line, ln_…; may be repeated
        #[arg(long = "line", value_name = "ID")]
        lines: Vec<String>,
        /// From then on it is refused, in Unix milliseconds
        #[arg(long, value_name = "MS")]
        expires_at: Option<i64>,
        /// Requests an hour that it may make
        #[arg(long, value_name = "N")]
        rate_limit: Option<u32>,
    },
    /// List all keys, without their secrets
    List,
    /// Take a key's power away, at once
    Revoke {
        /// The key: key_…
        id: String,
        /// Disable the webhooks that it has made, too; otherwise they go on
        #[arg(long)]
        disable_webhooks: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Bridges {
    /// Make a bridge; its token is shown once, with the commands that start it
    Create {
        /// What to call it
        #[arg(long)]
        name: String,
        /// How it talks to Messages: imsg, bluebubbles or android-sms
        #[arg(long, value_parser = driver)]
        driver: DriverKind,
        /// Write the token into this new file instead of printing it
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// List all bridges, without their tokens
    List,
    /// Take a bridge's token away and end its link
    Revoke {
        /// The bridge: brg_…
        id: String,
    },
}

pub(crate) async fn run(admin: Admin) -> anyhow::Result<()> {
    let (client, url) = (client(&admin)?, server_url(&admin)?);
    let out = Out { json: admin.json };
    let done = match admin.noun {
        Noun::Accounts(command) => accounts(&client, command, &out).await,
        Noun::Lines(command) => lines::run(&client, command, &out).await,
        Noun::Keys(command) => keys(&client, command, &out).await,
        Noun::Bridges(command) => bridges(&client, &url, command, &out).await,
    };
    done.map_err(|error| match is_the_servers(&error) {
        true => error.context(format!("the server at {url} did not do it")),
        false => error,
    })
}

/// Whether the server was asked in vain. What failed on this machine says nothing of what the server has done.
fn is_the_servers(error: &anyhow::Error) -> bool {
    error.is::<switchboard_client::Error>() || error.is::<lines::NotReady>()
}

fn server_url(admin: &Admin) -> anyhow::Result<String> {
    dev::server_url(admin.url.as_deref(), &admin.data_dir)
}

fn client(admin: &Admin) -> anyhow::Result<AdminClient> {
    let token = match &admin.operator_token {
        Some(token) => token.clone(),
        None => {
            let path = admin.data_dir.join(OPERATOR_TOKEN);
            let kept = match host::read_private(&path)? {
                Some(text) => Some(secret::bare(&text).to_owned()),
                None => dev::operator_token(&admin.data_dir)?,
            };
            match kept {
                Some(token) => token,
                None => bail!(
                    "no operator token: give --operator-token, set SWITCHBOARD_OPERATOR_TOKEN, or \
                     name the server's --data-dir ({} is not there)",
                    path.display()
                ),
            }
        }
    };
    let url = server_url(admin)?;
    let client = AdminClient::new(&url, &token);
    client.with_context(|| format!("--url or SWITCHBOARD_URL is {url}"))
}

async fn accounts(client: &AdminClient, command: Accounts, out: &Out) -> anyhow::Result<()> {
    match command {
        Accounts::Create { name } => {
            let made = client.create_account(&name).await?;
            out.one(&made, |account| account.id.to_string())
        }
        Accounts::List => {
            let list = client.accounts().await?;
            out.list(&list, &["ID", "NAME"], |one| vec![one.id.to_string(), one.name.clone()])
        }
    }
}

async fn keys(client: &AdminClient, command: Keys, out: &Out) -> anyhow::Result<()> {
    match command {
        Keys::Create { account, name, scopes, lines, expires_at, rate_limit } => {
            let key = CreateKey {
                account_id: account,
                name,
                scopes,
                line_ids: (!lines.is_empty()).then_some(lines),
                expires_at: expires_at.map(Timestamp),
                rate_limit,
            };
            let made = client.create_key(&key).await?.value;
            out.secret(&made.key, "key", &made.secret)
        }
        Keys::List => {
            let list = client.keys().await?;
            let head = ["ID", "NAME", "HINT", "STATE", "ACCOUNT", "SCOPES"];
            out.list(&list, &head, |one| {
                let scopes: Vec<_> = one.scopes.iter().map(Scope::as_str).collect();
                let all = scopes.len() == Scope::ALL.len();
                vec![
                    one.id.to_string(),
                    one.name.clone(),
                    one.hint.clone(),
                    if one.revoked_at.is_some() { "revoked" } else { "active" }.to_owned(),
                    one.account_id.map(|id| id.to_string()).unwrap_or_default(),
                    if all { "all".to_owned() } else { scopes.join(",") },
                ]
            })
        }
        Keys::Revoke { id, disable_webhooks } => {
            let revoked = match disable_webhooks {
                true => client.revoke_key_and_webhooks(&id).await?,
                false => client.revoke_key(&id).await?,
            };
            out.one(&revoked, |revoked| format!("{} revoked", revoked.key.id))?;
            let RevokedKey { active_webhooks, disabled_webhooks, .. } = revoked.value;
            if disabled_webhooks > 0 {
                output::talk(&format!("{disabled_webhooks} webhooks that it made are disabled"));
            }
            if active_webhooks > 0 {
                output::talk(&format!(
                    "{active_webhooks} webhooks that it made go on; to end them too, say the same \
                     with --disable-webhooks"
                ));
            }
            Ok(())
        }
    }
}

async fn bridges(
    client: &AdminClient,
    url: &str,
    command: Bridges,
    out: &Out,
) -> anyhow::Result<()> {
    match command {
        Bridges::Create { name, driver, token_file } => {
            // Before the bridge is made: it could not be made again with this name, nor its token shown.
            let token_file = token_file.as_deref().map(TokenFile::make).transpose()?;
            let made = client.create_bridge(&CreateBridge { name, driver }).await?.value;
            let ready = ReadyBridge { server: url, driver, token_file };
            ready.show(&made.bridge, &made.token, out)
        }
        Bridges::List => {
            let list = client.bridges().await?;
            out.list(&list, &["ID", "NAME", "DRIVER", "STATE"], |one| {
                vec![
                    one.id.to_string(),
                    one.name.clone(),
                    one.driver.as_str().to_owned(),
                    if one.revoked_at.is_some() { "revoked" } else { "active" }.to_owned(),
                ]
            })
        }
        Bridges::Revoke { id } => {
            out.one(&client.revoke_bridge(&id).await?, |bridge| format!("{} revoked", bridge.id))
        }
    }
}

fn driver(name: &str) -> Result<DriverKind, String> {
    DriverKind::from_name(name).ok_or_else(|| {
        format!("must be one of {}", DriverKind::ALL.map(DriverKind::as_str).join(", "))
    })
}

fn scopes(text: &str) -> Result<KeyScopes, String> {
    if text == "all" {
        return Ok(KeyScopes::All);
    }
    let scopes: Option<Scopes> =
        text.split(',').map(|name| Scope::from_name(name.trim())).collect();
    scopes.map(KeyScopes::Only).ok_or_else(|| {
        format!("must be \"all\" or a list of: {}", Scope::ALL.map(Scope::as_str).join(","))
    })
}

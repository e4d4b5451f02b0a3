//! `switchboard admin lines …`: the lines that a server has, who carries them, and what they are held to.

use clap::Subcommand;
use switchboard_client::{AdminClient, CreateLine, LineChanges};
use switchboard_model::line::{
    DriverKind, LineHealth, LineService, LineStatus, LoopLimit, OperatorLine,
};

use super::driver;
use crate::output::{self, Out};

#[derive(Debug, Subcommand)]
pub(super) enum Lines {
    /// Make a line
    Create {
        /// The account it belongs to: acc_…
        #[arg(long, value_name = "ID")]
        account: String,
        /// Its phone number (+15550100001) or Apple ID
        #[arg(long)]
        handle: String,
        /// How it is carried: simulator, imsg, bluebubbles or android-sms
        #[arg(long, value_parser = driver)]
        driver: DriverKind,
        /// The bridge that carries it: brg_…; not for the simulator. One without is carried when 'lines update' gives it one
        #[arg(long, value_name = "ID")]
        bridge: Option<String>,
        /// The bridge that takes it over when the other is away: brg_…
        #[arg(long, value_name = "ID", requires = "bridge")]
        standby: Option<String>,
        /// What to call it
        #[arg(long)]
        label: Option<String>,
        /// What it sends by: imessage, sms or auto
        #[arg(long, value_parser = service)]
        service: Option<LineService>,
        /// Let it write to contacts who have not written first
        #[arg(long)]
        no_contact_first: bool,
        /// How often it may answer one contact before it must rest, against programs that answer each other: 10/60
        /// is 10 answers within 60 seconds, and a rest of 60 seconds
        #[arg(long, value_name = "ANSWERS/SECONDS")]
        loop_limit: Option<LoopLimit>,
        /// Make it the sandbox line, which all accounts share; there is at most one
        #[arg(long)]
        sandbox: bool,
    },
    /// Give a line that has none a bridge, or set how often it may answer one contact
    Update {
        /// The line: ln_…
        id: String,
        /// The bridge that is to carry it: brg_…; if it has one already, see 'lines standby' and 'lines take-over'
        #[arg(long, value_name = "ID", required_unless_present = "loop_limit")]
        bridge: Option<String>,
        /// How often it may answer one contact before it must rest, against programs that answer each other: 10/60
        /// is 10 answers within 60 seconds, and a rest of 60 seconds; "off" for no limit
        #[arg(long, value_parser = loop_limit, value_name = "ANSWERS/SECONDS")]
        loop_limit: Option<MaybeLimit>,
    },
    /// List all lines
    List,
    /// Set the bridge that takes a line over when its own is away, or take it away
    Standby {
        /// The line: ln_…
        line: String,
        /// The standby: brg_…
        #[arg(long, value_name = "ID", required_unless_present = "none", conflicts_with = "none")]
        bridge: Option<String>,
        /// The line is to have no standby
        #[arg(long)]
        none: bool,
    },
    /// Let a line's standby carry it now; the bridge before it is the standby then
    TakeOver {
        /// The line: ln_…
        line: String,
        /// Even if the standby is not linked, or says that it can't carry the line: it is offline until it can
        #[arg(long)]
        force: bool,
    },
}

pub(super) async fn run(client: &AdminClient, command: Lines, out: &Out) -> anyhow::Result<()> {
    match command {
        Lines::Create {
            account,
            handle,
            driver,
            bridge,
            standby,
            label,
            service,
            no_contact_first,
            loop_limit,
            sandbox,
        } => {
            let line = CreateLine {
                account_id: account,
                handle,
                label,
                service,
                driver,
                bridge_id: bridge,
                standby_bridge_id: standby,
                contact_first: no_contact_first.then_some(false),
                loop_limit,
                is_sandbox: sandbox,
            };
            let made = client.create_line(&line).await?;
            out.one(&made, |made| made.line.id.to_string())?;
            if made.value.bridge_id.is_none() && made.value.driver != DriverKind::Simulator {
                let id = made.value.line.id;
                output::talk(&format!(
                    "It has no bridge, and nothing carries it until it has: switchboard admin lines update {id} --bridge brg_…"
                ));
            }
            Ok(())
        }
        Lines::Update { id, bridge, loop_limit } => {
            let changes = LineChanges {
                bridge_id: bridge,
                loop_limit: loop_limit.map(|MaybeLimit(limit)| limit),
            };
            let line = client.update_line(&id, &changes).await?;
            out.one(&line, |line| format!("{} updated", line.line.id))
        }
        Lines::Standby { line, bridge, none: _ } => {
            out.one(&client.set_standby(&line, bridge.as_deref()).await?, carriers)
        }
        Lines::TakeOver { line, force } => {
            let taken = client.take_over_line(&line, force).await;
            out.one(&taken.map_err(|error| refused(&line, error))?, carriers)
        }
        Lines::List => {
            let list = client.lines().await?;
            let head = [
                "ID",
                "HANDLE",
                "DRIVER",
                "ACTIVE",
                "STATUS",
                "HEALTH",
                "LOOP LIMIT",
                "BRIDGE",
                "STANDBY",
                "STANDBY READY",
                "ACCOUNT",
                "LABEL",
            ];
            out.list(&list, &head, |one| {
                vec![
                    one.line.id.to_string(),
                    one.line.handle.to_string(),
                    one.driver.as_str().to_owned(),
                    one.line.is_active.to_string(),
                    status(one.line.status),
                    health(one.line.health.as_ref()),
                    one.loop_limit.map_or_else(|| "off".to_owned(), |limit| limit.to_string()),
                    one.bridge_id.map(|id| id.to_string()).unwrap_or_default(),
                    one.standby_bridge_id.map(|id| id.to_string()).unwrap_or_default(),
                    ready(one.standby_ready).to_owned(),
                    one.account_id.to_string(),
                    one.line.label.clone().unwrap_or_default(),
                ]
            })
        }
    }
}

/// The standby of this line is not ready.
#[derive(Debug, thiserror::Error)]
#[error(
    "the standby of {0} is not ready: it is not linked, or says that it can't carry the line. Start it, and see what \
     `switchboard bridge status` says on its machine; --force lets it take the line over all the same, which is offline \
     until it is ready"
)]
pub(super) struct NotReady(String);

/// Why a line was not taken over, in this command's words.
fn refused(line: &str, error: switchboard_client::Error) -> anyhow::Error {
    match &error {
        switchboard_client::Error::Api { problem, .. }
            if problem.param.as_deref() == Some("force") =>
        {
            NotReady(line.to_owned()).into()
        }
        _ => error.into(),
    }
}

/// Who carries a line, and who stands by.
fn carriers(one: &OperatorLine) -> String {
    let name = |id: Option<_>| id.map_or_else(|| "none".to_owned(), |id| format!("{id}"));
    let (bridge, standby) = (name(one.bridge_id), name(one.standby_bridge_id));
    let ready = one.standby_ready.filter(|ready| !ready).map_or("", |_| " (not ready)");
    format!("{} bridge {bridge} standby {standby}{ready}", one.line.id)
}

/// Whether a standby could carry its line now.
fn ready(ready: Option<bool>) -> &'static str {
    match ready {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    }
}

/// Whether a line takes items, and why not.
fn status(LineStatus { online, reason, .. }: LineStatus) -> String {
    let is = if online { "online" } else { "offline" };
    reason.map_or_else(|| is.to_owned(), |reason| format!("{is} ({})", reason.as_str()))
}

/// What of a line's use today is over what is borne.
fn health(health: Option<&LineHealth>) -> String {
    let over: Vec<_> =
        health.iter().flat_map(|health| &health.over).map(|one| one.as_str()).collect();
    if over.is_empty() { "ok".to_owned() } else { over.join(",") }
}

/// A limit, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaybeLimit(Option<LoopLimit>);

fn loop_limit(text: &str) -> Result<MaybeLimit, String> {
    if text == "off" {
        return Ok(MaybeLimit(None));
    }
    let limit = text.parse().map(|limit| MaybeLimit(Some(limit)));
    limit.map_err(|error| format!("{error}; or off"))
}

fn service(name: &str) -> Result<LineService, String> {
    LineService::from_name(name).ok_or_else(|| "must be imessage, sms or auto".to_owned())
}

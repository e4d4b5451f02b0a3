//! `switchboard webhooks …`: where the events of lines go.

use std::time::Duration;

use anyhow::Context as _;
use clap::{ArgGroup, Args, Subcommand};
use switchboard_client::{Answer, Client, CreateReplay, CreateWebhook, UpdateWebhook};
use switchboard_model::{EventKind, Replay, Timestamp, Webhook, replay::ReplayStatus};

use super::api::{Api, event, instant};
use crate::output::{self, Out};

/// How long a replay is left alone before it is asked how far it is; twice as long each time, for each look counts
/// against the hourly limit of the key.
const FIRST_LOOK: Duration = Duration::from_millis(250);
/// The longest time between two looks.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// Where the events of your lines go: make, change, try and replay
///
/// Examples:
///
///   switchboard webhooks create $ENDPOINT --events message.received,message.sent
///   switchboard webhooks test wh_…
///   switchboard webhooks update wh_… --enable
///   switchboard webhooks replay wh_… --since 2h
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Webhooks {
    #[command(flatten)]
    api: Api,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List webhooks, without their secrets
    List {
        /// Only those of this line: its handle or ln_…
        #[arg(long, value_name = "LINE")]
        from: Option<String>,
    },
    /// Make a webhook; its secret is shown once, after its id
    Create {
        /// Where events go
        endpoint: String,
        /// Which events, separated by commas
        #[arg(long, value_parser = event, value_delimiter = ',', required = true)]
        events: Vec<EventKind>,
        /// The line, by handle or ln_…; without it, every line that the key may use
        #[arg(long, value_name = "LINE")]
        from: Option<String>,
    },
    /// Change a webhook, disable it, or enable it again
    #[command(group = ArgGroup::new("changes").required(true).multiple(true)
        .args(["endpoint", "events", "enable", "disable"]))]
    Update {
        /// The webhook: wh_…
        id: String,
        /// Where events go from now on
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
        /// Which events from now on, separated by commas
        #[arg(long, value_parser = event, value_delimiter = ',')]
        events: Vec<EventKind>,
        /// Enable it
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Disable it
        #[arg(long)]
        disable: bool,
    },
    /// Delete a webhook, and what is still to be delivered to it
    Delete {
        /// The webhook: wh_…
        id: String,
    },
    /// Send an event that did not happen, now, and show what came of it
    Test {
        /// The webhook: wh_…
        id: String,
    },
    /// Give a webhook a new secret, shown once; the one before is valid for a day more
    Rotate {
        /// The webhook: wh_…
        id: String,
    },
    /// Send events again: those that the webhook has missed, or all of a time
    Replay {
        /// The webhook: wh_…
        id: String,
        /// From the events of then on: Unix milliseconds, or how long ago (90s, 30m, 12h, 5d)
        #[arg(long, value_parser = instant, value_name = "WHEN")]
        since: Timestamp,
        /// Up to, and without, those of then
        #[arg(long, value_parser = instant, value_name = "WHEN")]
        until: Option<Timestamp>,
        /// Send what was delivered again, too
        #[arg(long)]
        include_delivered: bool,
        /// Do not wait until it is done
        #[arg(long)]
        no_wait: bool,
    },
    /// Say how far a replay is, until it is done
    Progress {
        /// The replay: rpl_…
        id: String,
        /// Do not wait until it is done
        #[arg(long)]
        no_wait: bool,
    },
}

/// A test that its endpoint has not taken.
#[derive(Debug, thiserror::Error)]
#[error("the endpoint did not take it: {0}")]
struct NotTaken(String);

pub(crate) async fn run(webhooks: Webhooks) -> anyhow::Result<()> {
    let (client, out) = (webhooks.api.client()?, webhooks.api.out());
    let done = match webhooks.command {
        Command::List { from } => {
            let list = client.webhooks(from.unwrap_or_default()).await;
            list.map_err(Into::into).and_then(|list| {
                let head = ["ID", "STATE", "URL", "EVENTS"];
                out.list(&list, &head, |one| {
                    let events: Vec<_> = one.events.iter().map(|event| event.as_str()).collect();
                    vec![one.id.to_string(), state(one), one.url.clone(), events.join(",")]
                })
            })
        }
        Command::Create { endpoint, events, from } => {
            let webhook = CreateWebhook::new(from.unwrap_or_default(), endpoint, events);
            create(&client, &webhook, &out).await
        }
        Command::Update { id, endpoint, events, enable, disable } => {
            let names = events.iter().map(|event| event.as_str().to_owned()).collect();
            let events = (!events.is_empty()).then_some(names);
            let is_active = (enable || disable).then_some(enable);
            let changes = UpdateWebhook { id, url: endpoint, events, is_active };
            update(&client, &changes, &out).await
        }
        Command::Delete { id } => delete(&client, &id, &out).await,
        Command::Test { id } => test(&client, &id, &out).await,
        Command::Rotate { id } => rotate(&client, &id, &out).await,
        Command::Replay { id, since, until, include_delivered, no_wait } => {
            let wanted = CreateReplay { id, since, until, include_delivered };
            match client.create_replay(&wanted).await {
                Ok(replay) => follow(&client, replay, no_wait, &out).await,
                Err(error) => Err(error.into()),
            }
        }
        Command::Progress { id, no_wait } => match client.replay(id).await {
            Ok(replay) => follow(&client, replay, no_wait, &out).await,
            Err(error) => Err(error.into()),
        },
    };
    match done {
        // The server has done it.
        Err(error) if error.is::<NotTaken>() => Err(error),
        done => done.with_context(|| webhooks.api.not_done()),
    }
}

fn state(webhook: &Webhook) -> String {
    match (webhook.disabled_reason, webhook.failing_since) {
        (Some(reason), _) => format!("disabled ({})", reason.as_str()),
        (None, Some(since)) => format!("failing since {}", output::time(since)),
        (None, None) if webhook.is_active => "active".to_owned(),
        (None, None) => "disabled".to_owned(),
    }
}

async fn create(client: &Client, webhook: &CreateWebhook, out: &Out) -> anyhow::Result<()> {
    let made = client.create_webhook(webhook).await?;
    out.one(&made, |made| {
        let secret = made.secret.as_ref().map_or("", |secret| secret.reveal());
        format!("{}  {secret}", made.id)
    })
}

async fn update(client: &Client, changes: &UpdateWebhook, out: &Out) -> anyhow::Result<()> {
    let updated = client.update_webhook(changes).await?;
    out.one(&updated, |updated| format!("{} {}", updated.webhook.id, state(&updated.webhook)))?;
    if let Some(since) = updated.value.missed_since {
        let (id, at) = (updated.value.webhook.id, output::time(since));
        output::talk(&format!(
            "It has missed events since {at}. To send them: switchboard webhooks replay {id} --since {}",
            since.millis()
        ));
    }
    Ok(())
}

async fn delete(client: &Client, id: &str, out: &Out) -> anyhow::Result<()> {
    out.one(&client.delete_webhook(id).await?, |deleted| format!("{} deleted", deleted.id))
}

async fn test(client: &Client, id: &str, out: &Out) -> anyhow::Result<()> {
    let came = client.test_webhook(id).await?;
    out.one(&came, |came| {
        let status =
            came.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        format!("{} {}: {status} in {} ms", came.delivery_id, came.event.as_str(), came.duration_ms)
    })?;
    match came.value.error {
        Some(error) => Err(NotTaken(error).into()),
        None => Ok(()),
    }
}

async fn rotate(client: &Client, id: &str, out: &Out) -> anyhow::Result<()> {
    let rotated = client.rotate_webhook_secret(id).await?;
    out.one(&rotated, |rotated| {
        rotated.webhook.secret.as_ref().map_or("", |secret| secret.reveal()).to_owned()
    })?;
    let until = output::time(rotated.value.previous_secret_expires_at);
    output::talk(&format!("The secret before it is valid until {until}, too."));
    Ok(())
}

/// Says how far a replay is, until it is done.
async fn follow(
    client: &Client,
    mut replay: Answer<Replay>,
    no_wait: bool,
    out: &Out,
) -> anyhow::Result<()> {
    let mut pause = FIRST_LOOK;
    while !no_wait && replay.value.status == ReplayStatus::Running {
        output::talk(&format!("{} %, {} due", replay.value.progress, replay.value.queued));
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LOOK_AT_LEAST_EVERY);
        replay = client.replay(replay.value.id).await?;
    }
    out.one(&replay, shown)
}

fn shown(replay: &Replay) -> String {
    match replay.status {
        ReplayStatus::Running => format!("{} running", replay.id),
        ReplayStatus::Done => format!("{} done, {} deliveries due", replay.id, replay.queued),
    }
}

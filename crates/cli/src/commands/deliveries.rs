//! `switchboard deliveries …`: what became of each event on its way to a webhook.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use switchboard_client::{Client, Deliveries as Wanted};
use switchboard_model::{Delivery, EventKind, Timestamp, delivery::DeliveryStatus};

use super::api::{Api, event, instant};
use crate::output::{self, Out};

/// The most rows that one call fetches.
const PAGE: u32 = 100;

/// What became of each event on its way to a webhook
///
/// Examples:
///
///   switchboard deliveries list --status failed --since 2h
///   switchboard deliveries show dlv_…
///   switchboard deliveries retry dlv_…
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Deliveries {
    #[command(flatten)]
    api: Api,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List deliveries, those of the newest event first
    List {
        /// Only those of this webhook: wh_…
        #[arg(long, value_name = "ID")]
        webhook: Option<String>,
        /// Only those that are due, delivered or failed
        #[arg(long, value_parser = status)]
        status: Option<DeliveryStatus>,
        /// Only those of such events
        #[arg(long, value_parser = event)]
        event: Option<EventKind>,
        /// Only those of this event: evt_…
        #[arg(long, value_name = "ID")]
        event_id: Option<String>,
        /// Only those of events from then on: Unix milliseconds, or how long ago (90s, 30m, 12h, 5d)
        #[arg(long, value_parser = instant, value_name = "WHEN")]
        since: Option<Timestamp>,
        /// Only those of events before then
        #[arg(long, value_parser = instant, value_name = "WHEN")]
        until: Option<Timestamp>,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
        limit: u32,
    },
    /// Show a delivery with every attempt
    Show {
        /// The delivery: dlv_…
        id: String,
    },
    /// Try a delivery again, now
    Retry {
        /// The delivery: dlv_…
        id: String,
    },
}

pub(crate) async fn run(deliveries: Deliveries) -> anyhow::Result<()> {
    let (client, out) = (deliveries.api.client()?, deliveries.api.out());
    let done = match deliveries.command {
        Command::List { webhook, status, event, event_id, since, until, limit } => {
            let wanted =
                Wanted { id: None, webhook_id: webhook, status, event, event_id, since, until };
            list(&client, &wanted, limit, &out).await
        }
        Command::Show { id } => show(&client, &id, &out).await,
        Command::Retry { id } => match client.retry_delivery(&id).await {
            Ok(retried) => out.one(&retried, |retried| format!("{} due", retried.id)),
            Err(error) => Err(error.into()),
        },
    };
    done.with_context(|| deliveries.api.not_done())
}

async fn list(client: &Client, wanted: &Wanted, limit: u32, out: &Out) -> anyhow::Result<()> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let rows = client.deliveries(wanted).limit(limit.min(PAGE)).all(most).await?;
    if out.json {
        return Ok(output::data(&json!({ "data": rows }).to_string())?);
    }
    let head = ["ID", "CREATED", "EVENT", "STATUS", "ATTEMPTS", "WEBHOOK", "ERROR"];
    let row = |one: &Delivery| {
        vec![
            one.id.to_string(),
            output::time(one.created_at),
            one.event.as_str().to_owned(),
            one.status.as_str().to_owned(),
            one.attempts.len().to_string(),
            one.webhook_id.to_string(),
            one.error.clone().unwrap_or_default(),
        ]
    };
    Ok(output::table(&head, &rows.iter().map(row).collect::<Vec<_>>())?)
}

async fn show(client: &Client, id: &str, out: &Out) -> anyhow::Result<()> {
    let found = client.deliveries(&Wanted::only(id)).all(1).await?;
    let Some(delivery) = found.first() else { bail!("there is no delivery {id}") };
    if out.json {
        return Ok(output::data(&serde_json::to_string(delivery)?)?);
    }
    let when = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), output::time);
    for (name, value) in [
        ("delivery", delivery.id.to_string()),
        ("webhook", delivery.webhook_id.to_string()),
        ("event", format!("{} {}", delivery.event.as_str(), delivery.event_id)),
        ("status", delivery.status.as_str().to_owned()),
        ("created", output::time(delivery.created_at)),
        ("finished", when(delivery.finished_at)),
        ("next attempt", when(delivery.next_attempt_at)),
        ("error", delivery.error.clone().unwrap_or_else(|| "-".to_owned())),
    ] {
        output::data(&format!("{name:13} {value}"))?;
    }
    output::data("")?;
    let head = ["ATTEMPT", "STARTED", "MS", "STATUS", "ERROR", "ANSWER"];
    let rows = delivery.attempts.iter().map(|one| {
        // One line: it is for the eye.
        let answer = one.answer.as_deref().unwrap_or_default().replace('\n', " ");
        vec![
            one.number.to_string(),
            output::time(one.started_at),
            one.duration_ms.to_string(),
            one.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
            one.error.clone().unwrap_or_default(),
            answer.chars().take(80).collect(),
        ]
    });
    Ok(output::table(&head, &rows.collect::<Vec<_>>())?)
}

fn status(name: &str) -> Result<DeliveryStatus, String> {
    DeliveryStatus::from_name(name).ok_or_else(|| {
        format!("must be one of {}", DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", "))
    })
}

//! GET, POST, PATCH and DELETE /v1/webhooks, and what else can be done with one.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use http::StatusCode;
use switchboard_model::{
    Code, EventKind, Line, Problem, Webhook,
    delivery::DueDelivery,
    id::Id,
    time::Clock,
    webhook::{MAX_URL_LEN, ROTATION_MS, WebhookSecret},
};
use switchboard_store::{Idempotent, NewWebhook, WebhookChanges, Webhooks};

use super::http::{
    body::{self, Body},
    caller::Caller,
    envelope,
    idempotency::IdempotentRequest,
    names::LineRef,
    problem::{Failure, webhook_not_found},
    query::Query,
    request_id::RequestId,
};
use crate::{
    deliver::Deliver, hub::Hub, openapi::Documents, ssrf::Guard, uncancelled::spawn_uncancelled,
};

/// The webhooks of a line; of every line the key may use when `from` is empty.
pub(crate) async fn list(
    State(webhooks): State<Arc<dyn Webhooks>>,
    State(clock): State<Arc<dyn Clock>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let lines = lines(&caller, query.present("from")?).await?;
    let mut webhooks = webhooks.webhooks(caller.owner()?, clock.now()).await?;
    webhooks.retain(|webhook| match &lines {
        Lines::One(line) => webhook.line_ids.contains(line),
        Lines::All => {
            webhook.line_ids.is_empty()
                || webhook.line_ids.iter().any(|line| caller.check_line(*line).is_ok())
        }
    });
    for webhook in &mut webhooks {
        // A restricted key learns nothing of the account's other lines.
        webhook.line_ids.retain(|line| caller.check_line(*line).is_ok());
    }
    Ok(envelope::list(webhooks, None, &id))
}

/// Makes a webhook. The secret is in this answer and never again.
pub(crate) async fn create(
    State(webhooks): State<Arc<dyn Webhooks>>,
    State(guard): State<Guard>,
    State(clock): State<Arc<dyn Clock>>,
    caller: Caller,
    IdempotentRequest { body, in_flight }: IdempotentRequest,
) -> Result<Response, Failure> {
    let from = body.field("from").ok_or_else(|| Problem::missing_field("from"))?;
    let (url, events) = (body.required("url")?, body.required("events")?);
    let from = body::text(from, "from")?;
    if !from.is_empty() {
        LineRef::parse(from)?;
    }
    let url = url_of(&guard, body::text(url, "url")?)?;
    let events = events_of(&body::texts(events, "events")?)?;
    caller.check_events(&events)?;
    let line_ids = match lines(&caller, from).await? {
        Lines::One(line) => Some(vec![line]),
        Lines::All => caller.restricted_lines().await?,
    };
    let webhook = NewWebhook {
        id: Id::generate(),
        account_id: caller.owner()?,
        line_ids,
        url,
        events,
        secret: WebhookSecret::from_random(rand::random()),
        created_by: Some(caller.key_id()),
    };
    let now = clock.now();
    let making = in_flight.answer_with(StatusCode::CREATED, |record| async move {
        webhooks.create_webhook(webhook, record, now).await
    });
    Ok(making.await?)
}

/// Removes a webhook.
pub(crate) async fn delete(
    State(webhooks): State<Arc<dyn Webhooks>>,
    State(deliver): State<Arc<Deliver>>,
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let webhook: Id<Webhook> = body.id("id")?;
    let grant = caller.grant().await?.ok_or_else(webhook_not_found)?;
    spawn_uncancelled(async move {
        webhooks.delete_webhook(grant, webhook).await?;
        deliver.disabled(webhook);
        // A replay of it ends, and makes room for another.
        hub.wake_replays();
        Ok(())
    })
    .await?;
    Ok(envelope::deleted(&webhook, &id))
}

/// Changes where a webhook's events go, which, and whether.
pub(crate) async fn update(
    State(webhooks): State<Arc<dyn Webhooks>>,
    State(deliver): State<Arc<Deliver>>,
    State(hub): State<Arc<Hub>>,
    State(guard): State<Guard>,
    State(clock): State<Arc<dyn Clock>>,
    caller: Caller,
    IdempotentRequest { body, in_flight }: IdempotentRequest,
) -> Result<Response, Failure> {
    let webhook_id: Id<Webhook> = body.id("id")?;
    // An empty one is none that could be meant: who sends it has made a mistake.
    let url = body.field("url").map(|url| url_of(&guard, body::text(url, "url")?)).transpose()?;
    let events = body.field("events").map(|names| events_of(&body::texts(names, "events")?));
    let events = events.transpose()?;
    let is_active = body.optional_bool("is_active")?;
    let grant = caller.grant().await?.ok_or_else(webhook_not_found)?;
    let now = clock.now();
    let changes = WebhookChanges { url, events, is_active };
    let updating = in_flight.answer_with(StatusCode::OK, |record| async move {
        let done = webhooks.update_webhook(grant, webhook_id, changes, record, now).await?;
        match (&done, is_active) {
            (Idempotent::Fresh(_), Some(false)) => deliver.disabled(webhook_id),
            (Idempotent::Fresh(_), _) => {
                deliver.changed(webhook_id);
                // Those that it has interrupted go on.
                hub.wake_replays();
            }
            (Idempotent::Replayed(_), _) => {}
        }
        Ok(done)
    });
    Ok(updating.await?)
}

/// Gives a webhook a new secret. The one before it is valid for a day more.
pub(crate) async fn rotate(
    State(webhooks): State<Arc<dyn Webhooks>>,
    State(deliver): State<Arc<Deliver>>,
    State(clock): State<Arc<dyn Clock>>,
    caller: Caller,
    IdempotentRequest { body, in_flight }: IdempotentRequest,
) -> Result<Response, Failure> {
    let webhook_id: Id<Webhook> = body.id("id")?;
    let grant = caller.grant().await?.ok_or_else(webhook_not_found)?;
    let secret = WebhookSecret::from_random(rand::random());
    let now = clock.both();
    let until = now.steady + Duration::from_millis(ROTATION_MS.unsigned_abs());
    let rotating = in_flight.answer_with(StatusCode::OK, |record| async move {
        let done = webhooks.rotate_secret(grant, webhook_id, secret, until, record, now).await?;
        if matches!(done, Idempotent::Fresh(_)) {
            deliver.changed(webhook_id);
        }
        Ok(done)
    });
    Ok(rotating.await?)
}

/// Sends an event that did not happen, now and once, and says what came of it.
pub(crate) async fn test(
    State(webhooks): State<Arc<dyn Webhooks>>,
    State(deliver): State<Arc<Deliver>>,
    State(documents): State<Documents>,
    State(clock): State<Arc<dyn Clock>>,
    caller: Caller,
    IdempotentRequest { body, in_flight }: IdempotentRequest,
) -> Result<Response, Failure> {
    let webhook_id: Id<Webhook> = body.id("id")?;
    let grant = caller.grant().await?.ok_or_else(webhook_not_found)?;
    let account_id = grant.account;
    let endpoint = webhooks.endpoint(grant, webhook_id).await?;
    let lines = caller.lines().await?;
    let gets = |line: &Line| endpoint.line_ids.as_ref().is_none_or(|ids| ids.contains(&line.id));
    let line = lines.iter().find(|line| gets(line));
    // A webhook names one at least.
    let event = endpoint.events.first().copied().unwrap_or(EventKind::MessageReceived);
    let now = clock.now();
    let delivery = DueDelivery {
        seq: 0,
        id: Id::generate(),
        webhook_id,
        account_id,
        url: endpoint.url.into(),
        secrets: Arc::new(endpoint.secrets),
        event,
        chat_id: None,
        data: documents.sample(event, line, now).into(),
        attempts: 0,
        since: now,
    };
    let trying = in_flight.answer_after(StatusCode::OK, async move {
        deliver.test(&delivery).await.ok_or_else(|| {
            let message =
                "As many webhooks are being tried as may be at once. Try again in a moment.";
            Problem::new(Code::ServiceUnavailable, message).retry_after(1).into()
        })
    });
    trying.await
}

/// The lines that `from` stands for.
enum Lines {
    One(Id<Line>),
    All,
}

/// Takes `from`; empty means every line the key may use (§7).
async fn lines(caller: &Caller, from: &str) -> Result<Lines, Failure> {
    if from.is_empty() {
        caller.owner()?;
        return Ok(Lines::All);
    }
    let line = caller.line(&LineRef::parse(from)?).await?;
    Ok(Lines::One(line.id))
}

fn url_of(guard: &Guard, text: &str) -> Result<String, Problem> {
    if text.len() > MAX_URL_LEN {
        let must = format_args!("must be at most {MAX_URL_LEN} bytes long");
        return Err(Problem::invalid_value("url", must));
    }
    match guard.check_url(text) {
        Ok(url) => Ok(url.into()),
        Err(refused) => Err(Problem::invalid_value("url", refused)),
    }
}

fn events_of(names: &[&str]) -> Result<Vec<EventKind>, Problem> {
    let mut events = Vec::with_capacity(names.len());
    for name in names {
        let Some(event) = EventKind::from_name(name) else {
            let known = EventKind::ALL.map(EventKind::as_str).join(", ");
            let must = format_args!("must hold only events that exist: {known}");
            return Err(Problem::invalid_value("events", must));
        };
        if !events.contains(&event) {
            events.push(event);
        }
    }
    if events.is_empty() {
        return Err(Problem::invalid_value("events", "must name at least one event"));
    }
    Ok(events)
}

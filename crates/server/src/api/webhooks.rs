//! GET, POST, PATCH and DELETE /v1/webhooks, and what else can be done with one.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use switchboard_model::{
    Code, EventKind, Line, Problem, Webhook,
    delivery::DueDelivery,
    id::Id,
    webhook::{
        DisabledReason, MAX_URL_LEN, ROTATION_MS, RotatedWebhook, UpdatedWebhook, WebhookSecret,
    },
};
use switchboard_store::{NewWebhook, Once, WebhookChanges};

use crate::{
    api::{
        auth::{Caller, LineRef},
        body::{self, Body},
        envelope::{self, Rendered, RequestId},
        once,
        problem::{Failure, id_of, webhook_not_found},
        query::Query,
    },
    app::{App, to_the_end},
    openapi,
};

/// The webhooks of a line; of every line the key may use when `from` is empty.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let lines = lines(&app, &caller, query.present("from")?).await?;
    let mut webhooks = app.store.webhooks(caller.owner()?).await?;
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
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let operation = "POST /v1/webhooks";
    let once = match once::begin(&app, &caller, &headers, operation, body.raw()).await? {
        Ok(once) => once,
        Err(first_answer) => return Ok(first_answer),
    };
    let from = body.field("from").ok_or_else(|| Problem::missing_field("from"))?;
    let (url, events) = (body.required("url")?, body.required("events")?);
    let from = body::text(from, "from")?;
    if !from.is_empty() {
        LineRef::parse(from)?;
    }
    let url = url_of(&app, body::text(url, "url")?)?;
    let events = events_of(&body::texts(events, "events")?)?;
    let (line_ids, shown) = match lines(&app, &caller, from).await? {
        Lines::One(line) => (Some(vec![line]), vec![line]),
        Lines::All => {
            let all = caller.lines(&app).await?.iter().map(|line| line.id).collect();
            (caller.restricted_lines(&app).await?, all)
        }
    };
    let account_id = caller.owner()?;
    let secret = WebhookSecret::from_random(rand::random());
    let webhook = Webhook {
        id: Id::generate(),
        line_ids: shown,
        url: url.clone(),
        events: events.clone(),
        is_active: true,
        failing_since: None,
        disabled_at: None,
        disabled_reason: None,
        secret: Some(secret.clone()),
    };
    let rendered = Rendered::one(StatusCode::CREATED, &webhook, &id);
    let now = app.clock.now();
    let remember = once.remember(&rendered, now);
    let webhook = NewWebhook { id: webhook.id, account_id, line_ids, url, events, secret };
    Ok(match app.store.create_webhook(webhook, remember, now).await? {
        Once::Done(_) => rendered.into_response(),
        Once::Replayed(answer) => once::replay(answer),
    })
}

/// Removes a webhook.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let webhook: Id<Webhook> = id_of(body::text(body.required("id")?, "id")?, "id")?;
    let account = caller.account().ok_or_else(webhook_not_found)?;
    if caller.is_restricted() {
        own(&app, &caller, webhook).await?;
    }
    to_the_end(async move {
        app.store.delete_webhook(account, webhook).await?;
        app.deliver.forget(webhook);
        Ok(())
    })
    .await?;
    Ok(envelope::deleted(&webhook, &id))
}

/// Changes where a webhook's events go, which, and whether.
pub(crate) async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let operation = "PATCH /v1/webhooks";
    let once = match once::begin(&app, &caller, &headers, operation, body.raw()).await? {
        Ok(once) => once,
        Err(first_answer) => return Ok(first_answer),
    };
    let webhook_id: Id<Webhook> = id_of(body::text(body.required("id")?, "id")?, "id")?;
    // An empty one is none that could be meant: who sends it has made a mistake.
    let url = body.field("url").map(|url| url_of(&app, body::text(url, "url")?)).transpose()?;
    let events = body.field("events").map(|names| events_of(&body::texts(names, "events")?));
    let events = events.transpose()?;
    let is_active = body.optional_bool("is_active")?;
    let mut webhook = own(&app, &caller, webhook_id).await?;
    let account = caller.account().ok_or_else(webhook_not_found)?;
    let now = app.clock.now();
    let changes = WebhookChanges { url, events, is_active };
    let missed_since = match is_active {
        Some(true) => app.store.missed_since(account, webhook_id).await?,
        _ => None,
    };
    if let Some(url) = &changes.url {
        webhook.url.clone_from(url);
        if webhook.is_active {
            webhook.failing_since = None;
        }
    }
    if let Some(events) = &changes.events {
        webhook.events.clone_from(events);
    }
    match (webhook.is_active, is_active) {
        (false, Some(true)) => {
            (webhook.is_active, webhook.failing_since) = (true, None);
            (webhook.disabled_at, webhook.disabled_reason) = (None, None);
        }
        (true, Some(false)) => {
            webhook.is_active = false;
            webhook.disabled_at = Some(now);
            webhook.disabled_reason = Some(DisabledReason::Manual);
        }
        _ => {}
    }
    let rendered = Rendered::one(StatusCode::OK, &UpdatedWebhook { webhook, missed_since }, &id);
    let remember = once.remember(&rendered, now);
    let updating = to_the_end(async move {
        let done = app.store.update_webhook(account, webhook_id, changes, remember, now).await?;
        match (&done, is_active) {
            (Once::Done(()), Some(false)) => app.deliver.disabled(webhook_id),
            (Once::Done(()), _) => {
                app.deliver.changed(webhook_id);
                // Those that it has interrupted go on.
                app.replays.notify_one();
            }
            (Once::Replayed(_), _) => {}
        }
        Ok(done)
    });
    Ok(match updating.await? {
        Once::Done(()) => rendered.into_response(),
        Once::Replayed(answer) => once::replay(answer),
    })
}

/// Gives a webhook a new secret. The one before it is valid for a day more.
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let operation = "POST /v1/webhooks/rotate";
    let once = match once::begin(&app, &caller, &headers, operation, body.raw()).await? {
        Ok(once) => once,
        Err(first_answer) => return Ok(first_answer),
    };
    let webhook_id: Id<Webhook> = id_of(body::text(body.required("id")?, "id")?, "id")?;
    let mut webhook = own(&app, &caller, webhook_id).await?;
    let account = caller.account().ok_or_else(webhook_not_found)?;
    let secret = WebhookSecret::from_random(rand::random());
    webhook.secret = Some(secret.clone());
    let now = app.clock.now();
    let until = now + Duration::from_millis(ROTATION_MS.unsigned_abs());
    let rotated = RotatedWebhook { webhook, previous_secret_expires_at: until };
    let rendered = Rendered::one(StatusCode::OK, &rotated, &id);
    let remember = once.remember(&rendered, now);
    let rotating = to_the_end(async move {
        let done = app.store.rotate_secret(account, webhook_id, secret, until, remember).await?;
        if matches!(done, Once::Done(())) {
            app.deliver.rotated(webhook_id);
        }
        Ok(done)
    });
    Ok(match rotating.await? {
        Once::Done(()) => rendered.into_response(),
        Once::Replayed(answer) => once::replay(answer),
    })
}

/// Sends an event that did not happen, now and once, and says what came of it.
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let operation = "POST /v1/webhooks/test";
    let once = match once::begin(&app, &caller, &headers, operation, body.raw()).await? {
        Ok(once) => once,
        Err(first_answer) => return Ok(first_answer),
    };
    let webhook_id: Id<Webhook> = id_of(body::text(body.required("id")?, "id")?, "id")?;
    let webhook = own(&app, &caller, webhook_id).await?;
    let account = caller.account().ok_or_else(webhook_not_found)?;
    let endpoint = app.store.endpoint(account, webhook_id).await?.ok_or_else(webhook_not_found)?;
    let lines = caller.lines(&app).await?;
    let line = lines.iter().find(|line| webhook.line_ids.contains(&line.id));
    // A webhook names one at least.
    let event = webhook.events.first().copied().unwrap_or(EventKind::MessageReceived);
    let now = app.clock.now();
    let delivery = DueDelivery {
        seq: 0,
        id: Id::generate(),
        webhook_id,
        account_id: account,
        url: endpoint.url.into(),
        secrets: Arc::new(endpoint.secrets),
        event,
        chat_id: None,
        data: openapi::sample(event, line, now).into(),
        attempts: 0,
        since: now,
    };
    let came = app.deliver.test(account, &delivery).await.ok_or_else(|| {
        let message = "As many webhooks are being tried as may be at once. Try again in a moment.";
        Problem::new(Code::ServiceUnavailable, message).retry_after(1)
    })?;
    let rendered = Rendered::one(StatusCode::OK, &came, &id);
    Ok(match once.remember(&rendered, app.clock.now()) {
        None => rendered.into_response(),
        Some(remember) => match app.store.remember(remember).await? {
            Once::Done(()) => rendered.into_response(),
            Once::Replayed(answer) => once::replay(answer),
        },
    })
}

/// The webhook with this id, if it is the account's and the key may use all its lines: one that also serves
/// lines this key is not for, be it only lines that are still to come, is not this key's to touch.
pub(crate) async fn own(app: &App, caller: &Caller, id: Id<Webhook>) -> Result<Webhook, Failure> {
    let account = caller.account().ok_or_else(webhook_not_found)?;
    let webhooks = app.store.webhooks(account).await?;
    let webhook = webhooks.into_iter().find(|one| one.id == id).ok_or_else(webhook_not_found)?;
    for line in &webhook.line_ids {
        caller.check_line(*line)?;
    }
    if caller.is_restricted()
        && let Some(endpoint) = app.store.endpoint(account, id).await?
        && endpoint.is_for_all_lines
    {
        let message = "This webhook is for every line, and this key is restricted to some.";
        return Err(Problem::new(Code::LineNotAccessible, message).into());
    }
    Ok(webhook)
}

/// The lines that `from` stands for.
enum Lines {
    One(Id<Line>),
    All,
}

/// Takes `from`; empty means every line the key may use (§7).
async fn lines(app: &App, caller: &Caller, from: &str) -> Result<Lines, Failure> {
    if from.is_empty() {
        caller.owner()?;
        return Ok(Lines::All);
    }
    let line = caller.line(app, &LineRef::parse(from)?).await?;
    Ok(Lines::One(line.id))
}

fn url_of(app: &App, text: &str) -> Result<String, Problem> {
    if text.len() > MAX_URL_LEN {
        let must = format_args!("must be at most {MAX_URL_LEN} bytes long");
        return Err(Problem::invalid_value("url", must));
    }
    match app.guard.check_url(text) {
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

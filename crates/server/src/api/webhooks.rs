//! GET, POST and DELETE /v1/webhooks

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use switchboard_model::{
    EventKind, Line, Problem, Webhook,
    id::Id,
    webhook::{MAX_URL_LEN, WebhookSecret},
};
use switchboard_store::{NewWebhook, Once};

use crate::{
    api::{
        auth::{Caller, LineRef},
        body::{self, Body},
        envelope::{self, Rendered, RequestId},
        once,
        problem::{Failure, id_of, webhook_not_found},
        query::Query,
    },
    app::App,
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
        // One that also serves lines this key is not for is not this key's to delete.
        let webhooks = app.store.webhooks(account).await?;
        let found = webhooks.iter().find(|one| one.id == webhook).ok_or_else(webhook_not_found)?;
        for line in &found.line_ids {
            caller.check_line(*line)?;
        }
    }
    app.store.delete_webhook(account, webhook).await?;
    app.deliver.forget(webhook);
    Ok(envelope::deleted(&webhook, &id))
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

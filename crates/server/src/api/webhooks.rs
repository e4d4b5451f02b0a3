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
    webhook::{MAX_URL_LEN, ROTATION_MS, RotatedWebhook, UpdatedWebhook, WebhookSecret},
};
use switchboard_store::{Idempotent, NewWebhook, WebhookChanges};

use crate::{
    api::{
        auth::{Caller, LineRef},
        body::{self, Body},
        envelope::{self, Rendered, RequestId},
        idempotency,
        problem::{Failure, id_of, webhook_not_found},
        query::Query,
    },
    app::App,
    openapi,
    uncancelled::{spawn_uncancelled, uncancelled},
};

/// The webhooks of a line; of every line the key may use when `from` is empty.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let lines = lines(&app, &caller, query.present("from")?).await?;
    let mut webhooks = app.store.webhooks(caller.owner()?, app.clock.now()).await?;
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
    let idempotent =
        match idempotency::begin(&app, &caller, &headers, operation, body.raw()).await? {
            Ok(idempotent) => idempotent,
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
    caller.check_events(&events)?;
    let line_ids = match lines(&app, &caller, from).await? {
        Lines::One(line) => Some(vec![line]),
        Lines::All => caller.restricted_lines(&app).await?,
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
    let now = app.clock.now();
    let render = move |webhook: &Webhook| Rendered::one(StatusCode::CREATED, webhook, &id);
    let record = idempotent.record_with(render.clone());
    let making = spawn_uncancelled(async move {
        let _in_flight = idempotent;
        app.store.create_webhook(webhook, record, now).await
    });
    Ok(match making.await? {
        Idempotent::Fresh(webhook) => render(&webhook).into_response(),
        Idempotent::Replayed(answer) => idempotency::replay(answer),
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
    let grant = caller.grant(&app).await?.ok_or_else(webhook_not_found)?;
    spawn_uncancelled(async move {
        app.store.delete_webhook(grant, webhook).await?;
        app.deliver.disabled(webhook);
        // A replay of it ends, and makes room for another.
        app.replays.notify_one();
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
    let idempotent =
        match idempotency::begin(&app, &caller, &headers, operation, body.raw()).await? {
            Ok(idempotent) => idempotent,
            Err(first_answer) => return Ok(first_answer),
        };
    let webhook_id: Id<Webhook> = id_of(body::text(body.required("id")?, "id")?, "id")?;
    // An empty one is none that could be meant: who sends it has made a mistake.
    let url = body.field("url").map(|url| url_of(&app, body::text(url, "url")?)).transpose()?;
    let events = body.field("events").map(|names| events_of(&body::texts(names, "events")?));
    let events = events.transpose()?;
    let is_active = body.optional_bool("is_active")?;
    let grant = caller.grant(&app).await?.ok_or_else(webhook_not_found)?;
    let now = app.clock.now();
    let changes = WebhookChanges { url, events, is_active };
    let render = move |updated: &UpdatedWebhook| Rendered::one(StatusCode::OK, updated, &id);
    let record = idempotent.record_with(render.clone());
    let updating = spawn_uncancelled(async move {
        let _in_flight = idempotent;
        let done = app.store.update_webhook(grant, webhook_id, changes, record, now).await?;
        match (&done, is_active) {
            (Idempotent::Fresh(_), Some(false)) => app.deliver.disabled(webhook_id),
            (Idempotent::Fresh(_), _) => {
                app.deliver.changed(webhook_id);
                // Those that it has interrupted go on.
                app.replays.notify_one();
            }
            (Idempotent::Replayed(_), _) => {}
        }
        Ok(done)
    });
    Ok(match updating.await? {
        Idempotent::Fresh(updated) => render(&updated).into_response(),
        Idempotent::Replayed(answer) => idempotency::replay(answer),
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
    let idempotent =
        match idempotency::begin(&app, &caller, &headers, operation, body.raw()).await? {
            Ok(idempotent) => idempotent,
            Err(first_answer) => return Ok(first_answer),
        };
    let webhook_id: Id<Webhook> = id_of(body::text(body.required("id")?, "id")?, "id")?;
    let grant = caller.grant(&app).await?.ok_or_else(webhook_not_found)?;
    let secret = WebhookSecret::from_random(rand::random());
    let now = app.clock.both();
    let until = now.steady + Duration::from_millis(ROTATION_MS.unsigned_abs());
    let render = move |rotated: &RotatedWebhook| Rendered::one(StatusCode::OK, rotated, &id);
    let record = idempotent.record_with(render.clone());
    let rotating = spawn_uncancelled(async move {
        let _in_flight = idempotent;
        let done = app.store.rotate_secret(grant, webhook_id, secret, until, record, now).await?;
        if matches!(done, Idempotent::Fresh(_)) {
            app.deliver.rotated(webhook_id);
        }
        Ok(done)
    });
    Ok(match rotating.await? {
        Idempotent::Fresh(rotated) => render(&rotated).into_response(),
        Idempotent::Replayed(answer) => idempotency::replay(answer),
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
    let idempotent =
        match idempotency::begin(&app, &caller, &headers, operation, body.raw()).await? {
            Ok(idempotent) => idempotent,
            Err(first_answer) => return Ok(first_answer),
        };
    let webhook_id: Id<Webhook> = id_of(body::text(body.required("id")?, "id")?, "id")?;
    let grant = caller.grant(&app).await?.ok_or_else(webhook_not_found)?;
    let account_id = grant.account;
    let endpoint = app.store.endpoint(grant, webhook_id).await?;
    let lines = caller.lines(&app).await?;
    let gets = |line: &Line| endpoint.line_ids.as_ref().is_none_or(|ids| ids.contains(&line.id));
    let line = lines.iter().find(|line| gets(line));
    // A webhook names one at least.
    let event = endpoint.events.first().copied().unwrap_or(EventKind::MessageReceived);
    let now = app.clock.now();
    let delivery = DueDelivery {
        seq: 0,
        id: Id::generate(),
        webhook_id,
        account_id,
        url: endpoint.url.into(),
        secrets: Arc::new(endpoint.secrets),
        event,
        chat_id: None,
        data: openapi::sample(event, line, now).into(),
        attempts: 0,
        since: now,
    };
    // What was sent is remembered, or a client that hangs up and asks again would have it sent again.
    let trying = uncancelled(async move {
        let came = app.deliver.test(account_id, &delivery).await.ok_or_else(|| {
            let message =
                "As many webhooks are being tried as may be at once. Try again in a moment.";
            Problem::new(Code::ServiceUnavailable, message).retry_after(1)
        })?;
        let rendered = Rendered::one(StatusCode::OK, &came, &id);
        Ok::<_, Failure>(match idempotent.record(&rendered) {
            None => rendered.into_response(),
            Some(record) => match app.store.remember(record).await? {
                Idempotent::Fresh(()) => rendered.into_response(),
                Idempotent::Replayed(answer) => idempotency::replay(answer),
            },
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

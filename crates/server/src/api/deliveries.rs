//! GET /v1/deliveries and POST /v1/deliveries/retry

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use switchboard_model::{
    Delivery, EventKind, Problem,
    delivery::DeliveryStatus,
    id::{Id, Kind},
};
use switchboard_store::{DeliveryFilter, Idempotent};

use crate::{
    api::http::{
        auth::Caller,
        body::{self, Body},
        envelope::{self, Rendered, RequestId},
        idempotency,
        problem::{Failure, delivery_not_found, id_of},
        query::Query,
    },
    app::App,
    uncancelled::spawn_uncancelled,
};

/// The deliveries of the account on lines that the key may use, of the newest event first, paged.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    query.none_empty(&["id", "webhook_id", "status", "event", "event_id", "since", "until"])?;
    let filter = DeliveryFilter {
        id: id_in(&query, "id")?,
        webhook_id: id_in(&query, "webhook_id")?,
        status: status(&query)?,
        event: event(&query)?,
        event_id: id_in(&query, "event_id")?,
        since: query.time("since")?,
        until: query.time("until")?,
        lines: None,
        scopes: None,
    };
    let limit = query.limit()?;
    let name = caller.list(format_args!("deliveries {filter:?}"));
    let after = query.cursor(&app.cursors, &name)?;
    caller.check_events(filter.event.as_slice())?;
    let account = caller.owner()?;
    let lines = caller.restricted_lines(&app).await?;
    // Those of other events are not shown: a delivery tells that the event happened, and what was answered to it.
    let filter = DeliveryFilter { lines, scopes: Some(caller.scopes().clone()), ..filter };
    let now = app.clock.both();
    let page = app.store.deliveries(account, filter, after, limit, now).await?;
    Ok(envelope::list(page.rows, page.next.map(|next| next.encode(&app.cursors, &name)), &id))
}

fn id_in<K: Kind>(query: &Query, name: &'static str) -> Result<Option<Id<K>>, Problem> {
    query.optional(name).map(|text| id_of(text, name)).transpose()
}

fn status(query: &Query) -> Result<Option<DeliveryStatus>, Problem> {
    let Some(name) = query.optional("status") else { return Ok(None) };
    DeliveryStatus::from_name(name).map(Some).ok_or_else(|| {
        let known = DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ");
        Problem::invalid_value("status", format_args!("must be one of {known}"))
    })
}

fn event(query: &Query) -> Result<Option<EventKind>, Problem> {
    let Some(name) = query.optional("event") else { return Ok(None) };
    EventKind::from_name(name).map(Some).ok_or_else(|| {
        let known = EventKind::ALL.map(EventKind::as_str).join(", ");
        Problem::invalid_value("event", format_args!("must be one of {known}"))
    })
}

/// What a retry is answered with: exactly this, and `request_id`.
#[derive(Debug, Serialize)]
struct Retried {
    id: Id<Delivery>,
    status: DeliveryStatus,
}

/// Makes a delivery due now.
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let operation = "POST /v1/deliveries/retry";
    let idempotent =
        match idempotency::begin(&app, &caller, &headers, operation, body.raw()).await? {
            Ok(idempotent) => idempotent,
            Err(first_answer) => return Ok(first_answer),
        };
    let delivery = id_of(body::text(body.required("id")?, "id")?, "id")?;
    let grant = caller.grant(&app).await?.ok_or_else(delivery_not_found)?;
    let answer = Retried { id: delivery, status: DeliveryStatus::Due };
    let rendered = Rendered::one(StatusCode::OK, &answer, &id);
    let now = app.clock.both();
    let record = idempotent.record(&rendered);
    let retrying = spawn_uncancelled(async move {
        let _in_flight = idempotent;
        let done = app.store.retry_delivery(grant, delivery, record, now).await?;
        if let Idempotent::Fresh(webhook) = &done {
            app.deliver.retried(*webhook);
        }
        Ok(done)
    });
    Ok(match retrying.await? {
        Idempotent::Fresh(_) => rendered.into_response(),
        Idempotent::Replayed(answer) => idempotency::replay(answer),
    })
}

//! GET /v1/deliveries and POST /v1/deliveries/retry

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Serialize;
use switchboard_model::{
    Delivery, EventKind, Problem,
    delivery::DeliveryStatus,
    id::{Id, Kind},
    page::CursorKey,
    time::Clock,
};
use switchboard_store::{Deliveries, DeliveryFilter, Idempotent, StoreError};

use super::http::{
    caller::Caller,
    envelope,
    idempotency::IdempotentRequest,
    names::id_of,
    problem::{Failure, delivery_not_found},
    query::Query,
    request_id::RequestId,
};
use crate::deliver::Deliver;

/// The deliveries of the account on lines that the key may use, of the newest event first, paged.
pub(crate) async fn list(
    State(deliveries): State<Arc<dyn Deliveries>>,
    State(cursors): State<Arc<CursorKey>>,
    State(clock): State<Arc<dyn Clock>>,
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
    let after = query.cursor(&cursors, &name)?;
    caller.check_events(filter.event.as_slice())?;
    let account = caller.owner()?;
    let lines = caller.restricted_lines().await?;
    // Those of other events are not shown: a delivery tells that the event happened, and what was answered to it.
    let filter = DeliveryFilter { lines, scopes: Some(caller.scopes().clone()), ..filter };
    let now = clock.both();
    let page = deliveries.deliveries(account, filter, after, limit, now).await?;
    Ok(envelope::list(page.rows, page.next.map(|next| next.encode(&cursors, &name)), &id))
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
    State(deliveries): State<Arc<dyn Deliveries>>,
    State(deliver): State<Arc<Deliver>>,
    State(clock): State<Arc<dyn Clock>>,
    caller: Caller,
    IdempotentRequest { body, in_flight }: IdempotentRequest,
) -> Result<Response, Failure> {
    let delivery = body.id("id")?;
    let grant = caller.grant().await?.ok_or_else(delivery_not_found)?;
    let answer = Retried { id: delivery, status: DeliveryStatus::Due };
    let now = clock.both();
    let retrying = in_flight.answer(StatusCode::OK, &answer, |record| async move {
        let done = deliveries.retry_delivery(grant, delivery, record, now).await?;
        if let Idempotent::Fresh(webhook) = &done {
            deliver.retried(*webhook);
        }
        Ok::<_, StoreError>(done)
    });
    Ok(retrying.await?)
}

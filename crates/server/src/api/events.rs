//! GET /v1/events: the live stream (§9).
//!
//! A stream goes on from a position that the client names, in the order of the store ([`crate::stream`]). So there
//! is no gap and no repeat, across reconnects and restarts. A key that was revoked
//! or has expired reads nothing more, not even what was ready for it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use switchboard_model::{EventKind, Problem};
use switchboard_store::{EventPosition, Events};

use super::http::{
    caller::Caller,
    names::LineRef,
    problem::{Failure, lacks},
    query::Query,
};
use crate::{
    requests::IsLive,
    stream::{Filter, LiveStreams, StreamBody},
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Opens a live stream.
pub(crate) async fn stream(
    State(live): State<Arc<LiveStreams>>,
    State(events): State<Arc<dyn Events>>,
    caller: Caller,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Failure> {
    let kinds = kinds(&caller, &query)?;
    let since = query.time("since")?;
    let last = last_event_id(&headers)?;
    let lines = query.all("line").map(|line| LineRef::parse_as(line, "line"));
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let account = caller.owner()?;
    let lines = if lines.is_empty() {
        caller.restricted_lines().await?
    } else {
        let mut named = Vec::with_capacity(lines.len());
        for line in lines {
            named.push(caller.line(&line).await.map_err(|failure| failure.param("line"))?.id);
        }
        Some(named)
    };
    let permit = live.places.enter(account, caller.key_id())?;
    // Before the position is looked up: what is committed in between comes to the stream.
    let seat = live.feeds.join(account);
    let position = match last {
        Some(position) if seat.knows(position) => position,
        _ => {
            let newest = seat.newest().await?;
            match (last, since) {
                (Some(position), _) if position > newest => {
                    let must = "is no place of this stream: it is beyond the newest event. Leave it out, or \
                                say 'since'";
                    return Err(Problem::invalid_value("Last-Event-ID", must).into());
                }
                (Some(position), _) => position,
                (None, Some(_)) => events.event_position(account, since).await?,
                (None, None) => newest,
            }
        }
    };
    let filter = Filter::new(&kinds, lines);
    let body = StreamBody::new(live, seat, caller.key_in_use(), filter, position, permit);
    let mut response = Response::new(axum::body::Body::new(body));
    let headers = response.headers_mut();
    // Without a charset, some clients read any text as Latin-1.
    let utf8 = HeaderValue::from_static("text/event-stream; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, utf8);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some proxies gather answers unless they are told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.extensions_mut().insert(IsLive);
    Ok(response)
}

/// The events that are asked for, each with its scope; without a word, the contract's own that
/// the key may read. The ext events reach only who names them.
fn kinds(caller: &Caller, query: &Query) -> Result<Vec<EventKind>, Problem> {
    const UNASKED: [EventKind; 4] = [
        EventKind::MessageReceived,
        EventKind::MessageSent,
        EventKind::ReactionAdded,
        EventKind::ReactionRemoved,
    ];
    let mut named = Vec::new();
    for name in query.all("event") {
        named.push(EventKind::from_name(name).ok_or_else(|| {
            let known = EventKind::ALL.map(EventKind::as_str).join(", ");
            Problem::invalid_value("event", format_args!("must be one of {known}"))
        })?);
    }
    if named.is_empty() {
        let readable: Vec<_> =
            UNASKED.into_iter().filter(|kind| caller.has(kind.scope())).collect();
        return if readable.is_empty() { Err(lacks(UNASKED[0].scope())) } else { Ok(readable) };
    }
    caller.check_events(&named)?;
    Ok(named)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<EventPosition>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    value.to_str().ok().and_then(EventPosition::parse).map(Some).ok_or_else(|| {
        Problem::invalid_value("Last-Event-ID", "must be the id of an event of this stream")
    })
}

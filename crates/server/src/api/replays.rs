//! POST and GET /v1/webhooks/replay

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use http::StatusCode;
use switchboard_model::{Problem, Timestamp, Webhook, id::Id, time::Clock};
use switchboard_store::{Idempotent, NewReplay, Replays};

use super::{
    http::{
        body,
        caller::Caller,
        envelope,
        idempotency::IdempotentRequest,
        names::id_of,
        problem::{Failure, replay_not_found, webhook_not_found},
        query::Query,
        request_id::RequestId,
    },
    state::MaxReplays,
};
use crate::hub::Hub;

/// Makes a replay. It works by itself; GET tells how far it is.
pub(crate) async fn create(
    State(replays): State<Arc<dyn Replays>>,
    State(hub): State<Arc<Hub>>,
    State(clock): State<Arc<dyn Clock>>,
    State(MaxReplays(most_of_account)): State<MaxReplays>,
    caller: Caller,
    IdempotentRequest { body, in_flight }: IdempotentRequest,
) -> Result<Response, Failure> {
    let webhook = body.required("id")?;
    body.required("since")?;
    let webhook: Id<Webhook> = id_of(body::text(webhook, "id")?, "id")?;
    let time = |name| Ok::<_, Problem>(body.optional_number(name, 0..=i64::MAX)?.map(Timestamp));
    let since = time("since")?.ok_or_else(|| Problem::missing_field("since"))?;
    let now = clock.now();
    // Without an end, all that there is.
    let asked_until = time("until")?;
    let until = asked_until.unwrap_or(now + Duration::from_millis(1));
    if since >= until {
        let wrong = match asked_until {
            Some(_) => Problem::invalid_value("until", "must be later than 'since'"),
            None => Problem::invalid_value("since", "must not be in the future"),
        };
        return Err(wrong.into());
    }
    let include_delivered = body.optional_bool("include_delivered")?.unwrap_or(false);
    let grant = caller.grant().await?.ok_or_else(webhook_not_found)?;
    let new = NewReplay {
        id: Id::generate(),
        webhook_id: webhook,
        since,
        until,
        include_delivered,
        most_of_account,
    };
    let making = in_flight.answer_with(StatusCode::CREATED, |record| async move {
        let done = replays.create_replay(grant, new, record, now).await?;
        if matches!(done, Idempotent::Fresh(_)) {
            hub.wake_replays();
        }
        Ok(done)
    });
    Ok(making.await?)
}

/// How far a replay is.
pub(crate) async fn show(
    State(replays): State<Arc<dyn Replays>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let replay = id_of(query.required("id")?, "id")?;
    let grant = caller.grant().await?.ok_or_else(replay_not_found)?;
    let replay = replays.replay(grant, replay).await?.ok_or_else(replay_not_found)?;
    Ok(envelope::one(StatusCode::OK, &replay, &id))
}

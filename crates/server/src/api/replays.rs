//! POST and GET /v1/webhooks/replay

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use switchboard_model::{Problem, Replay, Timestamp, Webhook, id::Id};
use switchboard_store::{Idempotent, NewReplay};

use crate::{
    api::http::{
        auth::Caller,
        body::{self, Body},
        envelope::{self, Rendered, RequestId},
        idempotency,
        problem::{Failure, id_of, replay_not_found, webhook_not_found},
        query::Query,
    },
    app::App,
    uncancelled::spawn_uncancelled,
};

/// Makes a replay. It works by itself; GET tells how far it is.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let operation = "POST /v1/webhooks/replay";
    let idempotent =
        match idempotency::begin(&app, &caller, &headers, operation, body.raw()).await? {
            Ok(idempotent) => idempotent,
            Err(first_answer) => return Ok(first_answer),
        };
    let webhook = body.required("id")?;
    body.required("since")?;
    let webhook: Id<Webhook> = id_of(body::text(webhook, "id")?, "id")?;
    let time = |name| Ok::<_, Problem>(body.optional_number(name, 0..=i64::MAX)?.map(Timestamp));
    let since = time("since")?.ok_or_else(|| Problem::missing_field("since"))?;
    let now = app.clock.now();
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
    let grant = caller.grant(&app).await?.ok_or_else(webhook_not_found)?;
    let new = NewReplay {
        id: Id::generate(),
        webhook_id: webhook,
        since,
        until,
        include_delivered,
        most_of_account: app.config.max_replays,
    };
    let render = move |replay: &Replay| Rendered::one(StatusCode::CREATED, replay, &id);
    let record = idempotent.record_with(render.clone());
    let making = spawn_uncancelled(async move {
        let _in_flight = idempotent;
        let done = app.store.create_replay(grant, new, record, now).await?;
        if matches!(done, Idempotent::Fresh(_)) {
            app.replays.notify_one();
        }
        Ok(done)
    });
    Ok(match making.await? {
        Idempotent::Fresh(replay) => render(&replay).into_response(),
        Idempotent::Replayed(answer) => idempotency::replay(answer),
    })
}

/// How far a replay is.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let replay = id_of(query.required("id")?, "id")?;
    let grant = caller.grant(&app).await?.ok_or_else(replay_not_found)?;
    let replay = app.store.replay(grant, replay).await?.ok_or_else(replay_not_found)?;
    Ok(envelope::one(StatusCode::OK, &replay, &id))
}

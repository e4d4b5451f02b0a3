//! /simulator/v1: what a test or a person does with virtual phones. Only with the simulator.

use std::{sync::Arc, time::Duration};

use axum::response::IntoResponse;
use axum::{Json, extract::State, response::Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use switchboard_model::{
    Handle, Problem,
    message::MAX_TEXT_CHARS,
    simulator::{ContactText, Fault, FaultMode, PhoneMessage, SimulatedPhones},
};

use crate::{
    api::{
        auth::Operator,
        body::{self, Body},
        envelope::{self, RequestId},
        problem::{Failure, id_of},
        query::Query,
    },
    app::App,
};

/// The most participants of a simulated group, the line not counted.
const MAX_PARTICIPANTS: usize = 31;

/// A contact texts a line.
pub(crate) async fn text(
    State(app): State<Arc<App>>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let (line, from) = (body.required("line")?, body.required("from")?);
    body.required("text")?;
    let (line, from) = (handle(line, "line")?, handle(from, "from")?);
    let text = body.optional_text("text")?.map(str::to_owned);
    if text.as_ref().is_some_and(|text| text.chars().count() > MAX_TEXT_CHARS) {
        let must = format_args!("must be at most {MAX_TEXT_CHARS} characters long");
        return Err(Problem::invalid_value("text", must).into());
    }
    let chat_id = body.optional_text("chat_id")?;
    let chat_id = chat_id.map(|text| id_of(text, "chat_id")).transpose()?;
    let reply_to_guid = body.optional_text("reply_to_guid")?.map(str::to_owned);
    let text = ContactText { line, from, text, chat_id, reply_to_guid };
    let texted = phones(&app)?.text(text).await?;
    Ok(envelope::one(StatusCode::CREATED, &texted, &id))
}

/// What a contact's phone shows.
pub(crate) async fn phone(
    State(app): State<Arc<App>>,
    _: Operator,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Phone<'a> {
        messages: Vec<PhoneMessage>,
        request_id: &'a str,
    }
    let handle: Handle = query
        .required("handle")?
        .parse()
        .map_err(|error| Problem::invalid_value("handle", error))?;
    let messages = phones(&app)?.phone(&handle).await;
    Ok(Json(Phone { messages, request_id: &id.0 }).into_response())
}

/// Makes a group.
pub(crate) async fn group(
    State(app): State<Arc<App>>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let (line, participants) = (body.required("line")?, body.required("participants")?);
    let line = handle(line, "line")?;
    let mut handles = Vec::new();
    for text in body::texts(participants, "participants")? {
        let handle: Handle =
            text.parse().map_err(|error| Problem::invalid_value("participants", error))?;
        if !handles.contains(&handle) {
            handles.push(handle);
        }
    }
    if handles.is_empty() || handles.len() > MAX_PARTICIPANTS {
        let must = format_args!("must hold 1 to {MAX_PARTICIPANTS} handles");
        return Err(Problem::invalid_value("participants", must).into());
    }
    let name = body.optional_text("name")?.map(str::to_owned);
    let chat_id = phones(&app)?.group(&line, name, handles).await?;
    Ok(envelope::one(StatusCode::CREATED, &json!({ "chat_id": chat_id }), &id))
}

/// Makes a line go wrong, or right again.
pub(crate) async fn fault(
    State(app): State<Arc<App>>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let (line, mode) = (body.required("line")?, body.required("mode")?);
    let line = handle(line, "line")?;
    let mode = FaultMode::from_name(body::text(mode, "mode")?).ok_or_else(|| {
        let known = FaultMode::ALL.map(FaultMode::as_str).join(", ");
        Problem::invalid_value("mode", format_args!("must be one of {known}"))
    })?;
    let ms = body.optional_number("ms", 0..=86_400_000)?;
    let count = body.optional_number("count", 1..=i64::from(u32::MAX))?;
    let fault = Fault {
        mode,
        after: ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        count: count.and_then(|count| u32::try_from(count).ok()),
    };
    phones(&app)?.fault(&line, fault).await?;
    let answer = json!({ "line": line, "mode": mode, "ms": ms, "count": count });
    Ok(envelope::one(StatusCode::OK, &answer, &id))
}

fn phones(app: &App) -> Result<&dyn SimulatedPhones, Failure> {
    match &app.simulator {
        Some(simulator) => Ok(simulator.0.as_ref()),
        None => Err(Failure {
            cause: Some("a simulator route without a simulator".to_owned()),
            ..Failure::internal()
        }),
    }
}

fn handle(value: &serde_json::Value, name: &'static str) -> Result<Handle, Problem> {
    body::text(value, name)?.parse().map_err(|error| Problem::invalid_value(name, error))
}

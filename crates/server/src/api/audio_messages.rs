//! POST /v1/audio-messages

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use serde::Serialize;
use switchboard_store::NewContent;

use crate::{
    api::{
        http::{
            auth::{Caller, LineRef},
            body::{self, Body},
            envelope::RequestId,
            problem::{Failure, id_of},
        },
        outgoing::{self, Outgoing, message_ref, recipient},
    },
    app::App,
};

/// Takes a voice memo into the outbox.
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let operation = "POST /v1/audio-messages";
    let begun = outgoing::begin(&app, &caller, &id, &headers, operation, body.raw());
    let request = match begun.await? {
        Ok(request) => request,
        Err(first_answer) => return Ok(first_answer),
    };
    let (from, to) = (body.required("from")?, body.required("to")?);
    let file = body.required("audio_message")?;
    let from = body::text(from, "from")?;
    let line = LineRef::parse(from)?;
    let to = body::text(to, "to")?;
    let chat = recipient(&app, &caller, &line, to).await?;
    let audio_message = body::text(file, "audio_message")?;
    let file = id_of(audio_message, "audio_message")?;
    let reply_to = body.optional_text("reply_to")?;
    let answered = reply_to.map(|text| message_ref(text, "reply_to")).transpose()?;
    let payload = &Original { from, to, audio_message, reply_to };
    let outgoing = Outgoing {
        from: line,
        to: chat,
        content: NewContent::AudioMessage { file, reply_to: answered },
        payload,
        message_param: "reply_to",
        file_param: "audio_message",
    };
    request.accept(outgoing).await
}

/// The request as the caller wrote it.
#[derive(Debug, Serialize)]
struct Original<'a> {
    from: &'a str,
    to: &'a str,
    audio_message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
}

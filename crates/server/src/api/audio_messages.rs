//! POST /v1/audio-messages

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Serialize;
use switchboard_store::NewContent;

use super::{
    http::{
        body,
        caller::Caller,
        idempotency::IdempotentRequest,
        names::{id_of, message_ref},
        problem::Failure,
    },
    outbox::Outgoing,
};

/// Takes a voice memo into the outbox.
pub(crate) async fn send(
    State(outgoing): State<Arc<Outgoing>>,
    caller: Caller,
    IdempotentRequest { body, in_flight }: IdempotentRequest,
) -> Result<Response, Failure> {
    let address = outgoing.address(&caller, &body, body.has_all(&["audio_message"])).await?;
    let audio_message = body::text(body.required("audio_message")?, "audio_message")?;
    let file = id_of(audio_message, "audio_message")?;
    let reply_to = body.optional_text("reply_to")?;
    let answered = reply_to.map(|text| message_ref(text, "reply_to")).transpose()?;
    let content = NewContent::AudioMessage { file, reply_to: answered };
    let payload = Original { from: address.from, to: address.to, audio_message, reply_to };
    outgoing.accept(&caller, in_flight, address, content, &payload).await
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

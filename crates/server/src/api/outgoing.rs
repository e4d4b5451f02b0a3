//! What all writes to the outbox have in common: from, to, acceptance, and the answer.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::value::to_raw_value;
use switchboard_model::{
    Handle, OutboxItem, Problem,
    chat::Recipient,
    id::{self, Id},
    message::{MAX_GUID_LEN, MessageRef},
    outbox::OutboxStatus,
    text::trim,
};
use switchboard_store::{Accept, Idempotent, NewContent, Refusal};

use crate::{
    api::http::{
        auth::{Caller, LineRef},
        envelope::{Rendered, RequestId},
        idempotency,
        problem::{Failure, id_of},
    },
    app::App,
    uncancelled::spawn_uncancelled,
};

/// A write whose values have been judged.
pub(crate) struct Outgoing<'a, P> {
    pub(crate) from: LineRef,
    pub(crate) to: Recipient,
    pub(crate) content: NewContent,
    /// The request as the caller wrote it, for GET /v1/outbox.
    pub(crate) payload: &'a P,
    /// What this endpoint calls the message that it refers to, and the file.
    pub(crate) message_param: &'static str,
    pub(crate) file_param: &'static str,
}

/// What a write is answered with: exactly this, and `request_id` (§6).
#[derive(Debug, Serialize)]
struct Pending {
    id: Id<OutboxItem>,
    status: OutboxStatus,
}

/// What a handler knows of its request.
pub(crate) struct Request<'a> {
    pub(crate) app: &'a Arc<App>,
    pub(crate) caller: &'a Caller,
    pub(crate) id: &'a RequestId,
    pub(crate) idempotent: idempotency::IdempotentRequest,
}

/// The first half of every write: the answer of its first time, if this is a repetition.
pub(crate) async fn begin<'a>(
    app: &'a Arc<App>,
    caller: &'a Caller,
    id: &'a RequestId,
    headers: &HeaderMap,
    operation: &'static str,
    body: &[u8],
) -> Result<Result<Request<'a>, Response>, Failure> {
    let begun = idempotency::begin(app, caller, headers, operation, body).await?;
    Ok(begun.map(|idempotent| Request { app, caller, id, idempotent }))
}

impl Request<'_> {
    /// Takes the write into the outbox, durably, and answers at once.
    pub(crate) async fn accept<P: Serialize>(
        self,
        outgoing: Outgoing<'_, P>,
    ) -> Result<Response, Failure> {
        let Outgoing { from, to, content, payload, message_param, file_param } = outgoing;
        let Self { app, caller, id, idempotent } = self;
        let line = caller.line(app, &from).await?;
        let answer = Pending { id: Id::generate(), status: OutboxStatus::Pending };
        let rendered = Rendered::one(StatusCode::CREATED, &answer, id);
        let lines = if content.has_file() { caller.restricted_lines(app).await? } else { None };
        let accept = Accept {
            id: answer.id,
            account_id: line.account,
            line_id: line.id,
            to,
            content,
            lines,
            payload: to_raw_value(payload)
                .expect("texts under fixed names, which always serialise"),
        };
        let (app, now) = (Arc::clone(app), app.clock.now());
        let clock = Arc::clone(&app.clock);
        let record = idempotent.record(&rendered);
        let accepting = spawn_uncancelled(async move {
            // In flight until it is committed.
            let _in_flight = idempotent;
            let accepted = app.store.accept(accept, record, now).await?;
            if matches!(accepted, Idempotent::Fresh(_)) {
                app.hub.wake(line.id);
            }
            Ok(accepted)
        });
        match accepting.await {
            Ok(Idempotent::Fresh(_)) => Ok(rendered.into_response()),
            Ok(Idempotent::Replayed(answer)) => Ok(idempotency::replay(answer)),
            Err(error) => {
                let about = match &error {
                    switchboard_store::StoreError::Refused(refusal) => match refusal {
                        Refusal::MessageNotFound => Some(message_param),
                        Refusal::FileNotFound | Refusal::NotAudio => Some(file_param),
                        _ => None,
                    },
                    _ => None,
                };
                let mut failure = Failure::at(error, clock.now());
                if let Some(param) = about {
                    failure.problem = failure.problem.param(param);
                }
                Err(failure)
            }
        }
    }
}

/// Takes `to`: a phone, an Apple ID, a sender that has written to the line, or `cht_…`. A sender may have any
/// name; one that has no form of its own is taken only if the caller has a chat with it.
pub(crate) async fn recipient(
    app: &App,
    caller: &Caller,
    from: &LineRef,
    text: &str,
) -> Result<Recipient, Failure> {
    if trim(text).starts_with("cht_") {
        return Ok(id_of(text, "to").map(Recipient::Chat)?);
    }
    let error = match Handle::contact(text) {
        Ok(handle) => return Ok(Recipient::Contact(handle)),
        Err(error) => error,
    };
    // A line that is not the caller's is told in its turn, which is after this one.
    if let Ok(line) = caller.line(app, from).await {
        let sender = Handle::received(text);
        if app.store.has_chat_with(line.account, line.id, sender.clone()).await? {
            return Ok(Recipient::Contact(sender));
        }
    }
    Err(Problem::invalid_value("to", format_args!("{error}, or a chat id")).into())
}

/// Takes a message as a caller names it: `msg_…`, or a guid.
pub(crate) fn message_ref(text: &str, param: &'static str) -> Result<MessageRef, Problem> {
    let bare = trim(text);
    if bare.starts_with("msg_") {
        return id_of(bare, param).map(MessageRef::Id);
    }
    if id::has_any_prefix(bare) {
        let must = "must be an id that starts with 'msg_', or a guid";
        return Err(Problem::invalid_value(param, must));
    }
    // A guid that is longer than any that is kept names nothing: its beginning does not either.
    let kept = text.char_indices().nth(MAX_GUID_LEN + 1).map_or(text, |(end, _)| &text[..end]);
    Ok(MessageRef::Guid(kept.to_owned()))
}

//! GET /v1/outbox, and how all writes get into it: from, to, acceptance, and the answer.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::value::to_raw_value;
use switchboard_model::{
    Code, OutboxItem, Problem, chat::Recipient, id::Id, outbox::OutboxStatus, time::Clock,
};
use switchboard_store::{Accept, Chats, Idempotent, NewContent, Outbox, Refusal, StoreError};

use super::{
    chats::recipient,
    http::{
        body::{self, Body},
        caller::Caller,
        envelope,
        idempotency::InFlight,
        names::{LineRef, id_of},
        problem::Failure,
        query::Query,
        request_id::RequestId,
    },
};
use crate::{hub::Hub, metrics::Metrics};

/// Where an item is on its way.
pub(crate) async fn show(
    State(outbox): State<Arc<dyn Outbox>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let item: Id<OutboxItem> = id_of(query.required("id")?, "id")?;
    let account = caller.account().ok_or_else(not_found)?;
    let item = outbox.outbox_item(account, item).await?.ok_or_else(not_found)?;
    caller.check_line(item.line_id)?;
    Ok(envelope::one(StatusCode::OK, &item, &id))
}

fn not_found() -> Problem {
    Problem::new(Code::OutboxItemNotFound, "There is no outbox item with this id.").param("id")
}

/// What takes writes into the outbox.
pub(crate) struct Outgoing {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) chats: Arc<dyn Chats>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Who writes to whom: as the caller wrote it, and what that means.
pub(crate) struct Address<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    line: LineRef,
    chat: Recipient,
}

/// What a write is answered with: exactly this, and `request_id` (§6).
#[derive(Debug, Serialize)]
struct Pending {
    id: Id<OutboxItem>,
    status: OutboxStatus,
}

impl Outgoing {
    /// Takes `from` and `to`. Whether the endpoint's `other_fields` are there is told before any value is judged.
    pub(crate) async fn address<'a>(
        &self,
        caller: &Caller,
        body: &'a Body,
        other_fields: Result<(), Problem>,
    ) -> Result<Address<'a>, Failure> {
        let (from, to) = (body.required("from")?, body.required("to")?);
        other_fields?;
        let from = body::text(from, "from")?;
        let line = LineRef::parse(from)?;
        let to = body::text(to, "to")?;
        let chat = recipient(&*self.chats, caller, &line, to).await?;
        Ok(Address { from, to, line, chat })
    }

    /// Takes the write into the outbox, durably, and answers at once. `payload` is the request as the caller wrote it,
    /// for GET /v1/outbox.
    pub(crate) async fn accept(
        &self,
        caller: &Caller,
        in_flight: InFlight,
        address: Address<'_>,
        content: NewContent,
        payload: &impl Serialize,
    ) -> Result<Response, Failure> {
        let line = caller.line(&address.line).await?;
        let answer = Pending { id: Id::generate(), status: OutboxStatus::Pending };
        let lines = if content.has_file() { caller.restricted_lines().await? } else { None };
        let params = Params::of(&content);
        let accept = Accept {
            id: answer.id,
            account_id: line.account,
            line_id: line.id,
            to: address.chat,
            content,
            lines,
            payload: to_raw_value(payload)
                .expect("texts under fixed names, which always serialise"),
        };
        let (outbox, hub) = (Arc::clone(&self.outbox), Arc::clone(&self.hub));
        let metrics = Arc::clone(&self.metrics);
        let now = self.clock.now();
        let accepting = in_flight.answer(StatusCode::CREATED, &answer, |record| async move {
            let accepted = outbox.accept(accept, record, now).await?;
            if let Idempotent::Fresh(fresh) = &accepted {
                hub.wake(line.id);
                if fresh.must_rest {
                    metrics.messages.note_loop();
                    tracing::warn!(
                        line = %line.id,
                        chat = %fresh.chat_id,
                        "a line has answered in a chat as often as its loop_limit lets it: it must rest there"
                    );
                }
            }
            Ok(accepted)
        });
        accepting.await.map_err(|error| params.tell(error, &*self.clock))
    }
}

/// What an endpoint calls the message that it refers to, and the file.
struct Params {
    message: &'static str,
    file: &'static str,
}

impl Params {
    fn of(content: &NewContent) -> Self {
        let (message, file) = match content {
            NewContent::Message { .. } => ("reply_to", "attachments"),
            NewContent::AudioMessage { .. } => ("reply_to", "audio_message"),
            NewContent::Reaction { .. } => ("message_id", ""),
            NewContent::Typing { .. } | NewContent::Read => ("", ""),
        };
        Self { message, file }
    }

    fn tell(&self, error: StoreError, clock: &dyn Clock) -> Failure {
        let about = match &error {
            StoreError::Refused(Refusal::MessageNotFound) => Some(self.message),
            StoreError::Refused(Refusal::FileNotFound | Refusal::NotAudio) => Some(self.file),
            _ => None,
        };
        let mut failure = Failure::at(error, clock.now());
        if let Some(param) = about {
            failure.problem = failure.problem.param(param);
        }
        failure
    }
}

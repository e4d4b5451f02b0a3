//! GET and POST /v1/reactions

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Serialize;
use switchboard_model::{Problem, ReactionType};
use switchboard_store::{Messages, NewContent, Reactions};

use super::{
    http::{
        body,
        caller::Caller,
        envelope,
        idempotency::IdempotentRequest,
        names::message_ref,
        problem::{Failure, message_not_found},
        query::Query,
        request_id::RequestId,
    },
    outbox::Outgoing,
};

/// What was said about a message, removed reactions with `added: false`.
pub(crate) async fn list(
    State(messages): State<Arc<dyn Messages>>,
    State(reactions): State<Arc<dyn Reactions>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let message = message_ref(query.required("message_id")?, "message_id")?;
    let missing = || message_not_found().param("message_id");
    let account = caller.account().ok_or_else(missing)?;
    let found = messages.find_messages(account, message).await?;
    let mut refused = missing();
    for (line, message) in found {
        match caller.check_line(line) {
            Ok(()) => {
                let reactions = reactions.reactions(account, message).await?;
                return Ok(envelope::list(reactions, None, &id));
            }
            Err(problem) => refused = problem,
        }
    }
    Err(refused.into())
}

/// Takes a reaction into the outbox.
pub(crate) async fn send(
    State(outgoing): State<Arc<Outgoing>>,
    caller: Caller,
    IdempotentRequest { body, in_flight }: IdempotentRequest,
) -> Result<Response, Failure> {
    let others = body.has_all(&["message_id", "type"]);
    let address = outgoing.address(&caller, &body, others).await?;
    let message_id = body::text(body.required("message_id")?, "message_id")?;
    let message = message_ref(message_id, "message_id")?;
    let kind = body::text(body.required("type")?, "type")?;
    let reaction_type = ReactionType::parse(kind).ok_or_else(|| {
        let named = ReactionType::NAMED.map(|one| one.to_string()).join(", ");
        Problem::invalid_value("type", format_args!("must be one of {named}, or one emoji"))
    })?;
    let remove = body.optional_bool("remove")?;
    let content = NewContent::Reaction { message, reaction_type, remove: remove.unwrap_or(false) };
    let (from, to) = (address.from, address.to);
    let payload = Original { from, to, message_id, reaction_type: kind, remove };
    outgoing.accept(&caller, in_flight, address, content, &payload).await
}

/// The request as the caller wrote it.
#[derive(Debug, Serialize)]
struct Original<'a> {
    from: &'a str,
    to: &'a str,
    message_id: &'a str,
    #[serde(rename = "type")]
    reaction_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<bool>,
}

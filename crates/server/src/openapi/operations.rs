//! What each operation is for, takes and answers: one entry for each row of the routes' table.
//!
//! Here stands what nothing else says. Who may call, which scope it needs and what every
//! operation of its kind can refuse come from the table of routes and the catalogue of errors.

use http::Method;
use serde_json::Value;
use switchboard_model::Code::{
    self, AdvancedFeaturesRequired, ChatNotFound, ContactHasNotMessaged, DeliveryNotFound,
    EmptyFile, FileNotFound, FileTooLarge, InsufficientScope, InvalidJson, InvalidParameterValue,
    LineNotAccessible, LineNotFound, MessageNotFound, MissingRequiredParameter, OutboxItemNotFound,
    ReplayNotFound, RequestTooLarge, SandboxContactMismatch, SandboxNotActivated,
    SandboxQuotaExceeded, SandboxRequiresOwner, UnsupportedMediaType, WebhookNotFound,
};

use super::{Audience, resources};
use crate::files::DOWNLOAD_PATH;

/// An operation, as it is documented.
pub(super) struct Entry {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// What generated clients call it.
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    /// Names of [`super::parameters`], in the order of the checks.
    pub(super) parameters: &'static [&'static str],
    pub(super) body: RequestBody,
    pub(super) answer: AnswerKind,
    /// The codes that it gives beside those of its kind.
    pub(super) codes: &'static [Code],
}

/// What it takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestBody {
    None,
    /// JSON of this schema.
    Json(&'static str),
    /// The bytes of a file.
    File,
}

/// What it answers with when all is well.
#[derive(Clone, Copy)]
pub(super) enum AnswerKind {
    /// A resource at top level, plus `request_id`.
    One(u16, &'static str),
    /// All rows of this resource.
    List(&'static str),
    /// A page of rows of this resource.
    Page(&'static str),
    /// The URL of a file.
    Redirect,
    /// The bytes of a file.
    Bytes,
    /// The live stream.
    Stream,
    /// This document.
    Document,
}

impl AnswerKind {
    /// The name and the schema of its body, if that is JSON of its own.
    pub(super) fn schema(self) -> Option<(String, Value)> {
        match self {
            Self::One(_, name) => Some((resources::response_name(name), resources::one(name))),
            Self::List(row) => Some((resources::list_name(row), resources::page(row, false))),
            Self::Page(row) => Some((resources::list_name(row), resources::page(row, true))),
            Self::Redirect | Self::Bytes | Self::Stream | Self::Document => None,
        }
    }
}

/// The groups of operations, in the order of the contract.
pub(super) const TAGS: [(&str, &str); 13] = [
    ("Lines", "The phone numbers and Apple IDs that you own."),
    ("Chats", "The conversations of a line."),
    ("Messages", "Reading and sending."),
    ("Reactions", "What people think of a message."),
    ("Typing", "Who is typing."),
    ("Receipts", "Who has read what."),
    ("Outbox", "What became of a write."),
    ("Files", "Attachments and voice memos."),
    ("Webhooks", "Where events are delivered to."),
    ("Deliveries", "What became of each event on its way to a webhook."),
    ("Events", "The same events as a live stream."),
    ("Sandbox", "A shared line, to try things on a real phone."),
    ("Documentation", "This page, for programs."),
];

/// What every write to the outbox may refuse.
const WRITE: &[Code] = &[
    MissingRequiredParameter,
    InvalidParameterValue,
    LineNotFound,
    LineNotAccessible,
    SandboxRequiresOwner,
    SandboxNotActivated,
    SandboxContactMismatch,
    ChatNotFound,
    ContactHasNotMessaged,
];

/// What every look at a line or a chat of it may refuse.
const LINE: &[Code] = &[
    MissingRequiredParameter,
    InvalidParameterValue,
    LineNotFound,
    LineNotAccessible,
    SandboxRequiresOwner,
];

/// What every look-up by id may refuse.
const LOOK_UP: &[Code] = &[MissingRequiredParameter, InvalidParameterValue];

impl Entry {
    /// Whether it begins with a line, and not with the id of something.
    fn is_of_a_line(&self) -> bool {
        ["listWebhooks", "createWebhook"].contains(&self.id)
    }

    /// All codes that are named for it, those of its kind too.
    pub(super) fn named_codes(&self) -> Vec<Code> {
        let kind: &[&[Code]] = match self.tag {
            // What stays on somebody's phone counts against the sandbox's day.
            "Messages" | "Reactions" if self.method == Method::POST => {
                &[WRITE, &[SandboxQuotaExceeded]]
            }
            "Typing" | "Receipts" if self.method == Method::POST => &[WRITE],
            "Chats" => &[LINE],
            "Messages" | "Typing" | "Receipts" => &[LINE, &[ChatNotFound]],
            "Webhooks" if self.is_of_a_line() => &[LINE],
            "Deliveries" if self.method == Method::GET => {
                &[&[InvalidParameterValue, SandboxRequiresOwner]]
            }
            "Deliveries" => &[LOOK_UP],
            "Webhooks" | "Outbox" | "Reactions" => &[LOOK_UP, &[LineNotAccessible]],
            "Files" if self.method == Method::GET => &[LOOK_UP],
            _ => &[],
        };
        kind.iter().copied().flatten().chain(self.codes).copied().collect()
    }
}

/// An operation, in the order of its fields.
#[expect(clippy::too_many_arguments, reason = "it is a row of a table")]
pub(super) fn entry(
    method: Method,
    path: &'static str,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    about: &'static str,
    parameters: &'static [&'static str],
    body: RequestBody,
    answer: AnswerKind,
    codes: &'static [Code],
) -> Entry {
    Entry { method, path, id, tag, summary, about, parameters, body, answer, codes }
}

/// Every operation that programs may use.
#[rustfmt::skip]
pub(super) fn all() -> Vec<Entry> {
    use AnswerKind::{Bytes, Document, List, One, Page, Redirect, Stream};
    use RequestBody::{File, Json, None};
    let (get, post, delete) = (|| Method::GET, || Method::POST, || Method::DELETE);
    let patch = || Method::PATCH;
    vec![
        entry(
            get(), "/v1/lines", "listLines", "Lines", "List your lines",
            "Your own lines and the sandbox line, as far as the key may use them.",
            &[], None, List("Line"), &[],
        ),
        entry(
            get(), "/v1/chats", "listChats", "Chats", "List the chats of a line",
            "Latest activity first. Nothing is skipped or repeated while messages arrive.",
            &["From", "Limit", "Cursor"], None, Page("Chat"), &[],
        ),
        entry(
            get(), "/v1/messages", "listMessages", "Messages", "List the messages of a chat",
            "Newest first. Nothing is skipped or repeated while messages arrive.",
            &["From", "To", "Limit", "Cursor"], None, Page("Message"), &[],
        ),
        entry(
            post(), "/v1/messages", "sendMessage", "Messages", "Send a message",
            "Takes the message, durably, and answers at once; the line's bridge sends it. Follow it \
             with `GET /v1/outbox`, or by the events `message.sent` and `message.failed`. Most lines \
             may write only to people who wrote to them first.",
            &["IdempotencyKey"], Json("SendMessage"), One(201, "Accepted"),
            &[MessageNotFound, FileNotFound, AdvancedFeaturesRequired],
        ),
        entry(
            post(), "/v1/audio-messages", "sendAudioMessage", "Messages", "Send a voice memo",
            "The file must be audio: m4a, aac, mp3, wav, caf or aiff. The line needs advanced features.",
            &["IdempotencyKey"], Json("SendAudioMessage"), One(201, "Accepted"),
            &[MessageNotFound, FileNotFound, AdvancedFeaturesRequired],
        ),
        entry(
            get(), "/v1/reactions", "listReactions", "Reactions", "List the reactions to a message",
            "Removed ones too, with `added: false`.",
            &["MessageId"], None, List("Reaction"), &[MessageNotFound],
        ),
        entry(
            post(), "/v1/reactions", "sendReaction", "Reactions", "React to a message",
            "Or take a reaction back, with `remove: true`. The line needs advanced features.",
            &["IdempotencyKey"], Json("SendReaction"), One(201, "Accepted"),
            &[MessageNotFound, AdvancedFeaturesRequired],
        ),
        entry(
            get(), "/v1/typing", "listTyping", "Typing", "List who types in a chat",
            "Who types, or did.",
            &["From", "To"], None, List("TypingIndicator"), &[],
        ),
        entry(
            post(), "/v1/typing", "sendTyping", "Typing", "Show that the line types",
            "Or that it stopped. The line needs advanced features.",
            &["IdempotencyKey"], Json("SendTyping"), One(201, "Accepted"),
            &[AdvancedFeaturesRequired],
        ),
        entry(
            get(), "/v1/receipts", "listReceipts", "Receipts", "List who has read a chat",
            "And up to when.",
            &["From", "To"], None, List("ReadReceipt"), &[],
        ),
        entry(
            post(), "/v1/receipts", "sendReceipt", "Receipts", "Mark a chat as read",
            "The whole chat. The line needs advanced features.",
            &["IdempotencyKey"], Json("SendReceipt"), One(201, "Accepted"),
            &[AdvancedFeaturesRequired],
        ),
        entry(
            get(), "/v1/outbox", "getOutboxItem", "Outbox", "See what became of a write",
            "An item that was not handed over within 24 hours fails. One that may have been handed \
             over fails with an error that says so, and is never sent again by itself; if the truth turns out \
             later, it becomes `sent`, or has the true `error`.",
            &["OutboxItemId"], None, One(200, "OutboxItem"), &[OutboxItemNotFound],
        ),
        entry(
            post(), "/v1/files", "uploadFile", "Files", "Upload a file",
            "The body is the bytes of the file, and `Content-Type` is its type; it is checked against \
             the bytes. A file that no message refers to is kept for 24 hours.",
            &["Filename", "IdempotencyKey"], File, One(201, "File"),
            &[EmptyFile, FileTooLarge, InvalidParameterValue, UnsupportedMediaType, SandboxRequiresOwner],
        ),
        entry(
            get(), "/v1/files", "getFile", "Files", "Get the URL of a file",
            "Sends you to a URL that needs no key; it is signed, and expires.",
            &["FileId"], None, Redirect, &[FileNotFound],
        ),
        entry(
            get(), DOWNLOAD_PATH, "downloadFile", "Files", "Download a file",
            "Where `url` and `Location` lead. Such URLs are made by the server; do not make them up.",
            &["FileId", "Expires", "Signature", "Range", "IfRange", "IfNoneMatch"], None, Bytes,
            &[FileNotFound],
        ),
        entry(
            get(), "/v1/webhooks", "listWebhooks", "Webhooks", "List the webhooks of a line",
            "Without their secrets.",
            &["FromOrAll"], None, List("Webhook"), &[],
        ),
        entry(
            post(), "/v1/webhooks", "createWebhook", "Webhooks", "Create a webhook",
            "The secret is in this answer and never again.",
            &["IdempotencyKey"], Json("CreateWebhook"), One(201, "CreatedWebhook"), &[],
        ),
        entry(
            patch(), "/v1/webhooks", "updateWebhook", "Webhooks", "Change, disable or enable a webhook",
            "What is left out stays as it is. A webhook of which nothing but failures came for 5 days, or whose \
             endpoint answered 410, was disabled; the answer to enabling it says since when it has missed \
             events (`missed_since`), and `POST /v1/webhooks/replay` with that as `since` sends them.",
            &["IdempotencyKey"], Json("UpdateWebhook"), One(200, "UpdatedWebhook"), &[WebhookNotFound],
        ),
        entry(
            delete(), "/v1/webhooks", "deleteWebhook", "Webhooks", "Delete a webhook",
            "Deliveries to it that are still to be tried are given up.",
            &[], Json("DeleteWebhook"), One(200, "Deleted"), &[WebhookNotFound],
        ),
        entry(
            post(), "/v1/webhooks/test", "testWebhook", "Webhooks", "Try a webhook",
            "Sends an event of the first kind that it names, at once and once, signed like any other and with the \
             header `X-Webhook-Test: true`, and answers what came of it. The event did not happen, and nothing of \
             it is kept. A disabled webhook can be tried, too.",
            &["IdempotencyKey"], Json("WebhookId"), One(200, "WebhookTest"), &[WebhookNotFound],
        ),
        entry(
            post(), "/v1/webhooks/rotate", "rotateWebhookSecret", "Webhooks", "Give a webhook a new secret",
            "For 24 hours the secret before it is valid, too: `webhook-signature` then carries a signature of each. \
             `X-Webhook-Signature` has room for one: that of the secret which the endpoint accepted last, at \
             first the old one; after an answer that is no 2xx the next attempt of the delivery uses the other. Another \
             rotation ends the first at once.",
            &["IdempotencyKey"], Json("WebhookId"), One(200, "RotatedWebhook"), &[WebhookNotFound],
        ),
        entry(
            post(), "/v1/webhooks/replay", "createReplay", "Webhooks", "Send events again",
            "The events of a stretch of time that the webhook wants: those that it never had and those that were given \
             up, and with `include_delivered` the others, too. They go out in their order, beside what happens \
             meanwhile. A replay works on by itself.",
            &["IdempotencyKey"], Json("CreateReplay"), One(201, "Replay"), &[WebhookNotFound],
        ),
        entry(
            get(), "/v1/webhooks/replay", "getReplay", "Webhooks", "See how far a replay is",
            "When it is `done`, all its deliveries are due, or were; `GET /v1/deliveries` tells of each.",
            &["ReplayId"], None, One(200, "Replay"), &[ReplayNotFound],
        ),
        entry(
            get(), "/v1/deliveries", "listDeliveries", "Deliveries", "List deliveries, with every attempt",
            "Of the newest event first; those of events on lines that the key may use. A page looks at a bounded \
             number of them: where few of many fit, it may hold less than `limit`, even none, and `has_more` is \
             still true. Deliveries go when their event goes, after 7 days or more.",
            &["DeliveryId", "DeliveryWebhook", "DeliveryStatus", "DeliveryEvent", "DeliveryEventId",
              "DeliverySince", "DeliveryUntil", "Limit", "Cursor"],
            None, Page("Delivery"), &[],
        ),
        entry(
            post(), "/v1/deliveries/retry", "retryDelivery", "Deliveries", "Try a delivery again",
            "Now, under the same `delivery_id`. One that was delivered or given up begins the schedule of attempts anew; \
             one that is due has its next attempt now. Its webhook must be active.",
            &["IdempotencyKey"], Json("RetryDelivery"), One(200, "RetriedDelivery"), &[DeliveryNotFound],
        ),
        entry(
            get(), "/v1/events", "streamEvents", "Events", "Follow events as they happen",
            "Server-sent events: `event` is the event's name, `data` is what a webhook gets as \
             `data`, `id` is a place to go on from. A comment every 15 seconds keeps the connection \
             open. The last event of a stream that the server ends is `stream.closed`, with \
             `{\"reason\", \"last_event_id\"}`; the reason is `slow_reader` (nothing was taken for 30 \
             seconds), `key_revoked`, `key_expired`, `server_stopping` or `server_failed`. Events are kept for at least 7 days. The key needs the \
             read scope of each event that is asked for.",
            &["Event", "Since", "LastEventId", "EventLine"], None, Stream,
            &[InvalidParameterValue, InsufficientScope, LineNotFound, LineNotAccessible, SandboxRequiresOwner],
        ),
        entry(
            get(), "/v1/sandbox", "getSandbox", "Sandbox", "See the sandbox",
            "Text the activation code to the sandbox line to pair your phone with your account.",
            &[], None, One(200, "Sandbox"), &[SandboxRequiresOwner, LineNotFound],
        ),
        entry(
            post(), "/v1/sandbox", "ensureSandbox", "Sandbox", "Make sure the sandbox exists",
            "Makes an activation code if there is none. Doing it again changes nothing.",
            &["IdempotencyKey"], None, One(200, "Sandbox"), &[SandboxRequiresOwner, LineNotFound, InvalidParameterValue, InvalidJson, RequestTooLarge],
        ),
        entry(
            delete(), "/v1/sandbox", "resetSandbox", "Sandbox", "Reset the sandbox",
            "Ends the pairing and makes a new code. The chat is shown no longer, and what waits to be sent \
             to it fails.",
            &[], None, One(200, "Sandbox"), &[SandboxRequiresOwner, LineNotFound],
        ),
        entry(
            get(), Audience::Programs.path(), "getOpenApi", "Documentation", "Get this document",
            "OpenAPI 3.1.",
            &[], None, Document, &[],
        ),
    ]
}

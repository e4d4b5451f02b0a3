//! What `imsg rpc` says, in its own words (docs/rpc.md of openclaw/imsg): one JSON object a line.
//!
//! Unknown fields are passed over: newer versions add some. Integers come as integers, optional fields are left out.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use switchboard_model::{Timestamp, chat::Service};

/// A request that was answered with an error, or not at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum RpcError {
    /// imsg says no.
    #[error("imsg answered with error {code}")]
    Said {
        code: i64,
        /// An object for what became of a send, else a text. It may quote a message: it is never logged.
        data: Option<Value>,
    },
    /// The child died, or was stopped, after the request was written.
    #[error("imsg ended before it answered")]
    Gone,
    /// The request was not written: there is no child.
    #[error("imsg does not run")]
    NotRunning,
    /// No answer came in time.
    #[error("imsg did not answer in time")]
    Slow,
    /// The answer is no answer to this request.
    #[error("imsg answered what can't be read")]
    Unreadable,
}

/// What is certain of a request that would have sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    /// It certainly was not sent, and the same may be tried again.
    NotStarted,
    /// It certainly was not sent, and never will be: the request is wrong, or refused.
    Refused,
    /// It was not sent, because an earlier one is stuck; only a new child goes on.
    Poisoned,
    /// It was not taken on, for now.
    Busy,
    /// Its database can't be read: nothing was begun.
    NoDatabase,
    /// What it needs of the helper is not there: nothing was begun.
    NoHelper,
    /// macOS does not let imsg steer Messages: nothing was begun.
    NotAllowed,
    /// Nobody knows.
    Unknown,
    /// Nobody knows, and it may still go out: the child takes no other until it is begun anew.
    StillInFlight,
}

impl RpcError {
    /// What is certain. It goes by the data, not by the code alone: a transport that has proved that it
    /// never began says so there.
    pub(super) fn certainty(&self) -> Certainty {
        let (code, data) = match self {
            Self::NotRunning => return Certainty::NotStarted,
            Self::Gone | Self::Slow | Self::Unreadable => return Certainty::Unknown,
            Self::Said { code, data } => (*code, data.as_ref()),
        };
        let text = |name: &str| data.and_then(|data| data.get(name)).and_then(Value::as_str);
        let retry_safe = data.and_then(|data| data.get("retry_safe")).and_then(Value::as_bool);
        match (code, text("disposition")) {
            // The delivery object there is of the earlier one.
            (-32004, _) => Certainty::Poisoned,
            (_, Some("not_started")) => Certainty::NotStarted,
            (_, Some("still_in_flight")) => Certainty::StillInFlight,
            (_, Some(_)) => Certainty::Unknown,
            (-32001, None) => Certainty::Unknown,
            (-32700 | -32602 | -32601 | -32600, None) => Certainty::Refused,
            (-32000, None) => Certainty::Busy,
            (-32002, None) => Certainty::NoDatabase,
            (-32003, None) => Certainty::NoHelper,
            (_, None) if retry_safe == Some(true) => Certainty::NotStarted,
            (-32603, None) if data.and_then(Value::as_str).is_some_and(is_not_allowed) => {
                Certainty::NotAllowed
            }
            (_, None) => Certainty::Unknown,
        }
    }
}

/// Whether AppleScript's first word to Messages was refused, by Apple's number for that: then nothing follows it.
fn is_not_allowed(text: &str) -> bool {
    text.contains("(-1743)")
}

/// `status` and `initialize`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) database: DatabaseStatus,
    #[serde(default)]
    pub(super) bridge: HelperStatus,
    /// Usable at this instant.
    #[serde(default)]
    pub(super) methods: Vec<String>,
    #[serde(default)]
    pub(super) capabilities: EngineCapabilities,
}

impl Status {
    pub(super) fn has(&self, method: &str) -> bool {
        self.methods.iter().any(|one| one == method)
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct DatabaseStatus {
    #[serde(default)]
    pub(super) ready: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct HelperStatus {
    #[serde(default)]
    pub(super) ready: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct EngineCapabilities {
    #[serde(default)]
    pub(super) features: std::collections::HashMap<String, Value>,
}

/// `messages.after`.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(deserialize_with = "readable")]
    pub(super) messages: Vec<Row>,
    pub(super) next_rowid: i64,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// `chats.list`.
#[derive(Debug, Deserialize)]
pub(super) struct Chats {
    #[serde(deserialize_with = "readable")]
    pub(super) chats: Vec<Chat>,
}

/// One chat.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Chat {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) identifier: String,
    #[serde(default)]
    pub(super) guid: String,
    #[serde(default)]
    pub(super) service: String,
    #[serde(default)]
    pub(super) is_group: bool,
    #[serde(default)]
    pub(super) participants: Vec<String>,
    /// Which of our own addresses it uses.
    #[serde(default)]
    pub(super) last_addressed_handle: Option<String>,
    #[serde(default)]
    pub(super) account_login: Option<String>,
}

/// One row of Messages: a message, a reaction, or something that is neither.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) guid: String,
    /// 0 while it stands in no chat yet.
    #[serde(default)]
    pub(super) chat_id: i64,
    #[serde(default)]
    pub(super) chat_identifier: String,
    #[serde(default)]
    pub(super) chat_guid: String,
    #[serde(default)]
    pub(super) chat_name: String,
    #[serde(default)]
    pub(super) participants: Vec<String>,
    #[serde(default)]
    pub(super) is_group: bool,
    #[serde(default)]
    pub(super) sender: String,
    #[serde(default)]
    pub(super) is_from_me: bool,
    #[serde(default)]
    pub(super) text: String,
    #[serde(deserialize_with = "iso8601")]
    pub(super) created_at: Timestamp,
    #[serde(default)]
    pub(super) attachments: Vec<Attachment>,
    /// The message that it really answers. `reply_to_guid` stands on ordinary messages too.
    #[serde(default)]
    pub(super) thread_originator_guid: Option<String>,
    #[serde(default)]
    pub(super) destination_caller_id: Option<String>,
    #[serde(default)]
    pub(super) balloon_bundle_id: Option<String>,
    #[serde(default)]
    pub(super) poll: Option<Value>,
    #[serde(default)]
    pub(super) is_reaction: bool,
    #[serde(default)]
    pub(super) reaction_type: Option<String>,
    #[serde(default)]
    pub(super) reaction_emoji: Option<String>,
    #[serde(default)]
    pub(super) is_reaction_add: Option<bool>,
    #[serde(default)]
    pub(super) reacted_to_guid: Option<String>,
}

/// A file of a message.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Attachment {
    #[serde(default)]
    pub(super) transfer_name: Option<String>,
    #[serde(default)]
    pub(super) uti: Option<String>,
    #[serde(default)]
    pub(super) mime_type: Option<String>,
    #[serde(default)]
    pub(super) original_path: Option<String>,
    #[serde(default)]
    pub(super) missing: bool,
}

/// What a send answers.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Sent {
    #[serde(default)]
    pub(super) ok: bool,
    #[serde(default)]
    pub(super) guid: Option<String>,
    #[serde(default)]
    pub(super) message_id: Option<String>,
    #[serde(default)]
    pub(super) service: Option<String>,
}

impl Sent {
    pub(super) fn guid(&self) -> Option<&str> {
        self.guid.as_deref().or(self.message_id.as_deref()).filter(|guid| !guid.is_empty())
    }
}

/// `message.send_status`.
#[derive(Debug, Deserialize)]
pub(super) struct SendStatus {
    pub(super) send_state: String,
    #[serde(default)]
    pub(super) service: Option<String>,
    #[serde(default, deserialize_with = "optional_iso8601")]
    pub(super) delivered_at: Option<Timestamp>,
    /// None: the database has no such message.
    #[serde(default)]
    pub(super) status_fields: Option<StatusFields>,
}

#[derive(Debug, Deserialize)]
pub(super) struct StatusFields {
    #[serde(default)]
    pub(super) error: i64,
    #[serde(default, deserialize_with = "optional_iso8601")]
    pub(super) date_read: Option<Timestamp>,
}

/// Those that can be read: an odd one must not stop all others.
fn readable<'de, T: serde::de::DeserializeOwned, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let all = Vec::<Box<RawValue>>::deserialize(deserializer)?;
    let count = all.len();
    let readable: Vec<T> =
        all.iter().filter_map(|one| serde_json::from_str(one.get()).ok()).collect();
    if readable.len() < count {
        tracing::warn!(
            count = count - readable.len(),
            "rows of Messages can't be read; they are passed over"
        );
    }
    Ok(readable)
}

/// What a message ran over, by the name that Messages gives it.
pub(super) fn service(name: Option<&str>) -> Service {
    match name {
        Some("SMS" | "RCS") => Service::Sms,
        _ => Service::IMessage,
    }
}

fn iso8601<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    parse_time(&text).ok_or_else(|| serde::de::Error::custom("not a time"))
}

fn optional_iso8601<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| parse_time(&text)))
}

/// `2026-11-02T08:59:58.412Z`, or with an offset.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    let at = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(Timestamp(at.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: i64, data: Option<Value>) -> Certainty {
        RpcError::Said { code, data }.certainty()
    }

    #[test]
    fn what_is_certain_goes_by_the_data() {
        use serde_json::json;
        let delivery = |disposition: &str, retry_safe: bool| {
            Some(json!({"disposition": disposition, "retry_safe": retry_safe, "transport": "x"}))
        };
        assert_eq!(said(-32603, delivery("not_started", true)), Certainty::NotStarted);
        assert_eq!(said(-32001, delivery("may_have_completed", false)), Certainty::Unknown);
        assert_eq!(said(-32001, delivery("still_in_flight", false)), Certainty::StillInFlight);
        assert_eq!(said(-32004, delivery("still_in_flight", false)), Certainty::Poisoned);
        assert_eq!(said(-32603, Some(json!("helper said no"))), Certainty::Unknown);
        assert_eq!(said(-32603, None), Certainty::Unknown);
        let denied = "Not authorized to send Apple events to Messages. (-1743)";
        assert_eq!(said(-32603, Some(json!(denied))), Certainty::NotAllowed);
        assert_eq!(said(-32001, None), Certainty::Unknown);
        assert_eq!(said(-32602, Some(json!("unknown key"))), Certainty::Refused);
        assert_eq!(said(-32002, Some(json!({"retryable": true}))), Certainty::NoDatabase);
        assert_eq!(said(-32003, Some(json!({"retryable": true}))), Certainty::NoHelper);
        assert_eq!(said(-32000, Some(json!("Server busy"))), Certainty::Busy);
        assert_eq!(said(-1, delivery("something_new", false)), Certainty::Unknown);
        assert_eq!(RpcError::NotRunning.certainty(), Certainty::NotStarted);
        assert_eq!(RpcError::Gone.certainty(), Certainty::Unknown);
    }

    #[test]
    fn times_are_read_with_and_without_an_offset() {
        assert_eq!(parse_time("2026-11-02T08:59:58.412Z"), Some(Timestamp(1_793_609_998_412)));
        assert_eq!(parse_time("2026-11-02T09:59:58.412+01:00"), Some(Timestamp(1_793_609_998_412)));
        assert_eq!(parse_time("yesterday"), None);
    }
}

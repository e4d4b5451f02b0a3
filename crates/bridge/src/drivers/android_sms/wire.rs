//! What the app answers, as far as it is used. Null fields are left out by it.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer};
use switchboard_model::Timestamp;

#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default)]
    pub(super) message: String,
}

/// `GET /device`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Device {
    pub(super) id: String,
    /// When the app was installed.
    #[serde(default)]
    pub(super) created_at: String,
    #[serde(default)]
    pub(super) sim_cards: Vec<SimCard>,
}

impl Device {
    /// What tells this phone and this life of its app from others.
    pub(super) fn identity(&self) -> String {
        format!("{}@{}", self.id, parse_time(&self.created_at).map_or(0, |at| at.0))
    }
}

/// A SIM card.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SimCard {
    /// From 1 on.
    pub(super) sim_number: u32,
    /// Carriers often don't write it on the card.
    #[serde(default)]
    pub(super) phone_number: Option<String>,
}

/// `GET /messages/{id}`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct MessageState {
    #[serde(default)]
    pub(super) id: String,
    pub(super) state: State,
    #[serde(default)]
    recipients: Vec<Recipient>,
    #[serde(default)]
    states: HashMap<State, String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Recipient {
    #[serde(default)]
    error: Option<String>,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub(super) enum State {
    /// It waits in the app.
    Pending,
    /// Android has it.
    Processed,
    /// The network has it.
    Sent,
    /// The contact has it.
    Delivered,
    /// For good.
    Failed,
    /// It is being taken back.
    Cancelling,
    /// It was taken back.
    Cancelled,
    /// Something newer.
    #[serde(other)]
    Other,
}

impl MessageState {
    /// When a state was first reached.
    pub(super) fn reached(&self, state: State) -> Option<Timestamp> {
        parse_time(self.states.get(&state)?)
    }

    /// Why it failed.
    pub(super) fn error(&self) -> Option<&str> {
        let error = self.recipients.iter().find_map(|one| one.error.as_deref());
        error.filter(|error| !error.is_empty())
    }
}

/// An entry of `GET /inbox`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InboxItem {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) sender: String,
    /// From 1 on.
    #[serde(default)]
    pub(super) sim_number: Option<u32>,
    /// Of a text all of it, whatever the name says.
    #[serde(default)]
    pub(super) content_preview: String,
    /// The network's stamp, which may lie days before the arrival.
    #[serde(deserialize_with = "iso8601")]
    pub(super) created_at: Timestamp,
    #[serde(default)]
    pub(super) attachments: Vec<Part>,
}

/// What came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub(super) enum Kind {
    #[serde(rename = "SMS")]
    Text,
    /// That there is one; what is in it follows.
    #[serde(rename = "MMS")]
    MmsNotice,
    #[serde(rename = "MMS_DOWNLOADED")]
    Mms,
    /// Not for people, such as data for a program, or something newer.
    #[serde(other)]
    Other,
}

/// A file of an MMS.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    pub(super) part_id: serde_json::Value,
    #[serde(default)]
    pub(super) content_type: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
}

fn iso8601<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    parse_time(&text).ok_or_else(|| serde::de::Error::custom("not a time"))
}

/// `2026-03-01T09:15:02.000+01:00`.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    let at = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(Timestamp(at.timestamp_millis()))
}

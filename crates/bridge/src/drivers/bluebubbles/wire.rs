//! What a BlueBubbles server tells of messages and chats, as far as it is read here.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use switchboard_model::{Handle, Timestamp, chat::Service};
use tracing::warn;

/// A row of Messages' table of messages. It has no `Debug`: its text stays out of logs.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    #[serde(rename = "originalROWID")]
    pub(super) row: i64,
    pub(super) guid: String,
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) handle: Option<RowHandle>,
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) attachments: Vec<RowFile>,
    #[serde(default)]
    pub(super) error: Option<i64>,
    #[serde(default)]
    date_created: Option<i64>,
    #[serde(default)]
    date_read: Option<i64>,
    #[serde(default)]
    date_delivered: Option<i64>,
    #[serde(default)]
    date_edited: Option<i64>,
    #[serde(default)]
    date_retracted: Option<i64>,
    #[serde(default)]
    pub(super) is_delivered: Option<bool>,
    #[serde(default)]
    is_from_me: Option<bool>,
    #[serde(default)]
    item_type: Option<i64>,
    #[serde(default)]
    pub(super) group_action_type: Option<i64>,
    #[serde(default)]
    part_count: Option<i64>,
    #[serde(default)]
    pub(super) balloon_bundle_id: Option<String>,
    #[serde(default)]
    pub(super) associated_message_guid: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    pub(super) associated_message_type: Option<String>,
    #[serde(default)]
    pub(super) thread_originator_guid: Option<String>,
    #[serde(default)]
    pub(super) is_audio_message: Option<bool>,
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) chats: Vec<Chat>,
}

/// Who wrote, or to whom an own message went.
#[derive(Clone, Deserialize)]
pub(super) struct RowHandle {
    #[serde(default)]
    pub(super) address: String,
    #[serde(default)]
    pub(super) service: Option<String>,
}

/// A file of a message.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RowFile {
    pub(super) guid: String,
    #[serde(default)]
    pub(super) mime_type: Option<String>,
    #[serde(default)]
    pub(super) transfer_name: Option<String>,
    #[serde(default)]
    total_bytes: Option<i64>,
    #[serde(default)]
    transfer_state: Option<i64>,
    #[serde(default)]
    hide_attachment: Option<bool>,
}

/// A chat.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chat {
    pub(super) guid: String,
    #[serde(default)]
    pub(super) style: Option<i64>,
    #[serde(default)]
    pub(super) chat_identifier: Option<String>,
    #[serde(default)]
    pub(super) display_name: Option<String>,
    #[serde(default)]
    pub(super) is_filtered: Option<bool>,
    #[serde(default)]
    pub(super) group_id: Option<String>,
    #[serde(default)]
    pub(super) last_addressed_handle: Option<String>,
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) participants: Vec<RowHandle>,
    #[serde(default)]
    pub(super) last_message: Option<LastMessage>,
    /// Of a chat that was just made: its first message.
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) messages: Vec<Value>,
}

/// The newest message of a chat.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LastMessage {
    #[serde(default)]
    pub(super) date_created: Option<i64>,
}

/// The rows of an answer. One that can't be understood is passed over: it must not hold up all others.
pub(super) fn rows(values: Vec<Value>) -> Vec<Row> {
    let all = values.len();
    let rows: Vec<Row> =
        values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect();
    if rows.len() < all {
        warn!(
            count = all - rows.len(),
            "rows of Messages can't be understood; they are passed over"
        );
    }
    rows
}

impl Row {
    pub(super) fn is_own(&self) -> bool {
        self.is_from_me == Some(true)
    }

    pub(super) fn item_type(&self) -> i64 {
        self.item_type.unwrap_or(0)
    }

    /// When it was written.
    pub(super) fn created(&self) -> Timestamp {
        Timestamp(self.date_created.unwrap_or(0))
    }

    pub(super) fn delivered(&self) -> Option<Timestamp> {
        instant(self.date_delivered)
    }

    pub(super) fn read(&self) -> Option<Timestamp> {
        instant(self.date_read)
    }

    /// When it was edited; none of one that was taken back.
    pub(super) fn edited(&self) -> Option<Timestamp> {
        instant(self.date_edited).filter(|_| self.unsent().is_none())
    }

    /// When it was taken back. Newer systems have no date of that: they leave a message that was edited to nothing.
    pub(super) fn unsent(&self) -> Option<Timestamp> {
        let left = || self.part_count == Some(0) && self.text.is_none();
        instant(self.date_retracted).or_else(|| instant(self.date_edited).filter(|_| left()))
    }

    /// The error that Messages has noted.
    pub(super) fn failure(&self) -> Option<i64> {
        self.error.filter(|error| *error != 0)
    }

    /// A text, if it says anything.
    pub(super) fn words(&self) -> Option<String> {
        self.text.clone().filter(|text| !text.trim().is_empty())
    }

    /// The files that people see.
    pub(super) fn files(&self) -> impl Iterator<Item = &RowFile> {
        self.attachments.iter().filter(|file| file.is_shown())
    }
}

impl RowFile {
    fn is_shown(&self) -> bool {
        let plugin = |name: &str| name.ends_with(".pluginPayloadAttachment");
        self.hide_attachment != Some(true) && !self.transfer_name.as_deref().is_some_and(plugin)
    }

    /// Whether its bytes are there.
    pub(super) fn is_there(&self) -> bool {
        self.transfer_state.unwrap_or(5) == 5 && self.total_bytes.unwrap_or(0) > 0
    }

    /// Whether its bytes may still come.
    pub(super) fn may_come(&self) -> bool {
        !self.is_there() && self.transfer_state != Some(6)
    }
}

impl Chat {
    /// Whether it is a group. None if what is said of it does not fit together: then nothing may go there, and
    /// nothing of it is told.
    pub(super) fn is_group(&self) -> Option<bool> {
        match (self.style, self.guid.contains(";-;"), self.guid.contains(";+;")) {
            (Some(43), false, true) => Some(true),
            (Some(45), true, false) => Some(false),
            _ => None,
        }
    }

    /// Whether it is a twin that the spam filter keeps, with a handle that names nobody.
    pub(super) fn is_masked(&self) -> bool {
        self.guid.contains('*')
            || self.chat_identifier.as_deref().is_some_and(|id| id.contains('*'))
    }

    /// The other party of a chat with one.
    pub(super) fn contact(&self) -> Option<Handle> {
        let named = self.chat_identifier.as_deref().filter(|name| !name.trim().is_empty());
        named.or_else(|| self.guid.split_once(";-;").map(|(_, rest)| rest)).map(Handle::received)
    }

    /// What messages in it run over, as far as its name says.
    pub(super) fn service(&self) -> Option<Service> {
        service(self.guid.split_once(';')?.0)
    }

    /// All that names the group.
    pub(super) fn aliases(&self) -> Vec<String> {
        [Some(&self.guid), self.chat_identifier.as_ref(), self.group_id.as_ref()]
            .into_iter()
            .flatten()
            .filter(|name| !name.trim().is_empty())
            .cloned()
            .collect()
    }

    pub(super) fn name(&self) -> Option<String> {
        self.display_name.clone().filter(|name| !name.trim().is_empty())
    }

    pub(super) fn people(&self) -> Vec<Handle> {
        let known = self.participants.iter().filter(|one| !one.address.trim().is_empty());
        known.map(|one| Handle::received(&one.address)).collect()
    }
}

/// What a message runs over: its chat's name says it, or the handle does.
pub(super) fn service_of(row: &Row, chat: &Chat) -> Service {
    let of_handle = || row.handle.as_ref().and_then(|handle| service(handle.service.as_deref()?));
    chat.service().or_else(of_handle).unwrap_or_default()
}

fn service(name: &str) -> Option<Service> {
    match name {
        "iMessage" => Some(Service::IMessage),
        "SMS" | "RCS" => Some(Service::Sms),
        _ => None,
    }
}

fn instant(millis: Option<i64>) -> Option<Timestamp> {
    millis.filter(|millis| *millis > 0).map(Timestamp)
}

fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

fn text_or_number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(d)? {
        Value::String(text) => Some(text),
        Value::Number(number) if number.as_i64() != Some(0) => Some(number.to_string()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(guid: &str, style: i64) -> Chat {
        serde_json::from_value(serde_json::json!({ "guid": guid, "style": style })).unwrap()
    }

    #[test]
    fn what_is_neither_a_group_nor_a_chat_with_one_is_nothing() {
        assert_eq!(chat("any;-;+15550100001", 45).is_group(), Some(false));
        assert_eq!(chat("iMessage;+;chat83", 43).is_group(), Some(true));
        assert_eq!(chat("any;+;chat83", 45).is_group(), None);
        assert_eq!(chat("any;-;+15550100001", 43).is_group(), None);
        assert_eq!(chat("chat83", 43).is_group(), None);
    }

    #[test]
    fn an_unsent_message_is_no_edited_one() {
        let row = |text: Option<&str>, parts: i64, edited: i64| -> Row {
            serde_json::from_value(serde_json::json!({
                "originalROWID": 1, "guid": "g", "text": text, "partCount": parts, "dateEdited": edited,
                "attachments": null, "associatedMessageType": 0, "chats": null,
            }))
            .unwrap()
        };
        let unsent = row(None, 0, 7);
        assert_eq!((unsent.unsent(), unsent.edited()), (Some(Timestamp(7)), None));
        let partly = row(Some("rest"), 1, 7);
        assert_eq!((partly.unsent(), partly.edited()), (None, Some(Timestamp(7))));
        assert_eq!(row(None, 1, 0).unsent(), None);
    }

    #[test]
    fn rows_that_can_not_be_understood_hold_nothing_up() {
        let values = vec![
            serde_json::json!({ "guid": "no row" }),
            serde_json::json!({ "originalROWID": 2, "guid": "g" }),
            Value::Null,
        ];
        assert_eq!(rows(values).iter().map(|row| row.row).collect::<Vec<_>>(), [2]);
    }
}

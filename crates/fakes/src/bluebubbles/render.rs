//! How rows look in answers and webhooks: `MessageSerializer.ts`, `ChatSerializer.ts`, `AttachmentSerializer.ts`.

use serde_json::{Map, Value, json};

use super::{
    database::{Attachment, Chat, Database, Message},
    settings::Mac,
};
use crate::stamp::unix_ms;

/// Which parts of a message are shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Form {
    /// As webhooks have it: fewer fields.
    pub(super) notification: bool,
    pub(super) chats: bool,
    /// The key `chats` is there even if it was not asked for.
    pub(super) chats_key: bool,
    pub(super) participants: bool,
    pub(super) attachments: bool,
    pub(super) attributed_body: bool,
    pub(super) summary: bool,
}

impl Form {
    /// What an answer to a send shows. Attachments are not loaded there.
    pub(super) const SENT: Self = Self {
        notification: false,
        chats: true,
        chats_key: true,
        participants: false,
        attachments: false,
        attributed_body: true,
        summary: true,
    };
    /// What `new-message` shows.
    pub(super) const NEW: Self = Self {
        notification: true,
        chats: true,
        chats_key: true,
        participants: false,
        attachments: true,
        attributed_body: false,
        summary: false,
    };
    /// What `updated-message` shows: no chats (`handleUpdatedMessage` leaves them out).
    pub(super) const UPDATED: Self = Self { chats: false, chats_key: false, ..Self::NEW };
}

pub(super) fn message(db: &Database, mac: &Mac, row: &Message, form: Form) -> Value {
    let handle = handle(db, row.handle);
    let attachments: Vec<Value> = row
        .attachments
        .iter()
        .filter(|_| form.attachments)
        .filter_map(|rowid| Some(attachment(db.attachments.get(rowid)?, form.notification)))
        .collect();
    let mut shown = json!({
        "originalROWID": row.rowid,
        "guid": row.guid,
        "text": row.shown_text(),
        "attributedBody": if form.attributed_body { attributed_body(db, row) } else { Value::Null },
        "handle": handle,
        "handleId": row.handle,
        "otherHandle": row.other_handle,
        "attachments": attachments,
        "subject": row.subject,
        "error": row.error,
        "dateCreated": unix_ms(row.date),
        "dateRead": unix_ms(row.date_read),
        "dateDelivered": unix_ms(row.date_delivered),
        "isDelivered": row.is_delivered,
        "isFromMe": row.is_from_me,
        "hasDdResults": false,
        "isArchived": false,
        "itemType": row.item_type,
        "groupTitle": row.group_title,
        "groupActionType": row.group_action,
        "balloonBundleId": row.balloon,
        "associatedMessageGuid": row.associated_guid,
        "associatedMessageType": association(row.associated_type),
        "expressiveSendStyleId": row.effect,
        "threadOriginatorGuid": row.thread_guid,
        "hasPayloadData": row.balloon.is_some(),
        "messageSummaryInfo": if form.summary { summary(row) } else { Value::Null },
        "payloadData": null,
    });
    if mac.major() >= 13 {
        shown["dateEdited"] = json!(unix_ms(row.date_edited));
        shown["dateRetracted"] = json!(unix_ms(row.date_retracted));
        shown["partCount"] = json!(row.part_count);
    }
    if !form.notification {
        let more = json!({
            "country": null, "isDelayed": false, "isAutoReply": false, "isSystemMessage": false,
            "isServiceMessage": false, "isForward": false, "threadOriginatorPart": row.thread_part,
            "isCorrupt": false, "datePlayed": null,
            "cacheRoomnames": db.chats.get(&row.chat).filter(|chat| chat.is_group).map(|chat| &chat.identifier),
            "isSpam": false, "isExpired": false, "timeExpressiveSendPlayed": null,
            "isAudioMessage": row.is_audio, "replyToGuid": null, "shareStatus": 0, "shareDirection": 0,
        });
        extend(&mut shown, more);
        if mac.major() >= 12 {
            shown["wasDeliveredQuietly"] = json!(false);
            shown["didNotifyRecipient"] = json!(row.did_notify);
        }
    }
    if form.chats_key {
        let chats: Vec<Value> = db
            .chats
            .get(&row.chat)
            .filter(|_| form.chats && row.joined)
            .map(|chat| {
                if form.notification {
                    brief_chat(db, chat, form.participants)
                } else {
                    self::chat(db, chat, form.participants)
                }
            })
            .into_iter()
            .collect();
        shown["chats"] = json!(chats);
    }
    shown
}

fn extend(shown: &mut Value, more: Value) {
    if let (Value::Object(shown), Value::Object(more)) = (shown, more) {
        shown.extend(more);
    }
}

pub(super) fn handle(db: &Database, rowid: i64) -> Value {
    db.handles.get(&rowid).map_or(Value::Null, |handle| {
        json!({
            "originalROWID": handle.rowid, "address": handle.address, "service": handle.service,
            "uncanonicalizedId": null, "country": "us",
        })
    })
}

/// `MessageTypeTransformer`: names for the six and for stickers, digits for the rest.
fn association(kind: Option<i64>) -> Value {
    const NAMES: [&str; 6] = ["love", "like", "dislike", "laugh", "emphasize", "question"];
    match kind {
        None | Some(0) => Value::Null,
        Some(1000) => json!("sticker"),
        Some(kind @ 2000..=2005) => json!(NAMES[usize::try_from(kind - 2000).unwrap_or(0)]),
        Some(kind @ 3000..=3005) => {
            json!(format!("-{}", NAMES[usize::try_from(kind - 3000).unwrap_or(0)]))
        }
        Some(kind) => json!(kind.to_string()),
    }
}

fn attributed_body(db: &Database, row: &Message) -> Value {
    let Some(text) = &row.text else { return Value::Null };
    let mut runs = Vec::new();
    let (mut start, mut part) = (0, 0);
    let mut files = row.attachments.iter().filter_map(|rowid| db.attachments.get(rowid));
    // A run for each file's sign, and one for each stretch of text between them.
    let mut stretch = 0;
    let mut run = |start: usize, length: usize, file: Option<&Attachment>| {
        if length == 0 {
            return;
        }
        let mut attributes = Map::new();
        attributes.insert("__kIMMessagePartAttributeName".to_owned(), json!(part));
        if let Some(file) = file {
            attributes.insert("__kIMFileTransferGUIDAttributeName".to_owned(), json!(file.guid));
        }
        runs.push(json!({ "range": [start, length], "attributes": attributes }));
        part += 1;
    };
    for letter in text.chars() {
        if letter == '\u{FFFC}' {
            run(start, stretch, None);
            start += stretch;
            stretch = 0;
            run(start, 1, files.next());
            start += 1;
        } else {
            stretch += letter.len_utf16();
        }
    }
    run(start, stretch, None);
    json!([{ "string": text, "runs": runs }])
}

fn summary(row: &Message) -> Value {
    if row.former.is_empty() && row.retracted_parts.is_empty() {
        return Value::Null;
    }
    let mut info = json!({ "retractedParts": row.retracted_parts });
    if !row.former.is_empty() {
        let mut texts = row.former.clone();
        if let Some(text) = &row.text {
            texts.push((row.date_edited, text.clone()));
        }
        let contents: Vec<Value> = texts
            .iter()
            .map(|(date, text)| json!({ "date": date / 1_000_000_000, "text": { "values": [{ "string": text }] } }))
            .collect();
        info["editedParts"] = json!([0]);
        info["editedContent"] = json!({ "0": contents });
    }
    json!([info])
}

pub(super) fn attachment(row: &Attachment, notification: bool) -> Value {
    let mut shown = json!({
        "originalROWID": row.rowid, "guid": row.guid, "uti": row.uti, "mimeType": row.mime_type,
        "transferName": row.name, "totalBytes": if row.transfer_state == 5 { row.bytes.len() } else { 0 },
        "height": null, "width": null, "metadata": null,
    });
    if !notification {
        let more = json!({
            "transferState": row.transfer_state, "isOutgoing": row.is_outgoing, "hideAttachment": false,
            "isSticker": false, "originalGuid": row.guid, "hasLivePhoto": false,
        });
        extend(&mut shown, more);
    }
    shown
}

/// The chat as webhooks have it.
fn brief_chat(db: &Database, chat: &Chat, participants: bool) -> Value {
    let mut shown = json!({
        "originalROWID": chat.rowid,
        "guid": chat.guid,
        "style": style(chat),
        "chatIdentifier": chat.identifier,
        "isArchived": chat.is_archived,
        "displayName": chat.display_name,
    });
    if participants {
        shown["participants"] = people(db, chat);
    }
    shown
}

fn style(chat: &Chat) -> i64 {
    if chat.is_group { 43 } else { 45 }
}

fn people(db: &Database, chat: &Chat) -> Value {
    chat.participants.iter().map(|rowid| handle(db, *rowid)).collect()
}

pub(super) fn chat(db: &Database, chat: &Chat, participants: bool) -> Value {
    let mut shown = brief_chat(db, chat, participants);
    let more = json!({
        "isFiltered": chat.is_filtered, "groupId": chat.group_id, "properties": null,
        "lastAddressedHandle": chat.last_addressed,
    });
    extend(&mut shown, more);
    shown
}

//! The objects of imsg's answers: messages, chats, send states (json.md).

use serde_json::{Map, Value, json};

use super::{
    chat::Chat,
    row::{File, Row},
    state::State,
    time::{self, iso},
};

/// What a caller wants to see of messages.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shape {
    /// Fill `attachments`.
    pub files: bool,
    /// Fill `reactions`.
    pub reactions: bool,
}

/// A message (json.md, "Message"). What is optional is absent, never null.
pub(crate) fn message(state: &State, row: &Row, shape: Shape, own: &str) -> Value {
    let chat = row.chat.and_then(|id| state.db.chats.get(&id));
    let files = row.files.iter().filter(|_| shape.files).map(attachment).collect::<Vec<_>>();
    let reactions = if shape.reactions { reactions(state, &row.guid) } else { Vec::new() };
    let mut object = json!({
        "id": row.rowid,
        "guid": row.guid,
        "chat_id": chat.map_or(0, |chat| chat.id),
        "chat_identifier": chat.map_or("", |chat| &chat.identifier),
        "chat_guid": chat.map_or("", |chat| &chat.guid),
        "chat_name": chat.map_or("", |chat| &chat.name),
        "participants": chat.map_or(&[][..], |chat| &chat.participants),
        "is_group": chat.is_some_and(Chat::looks_like_group),
        "sender": row.sender,
        "is_from_me": row.is_from_me,
        "text": row.text,
        "created_at": iso(row.created_at),
        "attachments": files,
        "reactions": reactions,
    });
    let fields = object.as_object_mut().expect("written as an object");
    let mut set = |name: &str, value: Option<Value>| {
        value.and_then(|value| fields.insert(name.to_owned(), value));
    };
    let own = row.own.as_deref().unwrap_or(own);
    set("destination_caller_id", Some(own.into()));
    set("reply_to_guid", row.previous.clone().map(Value::from));
    set("balloon_bundle_id", row.balloon.clone().map(Value::from));
    set("is_read", (!row.is_from_me).then_some(row.is_read.into()));
    set("date_read", row.read_at.filter(|_| !row.is_from_me).map(|at| iso(at).into()));
    if let Some(guid) = &row.thread {
        let parent = state.db.row(guid);
        let length = parent.map_or(0, |parent| parent.text.encode_utf16().count());
        set("thread_originator_guid", Some(guid.clone().into()));
        set("thread_originator_part", Some(format!("0:0:{length}").into()));
        set("reply_to_text", parent.map(|parent| parent.text.clone().into()));
        set(
            "reply_to_sender",
            parent.map(|parent| if parent.is_from_me { own } else { &parent.sender }.into()),
        );
    }
    if let Some(tapback) = &row.tapback {
        set("is_reaction", Some(true.into()));
        // An emoji that imsg could not find: neither of both is there.
        let known = |text: &str| (!text.is_empty()).then(|| text.into());
        set("reaction_type", known(&tapback.kind));
        set("reaction_emoji", known(&tapback.emoji));
        set("is_reaction_add", Some(tapback.add.into()));
        set("reacted_to_guid", Some(tapback.target.clone().into()));
    }
    set(
        "url_preview",
        state.db.preview(&row.guid).map(|preview| {
            json!({
                "id": preview.rowid,
                "guid": preview.guid,
                "balloon_bundle_id": preview.balloon,
                "created_at": iso(preview.created_at),
            })
        }),
    );
    object
}

/// The reactions on a message as they are now.
fn reactions(state: &State, guid: &str) -> Vec<Value> {
    let mut now: Vec<&Row> = Vec::new();
    for row in state.db.taps(guid) {
        let Some(tapback) = &row.tapback else { continue };
        now.retain(|other| (other.is_from_me, &other.sender) != (row.is_from_me, &row.sender));
        if tapback.add {
            now.push(row);
        }
    }
    let object = |row: &&Row| {
        let tapback = row.tapback.as_ref()?;
        Some(json!({
            "id": row.rowid,
            "type": tapback.kind,
            "emoji": tapback.emoji,
            "sender": row.sender,
            "is_from_me": row.is_from_me,
            "created_at": iso(row.created_at),
        }))
    };
    now.iter().filter_map(object).collect()
}

/// A file of a message (attachments.md). `missing` is looked up now.
fn attachment(file: &File) -> Value {
    let path = file.path.to_string_lossy();
    let home = path.find("/Attachments/").map_or(&*path, |at| &path[at..]);
    json!({
        "filename": format!("~/Library/Messages{home}"),
        "transfer_name": file.name,
        "uti": file.uti,
        "mime_type": file.mime,
        "total_bytes": file.total_bytes,
        "is_sticker": false,
        "original_path": path,
        "missing": !file.path.exists(),
    })
}

/// A chat, in a list or by itself (json.md, "Chat list item").
pub(crate) fn chat(state: &State, chat: &Chat, own: &str, listed: bool) -> Value {
    let mut object = json!({
        "id": chat.id,
        "name": if chat.name.is_empty() { &chat.identifier } else { &chat.name },
        "identifier": chat.identifier,
        "guid": chat.guid,
        "service": chat.service,
        "is_group": chat.looks_like_group(),
        "participants": chat.participants,
        "account_id": "5A0C6E0C-7E0B-4F41-9C1B-2F4BFAKE0001",
        "account_login": format!("P:{own}"),
        "last_addressed_handle": chat.own.as_deref().unwrap_or(own),
    });
    let fields = object.as_object_mut().expect("written as an object");
    if listed {
        let last = state.db.newest(chat.id).map(|row| row.created_at).unwrap_or_default();
        let unread = |row: &&Row| row.chat == Some(chat.id) && !row.is_from_me && !row.is_read;
        fields.insert("last_message_at".to_owned(), iso(last).into());
        fields.insert(
            "unread_count".to_owned(),
            state.db.rows.values().filter(unread).count().into(),
        );
        if !chat.name.is_empty() {
            fields.insert("display_name".to_owned(), chat.name.clone().into());
        }
    }
    object
}

/// The answer of `message.send_status` (rpc.md).
pub(crate) fn send_status(row: Option<&Row>, guid: &str) -> Value {
    let now = time::now();
    let mut answer = Map::new();
    answer.insert("ok".to_owned(), true.into());
    answer.insert("checked_at".to_owned(), iso(now).into());
    let Some(row) = row else {
        answer.insert("guid".to_owned(), guid.into());
        answer.insert("send_state".to_owned(), "pending".into());
        answer.insert("service".to_owned(), Value::Null);
        answer.insert("status_fields".to_owned(), Value::Null);
        return answer.into();
    };
    let past = |at: Option<_>| at.filter(|at| *at <= now);
    let (sent, read) = (past(row.sending.sent_at), past(row.sending.read_at));
    let delivered = past(row.sending.delivered_at);
    let error = past(row.sending.error_at).map_or(0, |_| row.sending.error);
    let state = match (error, delivered, sent) {
        (1.., ..) | (..=-1, ..) => "failed",
        (0, Some(_), _) => "delivered",
        (0, None, Some(_)) => "sent",
        (0, None, None) => "pending",
    };
    answer.insert("guid".to_owned(), row.guid.clone().into());
    answer.insert("send_state".to_owned(), state.into());
    answer.insert("service".to_owned(), row.service.clone().into());
    if let Some(at) = delivered {
        answer.insert("delivered_at".to_owned(), iso(at).into());
    }
    answer.insert(
        "status_fields".to_owned(),
        json!({
            "is_sent": sent.is_some(),
            "is_delivered": delivered.is_some(),
            "is_finished": sent.is_some() || error != 0,
            "error": error,
            "date_delivered": delivered.map(iso),
            "date_read": read.map(iso),
            "is_delayed": false,
            "is_prepared": false,
            "is_pending_satellite_send": false,
            "was_downgraded": row.sending.downgraded,
        }),
    );
    answer.into()
}

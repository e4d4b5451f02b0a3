//! What is taken into the outbox. Refused in the order of the contract: line, sandbox, chat,
//! contact-first, references, capabilities, the line's limit for loops.

use rusqlite::{Connection, params};
use switchboard_model::{
    Account, Chat, Line, Timestamp, file::is_audio_message_type, id::Id, link::Content,
    message::MessageRef, outbox::OutboxStatus,
};

use super::loops;
use crate::{
    Accept, Accepted, NewContent, Refusal, Result,
    sqlite::{
        chats::{self, WrittenTo},
        engine::{
            columns::{Json, Name, bits},
            statement,
            writer::Tx,
        },
        files, messages, sandbox,
    },
};

pub(super) fn accept(tx: &mut Tx<'_>, accept: Accept, now: Timestamp) -> Result<Accepted> {
    let account = accept.account_id;
    let line = tx
        .cache
        .line(tx.sql, accept.line_id)?
        .filter(|line| line.is_active && (line.is_sandbox || line.account_id == account))
        .ok_or(Refusal::LineNotFound)?;
    let is_message = accept.content.is_message();
    let chat = if line.is_sandbox {
        tx.savepoint()?;
        let to = sandbox::to_write_to(tx.sql, &line, account, &accept.to, &accept.content, now)?;
        // It is a phone's, which has texted first.
        WrittenTo { id: to, is_group: false, is_empty: false, is_silent: false }
    } else {
        chats::to_write_to(tx, &line, &accept.to, is_message, now)?
    };
    let chat_id = chat.id;
    let needed = accept.content.needs(chat.is_group, chat.is_empty);
    let sender = Sender { account, line: line.id, lines: accept.lines.as_deref(), chat: chat_id };
    if accept.content.has_file() {
        // The file says that something refers to it.
        tx.savepoint()?;
    }
    let content = with_guids(tx.sql, &sender, accept.content)?;
    if let Some(missing) = needed.into_iter().flatten().find(|needed| !line.can(*needed)) {
        return Err(Refusal::AdvancedFeaturesRequired { missing }.into());
    }
    let must_rest = is_message && loops::count(tx, &line, chat_id, now)?;
    let file_id = match &content {
        Content::Message { attachments, .. } => attachments.first().map(|file| file.file_id),
        _ => None,
    };
    statement::run(
        tx.sql,
        "insert into outbox (id, account_id, line_id, chat_id, status, created_at, file_id, content, payload, to_silent)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            bits(accept.id),
            bits(account),
            bits(line.id),
            bits(chat_id),
            Name(OutboxStatus::Pending),
            now.0,
            file_id.map(bits),
            Json(&content),
            accept.payload.get(),
            chat.is_silent,
        ],
    )?;
    Ok(Accepted { id: accept.id, chat_id, must_rest })
}

/// Who sends where.
struct Sender<'a> {
    account: Id<Account>,
    line: Id<Line>,
    /// The lines that the key is restricted to.
    lines: Option<&'a [Id<Line>]>,
    chat: Id<Chat>,
}

/// What is sent, as drivers name things: messages by their guid, files with all that is known of them.
fn with_guids(sql: &Connection, sender: &Sender<'_>, content: NewContent) -> Result<Content> {
    let guid = |message: MessageRef| -> Result<String> {
        let guid = messages::guid_in_chat(sql, sender.chat, &message)?;
        Ok(guid.ok_or(Refusal::MessageNotFound)?)
    };
    let attached = |file| files::send(sql, sender.account, sender.line, sender.lines, file);
    Ok(match content {
        NewContent::Message { text, attachment, reply_to } => Content::Message {
            text,
            reply_to_guid: reply_to.map(guid).transpose()?,
            attachments: match attachment {
                None => Vec::new(),
                Some(file) => vec![attached(file)?],
            },
            is_audio_message: false,
        },
        NewContent::AudioMessage { file, reply_to } => {
            let reply_to_guid = reply_to.map(guid).transpose()?;
            let file = attached(file)?;
            if !is_audio_message_type(&file.mime_type) {
                return Err(Refusal::NotAudio.into());
            }
            Content::Message {
                text: None,
                attachments: vec![file],
                is_audio_message: true,
                reply_to_guid,
            }
        }
        NewContent::Reaction { message, reaction_type, remove } => {
            Content::Reaction { message_guid: guid(message)?, reaction_type, remove }
        }
        NewContent::Typing { on } => Content::Typing { on },
        NewContent::Read => Content::Read,
    })
}

//! What is taken into the outbox. Refused in the order of the contract: line, sandbox, chat,
//! contact-first, references, capabilities, the line's limit for loops.
//!
//! Everything that is written goes through here: so it takes no lock of a line, only of the chat's row (of the sandbox
//! line, of the account's pairing). That is enough for the items of one chat to have their numbers in the order of the
//! commits.

use switchboard_model::{
    Account, Chat, Line, Timestamp, file::is_audio_message_type, id::Id, link::Content,
    message::MessageRef, outbox::OutboxStatus,
};

use super::loops;
use crate::{
    Accept, Accepted, NewContent, Refusal, Result,
    postgres::{
        chats::{self, WrittenTo},
        context,
        engine::{
            columns::{Json, Name, bits},
            connection::Sql,
            statement,
            transaction::Tx,
        },
        files, messages, sandbox,
    },
};

pub(super) async fn accept(tx: &Tx, accept: Accept, now: Timestamp) -> Result<Accepted> {
    let account = accept.account_id;
    let (line, found) = tokio::try_join!(
        context::line(&tx.sql, accept.line_id),
        chats::hold(&tx.sql, accept.line_id, account, &accept.to, now),
    )?;
    let line = line
        .filter(|line| line.is_active && (line.is_sandbox || line.account_id == account))
        .ok_or(Refusal::LineNotFound)?;
    let is_message = accept.content.is_message();
    let chat = if line.is_sandbox {
        let to = sandbox::to_write_to(&tx.sql, &line, account, &accept.to, &accept.content, now);
        let to = to.await?;
        // It is a phone's, which has texted first.
        WrittenTo { id: to, is_group: false, is_empty: false, is_silent: false }
    } else {
        chats::to_write_to(&tx.sql, &line, &accept.to, found, is_message, now).await?
    };
    let chat_id = chat.id;
    let needed = accept.content.needs(chat.is_group, chat.is_empty);
    let sender = Sender { account, line: line.id, lines: accept.lines.as_deref(), chat: chat_id };
    let content = with_guids(&tx.sql, &sender, accept.content).await?;
    if let Some(missing) = needed.into_iter().flatten().find(|needed| !line.can(*needed)) {
        return Err(Refusal::AdvancedFeaturesRequired { missing }.into());
    }
    let must_rest = is_message && loops::count(tx, &line, chat_id, now).await?;
    let file_id = match &content {
        Content::Message { attachments, .. } => attachments.first().map(|file| file.file_id),
        _ => None,
    };
    statement::run(
        &tx.sql,
        "insert into outbox (id, account_id, line_id, chat_id, status, created_at, file_id, content, payload, to_silent)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            &bits(accept.id),
            &bits(account),
            &bits(line.id),
            &bits(chat_id),
            &Name(OutboxStatus::Pending),
            &now.0,
            &file_id.map(bits),
            &Json(&content),
            &accept.payload.get(),
            &chat.is_silent,
        ],
    )
    .await?;
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
async fn with_guids(sql: &Sql, sender: &Sender<'_>, content: NewContent) -> Result<Content> {
    let guid = async |message: Option<MessageRef>| {
        let Some(message) = message else { return Ok(None) };
        let guid = messages::guid_in_chat(sql, sender.chat, &message).await?;
        Ok::<_, crate::StoreError>(Some(guid.ok_or(Refusal::MessageNotFound)?))
    };
    let attached = async |file| match file {
        None => Ok(None),
        Some(file) => {
            files::send(sql, sender.account, sender.line, sender.lines, file).await.map(Some)
        }
    };
    Ok(match content {
        NewContent::Message { text, attachment, reply_to } => {
            let (guid, file) = tokio::join!(guid(reply_to), attached(attachment));
            Content::Message {
                text,
                reply_to_guid: guid?,
                attachments: file?.into_iter().collect(),
                is_audio_message: false,
            }
        }
        NewContent::AudioMessage { file, reply_to } => {
            let (guid, file) = tokio::join!(guid(reply_to), attached(Some(file)));
            let (reply_to_guid, file) = (guid?, file?);
            if file.as_ref().is_none_or(|file| !is_audio_message_type(&file.mime_type)) {
                return Err(Refusal::NotAudio.into());
            }
            Content::Message {
                text: None,
                attachments: file.into_iter().collect(),
                is_audio_message: true,
                reply_to_guid,
            }
        }
        NewContent::Reaction { message, reaction_type, remove } => {
            let message_guid = guid(Some(message)).await?.ok_or(Refusal::MessageNotFound)?;
            Content::Reaction { message_guid, reaction_type, remove }
        }
        NewContent::Typing { on } => Content::Typing { on },
        NewContent::Read => Content::Read,
    })
}

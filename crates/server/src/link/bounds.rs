//! Bounds on all that a bridge sends. What is too long is cut, or left out where a part of it means nothing: it must
//! neither be kept nor end the link, because the bridge would say it again with the next one, for ever.

use switchboard_model::link::{
    Edit, Inbound, InboundChat, InboundMessage, InboundUpdate, LinkedFile, Outcome, OwnMessage,
};

/// The longest text of a message, in bytes. What phones send is far shorter.
pub(super) const MAX_TEXT: usize = 1024 * 1024;
/// The longest transcription of a voice memo, in bytes.
pub(super) const MAX_TRANSCRIPTION: usize = 256 * 1024;
/// The most attachments of a message.
pub(super) const MAX_ATTACHMENTS: usize = 100;
/// The longest name of a file, in bytes.
pub(super) const MAX_FILENAME: usize = 255;
/// The longest type of a file, in bytes.
pub(super) const MAX_MIME_TYPE: usize = 255;
/// The longest name of a group, in bytes.
pub(super) const MAX_GROUP_NAME: usize = 1024;
/// The most other parties of a group. Messages itself takes 32.
pub(super) const MAX_PARTICIPANTS: usize = 1024;
/// The longest error of an item, in bytes.
pub(super) const MAX_ERROR: usize = 2000;
/// The longest name of a bridge's software, in bytes.
pub(super) const MAX_SOFTWARE: usize = 200;

/// Cuts what is too long in an entry; answers how many fields that were.
pub(super) fn bound(entry: &mut Inbound) -> usize {
    match entry {
        Inbound::Message(InboundMessage { chat, text, attachments, .. })
        | Inbound::Own(OwnMessage { chat, text, attachments, .. }) => {
            bound_chat(chat) + cut_optional(text, MAX_TEXT) + bound_files(attachments)
        }
        Inbound::Update(InboundUpdate { chat, edit, failed, attachments, .. }) => {
            let text = edit.as_mut().map_or(0, |Edit { text, .. }| cut_optional(text, MAX_TEXT));
            if let Some(failed) = failed {
                bound_error(&mut failed.error);
            }
            bound_chat(chat) + text + attachments.as_mut().map_or(0, bound_files)
        }
        Inbound::Reaction(reaction) => bound_chat(&mut reaction.chat),
        Inbound::Typing(typing) => bound_chat(&mut typing.chat),
        Inbound::Read(read) => bound_chat(&mut read.chat),
        Inbound::Group { chat } => bound_chat(chat),
        Inbound::Unreadable => 0,
    }
}

/// Cuts the error of an item, and leaves out what a terminal or a page would do something with.
pub(super) fn bound_outcome(outcome: &mut Outcome) {
    if let Outcome::Failed { error } = outcome {
        bound_error(error);
    }
}

fn bound_error(error: &mut String) {
    cut(error, MAX_ERROR);
    error.retain(|one| !one.is_control() || one == '\n');
}

fn bound_chat(chat: &mut InboundChat) -> usize {
    let InboundChat::Group { name, participants, .. } = chat else { return 0 };
    let more = participants.len() > MAX_PARTICIPANTS;
    participants.truncate(MAX_PARTICIPANTS);
    cut_optional(name, MAX_GROUP_NAME) + usize::from(more)
}

fn bound_files(files: &mut Vec<LinkedFile>) -> usize {
    let more = files.len() > MAX_ATTACHMENTS;
    files.truncate(MAX_ATTACHMENTS);
    files.iter_mut().map(bound_file).sum::<usize>() + usize::from(more)
}

fn bound_file(file: &mut LinkedFile) -> usize {
    let mut cut = cut_optional(&mut file.filename, MAX_FILENAME);
    cut += cut_optional(&mut file.transcription, MAX_TRANSCRIPTION);
    cut += bound_type(&mut file.mime_type);
    if let Some(original) = &mut file.original {
        cut += cut_optional(&mut original.filename, MAX_FILENAME);
        cut += bound_type(&mut original.mime_type);
    }
    cut
}

fn bound_type(mime_type: &mut String) -> usize {
    let is_long = mime_type.len() > MAX_MIME_TYPE;
    if is_long {
        // Half a type is another one.
        "application/octet-stream".clone_into(mime_type);
    }
    usize::from(is_long)
}

fn cut_optional(text: &mut Option<String>, most: usize) -> usize {
    text.as_mut().map_or(0, |text| usize::from(cut(text, most)))
}

/// Cuts a text; whether it was too long.
pub(super) fn cut(text: &mut String, most: usize) -> bool {
    let is_long = text.len() > most;
    if is_long {
        text.truncate(text.floor_char_boundary(most));
    }
    is_long
}

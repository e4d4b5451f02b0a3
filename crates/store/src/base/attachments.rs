//! Attachments, as they are made of files.

use switchboard_model::{
    Attachment, File,
    id::Id,
    link::{Content, LinkedFile, LinkedOriginal},
    message::OriginalFile,
};

/// What is written down of a file: its name, its type, its size.
#[derive(Clone)]
pub(crate) struct KnownFile {
    pub(crate) filename: Option<String>,
    pub(crate) mime_type: String,
    pub(crate) size: u64,
}

/// The attachment that a file becomes which came in. What is not known can't be downloaded, and is as the driver says.
pub(crate) fn received(
    told: LinkedFile,
    known: Option<KnownFile>,
    original: Option<OriginalFile>,
) -> Attachment {
    let file_id = known.is_some().then_some(told.file_id);
    let KnownFile { filename, mime_type, size } = known.unwrap_or(KnownFile {
        filename: told.filename,
        mime_type: told.mime_type,
        size: told.size,
    });
    Attachment {
        filename,
        mime_type: Some(mime_type),
        size: Some(size),
        url: None,
        transcription: told.transcription,
        original,
        file_id,
    }
}

/// The same of the file that it was made of.
pub(crate) fn original(told: LinkedOriginal, known: Option<KnownFile>) -> OriginalFile {
    let file_id = known.is_some().then_some(told.file_id);
    let KnownFile { filename, mime_type, size } = known.unwrap_or(KnownFile {
        filename: told.filename,
        mime_type: told.mime_type,
        size: told.size,
    });
    OriginalFile { filename, mime_type: Some(mime_type), size: Some(size), url: None, file_id }
}

/// The attachment that a message has already, of which more may be said.
pub(crate) fn kept(before: &[Attachment], told: &LinkedFile) -> Option<Attachment> {
    let kept = before.iter().find(|file| file.file_id == Some(told.file_id))?;
    let transcription = told.transcription.clone().or_else(|| kept.transcription.clone());
    Some(Attachment { transcription, ..kept.clone() })
}

/// The attachment that a file of an item becomes.
pub(crate) fn sent(file: &LinkedFile) -> Attachment {
    Attachment {
        filename: file.filename.clone(),
        mime_type: Some(file.mime_type.clone()),
        size: Some(file.size),
        url: None,
        transcription: file.transcription.clone(),
        original: None,
        file_id: Some(file.file_id),
    }
}

/// The files that an item refers to while it is to go out.
pub(crate) fn files_of(content: &Content) -> impl Iterator<Item = Id<File>> {
    let attachments = match content {
        Content::Message { attachments, .. } => attachments.as_slice(),
        _ => &[],
    };
    attachments.iter().map(|file| file.file_id)
}

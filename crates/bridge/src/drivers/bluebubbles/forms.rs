//! Files on their way to the Mac.

use std::path::Path;

use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde_json::{Value, json};
use switchboard_model::link::Outcome;
use tracing::warn;

use super::{
    BlueBubbles, FILE_TIMEOUT,
    outcome::{Certainty, certainty},
    send::{Way, failed},
};
use crate::connector::OutgoingFile;

/// What a voice memo has to be called.
const VOICE_MEMO: &str = "Audio Message.caf";

#[derive(Deserialize)]
struct Uploaded {
    path: String,
}

impl BlueBubbles {
    /// A file as the server wants it.
    pub(super) async fn form(
        &self,
        way: &Way<'_>,
        chat: &str,
        file: &OutgoingFile,
        token: &str,
    ) -> Result<Form, Outcome> {
        let name = name_of(file, way.is_audio);
        let mut form = Form::new()
            .text("chatGuid", chat.to_owned())
            .text("tempGuid", token.to_owned())
            .text("name", name.clone())
            .text("method", way.method.name())
            .part("attachment", part(&file.path, name, &file.file.mime_type).await?);
        if way.is_audio {
            form = form.text("isAudioMessage", "true");
        }
        if let Some(reply_to) = way.reply_to {
            form = form.text("selectedMessageGuid", reply_to.to_owned());
        }
        Ok(form)
    }

    /// Brings the files to the Mac, and says what is to be sent. Nothing is sent by this.
    pub(super) async fn parts(
        &self,
        way: &Way<'_>,
        chat: &str,
        files: &[OutgoingFile],
        text: Option<&str>,
        token: &str,
    ) -> Result<Value, Outcome> {
        let mut parts = Vec::with_capacity(files.len() + 1);
        for file in files {
            let name = name_of(file, way.is_audio);
            let part = part(&file.path, name.clone(), &file.file.mime_type).await?;
            let form = Form::new().part("attachment", part);
            let path = ["attachment", "upload"];
            let uploaded = self.api.send_form::<Uploaded>(&path, form, FILE_TIMEOUT).await;
            let Uploaded { path } = uploaded.map_err(|error| {
                warn!(%error, "a file can't be brought to the Mac");
                match certainty(&error, way.method) {
                    Certainty::NotStarted => {
                        self.lost(&error);
                        Outcome::Released
                    }
                    Certainty::NoHelper => {
                        self.lost_helper();
                        Outcome::Released
                    }
                    _ => failed("A file could not be brought to the Mac, so nothing was sent."),
                }
            })?;
            parts.push(json!({"partIndex": parts.len(), "attachment": path, "name": name}));
        }
        if let Some(text) = text {
            parts.push(json!({"partIndex": parts.len(), "text": text}));
        }
        let mut body = json!({"chatGuid": chat, "tempGuid": token, "parts": parts});
        if let Some(reply_to) = way.reply_to {
            body["selectedMessageGuid"] = json!(reply_to);
        }
        Ok(body)
    }
}

/// Whether it can be a voice memo.
pub(super) fn is_caf(file: &OutgoingFile) -> bool {
    let extension = file.path.extension().and_then(|end| end.to_str());
    extension.is_some_and(|end| end.eq_ignore_ascii_case("caf"))
        || file.file.mime_type.eq_ignore_ascii_case("audio/x-caf")
}

/// The name that the other party is shown.
fn name_of(file: &OutgoingFile, is_audio: bool) -> String {
    let own = || file.path.file_name().map(|name| name.to_string_lossy().into_owned());
    if is_audio { VOICE_MEMO.to_owned() } else { own().unwrap_or_else(|| "file".to_owned()) }
}

/// A file as a part of a form, read as it goes out.
async fn part(path: &Path, name: String, mime_type: &str) -> Result<Part, Outcome> {
    let unreadable = |_| failed("A file on the bridge's disk can't be read, so nothing was sent.");
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let size = file.metadata().await.map_err(unreadable)?.len();
    let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(file));
    let part = Part::stream_with_length(body, size).file_name(name.clone());
    Ok(match part.mime_str(mime_type) {
        Ok(part) => part,
        Err(_) => {
            let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
            let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(file));
            Part::stream_with_length(body, size).file_name(name)
        }
    })
}

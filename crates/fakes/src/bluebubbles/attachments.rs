//! `attachment/…` (`attachmentRouter.ts`).

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Query, State as Extract},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::json;

use super::{
    database::Attachment,
    envelope::{Answer, Refusal, success},
    input::Input,
    render,
    send::{Failed, gate, helper},
    state::{Inner, new_guid},
};

pub(super) async fn find(Extract(inner): Extract<Arc<Inner>>, Path(guid): Path<String>) -> Answer {
    inner.look(|state| match state.db.attachment(&guid) {
        Some(attachment) => success("Success", &render::attachment(attachment, false)),
        None => Err(Refusal::not_found("Attachment does not exist!")),
    })
}

pub(super) async fn count(Extract(inner): Extract<Arc<Inner>>) -> Answer {
    let total = inner.look(|state| state.db.attachments.len());
    success("Success", &json!({ "total": total }))
}

#[derive(Deserialize)]
pub(super) struct How {
    original: Option<String>,
    width: Option<String>,
    height: Option<String>,
    quality: Option<String>,
}

pub(super) async fn download(
    Extract(inner): Extract<Arc<Inner>>,
    Path(guid): Path<String>,
    Query(how): Query<How>,
) -> Answer {
    let original = how
        .original
        .as_deref()
        .is_some_and(|word| ["true", "1", "yes"].contains(&word.to_lowercase().as_str()));
    let resized = how.width.is_some() || how.height.is_some() || how.quality.is_some();
    inner.look(|state| {
        let Some(attachment) = state.db.attachment(&guid) else {
            // With the private API on, the original asks the helper for what it has not found.
            return Err(if state.mac.private_api {
                Refusal::server("Cannot read properties of null (reading 'guid')")
            } else {
                Refusal::not_found("Attachment does not exist!")
            });
        };
        if !attachment.on_disk {
            return Err(Refusal::not_on_disk("Attachment does not exist in disk!"));
        }
        Ok(stream(attachment, original, resized))
    })
}

/// The film of a live photo. No photo here has one.
pub(super) async fn live(Extract(inner): Extract<Arc<Inner>>, Path(guid): Path<String>) -> Answer {
    let known = inner.look(|state| state.db.attachment(&guid).is_some());
    Err(Refusal::not_found(if known {
        "Live photo does not exist for this attachment!"
    } else {
        "Attachment does not exist!"
    }))
}

/// The bytes, or what `sips` and `afconvert` make of them: a stand-in marks what is converted instead of converting it.
fn stream(attachment: &Attachment, original: bool, resized: bool) -> Response {
    let (mut mime_type, mut bytes) = (attachment.mime_type.as_str(), attachment.bytes.clone());
    if !original {
        match mime_type {
            "image/heic" | "image/heif" | "image/tiff" => {
                mime_type = "image/jpeg";
                bytes = converted(b"\xFF\xD8\xFF\xE0", &bytes);
            }
            "audio/x-caf" | "audio/caf" => {
                mime_type = "audio/mp4";
                bytes = converted(b"\0\0\0\x18ftypM4A ", &bytes);
            }
            _ => {}
        }
        if resized && mime_type.starts_with("image/") && mime_type != "image/gif" {
            mime_type = "image/png";
            bytes = converted(b"\x89PNG\r\n\x1a\n", &bytes);
        }
    }
    let mut response = Response::new(Body::from(bytes));
    if let Ok(mime_type) = HeaderValue::from_str(mime_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, mime_type);
    }
    response
}

fn converted(magic: &[u8], bytes: &Bytes) -> Bytes {
    [magic, bytes].concat().into()
}

/// Asks the helper to fetch a file that was purged, and serves it.
pub(super) async fn force(
    inner: Extract<Arc<Inner>>,
    Path(guid): Path<String>,
    how: Query<How>,
) -> Answer {
    gate(&inner)?;
    if inner.look(|state| state.db.attachment(&guid).is_none()) {
        return Err(Refusal::bad_request("Bad Request"));
    }
    helper(&inner, "download-purged-attachment", &guid, false).await.map_err(
        |failed| match failed {
            Failed::Thrown(text) => Refusal::server(text),
            Failed::Promise(_) => Refusal::server("promise"),
        },
    )?;
    inner.change(|state| {
        if let Some(mut attachment) = state.db.attachment(&guid).cloned() {
            attachment.on_disk = true;
            attachment.transfer_state = 5;
            state.db.put_attachment(attachment);
        }
    });
    download(inner, Path(guid), how).await
}

pub(super) async fn upload(Extract(inner): Extract<Arc<Inner>>, mut input: Input) -> Answer {
    gate(&inner)?;
    let Some(file) = input.files.remove("attachment").filter(|file| !file.bytes.is_empty()) else {
        return Err(Refusal::bad_request("Attachment not provided or was empty!"));
    };
    let path = format!("{}/{}", new_guid().to_lowercase(), file.name);
    inner.look(|state| state.uploads.insert(path.clone(), file));
    success("Success", &json!({ "path": path }))
}

//! Files that came to a line: their bytes are fetched from the server, as they are on the Mac.

use std::{path::Path, time::Duration};

use futures_util::StreamExt;
use reqwest::{Response, header::CONTENT_TYPE};
use tokio::{io::AsyncWriteExt, time::timeout};
use tracing::warn;

use super::{BlueBubbles, api::ApiError};
use crate::{
    connector::{FetchError, FetchedFile},
    convert::Form,
    files::DEFAULT_MAX_BYTES,
    ledger::ObservedFile,
};

/// How long the server may take to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take to bring back what the Mac had put away.
const RETURNS_WITHIN: Duration = Duration::from_secs(10 * 60);
/// How long it may then be silent.
const SILENCE: Duration = Duration::from_secs(60);

impl BlueBubbles {
    pub(super) async fn download(&self, file: &ObservedFile) -> Result<FetchedFile, FetchError> {
        // Without it pictures and voice memos come as what a browser shows.
        let original = [("original", "true")];
        let path = ["attachment", &file.source, "download"];
        let response = match self.api.bytes(&path, &original, BEGINS_WITHIN).await {
            Ok(response) => response,
            // The Mac needed the room; only the helper can have it brought back.
            Err(ApiError::Refused(refused)) if refused.status == 500 && self.has_helper() => {
                let forced = ["attachment", &file.source, "download", "force"];
                match self.api.bytes(&forced, &original, RETURNS_WITHIN).await {
                    Ok(response) => response,
                    Err(error) => return Err(of(&error)),
                }
            }
            Err(error) => return Err(of(&error)),
        };
        if is_page(&response, file) {
            warn!("a page came where a file was asked for; it is asked for again");
            return Err(FetchError::NotYet("a page came in its place".to_owned()));
        }
        to_disk(response, &std::env::temp_dir()).await
    }

    /// What the server makes of it: a JPEG of a HEIC, an M4A of a CAF. Only those; anything else comes as it is.
    pub(super) async fn download_as(
        &self,
        file: &ObservedFile,
        form: Form,
        dir: &Path,
    ) -> Option<FetchedFile> {
        let makes = match form {
            Form::Jpeg => matches!(&*file.mime_type, "image/heic" | "image/heif"),
            Form::M4a => matches!(&*file.mime_type, "audio/x-caf" | "audio/caf"),
        };
        if !makes {
            return None;
        }
        let path = ["attachment", &file.source, "download"];
        let response = self.api.bytes(&path, &[], BEGINS_WITHIN).await.ok()?;
        if is_page(&response, file) { None } else { to_disk(response, dir).await.ok() }
    }
}

/// Whether it is a page for people, as tunnels show it in a server's place.
fn is_page(response: &Response, file: &ObservedFile) -> bool {
    const PAGE: &str = "text/html";
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with(PAGE)) && !file.mime_type.starts_with(PAGE)
}

async fn to_disk(response: Response, dir: &Path) -> Result<FetchedFile, FetchError> {
    if response.content_length().is_some_and(|length| length > DEFAULT_MAX_BYTES) {
        return Err(too_large());
    }
    let disk = |error: std::io::Error| {
        warn!(%error, "a file that came to a line can't be written to the disk");
        FetchError::NotYet(error.to_string())
    };
    let (sink, path) = tempfile::NamedTempFile::new_in(dir).map_err(disk)?.into_parts();
    let mut sink = tokio::fs::File::from_std(sink);
    let (mut chunks, mut size) = (response.bytes_stream(), 0);
    let silent = |_| FetchError::NotYet("nothing more came of it".to_owned());
    while let Some(chunk) = timeout(SILENCE, chunks.next()).await.map_err(silent)? {
        let chunk = chunk.map_err(|error| FetchError::NotYet(error.without_url().to_string()))?;
        size += chunk.len() as u64;
        if size > DEFAULT_MAX_BYTES {
            return Err(too_large());
        }
        sink.write_all(&chunk).await.map_err(disk)?;
    }
    sink.flush().await.map_err(disk)?;
    Ok(FetchedFile::Temporary(path))
}

fn too_large() -> FetchError {
    warn!("a file that came to a line is larger than this bridge lets through");
    FetchError::Gone
}

fn of(error: &ApiError) -> FetchError {
    match error {
        ApiError::Refused(refused) if matches!(refused.status, 400 | 404 | 500) => FetchError::Gone,
        error => FetchError::NotYet(error.to_string()),
    }
}

//! What the server knows of a line's history: asked over HTTP, beside the link, with the same token.

use std::{collections::HashMap, time::Duration};

use reqwest::{StatusCode, header::AUTHORIZATION};
use serde::Deserialize;
use serde_json::json;
use switchboard_model::{Line, id::Id};
use tokio::time::timeout;

use crate::files::{FileClient, FileError};

/// How long the server may take to answer.
const WITHIN: Duration = Duration::from_secs(10);

/// What the server knows of what was asked for.
#[derive(Debug, Default)]
pub(crate) struct KnownHistory {
    /// Whether the line is online, by the bridge that carries it.
    pub(crate) online: bool,
    /// The guids that are known, and how many files each message has.
    pub(crate) known: HashMap<String, usize>,
}

#[derive(Deserialize)]
struct Answer {
    online: bool,
    known: Vec<KnownGuid>,
}

#[derive(Deserialize)]
struct KnownGuid {
    guid: String,
    attachments: usize,
}

impl FileClient {
    /// Which of these guids the server knows of a line: at most as many as entries of a batch.
    ///
    /// # Errors
    /// [`FileError`]: of an older server too, which can't be asked.
    pub(crate) async fn known(
        &self,
        line: Id<Line>,
        guids: &[&str],
    ) -> Result<KnownHistory, FileError> {
        let body = json!({ "line_id": line, "guids": guids }).to_string();
        let (client, url, authorization) = self.beside("known");
        let asking = async {
            let request = client.post(url).header(AUTHORIZATION, authorization);
            let request = request.header("content-type", "application/json").body(body);
            let response = request.send().await.map_err(FileError::of_request)?;
            match response.status() {
                StatusCode::OK => response.bytes().await.map_err(FileError::of_request),
                status => Err(FileError::Trouble(status)),
            }
        };
        let answer =
            timeout(WITHIN, asking).await.map_err(|_elapsed| FileError::Broken(None))??;
        let Answer { online, known } = serde_json::from_slice(&answer)
            .map_err(|_| FileError::Protocol("an answer of what is known that can't be read"))?;
        let known = known.into_iter().map(|one| (one.guid, one.attachments)).collect();
        Ok(KnownHistory { online, known })
    }
}

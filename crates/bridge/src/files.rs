//! Files over the link: their bytes go over HTTP beside the WebSocket, to the same server, with
//! the same token.
//!
//! The promise: bytes are streamed between the disk and the server and never stand whole in
//! memory; what was fetched is whole, or it is an error; nothing here takes for ever.

use std::{fmt, io, path::Path, time::Duration};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    Body, Client, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
    redirect,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use switchboard_model::{
    Code, File, Line,
    file::ContentHash,
    id::Id,
    link::{LinkedFile, Outcome},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::io::ReaderStream;
use url::Url;

/// The largest file that goes either way when nothing else is said, in bytes: what the server takes by default.
pub const DEFAULT_MAX_BYTES: u64 = 100 * 1024 * 1024;

/// How long a connection to the server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the server may be silent while something is expected of it.
const SILENCE: Duration = Duration::from_secs(30);
/// An upload slower than this, in bytes a second, counts as broken.
const SLOWEST_UPLOAD: u64 = 32 * 1024;
/// The first pause before fetching again, and the longest.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// The longest answer to an upload, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// What a file is whose type can't stand in a header.
const ANY_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Where files are fetched from and uploaded to. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct FileClient {
    client: Client,
    url: Url,
    authorization: HeaderValue,
    max_bytes: u64,
}

/// Why a file did not get through. No text of it names the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It does not exist, or is not for this bridge.
    #[error("the server has no such file for this bridge")]
    NotFound,
    /// It is larger than this bridge lets through.
    #[error("the file is larger than the {0} bytes that this bridge lets through")]
    TooLarge(u64),
    /// The server wants none of it.
    #[error("the server refused the file with status {0}")]
    Refused(StatusCode),
    /// The server is in trouble; it may be better later.
    #[error("the server answered with status {0}")]
    Trouble(StatusCode),
    /// No connection: the server is away, or the network is.
    #[error("the server can't be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The transfer broke off, or nothing more came.
    #[error("the transfer broke off")]
    Broken(#[source] Option<reqwest::Error>),
    /// The server's answer makes no sense.
    #[error("the server's answer does not fit: {0}")]
    Protocol(&'static str),
    /// The file on this machine can't be read or written.
    #[error("the file on the bridge's disk can't be used")]
    Disk(#[source] io::Error),
}

impl FileError {
    /// Whether trying again may help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Trouble(_) | Self::Unreachable(_) | Self::Broken(_) => true,
            Self::Disk(error) => error.kind() != io::ErrorKind::NotFound,
            Self::NotFound | Self::TooLarge(_) | Self::Refused(_) | Self::Protocol(_) => false,
        }
    }

    /// What to report of an item whose file could not be fetched. Nothing was handed over, so both
    /// answers are certain. A server out of reach means that the link is lost as well:
    /// the item goes back, like a text that waits for the link. Anything else fails it,
    /// for an item that is given back while the link is up would come round for ever.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Unreachable(_) => Outcome::Released,
            // A full disk is no reason to fail a message. It was tried for as long as a fetch may take, so what
            // comes round does so rarely, until somebody makes room.
            Self::Disk(error) if error.kind() != io::ErrorKind::NotFound => Outcome::Released,
            _ => Outcome::Failed {
                error: format!("An attachment could not be fetched, so nothing was sent: {self}."),
            },
        }
    }

    pub(crate) fn of_request(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::Broken(Some(error)) }
    }

    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Self::Trouble(status)
            }
            _ if status.is_server_error() => Self::Trouble(status),
            _ => Self::Refused(status),
        }
    }

    /// Only what is about the bytes themselves is for good. Anything else (what stalled on its way is 400, a line that
    /// changes its bridge is 404) may pass, and whoever uploads bounds how long that is waited for.
    fn of_upload(status: StatusCode) -> Self {
        match status {
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                Self::Refused(status)
            }
            _ => Self::Trouble(status),
        }
    }

    /// A file without bytes is 400 as well, and stays one.
    fn of_bad_upload(answer: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Answer {
            error: Error,
        }
        #[derive(Deserialize)]
        struct Error {
            code: String,
        }
        let is_empty = serde_json::from_slice::<Answer>(answer)
            .is_ok_and(|Answer { error }| error.code == Code::EmptyFile.as_str());
        let status = StatusCode::BAD_REQUEST;
        if is_empty { Self::Refused(status) } else { Self::Trouble(status) }
    }
}

impl FileClient {
    /// The files beside the link at `link` (`ws…/bridge/v1/link`).
    pub(crate) fn new(link: &Url, authorization: HeaderValue) -> Option<Self> {
        let mut url = link.join("files").ok()?;
        url.set_scheme(if link.scheme() == "wss" { "https" } else { "http" }).ok()?;
        let mut client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // The link goes straight to the server too, and its token goes nowhere else.
            .no_proxy()
            .redirect(redirect::Policy::none());
        if url.scheme() == "http" {
            // Reading the system's certificates takes a while, and here nobody would look at them.
            client = client.tls_certs_only([]);
        }
        let client = client.build().ok()?;
        Some(Self { client, url, authorization, max_bytes: DEFAULT_MAX_BYTES })
    }

    pub(crate) fn set_max_bytes(&mut self, max_bytes: u64) {
        self.max_bytes = max_bytes;
    }

    /// Fetches a file that goes with an item and writes it to `to`, over whatever is there. Tries
    /// again while that may help, until `within` has passed. Returns the hash of the bytes.
    ///
    /// # Errors
    /// [`FileError`]; then `to` holds anything or nothing. See [`FileError::outcome`].
    pub async fn fetch(
        &self,
        file: &LinkedFile,
        to: &Path,
        within: Duration,
    ) -> Result<ContentHash, FileError> {
        if file.size > self.max_bytes {
            return Err(FileError::TooLarge(self.max_bytes));
        }
        let deadline = Instant::now() + within;
        let (mut pause, mut last) = (RETRY_MIN, FileError::Broken(None));
        loop {
            match timeout_at(deadline, self.fetch_once(file, to)).await {
                Ok(Ok(hash)) => return Ok(hash),
                Ok(Err(problem)) if !problem.may_pass() => return Err(problem),
                Ok(Err(problem)) => last = problem,
                Err(_elapsed) => return Err(last),
            }
            if Instant::now() + pause >= deadline {
                return Err(last);
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    async fn fetch_once(&self, file: &LinkedFile, to: &Path) -> Result<ContentHash, FileError> {
        let asking = self
            .client
            .get(self.url_with("id", &file.file_id.to_string()))
            .header(AUTHORIZATION, self.authorization.clone())
            .send();
        let mut response = timeout(SILENCE, asking)
            .await
            .map_err(|_elapsed| FileError::Broken(None))?
            .map_err(FileError::of_request)?;
        if response.status() != StatusCode::OK {
            return Err(FileError::of_status(response.status()));
        }
        let mut sink = tokio::fs::File::create(to).await.map_err(FileError::Disk)?;
        let (mut hasher, mut size) = (Sha256::new(), 0);
        while let Some(chunk) = next_chunk(&mut response).await? {
            size += chunk.len() as u64;
            if size > file.size {
                break;
            }
            hasher.update(&chunk);
            sink.write_all(&chunk).await.map_err(FileError::Disk)?;
        }
        sink.flush().await.map_err(FileError::Disk)?;
        if size != file.size {
            return Err(FileError::Protocol("the file has another size than was said"));
        }
        Ok(ContentHash(hasher.finalize().into()))
    }

    /// Uploads a file that came to a line. Tries once: whoever reads a history is asked again. A file that
    /// was uploaded and of which the server then never hears in an inbound message expires there by itself.
    ///
    /// # Errors
    /// [`FileError`]; see [`FileError::may_pass`].
    pub async fn upload(
        &self,
        line_id: Id<Line>,
        from: &Path,
        filename: Option<&str>,
        mime_type: &str,
    ) -> Result<LinkedFile, FileError> {
        let file = tokio::fs::File::open(from).await.map_err(FileError::Disk)?;
        let size = file.metadata().await.map_err(FileError::Disk)?.len();
        if size > self.max_bytes {
            return Err(FileError::TooLarge(self.max_bytes));
        }
        let mut request = self
            .client
            .post(self.url_with("line_id", &line_id.to_string()))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, HeaderValue::try_from(mime_type).unwrap_or(ANY_TYPE))
            // The server can refuse what is too large before it has read it.
            .header(CONTENT_LENGTH, size)
            // A file that grows meanwhile must not break the announced length.
            .body(Body::wrap_stream(ReaderStream::new(file.take(size))));
        if let Some(name) = filename {
            let name = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
            request = request.header("x-filename", name);
        }
        let limit = SILENCE + Duration::from_secs(size / SLOWEST_UPLOAD);
        let mut response = timeout(limit, request.send())
            .await
            .map_err(|_elapsed| FileError::Broken(None))?
            .map_err(FileError::of_request)?;
        match response.status() {
            StatusCode::CREATED => {}
            StatusCode::BAD_REQUEST => {
                let answer = whole(&mut response).await?;
                return Err(FileError::of_bad_upload(&answer));
            }
            status => return Err(FileError::of_upload(status)),
        }
        let answer = whole(&mut response).await?;
        // The parser's own message may quote the file's name.
        let File { id, filename, mime_type, size: taken, .. } = serde_json::from_slice(&answer)
            .map_err(|_| FileError::Protocol("an answer to an upload that can't be read"))?;
        if taken != size {
            return Err(FileError::Protocol("it has taken another size than was uploaded"));
        }
        Ok(LinkedFile {
            file_id: id,
            filename,
            mime_type,
            size,
            transcription: None,
            original: None,
        })
    }

    /// What another address beside the files takes.
    pub(crate) fn beside(&self, name: &str) -> (&Client, Url, HeaderValue) {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().push(name);
        }
        (&self.client, url, self.authorization.clone())
    }

    fn url_with(&self, name: &str, value: &str) -> Url {
        let mut url = self.url.clone();
        url.set_query(None);
        url.query_pairs_mut().append_pair(name, value);
        url
    }
}

/// All of an answer, which is short.
async fn whole(response: &mut Response) -> Result<Vec<u8>, FileError> {
    let mut answer = Vec::new();
    while let Some(chunk) = next_chunk(response).await? {
        answer.extend_from_slice(&chunk);
        if answer.len() > MAX_ANSWER {
            return Err(FileError::Protocol("too long an answer to an upload"));
        }
    }
    Ok(answer)
}

async fn next_chunk(response: &mut Response) -> Result<Option<bytes::Bytes>, FileError> {
    timeout(SILENCE, response.chunk())
        .await
        .map_err(|_elapsed| FileError::Broken(None))?
        .map_err(|error| FileError::Broken(Some(error.without_url())))
}

impl fmt::Debug for FileClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileClient").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

//! GET and POST /v1/files, and the downloads behind them.
//!
//! What it promises: a file is sent and read as it comes, and the API key goes to the API
//! only, never to the URL of a download.

use std::{fmt, path::PathBuf, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStream, stream};
use http::{
    HeaderName, HeaderValue, Method,
    header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::{Response, Url};
use switchboard_model::File;

use crate::{
    Answer, Client, Error, Result,
    answer::RawAnswer,
    body::Body,
    error::{self, Misshape},
    transport::{Again, read_raw, with_query},
};

const FILENAME: HeaderName = HeaderName::from_static("x-filename");

/// What can't stand in a header as it is, and the percent sign itself. Characters beyond ASCII
/// are always encoded.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

impl Client {
    /// Uploads a file. A stream is never repeated; bytes and files are, as other POSTs are.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::File`] if the file on disk can't be read.
    pub async fn upload(&self, upload: Upload) -> Result<Answer<File>> {
        let mut request =
            self.transport.request(Method::POST, "/v1/files".to_owned(), Again::WithKey);
        let header = |text: &str| HeaderValue::from_str(text).map_err(|_| UNSENDABLE);
        if let Some(mime_type) = &upload.mime_type {
            request.headers.insert(CONTENT_TYPE, header(mime_type)?);
        }
        if let Some(name) = &upload.filename {
            let name = utf8_percent_encode(name, ESCAPED).to_string();
            request.headers.insert(FILENAME, header(&name)?);
        }
        request.body = upload.body;
        request.timeout = Some(self.transport.upload_timeout);
        let sent = self.transport.send(request).await;
        self.transport.read(sent.raw?, 201)
    }

    /// Where the file `file_…` can be downloaded with no key, for a while. Follows nothing.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn file_url(&self, id: impl fmt::Display + Send) -> Result<Answer<String>> {
        let id = id.to_string();
        let path = with_query("/v1/files", &[("id", &id)]);
        let request = self.transport.request(Method::GET, path, Again::Safe);
        let raw = self.transport.send(request).await.raw?;
        if raw.status != 302 {
            return Err(self.transport.refused(&raw));
        }
        let url = self.location(&raw).ok_or_else(|| Error::Shape {
            status: raw.status,
            misshape: Misshape::new("the file is nowhere: no Location that is a URL"),
        })?;
        let request_id = raw.header("x-request-id").unwrap_or_default().to_owned();
        Ok(Answer::new(url, request_id, &raw))
    }

    /// Downloads the file `file_…`.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn download(&self, id: impl fmt::Display + Send) -> Result<Download> {
        let url = self.file_url(id).await?.value;
        self.download_url(&url).await
    }

    /// Downloads from the URL of an attachment or of [`Client::file_url`]. The API key is not
    /// sent along.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::Setup`] for what is no URL.
    pub async fn download_url(&self, url: &str) -> Result<Download> {
        let url = Url::parse(url).map_err(|_| Error::Setup("this is no URL to download from"))?;
        let pause = self.transport.timeout;
        let sending = self.transport.http.get(url).send();
        let response = tokio::time::timeout(pause, sending).await.map_err(|_| Error::Silent)?;
        let response = response.map_err(error::transport)?;
        if response.status() == 200 {
            return Ok(Download { response, pause });
        }
        let raw = tokio::time::timeout(pause, read_raw(response)).await;
        Err(self.transport.refused(&raw.map_err(|_| Error::Silent)??))
    }

    /// The URL of a redirect; one without a host is meant from the API's own.
    fn location(&self, raw: &RawAnswer) -> Option<String> {
        let location = raw.header(LOCATION.as_str()).filter(|text| !text.is_empty())?;
        let base = Url::parse(&self.transport.base).ok()?;
        Some(base.join(location).ok()?.into())
    }
}

const UNSENDABLE: Error = Error::Setup("the file's type or name can't stand in a header");

/// A file to be uploaded.
#[derive(Debug)]
#[must_use]
pub struct Upload {
    body: Body,
    mime_type: Option<String>,
    filename: Option<String>,
}

impl Upload {
    /// These bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { body: Body::Bytes(bytes.into()), mime_type: None, filename: None }
    }

    /// A file on disk, read while it is sent, under its own name.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let filename = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self { body: Body::Path(path), mime_type: None, filename }
    }

    /// What this stream gives, sent as it comes.
    pub fn stream<S>(stream: S) -> Self
    where
        S: TryStream + Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        Bytes: From<S::Ok>,
    {
        let body = Body::Stream(reqwest::Body::wrap_stream(stream));
        Self { body, mime_type: None, filename: None }
    }

    /// Its type: `image/png`. Without it the server finds the type by itself, where it can.
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// Its name.
    pub fn filename(mut self, name: impl Into<String>) -> Self {
        self.filename = Some(name.into());
        self
    }
}

/// A file on its way down. Its bytes come as they are asked for.
#[derive(Debug)]
pub struct Download {
    response: Response,
    pause: Duration,
}

impl Download {
    /// Its type.
    pub fn mime_type(&self) -> Option<&str> {
        self.header(&CONTENT_TYPE)
    }

    /// Its size in bytes, if the server says so.
    pub fn size(&self) -> Option<u64> {
        self.header(&CONTENT_LENGTH)?.parse().ok()
    }

    /// A header of the answer.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`Error::Transport`], or [`Error::Silent`] when nothing comes for the client's time-out.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let next = tokio::time::timeout(self.pause, self.response.chunk()).await;
        next.map_err(|_| Error::Silent)?.map_err(error::transport)
    }

    /// All bytes, if they are no more than `most`.
    ///
    /// # Errors
    /// As [`Download::chunk`], and [`Error::TooLarge`].
    pub async fn bytes(mut self, most: usize) -> Result<Bytes> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > most {
                return Err(Error::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// The bytes as a stream, which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send {
        stream::unfold(Some(self), |download| async move {
            let mut download = download?;
            match download.chunk().await {
                Ok(chunk) => Some((Ok(chunk?), Some(download))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

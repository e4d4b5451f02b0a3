//! A file on its way in, part by part.

use std::time::Duration;

use axum::extract::Request;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, header};
use switchboard_model::{Code, File, Problem, file::StoredFile, id::Id};
use switchboard_store::Idempotent;

use super::{Transfers, storage_error};
use crate::{
    api::http::{idempotency::Entered, problem::Failure},
    clock::within,
    files::{FileBytes, Upload, kind, name},
    outage,
    quota::uploads::Room,
};

/// How long an upload may pause before it is given up.
const PAUSE: Duration = Duration::from_secs(30);
/// The bytes a second that it must have come to by then, or a few of them now and then would hold it open for ever.
const SLOWEST: u64 = 4096;

const FILENAME: HeaderName = HeaderName::from_static("x-filename");

/// Decides what a file is: by its first bytes, whether these are all, its declared type, its name.
pub(super) type KindOf = fn(&[u8], bool, Option<&str>, Option<&str>) -> Result<String, Problem>;

/// A file all of which has come. Dropped, it is as if it never had.
pub(super) struct Arrived {
    upload: Upload,
    pub(super) file: StoredFile,
}

/// What an upload may take of its account's room.
pub(super) struct Limit {
    pub(super) room: Room,
    pub(super) entered: Entered,
    /// There was no room: its bytes are not kept, only looked at.
    pub(super) is_over: bool,
}

impl Limit {
    /// There is no room. A request that may have been answered before needs none: that shows when all has come.
    pub(super) async fn exceed(&mut self) -> Result<(), Failure> {
        self.is_over = true;
        self.room.give_back();
        if self.entered.is_known().await? { Ok(()) } else { Err(self.room.full().into()) }
    }
}

/// The bytes that a request says it has; none if it does not say.
pub(super) fn announced(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The type that a request says its bytes are of.
pub(super) fn declared(headers: &HeaderMap) -> Option<String> {
    let declared = headers.get(header::CONTENT_TYPE);
    declared.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Takes the bytes of a request, as they come, and finds out what they are.
pub(super) async fn receive(
    transfers: &Transfers,
    request: Request,
    kind_of: KindOf,
    mut limit: Option<&mut Limit>,
) -> Result<Arrived, Failure> {
    let Transfers { store, files, clock, .. } = transfers;
    let headers = request.headers();
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
        let message = "Send the file without Content-Encoding.";
        return Err(Problem::new(Code::UnsupportedMediaType, message).into());
    }
    let max_bytes = files.max_bytes;
    let too_large = || {
        let message =
            format!("The file is larger than the {max_bytes} bytes that this server takes.");
        Failure::from(Problem::new(Code::FileTooLarge, message))
    };
    if announced(headers) > max_bytes {
        return Err(too_large());
    }
    let name = headers.get(FILENAME).and_then(name::from_header);
    let declared = declared(headers);
    let id = Id::generate();
    let mut upload = files.upload(id).await.map_err(|error| storage_error(&error))?;
    if limit.as_ref().is_some_and(|limit| limit.is_over) {
        upload.only_hash();
    }
    let mut bytes = request.into_body().into_data_stream();
    let began = clock.steady();
    loop {
        let in_all = PAUSE + Duration::from_millis(upload.size() * 1000 / SLOWEST);
        let left = in_all.saturating_sub(clock.steady().since(began));
        let next = within(&**clock, left.min(PAUSE), bytes.next()).await;
        let broken = |message: &'static str| Problem::new(Code::InvalidParameterValue, message);
        let chunk = match next {
            Some(Some(Ok(chunk))) => chunk,
            Some(None) => break,
            Some(Some(Err(_))) => {
                return Err(broken("The file ended before all of it had arrived.").into());
            }
            None => return Err(broken("The file did not arrive in time.").into()),
        };
        if let Some(limit) = &mut limit
            && !limit.is_over
            && !limit.room.take(&**store, chunk.len() as u64).await?
        {
            limit.exceed().await?;
            upload.only_hash();
        }
        upload.write(chunk).await.map_err(|error| storage_error(&error))?;
        if upload.size() > max_bytes {
            return Err(too_large());
        }
    }
    if upload.size() == 0 {
        return Err(Problem::new(Code::EmptyFile, "The file has no bytes.").into());
    }
    let complete = upload.size() <= kind::HEAD as u64;
    let mime_type = kind_of(upload.head(), complete, declared.as_deref(), name.as_deref())?;
    let file = StoredFile {
        id,
        filename: name,
        mime_type,
        size: upload.size(),
        content: upload.content(),
        created_at: clock.steady(),
    };
    Ok(Arrived { upload, file })
}

impl Arrived {
    /// Keeps the file: its bytes first, then what `write` writes down of it.
    pub(super) async fn keep(
        self,
        files: &FileBytes,
        write: impl Future<Output = Result<Idempotent<StoredFile>, Failure>>,
    ) -> Result<Idempotent<StoredFile>, Failure> {
        let Self { mut upload, file } = self;
        upload.finish().await.map_err(|error| storage_error(&error))?;
        let written = write.await;
        let is_refused = |failure: &Failure| failure.problem.code.status() < 500;
        // After any other error it may have been written down all the same; if not, the bytes are swept away later.
        if written
            .as_ref()
            .map_or_else(is_refused, |idempotent| matches!(idempotent, Idempotent::Replayed(_)))
        {
            drop_bytes(files, file.id).await;
        }
        written
    }
}

async fn drop_bytes(files: &FileBytes, file: Id<File>) {
    // What can't be removed now is swept away later.
    if let Err(error) = files.remove(file).await {
        outage::report_files(&error, &format!("bytes of no file could not be removed: {file}"));
    }
}

//! POST and GET /v1/files, the signed download, and the same two for bridges.

use std::{ops::Range, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use object_store::{GetOptions, GetRange};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use switchboard_model::{Code, File, Problem, file::StoredFile, id::Id};
use switchboard_store::{Idempotent, Refusal};
use tracing::Instrument as _;

use crate::{
    api::http::{
        auth::{Caller, Linked},
        envelope::{self, Rendered, RequestId},
        idempotency::{self, InFlightRequest},
        problem::{Failure, id_of},
        query::Query,
    },
    app::App,
    files::{Upload, form, kind, name},
    outage::{self, Storage},
    quota::uploads::Room,
};

/// How long an upload may pause before it is given up.
const PAUSE: Duration = Duration::from_secs(30);
/// The bytes a second that it must have come to by then, or a few of them now and then would hold it open for ever.
const SLOWEST: u64 = 4096;

const FILENAME: HeaderName = HeaderName::from_static("x-filename");

/// Takes a file: raw bytes, whose type is the Content-Type header's.
pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    request: Request,
) -> Result<Response, Failure> {
    // Judged before the bytes come, which may take long.
    let account = caller.owner()?;
    let lines = caller.restricted_lines(&app).await?;
    let entered = idempotency::enter(&app, &caller, request.headers(), "POST /v1/files")?;
    let most = app.config.max_stored_bytes;
    let mut limit = Limit { room: app.uploads.enter(account, most), entered, is_over: false };
    // Bytes that there is no room for need not come.
    if !limit.room.has(&*app.store, announced(request.headers())).await? {
        limit.exceed(&app).await?;
    }
    if declared(request.headers()).as_deref().is_some_and(form::is_declared) {
        return Err(form::refusal().into());
    }
    let kind_of: KindOf = |head, complete, declared, name| {
        if form::is_one(head, declared) {
            return Err(form::refusal());
        }
        kind::mime_type(head, complete, declared, name)
    };
    let arrived = receive(&app, request, kind_of, Some(&mut limit)).await?;
    let Limit { room, entered, is_over } = limit;
    let file = arrived.file.clone();
    // The same request is one with the same bytes, type and name: known only now.
    let body = format!("{} {} {:?}", file.content, file.mime_type, file.filename);
    let idempotent = match entered.begin(&app, body.as_bytes()).await? {
        Ok(idempotent) => idempotent,
        Err(first_answer) => return Ok(first_answer),
    };
    if is_over {
        return Err(room.full().into());
    }
    let now = app.clock.steady();
    let rendered = Rendered::one(StatusCode::CREATED, &app.files.show(file.clone(), now), &id);
    let (record, store) = (idempotent.record(&rendered), Arc::clone(&app.store));
    let writing = async move {
        // In flight until it is written down, even if the caller is gone by then.
        let _in_flight = (idempotent, room);
        Ok(store.create_file(account, lines, file, most, record).await?)
    };
    Ok(match keep(&app, arrived, writing).await? {
        Idempotent::Fresh(_) => rendered.into_response(),
        Idempotent::Replayed(answer) => idempotency::replay(answer),
    })
}

/// Sends the caller to a URL that needs no key.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Failure> {
    let file: Id<File> = id_of(query.required("id")?, "id")?;
    let account = caller.account().ok_or_else(not_found)?;
    let lines = caller.restricted_lines(&app).await?;
    let file = app.store.file(account, lines, file).await?.ok_or_else(not_found)?;
    let url = app.files.url(file.id, app.clock.steady());
    Ok((StatusCode::FOUND, [(header::LOCATION, url)]).into_response())
}

/// Hands out the bytes to whoever shows a signed URL.
pub(crate) async fn download(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Failure> {
    let file: Id<File> = id_of(query.required("id")?, "id")?;
    let expires = query.required("expires")?.parse().unwrap_or(0);
    if !app.files.opens(file, expires, query.required("signature")?, app.clock.steady()) {
        let message = "This URL was not made by this server, or it has expired. Ask for a new one.";
        return Err(Problem::new(Code::FileNotFound, message).param("signature").into());
    }
    let file = app.store.signed_file(file).await?.ok_or_else(not_found)?;
    let mime_type = type_with_charset(&app, &file).await?;
    send(&app, &file, mime_type, &headers).await
}

/// Takes a file that came with a message, from the bridge of the line.
pub(crate) async fn bridge_upload(
    State(app): State<Arc<App>>,
    Linked(bridge): Linked,
    id: RequestId,
    query: Query,
    request: Request,
) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Uploaded {
        id: Id<File>,
        filename: Option<String>,
        mime_type: String,
        size: u64,
    }
    let line = id_of(query.required("line_id")?, "line_id")?;
    let kind_of: KindOf =
        |head, complete, declared, name| Ok(kind::received_type(head, complete, declared, name));
    let arrived = receive(&app, request, kind_of, None).await?;
    let StoredFile { id: file, filename, mime_type, size, .. } = arrived.file.clone();
    let uploaded = Uploaded { id: file, filename, mime_type, size };
    let (for_all, file) = (Arc::clone(&app), arrived.file.clone());
    let writing = async move {
        let app = for_all;
        let created = app.store.create_bridge_file(bridge.id, line, file).await;
        let about = |error| Failure::about(error, &Refusal::LineNotFound, "line_id");
        let (file, account) = created.map_err(about)?;
        let (most, stored) = (app.config.max_stored_bytes, app.store.stored_bytes(account).await?);
        if stored > most && app.storage_told.is_time() {
            tracing::warn!(
                %account,
                stored,
                most,
                "an account has more stored than --max-stored-bytes; what comes in with messages is kept all the same"
            );
        }
        Ok(Idempotent::Fresh(file))
    };
    keep(&app, arrived, writing).await?;
    Ok(envelope::one(StatusCode::CREATED, &uploaded, &id))
}

/// Hands the bytes of a file to the bridge that is to send it.
pub(crate) async fn bridge_download(
    State(app): State<Arc<App>>,
    Linked(bridge): Linked,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Failure> {
    let file = id_of(query.required("id")?, "id")?;
    let file = app.store.bridge_file(bridge.id, file).await?.ok_or_else(not_found)?;
    send(&app, &file, file.mime_type.clone(), &headers).await
}

fn not_found() -> Problem {
    Problem::new(Code::FileNotFound, "There is no file with this id.").param("id")
}

/// Decides what a file is: by its first bytes, whether these are all, its declared type, its name.
type KindOf = fn(&[u8], bool, Option<&str>, Option<&str>) -> Result<String, Problem>;

/// A file all of which has come. Dropped, it is as if it never had.
struct Arrived {
    upload: Upload,
    file: StoredFile,
}

/// What an upload may take of its account's room.
struct Limit {
    room: Room,
    entered: InFlightRequest,
    /// There was no room: its bytes are not kept, only looked at.
    is_over: bool,
}

impl Limit {
    /// There is no room. A request that may have been answered before needs none: that shows when all has come.
    async fn exceed(&mut self, app: &App) -> Result<(), Failure> {
        self.is_over = true;
        self.room.give_back();
        if self.entered.is_known(app).await? { Ok(()) } else { Err(self.room.full().into()) }
    }
}

/// The bytes that a request says it has; none if it does not say.
fn announced(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The type that a request says its bytes are of.
fn declared(headers: &HeaderMap) -> Option<String> {
    let declared = headers.get(header::CONTENT_TYPE);
    declared.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Takes the bytes of a request, as they come, and finds out what they are.
async fn receive(
    app: &App,
    request: Request,
    kind_of: KindOf,
    mut limit: Option<&mut Limit>,
) -> Result<Arrived, Failure> {
    let headers = request.headers();
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
        let message = "Send the file without Content-Encoding.";
        return Err(Problem::new(Code::UnsupportedMediaType, message).into());
    }
    let most = app.files.most;
    let too_large = || {
        let message = format!("The file is larger than the {most} bytes that this server takes.");
        Failure::from(Problem::new(Code::FileTooLarge, message))
    };
    if announced(headers) > most {
        return Err(too_large());
    }
    let name = headers.get(FILENAME).and_then(name::from_header);
    let declared = declared(headers);
    let id = Id::generate();
    let mut upload = app.files.upload(id).await.map_err(|error| storage_error(&error))?;
    if limit.as_ref().is_some_and(|limit| limit.is_over) {
        upload.only_hash();
    }
    let mut bytes = request.into_body().into_data_stream();
    let began = app.clock.steady();
    loop {
        let in_all = PAUSE + Duration::from_millis(upload.size() * 1000 / SLOWEST);
        let left = in_all.saturating_sub(app.clock.steady().since(began));
        let next = app.within(left.min(PAUSE), bytes.next()).await;
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
            && !limit.room.take(&*app.store, chunk.len() as u64).await?
        {
            limit.exceed(app).await?;
            upload.only_hash();
        }
        upload.write(chunk).await.map_err(|error| storage_error(&error))?;
        if upload.size() > most {
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
        created_at: app.clock.steady(),
    };
    Ok(Arrived { upload, file })
}

/// Keeps a file: its bytes first, then what `writing` writes down of it.
async fn keep(
    app: &Arc<App>,
    arrived: Arrived,
    writing: impl Future<Output = Result<Idempotent<StoredFile>, Failure>> + Send + 'static,
) -> Result<Idempotent<StoredFile>, Failure> {
    let app = Arc::clone(app);
    // A task of its own: a caller that hangs up must not stop it half-way, with bytes that no file has.
    let keeping = async move {
        let Arrived { mut upload, file } = arrived;
        upload.finish().await.map_err(|error| storage_error(&error))?;
        let written = writing.await;
        let is_refused = |failure: &Failure| failure.problem.code.status() < 500;
        // After any other error it may have been written down all the same; if not, the bytes are swept away later.
        if written
            .as_ref()
            .map_or_else(is_refused, |idempotent| matches!(idempotent, Idempotent::Replayed(_)))
        {
            drop_bytes(&app, file.id).await;
        }
        written
    };
    tokio::spawn(keeping.in_current_span()).await.unwrap_or_else(|error| {
        let cause = format!("the task that kept a file did not end well: {error}");
        Err(Failure { cause: Some(cause), ..Failure::internal() })
    })
}

fn storage_error(error: &object_store::Error) -> Failure {
    Failure::outage(Storage::Files, outage::of_files(error), error)
}

fn unread(error: &object_store::Error) -> Failure {
    match error {
        object_store::Error::NotFound { .. } => not_found().into(),
        error => storage_error(error),
    }
}

async fn drop_bytes(app: &App, file: Id<File>) {
    // What can't be removed now is swept away later.
    if let Err(error) = app.files.remove(file).await {
        outage::report_files(&error, &format!("bytes of no file could not be removed: {file}"));
    }
}

/// The type of a file as a download tells it. Of a text without a charset many programs think that it is in Latin-1.
async fn type_with_charset(app: &App, file: &StoredFile) -> Result<String, Failure> {
    if !file.mime_type.starts_with("text/") {
        return Ok(file.mime_type.clone());
    }
    let end = file.size.min(kind::HEAD as u64);
    let options = GetOptions { range: Some(GetRange::Bounded(0..end)), ..GetOptions::default() };
    let head = app.files.read(file.id, options).await.map_err(|error| unread(&error))?;
    let head = head.bytes().await.map_err(|error| unread(&error))?;
    Ok(match kind::charset(&head, end == file.size) {
        Some(charset) => format!("{}; charset={charset}", file.mime_type),
        None => file.mime_type.clone(),
    })
}

/// Answers with a file, or the part of it that is asked for (RFC 9110 §13, §14).
async fn send(
    app: &App,
    file: &StoredFile,
    mime_type: String,
    asked: &HeaderMap,
) -> Result<Response, Failure> {
    let etag = format!("\"{}\"", file.content);
    let text = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    let matches = |list: &str| {
        list.split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == etag || tag == "*")
    };
    let mut headers = file_headers(file, mime_type, &etag);
    if text(header::IF_NONE_MATCH).is_some_and(matches) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    // A part of another version is no part of this one.
    let range =
        text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(|tag| tag == etag));
    let wanted = match range.map(|range| part(range, file.size)) {
        None | Some(Part::Whole) => None,
        Some(Part::Of(range)) => Some(range),
        Some(Part::None) => {
            let size = HeaderValue::try_from(format!("bytes */{}", file.size));
            headers.insert(header::CONTENT_RANGE, size.expect("digits"));
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
    };
    let options =
        GetOptions { range: wanted.clone().map(GetRange::Bounded), ..GetOptions::default() };
    let bytes = app.files.read(file.id, options).await.map_err(|error| unread(&error))?;
    let (status, length) = match wanted {
        None => (StatusCode::OK, file.size),
        Some(Range { start, end }) => {
            let range = HeaderValue::try_from(format!("bytes {start}-{}/{}", end - 1, file.size));
            headers.insert(header::CONTENT_RANGE, range.expect("digits"));
            (StatusCode::PARTIAL_CONTENT, end - start)
        }
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok((status, headers, Body::from_stream(bytes.into_stream())).into_response())
}

/// Headers under which a stranger's file does no harm in a browser.
fn file_headers(file: &StoredFile, mime_type: String, etag: &str) -> HeaderMap {
    /// What RFC 8187 lets stand unencoded.
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let name = file.filename.as_deref().unwrap_or("file");
    let ascii: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !"\"\\%".contains(c) { c } else { '_' })
        .collect();
    let encoded = utf8_percent_encode(name, PLAIN);
    let disposition = format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}");
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, mime_type),
        (header::CONTENT_DISPOSITION, disposition),
        (header::ETAG, etag.to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
        (header::CACHE_CONTROL, "private, max-age=3600, immutable".to_owned()),
    ] {
        let value = HeaderValue::try_from(value).expect("types and names were made visible ASCII");
        headers.insert(name, value);
    }
    headers
}

enum Part {
    Whole,
    Of(Range<u64>),
    None,
}

/// The part that a Range header asks for. Several parts at once, or what is no range of bytes, is
/// answered with the whole, as RFC 9110 §14.2 allows.
fn part(range: &str, size: u64) -> Part {
    let Some((start, end)) = range.strip_prefix("bytes=").and_then(|spec| spec.split_once('-'))
    else {
        return Part::Whole;
    };
    let range = match (start.trim().parse::<u64>().ok(), end.trim().parse::<u64>().ok()) {
        (Some(start), Some(end)) if start <= end => start..end.saturating_add(1).min(size),
        (Some(start), None) if end.trim().is_empty() => start..size,
        (None, Some(last)) if start.trim().is_empty() => size.saturating_sub(last)..size,
        _ => return Part::Whole,
    };
    if range.is_empty() { Part::None } else { Part::Of(range) }
}

//! A file on its way out, or the part of it that is asked for (RFC 9110 §13, §14).

use std::ops::Range;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use object_store::{GetOptions, GetRange};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use switchboard_model::file::StoredFile;

use super::{not_found, storage_error};
use crate::{
    api::http::problem::Failure,
    files::{FileBytes, kind},
};

/// The type of a file as a download tells it. Of a text without a charset many programs think that it is in Latin-1.
pub(super) async fn type_with_charset(
    files: &FileBytes,
    file: &StoredFile,
) -> Result<String, Failure> {
    if !file.mime_type.starts_with("text/") {
        return Ok(file.mime_type.clone());
    }
    let end = file.size.min(kind::HEAD as u64);
    let options = GetOptions { range: Some(GetRange::Bounded(0..end)), ..GetOptions::default() };
    let head = files.read(file.id, options).await.map_err(|error| unread(&error))?;
    let head = head.bytes().await.map_err(|error| unread(&error))?;
    Ok(match kind::charset(&head, end == file.size) {
        Some(charset) => format!("{}; charset={charset}", file.mime_type),
        None => file.mime_type.clone(),
    })
}

fn unread(error: &object_store::Error) -> Failure {
    match error {
        object_store::Error::NotFound { .. } => not_found().into(),
        error => storage_error(error),
    }
}

/// Answers with a file, or the part of it that is asked for (RFC 9110 §13, §14).
pub(super) async fn send(
    files: &FileBytes,
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
    let bytes = files.read(file.id, options).await.map_err(|error| unread(&error))?;
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

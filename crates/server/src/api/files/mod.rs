//! POST and GET /v1/files, the signed download, and the same two for bridges.

mod download;
mod upload;

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use switchboard_model::{Code, File, Problem, file::StoredFile, id::Id, time::Clock};
use switchboard_store::{Files, Idempotent, Refusal};

use self::{
    download::{send, type_with_charset},
    upload::{KindOf, Limit, announced, declared, receive},
};
use super::http::{
    caller::{Caller, Linked},
    envelope,
    idempotency::{Idempotency, Name, NotBegun},
    names::id_of,
    problem::Failure,
    query::Query,
    request_id::RequestId,
};
use crate::{
    files::{FileBytes, form, kind},
    outage::{self, Storage},
    quota::{Occasionally, uploads::Uploads},
    uncancelled::uncancelled,
};

/// What carries files in and out.
pub(crate) struct Transfers {
    pub(crate) store: Arc<dyn Files>,
    pub(crate) files: Arc<FileBytes>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) idempotency: Arc<Idempotency>,
    /// Room for uploads.
    pub(crate) uploads: Uploads,
    /// What an account may have stored.
    pub(crate) max_stored_bytes: u64,
    /// An account has more stored than it may.
    pub(crate) storage_told: Occasionally,
}

/// Takes a file: raw bytes, whose type is the Content-Type header's.
pub(crate) async fn upload(
    State(transfers): State<Arc<Transfers>>,
    caller: Caller,
    id: RequestId,
    request: Request,
) -> Result<Response, NotBegun> {
    // Judged before the bytes come, which may take long.
    let account = caller.owner()?;
    let lines = caller.restricted_lines().await?;
    let (parts, body) = request.into_parts();
    let entered = transfers.idempotency.enter(&caller, id, Name::of(&parts)?)?;
    let request = Request::from_parts(parts, body);
    let most = transfers.max_stored_bytes;
    let mut limit = Limit { room: transfers.uploads.enter(account, most), entered, is_over: false };
    // Bytes that there is no room for need not come.
    if !limit.room.has(&*transfers.store, announced(request.headers())).await? {
        limit.exceed().await?;
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
    let arrived = receive(&transfers, request, kind_of, Some(&mut limit)).await?;
    let Limit { room, entered, is_over } = limit;
    let file = arrived.file.clone();
    // The same request is one with the same bytes, type and name: known only now.
    let body = format!("{} {} {:?}", file.content, file.mime_type, file.filename);
    let in_flight = entered.begin(body.as_bytes()).await?;
    if is_over {
        return Err(room.full().into());
    }
    let shown = transfers.files.show(file.clone(), transfers.clock.steady());
    let keeping = in_flight.answer(StatusCode::CREATED, &shown, |record| async move {
        let Transfers { store, files, .. } = &*transfers;
        let write = async move {
            // Until it is written down.
            let _room = room;
            Ok(store.create_file(account, lines, file, most, record).await?)
        };
        arrived.keep(files, write).await
    });
    Ok(keeping.await?)
}

/// Sends the caller to a URL that needs no key.
pub(crate) async fn show(
    State(transfers): State<Arc<Transfers>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Failure> {
    let file: Id<File> = id_of(query.required("id")?, "id")?;
    let account = caller.account().ok_or_else(not_found)?;
    let lines = caller.restricted_lines().await?;
    let file = transfers.store.file(account, lines, file).await?.ok_or_else(not_found)?;
    let url = transfers.files.url(file.id, transfers.clock.steady());
    Ok((StatusCode::FOUND, [(header::LOCATION, url)]).into_response())
}

/// Hands out the bytes to whoever shows a signed URL.
pub(crate) async fn download(
    State(transfers): State<Arc<Transfers>>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Failure> {
    let file: Id<File> = id_of(query.required("id")?, "id")?;
    let expires = query.required("expires")?.parse().unwrap_or(0);
    if !transfers.files.opens(file, expires, query.required("signature")?, transfers.clock.steady())
    {
        let message = "This URL was not made by this server, or it has expired. Ask for a new one.";
        return Err(Problem::new(Code::FileNotFound, message).param("signature").into());
    }
    let file = transfers.store.signed_file(file).await?.ok_or_else(not_found)?;
    let mime_type = type_with_charset(&transfers.files, &file).await?;
    send(&transfers.files, &file, mime_type, &headers).await
}

/// Takes a file that came with a message, from the bridge of the line.
pub(crate) async fn bridge_upload(
    State(transfers): State<Arc<Transfers>>,
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
    let arrived = receive(&transfers, request, kind_of, None).await?;
    let StoredFile { id: file, filename, mime_type, size, .. } = arrived.file.clone();
    let uploaded = Uploaded { id: file, filename, mime_type, size };
    let keeping = uncancelled(async move {
        let Transfers { store, files, max_stored_bytes: most, storage_told, .. } = &*transfers;
        let file = arrived.file.clone();
        let write = async move {
            let created = store.create_bridge_file(bridge.id, line, file).await;
            let about = |error| Failure::about(error, &Refusal::LineNotFound, "line_id");
            let (file, account) = created.map_err(about)?;
            let stored = store.stored_bytes(account).await?;
            if stored > *most && storage_told.is_time() {
                tracing::warn!(
                    %account,
                    stored,
                    most,
                    "an account has more stored than --max-stored-bytes; what comes in with messages is kept all the same"
                );
            }
            Ok(Idempotent::Fresh(file))
        };
        arrived.keep(files, write).await
    });
    keeping.await?;
    Ok(envelope::one(StatusCode::CREATED, &uploaded, &id))
}

/// Hands the bytes of a file to the bridge that is to send it.
pub(crate) async fn bridge_download(
    State(transfers): State<Arc<Transfers>>,
    Linked(bridge): Linked,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Failure> {
    let file = id_of(query.required("id")?, "id")?;
    let file = transfers.store.bridge_file(bridge.id, file).await?.ok_or_else(not_found)?;
    send(&transfers.files, &file, file.mime_type.clone(), &headers).await
}

fn not_found() -> Problem {
    Problem::new(Code::FileNotFound, "There is no file with this id.").param("id")
}

fn storage_error(error: &object_store::Error) -> Failure {
    Failure::outage(Storage::Files, outage::of_files(error), error)
}

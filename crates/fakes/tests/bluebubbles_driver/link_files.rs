//! The files of the link's server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::get,
};
use switchboard_bridge::{BridgeConfig, FileClient};
use switchboard_model::{File, id::Id};

/// Name and bytes.
type Named = (String, Vec<u8>);

/// What can be fetched, and what was uploaded.
#[derive(Default)]
pub(crate) struct Files {
    kept: Mutex<HashMap<String, Vec<u8>>>,
    uploaded: Mutex<HashMap<Id<File>, Named>>,
}

impl Files {
    pub(crate) fn keep(&self, id: Id<File>, bytes: &[u8]) {
        self.kept.lock().unwrap().insert(id.to_string(), bytes.to_vec());
    }

    pub(crate) fn uploaded(&self, id: Id<File>) -> Named {
        self.uploaded.lock().unwrap()[&id].clone()
    }

    pub(crate) async fn serve(self: &Arc<Self>) -> FileClient {
        let router = Router::new()
            .route("/bridge/v1/files", get(give).post(take))
            .with_state(Arc::clone(self));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/bridge/v1/link", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        BridgeConfig::new(&url, "t").unwrap().files().clone()
    }
}

type Asked = Query<HashMap<String, String>>;

async fn give(State(files): State<Arc<Files>>, Query(of): Asked) -> impl IntoResponse {
    match files.kept.lock().unwrap().get(&of["id"]) {
        Some(bytes) => (StatusCode::OK, bytes.clone()),
        None => (StatusCode::NOT_FOUND, Vec::new()),
    }
}

async fn take(
    State(files): State<Arc<Files>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> impl IntoResponse {
    let header = |name: &str| headers.get(name).map(|one| one.to_str().unwrap().to_owned());
    let name = header("x-filename").unwrap_or_default();
    let file = File {
        id: Id::generate(),
        url: None,
        filename: Some(name.clone()),
        mime_type: header("content-type").unwrap(),
        size: bytes.len() as u64,
    };
    files.uploaded.lock().unwrap().insert(file.id, (name, bytes.to_vec()));
    (StatusCode::CREATED, axum::Json(file))
}

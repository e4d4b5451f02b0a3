//! The ceiling: a bare axum route that parses the same body and echoes it, and does nothing else.

use std::net::{Ipv4Addr, SocketAddr};

use axum::{Json, Router, routing::post, serve::ListenerExt as _};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, task::JoinHandle};

/// The bodies of every benchmark. A struct, because it parses faster than a `Value` and a
/// ceiling is to be high.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    from: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
}

/// The bare server. Stops when it is dropped.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Bare {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/v1/messages", post(echo))
            .route("/simulator/v1/messages", post(echo));
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let task = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, task })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn echo(Json(body): Json<Body>) -> Json<Body> {
    Json(body)
}

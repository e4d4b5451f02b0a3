//! Reads what a refused request still sends: a client that finds the connection closed while it writes never gets to
//! read why.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::HttpBody, extract::Request};
use bytes::Bytes;
use http::header::EXPECT;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Limited};

/// The most bytes of a refused body that are read, and how long that may take. More than a file has by default.
const MAX_DRAINED: usize = 128 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A request's body. What nobody has read of it is read when it is dropped, beside the answer. That ends by itself, and
/// with the connection.
pub(crate) struct DrainOnDrop {
    body: axum::body::Body,
    /// The client sends nothing before it is asked to, which the first look at the body does.
    waits_for_leave: bool,
    /// Nothing more comes, or nothing came when it was last looked for.
    silent: bool,
}

impl DrainOnDrop {
    /// Wraps the body of a request, if there is one.
    pub(crate) fn watch(request: Request) -> Request {
        if request.body().is_end_stream() {
            return request;
        }
        let waits_for_leave = request.headers().contains_key(EXPECT);
        request.map(|body| axum::body::Body::new(Self { body, waits_for_leave, silent: false }))
    }
}

impl HttpBody for DrainOnDrop {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.waits_for_leave = false;
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.silent = !matches!(frame, Poll::Ready(Some(Ok(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for DrainOnDrop {
    fn drop(&mut self) {
        if self.silent || self.waits_for_leave || self.body.is_end_stream() {
            return;
        }
        let mut rest = Limited::new(std::mem::take(&mut self.body), MAX_DRAINED);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let reading = async { while let Some(Ok(_)) = rest.frame().await {} };
                let _ = tokio::time::timeout(DRAIN_TIMEOUT, reading).await;
            });
        }
    }
}

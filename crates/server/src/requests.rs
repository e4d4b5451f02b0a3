//! The requests that are under way: counted, and told who sends them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{Router, body::Body, extract::Request, routing::future::RouteFuture};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::Notify;

use crate::{guarded::Guarded, quota::heads::Head};

/// The address that a request came from: of a proxy, where there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// An answer's extension: its body may go on for days, with little in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsLive;

/// The requests of one listener that are under way: from their head to the end of their answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    under_way: AtomicUsize,
    /// The last of them has ended.
    none: Notify,
}

impl Requests {
    pub(crate) fn under_way(&self) -> usize {
        self.0.under_way.load(Ordering::Acquire)
    }

    /// Returns when none is under way.
    pub(crate) async fn none(&self) {
        loop {
            let none = self.0.none.notified();
            if self.under_way() == 0 {
                return;
            }
            none.await;
        }
    }

    /// The router, for what comes from this address on one connection.
    pub(crate) fn counted(
        &self,
        router: Router,
        peer: SocketAddr,
        head: Arc<Head>,
    ) -> CountedRouter {
        CountedRouter { router, peer: Peer(peer), head, requests: self.clone() }
    }
}

/// A router whose requests are counted until their answers have been taken.
#[derive(Debug, Clone)]
pub(crate) struct CountedRouter {
    router: Router,
    peer: Peer,
    head: Arc<Head>,
    requests: Requests,
}

impl tower::Service<http::Request<Incoming>> for CountedRouter {
    type Response = Response<UnderWayBody>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        tower::Service::<Request>::poll_ready(&mut self.router, cx)
    }

    fn call(&mut self, request: http::Request<Incoming>) -> Answering {
        let guard = Some(RequestGuard::enter(&self.requests.0));
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(self.peer);
        Answering { answering: self.router.call(request), head: Arc::clone(&self.head), guard }
    }
}

/// An answer that is being made.
pub(crate) struct Answering {
    answering: RouteFuture<Infallible>,
    head: Arc<Head>,
    guard: Option<RequestGuard>,
}

impl Future for Answering {
    type Output = Result<Response<UnderWayBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.answering).poll(cx))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.head.was_last();
        }
        let guard = self.guard.take();
        Poll::Ready(Ok(response.map(|body| Guarded::new(body, guard))))
    }
}

/// A request's place among those under way; ends with it, however it ends.
#[derive(Debug)]
pub(crate) struct RequestGuard(Arc<Counts>);

impl RequestGuard {
    fn enter(counts: &Arc<Counts>) -> Self {
        counts.under_way.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(counts))
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

/// The body of an answer whose request is under way until it ends.
pub(crate) type UnderWayBody = Guarded<Body, Option<RequestGuard>>;

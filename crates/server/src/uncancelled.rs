//! Work that goes on when whoever wanted it hangs up.
//!
//! hyper drops a handler's future when its client is gone, and a link drops its branches when it ends. A command
//! that the store has taken is committed all the same, so what follows the commit must happen too: caches
//! forget, links and streams are told, the next step is woken.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use switchboard_store::StoreError;
use tokio::runtime::Handle;
use tracing::Instrument as _;

/// Does the work to its end, even if whoever wanted it hangs up: what is committed must be made known.
pub(crate) fn spawn_uncancelled<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> impl Future<Output = Result<T, StoreError>> + Send {
    uncancelled(work)
}

/// The same for work with any output.
pub(crate) fn uncancelled<W>(work: W) -> Uncancelled<W>
where
    W: Future<Output: Send> + Send + 'static,
{
    Uncancelled { work: Some(Box::pin(work)) }
}

/// Runs in its caller's task while that waits, so it costs no task of its own. Dropped before its end, the work
/// moves to one.
#[derive(Debug)]
pub(crate) struct Uncancelled<W>
where
    W: Future<Output: Send> + Send + 'static,
{
    /// None once it has ended.
    work: Option<Pin<Box<W>>>,
}

impl<W> Future for Uncancelled<W>
where
    W: Future<Output: Send> + Send + 'static,
{
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<W::Output> {
        // Taken out meanwhile: work that panics must not be polled again.
        let mut work = self.work.take().expect("a future is not polled after its end");
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<W> Drop for Uncancelled<W>
where
    W: Future<Output: Send> + Send + 'static,
{
    fn drop(&mut self) {
        // Without a runtime the process is ending, and what is in memory with it.
        if let Some(work) = self.work.take()
            && let Ok(runtime) = Handle::try_current()
        {
            // In the span of its caller, which is entered while the caller is dropped.
            runtime.spawn(work.in_current_span());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Notify, oneshot};

    use super::*;

    #[tokio::test]
    async fn what_is_dropped_goes_on_and_what_has_ended_does_not() {
        let (go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let work = {
            let (go, done) = (Arc::clone(&go), Arc::clone(&done));
            async move {
                go.notified().await;
                done.notify_one();
            }
        };
        let mut dropped = Box::pin(uncancelled(work));
        assert!(futures_util::poll!(dropped.as_mut()).is_pending());
        drop(dropped);
        go.notify_one();
        done.notified().await;
        assert_eq!(uncancelled(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn what_panics_is_left_alone() {
        let (started, starts) = oneshot::channel();
        let task = tokio::spawn(uncancelled(async move {
            started.send(()).expect("the test waits");
            tokio::task::yield_now().await;
            panic!("as it must in this test");
        }));
        starts.await.expect("it starts");
        assert!(task.await.expect_err("it panics").is_panic());
    }
}

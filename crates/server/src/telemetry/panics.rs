//! Panics are counted, and logged through the log: what the standard library writes itself would hang
//! the thread when nobody reads standard error.

use std::{
    panic::{self, PanicHookInfo},
    sync::{
        Once,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a panicking thread waits for its line to be written: the process may be about to abort.
const FLUSH: Duration = Duration::from_millis(50);

static COUNT: AtomicU64 = AtomicU64::new(0);
static LOGGED: AtomicBool = AtomicBool::new(false);
static WATCHED: Once = Once::new();

/// Counts panics from now on. They are told as they were before, until [`log`] is called.
pub(crate) fn watch() {
    WATCHED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            COUNT.fetch_add(1, Ordering::Relaxed);
            if LOGGED.load(Ordering::Relaxed) { tell(info) } else { before(info) }
        }));
    });
}

/// Logs panics from now on, instead of writing them to standard error.
pub(super) fn log() {
    watch();
    LOGGED.store(true, Ordering::Relaxed);
}

pub(super) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

fn tell(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let message = without_quotes(info.payload_as_str().unwrap_or("not a text"));
    match info.location() {
        Some(at) => tracing::error!(thread, %at, message, "a thread panicked"),
        None => tracing::error!(thread, message, "a thread panicked"),
    }
    super::flush(FLUSH);
}

/// The message up to its first quotation: what is quoted there may be a text that somebody sent.
fn without_quotes(message: &str) -> &str {
    message.split(['"', '`', '\'']).next().unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_quotes_is_not_logged() {
        assert_eq!(
            without_quotes("index out of bounds: the len is 3"),
            "index out of bounds: the len is 3"
        );
        assert_eq!(
            without_quotes("it is no number: Text(\"+15550100002\")"),
            "it is no number: Text("
        );
        assert_eq!(without_quotes("byte index 1 is in 'é' of `én`"), "byte index 1 is in");
    }
}

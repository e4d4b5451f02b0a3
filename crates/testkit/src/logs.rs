//! The log of a test: an ERROR line that nobody expected fails it.

use std::{
    fmt::Write as _,
    sync::{Mutex, Once, PoisonError},
    thread::{self, ThreadId},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, filter::LevelFilter, layer::Context, layer::SubscriberExt, util::SubscriberInitExt,
};

/// The lines, each with the thread of the test that wrote it.
static ERRORS: Mutex<Vec<(Option<ThreadId>, String)>> = Mutex::new(Vec::new());
static STARTED: Once = Once::new();

/// Starts to watch the log of this process, once.
pub(crate) fn watch() {
    STARTED.call_once(|| {
        // A subscriber that is there already would hide the errors: better to hear of it.
        // What nobody looks at must cost nothing: benchmarks run on this too.
        tracing_subscriber::registry().with(LevelFilter::ERROR).with(ErrorLines).init();
    });
}

/// Takes the ERROR lines since the last call: those of this test, and those of threads that
/// tests side by side in one process can't be told apart by.
pub(crate) fn take_errors() -> Vec<String> {
    let mut errors = ERRORS.lock().unwrap_or_else(PoisonError::into_inner);
    let (current, mut taken) = (thread::current().id(), Vec::new());
    errors.retain_mut(|(thread, line)| {
        let others = thread.is_some_and(|thread| thread != current);
        if !others {
            taken.push(std::mem::take(line));
        }
        others
    });
    taken
}

/// The thread of a test, which the test harness names by the test's path.
fn test_thread() -> Option<ThreadId> {
    let thread = thread::current();
    thread.name().is_some_and(|name| name.contains("::")).then(|| thread.id())
}

struct ErrorLines;

impl<S: Subscriber> Layer<S> for ErrorLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            let mut line = Line(format!("{}:", event.metadata().target()));
            event.record(&mut line);
            ERRORS.lock().unwrap_or_else(PoisonError::into_inner).push((test_thread(), line.0));
        }
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

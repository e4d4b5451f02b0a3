//! The log's way to standard error: a bounded buffer and one thread that empties it.
//!
//! Whoever logs only appends to the buffer: it neither waits for a reader of standard error that has
//! stalled nor hears of a disk that is full. Lines that are lost are counted, and one line says how many
//! as soon as lines can be written again.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    os::fd::AsFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::{
    MakeWriter, format,
    time::{FormatTime, SystemTime},
};

use crate::config::LogFormat;

/// Bytes of lines that may wait to be written: some four thousand lines.
const MAX_WAITING: usize = 1024 * 1024;
/// What one call writes, if lines end in it: a pipe takes so many bytes whole, so that the lines of
/// processes that share one are not mixed.
const MAX_WRITE: usize = 4096;
/// The capacity that an empty buffer keeps.
const KEPT: usize = 64 * 1024;
/// How often it is tried again to say what was lost.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// The pause where standard error is non-blocking and full.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// Takes lines for standard error, and never fails or waits.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<Shared>);

struct Shared {
    waiting: Mutex<Buffer>,
    /// There is something to write.
    more: Condvar,
    /// All is written.
    idle: Condvar,
    /// Lines that were lost since the start.
    dropped: AtomicU64,
}

#[derive(Default)]
struct Buffer {
    lines: Vec<u8>,
    /// Lines that found no room since `lines` was last taken: they come after all that is in it.
    dropped: u64,
    is_writing: bool,
}

impl LogWriter {
    /// Writes to standard error, through a descriptor of its own: nobody else waits for a write that hangs.
    pub(super) fn to_stderr(format: LogFormat) -> Self {
        match io::stderr().as_fd().try_clone_to_owned() {
            Ok(stderr) => Self::start(File::from(stderr), format),
            Err(_) => Self::start(io::stderr(), format),
        }
    }

    /// Writes there.
    pub(super) fn start(out: impl Write + Send + 'static, format: LogFormat) -> Self {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            more: Condvar::new(),
            idle: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let mut writing =
            Writing { shared: Arc::clone(&shared), out, format, lost: 0, is_torn: false };
        let thread = thread::Builder::new().name("log".to_owned());
        // Without a thread the lines are dropped and counted: a server without a log is better than none.
        let _ = thread.spawn(move || {
            // Nothing in it panics; were it to, the log must go on.
            while catch_unwind(AssertUnwindSafe(|| writing.run())).is_err() {}
        });
        Self(shared)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn flush(&self, most: Duration) {
        let deadline = Instant::now() + most;
        let mut waiting = self.0.waiting();
        while waiting.is_writing || !waiting.lines.is_empty() || waiting.dropped > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.idle.wait_timeout(waiting, left);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.0.waiting();
        if waiting.lines.len() + line.len() > MAX_WAITING {
            waiting.dropped += 1;
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        } else {
            waiting.lines.extend_from_slice(line);
        }
        if !waiting.is_writing {
            self.0.more.notify_one();
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Buffer> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// Each call has one whole line: so the subscriber writes.
impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread's side.
struct Writing<W> {
    shared: Arc<Shared>,
    out: W,
    format: LogFormat,
    /// Lines that were lost and not told of yet.
    lost: u64,
    /// The last write ended within a line.
    is_torn: bool,
}

impl<W: Write> Writing<W> {
    fn run(&mut self) {
        let mut lines = Vec::new();
        loop {
            lines.clear();
            lines.shrink_to(KEPT);
            let dropped = self.take(&mut lines);
            let is_written = self.write_lines(&lines);
            self.lost += dropped;
            if is_written {
                self.tell_lost();
            }
            let mut waiting = self.shared.waiting();
            waiting.is_writing = false;
            if waiting.lines.is_empty() && waiting.dropped == 0 {
                self.shared.idle.notify_all();
            }
        }
    }

    /// Waits for lines, and takes them all; also how many found no room after them. None at all if it is
    /// time to try again to say what was lost.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let mut waiting = self.shared.waiting();
        while waiting.lines.is_empty() && waiting.dropped == 0 {
            if self.lost == 0 {
                let more = self.shared.more.wait(waiting);
                waiting = more.unwrap_or_else(PoisonError::into_inner);
            } else {
                let more = self.shared.more.wait_timeout(waiting, RETRY_EVERY);
                let (back, timeout) = more.unwrap_or_else(PoisonError::into_inner);
                waiting = back;
                if timeout.timed_out() {
                    break;
                }
            }
        }
        waiting.is_writing = true;
        std::mem::swap(&mut waiting.lines, lines);
        std::mem::take(&mut waiting.dropped)
    }

    /// Writes lines; whether all of them. What is not written is lost.
    fn write_lines(&mut self, mut lines: &[u8]) -> bool {
        while !lines.is_empty() {
            let (now, rest) = lines.split_at(write_size(lines));
            let written = self.write_some(now);
            if written < now.len() {
                let lost = count_lines(&now[written..]) + count_lines(rest);
                self.lost += lost;
                self.shared.dropped.fetch_add(lost, Ordering::Relaxed);
                return false;
            }
            lines = rest;
        }
        true
    }

    /// Writes all of it, or answers how much could be.
    fn write_some(&mut self, bytes: &[u8]) -> usize {
        if self.is_torn {
            match self.write_once(b"\n") {
                Ok(1..) => self.is_torn = false,
                Ok(0) | Err(_) => return 0,
            }
        }
        let mut written = 0;
        while written < bytes.len() {
            match self.write_once(&bytes[written..]) {
                Ok(0) | Err(_) => break,
                Ok(more) => written += more,
            }
        }
        if written > 0 {
            self.is_torn = bytes[written - 1] != b'\n';
        }
        written
    }

    fn write_once(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.out.write(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::park_timeout(FULL_PAUSE)
                }
                written => return written,
            }
        }
    }

    fn tell_lost(&mut self) {
        if self.lost == 0 {
            return;
        }
        let line = lost_line(self.format, self.lost);
        if self.write_some(line.as_bytes()) == line.len() {
            self.lost = 0;
        }
    }
}

/// How much of these lines is written at once: whole lines, or one that is longer.
fn write_size(lines: &[u8]) -> usize {
    let start = &lines[..lines.len().min(MAX_WRITE)];
    match start.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => end + 1,
        None => lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |end| end + 1),
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |count, byte| count + u64::from(*byte == b'\n'))
}

/// As the subscriber would write it: through the subscriber it could be filtered out, or find no room.
fn lost_line(format: LogFormat, lost: u64) -> String {
    let mut time = String::new();
    // Without a time it is still worth saying.
    let _ = SystemTime.format_time(&mut format::Writer::new(&mut time));
    let (target, message) =
        (module_path!(), "log lines were lost, because standard error took no more");
    match format {
        LogFormat::Text => format!("{time}  WARN {target}: {message} lines={lost}\n"),
        LogFormat::Json => {
            let line = serde_json::json!({
                "timestamp": time,
                "level": "WARN",
                "fields": { "message": message, "lines": lost },
                "target": target,
            });
            format!("{line}\n")
        }
    }
}

#[cfg(test)]
mod tests;

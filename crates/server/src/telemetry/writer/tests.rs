use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// How standard error behaves.
#[derive(Clone, Copy)]
enum Mode {
    Takes,
    /// Takes so many bytes once, and is full then.
    Tears(usize),
    Full,
    Stalls,
}

struct Fake {
    mode: Arc<(Mutex<Mode>, Condvar)>,
    written: Sender<String>,
}

impl Write for Fake {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mode = self.mode.0.lock().unwrap();
        let stalls = |mode: &mut Mode| matches!(mode, Mode::Stalls);
        let mut mode = self.mode.1.wait_while(mode, stalls).unwrap();
        let most = match *mode {
            Mode::Takes => bytes.len(),
            Mode::Tears(bytes) => {
                *mode = Mode::Full;
                bytes
            }
            Mode::Full | Mode::Stalls => return Err(ErrorKind::StorageFull.into()),
        };
        let written = String::from_utf8(bytes[..most].to_vec()).unwrap();
        let _ = self.written.send(written);
        Ok(most)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Log {
    writer: LogWriter,
    mode: Arc<(Mutex<Mode>, Condvar)>,
    writes: Receiver<String>,
}

impl Log {
    fn start(format: LogFormat, mode: Mode) -> Self {
        let mode = Arc::new((Mutex::new(mode), Condvar::new()));
        let (written, writes) = channel();
        let fake = Fake { mode: Arc::clone(&mode), written };
        Self { writer: LogWriter::start(fake, format), mode, writes }
    }

    fn set(&self, mode: Mode) {
        *self.mode.0.lock().unwrap() = mode;
        self.mode.1.notify_all();
    }

    fn next(&self) -> String {
        self.writes.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    fn wait_for_dropped(&self, lines: u64) {
        while self.writer.dropped() < lines {
            thread::yield_now();
        }
    }
}

#[test]
fn lines_that_could_not_be_written_are_told_as_soon_as_they_can() {
    let log = Log::start(LogFormat::Text, Mode::Full);
    for line in 1..=3 {
        log.writer.push(b"gone\n");
        log.wait_for_dropped(line);
    }
    // Nothing more is logged, and it is told all the same.
    log.set(Mode::Takes);
    let notice = log.next();
    assert!(notice.contains(" WARN ") && notice.ends_with("lines=3\n"), "{notice}");
    log.writer.push(b"back\n");
    assert_eq!(log.next(), "back\n");
    assert_eq!(log.writer.dropped(), 3);
}

#[test]
fn a_line_that_was_torn_does_not_run_into_the_next() {
    let log = Log::start(LogFormat::Json, Mode::Tears(4));
    log.writer.push(b"first line\n");
    assert_eq!(log.next(), "firs");
    log.wait_for_dropped(1);
    log.set(Mode::Takes);
    assert_eq!(log.next(), "\n");
    let notice: serde_json::Value = serde_json::from_str(&log.next()).unwrap();
    assert_eq!((&notice["level"], &notice["fields"]["lines"]), (&"WARN".into(), &1.into()));
}

#[test]
fn a_stalled_reader_stalls_nobody_and_hears_what_it_missed() {
    let log = Log::start(LogFormat::Text, Mode::Stalls);
    let line = [&[b'x'; 1023][..], b"\n"].concat();
    log.writer.push(&line);
    // The thread is in its write from now on.
    while !log.writer.0.waiting().is_writing {
        thread::yield_now();
    }
    for _ in 0..1024 + 7 {
        log.writer.push(&line);
    }
    assert_eq!(log.writer.dropped(), 7);
    // Nor does the end of the process wait for it.
    log.writer.flush(Duration::from_millis(1));
    log.set(Mode::Takes);
    let (mut lines, mut notice) = (0, None);
    while notice.is_none() {
        let text = log.next();
        lines += text.lines().filter(|line| line.starts_with('x')).count();
        notice = text.lines().find(|line| !line.starts_with('x')).map(str::to_owned);
    }
    assert_eq!(lines, 1 + 1024, "the notice stands where lines are missing");
    assert!(notice.unwrap().ends_with("lines=7"));
}

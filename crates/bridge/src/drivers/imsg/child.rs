//! The child `imsg rpc`: begun, kept, begun anew when it dies, and asked.
//!
//! The promise: a request that was written to a child is answered, or its caller learns that it may have been carried out.
//! Only what was never written is certainly not begun. A child is never asked to stop while it has something to send.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
    sync::{Notify, mpsc, oneshot, watch},
    time::timeout,
};
use tracing::{info, warn};

use super::rpc::RpcError;

/// How long a child may take to end after its input was closed.
const END_WITHIN: Duration = Duration::from_secs(5);
/// The first pause before a dead child is begun anew, and the longest.
const RESTART_MIN: Duration = Duration::from_millis(200);
const RESTART_MAX: Duration = Duration::from_secs(30);
/// A child that lived for so long was a good one: the pauses begin anew.
const GOOD_AFTER: Duration = Duration::from_secs(60);
/// Requests that wait to be written.
const QUEUE: usize = 256;
/// The longest line that is read, in bytes. A page of messages stands in one.
const MAX_LINE: usize = 64 * 1024 * 1024;

/// How imsg is run.
#[derive(Debug, Clone)]
pub struct ImsgProgram {
    /// The program.
    pub program: PathBuf,
    /// Another database than the one of Messages.
    pub db: Option<PathBuf>,
    /// What its environment has besides ours.
    pub env: Vec<(String, String)>,
    /// Which macOS it runs on (15, 26), where that is known.
    pub macos: Option<u32>,
}

/// Whether there is a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// None was begun yet, or one has died and the next was not begun.
    Down,
    /// The program can't be begun at all.
    Missing,
    /// One runs; the number tells it from the one before.
    Up(u64),
}

/// The child, whichever it is now.
pub(super) struct Child {
    program: ImsgProgram,
    now: Mutex<Option<Running>>,
    life: watch::Sender<Life>,
    ids: AtomicU64,
    /// The watch says something: a message, an overflow, its end.
    pub(super) pushed: Notify,
    events: mpsc::Sender<Pushed>,
    /// The child that is to end, for a new one to begin.
    unwanted: watch::Sender<Life>,
}

/// What imsg says without being asked.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) method: String,
    pub(super) params: Value,
}

/// Where whoever asked waits for the answer.
type Reply = oneshot::Sender<Result<Box<RawValue>, RpcError>>;

#[derive(Clone)]
struct Running {
    requests: mpsc::Sender<Vec<u8>>,
    waiting: Arc<Mutex<HashMap<u64, Reply>>>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<ErrorObject>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    params: Option<Value>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    #[serde(default)]
    data: Option<Value>,
}

impl Child {
    /// Nothing runs yet. What imsg says unasked arrives at the receiver.
    pub(super) fn new(program: ImsgProgram) -> (Arc<Self>, mpsc::Receiver<Pushed>) {
        let (events, pushed) = mpsc::channel(QUEUE);
        let child = Self {
            program,
            now: Mutex::default(),
            life: watch::Sender::new(Life::Down),
            ids: AtomicU64::new(1),
            pushed: Notify::new(),
            events,
            unwanted: watch::Sender::new(Life::Down),
        };
        (Arc::new(child), pushed)
    }

    /// Whether there is a child, now and at each change.
    pub(super) fn life(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    /// Asks for a new child in this one's place, if it is still there. What it has not answered counts as unknown.
    pub(super) fn begin_anew(&self, unwanted: Life) {
        self.unwanted.send_replace(unwanted);
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
        within: Duration,
    ) -> Result<T, RpcError> {
        let running = self.running().clone().ok_or(RpcError::NotRunning)?;
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let mut line = request.to_string().into_bytes();
        line.push(b'\n');
        let (reply, answer) = oneshot::channel();
        lock(&running.waiting).insert(id, reply);
        // It goes away with this, answered or not: a dropped caller must not stay in the list.
        let _forget = Forget { running: &running, id };
        // A child that does not read is found out all the same.
        match timeout(within, running.requests.send(line)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(RpcError::NotRunning),
            Err(_elapsed) => return Err(RpcError::Slow),
        }
        let raw = match timeout(within, answer).await {
            Ok(Ok(answered)) => answered?,
            Ok(Err(_)) => return Err(RpcError::Gone),
            Err(_elapsed) => return Err(RpcError::Slow),
        };
        // The parser's own message may quote a text.
        serde_json::from_str(raw.get()).map_err(|_| RpcError::Unreadable)
    }

    /// Keeps a child running until this is dropped, which kills it.
    pub(super) async fn keep(&self) {
        let (mut pause, mut number) = (RESTART_MIN, 0);
        loop {
            let began = tokio::time::Instant::now();
            match self.spawn() {
                Ok((mut process, stdin, stdout)) => {
                    number += 1;
                    self.carry(&mut process, stdin, stdout, number).await;
                }
                Err(error) => {
                    self.life.send_replace(Life::Missing);
                    warn!(program = %self.program.program.display(), %error, "imsg can't be run");
                }
            }
            if began.elapsed() > GOOD_AFTER {
                pause = RESTART_MIN;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RESTART_MAX);
        }
    }

    fn spawn(&self) -> std::io::Result<(Process, ChildStdin, ChildStdout)> {
        let mut command = Command::new(&self.program.program);
        command.arg("rpc");
        if let Some(db) = &self.program.db {
            command.arg("--db").arg(db);
        }
        command.envs(self.program.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // For people, and with harmless noise of Apple's frameworks; it may quote names.
        command.stderr(Stdio::null());
        command.kill_on_drop(true);
        let mut process = command.spawn()?;
        let missing = || std::io::Error::other("the child has no pipes");
        let stdin = process.stdin.take().ok_or_else(missing)?;
        let stdout = process.stdout.take().ok_or_else(missing)?;
        Ok((process, stdin, stdout))
    }

    async fn carry(
        &self,
        process: &mut Process,
        stdin: ChildStdin,
        stdout: ChildStdout,
        number: u64,
    ) {
        let (requests, outgoing) = mpsc::channel(QUEUE);
        let running = Running { requests, waiting: Arc::default() };
        *self.running() = Some(running.clone());
        self.life.send_replace(Life::Up(number));
        info!(number, "imsg runs");
        let why = tokio::select! {
            () = write(stdin, outgoing) => "its input broke",
            () = self.read(stdout, &running) => "its output ended",
            _ = process.wait() => "it ended",
            _ = is_unwanted(self.unwanted.subscribe(), number) => "a new one is wanted",
        };
        *self.running() = None;
        self.life.send_replace(Life::Down);
        // Whoever waits for an answer learns that none comes.
        lock(&running.waiting).clear();
        warn!(number, "imsg is begun anew: {why}");
        if timeout(END_WITHIN, process.kill()).await.is_err() {
            warn!(number, "imsg could not be killed in time");
        }
    }

    async fn read(&self, stdout: ChildStdout, running: &Running) {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            line.clear();
            match read_line(&mut lines, &mut line).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return,
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let Ok(said) = serde_json::from_slice::<Line>(&line) else {
                warn!("imsg wrote a line that can't be read; it is passed over");
                continue;
            };
            match said {
                Line { method: Some(method), params, .. } => {
                    if !method.starts_with("bridge.") {
                        self.pushed.notify_one();
                    }
                    // Whoever falls behind reads from its own place anyhow.
                    let params = params.unwrap_or(Value::Null);
                    let _ = self.events.try_send(Pushed { method, params });
                }
                Line { id: Some(id), result, error, .. } => {
                    let Some(reply) = lock(&running.waiting).remove(&id) else { continue };
                    let answer = match (result, error) {
                        (_, Some(error)) => {
                            Err(RpcError::Said { code: error.code, data: error.data })
                        }
                        (Some(result), None) => Ok(result),
                        (None, None) => Err(RpcError::Unreadable),
                    };
                    let _ = reply.send(answer);
                }
                _ => {}
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        lock(&self.now)
    }
}

async fn is_unwanted(mut unwanted: watch::Receiver<Life>, number: u64) {
    let _ = unwanted.wait_for(|life| *life == Life::Up(number)).await;
}

struct Forget<'a> {
    running: &'a Running,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.running.waiting).remove(&self.id);
    }
}

async fn write(mut stdin: ChildStdin, mut outgoing: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = outgoing.recv().await {
        if stdin.write_all(&line).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

/// Reads a line, of bounded length. False at the end.
async fn read_line(
    reader: &mut BufReader<ChildStdout>,
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(false);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let take = end.map_or(chunk.len(), |at| at + 1);
        if line.len() + take > MAX_LINE {
            return Err(std::io::Error::other("a line that is too long"));
        }
        line.extend_from_slice(&chunk[..take]);
        reader.consume(take);
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

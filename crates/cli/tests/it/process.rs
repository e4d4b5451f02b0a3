//! Starting the binary, talking to it, ending it.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Deserialize;
use switchboard_client::{AdminClient, Client, SimulatorClient};
use switchboard_testkit::judge;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
    time::{Instant, timeout},
};

/// How long the binary may take for anything before a test gives up waiting.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it may take to stop.
const FAREWELL: Duration = Duration::from_secs(5);

/// A free port, chosen by the system.
pub(crate) const ANY_PORT: &str = "127.0.0.1:0";

/// The binary, with nothing of this process's settings.
pub(crate) fn switchboard() -> Command {
    without_settings(env!("CARGO_BIN_EXE_switchboard"))
}

/// A program, with nothing of this process's settings.
pub(crate) fn without_settings(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os().filter(|(name, _)| is_setting(name)) {
        command.env_remove(name);
    }
    // Help is wrapped and errors are coloured by what the terminal is.
    command.env_remove("COLUMNS").env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn is_setting(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with("SWITCHBOARD_")
}

/// What a command that ended by itself has left.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// It did what it was told: what it printed.
    pub(crate) fn succeeded(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }

    /// It failed with this code and printed no data: what it said.
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{}", self.stderr);
        self.stderr
    }
}

/// Runs a command to its end.
pub(crate) async fn run(command: &mut Command) -> Done {
    let output = timeout(PATIENCE, command.output()).await.expect("it ends by itself").unwrap();
    Done {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the binary with these arguments to its end.
pub(crate) async fn run_args(args: &[&str]) -> Done {
    run(switchboard().args(args)).await
}

/// A running binary. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// None if it goes somewhere else.
    stdout: Option<BufReader<ChildStdout>>,
    stderr: Arc<Mutex<String>>,
    draining: JoinHandle<()>,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        let pipe = child.stderr.take();
        let stderr = Arc::<Mutex<String>>::default();
        // A full pipe would stop the process.
        let draining = tokio::spawn({
            let stderr = Arc::clone(&stderr);
            async move {
                let Some(mut pipe) = pipe.map(BufReader::new) else { return };
                let mut line = String::new();
                while pipe.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                    stderr.lock().unwrap().push_str(&std::mem::take(&mut line));
                }
            }
        });
        Self { child, stdout, stderr, draining }
    }

    /// The next line of stdout, without its end.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().expect("the test has not sent it elsewhere");
        let read = timeout(PATIENCE, stdout.read_line(&mut line)).await;
        let read = read.expect("it prints a line").unwrap();
        assert!(read > 0, "it ended instead of printing a line: {}", self.stderr());
        line.trim_end_matches('\n').to_owned()
    }

    /// What it has said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Its process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends a signal by its name.
    pub(crate) async fn signal(&self, name: &str) {
        self.signals(&[name]).await;
    }

    /// Sends signals, one right behind the other. To a process that has ended none is sent.
    pub(crate) async fn signals(&self, names: &[&str]) {
        let Some(pid) = self.child.id() else { return };
        let kill = names.iter().map(|name| format!("kill -s {name} {pid}")).collect::<Vec<_>>();
        // It may end by the first.
        let sent = Command::new("sh").args(["-c", &kill.join("; ")]).status();
        assert!(sent.await.unwrap().success());
    }

    /// The most memory that it ever had, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let pid = self.child.id().expect("it runs");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub(crate) async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        self.draining.await.unwrap();
        let stderr = self.stderr.lock().unwrap();
        stderr.clone()
    }

    /// Waits until it ends: how, and what was left on its stdout and in all on its stderr.
    pub(crate) async fn end(mut self) -> (ExitStatus, String, String) {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        let mut rest = String::new();
        if let Some(stdout) = &mut self.stdout {
            stdout.read_to_string(&mut rest).await.unwrap();
        }
        self.draining.await.unwrap();
        let stderr = self.stderr.lock().unwrap().clone();
        (status, rest, stderr)
    }

    /// Ends it with this signal: in time, with exit code 0 and nothing more on stdout.
    /// Returns all of its stderr.
    pub(crate) async fn stop(self, signal: &str) -> String {
        let began = Instant::now();
        self.signal(signal).await;
        let (status, stdout, stderr) = self.end().await;
        let took = began.elapsed();
        assert_eq!((status.code(), stdout.as_str()), (Some(0), ""), "{signal}: {stderr}");
        assert!(took < FAREWELL, "it took {took:?} to stop after {signal}");
        stderr
    }
}

/// What `dev --json` prints.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ready {
    pub(crate) api_url: String,
    pub(crate) api_key: String,
    pub(crate) line: String,
    pub(crate) operator_token: String,
    pub(crate) simulator_url: String,
    pub(crate) sandbox_line: String,
}

impl Ready {
    pub(crate) fn client(&self) -> Client {
        Client::builder(&self.api_url).key(&self.api_key).observe(judge).build().unwrap()
    }

    pub(crate) fn phones(&self) -> SimulatorClient {
        let builder = Client::builder(&self.api_url).key(&self.operator_token);
        builder.observe(judge).build_simulator().unwrap()
    }

    pub(crate) fn admin(&self) -> AdminClient {
        let builder = Client::builder(&self.api_url).key(&self.operator_token);
        builder.observe(judge).build_admin().unwrap()
    }
}

/// A development server.
pub(crate) struct Dev {
    pub(crate) process: Process,
    pub(crate) ready: Ready,
}

impl Dev {
    /// The command that starts one on this directory.
    pub(crate) fn command(dir: &Path, listen: &str) -> Command {
        let mut command = switchboard();
        command.arg("dev").arg("--data-dir").arg(dir).args(["--listen", listen]);
        command
    }

    /// Starts one and waits until it is ready.
    pub(crate) async fn start(dir: &Path, listen: &str) -> Self {
        Self::ready(Self::command(dir, listen).args(["--json", "--rate-limit", "1000000"])).await
    }

    /// Starts one by this command, which has `--json`.
    pub(crate) async fn ready(command: &mut Command) -> Self {
        let mut process = Process::spawn(command);
        let ready = serde_json::from_str(&process.line().await).unwrap();
        Self { process, ready }
    }

    /// Ends it well.
    pub(crate) async fn stop(self) {
        let stderr = self.process.stop("TERM").await;
        assert!(!stderr.contains("ERROR"), "the server wrote ERROR lines: {stderr}");
    }
}

/// The mode bits of a file or directory.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

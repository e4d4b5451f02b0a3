//! Asking imsg, and macOS: nothing here sends, starts or changes anything.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    time::timeout,
};

use super::{Automation, Facts};
use crate::commands::bridge::{driver::find_program, options::Imsg};

/// How long a program may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of a program, in bytes.
const MAX_OUTPUT: u64 = 4 * 1024 * 1024;
/// Conversations that are looked at for the accounts that they use.
const CHATS: u32 = 50;
/// Apple's number for "not authorized to send Apple events".
const NOT_AUTHORIZED: &str = "-1743";

/// Looks at everything.
pub(in super::super) async fn look(options: &Imsg, lines: Vec<String>) -> Facts {
    let wanted = options.imsg.display().to_string();
    let Some(program) = find_program(&options.imsg) else {
        return Facts::missing(wanted);
    };
    let version = output(&program, &["--version"]).await.map(|said| said.trim().to_owned());
    let status = output(&program, &["status", "--json"]).await.ok();
    let status = status.and_then(|said| serde_json::from_str(said.trim()).ok());
    let (rpc, accounts) = rpc(&program, options.db.as_deref()).await;
    Facts {
        program: Some(program.display().to_string()),
        wanted,
        version,
        status,
        rpc,
        accounts,
        automation: automation().await,
        lines,
    }
}

/// What a command prints.
async fn output(program: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn().map_err(|error| error.to_string())?;
    let stdout = child.stdout.take().ok_or("it has no output")?;
    let ended = async {
        let said = read_all(stdout).await?;
        let status = child.wait().await.map_err(|error| error.to_string())?;
        match status.success() {
            true => Ok(said),
            false => Err(format!("it ended with {status}")),
        }
    };
    timeout(TIMEOUT, ended).await.unwrap_or_else(|_| Err(slow()))
}

async fn read_all(out: impl AsyncRead + Unpin) -> Result<String, String> {
    let mut said = String::new();
    let read = out.take(MAX_OUTPUT).read_to_string(&mut said).await;
    read.map(|_| said).map_err(|error| error.to_string())
}

fn slow() -> String {
    format!("no answer within {} seconds", TIMEOUT.as_secs())
}

/// Asks a child of its own how it is, and which accounts conversations use.
async fn rpc(program: &Path, db: Option<&Path>) -> (Result<Value, String>, Vec<String>) {
    let mut command = Command::new(program);
    command.arg("rpc");
    if let Some(db) = db {
        command.arg("--db").arg(db);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let asked = async {
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
            return Err("it has no pipes".to_owned());
        };
        let ask = |id: u32, method: &str, params: Value| {
            format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
        };
        let asked = ask(1, "status", json!({})) + &ask(2, "chats.list", json!({"limit": CHATS}));
        stdin.write_all(asked.as_bytes()).await.map_err(|_| "it ended at once".to_owned())?;
        let mut lines = BufReader::new(stdout.take(MAX_OUTPUT)).lines();
        let (mut status, mut chats) = (None, None);
        while status.is_none() || chats.is_none() {
            let Ok(Some(line)) = lines.next_line().await else { break };
            let Ok(mut answer) = serde_json::from_str::<Value>(&line) else { continue };
            match answer["id"].as_u64() {
                Some(1) => status = Some(answer),
                Some(2) => chats = Some(answer["result"]["chats"].take()),
                _ => {}
            }
        }
        // Its clean end: nothing is queued there that could still happen.
        drop(stdin);
        let mut status = status.ok_or("it ended at once")?;
        if let Some(message) = status["error"]["message"].as_str() {
            return Err(message.to_owned());
        }
        Ok((status["result"].take(), chats.unwrap_or_default()))
    };
    match timeout(TIMEOUT, asked).await {
        Ok(Ok((status, chats))) => (Ok(status), accounts(&chats)),
        Ok(Err(why)) => (Err(why), Vec::new()),
        Err(_elapsed) => (Err(slow()), Vec::new()),
    }
}

/// The handles that are ours, as conversations name them: `E:bot@example.com`, `P:+15550100001`.
fn accounts(chats: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for chat in chats.as_array().into_iter().flatten() {
        for name in ["last_addressed_handle", "account_login"] {
            let Some(handle) = chat[name].as_str() else { continue };
            let handle = handle.trim_start_matches("E:").trim_start_matches("P:");
            if !handle.is_empty() && !found.iter().any(|one| one == handle) {
                found.push(handle.to_owned());
            }
        }
    }
    found
}

/// Asks Messages, if it is open, how many accounts it has. macOS may ask its owner whether that is allowed.
const HOW_MANY: [&str; 5] = [
    "if application \"Messages\" is running then",
    "tell application \"Messages\" to return count of accounts",
    "else",
    "return \"closed\"",
    "end if",
];

/// Whether Messages may be steered from here.
async fn automation() -> Automation {
    let Some(osascript) = find_program(&PathBuf::from("osascript")) else {
        return Automation::Unknown;
    };
    let mut command = Command::new(osascript);
    command.args(HOW_MANY.iter().flat_map(|line| ["-e", line]));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let Ok(mut child) = command.spawn() else { return Automation::Unknown };
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Automation::Unknown;
    };
    let ended = async { tokio::join!(read_all(stdout), read_all(stderr)) };
    let Ok((Ok(said), Ok(complaint))) = timeout(TIMEOUT, ended).await else {
        return Automation::Asks;
    };
    match (said.trim(), complaint.contains(NOT_AUTHORIZED)) {
        (_, true) => Automation::Denied,
        ("closed", _) => Automation::Closed,
        ("0", _) => Automation::SignedOut,
        (count, _) if count.parse::<u32>().is_ok() => Automation::Allowed,
        _ => Automation::Unknown,
    }
}

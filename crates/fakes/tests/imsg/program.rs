//! A child that lines are written to.

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use switchboard_fakes::imsg::Mac;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// One `imsg rpc`.
pub(crate) struct Imsg {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    /// What came and was not asked for yet.
    kept: Vec<Value>,
    last_id: u64,
}

impl Imsg {
    pub(crate) fn start(mac: &Mac) -> Self {
        let mut command = Command::new(mac.program());
        let command = command.args(["rpc", "--db", "/tmp/chat.db"]).kill_on_drop(true);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdin, stdout, kept: Vec::new(), last_id: 0 }
    }

    pub(crate) async fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Writes a request. Its id.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = json!(self.last_id);
        self.write(
            &json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string(),
        )
        .await;
        id
    }

    /// The next line as it is.
    pub(crate) async fn line(&mut self) -> Option<String> {
        timeout(PATIENCE, self.stdout.next_line()).await.expect("a line in time").unwrap()
    }

    async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at);
        }
        loop {
            let line = self.line().await.expect("the child lives");
            let value = serde_json::from_str::<Value>(&line).unwrap();
            if wanted(&value) {
                return value;
            }
            self.kept.push(value);
        }
    }

    pub(crate) async fn answer(&mut self, id: &Value) -> Value {
        self.find(|value| value.get("method").is_none() && &value["id"] == id).await
    }

    pub(crate) async fn notification(&mut self, method: &str) -> Value {
        self.find(|value| value["method"] == method).await["params"].take()
    }

    /// What has come so far and was not asked for.
    pub(crate) fn kept(&self) -> &[Value] {
        &self.kept
    }

    pub(crate) async fn ok(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        let mut answer = self.answer(&id).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    pub(crate) async fn error(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        let mut answer = self.answer(&id).await;
        assert!(answer.get("result").is_none(), "{method}: {answer}");
        answer["error"].take()
    }

    pub(crate) async fn code(&mut self, method: &str, params: Value) -> i64 {
        self.error(method, params).await["code"].as_i64().unwrap()
    }

    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// The exit code; none is a signal.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.expect("the child ends in time").unwrap().code()
    }
}

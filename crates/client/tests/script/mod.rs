//! A server that plays a script: one answer for one connection.

#![allow(dead_code, reason = "no test needs all of it")]
#![allow(unreachable_pub, reason = "a module of several tests")]

use serde_json::{Value, json};
use switchboard_client::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

pub const ID: &str = "01h6x2c9q7mv3k5t1w4y8z0abc";
pub const REQUEST: &str = "req_0123456789ab";

/// Answers one connection per line of the script, and gives back what it was asked.
pub async fn play(script: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in script {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "cut short");
            }
            asked.push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (url, asked)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

pub fn answer(status: u16, more: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/json\r\n\
         x-request-id: {REQUEST}\r\n{more}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn refusal(status: u16, kind: &str, code: &str, more: &str) -> String {
    let error = json!({ "type": kind, "code": code, "message": "No." });
    answer(status, more, &json!({ "error": error, "request_id": REQUEST }))
}

pub fn list(rows: &[Value], next: Option<&str>) -> String {
    let body = json!({
        "data": rows, "has_more": next.is_some(), "next_cursor": next, "request_id": REQUEST,
    });
    answer(200, "", &body)
}

/// The body of what was asked, as JSON.
pub fn body(asked: &str) -> Value {
    serde_json::from_str(asked.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// A header of what was asked.
pub fn header<'a>(asked: &'a str, name: &str) -> Option<&'a str> {
    let head = asked.split_once("\r\n\r\n").unwrap().0;
    head.lines().filter_map(|line| line.split_once(": ")).find(|(one, _)| *one == name).map(|h| h.1)
}

/// The answer to a write.
pub fn accepted() -> String {
    let body = json!({ "id": format!("obx_{ID}"), "status": "pending", "request_id": REQUEST });
    answer(201, "", &body)
}

pub fn client_of(url: &str) -> Client {
    Client::new(url, "sk_live_x").unwrap()
}

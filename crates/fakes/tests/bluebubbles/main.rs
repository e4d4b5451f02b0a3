//! The stand-in for BlueBubbles, rule by rule, over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod basics;
mod chats;
mod faults;
mod files;
mod reading;
mod sending;
mod webhooks;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, routing::post};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use switchboard_fakes::bluebubbles::Server;

const ALICE: &str = "+15550100001";
const BOB: &str = "+15550100002";
const LIMIT: Duration = Duration::from_secs(10);

struct Fixture {
    server: Server,
    http: Client,
}

impl Fixture {
    async fn new() -> Self {
        Self { server: Server::start("secret").await.unwrap(), http: Client::new() }
    }

    fn url(&self, path: &str) -> String {
        let mark = if path.contains('?') { '&' } else { '?' };
        format!("{}/api/v1/{path}{mark}password=secret", self.server.url())
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let mut request = self.http.request(method, self.url(path));
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, &Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, &body).await
    }

    /// Sends a text by the private API.
    async fn send(&self, chat: &str, text: &str) -> (u16, Value) {
        self.post("message/text", private(chat, text)).await
    }

    /// Sends a text by AppleScript.
    async fn script(&self, chat: &str, text: &str, temp_guid: &str) -> (u16, Value) {
        let body = json!({ "chatGuid": chat, "message": text, "tempGuid": temp_guid, "method": "apple-script" });
        self.post("message/text", body).await
    }

    async fn query(&self, body: Value) -> Vec<Value> {
        let (status, answer) = self.post("message/query", body).await;
        assert_eq!(status, 200, "{answer}");
        answer["data"].as_array().unwrap().clone()
    }

    fn texts(&self, person: &str) -> Vec<String> {
        self.server.received_by(person).into_iter().filter_map(|shown| shown.text).collect()
    }
}

fn private(chat: &str, text: &str) -> Value {
    json!({ "chatGuid": chat, "message": text, "method": "private-api" })
}

/// What a receiver of webhooks got.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<Value>>>);

impl Receiver {
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let take = |State(all): State<Receiver>, Json(body): Json<Value>| async move {
            all.0.lock().unwrap().push(body);
        };
        let router = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", socket.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(socket, router).await });
        (receiver, url)
    }

    fn all(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }

    fn of(&self, kind: &str) -> Vec<Value> {
        self.all().into_iter().filter(|event| event["type"] == kind).collect()
    }

    async fn until(&self, server: &Server, count: usize, kind: &str) -> Vec<Value> {
        let came = server.until(LIMIT, |_| self.of(kind).len() >= count).await;
        assert!(came, "{count} {kind} of {:?}", self.all());
        self.of(kind)
    }
}

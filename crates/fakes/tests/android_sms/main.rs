//! The stand-in for the Android SMS gateway, rule by rule, over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod cloud;
mod inbox;
mod sending;
mod webhooks;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use bytes::Bytes;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use switchboard_fakes::android_sms::Phone;

const ALICE: &str = "+14155550123";
const LIMIT: Duration = Duration::from_secs(10);

struct Fixture {
    phone: Phone,
    http: Client,
}

impl Fixture {
    async fn new() -> Self {
        Self { phone: Phone::start("user", "secret").await.unwrap(), http: Client::new() }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        call(&self.http, method, &format!("{}{path}", self.phone.url()), body).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, &Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, &body).await
    }

    async fn send(&self, id: &str, text: &str) -> (u16, Value) {
        self.post("/messages?skipPhoneValidation=true", message(id, text)).await
    }

    /// Waits for a state and answers the message.
    async fn reaches(&self, id: &str, state: &str) -> Value {
        let path = format!("/messages/{id}");
        tokio::time::timeout(LIMIT, async {
            loop {
                let (_, answer) = self.get(&path).await;
                if answer["state"] == state {
                    return answer;
                }
            }
        })
        .await
        .unwrap()
    }

    fn texts(&self) -> Vec<String> {
        self.phone.received_by(ALICE).into_iter().map(|shown| shown.text).collect()
    }
}

async fn call(http: &Client, method: Method, url: &str, body: &Value) -> (u16, Value) {
    let mut request = http.request(method, url).basic_auth("user", Some("secret"));
    if !body.is_null() {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

fn message(id: &str, text: &str) -> Value {
    json!({ "id": id, "textMessage": { "text": text }, "phoneNumbers": [ALICE], "simNumber": 1,
            "withDeliveryReport": true, "ttl": 600, "priority": 0 })
}

/// What a receiver of webhooks got, and what it answers.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    fails: Arc<Mutex<usize>>,
}

impl Receiver {
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let take = |State(of): State<Receiver>, head: HeaderMap, body: Bytes| async move {
            of.got.lock().unwrap().push((head, body));
            let mut fails = of.fails.lock().unwrap();
            if *fails > 0 {
                *fails -= 1;
                return StatusCode::INTERNAL_SERVER_ERROR;
            }
            StatusCode::OK
        };
        let router = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", socket.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(socket, router).await });
        (receiver, url)
    }

    fn all(&self) -> Vec<Value> {
        let got = self.got.lock().unwrap();
        got.iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
    }

    async fn until(&self, phone: &Phone, count: usize) -> Vec<Value> {
        assert!(phone.until(LIMIT, |_| self.all().len() >= count).await, "{:?}", self.all());
        self.all()
    }
}

//! The receiver against a plain HTTP client: what it keeps, and how it misbehaves.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::time::Duration;

use reqwest::{Client, header::HeaderMap};
use serde_json::json;
use switchboard_model::{
    Timestamp, delivery::Delivery as DeliveryId, id::Id, signature, webhook::WebhookSecret,
};
use switchboard_testkit::receiver::{Behaviour, Cut, Receiver, Reply};

const SOON: Duration = Duration::from_secs(10);
const QUICK: Duration = Duration::from_millis(200);

fn client() -> Client {
    // Loopback only: no proxy, and no time spent on the system's certificates.
    Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the judge asks this clock too")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

/// A delivery as the contract has it: body and headers.
fn signed(secret: &WebhookSecret, at: Timestamp) -> (String, HeaderMap) {
    let id = Id::<DeliveryId>::generate().to_string();
    let body = json!({ "event": "message.sent", "data": {}, "timestamp": at, "delivery_id": id })
        .to_string();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json".to_owned()),
        ("x-webhook-timestamp", at.millis().to_string()),
        ("x-webhook-delivery-id", id.clone()),
        ("x-webhook-signature", signature::hosted(secret, at, body.as_bytes())),
        ("webhook-id", id.clone()),
        ("webhook-timestamp", at.seconds().to_string()),
        ("webhook-signature", signature::standard(secret, &id, at, body.as_bytes()).unwrap()),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    (body, headers)
}

#[tokio::test]
async fn it_keeps_what_came_and_judges_it() {
    let receiver = Receiver::start().await;
    let secret = WebhookSecret::from_random([3; 32]);
    let (body, headers) = signed(&secret, now());
    let send = |body: String, headers: HeaderMap| {
        client().post(receiver.url()).headers(headers).body(body).send()
    };
    assert_eq!(send(body.clone(), headers.clone()).await.unwrap().status(), 200);
    let delivery = receiver.wait_for(1, SOON).await.unwrap().remove(0);
    assert_eq!((delivery.body.as_ref(), delivery.answered), (body.as_bytes(), Some(200)));
    assert_eq!((delivery.event().as_str(), delivery.uri().path()), ("message.sent", "/hook"));
    let verified = delivery.verify(&secret).unwrap();
    assert_eq!(Some(verified.delivery_id.to_string().as_str()), delivery.delivery_id());
    assert_eq!(Some(verified.timestamp), delivery.timestamp());
    assert_eq!(delivery.header("X-Webhook-Delivery-Id"), delivery.delivery_id());
    assert!(delivery.verify(&WebhookSecret::from_random([4; 32])).is_err());

    // Each of the headers counts, and so does the body.
    receiver.clear();
    for name in headers.keys() {
        let mut less = headers.clone();
        less.remove(name);
        send(body.clone(), less).await.unwrap();
    }
    send(format!("{body} "), headers.clone()).await.unwrap();
    for delivery in receiver.wait_for(headers.len() + 1, SOON).await.unwrap() {
        assert!(delivery.verify(&secret).is_err(), "{:?}", delivery.headers());
    }

    // A server whose clock was moved: only verify_at takes its deliveries.
    receiver.clear();
    let then = Timestamp(1_700_000_000_000);
    let (body, headers) = signed(&secret, then);
    send(body, headers).await.unwrap();
    let delivery = receiver.received().remove(0);
    assert!(delivery.verify(&secret).is_err());
    delivery.verify_at(&secret, then).unwrap();
}

#[tokio::test]
async fn it_answers_as_it_is_told() {
    let receiver = Receiver::start().await;
    let client = client();
    let post = || client.post(receiver.url()).body("{}").send();
    receiver.set(Behaviour::Answer(Reply::new(503).retry_after(9).body("busy")));
    receiver.next([Behaviour::status(410)]);
    assert_eq!(post().await.unwrap().status(), 410);
    let busy = post().await.unwrap();
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["retry-after"]),
        (503, &"9".parse().unwrap())
    );
    assert_eq!(busy.text().await.unwrap(), "busy");
    receiver.set(Behaviour::Answer(Reply::new(302).header("location", "http://127.0.0.1:1/")));
    assert_eq!(post().await.unwrap().status(), 302);
    receiver.set(Behaviour::ok());
    assert_eq!(post().await.unwrap().status(), 200);
    let answered: Vec<_> = receiver.received().iter().map(|one| one.answered).collect();
    assert_eq!(answered, [Some(410), Some(503), Some(302), Some(200)]);
}

#[tokio::test]
async fn it_stalls_drips_and_cuts() {
    let receiver = Receiver::start().await;
    let client = client();
    let post = || client.post(receiver.url()).body("{}").timeout(QUICK).send();

    receiver.set(Behaviour::Stall);
    assert!(post().await.unwrap_err().is_timeout());
    receiver.set(Behaviour::Cut(Cut::BeforeAnswer));
    let error = post().await.unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
    receiver.set(Behaviour::Cut(Cut::InHead));
    let error = post().await.unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
    receiver.set(Behaviour::Cut(Cut::InBody));
    let half = post().await.unwrap();
    assert_eq!(half.status(), 200);
    let error = half.bytes().await.unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");

    // So slow that the head does not come in time, then just slow.
    receiver.set(Behaviour::Drip { every: Duration::from_millis(20) });
    assert!(post().await.unwrap_err().is_timeout());
    receiver.set(Behaviour::Drip { every: Duration::from_millis(1) });
    let slow = client.post(receiver.url()).body("{}").send().await.unwrap();
    assert_eq!(slow.text().await.unwrap(), "slow");
    receiver.set(Behaviour::ok());
    assert_eq!(post().await.unwrap().status(), 200);
    let kept = receiver.received();
    assert_eq!(kept.len(), 7);
    assert!(kept[..6].iter().all(|one| one.answered.is_none()));
}

#[tokio::test]
async fn waiting_ends_with_the_condition_or_the_deadline() {
    let receiver = Receiver::start().await;
    let late = receiver.wait_for(1, Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(late.received, 0);
    let client = client();
    let (found, ()) = tokio::join!(
        receiver.wait_until(SOON, |kept| kept.iter().any(|one| one.json()["n"] == 3)),
        async {
            for n in 1..=3 {
                let body = json!({ "n": n }).to_string();
                client.post(receiver.url()).body(body).send().await.unwrap();
            }
        }
    );
    let order: Vec<_> = found.unwrap().iter().map(|one| one.json()["n"].as_i64()).collect();
    assert_eq!(order, [Some(1), Some(2), Some(3)]);
}

#[tokio::test]
async fn nobody_listens_once_it_is_dropped() {
    let receiver = Receiver::start().await;
    assert!(receiver.address().ip().is_loopback());
    let (url, client) = (receiver.url(), client());
    assert_eq!(client.post(&url).send().await.unwrap().status(), 200);
    drop(receiver);
    let gone = tokio::time::timeout(SOON, async {
        while client.post(&url).timeout(QUICK).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    gone.await.unwrap();
}

/// Not an assertion on speed, which the machine decides, but on counting every request of a
/// crowd on kept-alive connections; prints the speed for whoever wants to know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_counts_a_crowd() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const CONNECTIONS: u64 = 16;
    const EACH: u64 = 500;
    let receiver = Receiver::counting().await;
    let began = std::time::Instant::now();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let address = receiver.address();
        crowd.spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let mut answer = [0u8; 1024];
            for _ in 0..EACH {
                let request = b"POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
                stream.write_all(request).await.unwrap();
                let read = stream.read(&mut answer).await.unwrap();
                assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK\r\n"));
            }
        });
    }
    while let Some(ended) = crowd.join_next().await {
        ended.unwrap();
    }
    receiver.wait_for_count(CONNECTIONS * EACH, SOON).await.unwrap();
    let speed = (CONNECTIONS * EACH) as f64 / began.elapsed().as_secs_f64();
    println!("{speed:.0} requests/s");
    assert_eq!(receiver.count(), CONNECTIONS * EACH);
}

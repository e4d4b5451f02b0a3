use reqwest::Method;
use serde_json::{Value, json};
use switchboard_fakes::wire::Trouble;

use super::*;

#[tokio::test]
async fn a_ping_is_answered_in_the_envelope() {
    let f = Fixture::new().await;
    let (status, answer) = f.get("ping").await;
    assert_eq!(
        (status, answer),
        (200, json!({ "status": 200, "message": "Ping received!", "data": "pong" }))
    );
}

#[tokio::test]
async fn the_password_has_three_names_and_is_trimmed() {
    let f = Fixture::new().await;
    for query in ["guid=secret", "password=secret", "token=secret", "password=%20secret%20"] {
        let url = format!("{}/api/v1/ping?{query}", f.server.url());
        assert_eq!(f.http.get(url).send().await.unwrap().status(), 200, "{query}");
    }
    for query in ["", "password=wrong", "guid=wrong&password=secret"] {
        let url = format!("{}/api/v1/ping?{query}", f.server.url());
        let answer = f.http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{query}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["type"], "Authentication Error");
        assert_eq!(body["status"], 401);
    }
    let header = f.http.get(format!("{}/api/v1/ping", f.server.url())).bearer_auth("secret");
    assert_eq!(header.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn what_is_no_route_is_plain_text() {
    let f = Fixture::new().await;
    assert_eq!(f.get("nothing").await, (404, Value::String("Not Found".to_owned())));
    let (status, answer) = f.call(Method::PATCH, "message/text", &json!({})).await;
    assert_eq!((status, answer), (404, Value::String("Not Found".to_owned())));
}

#[tokio::test]
async fn the_server_tells_of_its_mac() {
    let f = Fixture::new().await;
    let (_, answer) = f.get("server/info").await;
    assert_eq!(answer["data"]["server_version"], "1.9.9");
    assert_eq!(answer["data"]["private_api"], true);
    f.server.mac(|mac| {
        mac.helper_connected = false;
        mac.macos_time_sync = None;
    });
    let (_, answer) = f.get("server/info").await;
    assert_eq!(answer["data"]["helper_connected"], false);
    assert_eq!(answer["data"]["macos_time_sync"], Value::Null);
    let (status, answer) = f.get("icloud/account").await;
    assert_eq!(status, 500);
    assert_eq!(answer["error"]["message"], "iMessage Private API Helper is not connected!");
    f.server.mac(|mac| mac.helper_connected = true);
    assert_eq!(f.get("icloud/account").await.1["data"]["active_alias"], "+15550999999");
    let (_, answer) = f.post("icloud/account/alias", json!({ "alias": "bot@example.com" })).await;
    assert_eq!(answer["data"]["active_alias"], "bot@example.com");
}

#[tokio::test]
async fn what_needs_the_helper_says_so() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    f.server.mac(|mac| mac.private_api = false);
    for path in ["typing", "read", "leave"] {
        let (status, answer) = f.post(&format!("chat/{chat}/{path}"), Value::Null).await;
        assert_eq!(status, 500, "{path}");
        assert_eq!(answer["error"]["type"], "iMessage Error");
        assert_eq!(answer["error"]["message"], "iMessage Private API is not enabled!");
        assert!(answer["message"].as_str().unwrap().starts_with("Please make sure"));
    }
    let (status, answer) = f.send(&chat, "hi").await;
    assert_eq!(status, 500);
    assert_eq!(answer["message"], "Message Send Error");
    assert_eq!(answer["error"]["message"], "iMessage Private API is not enabled!");
    assert!(f.server.received_by(ALICE).is_empty());
}

#[tokio::test]
async fn a_request_can_meet_every_trouble() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    let soon = Duration::from_millis(200);
    let send = |text: &'static str| {
        f.http.post(f.url("message/text")).json(&private(&chat, text)).timeout(soon * 5).send()
    };
    f.server.trouble("message/text", 1, Trouble::CutBefore);
    assert!(send("cut before").await.is_err());
    f.server.trouble("message/text", 1, Trouble::TunnelBefore(502));
    assert_eq!(send("tunnel before").await.unwrap().status(), 502);
    f.server.trouble("message/text", 1, Trouble::NeverBefore);
    assert!(send("never before").await.unwrap_err().is_timeout());
    assert!(f.texts(ALICE).is_empty());

    f.server.trouble("message/text", 1, Trouble::CutAfter);
    assert!(send("cut after").await.is_err());
    f.server.trouble("message/text", 1, Trouble::CutWithin);
    assert!(send("cut within").await.unwrap().text().await.is_err());
    f.server.trouble("message/text", 1, Trouble::TunnelAfter(504));
    let answer = send("tunnel after").await.unwrap();
    assert_eq!(answer.status(), 504);
    assert!(answer.text().await.unwrap().contains("<html>"));
    f.server.trouble("message/text", 1, Trouble::NeverAfter);
    assert!(send("never after").await.unwrap_err().is_timeout());
    f.server.trouble("message/text", 1, Trouble::SlowAfter(soon));
    assert_eq!(send("slow").await.unwrap().status(), 200);
    assert_eq!(f.texts(ALICE), ["cut after", "cut within", "tunnel after", "never after", "slow"]);
    assert_eq!(f.server.seen().len(), 8);
}

#[tokio::test]
async fn a_client_that_hangs_up_undoes_nothing() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    f.server.timing(|timing| timing.row = Duration::from_millis(300));
    let request = f.http.post(f.url("message/text")).json(&private(&chat, "hi"));
    assert!(request.timeout(Duration::from_millis(100)).send().await.unwrap_err().is_timeout());
    assert!(f.server.until(LIMIT, |server| server.rows() == 1).await);
    assert_eq!(f.texts(ALICE), ["hi"]);
}

#[tokio::test]
async fn the_server_gives_up_on_an_answer() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    f.server.timing(|timing| {
        timing.answer = Duration::from_millis(50);
        timing.row = Duration::from_millis(200);
    });
    let (status, answer) = f.send(&chat, "hi").await;
    assert_eq!(status, 504);
    assert_eq!(answer["error"]["type"], "Gateway Timeout");
    assert_eq!(f.texts(ALICE), ["hi"]);
}

#[tokio::test]
async fn a_stopped_server_refuses_and_comes_back_on_its_port() {
    let f = Fixture::new().await;
    f.server.stop().await;
    assert!(f.http.get(f.url("ping")).send().await.unwrap_err().is_connect());
    f.server.start_again().await.unwrap();
    assert_eq!(f.get("ping").await.0, 200);
}

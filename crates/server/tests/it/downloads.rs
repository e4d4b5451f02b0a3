//! How files are handed out, and how long they are there (§7).

use std::time::Duration;

use http::Method;
use serde_json::json;
use switchboard_model::{Code, outbox::OutboxStatus};
use switchboard_testkit::{LINE, eventually};

use crate::{
    call::{Call, assert_refused, query},
    files::{keeps, post, server_with_clock, signed},
    fixtures::{Sample, phone},
    world::{CONTACT, THEIRS, settled},
};

#[tokio::test]
async fn a_signed_url_opens_one_file_until_it_expires() {
    let (server, clock) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    let other = server.tenant(THEIRS).await;
    let sample = Sample::png();
    let id = sample.uploaded(&server, &tenant.key).await;
    let second = Sample::card().uploaded(&server, &tenant.key).await;
    let url = signed(&server, &tenant, &id).await;
    assert!(url.starts_with(&server.url), "{url}");
    for call in [Call::get(&url), Call::get(&url).key("sk_live_x"), Call::get(&url).key(&other.key)]
    {
        let down = call.send("").await;
        assert_eq!((down.status, &down.bytes[..]), (200, &sample.bytes[..]));
    }
    let (before, signature) = url.rsplit_once('=').unwrap();
    let turned: String = signature.chars().rev().collect();
    let expires = url.split(['&', '?']).find_map(|pair| pair.strip_prefix("expires=")).unwrap();
    let later = (expires.parse::<u64>().unwrap() + 1).to_string();
    for wrong in [
        format!("{before}={turned}"),
        format!("{before}=AAAA"),
        format!("{before}=%00"),
        url[..url.len() - 1].to_owned(),
        url.replace(&id, &second),
        url.replace(&id, "file_x"),
        url.replace(expires, &later),
        url.replace(expires, "tomorrow"),
    ] {
        let answer = Call::get(&wrong).send("").await;
        assert_refused(&wrong, &answer, Code::FileNotFound, Some("signature"));
    }
    let bare = Call::get("/files/download").send(&server.url).await;
    assert_refused("bare", &bare, Code::MissingRequiredParameter, Some("id"));

    // Another account's file is no file.
    for name in [id.as_str(), "file_x", "file_00000000000000000000000000"] {
        let call = Call::get(query("/v1/files", &[("id", name)])).key(&other.key);
        assert_refused(name, &call.send(&server.url).await, Code::FileNotFound, Some("id"));
    }
    // It has its time, also over a restart; and a new URL can be had.
    let ttl = Duration::from_secs(7 * 24 * 3600);
    let send = json!({ "from": LINE, "to": CONTACT, "attachments": [id] });
    server.text(LINE, CONTACT, "hello").await;
    let sent = Call::post("/v1/messages", &send).key(&tenant.key).send(&server.url).await;
    let item = sent.body["id"].as_str().unwrap().parse().unwrap();
    settled(&tenant, item, OutboxStatus::Sent).await;
    let path = url.strip_prefix(&server.url).unwrap().to_owned();
    let server = server.restart().await;
    assert_eq!(Call::get(&path).send(&server.url).await.status, 200);
    clock.advance(ttl - Duration::from_secs(2));
    assert_eq!(Call::get(&path).send(&server.url).await.status, 200);
    clock.advance(Duration::from_secs(2));
    let expired = Call::get(&path).send(&server.url).await;
    assert_refused("expired", &expired, Code::FileNotFound, Some("signature"));
    let fresh = signed(&server, &tenant, &id).await;
    assert_eq!(Call::get(&fresh).send("").await.status, 200);
    assert_eq!(phone(&server, CONTACT).await.messages.last().unwrap().attachments.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn parts_and_versions_are_told_as_http_has_it() {
    let (server, _) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    let bytes: Vec<u8> = (0..1000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let answer = post().raw(bytes.clone()).key(&tenant.key).send(&server.url).await;
    let url = answer.body["url"].as_str().unwrap().to_owned();
    let whole = Call::get(&url).send("").await;
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(whole.header("content-length"), Some("1000"));
    let etag = whole.header("etag").unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");

    for (range, expected) in [
        ("bytes=0-99", Some(0..100)),
        ("bytes=0-0", Some(0..1)),
        ("bytes=500-599", Some(500..600)),
        ("bytes=900-", Some(900..1000)),
        ("bytes=900-5000", Some(900..1000)),
        ("bytes=-10", Some(990..1000)),
        ("bytes=-5000", Some(0..1000)),
        // Nonsense, other units and several parts at once are answered with the whole.
        ("bytes=9-5", None),
        ("bytes=x", None),
        ("lines=0-9", None),
        ("bytes=0-9,20-29", None),
    ] {
        let part = Call::get(&url).header("range", range).send("").await;
        let Some(expected) = expected else {
            assert_eq!((part.status, part.bytes.len()), (200, 1000), "{range}");
            continue;
        };
        assert_eq!(part.status, 206, "{range}: {part:?}");
        assert_eq!(&part.bytes[..], &bytes[expected.clone()], "{range}");
        let told = format!("bytes {}-{}/1000", expected.start, expected.end - 1);
        assert_eq!(part.header("content-range"), Some(told.as_str()));
        assert_eq!(part.header("content-length"), Some(expected.len().to_string().as_str()));
        assert_eq!(part.header("etag"), Some(etag.as_str()));
    }
    for range in ["bytes=1000-", "bytes=1000-2000", "bytes=-0"] {
        let part = Call::get(&url).header("range", range).send("").await;
        assert_eq!((part.status, part.bytes.len()), (416, 0), "{range}");
        assert_eq!(part.header("content-range"), Some("bytes */1000"));
    }
    let ranged = |tag: &str| Call::get(&url).header("range", "bytes=0-9").header("if-range", tag);
    assert_eq!(ranged(&etag).send("").await.status, 206);
    assert_eq!(ranged("\"other\"").send("").await.status, 200);
    let none_match = |tags: &str| Call::get(&url).header("if-none-match", tags);
    for tags in [etag.as_str(), "*", &format!("\"x\", W/{etag}")] {
        let answer = none_match(tags).send("").await;
        assert_eq!((answer.status, answer.bytes.len()), (304, 0), "{tags}");
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
    }
    assert_eq!(none_match("\"x\"").send("").await.status, 200);
    let path = url.strip_prefix(&server.url).unwrap();
    let head = Call::new(Method::HEAD, path).send(&server.url).await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("1000"));
    assert_eq!(head.header("etag"), Some(etag.as_str()));
    server.stop().await;
}

#[tokio::test]
async fn uploads_that_nothing_refers_to_expire() {
    let (server, clock) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let sent = Sample::png().uploaded(&server, &tenant.key).await;
    let unsent = Sample::card().uploaded(&server, &tenant.key).await;
    let body = json!({ "from": LINE, "to": CONTACT, "attachments": [sent] });
    let answer = Call::post("/v1/messages", &body).key(&tenant.key).send(&server.url).await;
    let item = answer.body["id"].as_str().unwrap().parse().unwrap();
    settled(&tenant, item, OutboxStatus::Sent).await;
    // What a refused message refers to is not referred to.
    let refused = json!({ "from": LINE, "to": THEIRS, "attachments": [unsent] });
    let refused = Call::post("/v1/messages", &refused).key(&tenant.key).send(&server.url).await;
    assert_eq!(refused.body["error"]["code"], "contact_has_not_messaged");
    keeps(&server, 2).await;
    let status = async |id: &str| {
        let call = Call::get(query("/v1/files", &[("id", id)])).key(&tenant.key);
        call.send(&server.url).await.status
    };
    clock.advance(Duration::from_secs(24 * 3600 - 700));
    assert_eq!((status(&sent).await, status(&unsent).await), (302, 302));
    let url = signed(&server, &tenant, &unsent).await;
    eventually("the file is forgotten", async || {
        clock.advance(Duration::from_secs(601));
        (status(&unsent).await == 404).then_some(())
    })
    .await;
    keeps(&server, 1).await;
    assert_eq!(status(&sent).await, 302);
    let gone = Call::get(&url).send("").await;
    assert_eq!(gone.body["error"]["code"], "file_not_found");
    server.stop().await;
}

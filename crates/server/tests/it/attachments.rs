//! Files on messages, out and in: pictures, voice memos, vCards (§6, §7).

use serde_json::{Value, json};
use switchboard_client::{CreateWebhook, SendAudioMessage};
use switchboard_model::{Code, EventKind, Message, outbox::OutboxStatus};
use switchboard_testkit::{LINE, Receiver, Tenant, TestServer, judge::judge_event};

use crate::{
    call::{Call, assert_refused},
    files::with_charset,
    fixtures::{Sample, phone, set_advanced, texts},
    live::Live,
    world::{CONTACT, OPEN, SOON, STRANGER, THEIRS, settled},
};

async fn send(server: &TestServer, tenant: &Tenant, path: &str, body: &Value) {
    let answer = Call::post(path, body).key(&tenant.key).send(&server.url).await;
    assert_eq!(answer.status, 201, "{body}: {answer:?}");
    let item = answer.body["id"].as_str().unwrap().parse().unwrap();
    let item = settled(tenant, item, OutboxStatus::Sent).await;
    assert_eq!(item.payload, *body, "as the caller wrote it");
}

async fn newest(tenant: &Tenant, with: &str) -> Message {
    let page = tenant.client.messages(LINE, with).limit(1).send().await.unwrap().value;
    page.data.into_iter().next().unwrap()
}

/// The attachment says what the file is, and its URL gives the bytes to whoever has it.
async fn assert_downloads(attachment: &Value, sample: &Sample) {
    assert_eq!(attachment["filename"], sample.name);
    assert_eq!(attachment["mime_type"], sample.mime_type);
    assert_eq!(attachment["size"], sample.bytes.len());
    assert!(attachment.get("file_id").is_none(), "that is the server's own");
    let down = Call::get(attachment["url"].as_str().unwrap()).send("").await;
    assert_eq!((down.status, &down.bytes[..]), (200, &sample.bytes[..]));
    let told = with_charset(sample.mime_type, &sample.bytes);
    assert_eq!(down.header("content-type"), Some(told.as_str()));
}

#[tokio::test]
async fn what_is_attached_reaches_the_phone_whole() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    for (sample, text) in
        [(Sample::png(), Some("look")), (Sample::png(), None), (Sample::card(), None)]
    {
        let file = sample.uploaded(&server, &tenant.key).await;
        let mut body = json!({ "from": LINE, "to": CONTACT, "attachments": [file] });
        if let Some(text) = text {
            body["text"] = text.into();
        }
        send(&server, &tenant, "/v1/messages", &body).await;
        let shown = phone(&server, CONTACT).await.messages.pop().unwrap();
        assert_eq!((shown.text.as_deref(), shown.is_audio_message), (text, false));
        let got = &shown.attachments[0];
        assert_eq!(got.filename.as_deref(), Some(sample.name));
        assert_eq!(
            (got.mime_type.as_str(), got.size),
            (sample.mime_type, sample.bytes.len() as u64)
        );
        assert_eq!(got.sha256, sample.sha256());

        let message = newest(&tenant, CONTACT).await;
        assert_eq!((message.text.as_deref(), message.guid), (text, shown.guid));
        assert_eq!(message.is_audio_message, Some(false));
        let attachment = serde_json::to_value(&message.attachments[0]).unwrap();
        assert_downloads(&attachment, &sample).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_contact_sends_can_be_downloaded_from_list_webhook_and_stream() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let webhook = CreateWebhook::new(LINE, receiver.url(), [EventKind::MessageReceived]);
    let secret = tenant.client.create_webhook(&webhook).await.unwrap().value.secret.unwrap();
    let mut live = Live::open(&server, &tenant.key, "").await;
    let (png, card, memo) = (Sample::png(), Sample::card(), Sample::memo());
    let mut told = memo.attached();
    told["transcription"] = "Call me back.".into();
    let cases = [
        (json!({ "attachments": [png.attached()] }), None, vec![&png], None),
        (
            json!({ "text": "two", "attachments": [png.attached(), card.attached()] }),
            Some("two"),
            vec![&png, &card],
            None,
        ),
        (
            json!({ "attachments": [told], "is_audio_message": true }),
            None,
            vec![&memo],
            Some("Call me back."),
        ),
        (
            json!({ "attachments": [memo.attached()], "is_audio_message": true }),
            None,
            vec![&memo],
            None,
        ),
    ];
    for (count, (mut body, text, samples, transcription)) in (1..).zip(cases) {
        body["line"] = LINE.into();
        body["from"] = CONTACT.into();
        let texted = texts(&server, &body).await;
        let delivery = receiver.wait_for(count, SOON).await.unwrap().pop().unwrap();
        delivery.verify(&secret).unwrap();
        let delivered = delivery.json()["data"].clone();
        judge_event("message.received", &delivered);
        let (_, name, streamed) = live.next().await;
        assert_eq!(name, "message.received");
        let mut listed = Call::get(format!("/v1/messages?from={LINE}&to={CONTACT}&limit=1"))
            .key(&tenant.key)
            .send(&server.url)
            .await
            .body["data"][0]
            .take();
        listed["line_handle"] = LINE.into();
        for message in [&delivered, &streamed, &listed] {
            assert_eq!(message["id"], texted["message_id"]);
            assert_eq!(message["text"], json!(text), "null when there are only attachments");
            assert_eq!(message["is_audio_message"], body.get("is_audio_message").is_some());
            let attachments = message["attachments"].as_array().unwrap();
            assert_eq!(attachments.len(), samples.len());
            assert_eq!(attachments[0]["transcription"], json!(transcription));
            for (attachment, sample) in attachments.iter().zip(&samples) {
                assert_downloads(attachment, sample).await;
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_empty_list_of_attachments_is_none() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let body = json!({ "line": LINE, "from": CONTACT, "text": "hello", "attachments": [] });
    texts(&server, &body).await;
    let message = newest(&tenant, CONTACT).await;
    assert_eq!((message.text.as_deref(), message.attachments.len()), (Some("hello"), 0));
    server.stop().await;
}

#[tokio::test]
async fn a_file_whose_type_the_phone_has_wrong_is_not_lost() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let png = Sample::png();
    let mut wrong = png.attached();
    wrong["mime_type"] = "image/heic".into();
    let body = json!({ "line": LINE, "from": CONTACT, "attachments": [wrong] });
    texts(&server, &body).await;
    let attachment = &newest(&tenant, CONTACT).await.attachments[0];
    assert_downloads(&serde_json::to_value(attachment).unwrap(), &png).await;
    server.stop().await;
}

#[tokio::test]
async fn a_voice_memo_goes_out_if_it_is_one_and_the_line_can() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let other = server.tenant(THEIRS).await;
    let texted = server.text(LINE, CONTACT, "say it").await;
    let caf = Sample {
        name: "memo.caf",
        mime_type: "audio/x-caf",
        bytes: b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x20".to_vec(),
    };
    let aifc = Sample {
        name: "memo.aifc",
        mime_type: "audio/x-aiff",
        bytes: b"FORM\0\0\0\x20AIFCFVER\0\0\0\x04".to_vec(),
    };
    for sample in [Sample::memo(), caf, aifc] {
        let file = sample.uploaded(&server, &tenant.key).await;
        let body =
            json!({ "from": LINE, "to": CONTACT, "audio_message": file, "reply_to": texted.guid });
        send(&server, &tenant, "/v1/audio-messages", &body).await;
        let shown = phone(&server, CONTACT).await.messages.pop().unwrap();
        assert!(shown.is_audio_message && shown.text.is_none());
        assert_eq!(shown.attachments[0].sha256, sample.sha256());
        assert_eq!(shown.reply_to_guid.as_ref(), Some(&texted.guid));
        let message = newest(&tenant, CONTACT).await;
        assert_eq!((message.is_audio_message, message.text), (Some(true), None));
    }

    let file = |sample: Sample, key: String| {
        let server = &server;
        async move { sample.uploaded(server, &key).await }
    };
    let (png, memo) = (
        file(Sample::png(), tenant.key.clone()).await,
        file(Sample::memo(), tenant.key.clone()).await,
    );
    let theirs = file(Sample::memo(), other.key.clone()).await;
    let refuse = async |file: &str, to: &str, code: Code, param: Option<&str>| {
        let body = json!({ "from": LINE, "to": to, "audio_message": file });
        let call = Call::post("/v1/audio-messages", &body).key(&tenant.key);
        assert_refused(file, &call.send(&server.url).await, code, param);
    };
    refuse(&png, CONTACT, Code::InvalidParameterValue, Some("audio_message")).await;
    refuse(&theirs, CONTACT, Code::FileNotFound, Some("audio_message")).await;
    refuse(&memo, STRANGER, Code::ContactHasNotMessaged, Some("to")).await;
    set_advanced(&server, LINE, false).await;
    refuse(&memo, CONTACT, Code::AdvancedFeaturesRequired, None).await;
    refuse(&png, CONTACT, Code::InvalidParameterValue, Some("audio_message")).await;
    set_advanced(&server, LINE, true).await;
    // A voice memo may be the first word to a stranger where the line allows it.
    server.open_line(tenant.account, OPEN).await;
    let first = SendAudioMessage::new(OPEN, STRANGER, &memo);
    let item = tenant.client.send_audio_message(&first).await.unwrap().value.id;
    settled(&tenant, item, OutboxStatus::Sent).await;
    server.stop().await;
}

#[tokio::test]
async fn a_line_without_advanced_features_still_sends_and_gets_files() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let texted = server.text(LINE, CONTACT, "hello").await;
    set_advanced(&server, LINE, false).await;
    let line = tenant.client.lines().await.unwrap().value.data.remove(0);
    assert!(!line.advanced_features);
    let to = json!({ "from": LINE, "to": CONTACT, "message_id": texted.guid, "type": "love" });
    for path in ["/v1/reactions", "/v1/typing", "/v1/receipts"] {
        let answer = Call::post(path, &to).key(&tenant.key).send(&server.url).await;
        assert_refused(path, &answer, Code::AdvancedFeaturesRequired, None);
    }
    let file = Sample::png().uploaded(&server, &tenant.key).await;
    let body = json!({ "from": LINE, "to": CONTACT, "attachments": [file] });
    send(&server, &tenant, "/v1/messages", &body).await;
    let body = json!({ "line": LINE, "from": CONTACT, "attachments": [Sample::png().attached()] });
    texts(&server, &body).await;
    assert_eq!(newest(&tenant, CONTACT).await.attachments.len(), 1);
    set_advanced(&server, LINE, true).await;
    let answer = Call::post("/v1/typing", &to).key(&tenant.key).send(&server.url).await;
    assert_eq!(answer.status, 201);
    server.stop().await;
}

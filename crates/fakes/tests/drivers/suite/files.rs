//! Files and voice memos, both ways, to the last byte.

use serde_json::json;
use switchboard_client::{SendAudioMessage, SendMessage, Upload};
use switchboard_model::{Message, line::Capability};
use switchboard_testkit::eventually;

use super::{
    Desk, Mode, Seen,
    phones::{Sample, ShownFile},
};
use crate::rig::{ANN, LINE};

const PICTURE: Sample = Sample {
    name: "A picture.png",
    mime_type: "image/png",
    bytes: b"\x89PNG\r\n\x1a\n\0\x01\x02 and so on \xff\xfe",
};
const MENU: Sample =
    Sample { name: "menu.pdf", mime_type: "application/pdf", bytes: b"%PDF-1.4 soup \0\xff" };
const MEMO: Sample =
    Sample { name: "Audio Message.caf", mime_type: "audio/x-caf", bytes: b"caff\0\x01\0\0 hum" };

async fn uploaded(desk: &Desk, sample: Sample) -> String {
    let upload = Upload::bytes(sample.bytes).mime_type(sample.mime_type).filename(sample.name);
    let file = desk.client().upload(upload).await.unwrap().value;
    // It is there as it was given.
    let url = desk.client().file_url(file.id).await.unwrap().value;
    assert_eq!(downloaded(desk, &url).await, sample.bytes);
    file.id.to_string()
}

async fn downloaded(desk: &Desk, url: &str) -> Vec<u8> {
    desk.client().download_url(url).await.unwrap().bytes(10_000).await.unwrap().to_vec()
}

/// That a message has one file, which is this.
async fn has(desk: &Desk, message: &Message, sample: Sample) {
    assert_eq!(message.attachments.len(), 1, "{message:?}");
    let file = &message.attachments[0];
    assert_eq!(file.filename.as_deref(), Some(sample.name));
    assert_eq!(file.size, Some(sample.bytes.len() as u64));
    assert_eq!(downloaded(desk, file.url.as_deref().unwrap()).await, sample.bytes);
}

/// The message with a file that a contact has sent.
async fn came(desk: &Desk) -> Message {
    eventually("a file comes", async || {
        let mut messages = desk.rig.messages(ANN).await.into_iter();
        messages.rfind(|one| !one.is_from_me && !one.attachments.is_empty())
    })
    .await
}

pub(super) async fn a_file_goes_out_whole_and_one_comes_in(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    let file = uploaded(&desk, PICTURE).await;
    let wanted = [ShownFile::new(PICTURE.name, PICTURE.bytes)];
    if desk.can.does(Capability::Attachments) {
        for (number, text) in [None, Some("look")].into_iter().enumerate() {
            let message = SendMessage {
                text: text.map(str::to_owned),
                ..SendMessage::file(LINE, ANN, &file)
            };
            let id = desk.client().send_message(&message).await.unwrap().value.id;
            let item = desk.done(id).await;
            let shown = desk.phones.shown(ANN).await;
            let files: Vec<_> = shown.iter().flat_map(|one| &one.files).collect();
            assert_eq!(files.len(), number + 1);
            assert_eq!(files[number], &wanted[0]);
            let texts = shown.iter().filter(|one| !one.text.is_empty()).count();
            assert_eq!(texts, number, "{shown:?}");
            let messages = desk.rig.messages(ANN).await;
            let sent = messages.iter().find(|one| Some(one.id) == item.message_id).unwrap();
            assert_eq!(sent.text.as_deref(), text);
            has(&desk, sent, PICTURE).await;
            assert_eq!(messages.iter().filter(|one| one.is_from_me).count(), number + 1);
        }
    } else {
        let body = json!({ "from": LINE, "to": ANN, "text": "look", "attachments": [file] });
        desk.is_refused("/v1/messages", body, Capability::Attachments).await;
    }

    assert!(desk.can.sees(Seen::Files) && desk.phones.sends_file(ANN, MENU).await);
    let came = came(&desk).await;
    has(&desk, &came, MENU).await;
    assert_ne!(came.is_audio_message, Some(true));
    desk.told("message.received", |data| data["guid"] == came.guid).await;
    desk.close().await;
}

pub(super) async fn a_voice_memo_goes_out_and_one_comes_in(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    let file = uploaded(&desk, MEMO).await;
    if desk.can.does(Capability::AudioMessages) {
        let memo = SendAudioMessage::new(LINE, ANN, &file);
        let item = desk.client().send_audio_message(&memo).await.unwrap().value.id;
        let item = desk.done(item).await;
        let shown = desk.phones.shown(ANN).await;
        assert_eq!((shown.len(), shown[0].is_audio), (1, true));
        assert_eq!(shown[0].files, [ShownFile::new(MEMO.name, MEMO.bytes)]);
        let messages = desk.rig.messages(ANN).await;
        let sent = messages.iter().find(|one| Some(one.id) == item.message_id).unwrap();
        assert_eq!(sent.is_audio_message, Some(true));
        has(&desk, sent, MEMO).await;
    } else {
        let body = json!({ "from": LINE, "to": ANN, "audio_message": file });
        desk.is_refused("/v1/audio-messages", body, Capability::AudioMessages).await;
    }

    let is_there = desk.phones.sends_memo(ANN, MEMO).await;
    assert_eq!(is_there, desk.can.sees(Seen::Memos));
    if is_there {
        let came = came(&desk).await;
        assert_eq!(came.is_audio_message, Some(true));
        has(&desk, &came, MEMO).await;
    }
    desk.close().await;
}

//! What comes in.

use switchboard_fakes::{
    bluebubbles::Incoming,
    conversions::{Program, jpeg_of, m4a_of},
    imsg::Settings,
};
use switchboard_testkit::eventually;

use crate::rig::{ANN, LINE, Rig};

const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic and a picture";
const CAF: &[u8] = b"caff\0\x01\0\0 and a voice";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heic_picture_comes_as_a_jpeg_and_the_original_stays() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    mac.contact(ANN).sends_file("IMG_0007.HEIC", HEIC);
    let message = rig.file(1).await;
    assert_eq!((message.attachments.len(), message.is_audio_message), (1, Some(false)));
    let picture = &message.attachments[0];
    assert_eq!(picture.filename.as_deref(), Some("IMG_0007.jpg"));
    assert_eq!(picture.mime_type.as_deref(), Some("image/jpeg"));
    assert_eq!(picture.size, Some(jpeg_of(HEIC).len() as u64));
    assert_eq!(rig.bytes(picture.url.as_deref()).await, jpeg_of(HEIC));
    let original = picture.original.as_ref().unwrap();
    assert_eq!(original.filename.as_deref(), Some("IMG_0007.HEIC"));
    assert_eq!(original.mime_type.as_deref(), Some("image/heic"));
    assert_eq!(original.size, Some(HEIC.len() as u64));
    assert_eq!(rig.bytes(original.url.as_deref()).await, HEIC);

    // A webhook says the same, and names no file of the server's own.
    let told = eventually("the webhook is told", async || {
        let received = rig.receiver.received();
        received.iter().map(|one| one.json()).find(|one| one["event"] == "message.received")
    })
    .await;
    let told = &told["data"]["attachments"][0];
    assert_eq!(told["filename"], "IMG_0007.jpg");
    assert_eq!(told["original"]["filename"], "IMG_0007.HEIC");
    assert!(told.get("file_id").is_none() && told["original"].get("file_id").is_none(), "{told}");
    assert_eq!(rig.bytes(told["url"].as_str()).await, jpeg_of(HEIC));
    assert_eq!(rig.bytes(told["original"]["url"].as_str()).await, HEIC);

    // What everybody can show is what it was.
    mac.contact(ANN).sends_file("shop.png", b"\x89PNG\r\n\x1a\n");
    let plain = rig.file(2).await;
    assert_eq!(plain.attachments[0].original, None);
    assert_eq!(plain.attachments[0].filename.as_deref(), Some("shop.png"));
    assert_eq!((rig.counted(), rig.left_over()), ((1, 0), 0));
    rig.stop().await;
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voice_memo_comes_as_an_m4a_and_the_original_stays() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    mac.contact(ANN).sends_voice_memo(CAF);
    let message = rig.file(1).await;
    assert_eq!((message.attachments.len(), message.is_audio_message), (1, Some(true)));
    let memo = &message.attachments[0];
    assert_eq!(memo.filename.as_deref(), Some("Audio Message.m4a"));
    assert_eq!(memo.mime_type.as_deref(), Some("audio/mp4"));
    assert_eq!(rig.bytes(memo.url.as_deref()).await, m4a_of(CAF));
    let original = memo.original.as_ref().unwrap();
    assert_eq!(original.filename.as_deref(), Some("Audio Message.caf"));
    assert_eq!(original.mime_type.as_deref(), Some("audio/x-caf"));
    assert_eq!(rig.bytes(original.url.as_deref()).await, CAF);
    rig.stop().await;
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_no_options() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    mac.contact(ANN).sends_file("-s format.HEIC", HEIC);
    let odd = rig.file(1).await;
    assert_eq!(odd.attachments[0].filename.as_deref(), Some("-s format.jpg"));
    assert_eq!(rig.bytes(odd.attachments[0].url.as_deref()).await, jpeg_of(HEIC));
    for (_, args) in rig.programs.calls(Program::Sips) {
        assert!(args[3].starts_with('/') && args[5].starts_with('/'), "{args:?}");
        assert!(args[5].starts_with(rig.data.path().to_str().unwrap()), "{args:?}");
    }
    rig.stop().await;
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bluebubbles_converts_by_itself_whether_this_machine_can_or_not() {
    let (mut rig, mac) = Rig::bluebubbles().await;
    rig.restart_with(|tools| {
        tools.sips = "/nowhere/sips".into();
        tools.afconvert = "/nowhere/afconvert".into();
    })
    .await;
    mac.receive(ANN, Incoming::file("IMG_1.HEIC", "image/heic", HEIC));
    let message = rig.file(1).await;
    let picture = &message.attachments[0];
    assert_eq!(picture.filename.as_deref(), Some("IMG_1.jpg"));
    assert_eq!(picture.mime_type.as_deref(), Some("image/jpeg"));
    let made = rig.bytes(picture.url.as_deref()).await;
    assert!(made.starts_with(b"\xff\xd8\xff") && made.ends_with(HEIC));
    let original = picture.original.as_ref().unwrap();
    assert_eq!(rig.bytes(original.url.as_deref()).await, HEIC);
    mac.receive(ANN, Incoming::file("Audio Message.caf", "audio/x-caf", CAF).audio());
    let memo = rig.file(2).await;
    assert_eq!(memo.attachments[0].mime_type.as_deref(), Some("audio/mp4"));
    let original = memo.attachments[0].original.as_ref().unwrap();
    assert_eq!(rig.bytes(original.url.as_deref()).await, CAF);
    assert_eq!((rig.counted(), rig.left_over()), ((2, 0), 0));
    rig.stop().await;
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_comes_late_is_converted_too() {
    let (mut rig, mac) = Rig::bluebubbles().await;
    let late = Incoming::text("look").with_file("IMG_2.HEIC", "image/heic", HEIC).files_late();
    let late = mac.receive(ANN, late);
    eventually("it is told without its file", async || {
        let messages = rig.client.messages(LINE, ANN).all(10).await.ok()?;
        messages.into_iter().find(|message| message.guid == late.guid)
    })
    .await;
    mac.finish_files(&late.guid);
    let message = rig.file(1).await;
    assert_eq!(message.attachments[0].filename.as_deref(), Some("IMG_2.jpg"));
    let original = message.attachments[0].original.as_ref().unwrap();
    assert_eq!(rig.bytes(original.url.as_deref()).await, HEIC);
    eventually("the change is told", async || {
        let received = rig.receiver.received();
        let told = received.iter().map(|one| one.json());
        told.filter(|one| one["event"] == "message.updated")
            .find(|one| one["data"]["attachments"][0]["original"]["filename"] == "IMG_2.HEIC")
    })
    .await;
    rig.stop().await;
    rig.server.stop().await;
}

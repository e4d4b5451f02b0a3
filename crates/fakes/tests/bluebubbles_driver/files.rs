//! Files, both ways.

use switchboard_fakes::{bluebubbles::Incoming, wire::Trouble};
use switchboard_model::link::{Content, Inbound, LinkedFile, Outcome};

use crate::rig::{ANN, Rig};

const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

fn with(files: Vec<LinkedFile>, text: Option<&str>, is_audio_message: bool) -> Content {
    let text = text.map(str::to_owned);
    Content::Message { text, attachments: files, is_audio_message, reply_to_guid: None }
}

#[tokio::test]
async fn a_file_goes_out_whole_and_by_its_name() {
    for mut rig in [Rig::new().await, Rig::scripts().await] {
        rig.server.direct_chat(ANN);
        let file = rig.file("A picture.png", "image/png", PICTURE);
        let outcome = rig.send(ANN, with(vec![file], None, false)).await;
        assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
        let shown = rig.server.received_by(ANN);
        assert_eq!((shown.len(), shown[0].files.len()), (1, 1));
        assert_eq!(
            (&*shown[0].files[0].name, &*shown[0].files[0].bytes),
            ("A picture.png", PICTURE)
        );
        rig.quiet().await;
        assert!(rig.own().is_empty());
    }
}

#[tokio::test]
async fn a_text_with_files_is_one_message_by_the_helper_and_several_by_scripts() {
    for (mut rig, bubbles) in [(Rig::new().await, 1), (Rig::scripts().await, 3)] {
        rig.server.direct_chat(ANN);
        let files = vec![
            rig.file("one.png", "image/png", PICTURE),
            rig.file("two.pdf", "application/pdf", b"%PDF-1.4"),
        ];
        let outcome = rig.send(ANN, with(files, Some("look"), false)).await;
        let Outcome::Sent { guid, .. } = outcome else { panic!("{outcome:?}") };
        let shown = rig.server.received_by(ANN);
        assert_eq!(shown.len(), bubbles);
        let names: Vec<&str> =
            shown.iter().flat_map(|one| &one.files).map(|one| &*one.name).collect();
        assert_eq!(names, ["one.png", "two.pdf"]);
        let text = shown.iter().find(|one| one.guid == guid).unwrap();
        assert!(text.text.as_deref().is_some_and(|text| text.contains("look")));
        // Its parts are no messages of the owner's.
        rig.quiet().await;
        assert!(rig.own().is_empty(), "{:?}", rig.told);
    }
}

#[tokio::test]
async fn a_voice_memo_plays_or_is_refused() {
    let mut rig = Rig::new().await;
    rig.server.direct_chat(ANN);
    let memo = rig.file("memo.caf", "audio/x-caf", b"caff");
    let outcome = rig.send(ANN, with(vec![memo], None, true)).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    assert!(rig.server.received_by(ANN)[0].is_audio);
    let memo = rig.file("memo.mp3", "audio/mpeg", b"ID3");
    let outcome = rig.send(ANN, with(vec![memo], None, true)).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    assert_eq!(rig.server.received_by(ANN).len(), 1);
}

fn files_of(rig: &Rig, files: &[LinkedFile]) -> Vec<(String, Vec<u8>)> {
    files.iter().map(|file| rig.files.uploaded(file.file_id)).collect()
}

#[tokio::test]
async fn files_come_in_as_they_are_on_the_mac() {
    let mut rig = Rig::new().await;
    rig.server.receive(ANN, Incoming::file("IMG_1.HEIC", "image/heic", PICTURE));
    rig.server
        .receive(ANN, Incoming::file("Audio Message.caf", "audio/x-caf", &b"caff"[..]).audio());
    rig.told_until(|told| told.len() == 2).await;
    let Inbound::Message(picture) = &rig.told[0] else { panic!() };
    assert_eq!(files_of(&rig, &picture.attachments)[0].1, PICTURE);
    assert_eq!(picture.attachments[0].mime_type, "image/heic");
    let Inbound::Message(memo) = &rig.told[1] else { panic!() };
    assert!(memo.is_audio_message);
    assert_eq!(files_of(&rig, &memo.attachments)[0].1, b"caff");
}

#[tokio::test]
async fn a_file_that_comes_late_is_told_when_it_is_there() {
    let mut rig = Rig::new().await;
    let late = Incoming::text("look").with_file("one.png", "image/png", PICTURE).files_late();
    let written = rig.server.receive(ANN, late);
    rig.hears("look").await;
    let Inbound::Message(message) = &rig.told[0] else { panic!() };
    assert!(message.attachments.is_empty());
    // However long it takes, and whatever dies meanwhile.
    rig.restart().await;
    rig.server.finish_files(&written.guid);
    let update = rig.changes(&written.guid, |update| update.attachments.is_some()).await;
    assert_eq!(files_of(&rig, &update.attachments.unwrap())[0].1, PICTURE);
}

#[tokio::test]
async fn a_file_that_the_mac_put_away_is_brought_back_or_gone() {
    for (mut rig, files) in [(Rig::new().await, 1), (Rig::scripts().await, 0)] {
        rig.server.trouble("/message/query", 3, Trouble::TunnelBefore(502));
        let written = rig
            .server
            .receive(ANN, Incoming::text("look").with_file("a.png", "image/png", PICTURE));
        rig.server.purge_files(&written.guid);
        rig.hears("look").await;
        let Inbound::Message(message) = &rig.told[0] else { panic!() };
        assert_eq!(message.attachments.len(), files);
    }
}

#[tokio::test]
async fn what_a_tunnel_says_of_a_file_loses_none() {
    let mut rig = Rig::new().await;
    for status in [404, 500, 200] {
        // Its own page, while the server is away.
        rig.server.trouble("/download", 3, Trouble::TunnelBefore(status));
        let text = format!("look {status}");
        rig.server.receive(ANN, Incoming::text(&text).with_file("a.png", "image/png", PICTURE));
        rig.hears(&text).await;
        let Some(Inbound::Message(message)) = rig.told.last() else { panic!() };
        assert_eq!(files_of(&rig, &message.attachments)[0].1, PICTURE, "{status}");
    }
}

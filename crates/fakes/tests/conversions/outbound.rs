//! Voice memos that go out.

use switchboard_bridge::{Connector, drivers::BlueBubbles};
use switchboard_fakes::{
    conversions::{Behaviour, Program, memo_of},
    imsg::Settings,
};
use switchboard_model::outbox::OutboxStatus;

use crate::rig::{ANN, Rig, entries};

const M4A: &[u8] = b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42 and a voice";

/// Nothing lies where attempts keep their files.
fn is_tidy<C: Connector>(rig: &Rig<C>) {
    assert_eq!((rig.left_over(), entries(&rig.data.path().join("outgoing"))), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_mac_a_memo_is_made_that_plays_and_one_that_plays_goes_as_it_is() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    mac.contact(ANN).writes("hello");
    rig.client.lines().await.unwrap();
    let item = rig.memo("memo.m4a", "audio/mp4", M4A.to_vec()).await;
    assert_eq!((item.status, item.error), (OutboxStatus::Sent, None));
    let shown = mac.received_by(ANN);
    let file = &shown[0].files[0];
    assert_eq!((&*file.name, file.voice), ("Audio Message.caf", true));
    assert_eq!(file.bytes, memo_of(M4A));
    let args = &rig.programs.calls(Program::Afconvert)[0].1;
    assert_eq!(args[..6], ["-f", "caff", "-d", "opus@24000", "-c", "1"]);
    // The message of the line has what was given.
    let sent = rig.file(1).await;
    assert_eq!(sent.attachments[0].filename.as_deref(), Some("memo.m4a"));
    assert_eq!(rig.bytes(sent.attachments[0].url.as_deref()).await, M4A);

    let ready = memo_of(b"ready");
    let item = rig.memo("memo.caf", "audio/x-caf", ready.clone()).await;
    assert_eq!((item.status, item.error), (OutboxStatus::Sent, None));
    assert_eq!(mac.received_by(ANN)[1].files[0].bytes, ready);
    assert_eq!(rig.programs.calls(Program::Afconvert).len(), 1);
    is_tidy(&rig);
    rig.stop().await;
    rig.server.stop().await;
}

async fn with_bluebubbles() -> (Rig<BlueBubbles>, switchboard_fakes::bluebubbles::Server) {
    let (rig, mac) = Rig::bluebubbles().await;
    mac.direct_chat(ANN);
    (rig, mac)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bluebubbles_is_given_only_what_plays() {
    let (mut rig, mac) = with_bluebubbles().await;
    let item = rig.memo("memo.m4a", "audio/mp4", M4A.to_vec()).await;
    assert_eq!((item.status, item.error), (OutboxStatus::Sent, None));
    let shown = mac.received_by(ANN);
    assert!(shown[0].is_audio, "it plays");
    assert_eq!(&*shown[0].files[0].name, "Audio Message.caf");
    assert_eq!(&*shown[0].files[0].bytes, memo_of(M4A));
    is_tidy(&rig);
    rig.stop().await;
    rig.server.stop().await;
}

/// Before anything is begun, with what to do now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_made_to_play_is_not_sent() {
    let (mut rig, mac) = with_bluebubbles().await;
    for (behaviour, words) in [
        (Behaviour::Fails, ["can't read the file", "Send an M4A"]),
        (Behaviour::WritesNothing, ["can't read the file", "Send an M4A"]),
        (Behaviour::WritesSomethingElse, ["can't read the file", "Send an M4A"]),
        (Behaviour::WritesSilence, ["no sound", "Record it again"]),
    ] {
        rig.programs.behave(Program::Afconvert, behaviour);
        let item = rig.memo("memo.m4a", "audio/mp4", M4A.to_vec()).await;
        let error = item.error.unwrap();
        assert!(words.iter().all(|word| error.contains(word)), "{behaviour:?}: {error}");
        assert_eq!((item.status, item.attempts), (OutboxStatus::Failed, 1));
    }
    // A memo in the right form in which nothing is.
    let silent = rig.memo("memo.caf", "audio/x-caf", memo_of(b"")).await;
    assert!(silent.error.unwrap().contains("no sound"));
    assert_eq!(rig.counted(), (0, 4));

    rig.restart_with(|tools| tools.within = std::time::Duration::from_millis(300)).await;
    rig.programs.behave(Program::Afconvert, Behaviour::Hangs);
    let item = rig.memo("memo.m4a", "audio/mp4", M4A.to_vec()).await;
    assert!(item.error.unwrap().contains("does not finish"));
    assert_eq!(rig.programs.running(Program::Afconvert), 0);
    rig.restart_with(|tools| tools.afconvert = "/nowhere/afconvert".into()).await;
    let item = rig.memo("memo.m4a", "audio/mp4", M4A.to_vec()).await;
    let error = item.error.unwrap();
    assert!(error.contains("has no afconvert") && error.contains("--afconvert"), "{error}");
    assert!(mac.received_by(ANN).is_empty(), "nothing was handed over");
    is_tidy(&rig);
    rig.stop().await;
    rig.server.stop().await;
}

//! Programs that are not there, fail, hang or make nothing: the original goes alone, and nothing is held up.

use std::time::Duration;

use switchboard_fakes::{
    conversions::{Behaviour, Program, jpeg_of},
    imsg::Settings,
};
use switchboard_model::Message;
use switchboard_testkit::eventually;

use crate::rig::{ANN, LINE, Rig};

const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic and a picture";

async fn is_original<C: switchboard_bridge::Connector>(rig: &Rig<C>, message: &Message) {
    let file = &message.attachments[0];
    assert_eq!(message.attachments.len(), 1);
    assert!(file.original.is_none());
    assert_eq!(file.mime_type.as_deref(), Some("image/heic"));
    assert_eq!(rig.bytes(file.url.as_deref()).await, HEIC);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_converted_comes_as_it_is() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    let behaviours = [
        Behaviour::Fails,
        Behaviour::WritesNothing,
        Behaviour::WritesEmpty,
        Behaviour::WritesSomethingElse,
    ];
    for (number, behaviour) in (1..).zip(behaviours) {
        rig.programs.behave(Program::Sips, behaviour);
        mac.contact(ANN).sends_file(&format!("IMG_{number}.HEIC"), HEIC);
        is_original(&rig, &rig.file(number).await).await;
    }
    assert_eq!((rig.counted(), rig.left_over()), ((0, 4), 0));
    rig.programs.behave(Program::Sips, Behaviour::Works);
    mac.contact(ANN).sends_file("IMG_5.HEIC", HEIC);
    let message = rig.file(5).await;
    assert_eq!(rig.bytes(message.attachments[0].url.as_deref()).await, jpeg_of(HEIC));
    assert_eq!(rig.counted(), (1, 4));

    rig.restart_with(|tools| tools.sips = "/nowhere/sips".into()).await;
    mac.contact(ANN).sends_file("IMG_6.HEIC", HEIC);
    is_original(&rig, &rig.file(6).await).await;
    assert_eq!(rig.counted(), (0, 1));
    rig.stop().await;
    rig.server.stop().await;
}

/// It is killed, and those that come after it do not wait for it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_hangs_holds_up_one_message_for_a_moment() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    rig.restart_with(|tools| tools.within = Duration::from_millis(300)).await;
    rig.programs.behave(Program::Sips, Behaviour::Hangs);
    for number in 1..=4 {
        mac.contact(ANN).sends_file(&format!("IMG_{number}.HEIC"), HEIC);
    }
    mac.contact(ANN).writes("and a text");
    for number in 1..=4 {
        is_original(&rig, &rig.file(number).await).await;
    }
    eventually("the text comes too", async || {
        let messages = rig.client.messages(LINE, ANN).all(10).await.ok()?;
        messages.into_iter().find(|message| message.text.as_deref() == Some("and a text"))
    })
    .await;
    assert_eq!(rig.programs.calls(Program::Sips).len(), 1, "it is left alone for a while");
    assert_eq!((rig.programs.running(Program::Sips), rig.left_over()), (0, 0));
    assert_eq!(rig.counted(), (0, 4));
    rig.stop().await;
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_dies_while_it_converts_leaves_nothing_and_loses_nothing() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    rig.programs.behave(Program::Sips, Behaviour::Hangs);
    mac.contact(ANN).sends_file("IMG_1.HEIC", HEIC);
    eventually("it converts", async || (rig.programs.running(Program::Sips) > 0).then_some(()))
        .await;
    rig.kill().await;
    // As a killed process leaves it, which can't tidy up.
    let left = rig.data.path().join("converted/half/converted.jpg");
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::write(&left, b"half").unwrap();
    rig.programs.behave(Program::Sips, Behaviour::Works);
    rig.start().await;
    let message = rig.file(1).await;
    assert_eq!(rig.bytes(message.attachments[0].url.as_deref()).await, jpeg_of(HEIC));
    assert_eq!((rig.with_files().await.len(), rig.left_over()), (1, 0));
    eventually("the one that hung is gone", async || {
        (rig.programs.running(Program::Sips) == 0).then_some(())
    })
    .await;
    rig.stop().await;
    rig.server.stop().await;
}

//! Each way in which a send ends badly.

use std::time::Duration;

use switchboard_fakes::{bluebubbles::SendFault, wire::Trouble};
use switchboard_model::link::Outcome;

use crate::rig::{ANN, BOB, Rig};

/// What is to come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Sent,
    Failed,
    Released,
    Unknown,
}

impl Is {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Sent { .. } => Self::Sent,
            Outcome::Failed { .. } => Self::Failed,
            Outcome::Released => Self::Released,
            Outcome::Unknown => Self::Unknown,
            Outcome::Done { .. } => panic!("a message is not done"),
        }
    }
}

#[tokio::test]
async fn what_the_helper_does_badly_is_never_sent_twice_and_never_called_sent_wrongly() {
    for (fault, is, shown) in [
        (SendFault::HelperRefuses("no".to_owned()), Is::Failed, 0),
        (SendFault::HelperRefuses("secret text".to_owned()), Is::Failed, 0),
        (SendFault::NotInvoked, Is::Released, 0),
        (SendFault::NoIdentifier { sent: false }, Is::Unknown, 0),
        (SendFault::NoIdentifier { sent: true }, Is::Sent, 1),
        (SendFault::HelperSilent { sent: true }, Is::Sent, 1),
        (SendFault::HelperSilent { sent: false }, Is::Unknown, 0),
        (SendFault::NoRow { sent: false }, Is::Unknown, 0),
        (SendFault::RowLate(Duration::from_millis(200)), Is::Sent, 1),
        (SendFault::RowFails(22), Is::Failed, 0),
        (SendFault::WrongGuid(None), Is::Sent, 1),
    ] {
        let mut rig = Rig::new().await;
        rig.server.direct_chat(ANN);
        rig.sent(ANN, "before").await;
        rig.server.fail_send(fault.clone());
        // Its row may come a moment after the answer.
        let outcome = match (is, rig.text(ANN, "secret text").await) {
            (Is::Sent, Outcome::Unknown) => rig.resolved().await,
            (_, outcome) => outcome,
        };
        assert_eq!(Is::of(&outcome), is, "{fault:?}");
        assert_eq!(rig.shown(ANN, "secret text"), shown, "{fault:?}");
        if let Outcome::Sent { guid, .. } = &outcome {
            assert_eq!(rig.server.received_by(ANN)[1].guid, *guid, "{fault:?}");
        }
        if let Outcome::Failed { error } = &outcome {
            assert!(!error.contains("secret text"));
        }
        // What failed is no message that the owner wrote.
        rig.quiet().await;
        assert!(rig.own().is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_message_whose_row_comes_too_late_is_unknown_until_it_is_there() {
    for mut rig in [Rig::new().await, Rig::scripts().await] {
        rig.server.direct_chat(ANN);
        rig.server.fail_send(SendFault::NoRow { sent: true });
        assert_eq!(rig.text(ANN, "late").await, Outcome::Unknown);
        let Outcome::Sent { guid, .. } = rig.resolved().await else { panic!("not resolved") };
        assert_eq!(rig.server.received_by(ANN)[0].guid, guid);
        assert_eq!(rig.shown(ANN, "late"), 1);
        rig.quiet().await;
        assert!(rig.own().is_empty());
    }
}

#[tokio::test]
async fn a_message_that_fails_after_it_was_sent_is_told_of() {
    for mut rig in [Rig::new().await, Rig::scripts().await] {
        rig.server.direct_chat(ANN);
        let after = Duration::from_millis(300);
        rig.server.fail_send(SendFault::FailsLater { after, error: 22 });
        let guid = rig.sent(ANN, "hello").await;
        let update = rig.changes(&guid, |update| update.failed.is_some()).await;
        assert!(update.failed.unwrap().error.contains("22"));
    }
}

#[tokio::test]
async fn what_scripts_do_badly_is_looked_for_in_messages() {
    let script = |code, sent| SendFault::Osascript { code, sent };
    for (fault, is, shown) in [
        (script(-1728, false), Is::Failed, 0),
        (script(-1743, false), Is::Failed, 0),
        (script(-1712, false), Is::Failed, 0),
        (script(-1002, true), Is::Sent, 1),
        (script(-1700, true), Is::Sent, 1),
        (SendFault::NoRow { sent: false }, Is::Unknown, 0),
        (SendFault::RowFails(22), Is::Failed, 0),
        (SendFault::WrongGuid(None), Is::Sent, 1),
    ] {
        let mut rig = Rig::scripts().await;
        rig.server.direct_chat(ANN);
        rig.sent(ANN, "before").await;
        rig.server.fail_send(fault.clone());
        let outcome = rig.text(ANN, "secret text").await;
        assert_eq!(Is::of(&outcome), is, "{fault:?}");
        assert_eq!(rig.shown(ANN, "secret text"), shown, "{fault:?}");
        if let Outcome::Sent { guid, .. } = &outcome {
            assert_eq!(rig.server.received_by(ANN)[1].guid, *guid, "{fault:?}");
        }
        rig.quiet().await;
        assert!(rig.own().is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_script_that_is_refused_in_a_group_has_sent_nothing() {
    let mut rig = Rig::scripts().await;
    let group = rig.server.group(&[ANN, BOB], None);
    rig.server.fail_send(SendFault::Osascript { code: -1728, sent: false });
    assert_eq!(Is::of(&rig.text(&group, "hello").await), Is::Failed);
    assert_eq!(Is::of(&rig.text(&group, "hello").await), Is::Sent);
    assert_eq!(rig.shown(BOB, "hello"), 1);
}

#[tokio::test]
async fn what_the_server_sends_twice_by_itself_is_told_as_it_is() {
    for fault in [SendFault::SentTwice, SendFault::SentTwiceByFallback] {
        let mut rig = Rig::scripts().await;
        rig.server.direct_chat(ANN);
        rig.server.fail_send(fault);
        let guid = rig.sent(ANN, "hello").await;
        assert_eq!(rig.shown(ANN, "hello"), 2);
        // The contact has it twice, so the chat has it twice.
        rig.told_until(|told| !told.is_empty()).await;
        rig.quiet().await;
        assert_eq!(rig.own(), ["hello"]);
        assert!(rig.server.received_by(ANN).iter().any(|one| one.guid == guid));
        let requests = rig.server.seen();
        let sends = requests.iter().filter(|one| one.path.ends_with("/message/text")).count();
        assert_eq!(sends, 1, "we have asked once");
    }
}

#[tokio::test]
async fn what_a_network_makes_of_a_send_is_never_a_second_one() {
    let slow = Duration::from_millis(200);
    for (trouble, is, shown) in [
        (Trouble::CutBefore, Is::Unknown, 0),
        (Trouble::CutAfter, Is::Sent, 1),
        (Trouble::CutWithin, Is::Sent, 1),
        (Trouble::SlowBefore(slow), Is::Sent, 1),
        (Trouble::SlowAfter(slow), Is::Sent, 1),
        (Trouble::TunnelBefore(502), Is::Unknown, 0),
        (Trouble::TunnelBefore(404), Is::Unknown, 0),
        (Trouble::TunnelAfter(400), Is::Sent, 1),
        (Trouble::TunnelAfter(401), Is::Sent, 1),
        (Trouble::TunnelAfter(404), Is::Sent, 1),
        (Trouble::TunnelAfter(504), Is::Sent, 1),
        (Trouble::TunnelAfter(524), Is::Sent, 1),
    ] {
        for mut rig in [Rig::new().await, Rig::scripts().await] {
            rig.server.direct_chat(ANN);
            rig.server.trouble("/message/text", 1, trouble.clone());
            let outcome = rig.text(ANN, "hello").await;
            // Its row may come a moment after the answer was lost.
            let outcome = match (is, outcome) {
                (Is::Sent, Outcome::Unknown) => rig.resolved().await,
                (_, outcome) => outcome,
            };
            assert_eq!(Is::of(&outcome), is, "{trouble:?}");
            assert_eq!(rig.shown(ANN, "hello"), shown, "{trouble:?}");
            rig.quiet().await;
            assert!(rig.own().is_empty(), "{trouble:?}");
        }
    }
}

#[tokio::test]
async fn what_was_there_before_is_not_taken_for_what_was_sent() {
    // The server takes any own message of the last seconds for it that has the same ASCII letters: here none.
    let mut rig = Rig::scripts().await;
    let chat = rig.server.direct_chat(ANN);
    let before = rig.server.owner_writes(&chat, "нет");
    rig.server.fail_send(SendFault::WrongGuid(Some(before.guid.clone())));
    let guid = rig.sent(ANN, "да").await;
    assert_ne!(guid, before.guid);
    // And if nothing was sent at all, nothing is.
    rig.server.fail_send(SendFault::NoRow { sent: false });
    assert_eq!(rig.text(ANN, "нет").await, Outcome::Unknown);
    assert_eq!(rig.shown(ANN, "нет"), 1);
}

#[tokio::test]
async fn a_server_that_hears_nothing_of_messages_sends_all_the_same() {
    // Its scripts then wait in vain for their row.
    let mut rig = Rig::scripts().await;
    rig.server.direct_chat(ANN);
    rig.server.faults(|faults| faults.silent_watcher = true);
    for text in ["one", "два"] {
        let guid = rig.sent(ANN, text).await;
        assert_eq!((rig.shown(ANN, text), guid.is_empty()), (1, false));
    }
    rig.server.contact_writes(ANN, "heard");
    rig.hears("heard").await;
    rig.quiet().await;
    assert!(rig.own().is_empty());
}

#[tokio::test]
async fn the_helper_is_never_given_more_than_it_takes() {
    let mut rig = Rig::new().await;
    let mut items = Vec::new();
    for n in 0..12 {
        let contact = format!("+155501001{n:02}");
        rig.server.direct_chat(&contact);
        items.push(rig.item(&contact, crate::rig::text_of("hello")));
    }
    let outcomes = items.into_iter().map(|item| rig.hand_over_apart(item)).collect::<Vec<_>>();
    for outcome in outcomes {
        assert_eq!(Is::of(&outcome.await.unwrap()), Is::Sent);
    }
    assert_eq!(rig.server.carried_out().len(), 12);
}

#[tokio::test]
async fn a_tunnel_that_knows_no_chat_makes_no_new_one() {
    let mut rig = Rig::new().await;
    rig.server.direct_chat(ANN);
    rig.sent(ANN, "before").await;
    rig.server.trouble_with(http::Method::GET, "/chat/", 1, Trouble::TunnelBefore(404));
    assert_eq!(Is::of(&rig.text(ANN, "hello").await), Is::Released);
    assert_eq!(rig.shown(ANN, "hello"), 0);
    assert_eq!(Is::of(&rig.text(ANN, "hello").await), Is::Sent);
    assert!(rig.server.seen().iter().all(|one| !one.path.ends_with("/chat/new")));
}

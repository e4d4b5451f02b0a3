//! The simulator behind a real link: people text, lines go wrong, contacts behave.

use std::{sync::Arc, time::Duration};

use switchboard_model::{
    link::{Inbound, InboundChat, Outcome},
    simulator::{ALWAYS_FAILS, ECHOES, FaultMode, NEVER_ANSWERS, SimulatedPhones, SimulatorError},
};

use crate::{
    harness::{CONTACT, Harness, handle, open},
    item, soon,
};

#[tokio::test]
async fn a_contacts_text_is_answered_once_the_server_has_it() {
    let (harness, mut peer) = Harness::new().await;
    let text = harness.simulator.text(harness.says(CONTACT, "hello", None));
    let (text, (_, entries, results)) =
        soon(async { tokio::join!(text, peer.take_inbound()) }).await;
    let text = text.unwrap();
    assert_eq!((text.chat_id, text.message_id), (results[0].chat_id, results[0].message_id));
    let [Inbound::Message(message)] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(message.guid, text.guid);
    assert_eq!(text.guid, text.guid.to_uppercase());
    assert_eq!(message.chat, InboundChat::Contact { handle: handle(CONTACT) });
    assert_eq!(message.text.as_deref(), Some("hello"));

    // Its chat's id is as good as none; another's is not.
    let chat_id = results[0].chat_id;
    let again = harness.simulator.text(harness.says(CONTACT, "again", chat_id));
    let (again, _) = soon(async { tokio::join!(again, peer.take_inbound()) }).await;
    assert!(again.unwrap().message_id.is_some());
    let stranger = harness.simulator.text(harness.says("+15550100009", "x", chat_id)).await;
    assert!(matches!(stranger, Err(SimulatorError::ChatNotFound)));
    let mut nowhere = harness.says(CONTACT, "x", None);
    nowhere.line = handle("+15550100099");
    let nowhere = harness.simulator.text(nowhere).await;
    assert!(matches!(nowhere, Err(SimulatorError::LineNotFound)));
}

#[tokio::test]
async fn while_the_bridge_is_away_texts_wait_and_come_in_order() {
    let (harness, mut peer) = Harness::new().await;
    peer.line_is(true).await;
    harness.fault(FaultMode::Offline, None, None).await;
    peer.line_is(false).await;
    let group = harness.simulator.group(&harness.line.handle, None, vec![handle(CONTACT)]);
    assert!(matches!(soon(group).await, Err(SimulatorError::Offline)));
    for text in ["1", "2"] {
        let text = soon(harness.simulator.text(harness.says(CONTACT, text, None))).await.unwrap();
        assert_eq!((text.chat_id, text.message_id), (None, None));
    }
    let (_, outcome) = harness.outcome(&mut peer, CONTACT).await;
    assert_eq!(outcome, Outcome::Released);
    harness.fault(FaultMode::Offline, Some(Duration::from_millis(20)), None).await;
    peer.line_is(true).await;
    let mut entries = peer.take_inbound().await.1;
    if entries.len() < 2 {
        entries.extend(peer.take_inbound().await.1);
    }
    let texts: Vec<_> = entries
        .iter()
        .map(|entry| match entry {
            Inbound::Message(message) => message.text.as_deref(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, [Some("1"), Some("2")]);
}

#[tokio::test]
async fn a_group_is_known_by_its_chat_id_even_after_a_restart() {
    let (mut harness, mut peer) = Harness::new().await;
    let members = vec![handle(CONTACT), handle("+15550100003"), handle(CONTACT)];
    let group = harness.simulator.group(&harness.line.handle, Some("Us".to_owned()), members);
    let (chat_id, (position, entries, results)) =
        soon(async { tokio::join!(group, peer.take_inbound()) }).await;
    let chat_id = chat_id.unwrap();
    assert_eq!(Some(chat_id), results[0].chat_id);
    let [Inbound::Group { chat: InboundChat::Group { identifier, participants, .. } }] =
        &entries[..]
    else {
        panic!("{entries:?}")
    };
    assert_eq!(participants.len(), 2);

    harness.line.position = Some(position);
    let mut peer = harness.restart(peer).await;
    let text = harness.simulator.text(harness.says(CONTACT, "hi all", Some(chat_id)));
    let (text, (_, entries, _)) = soon(async { tokio::join!(text, peer.take_inbound()) }).await;
    assert!(text.unwrap().message_id.is_some());
    assert!(matches!(
        &entries[..],
        [Inbound::Message(message)]
            if matches!(&message.chat, InboundChat::Group { identifier: it, .. } if it == identifier)
    ));
    let mut item = item(&harness.line, chat_id, identifier, "hi you");
    item.is_group = true;
    peer.give(std::slice::from_ref(&item)).await;
    peer.reports_of(1).await;
    let (line, us) = (harness.line.handle.as_str().to_owned(), CONTACT.to_owned());
    assert_eq!(harness.texts_on(CONTACT).await, [(line.clone(), "hi you".to_owned())]);
    let both = [(us, "hi all".to_owned()), (line, "hi you".to_owned())];
    assert_eq!(harness.texts_on("+15550100003").await, both);
    let outsider = harness.simulator.text(harness.says("+15550100009", "x", Some(chat_id))).await;
    assert!(matches!(outsider, Err(SimulatorError::ChatNotFound)));
}

#[tokio::test]
async fn a_group_whose_answer_was_lost_is_told_again() {
    let (mut harness, mut peer) = Harness::new().await;
    let (simulator, line) = (harness.simulator.clone(), harness.line.handle.clone());
    let group =
        tokio::spawn(async move { simulator.group(&line, None, vec![handle(CONTACT)]).await });
    let (_, position, first) = peer.inbound().await;
    // Committed, but the socket is cut before the bridge hears of it.
    drop(peer);
    harness.line.position = Some(position);
    let (mut peer, _) = harness.server.welcome(std::slice::from_ref(&harness.line), &[]).await;
    let (_, again, results) = peer.take_inbound().await;
    assert_eq!(again, first);
    assert_eq!(Some(soon(group).await.unwrap().unwrap()), results[0].chat_id);
}

#[tokio::test]
async fn contacts_behave_in_their_own_way() {
    let (harness, mut peer) = Harness::new().await;
    let (_, outcome) = harness.outcome(&mut peer, ALWAYS_FAILS).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    let (_, outcome) = harness.outcome(&mut peer, NEVER_ANSWERS).await;
    assert_eq!(outcome, Outcome::Unknown);
    assert_eq!(harness.texts_on(NEVER_ANSWERS).await, []);
    let (item, outcome) = harness.outcome(&mut peer, ECHOES).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    let (_, entries, _) = peer.take_inbound().await;
    let [Inbound::Message(echo)] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((echo.sender.as_str(), echo.text.as_deref()), (ECHOES, Some("x")));
    // The chat is known from the item, before anybody wrote in it.
    let text = harness.simulator.text(harness.says(ECHOES, "by id", Some(item.chat_id)));
    let (text, _) = soon(async { tokio::join!(text, peer.take_inbound()) }).await;
    text.unwrap();
}

#[tokio::test]
async fn lines_go_wrong_for_so_many_items() {
    let (harness, mut peer) = Harness::new().await;
    harness.fault(FaultMode::Reject, None, Some(2)).await;
    for _ in 0..2 {
        let (_, outcome) = harness.outcome(&mut peer, CONTACT).await;
        let Outcome::Failed { error } = outcome else { panic!("{outcome:?}") };
        assert_eq!(error, "The simulator refused the message (fault mode 'reject').");
    }
    assert_eq!(harness.texts_on(CONTACT).await.len(), 0);
    // Three times as slow as the time-out of a line that is well: it is still no time-out.
    harness.fault(FaultMode::Slow, Some(Duration::from_millis(300)), Some(1)).await;
    let began = tokio::time::Instant::now();
    let (_, outcome) = harness.outcome(&mut peer, CONTACT).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    assert!(began.elapsed() >= Duration::from_millis(300));
    harness.fault(FaultMode::LoseReport, None, None).await;
    let (_, outcome) = harness.outcome(&mut peer, CONTACT).await;
    assert_eq!(outcome, Outcome::Unknown);
    harness.fault(FaultMode::None, None, None).await;
    let (_, outcome) = harness.outcome(&mut peer, CONTACT).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    assert_eq!(harness.texts_on(CONTACT).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn before_the_first_link_nobody_knows_the_lines() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = open(folder.path(), &Arc::default());
    let group = simulator.group(&handle("+15550100001"), None, vec![handle(CONTACT)]).await;
    assert!(matches!(group, Err(SimulatorError::NotLinked)));
}

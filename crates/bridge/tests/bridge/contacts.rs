//! What contacts do beside texting: files and voice memos, reactions, typing, reading.

use std::{fs, sync::Arc};

use switchboard_bridge::{Driver, SimulatorOptions};
use switchboard_model::{
    line::Capability,
    link::{Content, Inbound, InboundChat, InboundMessage, InboundUpdate},
    reaction::ReactionType,
    simulator::{ContactFile, ContactText, FaultMode, SimulatedPhones, SimulatorError},
};

use crate::{
    fake_files::Trouble,
    fake_server::Peer,
    harness::{CONTACT, Harness, handle},
    soon,
};

const OTHER: &str = "+15550100003";
/// The SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn photo(data: &[u8]) -> ContactFile {
    ContactFile {
        filename: Some("photo.jpg".to_owned()),
        mime_type: "image/jpeg".to_owned(),
        data: data.to_vec(),
        transcription: None,
    }
}

fn with_files(text: ContactText, files: &[&[u8]]) -> ContactText {
    ContactText { attachments: files.iter().map(|data| photo(data)).collect(), ..text }
}

fn message(entries: &[Inbound]) -> &InboundMessage {
    match entries {
        [Inbound::Message(message)] => message,
        other => panic!("{other:?}"),
    }
}

async fn group_of_two(
    harness: &Harness,
    peer: &mut Peer,
) -> switchboard_model::id::Id<switchboard_model::Chat> {
    let members = vec![handle(CONTACT), handle(OTHER)];
    let made = harness.simulator.group(&harness.line.handle, None, members);
    harness.taken(peer, made).await.1.unwrap()
}

#[tokio::test]
async fn files_are_on_the_server_before_their_message() {
    let (harness, mut peer) = Harness::new().await;
    let text = with_files(harness.says(CONTACT, "look", None), &[b"hello", b"more", b"hello"]);
    let (entries, text) = harness.taken(&mut peer, harness.simulator.text(text)).await;
    assert!(text.unwrap().message_id.is_some());
    let message = message(&entries);
    let uploads = harness.server.files.uploads();
    assert_eq!(uploads.len(), 3);
    for (linked, uploaded) in message.attachments.iter().zip(&uploads) {
        assert_eq!(linked.file_id, uploaded.id);
        assert_eq!(uploaded.line_id, harness.line.id.to_string());
        assert_eq!(linked.filename.as_deref(), Some("photo%2Ejpg"), "the server's word counts");
    }
    assert_eq!([&uploads[0].data, &uploads[1].data], [b"hello".as_slice(), b"more"]);
    assert!(!message.is_audio_message);
    // Nobody needs them here any more.
    assert_eq!(harness.waiting_files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_voice_memo_keeps_what_is_said_in_it() {
    let (harness, mut peer) = Harness::new().await;
    let memo = ContactFile {
        filename: None,
        mime_type: "audio/x-caf".to_owned(),
        data: b"caff".to_vec(),
        transcription: Some("call me".to_owned()),
    };
    let text = ContactText {
        text: None,
        attachments: vec![memo],
        is_audio_message: true,
        ..harness.says(CONTACT, "", None)
    };
    let (entries, _) = harness.taken(&mut peer, harness.simulator.text(text)).await;
    let message = message(&entries);
    assert!(message.is_audio_message && message.text.is_none());
    let [memo] = &message.attachments[..] else { panic!() };
    assert_eq!(memo.transcription.as_deref(), Some("call me"));
    assert_eq!(memo.mime_type, "audio/x-caf");
}

#[tokio::test]
async fn files_that_wait_survive_a_restart_and_go_up_again() {
    let (mut harness, mut peer) = Harness::new().await;
    peer.line_is(true).await;
    harness.fault(FaultMode::Offline, None, None).await;
    peer.line_is(false).await;
    let text = with_files(harness.says(CONTACT, "look", None), &[b"hello"]);
    assert_eq!(soon(harness.simulator.text(text)).await.unwrap().message_id, None);
    assert_eq!(harness.waiting_files(), [HELLO]);
    // What a killed process leaves behind is swept away; what is needed stays.
    fs::write(harness.folder.path().join("simulator.files/.tmpX"), "half").unwrap();

    let mut peer = harness.restart(peer).await;
    let (_, _, lost) = peer.inbound().await;
    assert_eq!(harness.waiting_files(), [HELLO]);
    // The socket is cut before the server has the message: the bytes go up again.
    drop(peer);
    let (mut peer, _) = harness.server.welcome(std::slice::from_ref(&harness.line), &[]).await;
    let (_, entries, _) = peer.take_inbound().await;
    let uploads = harness.server.files.uploads();
    assert_eq!(uploads.len(), 2);
    assert_eq!(uploads[0].data, uploads[1].data);
    assert_eq!(message(&entries).attachments[0].file_id, uploads[1].id);
    assert_eq!(message(&lost).attachments[0].file_id, uploads[0].id);
    assert_eq!(message(&lost).guid, message(&entries).guid);
    crate::eventually(|| harness.waiting_files().is_empty()).await;
}

#[tokio::test]
async fn an_upload_that_may_pass_is_asked_again_one_that_will_not_is_left_out() {
    let (harness, mut peer) = Harness::new().await;
    peer.line_is(true).await;
    harness.fault(FaultMode::Offline, None, None).await;
    peer.line_is(false).await;
    let memo = ContactText {
        is_audio_message: true,
        ..with_files(harness.says(CONTACT, "1", None), &[b"hello"])
    };
    soon(harness.simulator.text(memo)).await.unwrap();
    let two = with_files(harness.says(CONTACT, "2", None), &[b"hello", b"more"]);
    soon(harness.simulator.text(two)).await.unwrap();
    // Nobody reads the history here but this test.
    harness.server.bridge.abort();
    drop(peer);
    harness.fault(FaultMode::None, None, None).await;
    let files = harness.server.config.files();
    let read = || harness.simulator.history(harness.line.id, None, 9, files);
    harness.server.files.fail_next([Trouble::Status(413), Trouble::Status(503)]);
    assert!(soon(read()).await.is_err());
    let batch = soon(read()).await.unwrap();
    let [Inbound::Message(one), Inbound::Message(two)] = &batch.entries[..] else { panic!() };
    assert!(one.attachments.is_empty() && !one.is_audio_message);
    assert_eq!(one.text.as_deref(), Some("1"));
    assert_eq!(two.attachments.len(), 2);
    // The same place gives the same entries, and asks for nothing again.
    let asked = harness.server.files.requests();
    assert_eq!(soon(read()).await.unwrap(), batch);
    assert_eq!(harness.server.files.requests(), asked);
}

#[tokio::test]
async fn more_than_it_promised_to_keep_is_refused_as_such() {
    let (mut harness, mut peer) = Harness::new().await;
    peer.line_is(true).await;
    harness.fault(FaultMode::Offline, None, None).await;
    peer.line_is(false).await;
    let text = |harness: &Harness| with_files(harness.says(CONTACT, "look", None), &[b"hello"]);
    soon(harness.simulator.text(text(&harness))).await.unwrap();
    // As if all that may wait did: two gibibytes, which no test writes.
    let journal = harness.folder.path().join("simulator.jsonl");
    let told = fs::read_to_string(&journal).unwrap();
    let full = told.replace("\"size\":5", "\"size\":2147483648");
    assert_ne!(told, full);
    fs::write(&journal, full).unwrap();
    let _peer = harness.restart(peer).await;
    let refused = soon(harness.simulator.text(text(&harness))).await;
    assert!(matches!(refused, Err(SimulatorError::Full)), "{refused:?}");
}

#[tokio::test]
async fn a_group_sees_the_files_too() {
    let (harness, mut peer) = Harness::new().await;
    let chat = group_of_two(&harness, &mut peer).await;
    let text = with_files(harness.says(CONTACT, "look", Some(chat)), &[b"hello"]);
    harness.taken(&mut peer, harness.simulator.text(text)).await.1.unwrap();
    let phone = harness.phone(OTHER).await;
    let [shown] = &phone.messages[..] else { panic!("{phone:?}") };
    assert_eq!((shown.attachments[0].sha256.as_str(), shown.attachments[0].size), (HELLO, 5));
    assert!(harness.phone(CONTACT).await.messages.is_empty());
}

#[tokio::test]
async fn contacts_react_to_what_stands_in_their_chats() {
    let (mut harness, mut peer) = Harness::new().await;
    let sent = harness.sent(&mut peer, CONTACT).await;
    let (entries, reacted) = harness
        .taken(&mut peer, harness.simulator.react(harness.reacts(CONTACT, &sent, "love")))
        .await;
    assert!(reacted.unwrap().is_some());
    let [Inbound::Reaction(first)] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(first.chat, InboundChat::Contact { handle: handle(CONTACT) });
    assert_eq!((first.message_guid.as_str(), first.added), (sent.as_str(), true));
    let on_phone = |what: &str| vec![(sent.clone(), CONTACT.to_owned(), what.to_owned())];
    assert_eq!(harness.reactions_on(CONTACT).await, on_phone("love"));
    assert_eq!(harness.phone(CONTACT).await.messages[0].reactions.len(), 1);

    // Another one takes its place, and the older one is told as taken back first; the same again
    // takes nobody's, and taking back what is not there changes nothing.
    let party = || harness.simulator.react(harness.reacts(CONTACT, &sent, "\u{1f389}"));
    let (entries, _) = harness.taken(&mut peer, party()).await;
    let [Inbound::Reaction(older), Inbound::Reaction(newer)] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!((&older.reaction_type, older.added), (&first.reaction_type, false));
    assert!(newer.added && newer.guid != older.guid && older.guid != first.guid);
    let (entries, _) = harness.taken(&mut peer, party()).await;
    assert!(matches!(&entries[..], [Inbound::Reaction(again)] if again.added), "{entries:?}");
    assert_eq!(harness.reactions_on(CONTACT).await, on_phone("\u{1f389}"));
    let mut back = harness.reacts(CONTACT, &sent, "love");
    back.remove = true;
    harness.react(&mut peer, back.clone()).await.unwrap();
    assert_eq!(harness.reactions_on(CONTACT).await, on_phone("\u{1f389}"));
    let mut peer = harness.restart(peer).await;
    assert_eq!(harness.reactions_on(CONTACT).await, on_phone("\u{1f389}"));
    back.reaction_type = ReactionType::Emoji("\u{1f389}".to_owned());
    let (entries, _) = harness.taken(&mut peer, harness.simulator.react(back)).await;
    let Some(Inbound::Reaction(last)) = entries.last() else { panic!("{entries:?}") };
    assert!(!last.added && last.guid != first.guid);
    assert_eq!(harness.reactions_on(CONTACT).await, []);
    assert_eq!(harness.phone(CONTACT).await.messages[0].reactions, []);

    for (from, guid) in [(CONTACT, "no such"), (OTHER, sent.as_str())] {
        let refused = harness.simulator.react(harness.reacts(from, guid, "love")).await;
        assert!(matches!(refused, Err(SimulatorError::MessageNotFound)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_reaction_in_a_group_is_on_every_phone() {
    let (mut harness, mut peer) = Harness::new().await;
    let chat = group_of_two(&harness, &mut peer).await;
    let said = harness.says(CONTACT, "hi", Some(chat));
    let guid = harness.text(&mut peer, said).await.guid;
    let (entries, _) = harness
        .taken(&mut peer, harness.simulator.react(harness.reacts(OTHER, &guid, "laugh")))
        .await;
    let [Inbound::Reaction(reaction)] = &entries[..] else { panic!("{entries:?}") };
    assert!(matches!(reaction.chat, InboundChat::Group { .. }));
    let shown = [(guid, OTHER.to_owned(), "laugh".to_owned())];
    assert_eq!(harness.reactions_on(OTHER).await, shown);
    assert_eq!(harness.reactions_on(CONTACT).await, shown, "also on what it wrote itself");
}

#[tokio::test]
async fn typing_and_reading_are_entries_like_any_other() {
    let (harness, mut peer) = Harness::new().await;
    let chat = group_of_two(&harness, &mut peer).await;
    let typing = harness.simulator.typing(harness.contact(CONTACT, None), true);
    let (entries, done) = harness.taken(&mut peer, typing).await;
    done.unwrap();
    let [Inbound::Typing(typing)] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((&typing.handle, typing.is_typing), (&handle(CONTACT), true));
    let typing = harness.simulator.typing(harness.contact(CONTACT, None), false);
    let (entries, _) = harness.taken(&mut peer, typing).await;
    assert!(matches!(&entries[..], [Inbound::Typing(typing)] if !typing.is_typing));
    let read = harness.simulator.read(harness.contact(OTHER, Some(chat)));
    let (entries, _) = harness.taken(&mut peer, read).await;
    let [Inbound::Read(read)] = &entries[..] else { panic!("{entries:?}") };
    assert!(matches!(read.chat, InboundChat::Group { .. }));

    let stranger = harness.simulator.read(harness.contact("+15550100009", Some(chat))).await;
    assert!(matches!(stranger, Err(SimulatorError::ChatNotFound)));
    // Without the bridge nobody waits; it arrives when the bridge is back.
    peer.line_is(true).await;
    harness.fault(FaultMode::Offline, None, None).await;
    peer.line_is(false).await;
    soon(harness.simulator.read(harness.contact(CONTACT, None))).await.unwrap();
    harness.fault(FaultMode::None, None, None).await;
    assert!(matches!(&peer.take_inbound().await.1[..], [Inbound::Read(_)]));
}

#[tokio::test]
async fn a_contact_edits_and_takes_back_what_it_wrote() {
    let (mut harness, mut peer) = Harness::new().await;
    let chat = group_of_two(&harness, &mut peer).await;
    let said = with_files(harness.says(CONTACT, "helo", Some(chat)), &[b"hello"]);
    let guid = harness.text(&mut peer, said).await.guid;
    let update = |entries: Vec<Inbound>| match <[Inbound; 1]>::try_from(entries) {
        Ok([Inbound::Update(update)]) => update,
        other => panic!("{other:?}"),
    };
    let mut last = None;
    for text in ["hello", "hello!"] {
        let (entries, edited) =
            harness.taken(&mut peer, harness.simulator.edit(&guid, text.to_owned())).await;
        let edited = edited.unwrap();
        assert!(edited.guid == guid && edited.message_id.is_some());
        let InboundUpdate { chat, message_guid, edit, unsent_at, .. } = update(entries);
        assert!(matches!(chat, InboundChat::Group { .. }) && unsent_at.is_none());
        let edit = edit.unwrap();
        assert_eq!((message_guid, edit.text.as_deref()), (guid.clone(), Some(text)));
        assert!(last.replace(edit.edited_at) < Some(edit.edited_at), "each later than the last");
        // On the other's phone, and also on the writer's, which does not list what it wrote.
        let shown = harness.phone(OTHER).await;
        assert_eq!(shown.messages[0].text.as_deref(), Some(text));
        assert_eq!(shown.messages[0].edited_at, last);
        assert_eq!(harness.phone(CONTACT).await.changes, shown.changes);
        assert_eq!(shown.changes[0].text.as_deref(), Some(text));
    }
    let mut peer = harness.restart(peer).await;
    assert_eq!(harness.texts_on(OTHER).await, [(CONTACT.to_owned(), "hello!".to_owned())]);

    let (entries, unsent) = harness.taken(&mut peer, harness.simulator.unsend(&guid)).await;
    assert!(unsent.unwrap().message_id.is_some());
    let first = update(entries);
    assert!(first.edit.is_none() && first.unsent_at.is_some());
    let (entries, _) = harness.taken(&mut peer, harness.simulator.unsend(&guid)).await;
    assert_eq!(update(entries), first, "the same again");
    let shown = harness.phone(OTHER).await.messages.remove(0);
    assert_eq!((shown.text, shown.attachments, shown.unsent_at), (None, vec![], first.unsent_at));
    assert_eq!(shown.edited_at, last);

    let sent = harness.sent(&mut peer, CONTACT).await;
    for theirs in [&guid, &sent, "no such"] {
        let refused = harness.simulator.edit(theirs, "x".to_owned()).await;
        assert!(matches!(refused, Err(SimulatorError::NotAContactsMessage)), "{refused:?}");
    }
    let refused = harness.simulator.unsend(&sent).await;
    assert!(matches!(refused, Err(SimulatorError::NotAContactsMessage)), "{refused:?}");
}

#[tokio::test]
async fn reading_is_told_of_each_message_once() {
    let (mut harness, mut peer) = Harness::new().await;
    let mut sent = Vec::new();
    for to in [CONTACT, OTHER, CONTACT] {
        sent.push(harness.sent(&mut peer, to).await);
    }
    let group = group_of_two(&harness, &mut peer).await;
    let read_by_now = |entries: &[Inbound]| {
        let [Inbound::Read(read), updates @ ..] = entries else { panic!("{entries:?}") };
        let guids = updates.iter().map(|entry| match entry {
            Inbound::Update(update) => {
                assert_eq!((update.read_at, update.delivered_at), (Some(read.at), None));
                update.message_guid.clone()
            }
            other => panic!("{other:?}"),
        });
        guids.collect::<Vec<_>>()
    };
    let (entries, _) =
        harness.taken(&mut peer, harness.simulator.read(harness.contact(CONTACT, None))).await;
    assert_eq!(read_by_now(&entries), [&*sent[0], &*sent[2]]);
    let (entries, _) =
        harness.taken(&mut peer, harness.simulator.read(harness.contact(CONTACT, None))).await;
    assert!(read_by_now(&entries).is_empty());
    let newer = harness.sent(&mut peer, CONTACT).await;
    let (entries, _) =
        harness.taken(&mut peer, harness.simulator.read(harness.contact(OTHER, Some(group)))).await;
    assert!(read_by_now(&entries).is_empty(), "in a group nobody's reading is the message's");
    let mut peer = harness.restart(peer).await;
    let (entries, _) =
        harness.taken(&mut peer, harness.simulator.read(harness.contact(CONTACT, None))).await;
    assert_eq!(read_by_now(&entries), [newer]);
    // Of very many, of the newest.
    let mut many = Vec::new();
    for _ in 0..101 {
        many.push(harness.sent(&mut peer, CONTACT).await);
    }
    let (entries, _) =
        harness.taken(&mut peer, harness.simulator.read(harness.contact(CONTACT, None))).await;
    assert_eq!(read_by_now(&entries), many[1..]);
}

#[tokio::test]
async fn what_a_contact_wrote_can_be_reacted_to_by_the_line_even_after_compaction() {
    let (mut harness, mut peer) = Harness::new().await;
    let guid = harness.text(&mut peer, harness.says(CONTACT, "hello", None)).await.guid;
    let content = Content::Reaction {
        message_guid: guid.clone(),
        reaction_type: ReactionType::Like,
        remove: false,
    };
    harness.outcome_of(&mut peer, CONTACT, content).await;
    harness.outcome_of(&mut peer, CONTACT, Content::Read).await;
    let (_, edited) =
        harness.taken(&mut peer, harness.simulator.edit(&guid, "hi".to_owned())).await;
    edited.unwrap();
    harness.sent(&mut peer, CONTACT).await;
    let (_, done) =
        harness.taken(&mut peer, harness.simulator.read(harness.contact(CONTACT, None))).await;
    done.unwrap();
    harness.simulator.capabilities(&harness.line.handle, false).await.unwrap();
    let shown = harness.reactions_on(CONTACT).await;
    let read = harness.phone(CONTACT).await.read;
    assert_eq!((shown.len(), read.len()), (1, 1));

    let path = harness.folder.path().join("simulator.jsonl");
    harness.server.stop.cancel();
    soon(&mut harness.server.bridge).await.unwrap().unwrap();
    let last = fs::read_to_string(&path).unwrap().lines().last().unwrap().to_owned() + "\n";
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(last.repeat(9 * 1024 * 1024 / last.len()).into_bytes());
    fs::write(&path, &bytes).unwrap();
    harness.simulator = crate::harness::open(harness.folder.path(), &harness.clock);
    assert!(fs::metadata(&path).unwrap().len() < 10_000);
    assert_eq!(harness.reactions_on(CONTACT).await, shown);
    assert_eq!(harness.phone(CONTACT).await.read, read);
    assert_eq!(harness.phone(CONTACT).await.changes[0].text.as_deref(), Some("hi"));
    harness.simulator.assign_lines(vec![harness.line.clone()]).await;
    let status = harness.simulator.statuses().borrow()[&harness.line.id].clone();
    assert!(!Capability::are_advanced(&status.capabilities));
    // By the rewritten journal alone.
    let again = switchboard_bridge::Simulator::open(
        &path,
        Arc::<crate::Ticks>::default(),
        SimulatorOptions::default(),
    );
    let again = again.unwrap().phone(&handle(CONTACT)).await;
    assert_eq!(again, harness.phone(CONTACT).await);
}

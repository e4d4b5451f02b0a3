//! What lines send beside texts, on the contacts' phones: exactly once, or certainly not.

use std::{fs, sync::Arc, time::Duration};

use switchboard_bridge::{Driver, KnownOutcome, Simulator, SimulatorOptions};
use switchboard_model::{
    id::Id,
    line::Capability,
    link::{Content, LinkedFile, Outcome, SendItem},
    reaction::ReactionType,
    simulator::{ALWAYS_FAILS, ECHOES, FaultMode, NEVER_ANSWERS, SimulatedPhones},
};

use crate::{
    Ticks, asked,
    fake_server::FakeServer,
    harness::{CONTACT, Harness, handle},
    item, item_of, line, no_files, soon,
};

/// What a line can do without the advanced features.
const PLAIN: [Capability; 4] =
    [Capability::Attachments, Capability::NewChats, Capability::Groups, Capability::Replies];

/// The SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn message(attachments: Vec<LinkedFile>) -> Content {
    Content::Message { text: None, attachments, is_audio_message: false, reply_to_guid: None }
}

fn reaction(guid: &str, what: ReactionType, remove: bool) -> Content {
    Content::Reaction { message_guid: guid.to_owned(), reaction_type: what, remove }
}

fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done { .. })
}

#[tokio::test]
async fn a_phone_has_all_the_bytes_of_an_attachment() {
    let (harness, mut peer) = Harness::new().await;
    let files =
        vec![harness.server.files.put("a.jpg", b"hello"), harness.server.files.put("b", b"more")];
    let (_, outcome) = harness.outcome_of(&mut peer, CONTACT, message(files.clone())).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    let phone = harness.phone(CONTACT).await;
    let [shown] = &phone.messages[..] else { panic!("{phone:?}") };
    assert_eq!(shown.attachments.len(), 2);
    assert_eq!(shown.attachments[0].sha256, HELLO);
    assert_eq!(shown.attachments[0].filename.as_deref(), Some("a.jpg"));
    assert!(harness.waiting_files().is_empty());
    let Content::Message { text, reply_to_guid, .. } = message(vec![]) else { unreachable!() };
    let attachments = files[..1].to_vec();
    let memo = Content::Message { text, attachments, is_audio_message: true, reply_to_guid };
    // Neither does a contact that echoes send files back.
    let (_, outcome) = harness.outcome_of(&mut peer, ECHOES, memo).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    assert!(harness.phone(ECHOES).await.messages[0].is_audio_message);
    assert_eq!(harness.server.files.uploads(), []);
}

#[tokio::test]
async fn what_can_not_be_fetched_is_not_sent() {
    let (harness, mut peer) = Harness::new().await;
    let mut gone = harness.server.files.put("a.jpg", b"hello");
    gone.file_id = Id::generate();
    let files = vec![harness.server.files.put("b", b"more"), gone];
    let (failed, outcome) = harness.outcome_of(&mut peer, CONTACT, message(files)).await;
    let Outcome::Failed { error } = &outcome else { panic!("{outcome:?}") };
    assert!(error.contains("no such file"), "{error}");
    let outcomes = harness.simulator.reconcile(&asked(&[failed.id])).await.unwrap();
    assert_eq!(outcomes[&failed.id], KnownOutcome::Finished(outcome));
    assert!(harness.phone(CONTACT).await.messages.is_empty() && harness.waiting_files().is_empty());

    // With the server out of reach the item goes back, as if it had never come.
    let options = SimulatorOptions {
        fetch_timeout: Duration::from_millis(50),
        ..SimulatorOptions::default()
    };
    let path = harness.folder.path().join("other.jsonl");
    let simulator = Simulator::open(&path, Arc::<Ticks>::default(), options).unwrap();
    simulator.assign_lines(vec![harness.line.clone()]).await;
    let file = harness.server.files.put("a.jpg", b"hello");
    let item = item_of(&harness.line, Id::generate(), CONTACT, message(vec![file]));
    assert_eq!(soon(simulator.send(item.clone(), &no_files())).await, Outcome::Released);
    let outcomes = simulator.reconcile(&asked(&[item.id])).await.unwrap();
    assert_eq!(outcomes[&item.id], KnownOutcome::NeverStarted);
    let sent = soon(simulator.send(item, harness.server.config.files())).await;
    assert!(matches!(sent, Outcome::Sent { .. }), "{sent:?}");
}

#[tokio::test]
async fn fetching_has_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("simulator.jsonl");
    let simulator =
        Simulator::open(&path, Arc::<Ticks>::default(), SimulatorOptions::default()).unwrap();
    let line = line();
    let file = LinkedFile {
        file_id: Id::generate(),
        filename: None,
        mime_type: "image/jpeg".to_owned(),
        size: 1,
        transcription: None,
        original: None,
    };
    let limit = |to: &str, files| {
        simulator.send_timeout(&item_of(&line, Id::generate(), to, message(files)))
    };
    assert_eq!(limit(CONTACT, vec![]), Duration::from_secs(10));
    assert_eq!(limit(CONTACT, vec![file.clone()]), Duration::from_secs(70));
    assert_eq!(limit(NEVER_ANSWERS, vec![file]), Duration::from_secs(10));
}

#[tokio::test]
async fn a_line_reacts_and_takes_it_back() {
    let (mut harness, mut peer) = Harness::new().await;
    let guid = harness.text(&mut peer, harness.says(CONTACT, "hello", None)).await.guid;
    let on_phone =
        |what: &str| vec![(guid.clone(), harness.line.handle.as_str().to_owned(), what.to_owned())];
    for what in [ReactionType::Love, ReactionType::Emoji("\u{1f389}".to_owned())] {
        let shown = on_phone(what.as_str());
        let (_, outcome) =
            harness.outcome_of(&mut peer, CONTACT, reaction(&guid, what, false)).await;
        assert!(is_done(&outcome), "{outcome:?}");
        assert_eq!(harness.reactions_on(CONTACT).await, shown);
    }
    let party = ReactionType::Emoji("\u{1f389}".to_owned());
    harness.outcome_of(&mut peer, CONTACT, reaction(&guid, party, true)).await;
    assert_eq!(harness.reactions_on(CONTACT).await, []);
    assert!(
        harness.phone(CONTACT).await.messages.is_empty(),
        "the contact wrote it, nobody sent it"
    );

    // Not to what is not there, nor to what stands in another chat.
    let elsewhere = harness.sent(&mut peer, "+15550100003").await;
    for guid in ["no such", &elsewhere] {
        let love = reaction(guid, ReactionType::Love, false);
        let (_, outcome) = harness.outcome_of(&mut peer, CONTACT, love).await;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_typing_indicator_goes_off_in_a_minute_or_with_a_message() {
    let (harness, mut peer) = Harness::new().await;
    let line = harness.line.handle.clone();
    let mut types = async |on| {
        let (_, outcome) = harness.outcome_of(&mut peer, CONTACT, Content::Typing { on }).await;
        assert!(is_done(&outcome), "{outcome:?}");
        harness.phone(CONTACT).await.typing
    };
    assert_eq!(types(true).await, std::slice::from_ref(&line));
    assert_eq!(types(false).await, []);
    assert_eq!(types(true).await, std::slice::from_ref(&line));
    assert!(harness.phone("+15550100003").await.typing.is_empty());
    harness.clock.advance(Duration::from_millis(59_900));
    assert_eq!(harness.phone(CONTACT).await.typing, std::slice::from_ref(&line));
    harness.clock.advance(Duration::from_millis(101));
    assert_eq!(harness.phone(CONTACT).await.typing, []);
    assert_eq!(types(true).await, [line]);
    harness.outcome(&mut peer, "+15550100003").await;
    assert_eq!(harness.phone(CONTACT).await.typing.len(), 1, "another chat's message");
    harness.outcome(&mut peer, CONTACT).await;
    assert_eq!(harness.phone(CONTACT).await.typing, []);
}

#[tokio::test]
async fn a_phone_shows_what_a_line_has_read() {
    let (mut harness, mut peer) = Harness::new().await;
    let mut last = None;
    for _ in 0..2 {
        let (_, outcome) = harness.outcome_of(&mut peer, CONTACT, Content::Read).await;
        let Outcome::Done { at } = outcome else { panic!("{outcome:?}") };
        last = Some(at);
    }
    harness.restart(peer).await;
    let [read] = &harness.phone(CONTACT).await.read[..] else { panic!() };
    assert_eq!((&read.line, Some(read.read_at)), (&harness.line.handle, last));
    assert!(harness.phone("+15550100003").await.read.is_empty());
}

#[tokio::test]
async fn contacts_and_faults_behave_the_same_with_everything() {
    let (harness, mut peer) = Harness::new().await;
    let everything = || {
        [
            reaction("any", ReactionType::Love, false),
            Content::Typing { on: true },
            Content::Read,
            message(vec![harness.server.files.put("a", b"hello")]),
        ]
    };
    for content in everything() {
        let (_, outcome) = harness.outcome_of(&mut peer, ALWAYS_FAILS, content.clone()).await;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{content:?}: {outcome:?}");
        let (_, outcome) = harness.outcome_of(&mut peer, NEVER_ANSWERS, content.clone()).await;
        assert_eq!(outcome, Outcome::Unknown, "{content:?}");
        harness.fault(FaultMode::Reject, None, Some(1)).await;
        let (_, outcome) = harness.outcome_of(&mut peer, CONTACT, content.clone()).await;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{content:?}: {outcome:?}");
    }
    for contact in [ALWAYS_FAILS, NEVER_ANSWERS, CONTACT] {
        let phone = harness.phone(contact).await;
        assert!(phone.messages.is_empty() && phone.typing.is_empty() && phone.read.is_empty());
    }
    harness.fault(FaultMode::LoseReport, None, Some(1)).await;
    let (_, outcome) = harness.outcome_of(&mut peer, CONTACT, Content::Read).await;
    assert_eq!((outcome, harness.phone(CONTACT).await.read.len()), (Outcome::Unknown, 1));
}

#[tokio::test]
async fn a_line_loses_its_advanced_features_and_gets_them_back() {
    let (mut harness, mut peer) = Harness::new().await;
    assert_eq!(peer.line_can().await, Capability::ALL);
    harness.simulator.capabilities(&harness.line.handle, false).await.unwrap();
    assert_eq!(peer.line_can().await, PLAIN);
    for content in [Content::Typing { on: true }, Content::Read] {
        let (_, outcome) = harness.outcome_of(&mut peer, CONTACT, content).await;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    }
    harness.sent(&mut peer, CONTACT).await;
    let mut peer = harness.restart(peer).await;
    assert_eq!(peer.line_can().await, PLAIN);
    harness.simulator.capabilities(&harness.line.handle, true).await.unwrap();
    assert_eq!(peer.line_can().await, Capability::ALL);
    let unknown = harness.simulator.capabilities(&handle("+15550100099"), true).await;
    assert!(unknown.is_err());
}

/// Whether the phone shows an item of [`of_every_kind`].
async fn shows(simulator: &Simulator, item: &SendItem) -> bool {
    let phone = simulator.phone(&handle(CONTACT)).await;
    match &item.content {
        Content::Message { .. } => phone.messages.len() == 2,
        Content::Reaction { .. } => phone.reactions.len() == 1,
        Content::Read => phone.read.len() == 1,
        Content::Typing { .. } => unreachable!("an indicator need not survive"),
    }
}

#[tokio::test]
async fn a_journal_cut_at_any_byte_is_exact_for_every_kind() {
    let (driver, _started) = crate::fake_driver::FakeDriver::new();
    let server = FakeServer::start(driver).await;
    let folder = tempfile::tempdir().unwrap();
    let (whole, torn) = (folder.path().join("simulator.jsonl"), folder.path().join("torn.jsonl"));
    let line = line();
    let open =
        |path| Simulator::open(path, Arc::<Ticks>::default(), SimulatorOptions::default()).unwrap();
    let simulator = open(&whole);
    simulator.assign_lines(vec![line.clone()]).await;
    let files = server.config.files();
    let first = item(&line, Id::generate(), CONTACT, "x");
    let Outcome::Sent { guid, .. } = simulator.send(first, files).await else { panic!() };
    let base = fs::metadata(&whole).unwrap().len() as usize;
    let items: Vec<_> = [
        message(vec![server.files.put("a", b"hello")]),
        reaction(&guid, ReactionType::Love, false),
        Content::Read,
    ]
    .map(|content| item_of(&line, Id::generate(), CONTACT, content))
    .to_vec();
    for item in &items {
        let outcome = soon(simulator.send(item.clone(), files)).await;
        assert!(matches!(outcome, Outcome::Sent { .. } | Outcome::Done { .. }), "{outcome:?}");
        // The same item again is the same outcome.
        assert_eq!(soon(simulator.send(item.clone(), files)).await, outcome);
    }
    let bytes = fs::read(&whole).unwrap();
    for cut in base..=bytes.len() {
        fs::write(&torn, &bytes[..cut]).unwrap();
        let simulator = open(&torn);
        let outcomes = simulator
            .reconcile(&asked(&items.iter().map(|item| item.id).collect::<Vec<_>>()))
            .await;
        for (id, known) in outcomes.unwrap() {
            let item = items.iter().find(|item| item.id == id).unwrap();
            let finished = matches!(known, KnownOutcome::Finished(_));
            assert_eq!(shows(&simulator, item).await, finished, "cut at byte {cut}: {known:?}");
        }
    }
}

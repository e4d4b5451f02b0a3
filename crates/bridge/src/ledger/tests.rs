use std::time::Duration;

use switchboard_model::{
    Handle, Line, OutboxItem,
    chat::Service,
    id::Id,
    link::{Content, Inbound, InboundChat, InboundMessage, InboundRead, Outcome, SendItem},
};

use super::*;
use crate::driver::{Asked, KnownOutcome};

pub(crate) const LATER: Timestamp = Timestamp(1_000_000);

pub(crate) fn item(text: &str) -> SendItem {
    SendItem {
        id: Id::<OutboxItem>::generate(),
        order: 1,
        line_id: Id::generate(),
        chat_id: Id::generate(),
        identifier: "+15550100001".to_owned(),
        is_group: false,
        content: Content::Message {
            text: Some(text.to_owned()),
            attachments: Vec::new(),
            is_audio_message: false,
            reply_to_guid: None,
        },
    }
}

pub(crate) fn sent(guid: &str) -> Outcome {
    Outcome::Sent {
        guid: guid.to_owned(),
        sent_at: LATER,
        service: Service::IMessage,
        delivered_at: None,
    }
}

fn own(item: &SendItem, guid: &str, text: &str) -> OwnRow {
    OwnRow {
        line: item.line_id,
        guid: guid.to_owned(),
        identifier: item.identifier.clone(),
        text: Some(text.to_owned()),
        has_files: false,
        sent_at: LATER + Duration::from_secs(1),
        service: Service::IMessage,
    }
}

/// A contact's message.
pub(super) fn message(guid: &str) -> Inbound {
    let handle = Handle::received("+15550100001");
    Inbound::Message(InboundMessage {
        guid: guid.to_owned(),
        chat: InboundChat::Contact { handle: handle.clone() },
        sender: handle,
        text: Some(guid.to_owned()),
        sent_at: LATER,
        service: Service::IMessage,
        reply_to_guid: None,
        attachments: Vec::new(),
        is_audio_message: false,
    })
}

fn observation(key: &str) -> Observation {
    let handle = Handle::received("+15550100001");
    let chat = InboundChat::Contact { handle: handle.clone() };
    Observation::new(key, Inbound::Read(InboundRead { chat, handle, at: LATER }))
}

/// What it knows of an item that was claimed on the link of this epoch.
async fn known_of(ledger: &Ledger, id: Id<OutboxItem>, claimed: Option<i64>) -> Known {
    ledger.known(vec![Asked { id, claimed }]).await.unwrap().remove(&id).unwrap()
}

async fn known(ledger: &Ledger, id: Id<OutboxItem>) -> Known {
    ledger.welcomed("desk".to_owned(), 1).await.unwrap();
    known_of(ledger, id, Some(1)).await
}

#[tokio::test]
async fn an_item_is_begun_once_and_survives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let item = item("one");
    assert!(matches!(known(&ledger, item.id).await, Known::Outcome(KnownOutcome::NeverStarted)));
    let first = ledger.begin(item.clone(), Some("7".to_owned()), LATER).await.unwrap().unwrap();
    let again = ledger.begin(item.clone(), None, LATER).await.unwrap();
    assert_eq!(again, Err(Outcome::Unknown), "it is under way");
    drop(ledger);

    let ledger = Ledger::open(dir.path()).unwrap();
    let Known::Begun(begun) = known(&ledger, item.id).await else { panic!("it was begun") };
    assert_eq!((begun.token, begun.mark.as_deref()), (first.token, Some("7")));
    ledger.finish(item.id, sent("g-1"), LATER).await.unwrap();
    // What came of it first stands.
    ledger.finish(item.id, Outcome::Unknown, LATER).await.unwrap();
    assert_eq!(ledger.begin(item.clone(), None, LATER).await.unwrap(), Err(sent("g-1")));
    let of_it = known(&ledger, item.id).await;
    assert!(
        matches!(of_it, Known::Outcome(KnownOutcome::Finished(outcome)) if outcome == sent("g-1"))
    );
}

#[tokio::test]
async fn what_never_reached_messages_is_begun_again_under_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let item = item("one");
    let first = ledger.begin(item.clone(), None, LATER).await.unwrap().unwrap();
    ledger.finish(item.id, Outcome::Released, LATER).await.unwrap();
    assert!(matches!(known(&ledger, item.id).await, Known::Outcome(KnownOutcome::NeverStarted)));
    let second = ledger.begin(item, None, LATER).await.unwrap().unwrap();
    assert_ne!(first.token, second.token);
}

#[tokio::test]
async fn an_unknown_outcome_is_looked_into_until_the_truth_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let item = item("one");
    ledger.begin(item.clone(), None, LATER).await.unwrap().unwrap();
    ledger.finish(item.id, Outcome::Unknown, LATER).await.unwrap();
    let in_a_minute = LATER + Duration::from_secs(60);
    assert!(ledger.to_look_into(LATER).await.unwrap().is_empty());
    let looked = ledger.to_look_into(in_a_minute).await.unwrap().remove(0);
    ledger.looked_into(&looked, None, in_a_minute).await.unwrap();
    assert!(ledger.to_look_into(in_a_minute).await.unwrap().is_empty(), "it waits its turn");
    ledger.looked_into(&looked, Some(sent("g-1")), in_a_minute).await.unwrap();
    // Told again and again, over processes, until the server has it.
    drop(ledger);
    let ledger = Ledger::open(dir.path()).unwrap();
    let later = ledger.later_truth().await.unwrap();
    assert_eq!((later.len(), &later[0].outcome), (1, &sent("g-1")));
    ledger.acknowledged(vec![item.id]).await.unwrap();
    assert!(ledger.later_truth().await.unwrap().is_empty());
    assert_eq!(ledger.begin(item, None, LATER).await.unwrap(), Err(sent("g-1")));
}

#[tokio::test]
async fn an_own_message_is_ours_by_guid_by_token_and_by_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let item = item("on my way");
    let begun = ledger.begin(item.clone(), None, LATER).await.unwrap().unwrap();
    let whose = async |guid: &str, text: &str| ledger.whose(own(&item, guid, text)).await.unwrap();
    // A tracked send has its name as guid, in whatever case.
    let token = begun.token.to_string().to_uppercase();
    assert_eq!(whose(&token, "on my way").await, Ownership::Ours(item.id));
    assert_eq!(whose("g-1", " on my way\u{fffc}").await, Ownership::NotYet);
    assert_eq!(whose("g-2", "something else").await, Ownership::Owners);
    ledger.finish(item.id, Outcome::Unknown, LATER).await.unwrap();
    assert_eq!(whose("g-1", "on my way").await, Ownership::Ours(item.id));
    // It has its message now: an equal text is the owner's.
    assert_eq!(whose("g-3", "on my way").await, Ownership::Owners);
    assert_eq!(whose("g-1", "on my way").await, Ownership::Ours(item.id));
    let later = ledger.later_truth().await.unwrap();
    assert!(matches!(&later[0].outcome, Outcome::Sent { guid, .. } if guid == "g-1"));
}

#[tokio::test]
async fn an_own_message_of_before_the_attempt_is_not_what_came_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let item = item("ok");
    ledger.begin(item.clone(), None, LATER).await.unwrap().unwrap();
    ledger.finish(item.id, Outcome::Unknown, LATER).await.unwrap();
    let before = OwnRow { sent_at: LATER - Duration::from_secs(60), ..own(&item, "g-0", "ok") };
    assert_eq!(ledger.whose(before).await.unwrap(), Ownership::Owners);
}

#[tokio::test]
async fn an_observation_is_one_for_ever_and_its_place_moves_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let line = Id::<Line>::generate();
    let cursor = |place: &str| {
        Some(("source", Cursor { identity: "a".to_owned(), place: place.to_owned() }))
    };
    let ledger = Ledger::open(dir.path()).unwrap();
    let observations = vec![(line, observation("one")), (line, observation("two"))];
    let recorded = Recorded { observations, cursor: cursor("2"), ..Recorded::default() };
    assert_eq!(ledger.record(recorded.clone()).await.unwrap(), 2);
    assert_eq!(ledger.record(recorded.clone()).await.unwrap(), 0);
    let waiting = ledger.waiting(line, None, 10).await.unwrap();
    let first = ledger.position(waiting[0].n);
    assert_eq!(ledger.waiting(line, Some(&first), 10).await.unwrap().len(), 1);
    // The server knows the place of a ledger that is gone: everything is told again, and known there.
    assert_eq!(ledger.waiting(line, Some("other.9"), 10).await.unwrap().len(), 2);
    ledger.received(line, &first).await.unwrap();
    drop(ledger);

    let ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(ledger.record(recorded).await.unwrap(), 0, "what was told is known for ever");
    let waiting = ledger.waiting(line, Some(&first), 10).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].n), (1, 2));
    assert_eq!(ledger.cursor("source").await.unwrap().unwrap().place, "2");
}

#[tokio::test]
async fn a_group_stays_one_under_all_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let line = Id::<Line>::generate();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let group = ledger.group(line, names(&["iMessage;+;chat1", "chat1"])).await.unwrap();
    assert_eq!(group.as_deref(), Some("iMessage;+;chat1"));
    let renamed = ledger.group(line, names(&["any;+;chat1", "chat1"])).await.unwrap();
    assert_eq!(renamed, group);
    let by_new_name = ledger.group(line, names(&["any;+;chat1"])).await.unwrap();
    assert_eq!(by_new_name, group);
    assert_eq!(ledger.group(line, Vec::new()).await.unwrap(), None);
    let other = ledger.group(Id::generate(), names(&["chat1"])).await.unwrap();
    assert_eq!(other.as_deref(), Some("chat1"), "another line's group is another");
}

#[test]
fn one_process_has_a_ledger_and_a_newer_one_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    assert!(matches!(Ledger::open(dir.path()), Err(LedgerError::InUse(_))));
    drop(ledger);
    Ledger::open(dir.path()).unwrap();
    let path = dir.path().join("ledger.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Ledger::open(dir.path()), Err(LedgerError::Newer(_))));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "texts and numbers stand in it");
    }
}

#[tokio::test]
async fn history_is_known_and_never_told() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let (line, other) = (Id::<Line>::generate(), Id::<Line>::generate());
    let cursor = Cursor { identity: "a".to_owned(), place: "1".to_owned() };
    let history = vec![(line, "old".to_owned())];
    ledger.pass_over(history, Some(("source", cursor.clone()))).await.unwrap();
    assert_eq!(ledger.cursor("source").await.unwrap(), Some(cursor));
    let told = |line, key| (line, observation(key));
    let observations = vec![told(line, "old"), told(line, "new"), told(other, "old")];
    let new = ledger.record(Recorded { observations, ..Recorded::default() }).await.unwrap();
    assert_eq!(new, 2);
    assert_eq!(ledger.waiting(line, None, 9).await.unwrap().len(), 1);
}

/// An item that says the same in the same chat.
fn alike(item: &SendItem) -> SendItem {
    SendItem { id: Id::generate(), ..item.clone() }
}

#[tokio::test]
async fn a_look_takes_no_message_that_one_under_way_may_be_about_to_name() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let lost = item("dup");
    ledger.begin(lost.clone(), None, LATER).await.unwrap().unwrap();
    ledger.finish(lost.id, Outcome::Unknown, LATER).await.unwrap();
    let again = alike(&lost);
    ledger.begin(again.clone(), None, LATER).await.unwrap().unwrap();
    let looked = ledger.to_look_into(LATER + Duration::from_secs(60)).await.unwrap().remove(0);
    let row = own(&lost, "g-1", "dup");
    assert!(!ledger.is_outcome_of(&looked, row.clone()).await.unwrap());
    // Who hands it over may take it, whatever is unknown beside it.
    let under_way = ledger.under_way(lost.line_id).await.unwrap().remove(0);
    assert_eq!(under_way.item.id, again.id);
    assert!(ledger.is_outcome_of(&under_way, row.clone()).await.unwrap());
    ledger.finish(again.id, sent("g-1"), LATER).await.unwrap();
    assert!(!ledger.is_outcome_of(&looked, row).await.unwrap());
    // What shows up after that is the lost one.
    let late = own(&lost, "g-2", "dup");
    assert!(ledger.is_outcome_of(&looked, late.clone()).await.unwrap());
    assert_eq!(ledger.whose(late).await.unwrap(), Ownership::Ours(lost.id));
}

#[tokio::test]
async fn what_was_cut_off_comes_before_what_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    // What ended long ago goes as it is opened.
    let begun_at = now();
    let lost = item("dup");
    ledger.begin(lost.clone(), None, begun_at).await.unwrap().unwrap();
    ledger.finish(lost.id, Outcome::Unknown, begun_at).await.unwrap();
    let again = alike(&lost);
    ledger.begin(again.clone(), None, begun_at).await.unwrap().unwrap();
    drop(ledger);
    let ledger = Ledger::open(dir.path()).unwrap();
    let looked = ledger.to_look_into(begun_at + Duration::from_secs(60)).await.unwrap();
    let look_at = |id| looked.iter().find(|begun| begun.item.id == id).unwrap();
    let row = OwnRow { sent_at: begun_at, ..own(&lost, "g-1", "dup") };
    assert!(!ledger.is_outcome_of(look_at(lost.id), row.clone()).await.unwrap());
    assert!(ledger.is_outcome_of(look_at(again.id), row).await.unwrap());
}

#[tokio::test]
async fn what_says_the_same_days_later_is_the_owners() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let item = item("ok");
    ledger.begin(item.clone(), None, LATER).await.unwrap().unwrap();
    ledger.finish(item.id, Outcome::Unknown, LATER).await.unwrap();
    let looked = ledger.to_look_into(LATER + Duration::from_secs(60)).await.unwrap().remove(0);
    let weeks = Duration::from_secs(21 * 24 * 60 * 60);
    let weeks_later = OwnRow { sent_at: LATER + weeks, ..own(&item, "g-0", "ok") };
    assert_eq!(ledger.whose(weeks_later.clone()).await.unwrap(), Ownership::Owners);
    assert!(!ledger.is_outcome_of(&looked, weeks_later).await.unwrap());
    let hours = Duration::from_secs(20 * 60 * 60);
    let same_day = OwnRow { sent_at: LATER + hours, ..own(&item, "g-1", "ok") };
    assert_eq!(ledger.whose(same_day).await.unwrap(), Ownership::Ours(item.id));
}

#[tokio::test]
async fn a_text_with_a_file_takes_one_message_for_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let mut item = item("the menu");
    let Content::Message { attachments, .. } = &mut item.content else { unreachable!() };
    attachments.push(switchboard_model::link::LinkedFile {
        file_id: Id::generate(),
        filename: None,
        mime_type: "image/png".to_owned(),
        size: 1,
        transcription: None,
        original: None,
    });
    ledger.begin(item.clone(), None, LATER).await.unwrap().unwrap();
    ledger.finish(item.id, sent("text"), LATER).await.unwrap();
    let picture = async |guid: &str| {
        let row = OwnRow { text: None, has_files: true, ..own(&item, guid, "") };
        ledger.whose(row).await.unwrap()
    };
    assert_eq!(picture("its").await, Ownership::Ours(item.id));
    assert_eq!(picture("the owner's").await, Ownership::Owners);
    // However often it is read.
    assert_eq!(picture("its").await, Ownership::Ours(item.id));
}

#[tokio::test]
async fn a_look_that_ends_too_late_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let in_a_minute = LATER + Duration::from_secs(60);
    let always = Timestamp(i64::MAX);
    let item = item("one");
    ledger.begin(item.clone(), None, LATER).await.unwrap().unwrap();
    ledger.finish(item.id, Outcome::Unknown, LATER).await.unwrap();
    let looked = ledger.to_look_into(in_a_minute).await.unwrap().remove(0);
    // It shows up while somebody looks elsewhere.
    assert_eq!(ledger.whose(own(&item, "g-1", "one")).await.unwrap(), Ownership::Ours(item.id));
    ledger.looked_into(&looked, None, in_a_minute).await.unwrap();
    assert!(ledger.to_look_into(always).await.unwrap().is_empty());
    ledger.acknowledged(vec![item.id]).await.unwrap();
    ledger.looked_into(&looked, None, in_a_minute).await.unwrap();
    assert!(ledger.to_look_into(always).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_look_into_an_earlier_attempt_says_nothing_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let item = item("one");
    ledger.begin(item.clone(), None, LATER).await.unwrap().unwrap();
    drop(ledger);
    let ledger = Ledger::open(dir.path()).unwrap();
    let looked = ledger.to_look_into(now()).await.unwrap().remove(0);
    // The server has asked meanwhile, and gives it anew.
    ledger.finish(item.id, Outcome::Released, LATER).await.unwrap();
    let next = ledger.begin(item.clone(), None, LATER).await.unwrap().unwrap();
    assert!(!ledger.was_cut_off(&looked, LATER).await.unwrap());
    ledger.looked_into(&looked, Some(sent("g-1")), LATER).await.unwrap();
    let under_way = ledger.under_way(item.line_id).await.unwrap().remove(0);
    assert_eq!((under_way.token, under_way.guid), (next.token, None));
    // Nor once nobody knows what came of it.
    ledger.finish(item.id, Outcome::Unknown, LATER).await.unwrap();
    let failed = Outcome::Failed { error: "It never reached Messages.".to_owned() };
    ledger.looked_into(&looked, Some(failed), LATER).await.unwrap();
    assert!(ledger.later_truth().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_ledger_of_an_older_version_keeps_what_it_has() {
    let (dir, line) = (tempfile::tempdir().unwrap(), Id::<Line>::generate());
    {
        let sql = Connection::open(dir.path().join("ledger.db")).unwrap();
        sql.execute_batch(include_str!("schema.sql")).unwrap();
        sql.execute_batch(include_str!("texts.sql")).unwrap();
        sql.pragma_update(None, "user_version", 2).unwrap();
        sql.execute("insert into ledger (epoch) values ('one')", []).unwrap();
        let what = serde_json::to_string(&observation("old")).unwrap();
        let add = "insert into observations (line, n, what) values (?1, 7, ?2)";
        sql.execute(add, [line.to_string(), what]).unwrap();
    }
    let ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(ledger.waiting(line, Some("one.6"), 9).await.unwrap()[0].n, 7);
    assert_eq!(ledger.stood_by(line, 0, 9).await.unwrap().len(), 1);
    assert_eq!(ledger.files_told(line, "a".to_owned()).await.unwrap(), None);
}

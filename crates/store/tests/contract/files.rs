use std::sync::Arc;

use switchboard_model::{
    Account, Attachment, File, Timestamp,
    event::MessageEvent,
    file::{ContentHash, StoredFile},
    id::Id,
    line::Capability,
    link::{Content, Inbound, InboundMessage, InboundUpdate, LinkedFile, Outcome},
    message::MessageRef,
};
use switchboard_store::{NewContent, Refusal, Store};

use crate::world::{
    ANN, BOB, LEASE, NOW, World, chat_with, data, later, refusal, sent, take, text_from,
};

pub(crate) fn new_file(mime_type: &str, created_at: Timestamp) -> StoredFile {
    StoredFile {
        id: Id::generate(),
        filename: Some("a.m4a".into()),
        mime_type: mime_type.into(),
        size: 12,
        content: ContentHash([9; 32]),
        created_at,
    }
}

pub(crate) async fn uploaded(world: &World, account: Id<Account>, mime_type: &str) -> Id<File> {
    let file = new_file(mime_type, NOW);
    take(world.store.create_file(account, None, file, u64::MAX, None).await).unwrap().id
}

pub(crate) fn with(file: Id<File>) -> NewContent {
    NewContent::Message { text: None, attachment: Some(file), reply_to: None }
}

pub(crate) fn linked(file: &StoredFile, transcription: Option<&str>) -> LinkedFile {
    LinkedFile {
        file_id: file.id,
        filename: file.filename.clone(),
        mime_type: file.mime_type.clone(),
        size: file.size,
        transcription: transcription.map(Into::into),
        original: None,
    }
}

fn memo_from(sender: &str, guid: &str, file: LinkedFile) -> Inbound {
    let Inbound::Message(message) = text_from(sender, guid) else { unreachable!() };
    Inbound::Message(InboundMessage {
        text: None,
        attachments: vec![file],
        is_audio_message: true,
        ..message
    })
}

pub(crate) async fn a_file_is_its_accounts_only(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let file = new_file("image/png", NOW);
    let made =
        take(store.create_file(world.account, None, file.clone(), u64::MAX, None).await).unwrap();
    assert_eq!(made, file);
    assert_eq!(store.file(world.account, None, file.id).await.unwrap(), Some(file.clone()));
    assert_eq!(store.file(world.other_account, None, file.id).await.unwrap(), None);
    assert_eq!(store.signed_file(file.id).await.unwrap(), Some(file.clone()));
    assert_eq!(store.signed_file(Id::generate()).await.unwrap(), None);
    let theirs = uploaded(&world, world.other_account, "image/png").await;
    for unknown in [theirs, Id::generate()] {
        assert_eq!(refusal(world.try_write(ANN, with(unknown)).await), Refusal::FileNotFound);
    }
    world.try_write(ANN, with(file.id)).await.unwrap();
}

pub(crate) async fn a_file_goes_out_and_is_an_attachment(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let file = new_file("image/png", NOW);
    take(store.create_file(world.account, None, file.clone(), u64::MAX, None).await).unwrap();
    let id = world.try_write(ANN, with(file.id)).await.unwrap().id;
    let items = store.claim(world.link, world.line, vec![], 1, LEASE).await.unwrap();
    let expected = Content::Message {
        text: None,
        attachments: vec![linked(&file, None)],
        is_audio_message: false,
        reply_to_guid: None,
    };
    assert_eq!(items[0].content, expected);
    let told: MessageEvent = data(&world.settle(id, sent("g1")).await.events[0]);
    let expected = Attachment {
        filename: file.filename,
        mime_type: Some(file.mime_type),
        size: Some(12),
        url: None,
        transcription: None,
        original: None,
        file_id: Some(file.id),
    };
    assert_eq!((told.message.text, told.message.attachments), (None, vec![expected]));
    assert_eq!(told.message.is_audio_message, Some(false));
}

pub(crate) async fn a_voice_memo_is_audio_on_a_line_that_can(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let memo = |file| NewContent::AudioMessage { file, reply_to: None };
    let image = uploaded(&world, world.account, "image/png").await;
    let audio = uploaded(&world, world.account, "audio/mp4").await;
    // What the caller got wrong is told before what the line can't do.
    let lost = NewContent::AudioMessage {
        file: Id::generate(),
        reply_to: Some(MessageRef::Guid("nothing".into())),
    };
    assert_eq!(refusal(world.try_write(ANN, lost).await), Refusal::MessageNotFound);
    let unknown = world.try_write(ANN, memo(Id::generate())).await;
    assert_eq!(refusal(unknown), Refusal::FileNotFound);
    assert_eq!(refusal(world.try_write(ANN, memo(image)).await), Refusal::NotAudio);
    let plain = world.try_write(ANN, memo(audio)).await;
    assert_eq!(
        refusal(plain),
        Refusal::AdvancedFeaturesRequired { missing: Capability::AudioMessages }
    );
    world.advance().await;
    let id = world.try_write(ANN, memo(audio)).await.unwrap().id;
    assert_eq!(world.claim(1).await, [id]);
    let told: MessageEvent = data(&world.settle(id, sent("g1")).await.events[0]);
    assert_eq!(told.message.is_audio_message, Some(true));
}

pub(crate) async fn a_bridge_gets_the_files_that_it_has_claimed(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let file = uploaded(&world, world.account, "image/png").await;
    let found = async |bridge| store.bridge_file(bridge, file).await.unwrap().map(|one| one.id);
    let id = world.try_write(ANN, with(file)).await.unwrap().id;
    assert_eq!(found(world.bridge).await, None);
    world.claim(1).await;
    assert_eq!(found(world.bridge).await, Some(file));
    assert_eq!(found(Id::generate()).await, None);
    world.settle(id, sent("g1")).await;
    assert_eq!(found(world.bridge).await, None);
}

pub(crate) async fn a_file_comes_in_with_its_message(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let file = new_file("audio/mp4", NOW);
    for (bridge, line) in [(Id::generate(), world.line), (world.bridge, Id::generate())] {
        let refused = store.create_bridge_file(bridge, line, file.clone()).await;
        assert_eq!(refusal(refused), Refusal::LineNotFound);
    }
    let kept = store.create_bridge_file(world.bridge, world.line, file.clone()).await.unwrap();
    assert_eq!(kept, (file.clone(), world.account));
    let received = world.receive(vec![memo_from(ANN, "g1", linked(&file, Some("hi")))]).await;
    let told: MessageEvent = data(&received.committed.events[0]);
    let attachment = &told.message.attachments[0];
    assert_eq!(
        (attachment.file_id, attachment.transcription.as_deref()),
        (Some(file.id), Some("hi"))
    );
    assert_eq!((told.message.is_audio_message, told.message.text), (Some(true), None));
    assert_eq!(store.file(world.account, None, file.id).await.unwrap(), Some(file));
}

pub(crate) async fn a_bridge_gives_away_only_what_it_uploaded(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let theirs = new_file("image/png", NOW);
    take(store.create_file(world.other_account, None, theirs.clone(), u64::MAX, None).await)
        .unwrap();
    let elsewhere = new_file("image/png", NOW);
    store.create_bridge_file(world.bridge, world.other_line, elsewhere.clone()).await.unwrap();
    for (guid, file) in [("g1", &theirs), ("g2", &elsewhere)] {
        let received = world.receive(vec![memo_from(ANN, guid, linked(file, None))]).await;
        let told: MessageEvent = data(&received.committed.events[0]);
        let attachment = &told.message.attachments[0];
        assert_eq!((attachment.file_id, attachment.size), (None, Some(12)));
        assert_eq!(store.file(world.account, None, file.id).await.unwrap(), None);
        assert!(store.file(world.other_account, None, file.id).await.unwrap().is_some());
    }
}

pub(crate) async fn only_what_nothing_refers_to_is_forgotten(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut old = Vec::new();
    for number in 0..5 {
        let file = new_file("image/png", later(number));
        old.push(
            take(store.create_file(world.account, None, file, u64::MAX, None).await).unwrap().id,
        );
    }
    world.try_write(ANN, with(old[0])).await.unwrap();
    // What was refused refers to nothing.
    let wrong = NewContent::AudioMessage { file: old[1], reply_to: None };
    assert_eq!(refusal(world.try_write(ANN, wrong).await), Refusal::NotAudio);
    let came = new_file("image/png", NOW);
    store.create_bridge_file(world.bridge, world.line, came.clone()).await.unwrap();
    world.receive(vec![memo_from(BOB, "g1", linked(&came, None))]).await;
    assert_eq!(store.forget_files(later(4), 1).await.unwrap(), [old[1]]);
    let mut gone = store.forget_files(later(4), 10).await.unwrap();
    gone.sort_unstable();
    assert_eq!(gone, old[2..4]);
    assert!(store.forget_files(later(4), 10).await.unwrap().is_empty());
    let asked = old.iter().copied().chain([came.id, Id::generate()]).collect();
    let mut known = store.known_files(asked).await.unwrap();
    known.sort_unstable();
    let mut kept = [old[0], old[4], came.id];
    kept.sort_unstable();
    assert_eq!(known, kept);
    assert!(store.known_files(Vec::new()).await.unwrap().is_empty());
    assert_eq!(store.file(world.account, None, old[1]).await.unwrap(), None);
    for kept in [old[0], old[4], came.id] {
        assert!(store.file(world.account, None, kept).await.unwrap().is_some());
    }
}

pub(crate) async fn the_secret_stays(store: Arc<dyn Store>) {
    assert_eq!(store.file_url_secret([1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.file_url_secret([2; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.cursor_secret([3; 32]).await.unwrap(), [3; 32], "each use has its own");
    assert_eq!(store.cursor_secret([4; 32]).await.unwrap(), [3; 32]);
}

pub(crate) async fn what_an_account_has_stored_is_counted(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let size = new_file("image/png", NOW).size;
    let keep = async |account, most| {
        take(store.create_file(account, None, new_file("image/png", NOW), most, None).await)
    };
    let stored = async |account| store.stored_bytes(account).await.unwrap();
    assert_eq!(stored(world.account).await, 0);
    keep(world.account, 2 * size).await.unwrap();
    keep(world.account, 2 * size).await.unwrap();
    assert_eq!(
        refusal(keep(world.account, 2 * size).await),
        Refusal::StorageFull { max: 2 * size, stored: 2 * size }
    );
    keep(world.other_account, size).await.unwrap();
    assert_eq!((stored(world.account).await, stored(world.other_account).await), (2 * size, size));
    // What comes in is kept, and counts.
    let came = new_file("image/png", NOW);
    store.create_bridge_file(world.bridge, world.line, came).await.unwrap();
    assert_eq!(stored(world.account).await, 3 * size);
    assert_eq!(store.forget_files(later(1), 2).await.unwrap().len(), 2);
    assert_eq!(stored(world.account).await + stored(world.other_account).await, 2 * size);
}

pub(crate) async fn what_nothing_refers_to_any_more_is_forgotten(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let forget = async |now: i64, before: i64| {
        store.forget_left_files(later(now), later(before), 10).await.unwrap()
    };
    // One that is sent twice: the first fails, the second is out.
    let twice = uploaded(&world, world.account, "image/png").await;
    let mut items = Vec::new();
    for _ in 0..2 {
        world.try_write(ANN, with(twice)).await.unwrap();
        items.extend(world.claim(1).await);
    }
    let failed = || Outcome::Failed { error: "no".into() };
    world.settle(items[0], failed()).await;
    world.settle(items[1], sent("g1")).await;
    // One whose only message fails, and one that came in and is taken back.
    let lost = uploaded(&world, world.account, "image/png").await;
    world.try_write(ANN, with(lost)).await.unwrap();
    let item = world.claim(1).await[0];
    world.settle(item, failed()).await;
    let came = new_file("audio/mp4", NOW);
    store.create_bridge_file(world.bridge, world.line, came.clone()).await.unwrap();
    world.receive_one(memo_from(ANN, "g2", linked(&came, None))).await;
    let mut back = InboundUpdate::of(chat_with(ANN), "g2");
    back.unsent_at = Some(later(5));
    world.receive_one(Inbound::Update(back.clone())).await;
    world.receive_one(Inbound::Update(back)).await;

    assert!(forget(10, 0).await.is_empty(), "from now on it counts");
    assert!(forget(20, 10).await.is_empty());
    // Sent again meanwhile, it is referred to again.
    world.try_write(ANN, with(lost)).await.unwrap();
    assert_eq!(forget(30, 11).await, [came.id]);
    let item = world.claim(1).await[0];
    world.settle(item, failed()).await;
    assert!(forget(40, 39).await.is_empty());
    assert_eq!(forget(50, 41).await, [lost]);
    assert!(forget(1000, 999).await.is_empty());
    assert!(store.file(world.account, None, twice).await.unwrap().is_some());
    assert_eq!(refusal(world.try_write(ANN, with(lost)).await), Refusal::FileNotFound);
}

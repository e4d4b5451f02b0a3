use std::sync::Arc;

use switchboard_model::{
    EventKind, Scopes, Timestamp,
    file::{ContentHash, StoredFile},
    id::Id,
    idempotency::{IdempotencyScope, REMEMBERED_MS, RememberedAnswer},
    key::Key,
    secret::SecretHash,
    webhook::UpdatedWebhook,
};
use switchboard_store::{
    Grant, IdempotencyRecord, IdempotencyRecordWith, Idempotent, NewKey, Refusal, Store,
    WebhookChanges,
};

use crate::world::{ANN, BOB, NOW, World, contact, later, refusal, take};

async fn new_key(world: &World, hash: u8) -> Id<Key> {
    let key = NewKey {
        account_id: Some(world.account),
        name: "k".into(),
        hint: "wxyz".into(),
        hash: SecretHash([hash; 32]),
        scopes: Scopes::all(),
        line_ids: None,
        rate_limit: None,
        expires_at: None,
    };
    world.store.create_key(key, NOW).await.unwrap().id
}

fn remember(key: Id<Key>, body: &str, now: Timestamp) -> IdempotencyRecord {
    IdempotencyRecord {
        scope: IdempotencyScope::new(key, "POST /v1/messages".into(), "k1".into(), body.as_bytes()),
        answer: RememberedAnswer {
            status: 201,
            body: format!("answer to {body} at {}", now.0).into_bytes(),
            created_at: now,
        },
    }
}

fn end(millis: i64) -> Timestamp {
    later(i64::try_from(REMEMBERED_MS).unwrap() + millis)
}

async fn items(world: &World) -> usize {
    world.claim(100).await.len()
}

pub(crate) async fn an_answer_alone_is_remembered_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let first = remember(new_key(&world, 1).await, "a", NOW);
    assert_eq!(store.remember(first.clone()).await.unwrap(), Idempotent::Fresh(()));
    let key = first.scope.key_id;
    let again = store.remember(remember(key, "a", later(5))).await.unwrap();
    assert_eq!(again, Idempotent::Replayed(first.answer));
    let other = store.remember(remember(key, "b", later(5))).await;
    assert_eq!(refusal(other), Refusal::IdempotencyMismatch);
    let over = remember(key, "a", end(0));
    assert_eq!(store.remember(over.clone()).await.unwrap(), Idempotent::Fresh(()));
    assert_eq!(store.remembered(over.scope, end(1)).await.unwrap(), Some(over.answer));
}

pub(crate) async fn the_same_request_has_the_first_answer(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let key = new_key(&world, 1).await;
    let first = remember(key, "a", NOW);
    let draft = || world.draft(contact(ANN), "a");
    assert_eq!(store.remembered(first.scope.clone(), NOW).await.unwrap(), None);
    take(store.accept(draft(), Some(first.clone()), NOW).await).unwrap();
    let again = store.accept(draft(), Some(remember(key, "a", later(5))), later(5)).await.unwrap();
    assert_eq!(again, Idempotent::Replayed(first.answer.clone()));
    let known = store.remembered(first.scope.clone(), end(-1)).await.unwrap();
    assert_eq!(known, Some(first.answer));
    assert_eq!(items(&world).await, 1);
}

pub(crate) async fn another_body_is_refused(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let key = new_key(&world, 1).await;
    take(store.accept(world.draft(contact(ANN), "a"), Some(remember(key, "a", NOW)), NOW).await)
        .unwrap();
    let other = remember(key, "b", later(1));
    let asked = store.remembered(other.scope.clone(), later(1)).await;
    assert_eq!(refusal(asked), Refusal::IdempotencyMismatch);
    // Before anything else is looked at.
    let mut wrong = world.draft(contact(BOB), "b");
    wrong.line_id = Id::generate();
    let asked = store.accept(wrong, Some(other), later(1)).await;
    assert_eq!(refusal(asked), Refusal::IdempotencyMismatch);
    assert_eq!(items(&world).await, 1);
}

pub(crate) async fn keys_and_operations_are_apart(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (one, two) = (new_key(&world, 1).await, new_key(&world, 2).await);
    let mut elsewhere = remember(one, "c", NOW);
    elsewhere.scope.operation = "POST /v1/typing".into();
    let mut second = remember(one, "d", NOW);
    second.scope.idempotency_key = "k2".into();
    let all = [remember(one, "a", NOW), remember(two, "b", NOW), elsewhere, second];
    for remember in all {
        let draft = world.draft(contact(ANN), "x");
        take(store.accept(draft, Some(remember), NOW).await).unwrap();
    }
    assert_eq!(items(&world).await, 4);
}

pub(crate) async fn what_was_refused_is_not_remembered(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let key = new_key(&world, 1).await;
    let mut wrong = world.draft(contact(ANN), "a");
    wrong.line_id = Id::generate();
    let asked = store.accept(wrong, Some(remember(key, "a", NOW)), NOW).await;
    assert_eq!(refusal(asked), Refusal::LineNotFound);
    take(store.accept(world.draft(contact(ANN), "b"), Some(remember(key, "b", NOW)), NOW).await)
        .unwrap();
}

pub(crate) async fn after_a_day_it_is_forgotten(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let key = new_key(&world, 1).await;
    let write = async |body: &str, now| {
        let draft = world.draft(contact(ANN), body);
        store.accept(draft, Some(remember(key, body, now)), now).await
    };
    take(write("a", NOW).await).unwrap();
    assert_eq!(refusal(write("b", end(-1)).await), Refusal::IdempotencyMismatch);
    let scope = remember(key, "b", end(0)).scope;
    assert_eq!(store.remembered(scope, end(0)).await.unwrap(), None);
    // Overwritten, and from then on remembered for a day of its own.
    take(write("b", end(0)).await).unwrap();
    assert!(matches!(write("b", end(9)).await, Ok(Idempotent::Replayed(_))));
    assert_eq!(refusal(write("a", end(9)).await), Refusal::IdempotencyMismatch);
    assert_eq!(items(&world).await, 2);
}

pub(crate) async fn old_answers_are_swept(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let key = new_key(&world, 1).await;
    for number in 0..4 {
        let mut remember = remember(key, "a", later(number));
        remember.scope.idempotency_key = format!("k{number}");
        take(store.accept(world.draft(contact(ANN), "a"), Some(remember), NOW).await).unwrap();
    }
    assert_eq!(store.forget_answers(later(3), 1).await.unwrap(), 1);
    assert_eq!(store.forget_answers(later(3), 10).await.unwrap(), 2);
    assert_eq!(store.forget_answers(later(3), 10).await.unwrap(), 0);
    let mut kept = remember(key, "a", NOW).scope;
    kept.idempotency_key = "k3".into();
    assert!(store.remembered(kept.clone(), NOW).await.unwrap().is_some());
    kept.idempotency_key = "k2".into();
    assert!(store.remembered(kept, NOW).await.unwrap().is_none());
}

pub(crate) async fn of_many_at_once_one_is_done(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let key = new_key(&world, 1).await;
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..50 {
        let (store, draft) = (Arc::clone(&store), world.draft(contact(ANN), "a"));
        let remember = remember(key, "a", later(number));
        crowd.spawn(async move { store.accept(draft, Some(remember), later(number)).await });
    }
    let answers: Vec<_> = crowd.join_all().await.into_iter().map(Result::unwrap).collect();
    let replayed: Vec<_> = answers
        .iter()
        .filter_map(|once| match once {
            Idempotent::Fresh(_) => None,
            Idempotent::Replayed(answer) => Some(answer),
        })
        .collect();
    assert_eq!(replayed.len(), 49);
    assert!(replayed.iter().all(|answer| *answer == replayed[0]));
    assert_eq!(items(&world).await, 1);
}

pub(crate) async fn files_and_webhooks_too(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let key = new_key(&world, 1).await;
    let mut first = remember(key, "a", NOW);
    first.scope.operation = "POST /v1/files".into();
    let file = |id| StoredFile {
        id,
        filename: None,
        mime_type: "image/png".into(),
        size: 1,
        content: ContentHash([1; 32]),
        created_at: NOW,
    };
    let (kept, lost) = (Id::generate(), Id::generate());
    take(store.create_file(world.account, None, file(kept), u64::MAX, Some(first.clone())).await)
        .unwrap();
    let again = store
        .create_file(world.account, None, file(lost), u64::MAX, Some(first.clone()))
        .await
        .unwrap();
    assert_eq!(again, Idempotent::Replayed(first.answer));
    assert!(store.file(world.account, None, kept).await.unwrap().is_some());
    assert!(store.file(world.account, None, lost).await.unwrap().is_none());
    let mut first = remember(key, "a", NOW);
    first.scope.operation = "POST /v1/webhooks".into();
    let new = || world.new_webhook(&[EventKind::MessageSent]);
    let made = take(store.create_webhook(new(), Some(with(first.clone())), NOW).await).unwrap();
    let again = store.create_webhook(new(), Some(with(first.clone())), NOW).await.unwrap();
    assert!(matches!(again, Idempotent::Replayed(answer) if answer == first.answer));
    let shown = store.webhooks(world.account, NOW).await.unwrap();
    assert_eq!(shown.iter().map(|one| one.id).collect::<Vec<_>>(), [made.id]);
}

/// The same, as if its answer were made of what was written.
fn with<T>(IdempotencyRecord { scope, answer }: IdempotencyRecord) -> IdempotencyRecordWith<T> {
    IdempotencyRecordWith {
        scope,
        now: answer.created_at,
        answer: Arc::new(move |_| answer.clone()),
    }
}

pub(crate) async fn an_answer_is_made_of_what_was_written(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let key = new_key(&world, 9).await;
    let id = world.webhook(&[EventKind::MessageSent]).await;
    let update = async |url: &str, name: &str| {
        let IdempotencyRecord { mut scope, answer } = remember(key, "x", NOW);
        scope.idempotency_key = name.to_owned();
        let answer = Arc::new(move |updated: &UpdatedWebhook| RememberedAnswer {
            body: updated.webhook.url.clone().into(),
            ..answer.clone()
        });
        let changes = WebhookChanges { url: Some(url.into()), ..WebhookChanges::default() };
        let remember = IdempotencyRecordWith { scope, now: NOW, answer };
        let grant = Grant::whole(world.account);
        store.update_webhook(grant, id, changes, Some(remember), NOW).await.unwrap()
    };
    let first = take(Ok(update("https://example.com/1", "a").await)).unwrap();
    assert_eq!(first.webhook.url, "https://example.com/1");
    take(Ok(update("https://example.com/2", "b").await)).unwrap();
    let Idempotent::Replayed(again) = update("https://example.com/1", "a").await else {
        panic!("it was done before");
    };
    assert_eq!(again.body, b"https://example.com/1");
    let shown = store.webhooks(world.account, NOW).await.unwrap().remove(0);
    assert_eq!(shown.url, "https://example.com/2", "and is not done again");
}

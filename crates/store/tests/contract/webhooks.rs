use std::sync::Arc;

use switchboard_model::{EventKind, webhook::MAX_PER_ACCOUNT};
use switchboard_store::{NewWebhook, Refusal, Store};

use crate::world::{ANN, NOW, World, new_line, refusal, take, text_from};

const EVENTS: [EventKind; 1] = [EventKind::MessageReceived];

pub(crate) async fn a_secret_is_shown_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut made = take(store.create_webhook(world.new_webhook(&EVENTS), None, NOW).await).unwrap();
    assert!(made.secret.take().is_some());
    assert_eq!(store.webhooks(world.account).await.unwrap(), [made]);
    assert!(store.webhooks(world.other_account).await.unwrap().is_empty());
}

pub(crate) async fn one_for_all_lines_has_future_ones(store: Arc<dyn Store>) {
    let mut world = World::new(Arc::clone(&store)).await;
    let all = world.webhook(&EVENTS).await;
    let some = NewWebhook { line_ids: Some(vec![world.line]), ..world.new_webhook(&EVENTS) };
    let some = take(store.create_webhook(some, None, NOW).await).unwrap();
    assert_eq!(some.line_ids, [world.line]);
    let old = world.line;
    world.line = store.create_line(new_line(world.account, "+15550100003")).await.unwrap().line.id;
    let lines: Vec<_> =
        store.webhooks(world.account).await.unwrap().into_iter().map(|one| one.line_ids).collect();
    assert_eq!(lines, [vec![old, world.line], vec![old]]);
    let leased = world.receive(vec![text_from(ANN, "1")]).await.committed.deliveries;
    assert_eq!(leased.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [all]);
}

pub(crate) async fn what_is_not_the_accounts_is_refused(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let new = NewWebhook { line_ids: Some(vec![world.other_line]), ..world.new_webhook(&EVENTS) };
    assert_eq!(refusal(store.create_webhook(new, None, NOW).await), Refusal::LineNotFound);
    let ours = world.webhook(&EVENTS).await;
    let theirs = store.delete_webhook(world.other_account, ours).await;
    assert_eq!(refusal(theirs), Refusal::WebhookNotFound);
    store.delete_webhook(world.account, ours).await.unwrap();
    let again = store.delete_webhook(world.account, ours).await;
    assert_eq!(refusal(again), Refusal::WebhookNotFound);
}

pub(crate) async fn there_is_a_most(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    for _ in 0..MAX_PER_ACCOUNT {
        world.webhook(&EVENTS).await;
    }
    let more = store.create_webhook(world.new_webhook(&EVENTS), None, NOW).await;
    assert_eq!(refusal(more), Refusal::TooManyWebhooks { max: MAX_PER_ACCOUNT });
}

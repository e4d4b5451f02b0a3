use std::sync::Arc;

use switchboard_model::{
    EventKind, Scope, Webhook,
    delivery::AttemptResult,
    secret::SecretHash,
    webhook::{CreatorState, DisabledReason, MAX_PER_ACCOUNT, WebhookSecret},
};
use switchboard_store::{Grant, NewKey, NewWebhook, Refusal, Store, WebhookChanges};

use crate::world::{ANN, NOW, World, attempted, later, new_line, refusal, take, text_from};

const EVENTS: [EventKind; 1] = [EventKind::MessageReceived];

pub(crate) async fn a_secret_is_shown_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut made = take(store.create_webhook(world.new_webhook(&EVENTS), None, NOW).await).unwrap();
    assert!(made.secret.take().is_some());
    assert_eq!(store.webhooks(world.account, NOW).await.unwrap(), [made]);
    assert!(store.webhooks(world.other_account, NOW).await.unwrap().is_empty());
}

pub(crate) async fn one_for_all_lines_has_future_ones(store: Arc<dyn Store>) {
    let mut world = World::new(Arc::clone(&store)).await;
    let all = world.webhook(&EVENTS).await;
    let some = NewWebhook { line_ids: Some(vec![world.line]), ..world.new_webhook(&EVENTS) };
    let some = take(store.create_webhook(some, None, NOW).await).unwrap();
    assert_eq!(some.line_ids, [world.line]);
    let old = world.line;
    world.line = store.create_line(new_line(world.account, "+15550100003")).await.unwrap().line.id;
    let lines: Vec<_> = store
        .webhooks(world.account, NOW)
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.line_ids)
        .collect();
    assert_eq!(lines, [vec![old, world.line], vec![old]]);
    let leased = world.receive(vec![text_from(ANN, "1")]).await.committed.deliveries;
    assert_eq!(leased.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [all]);
}

pub(crate) async fn what_is_not_the_accounts_is_refused(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let new = NewWebhook { line_ids: Some(vec![world.other_line]), ..world.new_webhook(&EVENTS) };
    assert_eq!(refusal(store.create_webhook(new, None, NOW).await), Refusal::LineNotFound);
    let ours = world.webhook(&EVENTS).await;
    let theirs = store.delete_webhook(Grant::whole(world.other_account), ours).await;
    assert_eq!(refusal(theirs), Refusal::WebhookNotFound);
    store.delete_webhook(Grant::whole(world.account), ours).await.unwrap();
    let again = store.delete_webhook(Grant::whole(world.account), ours).await;
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

async fn only(world: &World) -> Webhook {
    let mut webhooks = world.store.webhooks(world.account, NOW).await.unwrap();
    assert_eq!(webhooks.len(), 1);
    webhooks.remove(0)
}

pub(crate) async fn a_change_is_for_the_next_event(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.webhook(&EVENTS).await;
    assert_eq!(world.receive(vec![text_from(ANN, "1")]).await.committed.deliveries.len(), 1);
    let update = async |changes| {
        store.update_webhook(Grant::whole(world.account), id, changes, None, NOW).await.unwrap();
        only(&world).await
    };
    let url = "https://example.org/other".to_owned();
    let changed = update(WebhookChanges { url: Some(url.clone()), ..Default::default() }).await;
    assert_eq!((&changed.url, &changed.events[..]), (&url, &EVENTS[..]));
    let made = world.receive(vec![text_from(ANN, "2")]).await.committed.deliveries;
    assert_eq!(&*made[0].url, &*url);
    let events = Some(vec![EventKind::MessageSent]);
    let changed = update(WebhookChanges { events: events.clone(), ..Default::default() }).await;
    assert_eq!((changed.url, Some(changed.events)), (url, events));
    assert!(world.receive(vec![text_from(ANN, "3")]).await.committed.deliveries.is_empty());
    assert_eq!(update(WebhookChanges::default()).await, only(&world).await);
    let theirs = store.update_webhook(
        Grant::whole(world.other_account),
        id,
        WebhookChanges::default(),
        None,
        NOW,
    );
    assert_eq!(refusal(theirs.await), Refusal::WebhookNotFound);
}

pub(crate) async fn one_that_is_enabled_says_what_it_missed(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.webhook(&EVENTS).await;
    let switch = async |is_active, at| {
        let changes = WebhookChanges { is_active: Some(is_active), ..Default::default() };
        let grant = Grant::whole(world.account);
        let updated = take(store.update_webhook(grant, id, changes, None, at).await).unwrap();
        // What is answered is what is there.
        assert_eq!(updated.webhook, only(&world).await);
        (updated.webhook, updated.missed_since)
    };
    assert_eq!(switch(true, later(50)).await.1, None, "it was active");
    let (off, missed) = switch(false, later(100)).await;
    assert_eq!(missed, None);
    assert_eq!((off.is_active, off.disabled_at), (false, Some(later(100))));
    assert_eq!(off.disabled_reason, Some(DisabledReason::Manual));
    assert!(world.receive(vec![text_from(ANN, "missed")]).await.committed.deliveries.is_empty());
    // Again changes nothing.
    assert_eq!(switch(false, later(200)).await, (off, None));
    let (on, missed) = switch(true, later(300)).await;
    assert_eq!((on.is_active, on.disabled_at, on.disabled_reason), (true, None, None));
    assert_eq!(missed, Some(later(100)));

    // It failed before it was disabled: what was given up since counts, from its event on.
    let failing = world.receive_at(text_from(ANN, "1"), later(400)).await;
    let failing = failing.committed.deliveries[0].clone();
    let ended =
        AttemptResult { finished_at: later(450).into(), ..attempted(&failing, Some("no"), None) };
    store.settle_deliveries(vec![ended]).await.unwrap();
    assert_eq!(only(&world).await.failing_since, Some(later(450)));
    switch(false, later(500)).await;
    let (on, missed) = switch(true, later(600)).await;
    assert_eq!((on.failing_since, missed), (None, Some(later(400))));
    // What was given up long before is no loss of the next time.
    switch(false, later(700)).await;
    assert_eq!(switch(true, later(800)).await.1, Some(later(700)));
}

pub(crate) async fn a_rotation_leaves_two_secrets(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.webhook(&EVENTS).await;
    let [old, new, newest] = [7, 8, 9].map(|byte| WebhookSecret::from_random([byte; 32]));
    let rotate = async |secret: &WebhookSecret, until| {
        let rotated = store
            .rotate_secret(Grant::whole(world.account), id, secret.clone(), until, None, NOW.into())
            .await;
        rotated.unwrap();
        world.receive(vec![text_from(ANN, &format!("{until:?}"))]).await.committed.deliveries[0]
            .secrets
            .clone()
    };
    let both = rotate(&new, later(100)).await;
    assert_eq!((&both.current, both.previous_at(later(99))), (&new, Some(&old)));
    assert_eq!(both.previous_at(later(100)), None);
    let both = rotate(&newest, later(200)).await;
    assert_eq!((&both.current, both.previous_at(NOW)), (&newest, Some(&new)));
    let endpoint = store.endpoint(Grant::whole(world.account), id).await.unwrap();
    assert_eq!((endpoint.secrets, &*endpoint.url), ((*both).clone(), "https://example.com/hook"));
    let theirs = store.endpoint(Grant::whole(world.other_account), id).await;
    assert_eq!(refusal(theirs), Refusal::WebhookNotFound);
    let theirs = store
        .rotate_secret(Grant::whole(world.other_account), id, old, NOW, None, NOW.into())
        .await;
    assert_eq!(refusal(theirs), Refusal::WebhookNotFound);
}

const HOUR: i64 = 3_600_000;

/// One more event whose only attempt ends at this hour, and what it says of the webhook.
async fn attempt(world: &World, hour: i64, error: Option<&str>) -> (Option<i64>, bool) {
    let at = later(hour * HOUR);
    let made = world.receive_at(text_from(ANN, &hour.to_string()), at).await.committed.deliveries;
    let ended = AttemptResult { finished_at: at.into(), ..attempted(&made[0], error, None) };
    world.store.settle_deliveries(vec![ended]).await.unwrap();
    let webhook = only(world).await;
    let since = webhook.failing_since.map(|since| (since.0 - NOW.0) / HOUR);
    (since, webhook.is_active)
}

pub(crate) async fn a_silence_is_no_failure(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    world.webhook(&EVENTS).await;
    let failed = async |hour| attempt(&world, hour, Some("no")).await;
    assert_eq!(failed(0).await, (Some(0), true));
    // Ten days later, with nothing in between.
    assert_eq!(failed(240).await, (Some(240), true));
    assert_eq!(failed(300).await, (Some(240), true), "60 hours are no silence yet");
    assert_eq!(failed(361).await, (Some(361), true));
    assert_eq!(attempt(&world, 362, None).await, (None, true));
    assert_eq!(failed(363).await, (Some(363), true));
    assert_eq!(failed(420).await, (Some(363), true));
    assert_eq!(failed(480).await, (Some(363), true));
    // Five days of failures that are never far apart.
    assert_eq!(failed(483).await, (Some(363), false));
}

pub(crate) async fn another_url_is_not_blamed_for_the_one_before(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.webhook(&EVENTS).await;
    let entries = ["1", "2", "3"].map(|guid| text_from(ANN, guid)).into();
    let old = world.receive(entries).await.committed.deliveries;
    let url = Some("https://example.org/other".to_owned());
    let moved = WebhookChanges { url, ..WebhookChanges::default() };
    store.update_webhook(Grant::whole(world.account), id, moved, None, NOW).await.unwrap();
    let settle = async |result| store.settle_deliveries(vec![result]).await.unwrap();
    let gone = |one| AttemptResult { status: Some(410), ..attempted(one, Some("gone"), None) };
    // What was under way to the old one comes back now.
    assert!(settle(gone(&old[0])).await.is_empty());
    assert!(settle(attempted(&old[1], Some("no"), None)).await.is_empty());
    let webhook = only(&world).await;
    assert_eq!((webhook.is_active, webhook.failing_since), (true, None));
    // Nor does the old one speak for the new one when it works.
    let new = world.receive(vec![text_from(ANN, "4")]).await.committed.deliveries;
    settle(attempted(&new[0], Some("no"), Some(NOW))).await;
    settle(attempted(&old[2], None, None)).await;
    assert_eq!(only(&world).await.failing_since, Some(later(10)));
    let new = world.receive(vec![text_from(ANN, "5")]).await.committed.deliveries;
    assert_eq!(settle(gone(&new[0])).await, [(id, DisabledReason::Gone)]);
}

pub(crate) async fn a_secret_is_erased_when_its_day_is_over(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut ids = Vec::new();
    for number in 0..4 {
        let id = world.webhook(&EVENTS).await;
        let new = WebhookSecret::from_random([8; 32]);
        store
            .rotate_secret(
                Grant::whole(world.account),
                id,
                new,
                later(100 + number),
                None,
                NOW.into(),
            )
            .await
            .unwrap();
        ids.push(id);
    }
    // Known to the writer as they are now.
    world.receive(vec![text_from(ANN, "1")]).await;
    assert_eq!(store.forget_secrets(later(99), 10).await.unwrap(), 0);
    assert_eq!(store.forget_secrets(later(102), 2).await.unwrap(), 2);
    assert_eq!(store.forget_secrets(later(102), 2).await.unwrap(), 1);
    assert_eq!(store.forget_secrets(later(102), 2).await.unwrap(), 0);
    let made = world.receive(vec![text_from(ANN, "2")]).await.committed.deliveries;
    for (number, id) in ids.into_iter().enumerate() {
        let endpoint = store.endpoint(Grant::whole(world.account), id).await.unwrap();
        assert_eq!(endpoint.secrets.previous.is_some(), number == 3);
        assert_eq!(endpoint.secrets.current, WebhookSecret::from_random([8; 32]));
        let told = made.iter().find(|one| one.webhook_id == id).unwrap();
        assert_eq!(*told.secrets, endpoint.secrets);
    }
}

pub(crate) async fn a_key_reaches_what_it_may_read_on_its_lines(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.webhook(&[EventKind::MessageSent, EventKind::ReceiptRead]).await;
    let scope = Scope::ReceiptsRead;
    let narrow = Grant {
        scopes: [Scope::WebhooksWrite, Scope::MessagesRead].into_iter().collect(),
        ..Grant::whole(world.account)
    };
    let lacks = Refusal::InsufficientScope { scope };
    let update = async |grant: &Grant, changes| {
        store.update_webhook(grant.clone(), id, changes, None, NOW).await
    };
    let url = || WebhookChanges { url: Some("https://example.org".into()), ..Default::default() };
    let switch = |on| WebhookChanges { is_active: Some(on), ..WebhookChanges::default() };
    let only_sent =
        || WebhookChanges { events: Some(vec![EventKind::MessageSent]), ..Default::default() };
    assert_eq!(refusal(update(&narrow, url()).await), lacks);
    assert_eq!(refusal(update(&narrow, switch(true)).await), lacks);
    // Taking away asks for nothing.
    take(update(&narrow, switch(false)).await).unwrap();
    assert_eq!(refusal(store.endpoint(narrow.clone(), id).await), lacks);
    let secret = WebhookSecret::from_random([1; 32]);
    let rotated = store.rotate_secret(narrow.clone(), id, secret, NOW, None, NOW.into()).await;
    assert_eq!(refusal(rotated), lacks);
    // It may have what it can read.
    take(update(&narrow, WebhookChanges { is_active: Some(true), ..only_sent() }).await).unwrap();
    take(update(&narrow, url()).await).unwrap();

    let restricted = Grant { lines: Some(vec![world.line]), ..Grant::whole(world.account) };
    assert_eq!(refusal(update(&restricted, url()).await), Refusal::WebhookForAllLines);
    let deleted = store.delete_webhook(restricted.clone(), id).await;
    assert_eq!(refusal(deleted), Refusal::WebhookForAllLines);
    assert_eq!(only(&world).await.url, "https://example.org/".trim_end_matches('/'));
    let of_line = NewWebhook { line_ids: Some(vec![world.line]), ..world.new_webhook(&EVENTS) };
    let of_line = take(store.create_webhook(of_line, None, NOW).await).unwrap().id;
    let elsewhere = Grant { lines: Some(Vec::new()), ..Grant::whole(world.account) };
    let refused = store.endpoint(elsewhere, of_line).await;
    assert_eq!(refusal(refused), Refusal::LineNotAccessible);
    store.endpoint(restricted.clone(), of_line).await.unwrap();
    store.delete_webhook(restricted, of_line).await.unwrap();
}

pub(crate) async fn a_webhook_says_what_became_of_the_key_that_made_it(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let made_by = async |byte, scopes: &[Scope], expires_at| {
        let key = NewKey {
            account_id: Some(world.account),
            name: "maker".into(),
            hint: "…".into(),
            hash: SecretHash([byte; 32]),
            scopes: scopes.iter().copied().collect(),
            line_ids: None,
            rate_limit: None,
            expires_at,
        };
        let key = store.create_key(key, NOW).await.unwrap().id;
        let new = NewWebhook { created_by: Some(key), ..world.new_webhook(&EVENTS) };
        let made = take(store.create_webhook(new, None, NOW).await).unwrap();
        (key, made.id)
    };
    let all = [Scope::MessagesRead, Scope::ReactionsRead];
    let (key, first) = made_by(1, &all, None).await;
    let (_, second) = made_by(2, &all, Some(later(10))).await;
    let (_, third) = made_by(3, &[Scope::WebhooksWrite], None).await;
    let fourth = world.webhook(&EVENTS).await;
    let states = async |now| {
        let shown = store.webhooks(world.account, now).await.unwrap();
        let state = |one: &Webhook| (one.id, one.created_by.unwrap().state, one.is_active);
        shown.iter().map(state).collect::<Vec<_>>()
    };
    let lacks = (third, CreatorState::InsufficientScope, true);
    let unknown = (fourth, CreatorState::Unknown, true);
    assert_eq!(
        states(later(9)).await,
        [(first, CreatorState::Active, true), (second, CreatorState::Active, true), lacks, unknown]
    );
    let revoked = store.revoke_key(key, false, NOW).await.unwrap();
    assert_eq!((revoked.active_webhooks, revoked.disabled), (1, Vec::new()));
    let expired = (second, CreatorState::Expired, true);
    assert_eq!(
        states(later(10)).await,
        [(first, CreatorState::Revoked, true), expired, lacks, unknown]
    );
    // It goes on until it is disabled too, and that once.
    let told = world.receive(vec![text_from(ANN, "1")]).await.committed.deliveries;
    assert!(told.iter().any(|one| one.webhook_id == first));
    let revoked = store.revoke_key(key, true, later(20)).await.unwrap();
    assert_eq!((revoked.active_webhooks, revoked.disabled), (0, vec![first]));
    let shown = store.webhooks(world.account, later(10)).await.unwrap().remove(0);
    assert_eq!(
        (shown.is_active, shown.disabled_at, shown.disabled_reason),
        (false, Some(later(20)), Some(DisabledReason::Manual))
    );
    let told = world.receive(vec![text_from(ANN, "2")]).await.committed.deliveries;
    assert!(told.iter().all(|one| one.webhook_id != first));
    let again = store.revoke_key(key, true, later(30)).await.unwrap();
    assert_eq!((again.active_webhooks, again.disabled), (0, Vec::new()));
}

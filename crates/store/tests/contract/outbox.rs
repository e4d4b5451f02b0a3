use std::sync::Arc;

use switchboard_model::{
    chat::Recipient,
    id::Id,
    link::{Content, Outcome},
    message::MessageRef,
    outbox::{EXPIRED, EXPIRY_MS, MAX_ATTEMPTS, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};
use switchboard_store::{
    Accept, Claim, Link, NewContent, NewLine, Refusal, SettleReport, Store, StoreError,
};

use crate::world::{
    ANN, BOB, LEASE, NOW, World, contact, group, later, limit, new_line, refusal, sent, take,
    text_from, text_in,
};

pub(crate) async fn what_is_accepted_is_shown(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let item = world.item(world.accept(ANN, "hello").await).await;
    assert_eq!(
        (item.status, item.attempts, item.max_attempts),
        (OutboxStatus::Pending, 0, MAX_ATTEMPTS)
    );
    assert_eq!((item.created_at, item.completed_at, item.error), (NOW, None, None));
    assert_eq!(item.payload, serde_json::json!({"text": "hello"}));
}

pub(crate) async fn refusals_come_in_order(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let reply = NewContent::Message {
        text: Some("x".into()),
        attachment: Some(Id::generate()),
        reply_to: Some(MessageRef::Guid("nothing".into())),
    };
    let unknown = Recipient::Chat(Id::generate());
    let mut wrong = Accept { line_id: world.other_line, ..world.write(unknown, reply) };
    assert_eq!(refusal(store.accept(wrong.clone(), None, NOW).await), Refusal::LineNotFound);
    wrong.line_id = world.line;
    assert_eq!(refusal(store.accept(wrong.clone(), None, NOW).await), Refusal::ChatNotFound);
    wrong.to = contact(ANN);
    assert_eq!(refusal(store.accept(wrong, None, NOW).await), Refusal::MessageNotFound);
    // What a refused command began is not kept.
    let chats = store.chats(world.account, world.line, None, limit(10)).await.unwrap();
    assert!(chats.rows.is_empty());
}

pub(crate) async fn contact_first_waits_for_the_contact(store: Arc<dyn Store>) {
    let mut world = World::new(Arc::clone(&store)).await;
    let shy = NewLine { contact_first: true, ..new_line(world.account, "+15550100003") };
    world.line = store.create_line(shy).await.unwrap().line.id;
    let ask = || store.accept(world.draft(contact(ANN), "x"), None, NOW);
    assert_eq!(refusal(ask().await), Refusal::ContactHasNotMessaged);
    // A group that exists but in which nobody has written.
    let silent = world
        .receive_one(switchboard_model::link::Inbound::Group { chat: group("g", &[ANN]) })
        .await;
    let to_group = world.draft(Recipient::Chat(silent.chat_id.unwrap()), "x");
    assert_eq!(
        refusal(store.accept(to_group.clone(), None, NOW).await),
        Refusal::ContactHasNotMessaged
    );
    world.receive(vec![text_from(ANN, "g1"), text_in(group("g", &[ANN]), ANN, "g2")]).await;
    ask().await.unwrap();
    take(store.accept(to_group, None, NOW).await).unwrap();
}

pub(crate) async fn a_reply_names_a_message_of_its_chat(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let here = world.receive_one(text_from(ANN, "here")).await.message_id.unwrap();
    let elsewhere = world.receive_one(text_from(BOB, "elsewhere")).await.message_id.unwrap();
    let reply = |to| {
        let content =
            NewContent::Message { text: Some("x".into()), attachment: None, reply_to: Some(to) };
        world.write(contact(ANN), content)
    };
    for wrong in [
        MessageRef::Id(elsewhere),
        MessageRef::Guid("elsewhere".into()),
        MessageRef::Id(Id::generate()),
    ] {
        assert_eq!(refusal(store.accept(reply(wrong), None, NOW).await), Refusal::MessageNotFound);
    }
    for right in [MessageRef::Id(here), MessageRef::Guid("here".into())] {
        take(store.accept(reply(right), None, NOW).await).unwrap();
    }
    let items = store.claim(world.link, world.line, vec![], 10, LEASE).await.unwrap();
    let expected = Content::Message {
        text: Some("x".into()),
        attachments: Vec::new(),
        is_audio_message: false,
        reply_to_guid: Some("here".into()),
    };
    assert!(items.len() == 2 && items.iter().all(|item| item.content == expected));
}

pub(crate) async fn another_account_sees_nothing(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.accept(ANN, "hello").await;
    assert_eq!(store.outbox_item(world.other_account, id).await.unwrap(), None);
    let chat = store.chats(world.account, world.line, None, limit(1)).await.unwrap().rows.remove(0);
    let theirs = Accept {
        account_id: world.other_account,
        line_id: world.other_line,
        ..world.draft(Recipient::Chat(chat.id), "x")
    };
    assert_eq!(refusal(store.accept(theirs, None, NOW).await), Refusal::ChatNotFound);
}

pub(crate) async fn claims_come_in_the_order_of_acceptance(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut accepted = Vec::new();
    for number in 0..10i64 {
        // The clock goes backwards: order does not ask it.
        let to = contact(if number % 3 == 0 { ANN } else { BOB });
        let draft = world.draft(to, &number.to_string());
        accepted.push(take(store.accept(draft, None, later(-number)).await).unwrap().id);
    }
    let mut claimed = world.claim(4).await;
    claimed.extend(world.claim(100).await);
    assert_eq!(claimed, accepted);
    assert!(world.claim(100).await.is_empty());
    assert_eq!(world.item(accepted[0]).await.status, OutboxStatus::Claimed);
}

pub(crate) async fn a_full_chat_is_passed_over_whole(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let first = take(store.accept(world.draft(contact(ANN), "1"), None, NOW).await).unwrap();
    let second = world.accept(BOB, "2").await;
    let third = world.accept(ANN, "3").await;
    assert_eq!(world.claim_but(vec![first.chat_id], 10).await, [second]);
    assert_eq!(world.claim(10).await, [first.id, third]);
}

pub(crate) async fn only_the_lines_bridge_claims(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.accept(ANN, "1").await;
    let other = store
        .claim(Link { bridge: Id::generate(), epoch: 0 }, world.line, vec![], 10, LEASE)
        .await
        .unwrap();
    assert!(other.is_empty());
    let unknown = store.claim(world.link, Id::generate(), vec![], 10, LEASE).await.unwrap();
    assert!(unknown.is_empty());
}

pub(crate) async fn claims_are_known_and_held_for_longer(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.claimed(ANN, "1").await;
    let opened = store.open_link(world.bridge, LEASE).await.unwrap();
    let told = |claim: &Claim| (claim.item.id, claim.item.identifier.clone(), claim.epoch);
    let claimed = [(id, ANN.to_owned(), world.link.epoch)];
    assert_eq!(opened.claims.iter().map(told).collect::<Vec<_>>(), claimed);
    // It stays with the link that claimed it, until it is given back and claimed anew.
    let newer = store.open_link(world.bridge, LEASE).await.unwrap();
    assert_eq!(newer.claims.iter().map(told).collect::<Vec<_>>(), claimed);
    let back = SettleReport { id, outcome: Outcome::Released, counts_as_attempt: false };
    store.settle(newer.link, vec![back], later(1)).await.unwrap();
    store.claim(newer.link, world.line, vec![], 10, LEASE).await.unwrap();
    let opened = store.open_link(world.bridge, LEASE).await.unwrap();
    assert_eq!(opened.claims[0].epoch, newer.link.epoch);
    let past = |by: i64| switchboard_model::Timestamp(LEASE.0 + by);
    store.extend_claims(opened.link, past(10)).await.unwrap();
    // No longer than all others, whatever was promised.
    store.renew_all_claims(past(5)).await.unwrap();
    assert!(store.expire(past(4).into(), 10).await.unwrap().events.is_empty());
    store.renew_all_claims(past(20)).await.unwrap();
    assert!(store.expire(past(19).into(), 10).await.unwrap().events.is_empty());
    assert_eq!(store.expire(past(20).into(), 10).await.unwrap().events.len(), 1);
}

pub(crate) async fn what_waits_too_long_expires(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let draft = world.draft(contact(ANN), "x");
        ids.push(take(store.accept(draft, None, later(number)).await).unwrap().id);
    }
    let end = i64::try_from(EXPIRY_MS).unwrap();
    assert!(store.expire(later(end - 1).into(), 10).await.unwrap().events.is_empty());
    assert_eq!(store.expire(later(end + 1).into(), 1).await.unwrap().events.len(), 1);
    assert_eq!(store.expire(later(end + 1).into(), 10).await.unwrap().events.len(), 1);
    for id in &ids[..2] {
        let item = world.item(*id).await;
        assert_eq!(
            (item.status, item.error.as_deref(), item.attempts),
            (OutboxStatus::Failed, Some(EXPIRED), 0)
        );
    }
    assert_eq!(world.claim(10).await, [ids[2]]);
}

pub(crate) async fn a_lease_that_runs_out_is_never_sent_again(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.claimed(ANN, "1").await;
    let waiting = world.accept(ANN, "2").await;
    assert_eq!(store.expire(LEASE.into(), 10).await.unwrap().events.len(), 1);
    let item = world.item(id).await;
    assert_eq!((item.status, item.attempts), (OutboxStatus::Failed, 1));
    assert_eq!(item.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    assert_eq!(item.completed_at, Some(LEASE));
    // A report that says nothing of what came of it changes nothing.
    assert!(world.settle(id, Outcome::Released).await.events.is_empty());
    assert!(world.settle(id, Outcome::Unknown).await.events.is_empty());
    assert_eq!(world.item(id).await, item);
    assert_eq!(world.claim(10).await, [waiting]);
    // One that does is the truth, once: the phone shows what was called failed.
    assert_eq!(world.settle(id, sent("late")).await.events.len(), 1);
    assert_eq!(world.item(id).await.status, OutboxStatus::Sent);
    assert!(world.settle(id, sent("later")).await.events.is_empty());
}

pub(crate) async fn an_older_link_writes_nothing_any_more(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let waits = world.accept(ANN, "one").await;
    let opened = store.open_link(world.bridge, LEASE).await.unwrap();
    assert!(opened.claims.is_empty());
    assert_eq!(opened.lines.iter().map(|line| line.id).max(), Some(world.other_line));
    let older = opened.link;
    let claim = async |link| store.claim(link, world.line, vec![], 10, LEASE).await;
    assert_eq!(claim(older).await.unwrap()[0].id, waits);
    // The newer one is told of what the older one held.
    let opened = store.open_link(world.bridge, LEASE).await.unwrap();
    assert_eq!(opened.claims.iter().map(|claim| claim.item.id).collect::<Vec<_>>(), [waits]);
    assert_eq!(opened.link.epoch, older.epoch + 1);

    let next = world.accept(ANN, "two").await;
    let at = later(5);
    let done = SettleReport { id: waits, outcome: Outcome::Done { at }, counts_as_attempt: true };
    let is_fenced = |error: StoreError| assert!(matches!(error, StoreError::Fenced), "{error:?}");
    is_fenced(claim(older).await.unwrap_err());
    is_fenced(store.extend_claims(older, LEASE).await.unwrap_err());
    is_fenced(store.settle(older, vec![done.clone()], NOW).await.unwrap_err());
    let text = vec![text_from(ANN, "late")];
    is_fenced(store.receive(older, world.line, "9".into(), text, NOW).await.unwrap_err());
    is_fenced(store.line_status(older, world.line, false, None, NOW).await.unwrap_err());
    is_fenced(store.set_capabilities(older, world.line, vec![]).await.unwrap_err());
    assert_eq!(world.item(waits).await.status, OutboxStatus::Claimed);

    assert_eq!(claim(opened.link).await.unwrap()[0].id, next);
    store.settle(opened.link, vec![done], NOW).await.unwrap();
    assert_ne!(world.item(waits).await.status, OutboxStatus::Claimed);
    assert_eq!(refusal(store.open_link(Id::generate(), LEASE).await), Refusal::BridgeNotFound);
}

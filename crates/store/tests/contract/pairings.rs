//! The end of a pairing on the sandbox line: nothing is shown of it, and nothing more is sent to it.

use std::sync::Arc;

use switchboard_model::{
    Account, EventKind, ReactionType,
    chat::Recipient,
    event::FailedEvent,
    id::Id,
    link::{Inbound, InboundReaction, InboundRead, InboundTyping, Outcome, ReceivedEntry},
    message::MessageRef,
    outbox::{NO_LONGER_PAIRED, OutboxStatus},
};
use switchboard_store::{ChatsCursor, NewContent, NewWebhook, Store};

use crate::{
    sandbox::{CODE, OTHER_CODE, Shared, message, text},
    world::{
        ANN, BOB, NOW, chat_with, contact, data, handle, kinds, later, limit, sent, take, text_from,
    },
};

/// All that an account can ask about a chat and a message in it: what there is, or that there is none.
async fn asks(shared: &Shared, account: Id<Account>, seen: ReceivedEntry) -> Vec<bool> {
    let (store, line) = (&shared.store, shared.world.line);
    let (chat, message) = (seen.chat_id.unwrap(), seen.message_id.unwrap());
    let mut answers = Vec::new();
    for to in [contact(ANN), Recipient::Chat(chat)] {
        let messages = store.messages(account, line, to.clone(), None, limit(9)).await;
        answers.push(messages.is_ok_and(|page| !page.rows.is_empty()));
        let typing = store.typing(account, line, to.clone(), NOW).await;
        answers.push(typing.is_ok_and(|rows| !rows.is_empty()));
        let receipts = store.receipts(account, line, to).await;
        answers.push(receipts.is_ok_and(|rows| !rows.is_empty()));
    }
    for of in [MessageRef::Id(message), MessageRef::Guid("g1".into())] {
        answers.push(!store.find_messages(account, of).await.unwrap().is_empty());
    }
    answers.push(!store.reactions(account, message).await.unwrap().is_empty());
    answers.push(!store.chats(account, line, None, limit(9)).await.unwrap().rows.is_empty());
    answers
}

pub(crate) async fn of_an_ended_pairing_nothing_is_shown(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let (account, other) = (shared.world.account, shared.world.other_account);
    shared.pair(account, CODE, ANN).await;
    let seen = shared.world.receive_one(text_from(ANN, "g1")).await;
    let (chat, handle) = (chat_with(ANN), handle(ANN));
    let love = InboundReaction {
        guid: "r1".into(),
        chat: chat.clone(),
        message_guid: "g1".into(),
        sender: handle.clone(),
        reaction_type: ReactionType::Love,
        added: true,
        sent_at: NOW,
    };
    let read = InboundRead { chat: chat.clone(), handle: handle.clone(), at: NOW };
    let typing = InboundTyping { chat, handle, is_typing: true, at: NOW };
    let all = vec![Inbound::Reaction(love), Inbound::Read(read), Inbound::Typing(typing)];
    shared.world.receive(all).await;
    assert_eq!(asks(&shared, account, seen).await, [true; 10]);
    store.reset_sandbox(account, CODE.into(), NOW).await.unwrap();
    for nobody in [account, other, shared.owner] {
        assert_eq!(asks(&shared, nobody, seen).await, [false; 10]);
    }
    // With another phone it sees that one's; a walk that was begun before shows no more either.
    shared.pair(account, CODE, BOB).await;
    assert_eq!(shared.sees(account).await, [format!("code {CODE} of {BOB}")]);
    let far = ChatsCursor::new([0, u64::MAX, u64::MAX]);
    let walk = store.chats(account, shared.world.line, Some(far), limit(9)).await.unwrap();
    assert_eq!(walk.rows.iter().map(|chat| chat.identifier.as_str()).collect::<Vec<_>>(), [BOB]);
    // The line's owner sees what is its own, whoever is paired with whom.
    shared.world.receive_one(text_from("+15550133333", "nobody's")).await;
    assert_eq!(shared.sees(shared.owner).await, ["nobody's"]);
    // Paired with the first again, it goes on where it was.
    let (_, ended) = store.reset_sandbox(account, OTHER_CODE.into(), NOW).await.unwrap();
    assert!(ended.events.is_empty());
    shared.world.receive_one(text(ANN, "again", OTHER_CODE)).await;
    assert_eq!(asks(&shared, account, seen).await, [true; 10]);
    assert_eq!(shared.sees(account).await.last().map(String::as_str), Some("again"));
}

pub(crate) async fn what_waits_for_an_ended_pairing_fails(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let (account, other) = (shared.world.account, shared.world.other_account);
    shared.pair(account, CODE, ANN).await;
    shared.pair(other, OTHER_CODE, BOB).await;
    shared.world.advance().await;
    let write = async |account, to, content| shared.write(account, to, content, NOW).await;
    // What the bridge has in hand stays there; what it gives back is not given out again.
    let (sent_on, given_back) = (
        write(account, contact(ANN), message()).await.unwrap().id,
        write(account, contact(ANN), message()).await.unwrap().id,
    );
    assert_eq!(shared.world.claim(2).await, [sent_on, given_back]);
    let waiting = [
        write(account, contact(ANN), message()).await.unwrap().id,
        write(account, contact(ANN), NewContent::Typing { on: true }).await.unwrap().id,
    ];
    let others = write(other, contact(BOB), message()).await.unwrap().id;
    let asks =
        NewWebhook { account_id: account, ..shared.world.new_webhook(&[EventKind::MessageFailed]) };
    let asks = take(store.create_webhook(asks, None, NOW).await).unwrap().id;
    let (_, ended) = store.reset_sandbox(account, "AAAAAAAA".into(), later(5)).await.unwrap();
    let told: Vec<FailedEvent> = ended.events.iter().map(data).collect();
    assert_eq!(told.iter().map(|one| one.item.id).collect::<Vec<_>>(), waiting);
    assert!(ended.events.iter().all(|event| event.account_id == account));
    assert_eq!(ended.deliveries.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [asks; 2]);
    for one in told {
        let kept = store.outbox_item(account, one.item.id).await.unwrap().unwrap();
        assert_eq!(kept, one.item);
        assert_eq!((kept.status, kept.attempts), (OutboxStatus::Failed, 0));
        assert_eq!(kept.error.as_deref(), Some(NO_LONGER_PAIRED));
        assert_eq!(kept.completed_at, Some(later(5)));
    }
    assert_eq!(kinds(&shared.world.settle(sent_on, sent("s1")).await), [EventKind::MessageSent]);
    let back = shared.world.settle(given_back, Outcome::Released).await;
    assert_eq!((kinds(&back), back.released.len()), (vec![EventKind::MessageFailed], 0));
    assert_eq!(shared.world.claim(9).await, [others]);
    shared.world.settle(others, Outcome::Released).await;
    assert_eq!(shared.world.claim(9).await, [others], "another's is given out again");
    // A phone that goes over to another account ends its pairing in the same way.
    let late = write(other, contact(BOB), message()).await.unwrap().id;
    let went = shared.world.receive(vec![text(BOB, "over", "AAAAAAAA")]).await.committed;
    assert_eq!(kinds(&went), [EventKind::MessageFailed, EventKind::MessageReceived]);
    assert_eq!((went.events[0].account_id, went.events[1].account_id), (other, account));
    let late = store.outbox_item(other, late).await.unwrap().unwrap();
    assert_eq!(late.error.as_deref(), Some(NO_LONGER_PAIRED));
    assert!(shared.world.claim(9).await.is_empty());
}

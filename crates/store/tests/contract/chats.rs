use std::sync::Arc;

use switchboard_model::{Handle, chat::Recipient, link::Inbound};
use switchboard_store::{Refusal, Store};

use crate::world::{ANN, BOB, NOW, World, group, handle, limit, refusal, take, text_from};

pub(crate) async fn latest_activity_comes_first(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let silent = world.receive_one(Inbound::Group { chat: group("g", &[ANN]) }).await.chat_id;
    let ann = world.receive_one(text_from(ANN, "1")).await.chat_id;
    let bob = world.receive_one(text_from(BOB, "2")).await.chat_id;
    world.receive_one(text_from(ANN, "3")).await;
    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let page = store.chats(world.account, world.line, after, limit(1)).await.unwrap();
        walked.extend(page.rows.iter().map(|chat| chat.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(walked, [ann, bob, silent].map(Option::unwrap));
}

pub(crate) async fn many_that_have_moved_are_listed_where_they_stood(store: Arc<dyn Store>) {
    const CHATS: usize = 1100;
    let world = World::new(Arc::clone(&store)).await;
    let everybody_writes = async |what: &str, reversed: bool| {
        let contact = |number: usize| format!("+1555012{number:04}");
        let mut entries: Vec<_> = (0..CHATS)
            .map(|number| text_from(&contact(number), &format!("{what} {number}")))
            .collect();
        if reversed {
            entries.reverse();
        }
        for batch in entries.chunks(200) {
            world.receive(batch.to_vec()).await;
        }
    };
    let walk = async |mut after: Option<_>, rows: usize| {
        let (mut walked, mut pages) = (Vec::new(), 0);
        loop {
            let page = store.chats(world.account, world.line, after, limit(rows)).await.unwrap();
            walked.extend(page.rows.iter().map(|chat| chat.id));
            (after, pages) = (page.next, pages + 1);
            if after.is_none() || pages == 3 && rows == 7 {
                return (walked, after);
            }
        }
    };
    everybody_writes("first", false).await;
    let (as_it_was, _) = walk(None, 100).await;
    let (mut walked, after) = walk(None, 7).await;
    // Only now, and in another order.
    everybody_writes("second", true).await;
    walked.extend(walk(after, 100).await.0);
    assert_eq!(walked.len(), CHATS);
    assert!(walked == as_it_was, "they come as they stood when the walk began");
}

pub(crate) async fn another_accounts_chats_are_not_listed(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "1")).await;
    let asks = [(world.other_account, world.line), (world.account, world.other_line)];
    for (account, line) in asks {
        assert!(store.chats(account, line, None, limit(10)).await.unwrap().rows.is_empty());
    }
}

pub(crate) async fn who_cant_be_dialled_is_only_answered(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let code = Handle::received("262966");
    // The line lets strangers be written to, but this one can't be.
    let write = async || {
        let draft = world.draft(Recipient::Contact(code.clone()), "x");
        store.accept(draft, None, NOW).await
    };
    assert_eq!(refusal(write().await), Refusal::ContactHasNotMessaged);
    let known =
        async |account, line| store.has_chat_with(account, line, code.clone()).await.unwrap();
    assert!(!known(world.account, world.line).await);
    world.receive_one(text_from("262966", "1")).await;
    assert!(known(world.account, world.line).await);
    assert!(!known(world.other_account, world.line).await);
    assert!(!known(world.account, world.other_line).await);
    take(write().await).unwrap();
    assert!(!store.has_chat_with(world.account, world.line, handle(BOB)).await.unwrap());
}

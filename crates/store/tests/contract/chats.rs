use std::sync::Arc;

use switchboard_model::link::Inbound;
use switchboard_store::Store;

use crate::world::{ANN, BOB, World, group, limit, text_from};

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

pub(crate) async fn another_accounts_chats_are_not_listed(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "1")).await;
    let asks = [(world.other_account, world.line), (world.account, world.other_line)];
    for (account, line) in asks {
        assert!(store.chats(account, line, None, limit(10)).await.unwrap().rows.is_empty());
    }
}

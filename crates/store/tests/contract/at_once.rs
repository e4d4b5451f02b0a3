//! What holds when several do something at the same moment, whichever of them comes first.

use std::sync::Arc;

use switchboard_model::{
    File, Timestamp,
    id::Id,
    link::{Inbound, InboundTyping, Outcome},
    outbox::{NO_LONGER_PAIRED, OutboxStatus},
    sandbox::{DAILY_LIMIT, SandboxStatus},
    typing::{EXPIRES_AFTER_MS, TypingEvent},
};
use switchboard_store::{Accepted, Refusal, Result, Store};
use tokio::task::JoinSet;

use crate::{
    files::{new_file, uploaded, with},
    sandbox::{CODE, OTHER_CODE, Shared, message, text},
    world::{ANN, NOW, World, chat_with, contact, data, handle, later, refusal, take},
};

/// How many do it.
const CROWD: usize = 12;

/// Does these all together, and answers what came of each.
async fn all<T: Send + 'static>(
    work: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    work.collect::<JoinSet<_>>().join_all().await
}

pub(crate) async fn uploads_do_not_take_the_same_room(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let size = new_file("image/png", NOW).size;
    let (account, most) = (world.account, 3 * size + 1);
    let upload = |_| {
        let store = Arc::clone(&store);
        let file = new_file("image/png", NOW);
        async move { take(store.create_file(account, None, file, most, None).await) }
    };
    let (kept, refused): (Vec<_>, Vec<_>) =
        all((0..CROWD).map(upload)).await.into_iter().partition(Result::is_ok);
    assert_eq!((kept.len(), refused.len()), (3, CROWD - 3));
    for one in refused {
        assert_eq!(refusal(one), Refusal::StorageFull { max: most, stored: 3 * size });
    }
    assert_eq!(store.stored_bytes(account).await.unwrap(), 3 * size);
}

/// Sends this file while others forget what may be forgotten, in this way.
async fn sent_while_forgotten<W>(world: &World, file: Id<File>, forget: impl Fn() -> W)
where
    W: Future<Output = Result<Vec<Id<File>>>> + Send + 'static,
{
    let (store, accept) = (Arc::clone(&world.store), world.write(contact(ANN), with(file)));
    let send = tokio::spawn(async move { take(store.accept(accept, None, NOW).await) });
    let gone = all((0..3).map(|_| forget())).await;
    let gone = gone.into_iter().flat_map(Result::unwrap).collect::<Vec<_>>();
    let sent: Result<Accepted> = send.await.unwrap();
    let is_known = world.store.known_files(vec![file]).await.unwrap() == [file];
    if sent.is_ok() {
        assert!(gone.is_empty() && is_known, "what is sent is kept");
    } else {
        assert_eq!(refusal(sent), Refusal::FileNotFound);
        assert!(gone == [file] && !is_known, "it is forgotten once");
    }
}

pub(crate) async fn a_file_is_sent_or_forgotten(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    for _ in 0..CROWD {
        let file = uploaded(&world, world.account, "image/png").await;
        let forget = || {
            let store = Arc::clone(&store);
            async move { store.forget_files(later(1), 10).await }
        };
        sent_while_forgotten(&world, file, forget).await;
        // Also one that was sent before, and is no more.
        let file = uploaded(&world, world.account, "image/png").await;
        world.try_write(ANN, with(file)).await.unwrap();
        for item in world.claim(2).await {
            let failed = Outcome::Failed { error: "no".into() };
            world.settle(item, failed).await;
        }
        assert!(
            store
                .forget_left_files(later(0), later(0), 10)
                .await
                .unwrap()
                .iter()
                .all(|one| *one != file)
        );
        let forget = || {
            let store = Arc::clone(&store);
            async move {
                let gone = store.forget_left_files(later(2), later(1), 10).await?;
                Ok(gone.into_iter().filter(|one| *one == file).collect())
            }
        };
        sent_while_forgotten(&world, file, forget).await;
        for item in world.claim(1).await {
            world.settle(item, Outcome::Done { at: NOW }).await;
        }
    }
}

pub(crate) async fn who_types_no_more_is_told_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let contacts: Vec<_> = (0..CROWD).map(|one| format!("+155502{one:05}")).collect();
    let end = later(i64::try_from(EXPIRES_AFTER_MS).unwrap());
    for contact in &contacts {
        let typing = |is_typing, at| {
            let (chat, handle) = (chat_with(contact), handle(contact));
            Inbound::Typing(InboundTyping { chat, handle, is_typing, at })
        };
        world.receive_one(crate::world::text_from(contact, contact)).await;
        world.receive_at(typing(true, NOW), NOW).await;
    }
    let sweep = |_| {
        let store = Arc::clone(&store);
        async move { store.expire_typing(end, 5).await.unwrap() }
    };
    let mut told: Vec<String> = Vec::new();
    while told.len() < contacts.len() {
        let over = all((0..4).map(sweep)).await;
        let before = told.len();
        told.extend(over.iter().flat_map(|over| &over.events).map(|event| {
            let told: TypingEvent = data(event);
            told.typing.handle
        }));
        assert!(told.len() > before, "each sweep ends some");
    }
    told.sort_unstable();
    assert_eq!(told, contacts);
}

pub(crate) async fn writes_do_not_share_the_last_of_the_quota(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let account = shared.world.account;
    shared.pair(account, CODE, ANN).await;
    let write = |now: Timestamp| {
        let accept = shared.world.write(contact(ANN), message());
        let store = Arc::clone(&store);
        async move { take(store.accept(accept, None, now).await) }
    };
    for _ in 0..DAILY_LIMIT - 2 {
        write(NOW).await.unwrap();
    }
    let (written, refused): (Vec<_>, Vec<_>) =
        all((0..CROWD).map(|_| write(NOW))).await.into_iter().partition(Result::is_ok);
    assert_eq!((written.len(), refused.len()), (2, CROWD - 2));
    for one in refused {
        assert_eq!(refusal(one), Refusal::SandboxQuotaExceeded);
    }
    assert_eq!(store.sandbox(account, NOW).await.unwrap().usage.used, DAILY_LIMIT);
}

pub(crate) async fn of_an_ended_pairing_nothing_goes_out(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let account = shared.world.account;
    for round in ["A", "B", "C", "D", "E", "F"] {
        let code = round.repeat(8);
        store.reset_sandbox(account, code.clone(), NOW).await.unwrap();
        shared.pair(account, &code, ANN).await;
        let write = |_| {
            let accept = shared.world.write(contact(ANN), message());
            let store = Arc::clone(&store);
            async move { take(store.accept(accept, None, NOW).await) }
        };
        let end = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.reset_sandbox(account, "JKLMNPQR".into(), NOW).await }
        });
        let written = all((0..5).map(write)).await;
        let (_, ended) = end.await.unwrap().unwrap();
        let written: Vec<_> = written.into_iter().filter_map(Result::ok).collect();
        assert_eq!(ended.events.len(), written.len());
        for one in written {
            let item = store.outbox_item(account, one.id).await.unwrap().unwrap();
            assert_eq!(item.status, OutboxStatus::Failed);
            assert_eq!(item.error.as_deref(), Some(NO_LONGER_PAIRED));
        }
        assert!(shared.world.claim(9).await.is_empty());
    }
}

pub(crate) async fn a_phone_is_paired_once(store: Arc<dyn Store>) {
    let shared = Shared::new(Arc::clone(&store)).await;
    let world = &shared.world;
    let ensure = |number: usize| {
        let (store, account) = (Arc::clone(&store), world.account);
        let code = if number == 0 { CODE.into() } else { format!("{number:0>8}") };
        async move { take(store.ensure_sandbox(account, code, None, NOW).await).unwrap() }
    };
    let codes = all((0..CROWD).map(ensure)).await;
    assert!(codes.iter().all(|one| *one == codes[0]), "of many codes one is the account's");
    let other = store.ensure_sandbox(world.other_account, OTHER_CODE.into(), None, NOW).await;
    let codes = [codes[0].activation_code.clone(), take(other).unwrap().activation_code];
    let texts = codes.into_iter().flatten().map(|code| {
        let (store, link, line) = (Arc::clone(&store), world.link, world.line);
        let entries = vec![text(ANN, &code, &code)];
        async move { store.receive(link, line, "1".into(), entries, NOW).await.unwrap() }
    });
    assert_eq!(all(texts).await.len(), 2);
    let mut states = Vec::new();
    for account in [world.account, world.other_account] {
        states.push(store.sandbox(account, NOW).await.unwrap().status);
    }
    states.sort_unstable_by_key(|status| *status == SandboxStatus::Active);
    assert_eq!(states, [SandboxStatus::Missing, SandboxStatus::Active]);
}

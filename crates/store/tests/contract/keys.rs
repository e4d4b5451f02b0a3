use std::sync::Arc;

use switchboard_model::{
    Account, Line, Scope, Scopes,
    id::Id,
    key::{KeyUsage, RATE_WINDOW_MS},
    secret::SecretHash,
};
use switchboard_store::{NewKey, NewLine, Refusal, Store};

use crate::world::{NOW, World, later, new_line, refusal};

fn new_key(account_id: Option<Id<Account>>, line_ids: Option<Vec<Id<Line>>>, hash: u8) -> NewKey {
    NewKey {
        account_id,
        name: "k".into(),
        hint: "wxyz".into(),
        hash: SecretHash([hash; 32]),
        scopes: Scopes::from(vec![Scope::LinesRead, Scope::MessagesRead]),
        line_ids,
        rate_limit: Some(5),
        expires_at: Some(later(5)),
    }
}

pub(crate) async fn a_key_is_found_by_its_hash(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let lines = Some(vec![world.line]);
    let key = store.create_key(new_key(Some(world.account), lines, 3), NOW).await.unwrap();
    assert_eq!(store.find_key(SecretHash([3; 32]), None).await.unwrap(), Some((key.clone(), None)));
    let found = store.find_key(SecretHash([3; 32]), Some(key.id)).await.unwrap();
    assert_eq!(found, Some((key.clone(), None)), "the same, whoever asks");
    assert_eq!(store.find_key(SecretHash([4; 32]), None).await.unwrap(), None);
    assert_eq!(store.find_key(SecretHash([4; 32]), Some(key.id)).await.unwrap(), None);
    assert_eq!(store.keys().await.unwrap(), [key]);
}

pub(crate) async fn a_key_for_what_is_not_the_accounts_is_refused(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let ask = |account, lines| store.create_key(new_key(account, lines, 3), NOW);
    assert_eq!(refusal(ask(Some(Id::generate()), None).await), Refusal::AccountNotFound);
    let others = Some(vec![world.line, world.other_line]);
    assert_eq!(refusal(ask(Some(world.account), others.clone()).await), Refusal::LineNotFound);
    assert_eq!(refusal(ask(None, others).await), Refusal::LineNotFound);
    assert!(ask(None, None).await.unwrap().account_id.is_none());
    // The sandbox line is everybody's.
    let sandbox = NewLine { is_sandbox: true, ..new_line(world.other_account, "+15550199999") };
    let sandbox = store.create_line(sandbox).await.unwrap().line.id;
    let both = Some(vec![world.line, sandbox]);
    let named = store.create_key(new_key(Some(world.account), both.clone(), 4), NOW).await.unwrap();
    assert_eq!(named.line_ids, both);
}

pub(crate) async fn revoking_is_final(store: Arc<dyn Store>) {
    let key = store.create_key(new_key(None, None, 3), NOW).await.unwrap();
    for at in [later(1), later(2)] {
        let revoked = store.revoke_key(key.id, true, at).await.unwrap();
        assert_eq!(revoked.key.revoked_at, Some(later(1)));
        assert_eq!((revoked.active_webhooks, revoked.disabled), (0, Vec::new()));
    }
    assert_eq!(refusal(store.revoke_key(Id::generate(), false, NOW).await), Refusal::KeyNotFound);
}

pub(crate) async fn counts_add_up_within_an_hour(store: Arc<dyn Store>) {
    let key_id = store.create_key(new_key(None, None, 3), NOW).await.unwrap().id;
    let usage = |window_start, used| KeyUsage { key_id, window_start, used };
    let hour = RATE_WINDOW_MS;
    for (window, more, kept_window, kept) in [
        (NOW, 5, NOW, 5),
        (NOW, 4, NOW, 9),
        // Another process began its hour later, and another one earlier: it is the same hour.
        (later(1000), 1, NOW, 10),
        (later(-1000), 1, NOW, 11),
        // The next hour, and something late of the one before.
        (later(hour), 2, later(hour), 2),
        (NOW, 7, later(hour), 2),
    ] {
        let answered = store.add_usage(vec![usage(window, more)]).await.unwrap();
        assert_eq!(answered, [usage(kept_window, kept)]);
        let (_, found) = store.find_key(SecretHash([3; 32]), None).await.unwrap().unwrap();
        assert_eq!(found, Some(usage(kept_window, kept)));
    }
}

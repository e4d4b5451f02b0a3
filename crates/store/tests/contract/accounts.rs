use std::sync::Arc;

use switchboard_model::{Scopes, secret::SecretHash};
use switchboard_store::{NewLine, Seed, Store};

use crate::world::{NOW, World, handle, new_line};

pub(crate) fn seed(line: &str, hash: u8) -> Seed {
    Seed {
        account: "dev".into(),
        line: handle(line),
        label: "Development".into(),
        sandbox_line: handle("+15550199999"),
        key: "dev".into(),
        hint: "abcd".into(),
        hash: SecretHash([hash; 32]),
    }
}

pub(crate) async fn accounts_are_listed_oldest_first(store: Arc<dyn Store>) {
    let mut made = Vec::new();
    for name in ["b", "a", "c"] {
        made.push(store.create_account(name.into(), NOW).await.unwrap());
    }
    assert_eq!(store.accounts().await.unwrap(), made);
}

pub(crate) async fn a_line_that_is_there_gets_the_seeds_key(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    for hash in [8, 9, 9] {
        store.seed(seed("+15550100001", hash), NOW).await.unwrap();
    }
    // With the sandbox line and its account.
    assert_eq!(store.accounts().await.unwrap().len(), 3);
    assert_eq!(store.operator_lines(NOW).await.unwrap().len(), 3);
    let owners: Vec<_> =
        store.keys().await.unwrap().into_iter().map(|key| key.account_id).collect();
    assert_eq!(owners, [Some(world.account); 2]);
}

pub(crate) async fn a_seed_is_sown_once(store: Arc<dyn Store>) {
    for _ in 0..2 {
        store.seed(seed("+15550100009", 9), NOW).await.unwrap();
    }
    let accounts = store.accounts().await.unwrap();
    let names: Vec<_> = accounts.iter().map(|account| account.name.as_str()).collect();
    assert_eq!(names, ["dev", "Sandbox"]);
    let lines = store.lines(accounts[0].id).await.unwrap();
    let lines: Vec<_> = lines.iter().map(|line| (line.handle.as_str(), line.is_sandbox)).collect();
    assert_eq!(lines, [("+15550100009", false), ("+15550199999", true)]);
    assert_eq!(store.operator_lines(NOW).await.unwrap()[1].account_id, accounts[1].id);
    let (key, usage) = store.find_key(SecretHash([9; 32]), None).await.unwrap().unwrap();
    assert_eq!((key.account_id, key.scopes), (Some(accounts[0].id), Scopes::all()));
    assert_eq!(usage, None);
}

pub(crate) async fn a_seed_keeps_the_sandbox_line_that_there_is(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let sandbox = NewLine { is_sandbox: true, ..new_line(world.account, "+15550100005") };
    let sandbox = store.create_line(sandbox).await.unwrap().line;
    store.seed(seed("+15550100009", 9), NOW).await.unwrap();
    assert_eq!(store.sandbox_line().await.unwrap(), Some(sandbox));
    assert_eq!(store.accounts().await.unwrap().len(), 3);
}

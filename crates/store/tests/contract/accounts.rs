use std::sync::Arc;

use switchboard_model::{Scopes, secret::SecretHash};
use switchboard_store::{NewLine, Refusal, Seed, Store};

use crate::world::{NOW, World, handle, new_line, refusal};

fn seed(line: &str, hash: u8) -> Seed {
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

pub(crate) async fn a_seed_is_all_or_nothing(store: Arc<dyn Store>) {
    World::new(Arc::clone(&store)).await;
    assert_eq!(refusal(store.seed(seed("+15550100001", 9), NOW).await), Refusal::LineExists);
    assert_eq!(store.accounts().await.unwrap().len(), 2);
    assert!(store.keys().await.unwrap().is_empty());
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
    assert_eq!(store.operator_lines().await.unwrap()[1].account_id, accounts[1].id);
    let (key, usage) = store.find_key(SecretHash([9; 32])).await.unwrap().unwrap();
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

use std::sync::Arc;

use switchboard_model::{id::Id, line::DriverKind, secret::SecretHash};
use switchboard_store::{Refusal, Store};

use crate::world::{NOW, World, later, new_line, refusal};

pub(crate) async fn a_name_is_one_bridges_only(store: Arc<dyn Store>) {
    let make = |name: &str, token| {
        store.create_bridge(name.into(), DriverKind::Imsg, SecretHash([token; 32]), NOW)
    };
    make("mac", 1).await.unwrap();
    assert_eq!(refusal(make("mac", 2).await), Refusal::BridgeExists);
    assert_eq!(refusal(make("simulator", 3).await), Refusal::BridgeExists);
}

pub(crate) async fn a_bridge_is_found_by_its_token_and_seen(store: Arc<dyn Store>) {
    let token = SecretHash([5; 32]);
    let made = store.create_bridge("mac".into(), DriverKind::Imsg, token, NOW).await.unwrap();
    assert_eq!(made.last_seen_at, None);
    let found = store.find_bridge(token, later(1)).await.unwrap().unwrap();
    assert_eq!((found.id, found.last_seen_at), (made.id, Some(later(1))));
    assert_eq!(store.bridges().await.unwrap(), [found]);
    assert_eq!(store.find_bridge(SecretHash([6; 32]), NOW).await.unwrap(), None);
}

pub(crate) async fn the_simulators_bridge_is_one_and_adopts_its_lines(store: Arc<dyn Store>) {
    let account = store.create_account("ours".into(), NOW).await.unwrap().id;
    let early = store.create_line(new_line(account, "+15550100001")).await.unwrap();
    assert_eq!(early.bridge_id, None);
    let first = store.ensure_simulator_bridge(SecretHash([1; 32]), NOW).await.unwrap();
    store.revoke_bridge(first.id, NOW).await.unwrap();
    let second = store.ensure_simulator_bridge(SecretHash([2; 32]), NOW).await.unwrap();
    assert_eq!((second.id, second.revoked_at), (first.id, None));
    assert_eq!(store.find_bridge(SecretHash([1; 32]), NOW).await.unwrap(), None);
    let carried = store.carried_lines(first.id).await.unwrap();
    assert_eq!(carried.iter().map(|line| line.id).collect::<Vec<_>>(), [early.line.id]);
}

pub(crate) async fn a_revoked_bridge_says_so(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    for at in [later(1), later(2)] {
        let revoked = store.revoke_bridge(world.bridge, at).await.unwrap();
        assert_eq!(revoked.revoked_at, Some(later(1)));
    }
    assert_eq!(refusal(store.revoke_bridge(Id::generate(), NOW).await), Refusal::BridgeNotFound);
}

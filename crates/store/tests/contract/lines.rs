use std::sync::Arc;

use switchboard_model::{
    event::LineStatusEvent,
    id::Id,
    line::{Capability, DriverKind, LineStatus, OfflineReason},
    secret::SecretHash,
};
use switchboard_store::{LineChanges, Link, NewLine, Refusal, Store};

use crate::world::{NOW, World, data, later, new_line, refusal};

pub(crate) async fn a_handle_is_one_lines_only(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let again = store.create_line(new_line(world.other_account, "+15550100001")).await;
    assert_eq!(refusal(again), Refusal::LineExists);
}

pub(crate) async fn a_line_needs_an_account_and_a_usable_bridge(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let nobodys = store.create_line(new_line(Id::generate(), "+15550100003")).await;
    assert_eq!(refusal(nobodys), Refusal::AccountNotFound);
    let mac = store
        .create_bridge("mac".into(), DriverKind::Imsg, SecretHash([5; 32]), NOW)
        .await
        .unwrap();
    let by = |bridge_id| NewLine {
        driver: DriverKind::Imsg,
        bridge_id,
        ..new_line(world.account, "+15550100003")
    };
    let unknown = store.create_line(by(Some(Id::generate()))).await;
    assert_eq!(refusal(unknown), Refusal::BridgeNotFound);
    store.revoke_bridge(mac.id, NOW).await.unwrap();
    assert_eq!(refusal(store.create_line(by(Some(mac.id))).await), Refusal::BridgeNotFound);
    let line = store.create_line(by(None)).await.unwrap();
    assert_eq!(line.bridge_id, None);

    let (id, mut bridges) = (line.line.id, Vec::new());
    for (number, driver) in
        [DriverKind::Imsg, DriverKind::Imsg, DriverKind::AndroidSms].into_iter().enumerate()
    {
        let hash = SecretHash([10 + number as u8; 32]);
        let bridge = store.create_bridge(format!("bridge {number}"), driver, hash, NOW).await;
        bridges.push(bridge.unwrap().id);
    }
    let to = |bridge| LineChanges { bridge_id: Some(bridge), loop_limit: Some(None) };
    for (bridge, refused) in [
        (Id::generate(), Refusal::BridgeNotFound),
        (mac.id, Refusal::BridgeNotFound),
        (bridges[2], Refusal::BridgeOfAnotherDriver),
    ] {
        assert_eq!(refusal(store.update_line(id, to(bridge)).await), refused);
    }
    let nowhere = store.update_line(Id::generate(), to(bridges[0])).await;
    assert_eq!(refusal(nowhere), Refusal::LineNotFound);
    for _ in 0..2 {
        let line = store.update_line(id, to(bridges[0])).await.unwrap();
        assert_eq!(line.bridge_id, Some(bridges[0]));
    }
    assert_eq!(store.carried_lines(bridges[0]).await.unwrap().len(), 1);
    assert_eq!(refusal(store.update_line(id, to(bridges[1])).await), Refusal::LineHasBridge);
}

pub(crate) async fn a_bridge_carries_lines_of_its_driver(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mac = store
        .create_bridge("mac".into(), DriverKind::Imsg, SecretHash([5; 32]), NOW)
        .await
        .unwrap();
    for driver in DriverKind::ALL {
        let line =
            NewLine { driver, bridge_id: Some(mac.id), ..new_line(world.account, "+15550100003") };
        let made = store.create_line(line).await;
        if driver == mac.driver {
            assert_eq!(made.unwrap().bridge_id, Some(mac.id));
        } else {
            assert_eq!(refusal(made), Refusal::BridgeOfAnotherDriver);
        }
    }
}

pub(crate) async fn lines_are_their_accounts_only(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let ours = store.lines(world.account).await.unwrap();
    assert_eq!(ours.iter().map(|line| line.id).collect::<Vec<_>>(), [world.line]);
    let all = store.operator_lines(NOW).await.unwrap();
    let owners: Vec<_> = all.iter().map(|line| (line.line.id, line.account_id)).collect();
    let expected = [(world.line, world.account), (world.other_line, world.other_account)];
    assert_eq!(owners, expected);
    assert!(all.iter().all(|line| line.bridge_id == Some(world.bridge)));
}

pub(crate) async fn capabilities_are_told_by_the_lines_own_bridge(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let all = Capability::ALL.to_vec();
    store
        .set_capabilities(Link { bridge: Id::generate(), epoch: 0 }, world.line, all.clone())
        .await
        .unwrap();
    let line = store.lines(world.account).await.unwrap().remove(0);
    assert_eq!((line.capabilities, line.advanced_features), (vec![], false));
    store.set_capabilities(world.link, world.line, all.clone()).await.unwrap();
    let line = store.lines(world.account).await.unwrap().remove(0);
    assert_eq!((line.capabilities, line.advanced_features), (all, true));
}

pub(crate) async fn how_a_line_is_is_kept_with_its_reason(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let status = async || store.lines(world.account).await.unwrap().remove(0).status;
    let say = async |online, reason, at| {
        let said = store.line_status(world.link, world.line, online, reason, later(at)).await;
        said.unwrap().events.remove(0)
    };
    assert_eq!(status().await, LineStatus::default());
    let signed_out = Some(OfflineReason::SignedOut);
    for (online, reason, at, since) in [
        (false, signed_out, 10, 10),
        // The same again is no change.
        (false, signed_out, 20, 10),
        (true, None, 30, 30),
        (true, Some(OfflineReason::SilentWatch), 40, 40),
        (true, None, 50, 50),
    ] {
        let told: LineStatusEvent = data(&say(online, reason, at).await);
        let expected = LineStatus { online, reason, since: Some(later(since)) };
        assert_eq!((told.online, told.line.status), (online, expected));
        assert_eq!(status().await, expected);
    }
    // The server that carried them is gone: nothing is told, and one that was away stays so for its own reason.
    say(false, signed_out, 60).await;
    store.line_status(world.link, world.other_line, true, None, later(60)).await.unwrap();
    store.all_lines_away(later(70)).await.unwrap();
    let since = Some(later(60));
    assert_eq!(status().await, LineStatus { online: false, reason: signed_out, since });
    let other = store.lines(world.other_account).await.unwrap().remove(0).status;
    let (reason, since) = (Some(OfflineReason::Unreachable), Some(later(70)));
    assert_eq!(other, LineStatus { online: false, reason, since });
    // Not by another's word.
    let stranger = Link { bridge: Id::generate(), epoch: 0 };
    let said = store.line_status(stranger, world.line, true, None, later(80)).await.unwrap();
    assert!(said.events.is_empty() && !status().await.online);
}

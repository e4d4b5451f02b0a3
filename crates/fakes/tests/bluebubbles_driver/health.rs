//! How lines are, and why.

use switchboard_bridge::Driver;
use switchboard_model::{
    line::{Capability, OfflineReason},
    link::Outcome,
};

use crate::rig::{ANN, Rig};

#[tokio::test]
async fn capabilities_come_and_go_with_the_helper() {
    let mut rig = Rig::new().await;
    let can = |one: Capability| {
        move |status: &switchboard_bridge::LineStatus| {
            status.online && status.capabilities.contains(&one)
        }
    };
    rig.status(can(Capability::Reactions)).await;
    rig.server.mac(|mac| mac.helper_connected = false);
    rig.reason(true, Some(OfflineReason::HelperMissing)).await;
    rig.status(|status| !status.capabilities.contains(&Capability::Reactions)).await;
    // Texts go on, by scripts.
    rig.server.direct_chat(ANN);
    rig.sent(ANN, "by script").await;
    assert_eq!(rig.server.carried_out()[0].method, "apple-script");
    rig.server.mac(|mac| mac.helper_connected = true);
    rig.status(can(Capability::Reactions)).await;
    rig.sent(ANN, "by helper").await;
    assert_eq!(rig.server.carried_out()[1].method, "private-api");
    // Switched off on purpose, nothing is missing.
    rig.server.mac(|mac| mac.private_api = false);
    rig.reason(true, None).await;
}

#[tokio::test]
async fn a_helper_that_is_lost_before_it_is_noticed_gives_the_item_back() {
    let mut rig = Rig::new().await;
    rig.server.direct_chat(ANN);
    // As long as nothing but sends can be asked.
    rig.server.trouble("/server/info", 1000, switchboard_fakes::wire::Trouble::CutBefore);
    rig.reason(false, Some(OfflineReason::Unreachable)).await;
    rig.server.mac(|mac| mac.helper_connected = false);
    assert_eq!(rig.text(ANN, "hello").await, Outcome::Released);
    rig.server.no_trouble();
    rig.reason(true, Some(OfflineReason::HelperMissing)).await;
    rig.sent(ANN, "hello").await;
    assert_eq!(rig.shown(ANN, "hello"), 1);
}

#[tokio::test]
async fn another_program_s_helper_is_no_helper() {
    let rig = Rig::on(|mac| mac.only_facetime_helper = true).await;
    rig.reason(true, Some(OfflineReason::HelperMissing)).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable_and_items_go_back() {
    let mut rig = Rig::new().await;
    rig.server.direct_chat(ANN);
    rig.server.stop().await;
    rig.reason(false, Some(OfflineReason::Unreachable)).await;
    assert_eq!(rig.text(ANN, "hello").await, Outcome::Released);
    rig.server.start_again().await.unwrap();
    rig.reason(true, None).await;
    rig.sent(ANN, "hello").await;
    assert_eq!(rig.shown(ANN, "hello"), 1);
}

#[tokio::test]
async fn a_wrong_password_is_said() {
    let mut rig = Rig::idle(|_| ()).await;
    rig.start_with("another").await;
    rig.driver().assign_lines(vec![rig.line.clone()]).await;
    rig.reason(false, Some(OfflineReason::Unauthorized)).await;
}

#[tokio::test]
async fn an_old_server_is_refused_and_a_newer_one_is_taken() {
    let mut rig = Rig::idle(|mac| mac.server_version = "1.8.0".to_owned()).await;
    rig.start().await;
    rig.driver().assign_lines(vec![rig.line.clone()]).await;
    rig.reason(false, Some(OfflineReason::ProgramOutdated)).await;
    rig.server.mac(|mac| mac.server_version = "2.0.1".to_owned());
    rig.reason(true, None).await;
}

#[tokio::test]
async fn another_account_is_told_beside() {
    let rig = Rig::on(|mac| {
        mac.detected_imessage = Some("+15550999998".to_owned());
        mac.own_handle = "+15550999998".to_owned();
        mac.private_api = false;
    })
    .await;
    rig.reason(true, Some(OfflineReason::WrongAccount)).await;
}

#[tokio::test]
async fn a_locked_database_is_said_and_nothing_is_lost() {
    let mut rig = Rig::new().await;
    rig.server.faults(|faults| faults.database_locked = true);
    rig.reason(false, Some(OfflineReason::DatabaseLocked)).await;
    rig.server.contact_writes(ANN, "one");
    rig.server.faults(|faults| faults.database_locked = false);
    rig.reason(true, None).await;
    rig.hears("one").await;
}

#[tokio::test]
async fn scripts_that_may_not_control_messages_are_told_of() {
    let mut rig = Rig::scripts().await;
    rig.server.direct_chat(ANN);
    rig.server.mac(|mac| mac.automation_allowed = false);
    assert!(matches!(rig.text(ANN, "hello").await, Outcome::Failed { .. }));
    rig.reason(true, Some(OfflineReason::Permission)).await;
    rig.server.mac(|mac| mac.automation_allowed = true);
    rig.sent(ANN, "hello").await;
    rig.reason(true, None).await;
}

#[tokio::test]
async fn a_webhook_that_says_nothing_raises_the_alarm_and_nothing_is_missed() {
    let mut rig = Rig::idle(|_| ()).await;
    rig.with_webhook = true;
    rig.start().await;
    rig.online().await;
    // Told again and again until the webhook is known to the server and says something.
    rig.server.contact_writes(ANN, "told");
    rig.hears("told").await;
    rig.server.faults(|faults| faults.silent_watcher = true);
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    rig.server.contact_writes(ANN, "untold");
    rig.hears("untold").await;
    rig.reason(true, Some(OfflineReason::SilentWatch)).await;
    rig.server.faults(|faults| faults.silent_watcher = false);
    rig.server.contact_writes(ANN, "told again");
    rig.reason(true, None).await;
}

#[tokio::test]
async fn macos_26_without_a_helper_can_do_little_and_says_so() {
    let mut rig = Rig::on(|mac| {
        mac.os_version = "26.1.0".to_owned();
        mac.private_api = false;
    })
    .await;
    use Capability::{Attachments, DeliveryState};
    rig.status(|status| status.capabilities == [Attachments, DeliveryState]).await;
    let outcome = rig.text(ANN, "nice to meet you").await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
}

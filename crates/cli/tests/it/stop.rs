//! Signals: what ends a server and what does not, and what becomes of what is under way.

use std::time::Duration;

use switchboard_client::{ContactText, CreateWebhook, Deliveries};
use switchboard_model::{EventKind, delivery::DeliveryStatus};
use switchboard_testkit::{Receiver, eventually, receiver::Behaviour};
use tokio::time::Instant;

use crate::process::{ANY_PORT, Dev};

const CONTACT: &str = "+15550100002";
const PATIENCE: Duration = Duration::from_secs(10);

/// A development server whose webhook behaves like this, with one delivery under way.
async fn delivering(dir: &std::path::Path, behaviour: Behaviour, timeout: &str) -> (Dev, Receiver) {
    let mut command = Dev::command(dir, ANY_PORT);
    command.args(["--json", "--log", "info"]).env("SWITCHBOARD_STOP_TIMEOUT", timeout);
    let dev = Dev::ready(&mut command).await;
    let receiver = Receiver::start().await;
    receiver.set(behaviour);
    let wanted = CreateWebhook::new(&dev.ready.line, receiver.url(), [EventKind::MessageReceived]);
    dev.ready.client().create_webhook(&wanted).await.unwrap();
    let text = ContactText::new(&dev.ready.line, CONTACT, "Hi");
    dev.ready.phones().text(&text).await.unwrap();
    receiver.wait_for_count(1, PATIENCE).await.unwrap();
    (dev, receiver)
}

#[tokio::test]
async fn no_other_signal_ends_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Dev::command(dir.path(), ANY_PORT);
    let dev = Dev::ready(command.args(["--json", "--log", "info"])).await;
    for signal in ["HUP", "USR1", "USR2", "XFSZ", "PIPE"] {
        dev.process.signal(signal).await;
        if signal != "PIPE" {
            eventually("the log says so", async || {
                dev.process.stderr().contains(&format!("SIG{signal}")).then_some(())
            })
            .await;
        }
        dev.ready.client().lines().await.unwrap();
    }
    let began = Instant::now();
    let stderr = dev.process.stop("QUIT").await;
    assert!(stderr.contains("SIGQUIT") && stderr.contains("stopped"), "{stderr}");
    assert!(began.elapsed() < Duration::from_secs(5), "nothing was under way");
}

#[tokio::test]
async fn a_delivery_that_is_under_way_is_let_end() {
    let dir = tempfile::tempdir().unwrap();
    // Some 40 bytes: longer than a stop took before, and within its time now.
    let every = Duration::from_millis(100);
    let (dev, receiver) = delivering(dir.path(), Behaviour::Drip { every }, "30").await;
    dev.process.signal("TERM").await;
    let (status, _, stderr) = dev.process.end().await;
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("deliveries=0"), "{stderr}");
    // It is written down: nothing is sent again.
    receiver.set(Behaviour::ok());
    let dev = Dev::start(dir.path(), ANY_PORT).await;
    let client = dev.ready.client();
    let delivered = client.deliveries(&Deliveries::default()).send().await.unwrap().value.data;
    let [delivered] = &delivered[..] else { panic!("{delivered:?}") };
    assert_eq!(delivered.status, DeliveryStatus::Delivered);
    assert_eq!(receiver.count(), 1);
    dev.stop().await;
}

#[tokio::test]
async fn what_does_not_end_in_time_is_left_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let (dev, receiver) = delivering(dir.path(), Behaviour::Stall, "1").await;
    let stderr = dev.process.stop("TERM").await;
    let said = stderr.lines().find(|line| line.contains("were left"));
    assert!(said.is_some_and(|line| line.contains("deliveries=1")), "{stderr}");
    // At the next start it is made again.
    receiver.set(Behaviour::ok());
    let dev = Dev::start(dir.path(), ANY_PORT).await;
    receiver.wait_for(2, PATIENCE).await.unwrap();
    dev.stop().await;
}

#[tokio::test]
async fn a_signal_that_comes_twice_at_once_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let (dev, _receiver) = delivering(dir.path(), Behaviour::Stall, "1").await;
    dev.process.signals(&["TERM", "INT"]).await;
    let (status, _, stderr) = dev.process.end().await;
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("were left") && !stderr.contains("a second signal"), "{stderr}");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (dev, receiver) = delivering(dir.path(), Behaviour::Stall, "600").await;
    dev.process.signal("TERM").await;
    eventually("it is stopping", async || dev.process.stderr().contains("stopping").then_some(()))
        .await;
    // One that comes right behind the first is part of it.
    eventually("it says that it ends at once", async || {
        dev.process.signal("INT").await;
        dev.process.stderr().contains("a second signal").then_some(())
    })
    .await;
    let began = Instant::now();
    let (status, _, stderr) = dev.process.end().await;
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(began.elapsed() < Duration::from_secs(5), "{stderr}");
    // Nothing is lost by it.
    receiver.set(Behaviour::ok());
    let dev = Dev::start(dir.path(), ANY_PORT).await;
    receiver.wait_for(2, PATIENCE).await.unwrap();
    dev.stop().await;
}

//! A bridge whose disk is full: a real small volume, filled and emptied from outside.

use std::time::Duration;

use switchboard_testkit::{eventually, eventually_within};

use super::{CONTACT, LINE, Site, mac, on_a_mac};
use crate::{
    disk_full::{Volume, on_a_volume},
    process::{Process, run},
};

const RECOVERY: Duration = Duration::from_secs(60);

/// The volume is the bridge's alone: what runs out of room is its ledger, and the file in which it says how it is.
#[tokio::test]
async fn a_bridge_without_room_says_so_and_goes_on_when_there_is_some() {
    let site = Site::new("imsg").await;
    let client = site.key().await;
    let mac = mac();
    let token = site.data_dir().join("token");
    let at = tempfile::tempdir().unwrap();
    let mut command = on_a_mac("allowed");
    command.args(["bridge", "run", "--server", &site.server.url, "--data-dir"]);
    command.arg(at.path().join("bridge")).arg("--token-file").arg(&token);
    command.args(site.imsg(mac.program()));
    let bridge = Process::spawn(&mut on_a_volume(at.path(), "8m", "", &command));
    let volume = Volume::of(&bridge, at.path());
    let line = async || {
        let lines = site.admin(&["lines", "list"]).await;
        let status = &lines["data"][0]["status"];
        (status["online"].clone(), status["reason"].clone())
    };
    eventually("the line is online", async || (line().await.0 == true).then_some(())).await;
    let asked = |deed: &str, options: &[&str]| {
        let mut command = on_a_mac("allowed");
        command.args(["bridge", deed, "--data-dir"]).arg(volume.path().join("bridge"));
        command.args(options);
        command
    };
    let is_well = async || {
        let told = run(&mut asked("status", &[])).await;
        (told.code == Some(0) && told.stdout.contains("online")).then_some(())
    };
    eventually("the bridge writes down that it is well", is_well).await;

    volume.fill();
    mac.contact(CONTACT).writes("while the disk is full");
    eventually("the line says why it is offline", async || {
        (line().await == (false.into(), "storage_unavailable".into())).then_some(())
    })
    .await;
    let told = run(&mut asked("status", &[])).await;
    assert!(told.code == Some(1) && told.stdout.contains("Storage  the data"), "{}", told.stdout);
    let options = ["--server", &site.server.url, "--token-file", token.to_str().unwrap()];
    let options = [&options[..], &site.imsg(mac.program())].concat();
    let told = run(&mut asked("doctor", &options)).await;
    assert!(told.code == Some(1), "{}", told.stdout);
    for part in ["can't be written: No space left", "Make room on that disk"] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
    eventually("the log has the cause", async || {
        bridge.stderr().contains("the ledger can't be written").then_some(())
    })
    .await;
    let log = bridge.stderr();
    assert!(log.contains("No space left") || log.contains("disk is full"), "{log}");

    volume.empty();
    // Not before nothing has failed for ten seconds.
    let is_online = async || (line().await.0 == true).then_some(());
    eventually_within(RECOVERY, "the line is online again", is_online).await;
    eventually("what came meanwhile is told", async || {
        let all = client.messages(LINE, CONTACT).all(1000).await.ok()?;
        all.iter().any(|one| one.text.as_deref() == Some("while the disk is full")).then_some(())
    })
    .await;
    eventually("the bridge writes down that it is well again", is_well).await;
    bridge.stop("TERM").await;
    site.server.process.stop("TERM").await;
}

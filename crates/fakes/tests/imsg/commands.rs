//! imsg's plain commands, and what `imsg rpc` takes (bridge.md, quickstart.md).

use std::process::Output;

use serde_json::{Value, json};
use switchboard_fakes::imsg::{Helper, Mac, Protection};
use tokio::process::Command;

async fn run(mac: &Mac, args: &[&str], version: Option<&str>) -> Output {
    let mut command = Command::new(mac.program());
    command.args(args);
    if let Some(version) = version {
        command.env("IMSG_VERSION", version);
    }
    command.output().await.unwrap()
}

async fn json(mac: &Mac, args: &[&str]) -> (Value, Option<i32>) {
    let output = run(mac, args, None).await;
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code())
}

#[tokio::test]
async fn the_version_is_bare_and_can_be_overridden() {
    let mac = Mac::start();
    for flag in ["--version", "-V"] {
        assert_eq!(run(&mac, &[flag], None).await.stdout, b"0.15.10\n");
    }
    assert_eq!(run(&mac, &["--version"], Some("1.2.3")).await.stdout, b"1.2.3\n");
}

#[tokio::test]
async fn status_says_what_works() {
    let mac = Mac::start();
    let (status, code) = json(&mac, &["status", "--json"]).await;
    assert_eq!(
        (&status["advanced_features"], &status["sip"], code),
        (&json!(true), &json!("disabled"), Some(0))
    );
    assert_eq!(
        (&status["helper_version"], &status["helper_version_mismatch"]),
        (&json!("0.15.10"), &json!(false))
    );
    mac.set_helper(Helper::Old);
    let (status, _) = json(&mac, &["status", "--json"]).await;
    assert_eq!(
        (&status["helper_version"], &status["helper_version_mismatch"]),
        (&json!("0.13.4"), &json!(true))
    );
    mac.set_helper(Helper::Absent);
    let (status, _) = json(&mac, &["status", "--json"]).await;
    assert_eq!((&status["v2_ready"], status.get("helper_version")), (&json!(false), None));
    assert!(!status["rpc_methods"].as_array().unwrap().contains(&json!("tapback")));
}

#[tokio::test]
async fn launch_brings_the_helper_unless_the_system_forbids_it() {
    let mac = Mac::start();
    mac.set_helper(Helper::Absent);
    for (protection, error) in
        [(Protection::Enabled, "sip_enabled"), (Protection::Unknown, "sip_unknown")]
    {
        mac.set_protection(protection);
        let (answer, code) = json(&mac, &["launch", "--json"]).await;
        assert_eq!(
            (&answer["status"], &answer["error"], code),
            (&json!("error"), &json!(error), Some(1))
        );
    }
    mac.set_protection(Protection::Disabled);
    mac.set_library_validation(true);
    assert_eq!(json(&mac, &["launch", "--json"]).await.1, Some(1));
    mac.set_library_validation(false);
    assert_eq!(json(&mac, &["launch", "--json"]).await.1, Some(0));
    assert_eq!(json(&mac, &["status", "--json"]).await.0["v2_ready"], true);
    json(&mac, &["launch", "--kill-only"]).await;
    assert_eq!(json(&mac, &["status", "--json"]).await.0["v2_ready"], false);
}

#[tokio::test]
async fn errors_of_commands_go_to_stdout() {
    let mac = Mac::start();
    for args in [&["doctor"][..], &["rpc", "--read-only"], &["rpc", "--db"]] {
        let output = run(&mac, args, None).await;
        assert_eq!((output.status.code(), output.stderr.is_empty()), (Some(1), true), "{args:?}");
        assert!(output.stdout.starts_with(b"Error: "), "{args:?}");
    }
}

#[tokio::test]
async fn stderr_is_noise() {
    let mac = Mac::start();
    let output = Command::new(mac.program())
        .arg("rpc")
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b""[..]));
    assert!(output.stderr.starts_with(b"ABGroup"));
    mac.set_noise(false);
    let output = Command::new(mac.program())
        .arg("rpc")
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.stderr.is_empty());
}

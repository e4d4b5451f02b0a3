//! What the doctor makes of what it finds on a BlueBubbles server and on an Android phone.

use serde_json::{Value, json};
use switchboard_model::Timestamp;
use url::Url;

use super::{
    android, bluebubbles,
    http::{NoReply, Reply},
    report::{Findings, Report},
};
use crate::commands::bridge::options::SimLine;

/// 6 Nov 1994, 08:49:37.
const NOW: Timestamp = Timestamp(784_111_777_000);
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn reply(status: u16, body: Value) -> Result<Reply, NoReply> {
    Ok(Reply { status, date: Some(DATE.to_owned()), body })
}

fn silence() -> Result<Reply, NoReply> {
    Err(NoReply("Connection refused (os error 111)".to_owned()))
}

/// Many set-ups, each under its name.
fn shown(all: Vec<(&str, Findings)>) -> String {
    let shown = |(name, findings): (&str, Findings)| {
        format!("# {name}\n{}\n", Report::of(findings.checks).text())
    };
    all.into_iter().map(shown).collect::<Vec<_>>().join("\n")
}

fn server(change: impl FnOnce(&mut Value)) -> bluebubbles::Facts {
    let mut info = json!({
        "computer_id": "bot@mini.local", "os_version": "15.5.0", "server_version": "1.9.9", "private_api": true,
        "proxy_service": "cloudflare", "helper_connected": true, "detected_icloud": "bot@example.com",
        "detected_imessage": "+15550999999", "macos_time_sync": 0.012,
    });
    change(&mut info);
    bluebubbles::Facts {
        url: Url::parse("http://127.0.0.1:1234").unwrap(),
        ping: reply(200, json!({"status": 200, "message": "Ping received!", "data": "pong"})),
        info: reply(200, json!({"status": 200, "message": "Success", "data": info})),
        listen: None,
        lines: vec!["+15550999999".to_owned()],
    }
}

#[test]
fn a_bluebubbles_server_that_is_well_or_not() {
    let with = |change: fn(&mut Value)| bluebubbles::judge(&server(change));
    let but = |change: fn(&mut bluebubbles::Facts)| {
        let mut facts = server(|_| {});
        change(&mut facts);
        bluebubbles::judge(&facts)
    };
    let refused = json!({"status": 401, "message": "You are not authorized to access this resource",
                         "error": {"type": "Authentication Error", "message": "Unauthorized"}});
    insta::assert_snapshot!(shown(vec![
        ("healthy", with(|_| {})),
        ("by its Apple ID", but(|facts| facts.lines = vec!["bot@example.com".to_owned()])),
        ("away", but(|facts| facts.ping = silence())),
        ("wrong password", {
            let mut facts = server(|_| {});
            facts.ping = reply(401, refused);
            bluebubbles::judge(&facts)
        }),
        ("something else", but(|facts| facts.ping = reply(404, Value::Null))),
        ("over the network without TLS", {
            but(|facts| facts.url = Url::parse("http://192.0.2.10:1234").unwrap())
        }),
        ("its webhook's port is taken", {
            let taken = "Address already in use (os error 98)";
            let mut facts = server(|_| {});
            facts.listen = Some(("127.0.0.1:9111".parse().unwrap(), Some(taken.to_owned())));
            bluebubbles::judge(&facts)
        }),
        ("too old", with(|info| info["server_version"] = "1.8.0".into())),
        ("newer", with(|info| info["server_version"] = "2.0.1".into())),
        ("no private API", with(|info| info["private_api"] = false.into())),
        ("no private API on macOS 26", {
            with(|info| {
                info["private_api"] = false.into();
                info["os_version"] = "26.1.0".into();
            })
        }),
        ("no helper", with(|info| info["helper_connected"] = false.into())),
        ("another account", { with(|info| info["detected_imessage"] = "+15550111111".into()) }),
        ("nobody signed in", {
            with(|info| {
                info["detected_imessage"] = Value::Null;
                info["detected_icloud"] = Value::Null;
            })
        }),
        ("clock off", with(|info| info["macos_time_sync"] = (-75.4).into())),
    ]));
}

fn phone() -> android::Facts {
    let device = json!([{
        "id": "kd83jd02mfl39dkw0s1aa", "name": "Pixel",
        "simCards": [
            {"slotIndex": 0, "simNumber": 1, "phoneNumber": "+15550100001", "carrierName": "A"},
            {"slotIndex": 1, "simNumber": 2, "carrierName": "B"},
        ],
    }]);
    let line = |handle: &str, sim| SimLine { handle: handle.parse().unwrap(), sim };
    android::Facts {
        url: Url::parse("http://192.168.1.20:8080").unwrap(),
        health: reply(200, json!({"status": "pass", "version": "1.52.0", "checks": {}})),
        device: reply(200, device),
        settings: reply(
            200,
            json!({"messages": {"processing_order": "FIFO"}, "webhooks": {"internet_required": true}}),
        ),
        lines: vec![line("+15550100001", 1), line("+15550100002", 2)],
        now: NOW,
    }
}

#[test]
fn an_android_phone_that_is_well_or_not() {
    let but = |change: fn(&mut android::Facts)| {
        let mut facts = phone();
        change(&mut facts);
        android::judge(&facts)
    };
    insta::assert_snapshot!(shown(vec![
        ("healthy", but(|_| {})),
        ("away", but(|facts| facts.health = silence())),
        ("wrong password", but(|facts| facts.device = reply(401, Value::Null))),
        ("something else", but(|facts| facts.device = reply(200, Value::Null))),
        ("no SIM card", but(|facts| facts.device = reply(200, json!([{"simCards": []}])))),
        ("a SIM card that is not there", but(|facts| facts.lines[1].sim = 3)),
        ("another number", {
            but(|facts| facts.lines[0].handle = "+15550100009".parse().unwrap())
        }),
        ("newest first", {
            but(|facts| {
                facts.settings = reply(200, json!({"messages": {"processing_order": "LIFO"}}));
            })
        }),
        ("nothing went out", { but(|facts| facts.health = reply(500, json!({"status": "fail"}))) }),
        ("clock a minute off", but(|facts| facts.now = Timestamp(NOW.0 + 60_000))),
        ("clock an hour off", but(|facts| facts.now = Timestamp(NOW.0 - 3_600_000))),
    ]));
}

//! An Android phone with SMS Gateway for Android, in its local mode: is it there, are the lines on its SIM cards?

use serde_json::Value;
use switchboard_model::{Timestamp, time::Clock as _};
use switchboard_server::SystemClock;
use url::Url;

use super::{
    clock,
    http::{self, NoReply, Reply},
    report::{Findings, masked},
};
use crate::commands::bridge::options::SimLine;

/// What was found out.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) url: Url,
    pub(super) health: Result<Reply, NoReply>,
    pub(super) device: Result<Reply, NoReply>,
    pub(super) settings: Result<Reply, NoReply>,
    pub(super) lines: Vec<SimLine>,
    pub(super) now: Timestamp,
}

pub(super) async fn look(
    url: &str,
    user: &str,
    password: &str,
    lines: Vec<SimLine>,
) -> anyhow::Result<Facts> {
    let url = Url::parse(url.trim())?;
    let client = http::client()?;
    let base = url.as_str().trim_end_matches('/').to_owned();
    let health = http::ask(client.get(format!("{base}/health"))).await;
    let now = SystemClock.now();
    let known = async |path: &str| {
        http::ask(client.get(format!("{base}/{path}")).basic_auth(user, Some(password))).await
    };
    let (device, settings) = (known("device").await, known("settings").await);
    Ok(Facts { health, device, settings, lines, now, url })
}

pub(super) fn judge(facts: &Facts) -> Findings {
    let mut findings = Findings::of("Android phone");
    let shown = facts.url.as_str().trim_end_matches('/');
    let health = match &facts.health {
        Ok(health) => health,
        Err(NoReply(why)) => {
            findings.problem(
                "reachable",
                format!("{shown} can't be reached: {why}"),
                &[
                    "Open the app on the phone: switch \"Local server\" on and then \"Offline\" to \"Online\"; it shows its address",
                    "Phone and bridge have to be in the same network. Give the phone a fixed address in your router",
                    "Take the app out of battery optimization: Settings > Apps > SMS Gateway > Battery > Unrestricted",
                ],
            );
            return findings;
        }
    };
    findings.ok("reachable", format!("{shown} answers"));
    let device = match &facts.device {
        Ok(Reply { status: 401, .. }) => {
            findings.problem(
                "password",
                "the phone refuses user name or password",
                &["The app shows both under \"Local server\"; they are made anew when the app is installed anew"],
            );
            return findings;
        }
        Ok(Reply { status: 200, body, .. }) if body[0].is_object() => &body[0],
        _ => {
            findings.problem(
                "device",
                format!("{shown} answers, and is no SMS Gateway for Android in its local mode"),
                &["Look at the address in the app, and at --android-url"],
            );
            return findings;
        }
    };
    findings.ok("password", "the phone takes user name and password");
    failing(&mut findings, &health.body);
    sims(&mut findings, device, &facts.lines);
    if let Ok(Reply { status: 200, body, .. }) = &facts.settings {
        settings(&mut findings, body);
    }
    let advice = ["On the phone: Settings > System > Date & time > \"Set time automatically\""];
    clock::judge(&mut findings, "the phone", health.date.as_deref(), facts.now, &advice);
    findings
}

fn failing(findings: &mut Findings, health: &Value) {
    if health["status"] == "fail" {
        findings.warning(
            "health",
            "the app says that it fails: in the last hour nothing went out",
            &["Has the SIM card credit and signal? Send a text from the phone itself"],
        );
    }
}

fn sims(findings: &mut Findings, device: &Value, lines: &[SimLine]) {
    let cards: Vec<_> = device["simCards"].as_array().into_iter().flatten().collect();
    if cards.is_empty() {
        findings.problem(
            "sim",
            "the app sees no SIM card",
            &["Put one in; allow the app what it asks for: Settings > Apps > SMS Gateway > Permissions > SMS, Phone"],
        );
        return;
    }
    for SimLine { handle, sim } in lines {
        let shown = masked(handle.as_str());
        let card = cards.iter().find(|card| card["simNumber"].as_u64() == Some(u64::from(*sim)));
        let Some(card) = card else {
            let there: Vec<_> =
                cards.iter().filter_map(|card| card["simNumber"].as_u64()).collect();
            let there = there.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            findings.problem(
                "sim",
                format!(
                    "the line {shown} is to be on SIM card {sim}, and the phone has only {there}"
                ),
                &["Give --android-line the number of a card that is there; they count from 1"],
            );
            continue;
        };
        match card["phoneNumber"].as_str().filter(|number| !number.is_empty()) {
            Some(number) if !same(number, handle.as_str()) => findings.problem(
                "sim",
                format!("the line {shown} is to be on SIM card {sim}, and that one has the number {}", masked(number)),
                &["Give --android-line the right number, or swap the cards"],
            ),
            Some(_) => findings.ok("sim", format!("the line {shown} is SIM card {sim}")),
            None => findings.ok(
                "sim",
                format!("the line {shown} is SIM card {sim}; the card itself does not know its number, as most"),
            ),
        }
    }
}

/// Cards write their number with or without a plus.
fn same(number: &str, handle: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    digits(handle).ends_with(&digits(number))
}

fn settings(findings: &mut Findings, settings: &Value) {
    let order = settings["messages"]["processing_order"].as_str();
    if order.is_some_and(|order| order.eq_ignore_ascii_case("FIFO")) {
        findings.ok("order", "texts leave in the order in which they came");
    } else {
        findings.warning(
            "order",
            "the app sends the newest text first; the bridge waits for each before the next, which is slower",
            &[
                "In the app: Settings > Messages > Processing order > FIFO",
                "Or: curl -u USER -X PATCH http://PHONE:8080/settings -H 'Content-Type: application/json' \
                 -d '{\"messages\":{\"processing_order\":\"FIFO\"}}'",
            ],
        );
    }
    if settings["webhooks"]["internet_required"] == true {
        findings.ok("webhooks", "the app's webhooks wait for the internet; the bridge asks the phone by itself and needs none");
    }
}

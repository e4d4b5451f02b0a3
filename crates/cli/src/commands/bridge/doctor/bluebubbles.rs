//! A BlueBubbles server: is it there, is the password right, what can it do?

use std::net::SocketAddr;

use serde_json::Value;
use url::{Host, Url};

use super::{
    http::{self, NoReply, Reply},
    report::{Findings, masked},
};

/// From which version on it can be driven.
const NEEDED: (u32, u32) = (1, 9);
/// What it was tried with.
const TRIED: &str = "1.9.9";
/// How far the Mac's clock may be off, in seconds.
const CLOCK_OFF: f64 = 10.0;

/// What was found out.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) url: Url,
    pub(super) ping: Result<Reply, NoReply>,
    pub(super) info: Result<Reply, NoReply>,
    /// The address for its webhook, if there is to be one, and why it can't be had.
    pub(super) listen: Option<(SocketAddr, Option<String>)>,
    /// The handles of the lines, where they are known.
    pub(super) lines: Vec<String>,
}

pub(super) async fn look(
    url: &str,
    password: &str,
    listen: Option<SocketAddr>,
    lines: Vec<String>,
) -> anyhow::Result<Facts> {
    let url = Url::parse(url.trim())?;
    let client = http::client()?;
    let ask = async |path: &str| {
        let base = url.as_str().trim_end_matches('/');
        let request = client.get(format!("{base}/api/v1/{path}"));
        http::ask(request.query(&[("password", password)])).await
    };
    let (ping, info) = (ask("ping").await, ask("server/info").await);
    let listen = listen.map(|address| {
        (address, std::net::TcpListener::bind(address).err().map(|error| error.to_string()))
    });
    Ok(Facts { ping, info, listen, lines, url })
}

pub(super) fn judge(facts: &Facts) -> Findings {
    let mut findings = Findings::of("BlueBubbles");
    let shown = facts.url.as_str().trim_end_matches('/');
    let ping = match &facts.ping {
        Ok(ping) => ping,
        Err(NoReply(why)) => {
            findings.problem(
                "reachable",
                format!("{shown} can't be reached: {why}"),
                &[
                    "Is the BlueBubbles app open on the Mac? Its first page shows its address; the port is 1234 if nobody changed it",
                    "On the same Mac: --bluebubbles-url http://127.0.0.1:1234",
                ],
            );
            return findings;
        }
    };
    match (ping.status, &ping.body["data"]) {
        (401, _) => {
            findings.ok("reachable", format!("{shown} answers"));
            findings.problem(
                "password",
                "BlueBubbles refuses the password",
                &[
                    "BlueBubbles > Settings > Connection shows the password; write it into the file of --bluebubbles-password-file",
                ],
            );
            return findings;
        }
        (200, Value::String(pong)) if pong == "pong" => {
            findings.ok("reachable", format!("{shown} answers, and takes the password"));
        }
        (status, _) => {
            findings.problem(
                "reachable",
                format!("{shown} answers with {status}, and is no BlueBubbles server"),
                &["Look at the address in the BlueBubbles app on the Mac, and at --bluebubbles-url"],
            );
            return findings;
        }
    }
    encrypted(&mut findings, &facts.url);
    let info = match &facts.info {
        Ok(Reply { status: 200, body, .. }) => &body["data"],
        _ => {
            findings.problem(
                "info",
                "BlueBubbles does not say how it is",
                &["Start the BlueBubbles app on the Mac anew, then ask again"],
            );
            return findings;
        }
    };
    if version(&mut findings, info) {
        private_api(&mut findings, info);
        account(&mut findings, info, &facts.lines);
        clock(&mut findings, info);
    }
    if let Some((address, taken)) = &facts.listen {
        listening(&mut findings, *address, taken.as_deref());
    }
    findings
}

fn listening(findings: &mut Findings, address: SocketAddr, taken: Option<&str>) {
    match taken {
        None => findings.ok("listen", format!("{address} is free for what BlueBubbles tells")),
        Some(why) => findings.problem(
            "listen",
            format!("{address} can't be listened on for what BlueBubbles tells: {why}"),
            &["Give --bluebubbles-listen another port, or leave it out: news are looked for every few seconds then"],
        ),
    }
}

fn encrypted(findings: &mut Findings, url: &Url) {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !is_here {
        findings.warning(
            "tls",
            "the password stands in every request, and nothing encrypts the way to BlueBubbles",
            &["Run the bridge on the same Mac (http://127.0.0.1:1234), or reach BlueBubbles over https:// or a VPN"],
        );
    }
}

/// Whether it can be driven at all.
fn version(findings: &mut Findings, info: &Value) -> bool {
    let said = info["server_version"].as_str().unwrap_or_default();
    let mut parts = said.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
        findings.problem(
            "version",
            "BlueBubbles does not say which version it is",
            &["Update it: bluebubbles.app/downloads"],
        );
        return false;
    };
    if (major, minor) < NEEDED {
        findings.problem(
            "version",
            format!("BlueBubbles is version {said}; it has to be 1.9 or newer"),
            &["BlueBubbles > Settings > Check for updates, or bluebubbles.app/downloads"],
        );
        return false;
    }
    let tried = if said == TRIED {
        ""
    } else {
        "; this program was tried with 1.9.9, and newer ones promise the same"
    };
    findings.ok("version", format!("BlueBubbles is version {said}{tried}"));
    true
}

fn private_api(findings: &mut Findings, info: &Value) {
    let macos = info["os_version"].as_str().unwrap_or_default();
    let newest =
        macos.split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or(0) >= 26;
    let lost = match newest {
        true => "on macOS 26 only texts and files in known chats with one contact work",
        false => {
            "texts and files work, and no reactions, typing, read receipts, replies or audio messages"
        }
    };
    let helper =
        "docs.bluebubbles.app/private-api says how; it needs System Integrity Protection to be off";
    match (info["private_api"] == true, info["helper_connected"] == true) {
        (true, true) => findings.ok("private_api", "the private API is on, and its helper is connected"),
        (true, false) => findings.warning(
            "private_api",
            format!("the private API is on, and its helper is not connected: {lost}"),
            &["BlueBubbles > Settings > Private API: look at what its status says, and restart Messages from there", helper],
        ),
        (false, _) => findings.warning(
            "private_api",
            format!("the private API is off: {lost}"),
            &["If that is enough for you, leave it so. Otherwise switch it on in BlueBubbles > Settings > Private API", helper],
        ),
    }
}

fn account(findings: &mut Findings, info: &Value, lines: &[String]) {
    let accounts = ["detected_imessage", "detected_icloud"];
    let accounts: Vec<_> = accounts
        .iter()
        .filter_map(|name| info[name].as_str())
        .filter(|one| !one.is_empty())
        .collect();
    let Some(found) = accounts.first() else {
        findings.warning(
            "account",
            "BlueBubbles does not know which account Messages uses",
            &["Open Messages on the Mac, sign in, and send one message to somebody"],
        );
        return;
    };
    let found = masked(found);
    match lines.iter().find(|line| !accounts.contains(&line.as_str())) {
        None => findings.ok("account", format!("Messages uses {found}")),
        Some(line) => findings.warning(
            "account",
            format!("Messages uses {found}, and not {}, which this bridge is to carry", masked(line)),
            &[
                "Messages > Settings > iMessage: switch the number or address on under \"You can be reached at\"",
                "Or the line has the wrong handle: switchboard admin lines list",
            ],
        ),
    }
}

fn clock(findings: &mut Findings, info: &Value) {
    let Some(off) = info["macos_time_sync"].as_f64() else { return };
    if off.abs() > CLOCK_OFF {
        findings.warning(
            "clock",
            format!("the Mac's clock is {:.0} s off", off.abs()),
            &["On the Mac: System Settings > General > Date & Time > \"Set time and date automatically\""],
        );
    }
}

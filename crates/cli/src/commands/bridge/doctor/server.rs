//! The way to the server: is it there, does it know this bridge, do the two understand each other?

use switchboard_bridge::{BridgeConfig, Door, Probed, Unreachable};
use switchboard_model::{
    Timestamp,
    link::{OLDEST_PROTOCOL, PROTOCOL, common_protocol},
    time::Clock as _,
};
use switchboard_server::SystemClock;
use url::{Host, Url};

use super::{clock, report::Findings};

const SET_CLOCK: &str = "Set both clocks by the network. On a Mac: System Settings > General > Date & Time > \"Set time \
                         and date automatically\"";

/// What was found out.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) url: Url,
    pub(super) answer: Result<Probed, Unreachable>,
    pub(super) now: Timestamp,
}

pub(super) async fn look(config: &BridgeConfig) -> Facts {
    Facts { url: config.url().clone(), answer: config.probe().await, now: SystemClock.now() }
}

/// Judges what was found; `no_token` says why there is no token to show.
pub(super) fn judge(facts: &Facts, no_token: Option<&str>) -> Findings {
    let mut findings = Findings::of("Server");
    let shown = shown(&facts.url);
    let probed = match &facts.answer {
        Ok(probed) => probed,
        Err(problem) => {
            unreachable(&mut findings, &shown, problem);
            return findings;
        }
    };
    if let Door::Other(status) = probed.door {
        findings.problem(
            "reachable",
            format!("{shown} answers with {}, and is no Switchboard server", status.as_u16()),
            &["Give --server the URL under which 'switchboard serve' is reached; try it in a browser: it shows the API"],
        );
        return findings;
    }
    findings.ok("reachable", format!("{shown} answers"));
    tls(&mut findings, &facts.url);
    match probed.door {
        _ if no_token.is_some() => findings.problem(
            "token",
            no_token.unwrap_or_default(),
            &["On the server's machine: switchboard admin bridges create --name … --driver …"],
        ),
        Door::TokenRefused => findings.problem(
            "token",
            "the server does not know this token: it was revoked, or belongs to another server",
            &[
                "On the server's machine: switchboard admin bridges list",
                "Make a new one there: switchboard admin bridges create --name … --driver …",
                "Delete the old token file (DATA_DIR/token, or that of --token-file) and run this again: it asks for the new one",
            ],
        ),
        Door::NoUpgrade => {
            findings.ok("token", "the server knows the token");
            findings.problem(
                "websocket",
                "a proxy in front of the server does not let WebSockets through",
                &[
                    "nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \
                     \"upgrade\"; for /bridge/. Caddy and Traefik do so by themselves",
                    "Or the server is older than this program: use the same release on both",
                ],
            );
        }
        Door::Open { protocols } => {
            findings.ok("token", "the server knows the token");
            protocol(&mut findings, protocols);
        }
        Door::Other(_) => {}
    }
    clock::judge(&mut findings, "the server", probed.date.as_deref(), facts.now, &[SET_CLOCK]);
    findings
}

fn unreachable(findings: &mut Findings, shown: &str, problem: &Unreachable) {
    let cause = std::error::Error::source(problem).map(ToString::to_string);
    let found = match &cause {
        Some(cause) => format!("{shown} can't be reached: {problem} ({cause})"),
        None => format!("{shown} can't be reached: {problem}"),
    };
    let advice: &[&str] = match problem {
        Unreachable::Name(_) => {
            &["Look at the name in --server for a slip; is this machine on the network?"]
        }
        Unreachable::Connect(_) => &[
            "Does 'switchboard serve' run? By itself it listens on its own machine only (--listen)",
            "Does a firewall between the two let the port through? Only this machine dials; nothing has to reach it",
        ],
        Unreachable::Tls(_) => &[
            "If the server speaks no TLS there, give --server with http://",
            "If it has a certificate of your own: use one that the world trusts (Let's Encrypt)",
        ],
        Unreachable::Slow => &["Does a firewall swallow the connection? Is the port right?"],
        Unreachable::NoHttp => {
            &["Is the port in --server that of Switchboard, or of its TLS proxy?"]
        }
    };
    findings.problem("reachable", found, advice);
}

fn tls(findings: &mut Findings, url: &Url) {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match (url.scheme(), is_here) {
        ("wss", _) => findings.ok("tls", "the connection is encrypted, and the server has proved its name"),
        (_, true) => findings.ok("tls", "the server is on this machine, and needs no TLS"),
        _ => findings.warning(
            "tls",
            "the connection is not encrypted: whoever is on the way reads the token and all messages",
            &["Put a TLS proxy in front of the server and give --server with https://, or let it go through a VPN"],
        ),
    }
}

fn protocol(findings: &mut Findings, (oldest, newest): (u32, u32)) {
    if let Some(common) = common_protocol(Some(oldest), newest) {
        findings.ok("protocol", format!("both speak version {common} of the link"));
        return;
    }
    let which = if newest < OLDEST_PROTOCOL { "the server" } else { "this program" };
    findings.problem(
        "protocol",
        format!(
            "the server speaks versions {oldest} to {newest} of the link, this program {OLDEST_PROTOCOL} to {PROTOCOL}"
        ),
        &[&format!("Update {which}: use the same release of switchboard on both")],
    );
}

/// The server, as people know it.
fn shown(url: &Url) -> String {
    let scheme = if url.scheme() == "wss" { "https" } else { "http" };
    let path = url.path().trim_end_matches("/bridge/v1/link");
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{}{port}{path}", url.host_str().unwrap_or_default())
}

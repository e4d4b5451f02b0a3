//! `lines`: 200 lines on one link, each of which sends a message and gets a text each second. How long a message takes
//! from its acceptance to its signed `message.sent` at the receiver.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use switchboard_client::CreateWebhook;
use switchboard_model::EventKind;
use switchboard_testkit::{LINE, Receiver, Tenant, TestServer};

use crate::{
    Options,
    accept::flat_out,
    life::whole_way,
    load::{Load, Pace, Template, numbered_text},
    machine::Machine,
    report::{Figure, Report, Series},
    world,
};

const LINES: u32 = 200;
/// Who writes with all of them.
const CONTACT: &str = "+15550130000";

pub(crate) async fn run(options: &Options, machine: Machine) -> anyhow::Result<Report> {
    let server = world::setup(options).await.start().await;
    let tenant = server.tenant(LINE).await;
    let handles = add_lines(&server, &tenant).await;
    let receiver = Arc::new(Receiver::start().await);
    // Without a line it is for all of them.
    let webhook = CreateWebhook::new("", receiver.url(), [EventKind::MessageSent]);
    let made = tenant.client.create_webhook(&webhook).await?.value;
    let secret = made.secret.context("a new webhook shows its secret")?;

    let address = world::address(&server)?;
    let each_second = |requests: anyhow::Result<Arc<[Template]>>| {
        let pace = Pace::PerSecond(LINES);
        anyhow::Ok(Load { pace, ..flat_out(address, &requests?, 201, options) })
    };
    let sends = each_second(handles.iter().map(|handle| send(&tenant, handle)).collect())?;
    let texts = each_second(handles.iter().map(|handle| text(&server, handle)).collect())?;
    let mut series = Series::default();
    for round in options.rounds() {
        let (sent, texted) = tokio::join!(whole_way(&sends, &receiver, &secret), texts.run());
        texted?;
        series.push(sent?);
        options.tell(round, series.median(|round| round.p99_ms), "ms p99 so far");
    }
    server.stop().await;
    Ok(Report {
        benchmark: "lines",
        machine,
        rounds: options.rounds,
        rows: vec![series.row("POST to message.sent received, 200 lines")],
        figures: vec![
            Figure::plain("p50", series.median(|round| round.p50_ms), "ms"),
            Figure::plain("p99", series.median(|round| round.p99_ms), "ms").below(20.0),
        ],
    })
}

/// Lines of this account that the simulator's bridge carries, and whose contact has written to them.
async fn add_lines(server: &TestServer, tenant: &Tenant) -> Vec<String> {
    let handles: Vec<_> = (0..LINES).map(|number| format!("+1555017{number:04}")).collect();
    for handle in &handles {
        server.open_line(tenant.account, handle).await;
        server.text(handle, CONTACT, "Hello").await;
    }
    handles
}

fn send(tenant: &Tenant, handle: &str) -> anyhow::Result<Template> {
    let body = json!({ "from": handle, "to": CONTACT, "text": numbered_text() });
    Template::post("/v1/messages", &tenant.key, &body)
}

fn text(server: &TestServer, handle: &str) -> anyhow::Result<Template> {
    let body = json!({ "line": handle, "from": CONTACT, "text": numbered_text() });
    Template::post("/simulator/v1/messages", server.operator_token(), &body)
}

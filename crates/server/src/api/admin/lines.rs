//! GET, POST and PATCH /admin/v1/lines; POST /admin/v1/lines/standby and /admin/v1/lines/take-over

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use switchboard_model::{
    Line, Problem, Timestamp,
    id::Id,
    line::{DriverKind, LineService, LoopLimit, OperatorLine},
    time::{Clock, Now},
};
use switchboard_store::{LineChanges, Lines, NewLine, Refusal, StoreError, TakeOver};

use crate::{
    api::{
        admin,
        http::{
            body::{self, Body},
            caller::Operator,
            envelope,
            names::id_of,
            problem::Failure,
            request_id::RequestId,
        },
    },
    link::Links,
    publish::Publisher,
    uncancelled::spawn_uncancelled,
};

/// Every line of every account.
pub(crate) async fn list(
    State(lines): State<Arc<dyn Lines>>,
    State(clock): State<Arc<dyn Clock>>,
    _: Operator,
    id: RequestId,
) -> Result<Response, Failure> {
    let mut all = lines.operator_lines(clock.steady()).await?;
    let mut health = lines.operator_line_health(clock.now()).await?;
    for one in &mut all {
        one.line.health = health.remove(&one.line.id);
    }
    Ok(envelope::list(all, None, &id))
}

/// Makes a line and tells its bridge.
pub(crate) async fn create(
    State(lines): State<Arc<dyn Lines>>,
    State(links): State<Arc<Links>>,
    State(clock): State<Arc<dyn Clock>>,
    operator: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let account_id = body.required("account_id")?;
    let (handle, driver) = (body.required("handle")?, body.required("driver")?);
    let account_id = id_of(body::text(account_id, "account_id")?, "account_id")?;
    let handle = body::text(handle, "handle")?
        .parse()
        .map_err(|error| Problem::invalid_value("handle", error))?;
    let label = body.optional_text("label")?;
    let label = label.map(|text| admin::check_name(text, "label")).transpose()?;
    let service = match body.optional_text("service")? {
        Some(name) => LineService::from_name(name).ok_or_else(|| {
            Problem::invalid_value("service", "must be 'imessage', 'sms' or 'auto'")
        })?,
        None => LineService::default(),
    };
    let driver = DriverKind::from_name(body::text(driver, "driver")?).ok_or_else(|| {
        let known = DriverKind::ALL.map(DriverKind::as_str).join(", ");
        Problem::invalid_value("driver", format_args!("must be one of {known}"))
    })?;
    let bridge_id = admin::optional_id(&body, "bridge_id")?;
    let standby_bridge_id = admin::optional_id(&body, "standby_bridge_id")?;
    let is_sandbox = body.optional_bool("is_sandbox")?.unwrap_or(false);
    if driver == DriverKind::Simulator && bridge_id.is_some() {
        let must = "must be left out: the simulator has a bridge of its own";
        return Err(Problem::invalid_value("bridge_id", must).into());
    }
    if standby_bridge_id.is_some() && (bridge_id.is_none() || standby_bridge_id == bridge_id) {
        let must = "must be another bridge than 'bridge_id', which is needed beside it";
        return Err(Problem::invalid_value("standby_bridge_id", must).into());
    }
    let contact_first = body.optional_bool("contact_first")?.unwrap_or(true);
    let loop_limit = body.optional_text("loop_limit")?.map(loop_limit).transpose()?.flatten();
    let line = NewLine {
        account_id,
        handle,
        label,
        service,
        driver,
        bridge_id,
        standby_bridge_id,
        contact_first,
        loop_limit,
        is_sandbox,
    };
    let making = spawn_uncancelled(async move {
        let made = lines.create_line(line).await?.line.id;
        let line = shown(&*lines, made, clock.both()).await?;
        tracing::info!(
            by = %operator,
            action = "lines.create",
            line = %line.line.id,
            account = %account_id,
            "admin action"
        );
        links.refresh();
        Ok(line)
    });
    let line = making
        .await
        .map_err(|error| Failure::about(error, &Refusal::BridgeNotFound, "bridge_id"))?;
    Ok(envelope::one(StatusCode::CREATED, &line, &id))
}

/// Gives a line that has none a bridge, and tells it; sets how often a line may answer one contact.
pub(crate) async fn update(
    State(lines): State<Arc<dyn Lines>>,
    State(links): State<Arc<Links>>,
    State(clock): State<Arc<dyn Clock>>,
    operator: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let line = body.required("id")?;
    let bridge_id = admin::optional_id(&body, "bridge_id")?;
    let limit = match bridge_id {
        Some(_) => body.optional_text("loop_limit")?,
        None => Some(body::text(body.required("loop_limit")?, "loop_limit")?),
    };
    let line: Id<Line> = id_of(body::text(line, "id")?, "id")?;
    let changes = LineChanges { bridge_id, loop_limit: limit.map(loop_limit).transpose()? };
    let updating = spawn_uncancelled(async move {
        lines.update_line(line, changes).await?;
        let line = shown(&*lines, line, clock.both()).await?;
        tracing::info!(
            by = %operator,
            action = "lines.update",
            line = %line.line.id,
            bridge = bridge_id.map(tracing::field::display),
            loop_limit = changes.loop_limit.flatten().map(tracing::field::display),
            "admin action"
        );
        if bridge_id.is_some() {
            links.refresh();
        }
        Ok(line)
    });
    let line = updating.await.map_err(|error| match &error {
        StoreError::Refused(Refusal::BridgeNotFound) => {
            Failure::about(error, &Refusal::BridgeNotFound, "bridge_id")
        }
        _ => Failure::about(error, &Refusal::LineNotFound, "id"),
    })?;
    Ok(envelope::one(StatusCode::OK, &line, &id))
}

/// A limit, or "off".
fn loop_limit(text: &str) -> Result<Option<LoopLimit>, Problem> {
    if text == "off" {
        return Ok(None);
    }
    let limit = text.parse().map(Some);
    limit.map_err(|error| Problem::invalid_value("loop_limit", format_args!("{error}; or 'off'")))
}

/// Gives a line a standby, or takes it away, and tells the bridges.
pub(crate) async fn set_standby(
    State(lines): State<Arc<dyn Lines>>,
    State(links): State<Arc<Links>>,
    State(clock): State<Arc<dyn Clock>>,
    operator: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let line = body.id("id")?;
    let standby = admin::optional_id(&body, "bridge_id")?;
    let setting = spawn_uncancelled(async move {
        lines.set_standby(line, standby).await?;
        let line = shown(&*lines, line, clock.both()).await?;
        tracing::info!(
            by = %operator,
            action = "lines.standby",
            line = %line.line.id,
            standby = standby.map(|id| id.to_string()),
            "admin action"
        );
        links.refresh();
        Ok(line)
    });
    let line = setting
        .await
        .map_err(|error| Failure::about(error, &Refusal::BridgeNotFound, "bridge_id"))?;
    Ok(envelope::one(StatusCode::OK, &line, &id))
}

/// Lets a line's standby carry it, and tells the bridges. Of two who say so at once, one is done. By one that could not
/// carry the line now it would only go down: that must be meant.
pub(crate) async fn take_over(
    State(lines): State<Arc<dyn Lines>>,
    State(links): State<Arc<Links>>,
    State(clock): State<Arc<dyn Clock>>,
    State(publisher): State<Arc<Publisher>>,
    operator: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let line = body.id::<Line>("id")?;
    let is_forced = body.optional_bool("force")?.unwrap_or(false);
    let found = find(&*lines, line, clock.steady()).await?;
    let (Some(from), Some(to)) = (found.bridge_id, found.standby_bridge_id) else {
        return Err(Problem::invalid_value("id", "must be that of a line with a standby").into());
    };
    if found.standby_ready != Some(true) && !is_forced {
        let must = format_args!(
            "must be true to hand the line over all the same: its standby {to} is not linked, or says that it can't carry \
             the line. Start it, or look at its 'bridge status' first"
        );
        return Err(Problem::invalid_value("force", must).into());
    }
    let taking_over = spawn_uncancelled(async move {
        let now = clock.both();
        let done = lines.take_over(TakeOver { line, from, to }, now.wall).await?;
        if let Some(committed) = done {
            tracing::info!(by = %operator, action = "lines.take_over", %line, %from, %to, "admin action");
            publisher.publish(committed);
            links.refresh();
        }
        shown(&*lines, line, now).await
    });
    Ok(envelope::one(StatusCode::OK, &taking_over.await?, &id))
}

async fn find(
    lines: &dyn Lines,
    id: Id<Line>,
    steady: Timestamp,
) -> Result<OperatorLine, StoreError> {
    let all = lines.operator_lines(steady).await?;
    all.into_iter().find(|one| one.line.id == id).ok_or_else(|| Refusal::LineNotFound.into())
}

/// A line as each answer shows it.
async fn shown(lines: &dyn Lines, id: Id<Line>, now: Now) -> Result<OperatorLine, StoreError> {
    let mut line = find(lines, id, now.steady).await?;
    line.line.health = lines.operator_line_health(now.wall).await?.remove(&id);
    Ok(line)
}

//! GET and POST /admin/v1/bridges, POST /admin/v1/bridges/revoke

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Serialize;
use switchboard_model::{
    Bridge, Problem,
    line::DriverKind,
    secret::{Secret, SecretKind},
    time::Clock,
};
use switchboard_store::Bridges;

use crate::{
    api::{
        admin,
        http::{
            body::{self, Body},
            caller::Operator,
            envelope,
            problem::Failure,
            request_id::RequestId,
        },
    },
    link::Links,
    uncancelled::spawn_uncancelled,
};

/// Every bridge, without its token.
pub(crate) async fn list(
    State(bridges): State<Arc<dyn Bridges>>,
    _: Operator,
    id: RequestId,
) -> Result<Response, Failure> {
    Ok(envelope::list(bridges.bridges().await?, None, &id))
}

/// Makes a bridge. The token is in this answer and never again.
pub(crate) async fn create(
    State(bridges): State<Arc<dyn Bridges>>,
    State(clock): State<Arc<dyn Clock>>,
    operator: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Created<'a> {
        #[serde(flatten)]
        row: &'a Bridge,
        token: &'a str,
    }
    let (_, driver) = (body.required("name")?, body.required("driver")?);
    let name = admin::name(&body)?;
    let driver = DriverKind::from_name(body::text(driver, "driver")?)
        .filter(|driver| *driver != DriverKind::Simulator)
        .ok_or_else(|| {
            let must = "must be 'imsg', 'bluebubbles' or 'android-sms'; the simulator has a bridge of its own";
            Problem::invalid_value("driver", must)
        })?;
    let token = Secret::from_random(SecretKind::Bridge, rand::random());
    let hash = token.hash();
    let making = spawn_uncancelled(async move {
        let row = bridges.create_bridge(name, driver, hash, clock.now()).await?;
        tracing::info!(by = %operator, action = "bridges.create", bridge = %row.id, "admin action");
        Ok(row)
    });
    let row = making.await?;
    Ok(envelope::one(StatusCode::CREATED, &Created { row: &row, token: token.reveal() }, &id))
}

/// Takes a bridge's token away and ends its link.
pub(crate) async fn revoke(
    State(bridges): State<Arc<dyn Bridges>>,
    State(clock): State<Arc<dyn Clock>>,
    State(links): State<Arc<Links>>,
    operator: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let bridge = body.id("id")?;
    let revoking = spawn_uncancelled(async move {
        let bridge = bridges.revoke_bridge(bridge, clock.now()).await?;
        tracing::info!(by = %operator, action = "bridges.revoke", bridge = %bridge.id, "admin action");
        links.refresh();
        Ok(bridge)
    });
    Ok(envelope::one(StatusCode::OK, &revoking.await?, &id))
}

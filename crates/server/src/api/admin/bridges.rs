//! GET and POST /admin/v1/bridges, POST /admin/v1/bridges/revoke

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Serialize;
use switchboard_model::{
    Bridge, Problem,
    line::DriverKind,
    secret::{Secret, SecretKind},
};

use crate::{
    api::{
        admin,
        http::{
            auth::Operator,
            body::{self, Body},
            envelope::{self, RequestId},
            problem::{Failure, id_of},
        },
    },
    app::App,
    uncancelled::spawn_uncancelled,
};

/// Every bridge, without its token.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    _: Operator,
    id: RequestId,
) -> Result<Response, Failure> {
    Ok(envelope::list(app.store.bridges().await?, None, &id))
}

/// Makes a bridge. The token is in this answer and never again.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
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
            let must = "must be 'imsg' or 'bluebubbles'; the simulator has a bridge of its own";
            Problem::invalid_value("driver", must)
        })?;
    let token = Secret::from_random(SecretKind::Bridge, rand::random());
    let hash = token.hash();
    let making = spawn_uncancelled(async move {
        let row = app.store.create_bridge(name, driver, hash, app.clock.now()).await?;
        tracing::info!(by = %operator, action = "bridges.create", bridge = %row.id, "admin action");
        Ok(row)
    });
    let row = making.await?;
    Ok(envelope::one(StatusCode::CREATED, &Created { row: &row, token: token.reveal() }, &id))
}

/// Takes a bridge's token away and ends its link.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    operator: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let bridge = id_of(body::text(body.required("id")?, "id")?, "id")?;
    let revoking = spawn_uncancelled(async move {
        let bridge = app.store.revoke_bridge(bridge, app.clock.now()).await?;
        tracing::info!(by = %operator, action = "bridges.revoke", bridge = %bridge.id, "admin action");
        app.links.refresh();
        Ok(bridge)
    });
    Ok(envelope::one(StatusCode::OK, &revoking.await?, &id))
}

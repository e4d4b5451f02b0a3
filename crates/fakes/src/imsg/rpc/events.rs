//! `bridge.events.subscribe`: typing, from now on and never again (rpc.md).

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    child::Child,
    dispatch::Call,
    failure::{Failure, Transport},
};
use crate::imsg::state::Disturbance;

pub(crate) fn subscribe(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&["buffer_limit|bufferLimit"])?;
    let limit = params.bounded("buffer_limit", 256, [1, 4096])?;
    call.helped(Transport::Helper, "")?;
    let child = Arc::clone(call.child);
    let (events, disturb) = (call.shared().events.subscribe(), call.shared().disturb.subscribe());
    let id = call.child.subscribe(|id| Box::pin(run(child, id, events, disturb)))?;
    Ok(json!({ "subscription": id, "buffer_limit": limit, "resumable": false }))
}

async fn run(
    child: Arc<Child>,
    id: u64,
    mut events: Receiver<Value>,
    mut disturb: Receiver<Disturbance>,
) {
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => {
                    child.notify("bridge.event", &json!({ "subscription": id, "event": event })).await;
                }
                Err(RecvError::Lagged(_)) => break overflow(&child, id).await,
                Err(RecvError::Closed) => break,
            },
            disturbance = disturb.recv() => match disturbance {
                Ok(Disturbance::Overflow) => break overflow(&child, id).await,
                Ok(Disturbance::EventsError(code, message)) => {
                    let error = json!({ "code": code, "message": message });
                    let params = json!({ "subscription": id, "error": error, "terminal": true });
                    break child.notify("bridge.events.error", &params).await;
                }
                _ => {}
            },
        }
    }
    child.ended(id);
}

async fn overflow(child: &Child, id: u64) {
    let params = json!({
        "subscription": id,
        "reason": "buffer_limit_exceeded",
        "resumable": false,
        "terminal": true,
    });
    child.notify("bridge.events.overflow", &params).await;
}

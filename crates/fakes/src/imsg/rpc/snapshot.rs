//! `initialize` and `status`: what works at this instant (rpc.md, "status").

use serde_json::{Map, Value, json};

use super::{
    dispatch::Call,
    failure::Failure,
    method::{METHODS, Method},
};
use crate::imsg::{
    gate::{Helper, Protection},
    settings::Settings,
    state::State,
};

pub(crate) fn initialize(call: &Call<'_>) -> Result<Value, Failure> {
    let version = call.params(&["protocol_version"])?.int("protocol_version")?;
    if version.is_some_and(|version| version != 1) {
        return Err(Failure::params("unsupported protocol_version"));
    }
    Ok(call.shared().look(|state| snapshot(call, state)))
}

pub(crate) fn status(call: &Call<'_>) -> Result<Value, Failure> {
    call.params(&[])?;
    Ok(call.shared().look(|state| snapshot(call, state)))
}

fn snapshot(call: &Call<'_>, state: &State) -> Value {
    let settings = &call.child.settings;
    let mut snapshot = json!({
        "version": call.child.version,
        "protocol_version": 1,
        "database": database(state, &call.child.database),
        "bridge": bridge(state),
        "contacts": { "available": false },
        "methods": names(settings, |method| method.usable(state)),
        "supported_methods": names(settings, |_| true),
    });
    if let Some(capabilities) = capabilities(state, settings) {
        snapshot["capabilities"] = capabilities;
    }
    snapshot
}

fn names(settings: &Settings, wanted: impl Fn(&Method) -> bool) -> Vec<&'static str> {
    let here = METHODS.iter().filter(|method| settings.at_least(method.since) && wanted(method));
    here.flat_map(|method| method.names).copied().collect()
}

fn database(state: &State, path: &str) -> Value {
    match &state.db_error {
        Some(error) => json!({ "path": path, "ready": false, "error": error }),
        None => json!({ "path": path, "ready": true, "features": {
            "unread_state": true,
            "scheduled_messages": true,
            "reactions": true,
            "reply_context": true,
            "routing_metadata": true,
            "balloon_payloads": true,
        }}),
    }
}

fn bridge(state: &State) -> Value {
    let error = match state.helper {
        Helper::Present | Helper::Old => {
            return json!({
                "ready": true,
                "bridge_version": 2,
                "v2_ready": true,
                "registry_available": true,
                "selectors": selectors(state),
            });
        }
        Helper::Absent => {
            "The bridge is not started. Run imsg launch explicitly before using bridge methods."
        }
        Helper::Mute => "The bridge status probe failed: no response.",
    };
    json!({ "ready": false, "error": error })
}

fn selectors(state: &State) -> Value {
    let selectors = state.helper.selectors();
    selectors
        .into_iter()
        .map(|name| (name.to_owned(), Value::Bool(true)))
        .collect::<Map<_, _>>()
        .into()
}

/// Newer than 0.15.0.
fn capabilities(state: &State, settings: &Settings) -> Option<Value> {
    settings.at_least([0, 15, 1]).then(|| {
        let emoji = if state.helper == Helper::Present { 2 } else { 1 };
        json!({
            "engine": { "version": settings.version, "commit": "0a1b2c3", "built_at": "2026-10-02T10:00:00Z" },
            "features": { "tapback.emoji": emoji },
        })
    })
}

/// The line of `imsg status --json`.
pub(crate) fn cli_status(state: &State, settings: &Settings, version: &str) -> Value {
    let ready = state.helper.ready();
    let mut status = json!({
        "version": version,
        "basic_features": true,
        "advanced_features": ready,
        "typing_indicators": ready,
        "read_receipts": ready,
        "sip": match state.protection {
            Protection::Enabled => "enabled",
            Protection::Disabled => "disabled",
            Protection::Unknown => "unknown",
        },
        "message": if ready { "Connected to Messages." } else { "The bridge is not started. Run imsg launch." },
        "bridge_version": if ready { 2 } else { 0 },
        "v2_ready": ready,
        "helper_version_mismatch": state.helper == Helper::Old,
        "selectors": selectors(state),
        "rpc_methods": names(settings, |method| method.usable(state)),
    });
    if ready {
        let version = if state.helper == Helper::Old { "0.13.4" } else { &settings.version };
        status["helper_version"] = version.into();
    }
    if let Some(capabilities) = capabilities(state, settings) {
        status["capabilities"] = capabilities;
    }
    status
}

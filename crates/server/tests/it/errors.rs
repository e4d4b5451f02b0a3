//! Every error code that the endpoints can give, through HTTP, each as the catalogue has it (§3).

use std::{collections::HashSet, io, sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use switchboard_bridge::SimulatorOptions;
use switchboard_client::RawAnswer;
use switchboard_model::{
    Chat, Code, Handle, Message,
    id::Id,
    simulator::{
        ContactInChat, ContactReaction, ContactText, Fault, Phone, SimulatedPhones, SimulatedText,
        SimulatorError,
    },
};
use switchboard_testkit::{LINE, Setup};

use crate::{
    call::{Call, assert_refused},
    refusals::{
        advanced, authentication, authorization, not_found, obx, operators, sandbox, unreadable,
    },
    values::{missing, unacceptable},
    world::{CONTACT, World, send_with},
};

#[tokio::test]
async fn every_code_is_given_as_the_catalogue_has_it() {
    let mut given = HashSet::new();
    let mut check = |answer: &RawAnswer, call: &Call, code: Code, param| {
        assert_refused(&format!("{call:?}"), answer, code, param);
        given.insert(code);
    };
    let world = World::make().await;
    let cases = [
        authentication(&world).await,
        authorization(&world).await,
        unreadable(&world),
        not_found(&world),
        operators(&world),
        advanced(&world).await,
        sandbox(&world).await,
    ];
    for (call, code, param) in cases.into_iter().flatten() {
        check(&call.send(&world.server.url).await, &call, code, param);
    }
    for (call, message, param) in missing(&world) {
        let answer = call.send(&world.server.url).await;
        check(&answer, &call, Code::MissingRequiredParameter, Some(param));
        assert_eq!(answer.body["error"]["message"], message, "{call:?}");
    }
    for (call, param) in unacceptable(&world) {
        let answer = call.send(&world.server.url).await;
        check(&answer, &call, Code::InvalidParameterValue, param);
    }
    let (call, answer) = in_flight(&world).await;
    check(&answer, &call, Code::IdempotencyInProgress, None);
    let body = send_with(&json!({ "text": "another" }));
    let call = Call::post("/v1/messages", &body).header("idempotency-key", "k");
    let call = call.key(&world.owner.key);
    check(&call.send(&world.server.url).await, &call, Code::IdempotencyMismatch, None);
    let limited = world.limited_key(1).await;
    let call = Call::get("/v1/lines").key(&limited);
    assert_eq!(call.send(&world.server.url).await.status, 200);
    check(&call.send(&world.server.url).await, &call, Code::RateLimitExceeded, None);
    world.server.stop().await;

    for phones in [Broken::Error, Broken::Panic] {
        let server = Setup::new().phones(Arc::new(phones)).start().await;
        let call = Call::get("/simulator/v1/phones?handle=%2B15550100002");
        let call = match phones {
            Broken::Panic => call,
            Broken::Error => Call::post(
                "/simulator/v1/messages",
                &json!({ "line": LINE, "from": CONTACT, "text": "x" }),
            ),
        }
        .key(server.operator_token());
        let answer = call.send(&server.url).await;
        check(&answer, &call, Code::InternalError, None);
        let told = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(!told.contains("hush"), "the cause is not the client's to know: {told}");
        let errors = server.stop_with_errors().await;
        let request = answer.body["request_id"].as_str().unwrap();
        let logged = errors.iter().any(|line| line.contains(request) && line.contains("hush"));
        assert!(logged, "the request's id finds the cause in the log: {errors:?}");
    }

    // A store that is closed, as when the server is stopping.
    let server = Setup::new().unlinked().start().await;
    let tenant = server.tenant(LINE).await;
    server.store.close().await;
    for path in ["/v1/chats?from=+15550100001".to_owned(), format!("/v1/outbox?id={}", obx())] {
        let call = Call::get(path).key(&tenant.key);
        check(&call.send(&server.url).await, &call, Code::ServiceUnavailable, None);
    }
    let call = Call::post("/v1/messages", &send_with(&json!({}))).key(&tenant.key);
    check(&call.send(&server.url).await, &call, Code::ServiceUnavailable, None);
    server.stop_with_errors().await;

    // A simulator that is not linked.
    let options = SimulatorOptions {
        confirm_timeout: Duration::from_millis(20),
        ..SimulatorOptions::default()
    };
    let server = Setup::new().unlinked().simulator(options).start().await;
    let body = json!({ "line": LINE, "from": CONTACT, "text": "x" });
    let call = Call::post("/simulator/v1/messages", &body).key(server.operator_token());
    check(&call.send(&server.url).await, &call, Code::ServiceUnavailable, None);
    server.stop().await;

    for (code, ..) in CATALOGUE {
        assert!(given.iter().any(|one: &Code| one.as_str() == code), "{code} has no case here");
    }
}

/// Contract §3, row by row: code, type, status. The last two only /admin gives.
const CATALOGUE: [(&str, &str, u16); 34] = [
    ("missing_api_key", "authentication_error", 401),
    ("invalid_api_key", "authentication_error", 401),
    ("insufficient_scope", "authorization_error", 403),
    ("line_not_accessible", "authorization_error", 403),
    ("sandbox_not_activated", "authorization_error", 403),
    ("sandbox_requires_owner", "authorization_error", 403),
    ("missing_required_parameter", "invalid_request_error", 400),
    ("invalid_parameter_value", "invalid_request_error", 400),
    ("invalid_json", "invalid_request_error", 400),
    ("empty_file", "invalid_request_error", 400),
    ("advanced_features_required", "invalid_request_error", 400),
    ("sandbox_contact_mismatch", "invalid_request_error", 400),
    ("contact_has_not_messaged", "invalid_request_error", 403),
    ("line_not_found", "not_found_error", 404),
    ("chat_not_found", "not_found_error", 404),
    ("message_not_found", "not_found_error", 404),
    ("outbox_item_not_found", "not_found_error", 404),
    ("webhook_not_found", "not_found_error", 404),
    ("file_not_found", "not_found_error", 404),
    ("delivery_not_found", "not_found_error", 404),
    ("replay_not_found", "not_found_error", 404),
    ("rate_limit_exceeded", "rate_limit_error", 429),
    ("sandbox_quota_exceeded", "rate_limit_error", 429),
    ("endpoint_not_found", "not_found_error", 404),
    ("method_not_allowed", "invalid_request_error", 405),
    ("file_too_large", "invalid_request_error", 413),
    ("request_too_large", "invalid_request_error", 413),
    ("unsupported_media_type", "invalid_request_error", 415),
    ("idempotency_in_progress", "invalid_request_error", 409),
    ("idempotency_mismatch", "invalid_request_error", 422),
    ("internal_error", "api_error", 500),
    ("service_unavailable", "api_error", 503),
    ("resource_not_found", "not_found_error", 404),
    ("resource_exists", "invalid_request_error", 409),
];

#[test]
fn the_catalogue_is_the_contracts() {
    let ours: Vec<_> = Code::ALL
        .iter()
        .map(|code| (code.as_str(), json!(code.error_type()), code.status()))
        .collect();
    assert_eq!(ours.len(), CATALOGUE.len());
    for (code, error_type, status) in CATALOGUE {
        assert!(ours.contains(&(code, json!(error_type), status)), "{code}");
    }
}

/// Of many equal requests at once, one that came while the first was in flight.
async fn in_flight(world: &World) -> (Call, RawAnswer) {
    let body = send_with(&json!({ "text": "once" }));
    let call = Call::post("/v1/messages", &body).key(&world.owner.key);
    for round in 0..50 {
        let key = if round == 0 { "k".to_owned() } else { format!("k{round}") };
        let call = call.clone().header("idempotency-key", &key);
        let answers = join_all((0..20).map(|_| call.send(&world.server.url))).await;
        if let Some(answer) = answers.into_iter().find(|answer| answer.status == 409) {
            return (call, answer);
        }
    }
    panic!("no request came while the first was in flight");
}

/// Phones whose journal can't be written, or that panic: the server's own fault.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Error,
    Panic,
}

#[async_trait::async_trait]
impl SimulatedPhones for Broken {
    async fn text(&self, _: ContactText) -> Result<SimulatedText, SimulatorError> {
        Err(SimulatorError::Journal(io::Error::other("hush: the disk is full")))
    }

    async fn react(&self, _: ContactReaction) -> Result<Option<Id<Message>>, SimulatorError> {
        Err(SimulatorError::NotLinked)
    }

    async fn edit(&self, _: &str, _: String) -> Result<SimulatedText, SimulatorError> {
        Err(SimulatorError::NotLinked)
    }

    async fn unsend(&self, _: &str) -> Result<SimulatedText, SimulatorError> {
        Err(SimulatorError::NotLinked)
    }

    async fn typing(&self, _: ContactInChat, _: bool) -> Result<(), SimulatorError> {
        Err(SimulatorError::NotLinked)
    }

    async fn read(&self, _: ContactInChat) -> Result<(), SimulatorError> {
        Err(SimulatorError::NotLinked)
    }

    async fn capabilities(&self, _: &Handle, _: bool) -> Result<(), SimulatorError> {
        Err(SimulatorError::NotLinked)
    }

    async fn phone(&self, _: &Handle) -> Phone {
        panic!("hush: a phone fell down")
    }

    async fn group(
        &self,
        _: &Handle,
        _: Option<String>,
        _: Vec<Handle>,
    ) -> Result<Id<Chat>, SimulatorError> {
        Err(SimulatorError::NotLinked)
    }

    async fn fault(&self, _: &Handle, _: Fault) -> Result<(), SimulatorError> {
        Err(SimulatorError::NotLinked)
    }
}

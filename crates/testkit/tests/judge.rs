//! The judge can tell: every answer of the documents' own examples passes, and none that was broken.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use switchboard_client::RawAnswer;
use switchboard_server::{openapi::Audience, routes::document_for};
use switchboard_testkit::judge::{check, check_answer, judge_event, resolved};

fn answer(status: u16, body: Value) -> RawAnswer {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let id = body["request_id"].as_str().unwrap_or("none").to_owned();
    headers.insert("x-request-id", HeaderValue::try_from(id).unwrap());
    RawAnswer { status, headers, body, bytes: Bytes::new() }
}

/// The schema and the example of every JSON answer that is documented.
fn answers(audience: Audience) -> Vec<(String, &'static Value, &'static Value)> {
    let paths = document_for(audience)["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|path| path.as_object().unwrap().values());
    let answers = operations.flat_map(|operation| {
        let id = operation["operationId"].as_str().unwrap();
        let all = operation["responses"].as_object().unwrap().iter();
        all.map(move |(status, one)| (format!("{id} {status}"), resolved(audience, one)))
    });
    let answers = answers.filter_map(|(what, one)| {
        let content = &one["content"]["application/json"];
        Some((what, &content["schema"], content.get("example")?))
    });
    answers.collect()
}

/// Every place of a value that an object is at.
fn objects(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            out.push(at.to_owned());
            fields.iter().for_each(|(name, one)| objects(one, &format!("{at}/{name}"), out));
        }
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(n, one)| objects(one, &format!("{at}/{n}"), out));
        }
        _ => {}
    }
}

#[test]
fn nothing_that_was_broken_passes() {
    let mut broken = 0;
    for audience in Audience::ALL {
        for (what, schema, example) in answers(audience) {
            assert_eq!(check(audience, schema, example), Ok(()), "{what}");
            let mut places = Vec::new();
            objects(example, "", &mut places);
            // What a program has asked for is repeated to it as it is.
            for place in places.iter().filter(|place| !place.contains("/payload")) {
                let fields = example.pointer(place).unwrap().as_object().unwrap();
                let refused = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
                    let mut wrong = example.clone();
                    change(wrong.pointer_mut(place).unwrap().as_object_mut().unwrap());
                    check(audience, schema, &wrong).is_err()
                };
                let unknown =
                    |of: &mut serde_json::Map<_, _>| drop(of.insert("new".into(), 1.into()));
                assert!(refused(&unknown), "{what}{place} with an unknown field");
                for name in fields.keys() {
                    // No kind of a field is a list that holds a list.
                    let other = |of: &mut serde_json::Map<_, _>| of[name] = json!([[]]);
                    let is_any_object = name == "payload";
                    assert!(
                        is_any_object || refused(&other),
                        "{what}{place}/{name} of another kind"
                    );
                    let null = refused(&|of| of[name] = Value::Null);
                    let absent = refused(&|of| drop(of.remove(name)));
                    // Only what the contract calls "null" may be both; every id must be there.
                    let is_own_id = name == "id" || name == "request_id";
                    assert!(!is_own_id || null && absent, "{what}{place}/{name}");
                    broken += usize::from(null) + usize::from(absent);
                }
            }
        }
    }
    assert!(broken > 300, "only {broken} broken answers were found out");
}

/// Contract §6: what must be there, and what may not be null.
#[test]
fn fields_are_held_to_their_presence() {
    let audience = Audience::Programs;
    let schemas = &document_for(audience)["components"]["schemas"];
    for (name, example, field, may_be_null, may_be_absent) in [
        ("LineList", "listLines", "handle", false, false),
        ("LineList", "listLines", "label", true, true),
        ("LineList", "listLines", "capabilities", false, false),
        ("WebhookList", "listWebhooks", "failing_since", false, true),
        ("DeliveryList", "listDeliveries", "finished_at", true, false),
        ("MessageList", "listMessages", "text", true, true),
    ] {
        let all = answers(audience);
        let (_, schema, example) =
            all.iter().find(|(what, ..)| *what == format!("{example} 200")).unwrap();
        assert_eq!(schema["$ref"], format!("#/components/schemas/{name}"));
        assert!(schemas[name].is_object());
        let mut null = (*example).clone();
        null["data"][0][field] = Value::Null;
        let mut absent = (*example).clone();
        absent["data"][0].as_object_mut().unwrap().remove(field);
        assert_eq!(check(audience, schema, &null).is_ok(), may_be_null, "{name}.{field} null");
        assert_eq!(
            check(audience, schema, &absent).is_ok(),
            may_be_absent,
            "{name}.{field} absent"
        );
    }
}

#[test]
fn a_secret_never_stands_in_a_list() {
    for (audience, list, secret) in [
        (Audience::Programs, "listWebhooks 200", "secret"),
        (Audience::Operator, "listKeys 200", "key"),
        (Audience::Operator, "listBridges 200", "token"),
    ] {
        let all = answers(audience);
        let (_, schema, example) = all.iter().find(|(what, ..)| what == list).unwrap();
        let mut leak = (*example).clone();
        leak["data"][0][secret] = "x".into();
        let judged = check(audience, schema, &leak);
        assert!(judged.as_ref().is_err_and(|wrong| wrong.contains(secret)), "{list}: {judged:?}");
    }
}

#[test]
fn answers_are_held_to_their_envelopes() {
    let judged = |answer: &RawAnswer| check_answer(&Method::GET, "/v1/chats?from=x", answer);
    let list = json!({
        "data": [], "has_more": false, "next_cursor": null, "request_id": "req_0123456789ab",
    });
    let with = |field: &str, value: Value| {
        let mut other = list.clone();
        other[field] = value;
        answer(200, other)
    };
    assert_eq!(judged(&answer(200, list.clone())), Ok(()));
    for (field, value) in [
        ("has_more", json!(true)),
        ("next_cursor", json!("abc")),
        ("request_id", json!("req_0123")),
        ("request_id", json!("req_not-hex-at-all")),
        ("data", json!({})),
        ("total", json!(1)),
    ] {
        assert!(judged(&with(field, value)).is_err(), "{field}");
    }
    let mut other = answer(200, list.clone());
    other.headers.insert("x-request-id", HeaderValue::from_static("req_ffffffffffff"));
    assert!(judged(&other).is_err(), "X-Request-Id of another request");
    // The header names this request, the body the first one.
    other.headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    assert_eq!(judged(&other), Ok(()));
    other.headers.insert("content-type", HeaderValue::from_static("text/plain"));
    assert!(judged(&other).is_err(), "no JSON");
    assert!(judged(&answer(201, list)).is_err(), "an undocumented status");
}

#[test]
fn refusals_are_held_to_the_catalogue() {
    let judged = |status, kind: &str, code: &str, wait: Option<&'static str>| {
        let error = json!({ "type": kind, "code": code, "message": "No." });
        let mut answer =
            answer(status, json!({ "error": error, "request_id": "req_0123456789ab" }));
        if let Some(wait) = wait {
            answer.headers.insert("retry-after", HeaderValue::from_static(wait));
        }
        check_answer(&Method::GET, "/v1/chats", &answer)
    };
    assert_eq!(judged(404, "not_found_error", "line_not_found", None), Ok(()));
    assert_eq!(judged(429, "rate_limit_error", "rate_limit_exceeded", Some("7")), Ok(()));
    assert_eq!(judged(404, "not_found_error", "endpoint_not_found", None), Ok(()));
    for (status, kind, code, wait) in [
        (400, "not_found_error", "line_not_found", None),
        (404, "api_error", "line_not_found", None),
        (404, "not_found_error", "webhook_not_found", None),
        (402, "billing_error", "card_declined", None),
        (429, "rate_limit_error", "rate_limit_exceeded", None),
        (429, "rate_limit_error", "rate_limit_exceeded", Some("0")),
    ] {
        assert!(judged(status, kind, code, wait).is_err(), "{status} {kind} {code} {wait:?}");
    }
    let null = json!({
        "error": {
            "type": "not_found_error", "code": "line_not_found", "message": "No.", "param": null,
        },
        "request_id": "req_0123456789ab",
    });
    let judged = check_answer(&Method::GET, "/v1/chats", &answer(404, null));
    assert!(judged.is_err_and(|wrong| wrong.starts_with("/error/param")));
}

#[test]
#[should_panic(expected = "poll.closed is no event")]
fn an_unknown_event_is_refused() {
    judge_event("poll.closed", &json!({}));
}

#[test]
#[should_panic(expected = "surprise")]
fn an_event_with_an_unknown_field_is_refused() {
    let document = document_for(Audience::Programs);
    let delivery = &document["webhooks"]["typing.started"]["post"]["requestBody"]["content"];
    let mut data = delivery["application/json"]["example"]["data"].clone();
    judge_event("typing.started", &data);
    data["surprise"] = 1.into();
    judge_event("typing.started", &data);
}

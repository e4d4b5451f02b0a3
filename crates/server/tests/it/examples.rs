//! The examples of the OpenAPI document: there is one for each body, and each is what its schema says.

use serde_json::Value;
use switchboard_server::{openapi::Audience, routes::document_for};
use switchboard_testkit::judge::{check, resolved};

use crate::openapi::{fields, operations, operations_for};

#[track_caller]
fn assert_valid(audience: Audience, what: &str, schema: &Value, value: &Value) {
    let judged = check(audience, schema, value);
    assert!(judged.is_ok(), "{what}: {judged:?}: {value}");
}

#[test]
fn every_example_is_valid_and_every_body_has_one() {
    for (audience, least) in
        [(Audience::Programs, 200), (Audience::Operator, 50), (Audience::Simulator, 80)]
    {
        let checked = check_examples(audience);
        assert!(checked > least, "{audience:?} has only {checked} examples");
    }
    // It can tell: a message whose text is a number, and one whose id is missing.
    let list = operations().find(|one| one["operationId"] == "listMessages").unwrap();
    let message = &list["responses"]["200"]["content"]["application/json"];
    let mut wrong = message["example"].clone();
    wrong["data"][0]["text"] = 1.into();
    assert!(check(Audience::Programs, &message["schema"], &wrong).is_err());
    let mut wrong = message["example"].clone();
    wrong["data"][0].as_object_mut().unwrap().remove("id");
    assert!(check(Audience::Programs, &message["schema"], &wrong).is_err());
}

fn check_examples(audience: Audience) -> usize {
    let mut checked = 0;
    let mut check = |what: &str, schema: &Value, example: &Value| {
        assert_valid(audience, what, schema, example);
        checked += 1;
    };
    let body = |content: &'static Value| &content["content"]["application/json"];
    let document = document_for(audience);
    let events = document["webhooks"].as_object().into_iter().flat_map(|all| all.values());
    let events = events.map(|event| &event["post"]);
    for operation in operations_for(audience).chain(events) {
        let id = operation["operationId"].as_str().unwrap();
        let request = body(&operation["requestBody"]);
        if request.is_object() {
            check(id, &request["schema"], request.get("example").expect(id));
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let what = format!("{id} {status}");
            let response = body(resolved(audience, response));
            if response.is_null() || id == "getOpenApi" && status == "200" {
                continue;
            }
            if let Some(example) = response.get("example") {
                check(&what, &response["schema"], example);
                continue;
            }
            let examples = response["examples"].as_object().expect(&what);
            assert!(!examples.is_empty(), "{what}");
            for example in examples.values() {
                check(&what, &response["schema"], &resolved(audience, example)["value"]);
            }
        }
    }
    for (name, parameter) in document["components"]["parameters"].as_object().unwrap() {
        for example in parameter["schema"]["examples"].as_array().into_iter().flatten() {
            check(name, &parameter["schema"], example);
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for example in schema["examples"].as_array().into_iter().flatten() {
            check(name, schema, example);
        }
        for (field, (schema, _)) in fields(audience, schema) {
            for example in schema["examples"].as_array().into_iter().flatten() {
                check(&format!("{name}.{field}"), &schema, example);
            }
        }
    }
    checked
}

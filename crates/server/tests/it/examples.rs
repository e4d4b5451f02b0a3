//! The examples of the OpenAPI document: there is one for each body, and each is what its schema says.

use serde_json::Value;
use switchboard_server::openapi::document;

use crate::{
    document::resolved,
    openapi::{fields, operations, values},
};

/// What a value of this schema must be, with all that it refers to.
fn validator(schema: &Value) -> jsonschema::Validator {
    let mut schema = schema.clone();
    schema["components"] = document()["components"].clone();
    let options = jsonschema::draft202012::options().should_validate_formats(false);
    options.build(&schema).unwrap()
}

#[track_caller]
fn assert_valid(what: &str, schema: &Value, value: &Value) {
    let wrong: Vec<_> =
        validator(schema).iter_errors(value).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:?}: {value}");
}

#[test]
fn every_example_is_valid_and_every_body_has_one() {
    let mut checked = 0;
    let mut check = |what: &str, schema: &Value, example: &Value| {
        assert_valid(what, schema, example);
        checked += 1;
    };
    let json = |content: &'static Value| &content["content"]["application/json"];
    let events = values(&document()["webhooks"]).map(|event| &event["post"]);
    for operation in operations().chain(events) {
        let id = operation["operationId"].as_str().unwrap();
        let request = json(&operation["requestBody"]);
        if request.is_object() {
            check(id, &request["schema"], request.get("example").expect(id));
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let what = format!("{id} {status}");
            let response = json(resolved(response));
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
                check(&what, &response["schema"], &resolved(example)["value"]);
            }
        }
    }
    for (name, parameter) in document()["components"]["parameters"].as_object().unwrap() {
        for example in parameter["schema"]["examples"].as_array().into_iter().flatten() {
            check(name, &parameter["schema"], example);
        }
    }
    for (name, schema) in document()["components"]["schemas"].as_object().unwrap() {
        for (field, (schema, _)) in fields(schema) {
            for example in schema["examples"].as_array().into_iter().flatten() {
                check(&format!("{name}.{field}"), &schema, example);
            }
        }
    }
    assert!(checked > 200, "only {checked} examples");
    // It can tell: a message whose text is a number, and one whose id is missing.
    let message = json(
        &operations().find(|one| one["operationId"] == "listMessages").unwrap()["responses"]["200"],
    );
    let mut wrong = message["example"].clone();
    wrong["data"][0]["text"] = 1.into();
    assert!(!validator(&message["schema"]).is_valid(&wrong));
    let mut wrong = message["example"].clone();
    wrong["data"][0].as_object_mut().unwrap().remove("id");
    assert!(!validator(&message["schema"]).is_valid(&wrong));
}

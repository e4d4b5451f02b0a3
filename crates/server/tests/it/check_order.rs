//! The order of checks (§3): of two mistakes in one request, the first of the contract is told.
//!
//! Each endpoint has the list of its mistakes in the order of the contract; every two of
//! them that can stand in one request are made in one.

use http::Method;
use serde_json::{Map, Value, json};
use switchboard_model::{Code, Scope};
use switchboard_testkit::LINE;

use crate::{
    call::{Call, assert_refused, query},
    world::{CONTACT, NO_LINE, STRANGER, World, key},
};

/// A request to be, with nothing wrong.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) key: Option<String>,
    pub(crate) fields: Map<String, Value>,
    pub(crate) cut: bool,
}

/// What can be wrong.
#[derive(Debug, Clone)]
pub(crate) enum Wrong {
    Method(Method),
    Key(Option<String>),
    /// The body ends too early.
    Cut,
    /// A field or query parameter has this value; null means that it is missing.
    Field(&'static str, Value),
}

pub(crate) struct Mistake {
    pub(crate) wrong: Wrong,
    pub(crate) code: Code,
    pub(crate) param: Option<&'static str>,
}

pub(crate) fn mistake(wrong: Wrong, code: Code, param: Option<&'static str>) -> Mistake {
    Mistake { wrong, code, param }
}

pub(crate) fn field(name: &'static str, value: impl Into<Value>, code: Code) -> Mistake {
    mistake(Wrong::Field(name, value.into()), code, Some(name))
}

impl Draft {
    fn make(&mut self, wrong: &Wrong) {
        match wrong {
            Wrong::Method(method) => self.method = method.clone(),
            Wrong::Key(key) => self.key.clone_from(key),
            Wrong::Cut => self.cut = true,
            Wrong::Field(name, Value::Null) => {
                self.fields.remove(*name);
            }
            Wrong::Field(name, value) => {
                self.fields.insert((*name).to_owned(), value.clone());
            }
        }
    }

    fn call(&self) -> Call {
        let call = if self.method == Method::GET {
            let values: Vec<_> = self
                .fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
                .collect();
            Call::get(query(self.path, &values))
        } else {
            let body = Value::from(self.fields.clone()).to_string();
            let end = if self.cut { body.len() - 1 } else { body.len() };
            Call::new(self.method.clone(), self.path).raw(body[..end].to_owned())
        };
        match &self.key {
            Some(key) => call.key(key),
            None => call,
        }
    }
}

/// Whether two mistakes can't stand in one request.
fn exclude_each_other(one: &Wrong, other: &Wrong) -> bool {
    match (one, other) {
        (Wrong::Field(one, value), Wrong::Field(other, _)) => {
            // A text may be missing beside an attachment: that is no mistake.
            one == other || (*one == "text" && value.is_null() && *other == "attachments")
        }
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

pub(crate) async fn check_pairs(world: &World, draft: Draft, mistakes: &[Mistake]) {
    let url = &world.server.url;
    let mut pairs = 0;
    for (at, first) in mistakes.iter().enumerate() {
        let mut alone = draft.clone();
        alone.make(&first.wrong);
        let answer = alone.call().send(url).await;
        assert_refused(&format!("{:?} alone", first.wrong), &answer, first.code, first.param);
        for second in &mistakes[at + 1..] {
            if exclude_each_other(&first.wrong, &second.wrong) {
                continue;
            }
            let mut both = alone.clone();
            both.make(&second.wrong);
            let answer = both.call().send(url).await;
            let what = format!("{:?} before {:?}", first.wrong, second.wrong);
            assert_refused(&what, &answer, first.code, first.param);
            pairs += 1;
        }
    }
    assert!(pairs >= mistakes.len(), "{pairs} pairs of {} mistakes", mistakes.len());
    // The draft itself is right, or all of this proves nothing.
    let answer = draft.call().send(url).await;
    assert!(answer.status < 400, "{answer:?}");
}

/// The mistakes before the body, the same for each endpoint.
pub(crate) async fn at_the_gate(world: &World, scope: Scope, other_method: Method) -> Vec<Mistake> {
    let spent = world.limited_key(1).await;
    Call::get("/v1/lines").key(&spent).send(&world.server.url).await;
    let unscoped = world.key_without(scope).await;
    vec![
        mistake(Wrong::Method(other_method), Code::MethodNotAllowed, None),
        mistake(Wrong::Key(None), Code::MissingApiKey, None),
        mistake(Wrong::Key(Some("sk_live_x".into())), Code::InvalidApiKey, None),
        mistake(Wrong::Key(Some(spent)), Code::RateLimitExceeded, None),
        mistake(Wrong::Key(Some(unscoped)), Code::InsufficientScope, None),
    ]
}

pub(crate) fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn of_two_mistakes_in_a_send_the_first_is_told() {
    use Code::{InvalidParameterValue, MissingRequiredParameter};
    let world = World::make().await;
    let mut mistakes = at_the_gate(&world, Scope::MessagesWrite, Method::PUT).await;
    mistakes.extend([
        mistake(Wrong::Cut, Code::InvalidJson, None),
        field("from", Value::Null, MissingRequiredParameter),
        field("to", Value::Null, MissingRequiredParameter),
        field("text", Value::Null, MissingRequiredParameter),
        field("from", 1, InvalidParameterValue),
        field("from", "bob", InvalidParameterValue),
        field("to", 1, InvalidParameterValue),
        field("to", "bob", InvalidParameterValue),
        field("text", "x\0", InvalidParameterValue),
        field("attachments", json!(["file_x", "file_y"]), InvalidParameterValue),
        field("reply_to", "cht_x", InvalidParameterValue),
        field("from", NO_LINE, Code::LineNotFound),
        field("from", "ln_x", Code::LineNotFound),
        field("from", world.theirs.line_id.as_str(), Code::LineNotFound),
        mistake(Wrong::Key(Some(world.restricted.clone())), Code::LineNotAccessible, None),
        field("to", "cht_x", Code::ChatNotFound),
        field("to", world.theirs.chat.as_str(), Code::ChatNotFound),
        field("to", STRANGER, Code::ContactHasNotMessaged),
        field("reply_to", "msg_x", Code::MessageNotFound),
        field("reply_to", "no such guid", Code::MessageNotFound),
        field("attachments", json!(["file_x"]), Code::FileNotFound),
    ]);
    let draft = Draft {
        method: Method::POST,
        path: "/v1/messages",
        key: Some(world.owner.key.clone()),
        fields: fields(&json!({ "from": LINE, "to": CONTACT, "text": "x" })),
        cut: false,
    };
    check_pairs(&world, draft, &mistakes).await;
    world.server.stop().await;
}

#[tokio::test]
async fn of_two_mistakes_in_a_look_up_the_first_is_told() {
    use Code::{InvalidParameterValue, MissingRequiredParameter};
    let world = World::make().await;
    let url = &world.server.url;
    let key = &world.owner.key;

    let mut chats = at_the_gate(&world, Scope::ChatsRead, Method::DELETE).await;
    chats.extend([
        field("from", Value::Null, MissingRequiredParameter),
        field("from", "bob", InvalidParameterValue),
        field("limit", "0", InvalidParameterValue),
        field("cursor", "x", InvalidParameterValue),
        field("from", "ln_x", Code::LineNotFound),
        mistake(Wrong::Key(Some(world.restricted.clone())), Code::LineNotAccessible, None),
    ]);
    let draft = Draft {
        method: Method::GET,
        path: "/v1/chats",
        key: Some(key.clone()),
        fields: fields(&json!({ "from": LINE })),
        cut: false,
    };
    check_pairs(&world, draft, &chats).await;

    let mut messages = at_the_gate(&world, Scope::MessagesRead, Method::DELETE).await;
    messages.extend([
        field("from", Value::Null, MissingRequiredParameter),
        field("to", Value::Null, MissingRequiredParameter),
        field("from", "bob", InvalidParameterValue),
        field("to", "bob", InvalidParameterValue),
        field("limit", "ten", InvalidParameterValue),
        field("cursor", "x", InvalidParameterValue),
        field("from", NO_LINE, Code::LineNotFound),
        field("from", "ln_x", Code::LineNotFound),
        mistake(Wrong::Key(Some(world.restricted.clone())), Code::LineNotAccessible, None),
        field("to", "cht_x", Code::ChatNotFound),
        field("to", STRANGER, Code::ChatNotFound),
    ]);
    let draft = Draft {
        method: Method::GET,
        path: "/v1/messages",
        key: Some(key.clone()),
        fields: fields(&json!({ "from": LINE, "to": CONTACT })),
        cut: false,
    };
    check_pairs(&world, draft, &messages).await;

    // What no path has is told before anything else.
    let answer = Call::post("/v1/nothing", &json!([])).send(url).await;
    assert_refused("no path, no key", &answer, Code::EndpointNotFound, None);
    world.server.stop().await;
}

#[tokio::test]
async fn of_two_mistakes_in_a_new_webhook_the_first_is_told() {
    use Code::{InvalidParameterValue, MissingRequiredParameter};
    let world = World::make().await;
    let mut mistakes = at_the_gate(&world, Scope::WebhooksWrite, Method::PUT).await;
    mistakes.extend([
        mistake(Wrong::Cut, Code::InvalidJson, None),
        field("from", Value::Null, MissingRequiredParameter),
        field("url", Value::Null, MissingRequiredParameter),
        field("events", Value::Null, MissingRequiredParameter),
        field("from", "bob", InvalidParameterValue),
        field("url", "nowhere", InvalidParameterValue),
        field("events", json!(["lost"]), InvalidParameterValue),
        field("from", "ln_x", Code::LineNotFound),
        field("from", world.theirs.line.as_str(), Code::LineNotFound),
        mistake(Wrong::Key(Some(world.restricted.clone())), Code::LineNotAccessible, None),
    ]);
    let draft = Draft {
        method: Method::POST,
        path: "/v1/webhooks",
        key: Some(world.owner.key.clone()),
        fields: fields(
            &json!({ "from": LINE, "url": "http://127.0.0.1:1999", "events": ["message.sent"] }),
        ),
        cut: false,
    };
    check_pairs(&world, draft, &mistakes).await;

    // A key of no account: values first, then the sandbox's rule.
    let homeless = |url| {
        let body = json!({ "from": "", "url": url, "events": ["message.sent"] });
        Call::post("/v1/webhooks", &body).key(&world.homeless)
    };
    let answer = homeless("nowhere").send(&world.server.url).await;
    assert_refused("homeless and wrong", &answer, InvalidParameterValue, Some("url"));
    let answer = homeless("http://127.0.0.1:1999").send(&world.server.url).await;
    assert_refused("homeless", &answer, Code::SandboxRequiresOwner, None);
    world.server.stop().await;
}

/// What one key can have wrong at a time: mistakes that share the key's slot above.
#[tokio::test]
async fn of_two_faults_of_a_key_the_first_is_told() {
    let world = World::make().await;
    let (url, account) = (&world.server.url, world.owner.account);
    let admin = world.server.admin();
    let lines = |key: &str| Call::get("/v1/lines").key(key);
    let chats = |key: &str, from| Call::get(query("/v1/chats", &[("from", from)])).key(key);

    // Spent and without the scope; then revoked as well.
    let mut spent = switchboard_client::CreateKey::new(account, "spent");
    spent.rate_limit = Some(1);
    spent.scopes = switchboard_client::KeyScopes::Only([Scope::ChatsRead].into_iter().collect());
    let spent = admin.create_key(&spent).await.unwrap().value;
    let secret = spent.secret.reveal();
    let answer = lines(secret).send(url).await;
    assert_refused("a refused request counts too", &answer, Code::InsufficientScope, None);
    let answer = lines(secret).send(url).await;
    assert_refused("spent before scope", &answer, Code::RateLimitExceeded, None);
    admin.revoke_key(spent.key.id).await.unwrap();
    let answer = lines(secret).send(url).await;
    assert_refused("revoked before spent", &answer, Code::InvalidApiKey, None);

    // Restricted and without the scope; restricted, and another account's line.
    let narrow = key(&world.server, account, &[Scope::LinesRead], &[&world.second.line_id]).await;
    let answer = chats(&narrow, LINE).send(url).await;
    assert_refused("scope before line", &answer, Code::InsufficientScope, None);
    let answer = chats(&world.restricted, &world.theirs.line).send(url).await;
    assert_refused("no hint of another's line", &answer, Code::LineNotFound, Some("from"));
    let answer = chats(&world.restricted, LINE).send(url).await;
    assert_refused("restricted", &answer, Code::LineNotAccessible, None);
    world.server.stop().await;
}

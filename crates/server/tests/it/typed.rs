//! What people and programs really type and paste: text that shows nothing, JSON that is nearly right,
//! emoji with their selectors anywhere, keys and codes with something round them.

use http::Method;
use serde_json::{Value, json};
use switchboard_model::{Code, sandbox::SandboxStatus};
use switchboard_testkit::{LINE, TestServer};

use crate::{
    call::{Call, assert_refused},
    fixtures::reacts,
    world::{CONTACT, SANDBOX, send_with},
};

#[tokio::test]
async fn a_text_that_shows_nothing_is_blank() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let send = async |text: &str| {
        let body = send_with(&json!({ "text": text }));
        Call::post("/v1/messages", &body).key(&tenant.key).send(&server.url).await
    };
    for text in [
        "\u{200b}",
        "\u{2060}\u{feff}",
        "\u{3164}",
        "\u{115f}\u{1160}\u{ffa0}",
        "\u{ad} \u{180e}\n\u{34f}",
        "\u{200e}\u{2066}\u{2069}\u{202c}",
        "\u{fe0f}\u{200d}",
        "\u{e0001}\u{e0041}\u{e007f}\u{e0100}",
        "\u{2800}",
        "\u{fffc}",
        "\u{2003}\u{a0}\u{2028}",
    ] {
        assert_refused(text, &send(text).await, Code::InvalidParameterValue, Some("text"));
    }
    for text in ["\u{200b}a", "\u{2066}שלום\u{2069}", "❤\u{fe0f}", "."] {
        assert_eq!(send(text).await.status, 201, "{text:?}");
    }
    // Names are no better when they show nothing.
    let token = server.operator_token();
    let account = Call::post("/admin/v1/accounts", &json!({ "name": "\u{200b}\u{3164}" }));
    let account = account.key(token).send(&server.url).await;
    assert_refused("name", &account, Code::InvalidParameterValue, Some("name"));
    server.stop().await;
}

#[tokio::test]
async fn the_mistake_of_a_field_is_told_of_that_field_and_only_if_it_is_read() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let post = async |path: &str, body: String| {
        let call = Call::new(Method::POST, path).raw(body).key(&tenant.key);
        call.header("content-type", "application/json").send(&server.url).await
    };
    let body = |field: &str, value: &str| {
        let mut fields = vec![
            ("from", format!("\"{LINE}\"")),
            ("to", format!("\"{CONTACT}\"")),
            ("text", "\"x\"".to_owned()),
        ];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value.to_owned()));
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let deep = "[".repeat(300) + &"]".repeat(300);
    let half = "\"a\\ud800b\"";
    for (field, value) in [
        ("text", half),
        ("text", "\"\\udc00\""),
        ("text", "\"\\ud83d\\u0041\""),
        ("text", "1e999"),
        ("text", &deep),
        ("from", half),
        ("to", half),
        ("reply_to", half),
        ("attachments", "[\"file_\\ud800\"]"),
        ("attachments", &deep),
    ] {
        let refused = post("/v1/messages", body(field, value)).await;
        assert_refused(value, &refused, Code::InvalidParameterValue, Some(field));
    }
    let half_a_key = body("text", half).replace(CONTACT, "");
    let refused = post("/v1/messages", half_a_key).await;
    assert_refused("in order", &refused, Code::MissingRequiredParameter, Some("to"));
    let hook = r#"{"from":"","url":"http://127.0.0.1/\ud800","events":["message.sent"]}"#;
    let refused = post("/v1/webhooks", hook.to_owned()).await;
    assert_refused("url", &refused, Code::InvalidParameterValue, Some("url"));

    for (field, value) in [
        ("extra", half),
        ("extra", "1e999"),
        ("extra", "-12345678901234567890123456789012345678901234567890"),
        ("extra", &deep),
        ("extra", "{\"a\":{\"\\ud800\":\"\\ud800\"}}"),
        ("\\ud800", "1"),
        ("text", "\"\\ud83d\\ude00\""),
        ("text", "\"\\\\ud83d\""),
    ] {
        let taken = post("/v1/messages", body(field, value)).await;
        assert_eq!(taken.status, 201, "{field} {value}: {taken:?}");
    }
    // The last of two counts, as ever.
    let taken = post("/v1/messages", body("text", &format!("{half},\"text\":\"x\""))).await;
    assert_eq!(taken.status, 201, "{taken:?}");
    // What is no JSON stays none.
    for wrong in ["{", "{\"a\":\"\\ud800}", "{\"a\":\"\\ud8\"}", "[\"\\ud800\"]", "{\"a\":01}", ""]
    {
        let refused = post("/v1/messages", wrong.to_owned()).await;
        assert_refused(wrong, &refused, Code::InvalidJson, None);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_may_begin_with_a_bom_and_must_be_utf_8() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let send = async |bytes: Vec<u8>| {
        Call::new(Method::POST, "/v1/messages").raw(bytes).key(&tenant.key).send(&server.url).await
    };
    let text = send_with(&json!({ "text": "Grüße" })).to_string();
    let taken = send([b"\xef\xbb\xbf", text.as_bytes()].concat()).await;
    assert_eq!(taken.status, 201, "{taken:?}");
    let half = text.replace("Grüße", "\\ud800");
    let refused = send([b"\xef\xbb\xbf", half.as_bytes()].concat()).await;
    assert_refused("a BOM and a half", &refused, Code::InvalidParameterValue, Some("text"));
    let utf_16 = |units: Vec<[u8; 2]>| units.concat();
    let latin_1 = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    for wrong in [
        utf_16([0xfeff].into_iter().chain(text.encode_utf16()).map(u16::to_le_bytes).collect()),
        utf_16([0xfeff].into_iter().chain(text.encode_utf16()).map(u16::to_be_bytes).collect()),
        latin_1,
    ] {
        let refused = send(wrong).await;
        assert_refused("no UTF-8", &refused, Code::InvalidJson, None);
    }
    for before in ["\u{feff}\u{feff}", " \r\n\u{feff}", "\u{feff}\n\u{feff}\t"] {
        let taken = send(format!("{before}{text}").into_bytes()).await;
        assert_eq!(taken.status, 201, "{before:?}: {taken:?}");
    }
    for (wrong, said) in [
        ("", "The body is empty"),
        (" \r\n", "The body is empty"),
        ("\u{feff}", "The body is empty"),
        ("a=b", "The body is a form"),
        ("from=%2B15550100001&to=x&text=a+b", "The body is a form"),
        ("{\"text\": =}", "mistake at line 1"),
        ("null=", "The body is a form"),
    ] {
        let refused = send(wrong.into()).await;
        assert_refused(wrong, &refused, Code::InvalidJson, None);
        let message = refused.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{wrong:?}: {message}");
        assert!(said.starts_with("mistake") || message.contains("JSON object"), "{message}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_emoji_is_one_reaction_wherever_its_selectors_stand() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let texted = server.text(LINE, CONTACT, "hello").await;
    let react = async |kind: &str| {
        let body = json!({
            "from": LINE, "to": CONTACT, "message_id": texted.guid, "type": kind,
        });
        Call::post("/v1/reactions", &body).key(&tenant.key).send(&server.url).await
    };
    for kind in [
        "\u{1f44d}\u{1f3fd}",
        "\u{1f44d}\u{fe0f}\u{1f3fd}",
        "\u{1f44d}\u{1f3fd}\u{fe0f}",
        "\u{270c}\u{fe0f}\u{1f3ff}",
        "\u{2764}",
        "\u{2764}\u{fe0e}",
        "\u{2764}\u{200d}\u{1f525}",
        "1\u{20e3}",
        "\u{1f1e9}\u{1f1ea}",
        "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
        "\u{1f44d} ",
        "\u{200b}\u{1f44d}",
        "\u{2764}\u{fe0f}\n",
    ] {
        assert_eq!(react(kind).await.status, 201, "{kind}");
    }
    for kind in [
        "\u{1faff}",
        "\u{1f1e9}",
        "\u{1f3fd}",
        "\u{fe0f}",
        "1",
        "1\u{fe0f}",
        "\u{1f389}\u{1f3fd}",
        "\u{1f44d}\u{1f3fd}\u{1f3fd}",
        "\u{e000}",
    ] {
        let refused = react(kind).await;
        assert_refused(kind, &refused, Code::InvalidParameterValue, Some("type"));
    }
    // However a contact's phone writes it, it is one reaction, and it is shown in one form.
    for (kind, remove) in [("\u{2764}", false), ("\u{2764}\u{fe0f}", true)] {
        reacts(&server, LINE, CONTACT, (&texted.guid, kind), remove).await;
    }
    let listed = Call::get(format!("/v1/reactions?message_id={}", texted.guid));
    let listed = listed.key(&tenant.key).send(&server.url).await;
    let theirs: Vec<&Value> = listed.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|reaction| reaction["is_from_me"] == false)
        .collect();
    assert_eq!(theirs.len(), 1, "{theirs:?}");
    assert_eq!((&theirs[0]["type"], &theirs[0]["added"]), (&json!("❤️"), &json!(false)));
    server.stop().await;
}

#[tokio::test]
async fn a_key_is_taken_with_what_was_pasted_round_it() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let key = &tenant.key;
    for written in [
        format!("Bearer  {key} "),
        format!("bearer\t{key}"),
        format!("  Bearer {key}\t"),
        format!("Bearer \"{key}\""),
        format!("Bearer '{key}'"),
        format!("Bearer {key}\u{a0}"),
        format!("Bearer \u{feff}{key}\u{200b}"),
    ] {
        let answer = Call::get("/v1/lines").authorization(&written).send(&server.url).await;
        assert_eq!(answer.status, 200, "{written:?}");
    }
    for written in [format!("Bearer {key}."), format!("Bearer {key} {key}"), "Bearer".to_owned()] {
        let answer = Call::get("/v1/lines").authorization(&written).send(&server.url).await;
        assert_refused(&written, &answer, Code::InvalidApiKey, None);
    }
    for written in [format!("{key}\n"), format!("{key}\r\n"), format!("\u{feff}\"{key}\"\n")] {
        let client = server.client(&written);
        assert_eq!(client.lines().await.unwrap().value.data.len(), 1, "{written:?}");
    }
    let token = format!("Bearer \"{}\"\u{a0}", server.operator_token());
    let answer = Call::get("/admin/v1/lines").authorization(&token).send(&server.url).await;
    assert_eq!(answer.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_code_is_found_whatever_stands_round_it() {
    let server = TestServer::start().await;
    server.sandbox_line(SANDBOX).await;
    let tenant = server.tenant(LINE).await;
    let texts: [fn(&str) -> String; 10] = [
        |code| format!("{code}."),
        |code| format!("“{code}”"),
        |code| format!("\"{code}\"!"),
        |code| format!("({code})"),
        |code| format!("\u{200b}{code}\u{feff}"),
        |code| format!("{}\u{200b}{}", &code[..4], &code[4..]),
        |code| format!("\u{2068}{}\u{2011}{}\u{2069}", &code[..4], &code[4..]),
        |code| format!("{} – {}", &code[..4], code[4..].to_lowercase()),
        |code| code.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect(),
        |code| code.chars().map(|c| format!("{c} ")).collect(),
    ];
    for (n, text) in texts.into_iter().enumerate() {
        let sandbox = tenant.client.reset_sandbox().await.unwrap().value;
        let code = sandbox.activation_code.unwrap();
        server.text(SANDBOX, CONTACT, &format!("x{code}")).await;
        assert_eq!(tenant.client.sandbox().await.unwrap().value.status, SandboxStatus::Pending);
        server.text(SANDBOX, CONTACT, &text(&code)).await;
        let status = tenant.client.sandbox().await.unwrap().value.status;
        assert_eq!(status, SandboxStatus::Active, "{n}");
    }
    server.stop().await;
}

/// Some clients read any text without a charset as Latin-1.
#[tokio::test]
async fn every_text_says_its_charset() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let kind = async |call: Call| {
        let response = call.open(&server.url).await;
        response.headers()["content-type"].to_str().unwrap().to_owned()
    };
    let stream = Call::get("/v1/events").key(&tenant.key);
    assert_eq!(kind(stream).await, "text/event-stream; charset=utf-8");
    assert_eq!(kind(Call::get("/docs")).await, "text/html; charset=utf-8");
    // JSON has no charset (RFC 8259 §11).
    for call in [
        Call::get("/v1/lines").key(&tenant.key),
        Call::get("/v1/nothing"),
        Call::get("/v1/openapi.json"),
    ] {
        assert_eq!(kind(call).await, "application/json");
    }
    server.stop().await;
}

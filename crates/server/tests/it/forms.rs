//! A form where a file is wanted (§7).

use serde_json::json;
use switchboard_model::Code;
use switchboard_testkit::LINE;

use crate::{
    call::assert_refused,
    files::{keeps, post, server_with_clock},
    fixtures::Sample,
};

/// What `curl -F` sends is no file, whatever it calls itself; what `curl --data-binary` sends is one.
#[tokio::test]
async fn a_form_is_refused_with_the_next_step() {
    let (server, _) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    let boundary = "------------------------d74496d66958873e";
    let form = |field: &str| {
        format!(
            "--{boundary}\r\n{field}; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\
             \u{89}PNG\r\n--{boundary}--\r\n"
        )
    };
    let form = [form("Content-Disposition: form-data"), form("content-disposition: form-data")];
    let declared = format!("multipart/form-data; boundary={boundary}");
    let shouted = format!("Multipart/Form-Data;boundary=\"{boundary}\"");
    let own = format!("image/png; boundary={boundary}");
    for content_type in [Some(&declared), Some(&shouted), Some(&own), None] {
        for form in &form {
            let mut call = post().raw(form.clone()).key(&tenant.key);
            if let Some(content_type) = content_type {
                call = call.header("content-type", content_type);
            }
            let answer = call.send(&server.url).await;
            let what = format!("{content_type:?}");
            assert_refused(&what, &answer, Code::UnsupportedMediaType, None);
            let message = answer.body["error"]["message"].as_str().unwrap();
            assert!(message.contains("--data-binary") && message.contains("-H 'Content-Type:"));
        }
    }
    // As other libraries write it.
    let part = "name=\"file\"; filename=\"a.png\"";
    for body in [
        format!(
            "--b\r\nContent-Type: image/png\r\nContent-Disposition: form-data; {part}\r\n\r\nx\r\n--b--\r\n"
        ),
        format!("--b\nContent-Disposition: form-data; {part}\n\nx\n--b--\n"),
        format!("\r\n--b\r\nContent-Disposition: form-data; {part}\r\n\r\nx\r\n--b--\r\n"),
        format!(
            "A form.\r\n\r\n--b\r\nContent-Disposition: form-data; {part}\r\n\r\nx\r\n--b--\r\n"
        ),
        format!("--b\r\ncontent-disposition:form-data;{part}\r\n\r\nx\r\n--b--\r\n"),
        "--b\r\nContent-Length: 1\r\nContent-Disposition: Form-Data\r\n\r\nx\r\n--b--\r\n"
            .to_owned(),
    ] {
        for content_type in [None, Some("image/png"), Some("application/octet-stream")] {
            let mut call = post().raw(body.clone()).key(&tenant.key);
            if let Some(content_type) = content_type {
                call = call.header("content-type", content_type);
            }
            let answer = call.send(&server.url).await;
            let what = format!("{body:?} as {content_type:?}");
            assert_refused(&what, &answer, Code::UnsupportedMediaType, None);
        }
    }
    for declared in ["multipart/mixed; boundary=b", "multipart/related;boundary=b", "Multipart/X"] {
        let call = post().raw("--b\r\n\r\nx\r\n--b--").header("content-type", declared);
        let answer = call.key(&tenant.key).send(&server.url).await;
        assert_refused(declared, &answer, Code::UnsupportedMediaType, None);
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("--data-binary"), "{message}");
    }
    keeps(&server, 0).await;
    // curl calls what it sends a form when nobody told it otherwise.
    let png = Sample::png().bytes;
    for content_type in ["application/x-www-form-urlencoded", "APPLICATION/X-WWW-Form-Urlencoded"] {
        let call = post().raw(png.clone()).header("content-type", content_type).key(&tenant.key);
        let answer = call.send(&server.url).await;
        assert_eq!((answer.status, &answer.body["mime_type"]), (201, &json!("image/png")));
    }
    let zip = b"PK\x05\x06\0\0\0\0".to_vec();
    let call = post().raw(zip).header("content-type", "multipart/x-zip").key(&tenant.key);
    assert_eq!(call.send(&server.url).await.body["mime_type"], "application/zip");
    // Texts that begin with dashes, or show a form.
    let shown = "Send this:\n\n--b\nContent-Disposition: form-data; name=a\n\nx\n--b--\n";
    for text in [
        shown,
        "--b\nTitle: x\n\nContent-Disposition: form-data\n",
        "--\n-- a query\nselect 1;\n",
        "---\r\ntitle: x\r\n---\r\n",
        "--",
    ] {
        let call = post().raw(text).header("content-type", "text/plain").key(&tenant.key);
        assert_eq!(call.send(&server.url).await.status, 201, "{text}");
    }
    server.stop().await;
}

//! What the doctor says of set-ups that are well and of such that are not: a newcomer reads this and knows what to do.
//!
//! The Mac's clock and the server's are one here, and what stands in for osascript is a file of this folder.

use std::{path::Path, sync::Arc};

use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use switchboard_fakes::{
    android_sms, bluebubbles,
    imsg::{Helper, Mac, Protection, Settings},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{LINE, Site, mac, on_a_mac, without_program};
use crate::process::{ANY_PORT, Done, run};

impl Site {
    /// What the doctor says, with its exit code.
    async fn doctor(&self, options: &[&str]) -> String {
        let done = run(&mut self.bridge("doctor", options)).await;
        self.said(&done)
    }

    fn said(&self, done: &Done) -> String {
        format!("{}[exit code {}]", self.told(done), done.code.unwrap())
    }
}

#[tokio::test]
async fn a_mac_that_is_well_or_not() {
    let site = Site::new("imsg").await;
    let mac = mac();
    let options = site.imsg(mac.program());
    insta::assert_snapshot!("imsg_healthy", site.doctor(&options).await);

    mac.set_helper(Helper::Absent);
    mac.set_protection(Protection::Enabled);
    insta::assert_snapshot!("imsg_no_helper_and_protected", site.doctor(&options).await);
    mac.set_protection(Protection::Disabled);
    insta::assert_snapshot!("imsg_no_helper", site.doctor(&options).await);
    mac.set_helper(Helper::Old);
    insta::assert_snapshot!("imsg_old_helper", site.doctor(&options).await);
    mac.set_helper(Helper::Present);

    let elsewhere = ["--sips", "/nowhere/sips", "--afconvert", "/nowhere/afconvert"];
    let bare = site.doctor(&[&options[..], &elsewhere].concat()).await;
    insta::assert_snapshot!("imsg_no_conversions", bare);

    mac.lose_full_disk_access();
    insta::assert_snapshot!("imsg_no_full_disk_access", site.doctor(&options).await);
    mac.database_fails("database is locked");
    let locked = site.doctor(&options).await;
    assert!(locked.contains("locked by another program"), "{locked}");
    mac.regain_full_disk_access();

    let mut denied = on_a_mac("denied");
    denied.args(["bridge", "doctor", "--server", &site.server.url]).args(options);
    denied.arg("--data-dir").arg(site.data_dir());
    insta::assert_snapshot!("imsg_no_automation", site.said(&run(&mut denied).await));

    mac.set_broken(true);
    let broken = site.doctor(&options).await;
    assert!(broken.contains("'imsg rpc' does not answer: it ended at once"), "{broken}");
    mac.set_broken(false);
    mac.install("0.14.2");
    let usable = site.doctor(&options).await;
    assert!(usable.contains("WARNING imsg is version 0.14.2"), "{usable}");
    mac.install("0.13.4");
    insta::assert_snapshot!("imsg_too_old", site.doctor(&options).await);

    let missing = ["--driver", "imsg", "--imsg", "/nowhere/imsg"];
    insta::assert_snapshot!("imsg_missing", site.doctor(&missing).await);
    site.server.process.stop("TERM").await;
}

#[tokio::test]
async fn a_line_with_another_account_and_a_mac_with_no_conversation() {
    let site = Site::new("imsg").await;
    let other = Mac::with(Settings { own: "+15550777777".to_owned(), ..Settings::default() });
    let options = site.imsg(other.program());
    let empty = site.doctor(&options).await;
    assert!(empty.contains("has no conversation yet"), "{empty}");
    other.contact("+15550100002").writes("hello there");
    // As a bridge wrote it that ran here once.
    site.write("bridge/status.json", &standing(&site));
    insta::assert_snapshot!("imsg_wrong_account", site.doctor(&options).await);
    site.server.process.stop("TERM").await;
}

fn standing(site: &Site) -> String {
    let line = serde_json::json!({
        "id": "ln_x", "handle": LINE, "online": true, "since": 0, "capabilities": [],
    });
    serde_json::json!({
        "process": 1, "version": "0.1.0", "driver": "imsg", "started_at": 0, "written_at": 0,
        "server": site.server.url.replace("http", "ws"), "linked_since": 0, "problem": null,
        "lines": [line],
    })
    .to_string()
}

#[tokio::test]
async fn a_server_that_is_not_what_it_should_be() {
    let site = Site::new("imsg").await;
    let mac = mac();
    let options = site.imsg(mac.program());
    site.admin(&["bridges", "revoke", site.bridge["id"].as_str().unwrap()]).await;
    insta::assert_snapshot!("server_revoked", site.doctor(&options).await);

    site.write("bridge/token", "sk_live_something_else");
    let wrong = site.doctor(&options).await;
    assert!(wrong.contains("this is no bridge's token"), "{wrong}");
    std::fs::remove_file(site.data_dir().join("token")).unwrap();
    insta::assert_snapshot!("server_no_token", site.doctor(&options).await);
    site.write("bridge/token", site.bridge["token"].as_str().unwrap());

    let Site { server, dir, .. } = site;
    let url = server.url.clone();
    server.process.stop("TERM").await;
    let away = doctor_at(&url, dir.path(), &options).await;
    assert!(
        away.contains("can't be reached: no connection") && away.contains("firewall"),
        "{away}"
    );

    let proxy = canned("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let said = doctor_at(&proxy, dir.path(), &options).await;
    insta::assert_snapshot!(
        "server_behind_a_proxy_without_upgrades",
        said.replace(&proxy, "http://SERVER")
    );
    let newer = "HTTP/1.1 400 Bad Request\r\nswitchboard-bridge-protocol: 77-99\r\n\
                 date: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\n\r\n";
    let said = doctor_at(&canned(newer).await, dir.path(), &options).await;
    assert!(
        said.contains("Update this program") && said.contains("behind this machine's"),
        "{said}"
    );
    let older =
        "HTTP/1.1 400 Bad Request\r\nswitchboard-bridge-protocol: 1\r\ncontent-length: 0\r\n\r\n";
    let said = doctor_at(&canned(older).await, dir.path(), &options).await;
    assert!(said.contains("Update the server"), "{said}");
    let other = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let said = doctor_at(&canned(other).await, dir.path(), &options).await;
    assert!(said.contains("answers with 404, and is no Switchboard server"), "{said}");
    let said = doctor_at(&canned("I am no HTTP\r\n\r\n").await, dir.path(), &options).await;
    assert!(said.contains("speaks no HTTP"), "{said}");
    let tls = canned(newer).await.replace("http", "https");
    let said = doctor_at(&tls, dir.path(), &options).await;
    assert!(said.contains("can't be reached: no TLS"), "{said}");
    let said = doctor_at(&self_signed().await, dir.path(), &options).await;
    assert!(said.contains("no TLS (invalid peer certificate: UnknownIssuer)"), "{said}");
    assert!(said.contains("use one that the world trusts"), "{said}");
    let said = doctor_at("http://sw.invalid", dir.path(), &options).await;
    assert!(said.contains("its name is not known"), "{said}");
}

async fn doctor_at(server: &str, dir: &Path, options: &[&str]) -> String {
    let mut command = on_a_mac("allowed");
    command.args(["bridge", "doctor", "--server", server]).args(options);
    let done = run(command.arg("--data-dir").arg(dir.join("bridge"))).await;
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    without_program(&done.stdout.replace(dir.to_str().unwrap(), "DIR"))
}

/// Something that answers everybody with this.
async fn canned(answer: &'static str) -> String {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut heard = [0; 2048];
            let _ = socket.read(&mut heard).await;
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    url
}

/// Something with a certificate that nobody has signed.
async fn self_signed() -> String {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let chain = vec![own.cert.der().clone()];
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = acceptor.accept(socket).await;
        }
    });
    url
}

#[tokio::test]
async fn scripts_get_the_same_as_json() {
    let site = Site::new("imsg").await;
    let mac = mac();
    let options = site.imsg(mac.program());
    let well = run(&mut site.bridge("doctor", &[&options[..], &["--json"]].concat())).await;
    let report: Value = serde_json::from_str(&well.succeeded()).unwrap();
    assert_eq!((&report["ok"], &report["problems"]), (&Value::Bool(true), &0.into()), "{report}");

    mac.lose_full_disk_access();
    let ill = run(&mut site.bridge("doctor", &[&options[..], &["--json"]].concat())).await;
    assert_eq!(ill.code, Some(1));
    let report: Value = serde_json::from_str(&ill.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let database = checks.iter().find(|check| check["check"] == "database").unwrap();
    assert_eq!((&database["section"], &database["level"]), (&"imsg".into(), &"problem".into()));
    assert!(database["advice"][1].as_str().unwrap().contains("Full Disk Access"));
    site.server.process.stop("TERM").await;
}

#[tokio::test]
async fn secrets_that_others_can_read_and_a_folder_that_can_not_be_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new("imsg").await;
    let mac = mac();
    let options = site.imsg(mac.program());
    let token = site.data_dir().join("token");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = site.doctor(&options).await;
    assert!(said.contains("others on this machine may read DIR/bridge/token"), "{said}");
    assert!(said.contains("chmod 600 DIR/bridge/token"), "{said}");

    let plain = ["--token", site.bridge["token"].as_str().unwrap()];
    let said = site.doctor(&[&options[..], &plain].concat()).await;
    assert!(said.contains("--token shows its secret"), "{said}");

    let mut command = on_a_mac("allowed");
    command.args(["bridge", "doctor", "--server", &site.server.url]).args(options);
    command.args(plain).args(["--data-dir", "/dev/null/bridge"]);
    let said = site.said(&run(&mut command).await);
    assert!(
        said.contains("PROBLEM the data directory /dev/null/bridge can't be written"),
        "{said}"
    );
    site.server.process.stop("TERM").await;
}

#[tokio::test]
async fn a_bluebubbles_server_that_is_well_or_not() {
    let site = Site::new("bluebubbles").await;
    let server = bluebubbles::Server::start("pass word&1").await.unwrap();
    let url = server.url();
    let password = site.write("password", "pass word&1\n");
    let options = [
        "--driver",
        "bluebubbles",
        "--bluebubbles-url",
        &url,
        "--bluebubbles-password-file",
        password.to_str().unwrap(),
    ];
    let doctor = async || {
        let said = site.doctor(&options).await.replace(&url, "http://BLUEBUBBLES");
        assert!(!said.contains("pass word") && !said.contains("pass%20word"), "{said}");
        said
    };
    insta::assert_snapshot!("bluebubbles_healthy", doctor().await);
    let elsewhere =
        site.doctor(&[&options[..], &["--afconvert", "/nowhere/afconvert"]].concat()).await;
    insta::assert_snapshot!(
        "bluebubbles_no_conversions",
        elsewhere.replace(&url, "http://BLUEBUBBLES")
    );
    server.mac(|mac| mac.helper_connected = false);
    insta::assert_snapshot!("bluebubbles_no_helper", doctor().await);
    server.mac(|mac| mac.server_version = "1.8.0".to_owned());
    insta::assert_snapshot!("bluebubbles_too_old", doctor().await);
    site.write("password", "another");
    insta::assert_snapshot!("bluebubbles_wrong_password", doctor().await);
    server.stop().await;
    insta::assert_snapshot!("bluebubbles_away", doctor().await);
    site.server.process.stop("TERM").await;
}

#[tokio::test]
async fn an_android_phone_that_is_well_or_not() {
    let site = Site::new("android-sms").await;
    let phone = android_sms::Phone::start("sms", "pass word&1").await.unwrap();
    let url = phone.url();
    let password = site.write("password", "pass word&1\n");
    let line = format!("{LINE}=1");
    let options = [
        "--driver",
        "android-sms",
        "--android-url",
        &url,
        "--android-user",
        "sms",
        "--android-password-file",
        password.to_str().unwrap(),
        "--android-line",
        &line,
    ];
    phone.sims(|sims| sims[0].number = LINE.to_owned());
    let doctor = async || {
        let said = site.doctor(&options).await.replace(&url, "http://PHONE");
        assert!(!said.contains("pass word"), "{said}");
        said
    };
    insta::assert_snapshot!("android_newest_first", doctor().await);
    let client = reqwest::Client::new();
    let settings = client.patch(format!("{url}/settings")).basic_auth("sms", Some("pass word&1"));
    let fifo = serde_json::json!({"messages": {"processing_order": "FIFO"}});
    assert!(settings.json(&fifo).send().await.unwrap().status().is_success());
    insta::assert_snapshot!("android_healthy", doctor().await);
    phone.clock(90_000);
    let said = doctor().await;
    assert!(said.contains("s ahead of this machine's"), "{said}");
    phone.clock(0);
    phone.sims(|sims| sims[0].number = "+15550100009".to_owned());
    phone.sims(|sims| sims[0].knows_number = true);
    insta::assert_snapshot!("android_another_number", doctor().await);
    site.write("password", "another");
    insta::assert_snapshot!("android_wrong_password", doctor().await);
    phone.kill_app().await;
    insta::assert_snapshot!("android_away", doctor().await);
    site.server.process.stop("TERM").await;
}

#[tokio::test]
async fn a_data_directory_that_is_not_there_yet_may_be_named_from_here() {
    let site = Site::new("imsg").await;
    let mac = mac();
    let mut command = on_a_mac("allowed");
    command.args(["bridge", "doctor", "--server", &site.server.url, "--data-dir", "new-one"]);
    command.current_dir(site.dir.path()).args(site.imsg(mac.program()));
    let done = run(&mut command).await;
    assert!(done.stdout.contains("the data directory new-one can be written"), "{}", done.stdout);
    assert!(!site.dir.path().join("new-one").exists());
    site.server.process.stop("TERM").await;
}

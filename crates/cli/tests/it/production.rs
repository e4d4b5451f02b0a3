//! "In production" of README.md, run as it stands there: the server, what the operator does, and the backup, made
//! while a program writes. What was acknowledged before the backup is all there in a server that begins with it.

use std::{
    env,
    net::TcpListener,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use switchboard_client::{AdminClient, Client, CreateKey, SendMessage, Upload};
use switchboard_model::outbox::OutboxStatus;
use switchboard_testkit::eventually;
use tokio::process::Command;

use crate::{
    process::{ANY_PORT, mode, without_settings},
    serve::Serve,
    tour::{readme, run_steps},
};

const LINE: &str = "+15550100001";
const CONTACT: &str = "+15550100002";

/// A picture that was sent, by the number in it: its file and its outbox item.
type Sent = (usize, String, String);

fn picture(number: usize) -> Vec<u8> {
    [b"%PDF-1.7\n% ".to_vec(), number.to_string().into_bytes()].concat()
}

/// The binary stands first on the path, as if it were installed.
fn path() -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_switchboard")).parent().unwrap().display();
    format!("{binary}:{}", env::var("PATH").unwrap())
}

/// Sends pictures one after another until it is told to stop.
async fn keep_sending(client: Client, sent: Arc<Mutex<Vec<Sent>>>, stop: Arc<AtomicBool>) {
    for number in 0.. {
        if stop.load(Relaxed) {
            return;
        }
        let file = client.upload(Upload::bytes(picture(number))).await.unwrap().value.id;
        let message = SendMessage::file(LINE, CONTACT, file);
        let item = client.send_message(&message).await.unwrap().value.id;
        sent.lock().unwrap().push((number, file.to_string(), item.to_string()));
    }
}

#[tokio::test]
async fn the_production_section_works_and_its_backup_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (data, backup) = (dir.path().join("data"), dir.path().join("backup"));
    let (data_text, backup_text) = (data.display().to_string(), backup.display().to_string());
    let address = TcpListener::bind(ANY_PORT).unwrap().local_addr().unwrap().to_string();
    let url = format!("http://{address}");
    let path = path();
    let settings = [
        ("PATH", path.as_str()),
        ("URL", &url),
        ("BACKUP", &backup_text),
        ("SWITCHBOARD_DATA_DIR", &data_text),
        ("SWITCHBOARD_LISTEN", &address),
        ("SWITCHBOARD_PUBLIC_URL", &url),
    ];

    let serve = &readme("server")[0].script;
    let mut command: Command = without_settings("sh");
    command.args(["-c", &format!("exec {serve}")]).envs(settings);
    let server = Serve::start(&mut command).await;
    run_steps(&readme("production"), dir.path(), &settings).await;

    let token = std::fs::read_to_string(data.join("operator-token")).unwrap();
    let admin = AdminClient::new(&server.url, token.trim()).unwrap();
    let account = admin.accounts().await.unwrap().value.data[0].id;
    let key = admin.create_key(&CreateKey::new(account, "writer")).await.unwrap().value.secret;
    let client = Client::new(&server.url, key.reveal()).unwrap();
    let (sent, stop) = (Arc::default(), Arc::<AtomicBool>::default());
    let writer = tokio::spawn(keep_sending(client.clone(), Arc::clone(&sent), Arc::clone(&stop)));
    let before: Vec<Sent> = eventually("some pictures are sent", async || {
        let sent = sent.lock().unwrap();
        (sent.len() >= 20).then(|| sent.clone())
    })
    .await;
    run_steps(&readme("backup"), dir.path(), &settings).await;
    // Without it the copy could not be started.
    assert_eq!(mode(&backup.join("secret-key")), 0o600);
    stop.store(true, Relaxed);
    writer.await.unwrap();
    assert!(sent.lock().unwrap().len() > before.len(), "nothing was written meanwhile");
    server.process.stop("TERM").await;

    let restored = Serve::start(Serve::command(&backup).arg("--simulator")).await;
    let client = Client::new(&restored.url, key.reveal()).unwrap();
    for (number, file, item) in before {
        let bytes = client.download(&file).await.unwrap().bytes(1000).await.unwrap();
        assert_eq!(bytes, picture(number));
        eventually("what was accepted is sent", async || {
            let item = client.outbox(&item).await.unwrap().value;
            (item.status == OutboxStatus::Sent).then_some(())
        })
        .await;
    }
    // Of what was written meanwhile, the files of all that the copy knows are there.
    let mut files = 0;
    for message in client.messages(LINE, CONTACT).all(10_000).await.unwrap() {
        for attachment in message.attachments {
            client.download_url(&attachment.url.unwrap()).await.unwrap();
            files += 1;
        }
    }
    assert!(files >= 20, "only {files} files");
    // The operator's token is the same.
    assert!(AdminClient::new(&restored.url, token.trim()).unwrap().keys().await.is_ok());
    restored.process.stop("TERM").await;
}

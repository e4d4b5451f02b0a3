//! What is left over goes away: bytes that no file has, files and answers whose time is over (§7, §10).

use std::{collections::HashSet, fs, path::Path, time::Duration};

use futures_util::future::join_all;
use socket2::SockRef;
use switchboard_client::CreateKey;
use switchboard_model::{
    File,
    file::{ContentHash, StoredFile},
    id::Id,
    idempotency::{IdempotencyScope, RememberedAnswer},
    time::Clock,
};
use switchboard_store::IdempotencyRecord;
use switchboard_testkit::{LINE, TestServer, eventually};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    call::{Call, query},
    files::{keeps, kept, server_with_clock},
    fixtures::Sample,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Waits until whatever lies in the folder is a file's.
async fn every_object_has_a_file(server: &TestServer) {
    eventually("every object has a file", async || {
        for path in kept(server) {
            let id: Id<File> = path.file_name()?.to_str()?.parse().ok()?;
            server.store.signed_file(id).await.unwrap()?;
        }
        Some(())
    })
    .await;
}

/// Puts bytes where a file's would lie; last written so long ago.
fn leave(data_dir: &Path, name: &str, ago: Duration) {
    let path = data_dir.join("files").join(name);
    fs::write(&path, "left over").unwrap();
    let file = fs::File::options().append(true).open(path).unwrap();
    let written = file.metadata().unwrap().modified().unwrap() - ago;
    file.set_modified(written).unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_up_at_the_end_leaves_nothing_behind() {
    let (server, _) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    let address = server.url.strip_prefix("http://").unwrap();
    let body = vec![b'x'; 50_000];
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        tenant.key,
        body.len()
    );
    for step in 0..60 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        // No condition to wait for: each next client hangs up a little later in the work on its file.
        tokio::time::sleep(Duration::from_micros(200) * step).await;
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
    }
    every_object_has_a_file(&server).await;
    Sample::png().uploaded(&server, &tenant.key).await;
    every_object_has_a_file(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn bytes_of_no_file_are_swept_while_it_runs() {
    let (server, clock) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    let file = Sample::png().uploaded(&server, &tenant.key).await;
    leave(server.data_dir(), &Id::<File>::generate().to_string(), Duration::ZERO);
    leave(server.data_dir(), "notes.txt", Duration::ZERO);
    assert_eq!(kept(&server).len(), 3);
    clock.advance(2 * HOUR);
    keeps(&server, 2).await;
    let names: HashSet<_> = kept(&server)
        .into_iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, HashSet::from([file, "notes.txt".to_owned()]));
    server.stop().await;
}

#[tokio::test]
async fn what_a_killed_process_left_is_swept_at_the_next_start() {
    let (server, _) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    let file = Sample::png().uploaded(&server, &tenant.key).await;
    // More than are asked for at a time.
    for _ in 0..1100 {
        leave(server.data_dir(), &Id::<File>::generate().to_string(), 2 * HOUR);
    }
    // Somebody may be about to write it down.
    leave(server.data_dir(), &Id::<File>::generate().to_string(), HOUR / 2);
    let server = server.restart().await;
    keeps(&server, 2).await;
    let call = Call::get(query("/v1/files", &[("id", &file)])).key(&tenant.key);
    assert_eq!(call.send(&server.url).await.status, 302);
    assert!(kept(&server).iter().any(|path| path.ends_with(&file)));
    server.stop().await;
}

#[tokio::test]
async fn who_has_lost_the_database_does_not_lose_the_files() {
    let (server, _) = server_with_clock().await;
    let data_dir = server.data_dir().to_owned();
    let server = server
        .restart_with(|setup| {
            // Not before: the sweep of the first start may still be under way.
            leave(&data_dir, &Id::<File>::generate().to_string(), 2 * HOUR);
            setup.lose_database()
        })
        .await;
    // The sweep of the start has had its turn.
    let tenant = server.tenant(LINE).await;
    Sample::png().uploaded(&server, &tenant.key).await;
    assert_eq!(kept(&server).len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn all_whose_time_is_over_is_forgotten_in_one_go() {
    let (server, clock) = server_with_clock().await;
    let tenant = server.tenant(LINE).await;
    let key = CreateKey::new(tenant.account, "many");
    let key = server.admin().create_key(&key).await.unwrap().value.key.id;
    let now = clock.now();
    let numbers: Vec<_> = (0..1100).collect();
    let mut made = Vec::new();
    for some in numbers.chunks(100) {
        let creating = some.iter().map(async |number| {
            let file = StoredFile {
                id: Id::generate(),
                filename: None,
                mime_type: "text/plain".to_owned(),
                size: 1,
                content: ContentHash([1; 32]),
                created_at: now,
            };
            let operation = "POST /v1/files".to_owned();
            let scope = IdempotencyScope::new(key, operation, format!("k{number}"), b"x");
            let answer = RememberedAnswer { status: 201, body: b"{}".to_vec(), created_at: now };
            let remember = IdempotencyRecord { scope: scope.clone(), answer };
            let id = file.id;
            server
                .store
                .create_file(tenant.account, None, file, u64::MAX, Some(remember))
                .await
                .unwrap();
            (id, scope)
        });
        made.extend(join_all(creating).await);
    }
    // The job is woken once.
    clock.advance(25 * HOUR);
    eventually("all files and all answers are forgotten", async || {
        for (file, scope) in &made {
            let file = server.store.signed_file(*file).await.unwrap();
            let answer = server.store.remembered(scope.clone(), now).await.unwrap();
            if file.is_some() || answer.is_some() {
                return None;
            }
        }
        Some(())
    })
    .await;
    server.stop().await;
}

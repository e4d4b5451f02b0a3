//! Files in S3: a real endpoint, which checks signatures, and the configuration that a user would give.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use switchboard_client::{Client, Error, Upload};
use switchboard_model::{Code, id::Id};
use switchboard_testkit::eventually;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpListener, net::TcpStream};

use crate::process::{ANY_PORT, Dev, run, switchboard};

const KEY_ID: &str = "AKIATEST";
const SECRET: &str = "a secret of the bucket";
/// More than one part of an upload, and not a multiple of it.
const LARGE: usize = 11 * 1024 * 1024 + 77;

/// An S3 with one bucket, on a folder.
struct S3 {
    url: String,
    folder: TempDir,
}

impl S3 {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bucket")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = service.build();
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(serving);
            }
        });
        Self { url, folder }
    }

    /// The settings of a server that keeps its files here.
    fn configure(&self, command: &mut tokio::process::Command, secret: &str) {
        command
            .env("SWITCHBOARD_FILES", "s3://bucket/some/prefix")
            .env("AWS_ENDPOINT", &self.url)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", secret);
    }

    async fn dev(&self, dir: &Path) -> Dev {
        let mut command = Dev::command(dir, ANY_PORT);
        self.configure(&mut command, SECRET);
        command.env("SWITCHBOARD_MAX_FILE", "20000000");
        Dev::ready(command.arg("--json")).await
    }

    /// The names of the objects under the prefix, beside the mark that says whose they are.
    fn objects(&self) -> Vec<String> {
        let mut names = names(&self.prefix());
        names.retain(|name| name != "owner");
        names
    }

    fn prefix(&self) -> PathBuf {
        self.folder.path().join("bucket/some/prefix")
    }

    /// What uploads that are not finished have left: their parts lie beside the buckets.
    fn parts(&self) -> Vec<String> {
        let mut names = names(self.folder.path());
        names.retain(|name| name.starts_with(".upload"));
        names
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Bytes of which each place can be told from the others.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at / 7 % 251).unwrap()).collect()
}

async fn part(client: &Client, id: &str, range: &str) -> (StatusCode, Vec<u8>) {
    let url = client.file_url(id).await.unwrap().value;
    let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let answer = http.get(url).header("range", range).send().await.unwrap();
    (answer.status(), answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn files_go_to_a_bucket_and_come_back() {
    let (s3, dir) = (S3::start().await, tempfile::tempdir().unwrap());
    let dev = s3.dev(dir.path()).await;
    let client = dev.ready.client();
    assert_eq!(s3.objects(), Vec::<String>::new(), "the probe is gone");
    assert!(!dir.path().join("files").exists(), "nothing goes to the folder");

    let mut ids = Vec::new();
    for length in [1, 5000, LARGE] {
        let bytes = bytes(length);
        let file = client.upload(Upload::bytes(bytes.clone())).await.unwrap().value;
        let id = file.id.to_string();
        assert_eq!(file.size, length as u64);
        let down = client.download(&id).await.unwrap();
        assert!(down.bytes(LARGE).await.unwrap() == bytes, "{length} bytes come back");
        let (status, some) = part(&client, &id, "bytes=-1").await;
        assert_eq!((status, &some[..]), (StatusCode::PARTIAL_CONTENT, &bytes[length - 1..]));
        ids.push(id);
    }
    let (status, some) = part(&client, &ids[2], "bytes=5242870-5242900").await;
    assert_eq!(status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(some, bytes(LARGE)[5_242_870..=5_242_900], "over the end of a part");
    let mut kept = s3.objects();
    kept.sort();
    assert_eq!(kept, ids, "under their ids, under the prefix");

    let (status, some) = part(&client, &ids[1], "bytes=9999-").await;
    assert_eq!((status, some.len()), (StatusCode::RANGE_NOT_SATISFIABLE, 0));
    // The same once more: its bytes are removed again.
    let once = client.with_idempotency_key("once").unwrap();
    let first = once.upload(Upload::bytes("x")).await.unwrap();
    let again = once.upload(Upload::bytes("x")).await.unwrap();
    assert_eq!((&again.value, again.replayed), (&first.value, true));
    assert_eq!(s3.objects().len(), 4);
    dev.stop().await;

    // They are still there for another server on the same database.
    let dev = s3.dev(dir.path()).await;
    let down = dev.ready.client().download(&ids[1]).await.unwrap();
    assert_eq!(down.bytes(LARGE).await.unwrap(), bytes(5000));
    dev.stop().await;
}

#[tokio::test]
async fn what_is_not_taken_leaves_nothing_in_the_bucket() {
    let (s3, dir) = (S3::start().await, tempfile::tempdir().unwrap());
    let dev = s3.dev(dir.path()).await;
    let client = dev.ready.client();
    let refused = async |upload: Upload| match client.upload(upload).await {
        Err(error @ Error::Api { .. }) => error.code(),
        other => panic!("{other:?}"),
    };
    let page = [b"<!doctype html><title>", &bytes(LARGE)[..]].concat();
    let contradicted = Upload::bytes(page).mime_type("image/png");
    assert_eq!(refused(contradicted).await, Some(Code::InvalidParameterValue));
    assert_eq!(refused(Upload::bytes(bytes(20_000_001))).await, Some(Code::FileTooLarge));

    // One that goes away when a part of it is in the bucket.
    let address = dev.ready.api_url.strip_prefix("http://").unwrap();
    let mut cut = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {LARGE}\r\n\r\n",
        dev.ready.api_key
    );
    cut.write_all(head.as_bytes()).await.unwrap();
    cut.write_all(&bytes(LARGE - 1)).await.unwrap();
    eventually("a part is there", async || (s3.parts().len() > 1).then_some(())).await;
    drop(cut);
    eventually("the parts are gone", async || s3.parts().is_empty().then_some(())).await;
    assert_eq!(s3.objects(), Vec::<String>::new());
    dev.stop().await;
}

#[tokio::test]
async fn what_no_file_has_is_swept_from_the_bucket_by_its_owner_only() {
    let (s3, dir) = (S3::start().await, tempfile::tempdir().unwrap());
    let dev = s3.dev(dir.path()).await;
    let file = dev.ready.client().upload(Upload::bytes("hello")).await.unwrap().value.id;
    dev.stop().await;
    let leave = |name: &str| {
        let path = s3.prefix().join(name);
        fs::write(&path, "left over").unwrap();
        let file = fs::File::options().append(true).open(path).unwrap();
        let written = file.metadata().unwrap().modified().unwrap() - Duration::from_secs(7200);
        file.set_modified(written).unwrap();
    };
    leave(&Id::<switchboard_model::File>::generate().to_string());
    leave("notes.txt");
    // A server on another database knows none of them.
    let other = tempfile::tempdir().unwrap();
    let dev = s3.dev(other.path()).await;
    dev.ready.client().upload(Upload::bytes("hello")).await.unwrap();
    dev.stop().await;
    assert_eq!(s3.objects().len(), 4);
    let dev = s3.dev(dir.path()).await;
    eventually("it is swept", async || (s3.objects().len() == 3).then_some(())).await;
    assert!(s3.objects().contains(&file.to_string()));
    dev.stop().await;
}

#[tokio::test]
async fn a_bucket_that_is_not_ours_is_told_at_the_start() {
    let (s3, dir) = (S3::start().await, tempfile::tempdir().unwrap());
    let nobody: PathBuf = dir.path().join("data");
    let serve = || {
        let mut command = switchboard();
        command.args(["serve", "--listen", ANY_PORT]).arg("--data-dir").arg(&nobody);
        command
    };
    let mut command = serve();
    s3.configure(&mut command, "another secret");
    let said = run(&mut command).await.failed(1);
    assert!(said.contains("s3://bucket/some/prefix"), "{said}");
    assert!(!said.contains("another secret"), "{said}");
    // Nobody there at all.
    let mut command = serve();
    s3.configure(&mut command, SECRET);
    let said = run(command.env("AWS_ENDPOINT", "http://127.0.0.1:9")).await.failed(1);
    assert!(said.contains("s3://bucket/some/prefix"), "{said}");
}

//! The data directory is private, whatever it was before and whatever the umask.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use switchboard_client::Upload;
use switchboard_testkit::eventually;

use crate::{
    process::{ANY_PORT, Dev, mode},
    serve::Serve,
};

const TIGHTENED: &str = "could be read by others";

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything in a folder, links as themselves.
fn all_in(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            all.extend(all_in(&path));
        }
        all.push(path);
    }
    all
}

fn assert_private(dir: &Path) {
    assert_eq!(mode(dir), 0o700);
    for path in all_in(dir) {
        let found = fs::symlink_metadata(&path).unwrap();
        if !found.is_symlink() {
            let wanted = if found.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(found.permissions().mode() & 0o777, wanted, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn what_was_open_is_closed_and_links_are_left_alone() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = dir.path();
    // A life before, and then somebody who opened it all, as an older release did with the files.
    let server = Serve::start(Serve::command(dir).arg("--simulator")).await;
    assert!(!server.process.stderr().contains(TIGHTENED));
    server.process.stop("TERM").await;
    let name = "file_01890000000070008000000000000000";
    for left in ["files/notes", "files/deep/er", &format!("files/{name}#1"), "operator-token.new"] {
        let left = dir.join(left);
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        fs::write(left, "left over").unwrap();
    }
    let stranger = outside.path().join("stranger");
    fs::write(&stranger, "not ours").unwrap();
    open_to_all(&stranger, 0o644);
    open_to_all(outside.path(), 0o755);
    symlink(&stranger, dir.join("files/link")).unwrap();
    symlink(outside.path(), dir.join("away")).unwrap();
    let ours: Vec<_> = all_in(dir)
        .into_iter()
        .filter(|path| !fs::symlink_metadata(path).unwrap().is_symlink())
        .collect();
    for path in &ours {
        open_to_all(path, if path.is_dir() { 0o755 } else { 0o664 });
    }
    open_to_all(dir, 0o755);

    let server = Serve::start(Serve::command(dir).arg("--simulator")).await;
    assert_private(dir);
    assert_eq!((mode(&stranger), mode(outside.path())), (0o644, 0o755), "it is not ours");
    let told = server.process.stderr();
    let first = told.lines().next().unwrap();
    assert!(first.contains("starting") && first.contains("version="), "{first}");
    let told: Vec<_> = told.lines().filter(|line| line.contains(TIGHTENED)).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&format!("count={}", ours.len() + 1)), "{} of {told:?}", ours.len());
    server.process.stop("TERM").await;
    let server = Serve::start(&mut Serve::command(dir)).await;
    assert!(!server.process.stderr().contains(TIGHTENED), "once is enough");
    server.process.stop("TERM").await;
}

#[tokio::test]
async fn what_it_makes_is_private_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made/by the server");
    let dev = Dev::start(&dir, ANY_PORT).await;
    let client = dev.ready.client();
    for size in [1, 1_000_000] {
        let upload = Upload::bytes(vec![b'x'; size]).filename("x.txt");
        client.upload(upload).await.unwrap();
    }
    assert_private(&dir);
    let kept: Vec<_> = all_in(&dir);
    for name in [
        "switchboard.db",
        "switchboard.db-wal",
        "switchboard.db.lock",
        "dev.json",
        "simulator.jsonl",
    ] {
        assert!(kept.iter().any(|path| path.ends_with(name)), "{name} in {kept:?}");
    }
    // While an upload is under way, too: it is staged beside the others.
    let (sender, bytes) = tokio::sync::mpsc::channel::<std::io::Result<bytes::Bytes>>(1);
    let stream = futures_util::stream::unfold(bytes, |mut bytes| async move {
        Some((bytes.recv().await?, bytes))
    });
    let uploading = tokio::spawn({
        let client = dev.ready.client();
        async move { client.upload(Upload::stream(stream).filename("y.txt")).await }
    });
    sender.send(Ok(vec![b'y'; 600_000].into())).await.unwrap();
    eventually("it is staged", async || {
        all_in(&dir).iter().any(|path| path.to_string_lossy().contains('#')).then_some(())
    })
    .await;
    assert_private(&dir);
    drop(sender);
    uploading.await.unwrap().unwrap();
    assert_private(&dir);
    dev.stop().await;
}

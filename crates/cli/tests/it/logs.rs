//! Standard error that fails, stalls or is gone: the server goes on as if it were not.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, PipeReader},
    process::Stdio,
    time::Duration,
};

use rustix::pipe::fcntl_setpipe_size;
use switchboard_client::{ContactText, SendMessage, SetFault};
use switchboard_model::{outbox::OutboxStatus, simulator::FaultMode};
use switchboard_testkit::eventually;
use tokio::{process::Command, time::timeout};

use crate::process::{ANY_PORT, Dev, Ready};

/// The least that a pipe holds.
const SMALL_PIPE: usize = 4096;
/// More lines than such a pipe holds.
const LINES: usize = 100;

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

fn command(dir: &std::path::Path, stderr: impl Into<Stdio>) -> Command {
    let mut command = Dev::command(dir, ANY_PORT);
    command.args(["--json", "--rate-limit", "1000000", "--log", "debug"]).stderr(stderr);
    command
}

/// All that a server does goes on: lines of the log are written meanwhile by the writer of the store, by the
/// bridge and by the link.
async fn lives(ready: &Ready) {
    let (client, phones) = (ready.client(), ready.phones());
    for round in 0..LINES / 2 {
        for mode in [FaultMode::Offline, FaultMode::None] {
            phones.fault(&SetFault::new(&ready.line, mode)).await.unwrap();
        }
        let contact = "+15550100002";
        phones.text(&ContactText::new(&ready.line, contact, "Hi")).await.unwrap();
        let text = SendMessage::text(&ready.line, contact, "Hello");
        let item = client.send_message(&text).await.unwrap().value.id;
        eventually(&format!("message {round} is sent"), async || {
            let item = client.outbox(item).await.unwrap().value;
            (item.status == OutboxStatus::Sent).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_full_disk_under_the_log_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dev = Dev::ready(&mut command(dir.path(), full())).await;
    lives(&dev.ready).await;
    dev.process.stop("TERM").await;
}

#[tokio::test]
async fn a_reader_of_the_log_that_has_gone_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let dev = Dev::ready(&mut command(dir.path(), writer)).await;
    drop(reader);
    lives(&dev.ready).await;
    dev.process.stop("TERM").await;
}

#[tokio::test]
async fn a_reader_of_the_log_that_stalls_harms_nothing_and_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, dev) = stalled(&mut |stderr| command(dir.path(), stderr)).await;
    lives(&dev.ready).await;
    // What fits into memory is there when it reads again.
    let reading = tokio::task::spawn_blocking(move || all_lines(reader));
    dev.process.stop("TERM").await;
    let lines = timeout(Duration::from_secs(20), reading).await.unwrap().unwrap();
    let sends = lines.iter().filter(|line| line.contains("\"POST\" route=\"/v1/messages\""));
    assert_eq!(sends.count(), LINES / 2, "{lines:#?}");
    assert!(lines.last().unwrap().contains("stopped"), "{lines:#?}");
}

#[tokio::test]
async fn a_reader_of_the_log_that_stalls_does_not_keep_the_server_from_ending() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, dev) = stalled(&mut |stderr| command(dir.path(), stderr)).await;
    lives(&dev.ready).await;
    dev.process.stop("TERM").await;
    drop(reader);
}

#[tokio::test]
async fn a_start_that_fails_ends_though_nobody_reads_why() {
    let dir = tempfile::tempdir().unwrap();
    let first = Dev::start(dir.path(), ANY_PORT).await;
    let (_reader, writer) = std::io::pipe().unwrap();
    fcntl_setpipe_size(&writer, SMALL_PIPE).unwrap();
    let filled = std::io::Write::write(&mut &writer, &[b'\n'; SMALL_PIPE]).unwrap();
    assert_eq!(filled, SMALL_PIPE);
    // The database is in use.
    let mut second = command(dir.path(), writer);
    let status = timeout(Duration::from_secs(20), second.status()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(1));
    first.stop().await;
}

#[tokio::test]
async fn a_full_disk_under_stdout_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ready = {
        let dev = Dev::start(dir.path(), ANY_PORT).await;
        let ready = dev.ready.clone();
        dev.stop().await;
        ready
    };
    let listen = ready.api_url.strip_prefix("http://").unwrap();
    for stderr_too in [false, true] {
        let mut command = Dev::command(dir.path(), listen);
        command.args(["--rate-limit", "1000000"]).stdout(full());
        if stderr_too {
            command.stderr(full());
        }
        let process = crate::process::Process::spawn(&mut command);
        eventually("it answers", async || ready.client().lines().await.ok()).await;
        lives(&ready).await;
        let stderr = process.stop("TERM").await;
        assert_eq!(stderr.contains("dev.json"), !stderr_too, "{stderr}");
    }
}

/// A server whose standard error is a small pipe that nobody reads yet.
async fn stalled(command: &mut dyn FnMut(Stdio) -> Command) -> (PipeReader, Dev) {
    let (reader, writer) = std::io::pipe().unwrap();
    fcntl_setpipe_size(&writer, SMALL_PIPE).unwrap();
    let dev = Dev::ready(&mut command(writer.into())).await;
    (reader, dev)
}

fn all_lines(reader: PipeReader) -> Vec<String> {
    BufReader::new(reader).lines().map(Result::unwrap).collect()
}

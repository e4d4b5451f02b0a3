//! Large files: they pass through the server, and never stand whole in its memory.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use switchboard_client::Upload;

use crate::process::{ANY_PORT, Dev};

/// The largest file by default.
const LARGE: usize = 100_000_000;
const BLOCK: usize = 100_000;
/// What the server may need more than it needed for a small file.
const ROOM: u64 = 20 * 1024 * 1024;

/// A file of that many blocks, each filled with its number: nothing of it may be lost or moved.
fn blocks(count: usize) -> Upload {
    let block = |number: usize| Ok::<_, io::Error>(Bytes::from(vec![fill(number); BLOCK]));
    Upload::stream(stream::iter((0..count).map(block))).filename("large.bin")
}

fn fill(block: usize) -> u8 {
    u8::try_from(block % 251).expect("less than 251")
}

#[tokio::test]
async fn a_hundred_megabytes_go_up_and_down_in_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let dev = Dev::start(dir.path(), ANY_PORT).await;
    let client = dev.ready.client();
    let go = async |count: usize| {
        let file = client.upload(blocks(count)).await.unwrap().value;
        assert_eq!(file.size, (count * BLOCK) as u64);
        let mut down = client.download(file.id).await.unwrap();
        assert_eq!(down.size(), Some(file.size));
        let mut at = 0;
        while let Some(chunk) = down.chunk().await.unwrap() {
            assert!(chunk.iter().zip(at..).all(|(byte, at)| *byte == fill(at / BLOCK)), "at {at}");
            at += chunk.len();
        }
        assert_eq!(at, count * BLOCK);
    };
    go(10).await;
    let before = dev.process.peak_memory();
    go(LARGE / BLOCK).await;
    let more = dev.process.peak_memory() - before;
    assert!(more < ROOM, "{more} bytes more than before");
    println!("a file of {LARGE} bytes took {more} bytes more memory than one of {}", 10 * BLOCK);
    dev.stop().await;
}

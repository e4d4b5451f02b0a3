//! Live streams that read everything there is and find nothing: the dearest way to ask for nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a stream scans before it begins again.
const EACH: Duration = Duration::from_secs(10);
/// The pause of one that was refused.
const REFUSED: Duration = Duration::from_millis(500);

pub(super) struct Scans {
    stop: CancellationToken,
    opened: Arc<AtomicUsize>,
    streams: JoinSet<()>,
}

impl Scans {
    /// Keeps so many streams scanning from the first event.
    pub(super) fn start(url: &str, key: &str, count: usize) -> Self {
        let (stop, opened) = (CancellationToken::new(), Arc::<AtomicUsize>::default());
        let address = url.strip_prefix("http://").unwrap();
        let request = format!(
            "GET /v1/events?event=typing.started HTTP/1.1\r\nHost: {address}\r\n\
             Authorization: Bearer {key}\r\nLast-Event-ID: 0\r\n\r\n"
        );
        let mut streams = JoinSet::new();
        for _ in 0..count {
            let scanning = scan(address.to_owned(), request.clone(), Arc::clone(&opened));
            let stop = stop.clone();
            streams.spawn(async move {
                stop.run_until_cancelled(scanning).await;
            });
        }
        Self { stop, opened, streams }
    }

    /// Ends all, and says how many were opened.
    pub(super) async fn stop(self) -> usize {
        self.stop.cancel();
        self.streams.join_all().await;
        self.opened.load(Ordering::Relaxed)
    }
}

async fn scan(address: String, request: String, opened: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 4096];
    loop {
        let reading = async {
            let mut stream = TcpStream::connect(&address).await?;
            stream.write_all(request.as_bytes()).await?;
            let read = stream.read(&mut buffer).await?;
            if !buffer[..read].starts_with(b"HTTP/1.1 200") {
                return std::io::Result::Ok(false);
            }
            opened.fetch_add(1, Ordering::Relaxed);
            while stream.read(&mut buffer).await? > 0 {}
            Ok(true)
        };
        match timeout(EACH, reading).await {
            Err(_) | Ok(Ok(true)) => {}
            Ok(Ok(false) | Err(_)) => sleep(REFUSED).await,
        }
    }
}

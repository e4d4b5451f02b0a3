//! The network between a bridge and its server, which can be cut.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What an upload begins with.
const UPLOAD: &[u8] = b"POST /bridge/v1/files";
/// How much of one comes through that stalls: its head, and the first of its bytes.
const COMES_THROUGH: usize = 2048;

/// Carries connections to a server, until they are cut.
pub(crate) struct Network {
    address: SocketAddr,
    dials: Arc<AtomicUsize>,
    connections: Arc<Mutex<JoinSet<()>>>,
    stalls: Arc<AtomicBool>,
    _accepting: JoinSet<()>,
}

impl Network {
    pub(crate) async fn to(server: &str) -> Self {
        let server = server.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let (carried, mut accepting) = (Arc::clone(&connections), JoinSet::new());
        let dials = Arc::new(AtomicUsize::new(0));
        let dialled = Arc::clone(&dials);
        let stalls = Arc::new(AtomicBool::new(false));
        let stalling = Arc::clone(&stalls);
        accepting.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (server, stalling) = (server.clone(), Arc::clone(&stalling));
                dialled.fetch_add(1, Ordering::Relaxed);
                carried.lock().unwrap().spawn(async move {
                    if let Ok(far) = TcpStream::connect(&server).await {
                        carry(near, far, &stalling).await;
                    }
                });
            }
        });
        Self { address, dials, connections, stalls, _accepting: accepting }
    }

    /// What a bridge dials.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}/bridge/v1/link", self.address)
    }

    /// How many connections there were.
    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }

    /// The next file on its way to the server comes to a stop after its first bytes. Answers come through.
    pub(crate) fn stall_upload(&self) {
        self.stalls.store(true, Ordering::Relaxed);
    }

    /// Whether none has met that yet.
    pub(crate) fn is_to_stall(&self) -> bool {
        self.stalls.load(Ordering::Relaxed)
    }

    /// Cuts all that is under way, in the middle of whatever it is. New connections work.
    pub(crate) fn cut(&self) {
        self.connections.lock().unwrap().abort_all();
    }
}

/// Carries a connection until the server ends it, as it does when the other side has.
async fn carry(near: TcpStream, far: TcpStream, stalls: &AtomicBool) {
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) =
        (near.into_split(), far.into_split());
    let there = async {
        let mut some = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_near.read(&mut some).await {
            let part = &some[..length];
            let is_upload = part.windows(UPLOAD.len()).any(|window| window == UPLOAD);
            if is_upload && stalls.swap(false, Ordering::Relaxed) {
                let _ = to_far.write_all(&part[..length.min(COMES_THROUGH)]).await;
                std::future::pending::<()>().await;
            }
            if to_far.write_all(part).await.is_err() {
                break;
            }
        }
        let _ = to_far.shutdown().await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = there => {}
        _ = copy(&mut from_far, &mut to_near) => {}
    }
}

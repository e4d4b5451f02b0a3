//! The network between a bridge and its server, which can be cut.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Carries connections to a server, until they are cut.
pub(crate) struct Network {
    address: SocketAddr,
    dials: Arc<AtomicUsize>,
    connections: Arc<Mutex<JoinSet<()>>>,
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
        accepting.spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let server = server.clone();
                dialled.fetch_add(1, Ordering::Relaxed);
                carried.lock().unwrap().spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(&server).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Self { address, dials, connections, _accepting: accepting }
    }

    /// What a bridge dials.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}/bridge/v1/link", self.address)
    }

    /// How many connections there were.
    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }

    /// Cuts all that is under way, in the middle of whatever it is. New connections work.
    pub(crate) fn cut(&self) {
        self.connections.lock().unwrap().abort_all();
    }
}

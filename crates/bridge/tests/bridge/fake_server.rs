//! The server's side of the link, frame by frame: a listener on port 0 and a real [`Bridge`] that
//! dials it. Files go over the same port.

use std::{collections::VecDeque, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use switchboard_bridge::{Bridge, BridgeConfig, Driver, Refused};
use switchboard_model::{
    Line, OutboxItem,
    id::Id,
    line::Capability,
    link::{
        BridgeFrame, CarriedLine, Inbound, PROTOCOL, ReceivedEntry, Reconciled, Report, SendItem,
        ServerFrame,
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
    },
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{fake_files::FakeFiles, soon};

pub(crate) const TOKEN: &str = "the-token";

pub(crate) struct FakeServer {
    pub(crate) files: Arc<FakeFiles>,
    /// With which the bridge dials.
    pub(crate) config: BridgeConfig,
    /// Connections to the link.
    dials: Mutex<mpsc::Receiver<TcpStream>>,
    pub(crate) stop: CancellationToken,
    pub(crate) bridge: JoinHandle<Result<(), Refused>>,
    _stop_at_end: DropGuard,
}

impl FakeServer {
    /// Listens, and starts a bridge that dials.
    pub(crate) async fn start(driver: Arc<dyn Driver>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let url = format!("ws://{address}/bridge/v1/link");
        let config = BridgeConfig::new(&url, TOKEN).expect("a configuration");
        let stop = CancellationToken::new();
        let bridge = tokio::spawn(Bridge::new(config.clone(), driver).run(stop.clone()));
        let (dialled, dials) = mpsc::channel(100);
        let files = Arc::new(FakeFiles::default());
        let share = Arc::clone(&files);
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (dialled, files) = (dialled.clone(), Arc::clone(&share));
                tokio::spawn(async move {
                    let mut first = [0; 20];
                    while stream.peek(&mut first).await.is_ok_and(|n| 0 < n && n < first.len()) {
                        stream.readable().await.unwrap();
                    }
                    if first == *b"GET /bridge/v1/link " {
                        // A test that ended takes no more.
                        let _ = dialled.send(stream).await;
                    } else {
                        files.serve(stream).await;
                    }
                });
            }
        }));
        let dials = Mutex::new(dials);
        Self { files, config, dials, bridge, _stop_at_end: stop.clone().drop_guard(), stop }
    }

    /// The next connection to the link, before its handshake.
    pub(crate) async fn dialled(&self) -> TcpStream {
        self.dials.lock().await.recv().await.expect("the server runs")
    }

    /// The next socket, before its hello.
    pub(crate) async fn accept(&self) -> Peer {
        soon(async {
            let stream = self.dialled().await;
            let socket = accept_hdr_async(stream, check_token).await.expect("a handshake");
            Peer { socket, aside: VecDeque::new() }
        })
        .await
    }

    /// The next socket, welcomed, with the bridge's answer to `reconcile`.
    pub(crate) async fn welcome(
        &self,
        lines: &[CarriedLine],
        reconcile: &[Id<OutboxItem>],
    ) -> (Peer, Vec<Reconciled>) {
        let mut peer = self.accept().await;
        let hello = peer.next().await;
        assert!(matches!(hello, BridgeFrame::Hello { protocol: PROTOCOL, .. }), "{hello:?}");
        peer.send(welcome(lines, reconcile)).await;
        match peer.next().await {
            BridgeFrame::Reconciled { items } => (peer, items),
            other => panic!("not the answer to the reconcile: {other:?}"),
        }
    }
}

#[expect(clippy::result_large_err, reason = "tungstenite's callback wants it so")]
fn check_token(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    assert_eq!(request.uri().path(), "/bridge/v1/link");
    assert_eq!(request.headers()["authorization"], format!("Bearer {TOKEN}"));
    Ok(response)
}

/// One socket.
pub(crate) struct Peer {
    socket: WebSocketStream<TcpStream>,
    /// Frames that came while the test waited for another kind.
    aside: VecDeque<BridgeFrame>,
}

impl Peer {
    /// The next frame, whatever it is.
    pub(crate) async fn next(&mut self) -> BridgeFrame {
        soon(async {
            loop {
                match self.socket.next().await.expect("the link is up").expect("a message") {
                    Message::Text(text) => return serde_json::from_str(&text).expect("a frame"),
                    Message::Close(_) => panic!("the bridge closed the link"),
                    _ => {}
                }
            }
        })
        .await
    }

    /// Returns once the bridge has ended the link.
    pub(crate) async fn closed(mut self) {
        soon(async { while let Some(Ok(_)) = self.socket.next().await {} }).await;
    }

    /// The first frame that fits; others are put aside.
    async fn pick<T>(&mut self, fits: impl Fn(&BridgeFrame) -> Option<T>) -> T {
        if let Some((at, found)) =
            self.aside.iter().enumerate().find_map(|(at, frame)| Some((at, fits(frame)?)))
        {
            self.aside.remove(at);
            return found;
        }
        loop {
            let frame = self.next().await;
            if let Some(found) = fits(&frame) {
                return found;
            }
            self.aside.push_back(frame);
        }
    }

    pub(crate) async fn reports(&mut self) -> Vec<Report> {
        self.pick(|frame| match frame {
            BridgeFrame::Report { reports } => Some(reports.clone()),
            _ => None,
        })
        .await
    }

    /// So many reports, in however many frames.
    pub(crate) async fn reports_of(&mut self, count: usize) -> Vec<Report> {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(self.reports().await);
        }
        assert_eq!(all.len(), count);
        all
    }

    pub(crate) async fn inbound(&mut self) -> (Id<Line>, String, Vec<Inbound>) {
        self.pick(|frame| match frame {
            BridgeFrame::Inbound { line_id, position, entries } => {
                Some((*line_id, position.clone(), entries.clone()))
            }
            _ => None,
        })
        .await
    }

    /// What the bridge says of a line next.
    pub(crate) async fn line_can(&mut self) -> Vec<Capability> {
        self.pick(|frame| match frame {
            BridgeFrame::Line { capabilities, .. } => Some(capabilities.clone()),
            _ => None,
        })
        .await
    }

    /// Returns once the bridge has said that the line is so.
    pub(crate) async fn line_is(&mut self, wanted: bool) {
        self.pick(|frame| match frame {
            BridgeFrame::Line { online, .. } => (*online == wanted).then_some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn send(&mut self, frame: ServerFrame) {
        let text = serde_json::to_string(&frame).expect("a frame");
        soon(self.socket.send(Message::text(text))).await.expect("the link is up");
    }

    pub(crate) async fn give(&mut self, items: &[SendItem]) {
        self.send(ServerFrame::Send { items: items.to_vec() }).await;
    }

    pub(crate) async fn settle(&mut self, ids: &[Id<OutboxItem>]) {
        self.send(ServerFrame::Settled { ids: ids.to_vec() }).await;
    }

    /// Takes the next inbound batch as committed, with fresh ids for all of it.
    pub(crate) async fn take_inbound(&mut self) -> (String, Vec<Inbound>, Vec<ReceivedEntry>) {
        let (line_id, position, entries) = self.inbound().await;
        let results: Vec<ReceivedEntry> = entries
            .iter()
            .map(|entry| ReceivedEntry {
                chat_id: Some(Id::generate()),
                message_id: matches!(
                    entry,
                    Inbound::Message(_) | Inbound::Reaction(_) | Inbound::Update(_)
                )
                .then(Id::generate),
            })
            .collect();
        let (at, answers) = (position.clone(), results.clone());
        self.send(ServerFrame::Received { line_id, position: at, results: answers }).await;
        (position, entries, results)
    }
}

/// A server's welcome.
pub(crate) fn welcome(lines: &[CarriedLine], reconcile: &[Id<OutboxItem>]) -> ServerFrame {
    let (lines, reconcile) = (lines.to_vec(), reconcile.to_vec());
    let claimed = reconcile.iter().map(|id| (*id, 1)).collect();
    ServerFrame::Welcome { protocol: PROTOCOL, epoch: 1, lines, reconcile, claimed }
}

//! A bridge that is played by the test: it says and leaves out what a real one never would.

use futures_util::{SinkExt, StreamExt};
use switchboard_client::{CreateBridge, CreateLine};
use switchboard_model::{
    Bridge, Line, OutboxItem,
    id::Id,
    line::{Capability, DriverKind},
    link::{
        BridgeFrame, CarriedLine, PROTOCOL, Reconciled, ReconciledState, SendItem, ServerFrame,
    },
};
use switchboard_testkit::{Tenant, TestServer, eventually};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use crate::world::SOON;

/// A bridge on a Mac that the operator has made, with a line of its own.
pub(crate) struct Mac {
    pub(crate) id: Id<Bridge>,
    pub(crate) token: String,
    pub(crate) line: Line,
}

impl Mac {
    /// The line may write to contacts who have not written first.
    pub(crate) async fn make(server: &TestServer, tenant: &Tenant, handle: &str) -> Self {
        let admin = server.admin();
        let bridge = CreateBridge { name: format!("mac of {handle}"), driver: DriverKind::Imsg };
        let bridge = admin.create_bridge(&bridge).await.unwrap().value;
        let mut line = CreateLine::new(tenant.account, handle, DriverKind::Imsg);
        line.bridge_id = Some(bridge.bridge.id.to_string());
        line.contact_first = Some(false);
        let line = admin.create_line(&line).await.unwrap().value.line;
        Self { id: bridge.bridge.id, token: bridge.token.reveal().to_owned(), line }
    }

    /// Says what the line can do, is known to have said it, and hangs up.
    pub(crate) async fn can(&self, server: &TestServer, capabilities: &[Capability]) {
        let mut link = self.dial(server).await;
        link.say(&BridgeFrame::Reconciled { items: Vec::new() }).await;
        let (line_id, capabilities) = (self.line.id, capabilities.to_vec());
        let told = capabilities.clone();
        link.say(&BridgeFrame::Line { line_id, online: true, capabilities, reason: None }).await;
        eventually("the server knows what the line can do", async || {
            let lines = server.admin().lines().await.unwrap().value.data;
            let line = lines.into_iter().find(|one| one.line.id == line_id)?;
            (line.line.capabilities == told && line.line.status.online).then_some(())
        })
        .await;
    }

    /// Dials in and takes its lines; says nothing of what is reconciled.
    pub(crate) async fn dial(&self, server: &TestServer) -> Link {
        self.dial_again(server, false).await
    }

    /// The same; with `resumed`, as a bridge that has only lost its connection.
    pub(crate) async fn dial_again(&self, server: &TestServer, resumed: bool) -> Link {
        let mut link = Link::open(server, &self.token).await.expect("the server takes the bridge");
        link.say(&BridgeFrame::Hello {
            protocol: PROTOCOL,
            oldest_protocol: None,
            driver: DriverKind::Imsg,
            software: "a test".to_owned(),
            resumed,
            accounts: Vec::new(),
        })
        .await;
        let welcome = link.next().await.expect("the server greets");
        let ServerFrame::Welcome { lines, reconcile, .. } = welcome else { panic!("{welcome:?}") };
        link.lines = lines;
        link.reconcile = reconcile;
        link
    }
}

/// One socket to the server.
pub(crate) struct Link {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) lines: Vec<CarriedLine>,
    pub(crate) reconcile: Vec<Id<OutboxItem>>,
}

impl Link {
    /// Opens the socket and says nothing.
    pub(crate) async fn open(server: &TestServer, token: &str) -> Result<Self, Error> {
        let url = format!("{}/bridge/v1/link", server.url.replacen("http", "ws", 1));
        let mut request = url.into_client_request()?;
        let bearer = format!("Bearer {token}").parse().expect("a token of ours");
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = connect_async(request).await?;
        Ok(Self { socket, lines: Vec::new(), reconcile: Vec::new() })
    }

    pub(crate) async fn say(&mut self, frame: &BridgeFrame) {
        self.say_text(&serde_json::to_string(frame).unwrap()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// What the server says next; none when the link is at its end.
    pub(crate) async fn next(&mut self) -> Option<ServerFrame> {
        loop {
            let next = tokio::time::timeout(SOON, self.socket.next());
            match next.await.expect("the server says something, or hangs up") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Answers `reconcile`, the same for each item, and takes items of the line from now on.
    pub(crate) async fn take(&mut self, line: &Line, state: &ReconciledState) {
        let reconciled = |id: &Id<OutboxItem>| Reconciled { id: *id, state: state.clone() };
        let items = self.reconcile.iter().map(reconciled).collect();
        self.say(&BridgeFrame::Reconciled { items }).await;
        let capabilities = Capability::ALL.to_vec();
        self.say(&BridgeFrame::Line { line_id: line.id, online: true, capabilities, reason: None })
            .await;
    }

    /// Waits for items.
    pub(crate) async fn items(&mut self) -> Vec<SendItem> {
        loop {
            match self.next().await.expect("the link lives") {
                ServerFrame::Send { items } => return items,
                ServerFrame::Bye { reason, .. } => panic!("the server ends the link: {reason}"),
                _ => {}
            }
        }
    }

    /// Waits for the server's farewell: the reason, and whether dialling again may help.
    pub(crate) async fn bye(&mut self) -> (String, bool) {
        loop {
            if let ServerFrame::Bye { reason, retry, .. } = self.next().await.expect("a farewell") {
                return (reason, retry);
            }
        }
    }
}

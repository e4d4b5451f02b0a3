//! A network that is cut: a proxy whose connections all break, again and again.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rand::{RngExt, rngs::StdRng};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::broadcast,
    task::JoinHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

pub(super) struct Proxy {
    address: SocketAddr,
    cut: Arc<broadcast::Sender<()>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(url: &str) -> Self {
        let target = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(broadcast::channel(1).0);
        let accepting = tokio::spawn({
            let cut = Arc::clone(&cut);
            async move {
                while let Ok((mut client, _)) = listener.accept().await {
                    let (target, mut cut) = (target.clone(), cut.subscribe());
                    tokio::spawn(async move {
                        let Ok(mut server) = TcpStream::connect(target).await else { return };
                        tokio::select! {
                            _ = copy_bidirectional(&mut client, &mut server) => {}
                            _ = cut.recv() => {
                                // A reset, as of a machine that is gone, and no orderly end.
                                let _ = client.set_zero_linger();
                                let _ = server.set_zero_linger();
                            }
                        }
                    });
                }
            }
        });
        Self { address, cut, accepting }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts all connections every now and then.
    pub(super) fn cut_at_random(
        &self,
        mut chance: StdRng,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let cut = Arc::clone(&self.cut);
        async move {
            loop {
                let pause = Duration::from_millis(chance.random_range(100..1500));
                if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                    return;
                }
                let _ = cut.send(());
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

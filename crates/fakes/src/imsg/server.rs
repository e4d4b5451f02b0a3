//! Children of the Mac: each connection is one process.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    sync::{mpsc, oneshot},
};

use super::{
    command,
    rpc::{Said, Session},
    state::Shared,
    wire,
};

/// The longest line that is read. imsg has no limit; a test that needs more is broken.
const LINE: u64 = 64 << 20;

/// Takes children for as long as the runtime runs.
pub(crate) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        if let Ok((socket, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            // A child that goes away with an error is a child that was killed.
            tokio::spawn(async move { child(&shared, socket).await });
        }
    }
}

async fn child(shared: &Arc<Shared>, socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let (read, mut write) = socket.into_split();
    let mut read = BufReader::new(read);
    let mut line = String::new();
    read.read_line(&mut line).await?;
    let Some((args, version)) = wire::read_hello(&line) else {
        write
            .write_all(b"efake-imsg is of another build: cargo build -p switchboard-fakes\nx1\n")
            .await?;
        return Ok(());
    };
    let installed = shared.look(|state| state.version.clone());
    let version = version.unwrap_or_else(|| installed.clone());
    if args.first().is_none_or(|arg| arg != "rpc") {
        let (lines, code) = command::run(shared, &args, &version).await;
        for line in lines {
            write.write_all(format!("o{line}\n").as_bytes()).await?;
        }
        return write.write_all(format!("x{code}\n").as_bytes()).await;
    }
    let database = match command::rpc_database(&args) {
        Ok(_) if shared.look(|state| state.broken) => {
            Err("Error: imsg can't be started".to_owned())
        }
        database => database,
    };
    let database = match database {
        Ok(database) => database,
        Err(error) => return write.write_all(format!("o{error}\nx1\n").as_bytes()).await,
    };

    let number = shared.change(|state| {
        state.children += 1;
        state.running.insert(state.children);
        state.children
    });
    let _running = Running { shared, number };
    let (said, to_say) = mpsc::channel(64);
    let (died, mut dies) = oneshot::channel();
    let session =
        Session::start(Arc::clone(shared), number, [installed, version], database, said, died);
    let speak = tokio::spawn(speak(to_say, write));
    if shared.look(|state| state.noise) {
        session.noise("ABGroup: no such property (harmless)").await;
    }
    let ended = tokio::select! {
        ended = read_input(&session, &mut read) => ended,
        _ = &mut dies => Err(io::ErrorKind::BrokenPipe.into()),
    };
    // The end of stdin: what was accepted is carried out, unless the child is killed meanwhile.
    let drained = ended.is_ok()
        && tokio::select! {
            () = session.drain() => true,
            _ = read.read_u8() => false,
            _ = &mut dies => false,
        };
    session.kill().await;
    drop(session);
    if !drained {
        // The child sees the end of its connection, and dies.
        speak.abort();
    } else if let Ok(Ok(mut write)) = speak.await {
        write.write_all(b"x0\n").await?;
    }
    Ok(())
}

/// Forgets a child when it has ended.
struct Running<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.change(|state| state.running.remove(&self.number));
    }
}

/// Hands on lines until stdin ends; an error is a child that is gone.
async fn read_input(
    session: &Session,
    read: &mut (impl AsyncBufReadExt + Unpin),
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut *read).take(LINE);
        if limited.read_until(b'\n', &mut line).await? == 0 || line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.first() {
            Some(&wire::INPUT) => session.take(&line[1..line.len() - 1]).await,
            _ => return Ok(()),
        }
    }
}

/// Writes what is said, and gives the connection back when nobody says anything any more.
async fn speak(
    mut said: mpsc::Receiver<Said>,
    mut write: OwnedWriteHalf,
) -> io::Result<OwnedWriteHalf> {
    while let Some(said) = said.recv().await {
        let line = match said {
            Said::Out(line) => format!("o{line}\n"),
            Said::Err(line) => format!("e{line}\n"),
        };
        write.write_all(line.as_bytes()).await?;
    }
    Ok(write)
}

//! A TCP proxy in front of a cluster, which a test can pause, break or close.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the proxy treats bytes and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyMode {
    /// Bytes pass.
    Open,
    /// Bytes pass until a client sends this text. The proxy drops that message and pauses the connection.
    Until(&'static str),
    /// Connections stay open and are accepted, but no byte passes in either direction: a black hole.
    Paused,
    /// Every connection ends at once.
    Cut,
}

impl ProxyMode {
    fn swallows(self, bytes: &[u8]) -> bool {
        matches!(self, Self::Until(word) if bytes.windows(word.len()).any(|part| part == word.as_bytes()))
    }
}

/// The proxy, which stops when its value is dropped.
pub(super) struct TcpProxy {
    pub(super) port: u16,
    mood: watch::Sender<ProxyMode>,
    taken: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl TcpProxy {
    /// Starts a proxy to the server that listens on this socket.
    pub(super) async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mood, moods) = watch::channel(ProxyMode::Open);
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(carry(client, socket.clone(), moods.clone()));
            }
        });
        Self { port, mood, taken, task }
    }

    pub(super) fn set(&self, mood: ProxyMode) {
        self.mood.send_replace(mood);
    }

    /// Number of connections so far.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, socket: PathBuf, mut moods: watch::Receiver<ProxyMode>) {
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    let (mut up, mut down) = (vec![0; 16_384], vec![0; 16_384]);
    let mut stuck = false;
    loop {
        let mood = *moods.borrow_and_update();
        if mood == ProxyMode::Cut {
            return;
        }
        let open = matches!(mood, ProxyMode::Open | ProxyMode::Until(_)) && !stuck;
        let passed = tokio::select! {
            changed = moods.changed() => changed.map(|()| 1).map_err(std::io::Error::other),
            read = client.read(&mut up), if open => {
                stuck = read.as_ref().is_ok_and(|size| mood.swallows(&up[..*size]));
                if stuck { Ok(1) } else { pass(read, &up, &mut server).await }
            }
            read = server.read(&mut down), if open => pass(read, &down, &mut client).await,
        };
        if !matches!(passed, Ok(1..)) {
            return;
        }
    }
}

async fn pass(
    read: std::io::Result<usize>,
    bytes: &[u8],
    to: &mut (impl AsyncWriteExt + Unpin),
) -> std::io::Result<usize> {
    let size = read?;
    to.write_all(&bytes[..size]).await?;
    Ok(size)
}

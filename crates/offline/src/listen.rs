//! Accepts connections and serves HTTP/1.1 on them, over TLS if the options have a TLS configuration.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::plan::wire::{ConnectionControl, ConnectionFault, ControlledStream};
use crate::route;
use crate::state::Shared;

/// Runs until the token is cancelled; the tracker owns every connection.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((tcp, _)) = accepted else { continue };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                ended = connection(tcp, shared) => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection to the offline backend ended");
                },
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn connection(tcp: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let line = ConnectionControl::new(shared.recorder.connected(), tcp.peer_addr().ok());
    let greeting = shared.greetings.lock().pop_front();
    if let Some(greeting) = greeting {
        return greet(tcp, greeting).await;
    }
    let alive = Arc::clone(&shared);
    let speaking = speak(tcp, shared, line);
    tokio::pin!(speaking);
    tokio::select! {
        ended = &mut speaking => return ended,
        () = alive.freeze.notified() => {}
    }
    // The TCP connection stays open without an answer.
    std::future::pending().await
}

async fn speak(tcp: TcpStream, shared: Arc<Shared>, line: Arc<ConnectionControl>) -> io::Result<()> {
    let wire = ControlledStream::new(tcp, Arc::clone(&line));
    let tls = shared.options.tls.clone();
    let served = Arc::clone(&line);
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, line) = (Arc::clone(&shared), Arc::clone(&served));
        async move { route::serve(shared, line, request).await }
    });
    let http = http1::Builder::new();
    let ended = match tls {
        None => http.serve_connection(TokioIo::new(wire), service).with_upgrades().await,
        Some(tls) => {
            let wire = TlsAcceptor::from(tls).accept(wire).await?;
            http.serve_connection(TokioIo::new(wire), service).with_upgrades().await
        }
    };
    if let Some(socket) = line.upgraded() {
        socket.await;
    }
    ended.map_err(io::Error::other)
}

async fn greet(mut tcp: TcpStream, greeting: ConnectionFault) -> io::Result<()> {
    match greeting {
        ConnectionFault::Close => Ok(()),
        ConnectionFault::Reset => socket2::SockRef::from(&tcp).set_linger(Some(std::time::Duration::ZERO)),
        ConnectionFault::Silence => std::future::pending().await,
        ConnectionFault::Bytes(blob) => {
            let bytes: Bytes = blob.0;
            tcp.write_all(&bytes).await?;
            tcp.shutdown().await
        }
    }
}

//! The accept loop and the life of connections: caps, socket options, hyper with every timer set, and the drain.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::connection::head_filter::{HeadFilter, Version};
use crate::connection::state::{ConnectionState, ListenerKind, Phase};
use crate::guard::Counters;
use crate::response::shutting_down;
use crate::service;
use crate::settings::Limits;

const KEEPALIVE: Duration = Duration::from_secs(30);
const USER_TIMEOUT: Duration = Duration::from_mins(1);
/// Pause after the system refuses an accept (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves on `listeners` until `drain`, then lets replies finish until the drain limit or `now`. A panic of a listener is
/// propagated to the owner of this task, because no connection would be accepted any more.
pub(crate) async fn run(
    app: Arc<App>,
    listeners: Vec<(TcpListener, ListenerKind)>,
    drain: CancellationToken,
    now: CancellationToken,
) {
    let all = Arc::new(Connections::default());
    let (mut accepting, stop) = (JoinSet::new(), CancellationToken::new());
    for listener in listeners {
        accepting.spawn(accept(app.clone(), all.clone(), listener, stop.clone()));
    }
    let end = async {
        tokio::select! {
            () = drain.cancelled() => {}
            () = now.cancelled() => {}
            Some(ended) = accepting.join_next() => propagate_panic(ended),
        }
        app.set_not_ready();
        let delay = app.settings.limits.drain_delay;
        if !delay.is_zero() {
            tokio::select! { () = now.cancelled() => {} () = sleep(delay) => {} }
        }
        app.close_endless_streams();
        stop.cancel();
        while let Some(ended) = accepting.join_next().await {
            propagate_panic(ended);
        }
        all.tasks.close();
        all.advance(Phase::Drain);
        tokio::select! {
            () = all.tasks.wait() => return,
            () = now.cancelled() => {}
            () = sleep(app.settings.limits.drain) => {}
        }
        app.engine.announce_shutdown(shutting_down());
        app.abort.cancel();
        all.advance(Phase::Abort);
        let _ = tokio::time::timeout(app.settings.limits.abort_timeout, all.tasks.wait()).await;
        all.advance(Phase::Dead);
        all.tasks.wait().await;
    };
    let rounds = async {
        // The loop looks for stalled HTTP/2 streams ten times within the limit.
        let limit = app.limits.write_stall;
        loop {
            sleep(limit / 10).await;
            all.reset_stalled(limit);
        }
    };
    futures_util::future::select(pin!(end), pin!(rounds)).await;
}

/// Propagates the panic of a listener's task.
fn propagate_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

async fn accept(
    app: Arc<App>,
    all: Arc<Connections>,
    (listener, kind): (TcpListener, ListenerKind),
    stop: CancellationToken,
) {
    let private = listener.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
    // Such an error repeats 20 times a second; only its 1st, 2nd, 4th, 8th and so on is logged.
    let mut troubles = 0_u64;
    loop {
        let accepted = tokio::select! { () = stop.cancelled() => return, accepted = listener.accept() => accepted };
        match accepted {
            Ok((socket, peer)) => admit(&app, &all, socket, (peer.ip(), (private, kind))),
            Err(error) if is_connection_error(&error) => {}
            Err(error) => {
                troubles += 1;
                if troubles.is_power_of_two() {
                    tracing::warn!(%error, times = troubles, "cannot accept connections; hint: raise the limit of open files");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Errors of one connection that do not concern the listener.
fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn admit(app: &Arc<App>, all: &Arc<Connections>, socket: TcpStream, (peer, place): (IpAddr, (bool, ListenerKind))) {
    let limits = &app.settings.limits;
    let Ok(local) = socket.local_addr() else { return };
    let connection = Arc::new(ConnectionState::new(peer, local, place));
    let many = app.settings.trusted_proxies.iter().any(|network| network.contains(connection.peer));
    let per_address = if many { usize::MAX } else { limits.per_address };
    let Some(place) = all.enter(connection.clone(), limits.connections, per_address) else {
        Counters::add(&app.counters.connections);
        return;
    };
    if let Err(error) = set_socket_options(&socket) {
        tracing::debug!(%error, "socket options");
    }
    let (app, table) = (app.clone(), all.clone());
    all.tasks.spawn(async move {
        let _place = place;
        if let Err(error) = serve_connection(app, table, connection, socket).await {
            tracing::debug!(error = %error, "connection ended");
        }
    });
}

fn set_socket_options(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

async fn serve_connection(
    app: Arc<App>,
    all: Arc<Connections>,
    connection: Arc<ConnectionState>,
    socket: TcpStream,
) -> Result<(), Failed> {
    let limits = app.limits.clone();
    let mut filter = HeadFilter::new(socket, connection.clone(), limits.clone());
    let version = filter.version().await?;
    let served = connection.clone();
    let service = service_fn(move |request| {
        // Boxed, because hyper keeps room for this future for the life of the connection: hours, for a stream.
        let answer = Box::pin(service::serve(app.clone(), served.clone(), request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let io = TokioIo::new(filter);
    if version == Version::Http1 {
        let conn = Box::pin(http1_builder(&limits).serve_connection(io, service).with_upgrades());
        let conn = DrivenConnection {
            connection: connection.clone(),
            conn,
            finish: Some(http1::UpgradeableConnection::graceful_shutdown),
        };
        let served = conn.await;
        // Taken in any case, because the task holds the connection state, which holds the task.
        let later = connection.take_upgrade();
        served?;
        if let Some(mut socket) = later {
            let dead = |cx: &Context<'_>| connection.phase(cx.waker()) == Phase::Dead;
            poll_fn(|cx| if dead(cx) { Poll::Ready(()) } else { socket.as_mut().poll(cx) }).await;
        }
    } else {
        connection.set_http2();
        let executor = StreamExecutor { all, connection: Arc::clone(&connection) };
        let conn = Box::pin(http2_builder(&limits, executor).serve_connection(io, service));
        DrivenConnection { connection, conn, finish: Some(http2::Connection::graceful_shutdown) }.await?;
    }
    Ok(())
}

/// What hyper may gather in front of a write beyond the longest head; the same limit holds for its reads, which must take a whole head.
/// hyper keeps the buffer for the life of the connection.
const GATHERED: usize = 8 << 10;

type Failed = Box<dyn std::error::Error + Send + Sync>;

fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // A frame is copied into one buffer: for a token, a vectored write of chunk size, data and line end costs 1 us more than the copy.
    builder.writev(false).max_buf_size(limits.head_bytes + GATHERED);
    // The head filter has its own timer for a head; hyper's timer runs between requests, before the first byte.
    builder.timer(TokioTimer::new()).header_read_timeout(limits.idle);
    // The head filter has counted the headers. hyper keeps its default of 100 headers on the stack, but any configured number on the heap.
    if limits.headers > 100 {
        builder.max_headers(limits.headers);
    }
    builder
}

fn http2_builder(limits: &Limits, executor: StreamExecutor) -> http2::Builder<StreamExecutor> {
    let mut builder = http2::Builder::new(executor);
    builder.timer(TokioTimer::new()).keep_alive_interval(limits.h2_ping).keep_alive_timeout(limits.h2_pong);
    builder.max_concurrent_streams(limits.h2_streams);
    builder.max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX));
    builder.initial_stream_window_size(limits.h2_window).initial_connection_window_size(limits.h2_window);
    builder
}

/// Spawns the tasks of HTTP/2 streams on the tracker, so that the drain waits for the tasks and the connection can abort each one.
#[derive(Clone)]
struct StreamExecutor {
    all: Arc<Connections>,
    connection: Arc<ConnectionState>,
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for StreamExecutor {
    fn execute(&self, task: F) {
        self.connection.track_task(self.all.tasks.spawn(task).abort_handle());
    }
}

/// Drives a connection, and follows the phase in the connection's state. The future reads a flag instead of polling a second future,
/// because it is polled for every token.
struct DrivenConnection<C> {
    connection: Arc<ConnectionState>,
    conn: Pin<Box<C>>,
    /// Starts hyper's graceful shutdown; taken when used.
    finish: Option<fn(Pin<&mut C>)>,
}

impl<C: Future<Output = hyper::Result<()>>> Future for DrivenConnection<C> {
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        let phase = self.connection.phase(cx.waker());
        if phase == Phase::Dead {
            return Poll::Ready(Ok(()));
        }
        if phase != Phase::Open
            && let Some(finish) = self.finish.take()
        {
            finish(self.conn.as_mut());
        }
        self.conn.as_mut().poll(cx)
    }
}

/// The open connections.
#[derive(Debug, Default)]
struct Connections {
    tasks: TaskTracker,
    table: Mutex<ConnectionTable>,
}

#[derive(Debug, Default)]
struct ConnectionTable {
    next: u64,
    open: HashMap<u64, Arc<ConnectionState>>,
    per_address: HashMap<IpAddr, usize>,
}

/// A permit for one connection, released on drop.
struct ConnectionPermit {
    all: Arc<Connections>,
    id: u64,
}

impl Connections {
    fn enter(
        self: &Arc<Self>,
        connection: Arc<ConnectionState>,
        most: usize,
        per_address: usize,
    ) -> Option<ConnectionPermit> {
        let mut table = self.table.lock();
        let of_peer = table.per_address.get(&connection.peer).copied().unwrap_or(0);
        if table.open.len() >= most || (of_peer >= per_address && !connection.peer.is_loopback()) {
            return None;
        }
        table.per_address.insert(connection.peer, of_peer + 1);
        table.next += 1;
        let id = table.next;
        table.open.insert(id, connection);
        Some(ConnectionPermit { all: self.clone(), id })
    }

    fn connections(&self) -> Vec<Arc<ConnectionState>> {
        self.table.lock().open.values().cloned().collect()
    }

    fn advance(&self, phase: Phase) {
        self.connections().iter().for_each(|connection| connection.advance(phase));
    }

    fn reset_stalled(&self, limit: Duration) {
        self.connections().iter().for_each(|connection| connection.reset_stalled(limit));
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut table = self.all.table.lock();
        let Some(connection) = table.open.remove(&self.id) else { return };
        let left = table.per_address.get(&connection.peer).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            table.per_address.remove(&connection.peer);
        } else {
            table.per_address.insert(connection.peer, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_listener_by_a_panic_is_passed_on() {
        let ended = |task: JoinSet<()>| async move { propagate_panic({ task }.join_next().await.expect("a task")) };
        let mut well = JoinSet::new();
        well.spawn(async {});
        ended(well).await;
        let mut badly = JoinSet::new();
        badly.spawn(async { assert!(std::hint::black_box(false), "a defect") });
        let outcome = tokio::spawn(ended(badly)).await;
        assert!(outcome.is_err_and(|error| error.is_panic()));
    }
}

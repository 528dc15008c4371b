//! The loopback listener for the redirect of a browser login. The listener exists while one login waits, and serves one path.
//!
//! The state is checked first: without it, a request can neither end the login nor pass a code. No answer repeats the Host header
//! or a parameter.

use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use pool::Secret;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::form_urlencoded;

use super::page::Page;
use super::reply::clean;

/// The ports that the provider accepts as redirects of this client id.
const PORTS: [u16; 2] = [1455, 1457];
const PATH: &str = "/auth/callback";
const LIFETIME: Duration = Duration::from_mins(10);
/// A browser that takes longer to send a request or to receive the page is disconnected.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 16;
const CODE: usize = 2048;

/// A listener that waits for one login.
#[derive(Debug)]
pub struct Callback {
    v4: TcpListener,
    /// `None` on machines without IPv6.
    v6: Option<TcpListener>,
    port: u16,
    state: Secret,
}

/// Why the login gave no code.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// Both ports are taken.
    #[error("ports 1455 and 1457 are taken; hint: end the other login, or use `login --device` or `login --import`")]
    PortsInUse,
    /// The loopback listener cannot be opened.
    #[error("cannot listen on 127.0.0.1: {0}; hint: use `login --device` or `login --import`")]
    Listen(std::io::Error),
    /// The login was not finished within 10 minutes.
    #[error("the login was not finished within 10 minutes; hint: start it again")]
    Expired,
    /// The provider sent an error instead of a code.
    #[error("the provider refused the login: {0}")]
    Denied(String),
    /// A pasted address that belongs to another login.
    #[error("this address belongs to another login; hint: open the link printed last and paste where it ends")]
    WrongState,
    /// A pasted address without a code.
    #[error("there is no code in this address; hint: paste the whole address, starting with http://127.0.0.1:1455/")]
    NoCode,
}

/// The result of a request's parameters.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Code(Secret),
    Denied(String),
    WrongState,
    NoCode,
}

type Outcome = Result<Secret, CallbackError>;

/// The state shared by all connections.
struct CallbackState {
    state: Secret,
    /// Empty once the login is finished.
    outcome: Mutex<Option<oneshot::Sender<Outcome>>>,
}

impl Callback {
    /// Listens on 127.0.0.1 and ::1, on port 1455 or else 1457, for the login with this `state`.
    pub async fn bind(state: impl AsRef<str>) -> Result<Self, CallbackError> {
        Self::bind_on(&PORTS, state.as_ref()).await
    }

    /// As [`Callback::bind`] on other ports; 0 takes a free one.
    pub async fn bind_on(ports: &[u16], state: &str) -> Result<Self, CallbackError> {
        for &port in ports {
            if let Some((v4, v6)) = listen(port).await.map_err(CallbackError::Listen)? {
                let port = v4.local_addr().map_err(CallbackError::Listen)?.port();
                return Ok(Self { v4, v6, port, state: Secret::new(state) });
            }
        }
        Err(CallbackError::PortsInUse)
    }

    /// The redirect URL for the authorize URL and the code exchange: the listener's own address, never one from a request.
    pub fn redirect(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for the browser, 10 minutes at most, then closes the listener.
    pub async fn code(self) -> Outcome {
        let (sender, receiver) = oneshot::channel();
        let callback = Arc::new(CallbackState { state: self.state, outcome: Mutex::new(Some(sender)) });
        let mut connections = JoinSet::new();
        let outcome = tokio::select! {
            outcome = receiver => outcome.expect("invariant: the callback state outlives the wait"),
            () = tokio::time::sleep(LIFETIME) => Err(CallbackError::Expired),
            () = serve(&self.v4, self.v6.as_ref(), &callback, &mut connections) => Err(CallbackError::Expired),
        };
        // A page may not be written completely yet. Connections that remain after the timeout are closed when the set is dropped.
        let _ = timeout(Duration::from_secs(1), async { while connections.join_next().await.is_some() {} }).await;
        outcome
    }
}

/// The code in an address that the user pasted: the whole URL or only its query.
pub fn code_from_pasted(text: &str, state: &str) -> Outcome {
    let text = text.trim();
    let query = text.split_once('?').map_or(text, |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    match verdict(query, &Secret::new(state)) {
        Verdict::Code(code) => Ok(code),
        Verdict::Denied(why) => Err(CallbackError::Denied(why)),
        Verdict::WrongState => Err(CallbackError::WrongState),
        Verdict::NoCode => Err(CallbackError::NoCode),
    }
}

/// Listens on both loopback addresses of one port. `None` when either is taken: the other program could get the browser's request to
/// `localhost`.
async fn listen(port: u16) -> std::io::Result<Option<(TcpListener, Option<TcpListener>)>> {
    use std::io::ErrorKind::AddrInUse;
    let v4 = match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
        Err(error) if error.kind() == AddrInUse => return Ok(None),
        result => result?,
    };
    let port = v4.local_addr()?.port();
    match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await {
        Ok(v6) => Ok(Some((v4, Some(v6)))),
        Err(error) if error.kind() == AddrInUse => Ok(None),
        Err(_) => Ok(Some((v4, None))),
    }
}

async fn serve(
    v4: &TcpListener,
    v6: Option<&TcpListener>,
    callback: &Arc<CallbackState>,
    connections: &mut JoinSet<()>,
) {
    loop {
        let stream = tokio::select! {
            accepted = v4.accept() => accepted,
            accepted = accept(v6) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        // `accept` fails for temporary reasons (no free descriptors); the time limit of the login bounds the retries.
        let Ok((stream, _)) = stream else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if connections.len() < CONNECTIONS {
            connections.spawn(serve_page(stream, Arc::clone(callback)));
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn serve_page(stream: TcpStream, callback: Arc<CallbackState>) {
    let service = service_fn(|request| {
        let page = callback.answer(&request);
        async move { Ok::<_, Infallible>(page) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(16 * 1024)
        .timer(TokioTimer::new())
        .header_read_timeout(CLIENT_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // A lost connection to the browser does not affect the login.
    let _ = timeout(CLIENT_TIMEOUT * 2, connection).await;
}

impl CallbackState {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let page = match (request.method(), request.uri().path()) {
            (&Method::GET, PATH) => self.finish(verdict(request.uri().query().unwrap_or_default(), &self.state)),
            (&Method::GET, _) => Page::NotFound,
            _ => Page::MethodNotAllowed,
        };
        page.answer()
    }

    /// Ends the wait, at most once. A request without the right state, or without a code, does not end the wait.
    fn finish(&self, verdict: Verdict) -> Page {
        let (outcome, page) = match verdict {
            Verdict::WrongState => return Page::WrongState,
            Verdict::NoCode => return Page::NoCode,
            Verdict::Code(code) => (Ok(code), Page::Done),
            Verdict::Denied(why) => (Err(CallbackError::Denied(why)), Page::Denied),
        };
        match self.outcome.lock().take() {
            Some(sender) => sender.send(outcome).map_or(Page::Used, |()| page),
            None => Page::Used,
        }
    }
}

fn verdict(query: &str, state: &Secret) -> Verdict {
    if single_parameter(query, "state").is_none_or(|value| Secret::new(value) != *state) {
        return Verdict::WrongState;
    }
    if let Some(error) = single_parameter(query, "error") {
        let why = single_parameter(query, "error_description").unwrap_or_default();
        return Verdict::Denied(clean(format!("{error} {why}").trim()));
    }
    let fit = |code: &String| (1..=CODE).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic());
    single_parameter(query, "code").filter(fit).map_or(Verdict::NoCode, |code| Verdict::Code(Secret::new(code)))
}

/// A parameter's value, if the parameter occurs exactly once.
fn single_parameter(query: &str, name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = values.next()?.1.into_owned();
    values.next().is_none().then_some(value)
}

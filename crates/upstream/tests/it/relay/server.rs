//! A small HTTP/1.1 server that answers each request by a script and records the requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A request with its whole body.
#[derive(Clone, Debug)]
pub(super) struct ReceivedRequest {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl ReceivedRequest {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(super) struct Server {
    pub(super) addr: SocketAddr,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
    _tasks: JoinSet<()>,
}

pub(super) type FullResponse = Response<Full<Bytes>>;
type Script = Arc<dyn Fn(&ReceivedRequest) -> FullResponse + Send + Sync>;

impl Server {
    pub(super) async fn open(script: impl Fn(&ReceivedRequest) -> FullResponse + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (script, requests): (Script, _) = (Arc::new(script), Arc::new(Mutex::new(Vec::new())));
        let log = Arc::clone(&requests);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, requests) = (Arc::clone(&script), Arc::clone(&log));
                let service = service_fn(move |request| serve(request, Arc::clone(&script), Arc::clone(&requests)));
                connections.spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { addr, requests, _tasks: server }
    }

    pub(super) fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Everything that was asked, in order.
    pub(super) fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.lock().clone()
    }

    pub(super) fn only(&self) -> ReceivedRequest {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }
}

async fn serve(
    request: Request<Incoming>,
    script: Script,
    log: Arc<Mutex<Vec<ReceivedRequest>>>,
) -> Result<FullResponse, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path_and_query().unwrap().to_string();
    let request = ReceivedRequest { method: head.method, path, headers: head.headers, body };
    log.lock().push(request.clone());
    Ok(script(&request))
}

/// An answer of JSON.
pub(super) fn json(status: u16, body: impl Into<Bytes>) -> FullResponse {
    response(status, &[("content-type", "application/json")], body)
}

pub(super) fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> FullResponse {
    let response = headers
        .iter()
        .fold(Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
    response.body(Full::new(body.into())).unwrap()
}

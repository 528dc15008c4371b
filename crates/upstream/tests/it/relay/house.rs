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
pub(super) struct Asked {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(super) struct House {
    pub(super) addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _server: JoinSet<()>,
}

pub(super) type Said = Response<Full<Bytes>>;
type Script = Arc<dyn Fn(&Asked) -> Said + Send + Sync>;

impl House {
    pub(super) async fn open(script: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (script, asked): (Script, _) = (Arc::new(script), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&asked);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, asked) = (Arc::clone(&script), Arc::clone(&kept));
                let service = service_fn(move |request| serve(request, Arc::clone(&script), Arc::clone(&asked)));
                connections.spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { addr, asked, _server: server }
    }

    pub(super) fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// All requests, in order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    pub(super) fn only(&self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }
}

async fn serve(request: Request<Incoming>, script: Script, kept: Arc<Mutex<Vec<Asked>>>) -> Result<Said, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path_and_query().unwrap().to_string();
    let asked = Asked { method: head.method, path, headers: head.headers, body };
    kept.lock().push(asked.clone());
    Ok(script(&asked))
}

/// A JSON answer.
pub(super) fn json(status: u16, body: impl Into<Bytes>) -> Said {
    said(status, &[("content-type", "application/json")], body)
}

pub(super) fn said(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Said {
    let response = headers
        .iter()
        .fold(Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
    response.body(Full::new(body.into())).unwrap()
}

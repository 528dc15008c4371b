//! The backend over TLS.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::client::{classic, turn};
use crate::{Offline, Options, Plan, Rule, Termination};

#[tokio::test]
async fn answers_and_cuts_under_tls() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let backend = Offline::start(Options { tls: Some(Arc::new(server)), ..Options::default() }).await.unwrap();
    assert!(backend.base_url().starts_with("https://127.0.0.1:"));
    let account = backend.account("plus");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client =
        TlsConnector::from(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()));
    backend.add_rule(Rule::responses(Plan::auto().cut_event(2, Termination::Fin)).skip(1));
    for (whole, last) in [(true, "response.completed"), (false, "response.in_progress")] {
        let tcp = TcpStream::connect(backend.addr()).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut tls = client.connect(name, tcp).await.unwrap();
        tls.write_all(&turn(&account, &classic("hello"))).await.unwrap();
        let mut got = Vec::new();
        let ended = tls.read_to_end(&mut got).await;
        let text = String::from_utf8_lossy(&got).into_owned();
        assert!(text.contains(last) && text.ends_with("0\r\n\r\n") == whole);
        assert_eq!(ended.is_ok(), whole, "a FIN without close_notify is an error");
    }
}

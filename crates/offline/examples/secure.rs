//! Runs the backend over TLS, for clients that accept nothing else, such as the official client with a ChatGPT login. Prints one
//! line of JSON with the backend's URL and the path of the certificate to trust. Exits when standard input closes.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use offline::{Offline, Options};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: secure FOLDER")?;
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let certificate = Path::new(&folder).join("offline.pem");
    std::fs::write(&certificate, issued.cert.pem())?;
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der())?;
    let tls = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![issued.cert.der().clone()], key)?;
    let backend = Offline::start(Options { tls: Some(Arc::new(tls)), ..Options::default() }).await?;
    let facts = serde_json::json!({ "offline": backend.auth_url(), "certificate": certificate });
    writeln!(std::io::stdout(), "{facts}")?;
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    backend.stop().await;
    Ok(())
}

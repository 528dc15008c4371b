//! The certificate verifier: the system's authorities plus a bundle, loaded when the first certificate must be checked.
//!
//! Loading costs about 30 ms and some MiB, so a gateway that only talks to loopback never loads it.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::sync::OnceCell;

use super::dial::SessionCache;
use crate::config::BuildError;

/// The verifier and its settings.
#[derive(Debug)]
pub(crate) struct CertificateVerifier {
    provider: Arc<CryptoProvider>,
    extra: Vec<CertificateDer<'static>>,
    /// Protocols that a hello offers, the preferred one first.
    alpn: Vec<Vec<u8>>,
    verifier: OnceLock<Verifier>,
    warmed: OnceCell<()>,
}

impl CertificateVerifier {
    /// Reads the bundle, not the system's store. With `force_http11` no hello offers HTTP/2.
    pub(crate) fn new(bundle: Option<&Path>, force_http11: bool) -> Result<Arc<Self>, BuildError> {
        let extra = bundle.map(read).transpose()?.unwrap_or_default();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let offered: &[&[u8]] = if force_http11 { &[b"http/1.1"] } else { &[b"h2", b"http/1.1"] };
        let alpn = offered.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(Self { provider, extra, alpn, verifier: OnceLock::new(), warmed: OnceCell::new() }))
    }

    /// TLS settings with this verifier. `tests/hello.rs` checks the hello that the settings produce.
    pub(crate) fn config(self: &Arc<Self>) -> Result<ClientConfig, BuildError> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| BuildError::Client(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(self) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        config.alpn_protocols.clone_from(&self.alpn);
        config.resumption = rustls::client::Resumption::store(Arc::new(SessionCache::new()));
        Ok(config)
    }

    /// Loads the certificate store off the runtime's threads, once. A failure is reported by the handshake.
    pub(crate) async fn warm(self: &Arc<Self>) {
        if !self.cold() {
            return;
        }
        let load = || async {
            let roots = Arc::clone(self);
            let _ = tokio::task::spawn_blocking(move || roots.load().map(|_| ())).await;
        };
        self.warmed.get_or_init(load).await;
    }

    /// Whether [`CertificateVerifier::load`] still has work to do.
    fn cold(&self) -> bool {
        self.verifier.get().is_none()
    }

    /// Loads the store if it is not loaded yet; after a failure the next caller tries again.
    pub(crate) fn load(&self) -> Result<&Verifier, Error> {
        if let Some(verifier) = self.verifier.get() {
            return Ok(verifier);
        }
        let fresh = Verifier::new_with_extra_roots(self.extra.iter().cloned(), Arc::clone(&self.provider))?;
        Ok(self.verifier.get_or_init(|| fresh))
    }
}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.load()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let bad = |problem: String| BuildError::Bundle { path: path.to_owned(), problem };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(error.to_string()))?;
    if certificates.is_empty() { Err(bad("no certificate in it".to_owned())) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn building_a_client_loads_no_certificates() {
        let roots = CertificateVerifier::new(None, false).unwrap();
        roots.config().unwrap();
        assert!(roots.cold());
    }
}

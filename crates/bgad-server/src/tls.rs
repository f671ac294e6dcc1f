//! TLS from PEM files, read again when they change.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};

use crate::version::Stamp;

/// The PEM files of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, the server's first.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Authorities of client certificates: with them only clients with such a certificate get in.
    pub client_ca: Option<PathBuf>,
}

/// The PEM files of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTlsFiles {
    /// Authorities of the server's certificate; no other is trusted.
    pub ca: PathBuf,
    /// Certificate chain and private key, for a server that asks who calls.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A PEM file cannot be read or holds nothing of its kind.
    #[error("{path}: expected {expected} in PEM: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What it must hold.
        expected: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// The file holds no certificate.
    #[error("{path}: expected a certificate in PEM, found none")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The files do not fit together.
    #[error("the certificate and its key cannot be used: {0}")]
    Config(#[from] rustls::Error),
    /// The authorities cannot be used.
    #[error("the authorities of client certificates cannot be used: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A configuration that follows its files.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    alpn: &'static [u8],
    current: RwLock<(Vec<Option<Stamp>>, Arc<ServerConfig>)>,
}

impl Tls {
    pub(crate) fn open(files: TlsFiles, alpn: &'static [u8]) -> Result<Tls, TlsError> {
        let stamps = stamps(&files);
        let config = config(&files, alpn)?;
        Ok(Tls { files, alpn, current: RwLock::new((stamps, Arc::new(config))) })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).1).into()
    }

    /// Reads the files again if they changed. What is wrong with them is said, and the old ones stay.
    pub(crate) fn refresh(&self) {
        let stamps = stamps(&self.files);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).0 == stamps {
            return;
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        match config(&self.files, self.alpn) {
            Ok(config) => {
                current.1 = Arc::new(config);
                tracing::info!("the certificate was read again");
            }
            Err(error) => tracing::error!(%error, "the new certificate is refused; the old one stays"),
        }
        current.0 = stamps;
    }
}

fn stamps(files: &TlsFiles) -> Vec<Option<Stamp>> {
    let all = [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()];
    all.into_iter().flatten().map(|path| Stamp::of(path).ok()).collect()
}

fn config(files: &TlsFiles, alpn: &[u8]) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority)?;
            }
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
            )
        }
    };
    let mut config = builder.with_single_cert(certificates(&files.certificate)?, key(&files.key)?)?;
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

/// What a client speaks.
pub(crate) fn client_config(files: &ClientTlsFiles) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.ca)? {
        roots.add(authority)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots);
    Ok(match &files.certificate {
        None => builder.with_no_client_auth(),
        Some((chain, private)) => builder.with_client_auth_cert(certificates(chain)?, key(private)?)?,
    })
}

fn key(path: &PathBuf) -> Result<PrivateKeyDer<'static>, TlsError> {
    let file = |source| TlsError::File { path: path.clone(), expected: "a private key", source };
    PrivateKeyDer::from_pem_file(path).map_err(file)
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |source| TlsError::File { path: path.clone(), expected: "certificates", source };
    let found =
        CertificateDer::pem_file_iter(path).map_err(file)?.collect::<Result<Vec<_>, _>>().map_err(file)?;
    if found.is_empty() { Err(TlsError::Empty { path: path.clone() }) } else { Ok(found) }
}

/// A handshake that takes longer is given up by the listener, not here.
pub(crate) async fn handshake(
    acceptor: TlsAcceptor,
    stream: tokio::net::TcpStream,
) -> io::Result<tokio_rustls::server::TlsStream<tokio::net::TcpStream>> {
    acceptor.accept(stream).await
}

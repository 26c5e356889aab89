//! Certificates of the rank port.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

use crate::watched::Reload;

/// A certificate chain with its key, read from two files in PEM form.
#[derive(Debug)]
pub struct Certificates {
    files: Files,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

#[derive(Debug)]
struct Current {
    /// What both files held.
    bytes: (Vec<u8>, Vec<u8>),
    key: Arc<CertifiedKey>,
}

impl Certificates {
    /// Reads both files; the key must be that of the first certificate.
    pub fn open(chain: PathBuf, key: PathBuf) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let files = Files { chain, key };
        let current = RwLock::new(files.read(&provider)?);
        Ok(Self {
            files,
            provider,
            current,
        })
    }

    /// Accepts TLS 1.2 and 1.3, each connection with the certificates of its moment.
    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, String> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("cannot set up TLS: {error}"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl Files {
    fn read(&self, provider: &CryptoProvider) -> Result<Current, String> {
        let bytes = (read(&self.chain)?, read(&self.key)?);
        let wrong = |file: &Path, problem: String| format!("{}: {problem}", file.display());
        let chain: Vec<CertificateDer> = CertificateDer::pem_slice_iter(&bytes.0)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&self.chain, error.to_string()))?;
        if chain.is_empty() {
            return Err(wrong(&self.chain, "holds no certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&bytes.1)
            .map_err(|error| wrong(&self.key, error.to_string()))?;
        let key = CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| wrong(&self.key, error.to_string()))?;
        Ok(Current {
            bytes,
            key: Arc::new(key),
        })
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

impl Reload for Certificates {
    const WHAT: &str = "certificates";

    fn reload(&self) -> Result<bool, String> {
        let bytes = (read(&self.files.chain)?, read(&self.files.key)?);
        let held = |current: &Current| current.bytes == bytes;
        if held(&self.current.read().unwrap_or_else(|held| held.into_inner())) {
            return Ok(false);
        }
        let fresh = self.files.read(&self.provider)?;
        *self
            .current
            .write()
            .unwrap_or_else(|held| held.into_inner()) = fresh;
        Ok(true)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(|held| held.into_inner());
        Some(Arc::clone(&current.key))
    }
}

//! Encryption of the connection to PostgreSQL, by `sslmode` (its meaning is told at `DatabaseUrl`).

use std::sync::Arc;

use postgres::{Client, NoTls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::open::OpenError;
use crate::url::Tls;

pub(super) fn connect(
    config: &postgres::Config,
    tls: &Tls,
    meaning: impl Fn(postgres::Error) -> OpenError,
) -> Result<Client, OpenError> {
    let client = match tls {
        Tls::Disable => config.connect(NoTls),
        Tls::Prefer | Tls::Require => config.connect(MakeRustlsConnect::new(unchecked()?)),
        Tls::VerifyFull { roots } => config.connect(MakeRustlsConnect::new(checked(roots.as_deref())?)),
    };
    client.map_err(meaning)
}

/// The certificate must be valid for the host's name.
fn checked(roots: Option<&std::path::Path>) -> Result<ClientConfig, OpenError> {
    let failed = |cause: String| OpenError::Certificates { cause };
    let certificates: Vec<CertificateDer<'static>> = match roots {
        Some(path) => CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|cause| failed(format!("{}: {cause}", path.display())))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(certificates);
    if trusted.is_empty() {
        return Err(failed("there are none".to_owned()));
    }
    Ok(builder()?.with_root_certificates(trusted).with_no_client_auth())
}

/// Encrypts, and takes any certificate.
fn unchecked() -> Result<ClientConfig, OpenError> {
    let verifier = Arc::new(AnyCertificate { provider: provider() });
    Ok(builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, OpenError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|cause| OpenError::Certificates { cause: cause.to_string() })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What `require` and `prefer` mean: the peer has the certificate's key, whoever it is.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

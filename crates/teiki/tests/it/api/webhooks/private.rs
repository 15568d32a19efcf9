//! Where nothing is ever sent: addresses that are not public, and receivers that nobody vouches for.

use std::sync::Arc;

use serde_json::Value;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::super::shop::id_of;
use super::receiver::Receiver;
use super::{PRIVATE, status_of, with_a_server, with_its_server};
use crate::serve::Server;

#[tokio::test]
async fn private_endpoints_are_refused_unless_the_server_allows_them_in_test_mode() {
    with_a_server(async |post| {
        let receiver = Receiver::start().await;
        let url = receiver.url();
        for url in [
            url.as_str(),
            "http://receiver.example/",
            "https://10.0.0.1/",
            "https://[::1]/",
            "https://localhost/",
        ] {
            let error = post.merchant.live.post("/v1/webhook_endpoints", &[("url", url)]).await;
            assert_eq!(error.refused(400, "invalid_url")["param"], "url", "{url}");
        }
        post.test().endpoint(&receiver, &[]).await;
    })
    .await;
    with_its_server(&[], async |post, server| {
        let form = [("url", "http://127.0.0.1:8080/")];
        for client in [&post.merchant.test, &post.merchant.live] {
            client.post("/v1/webhook_endpoints", &form).await.refused(400, "invalid_url");
        }
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_is_private_when_it_is_sent_to_gets_nothing() {
    with_its_server(PRIVATE, async |post, server| {
        let receiver = Receiver::start().await;
        let test = post.test().endpoint(&receiver, &[]).await;
        let form = [("url", "https://receiver.example/")];
        let live = post.merchant.live.post("/v1/webhook_endpoints", &form).await.ok();
        // What a request refuses, written directly.
        post.set(live["id"].as_str().unwrap(), vec![("url", receiver.url().as_str().into())]).await;
        post.merchant.live.plan("monthly", 980, &[]).await;
        must_be_refused(&post.merchant.live, &live).await;
        assert_eq!(server.stop(), Some(0));
        let server = Server::start(&post.installation.place, &[]);
        let client = post.at(&server);
        client.someone().await;
        must_be_refused(&client, &test).await;
        assert_eq!(receiver.all().len(), 0);
        assert_eq!(server.stop(), Some(0));
    })
    .await;
}

async fn must_be_refused(client: &super::Client, endpoint: &Value) {
    let delivery = client.delivery(endpoint, "a failed attempt", |it| !it["last_error"].is_null()).await;
    assert_eq!(delivery["last_error"], "the URL is not allowed: it must begin with https://");
    assert_eq!((status_of(&delivery), &delivery["last_response_status"]), ("waiting", &Value::Null));
}

/// A receiver with a certificate for `localhost`, and the certificate.
async fn certified() -> (Receiver, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (Receiver::with_tls(TlsAcceptor::from(Arc::new(config))).await, made.cert.pem())
}

#[tokio::test]
async fn over_https_the_certificate_must_be_trusted_and_name_the_host() {
    with_its_server(PRIVATE, async |post, server| {
        assert_eq!(server.stop(), Some(0));
        let (receiver, certificate) = certified().await;
        let (_stranger, other) = certified().await;
        let port = receiver.address.port();
        let [named, by_number] = [format!("https://localhost:{port}/"), format!("https://127.0.0.1:{port}/")];
        for (trusted, url, is_received) in
            [(&certificate, &named, true), (&other, &named, false), (&certificate, &by_number, false)]
        {
            post.installation.place.write("trusted.pem", trusted);
            let file = post.installation.file("trusted.pem");
            let variables = [("SSL_CERT_FILE", file.to_str().unwrap())];
            let server = Server::start_with(&post.installation.place, PRIVATE, &variables);
            let client = post.at(&server);
            let endpoint = client.post("/v1/webhook_endpoints", &[("url", url)]).await.ok();
            let before = receiver.all().len();
            client.someone().await;
            if is_received {
                client.delivery(&endpoint, "a delivery", |it| status_of(it) == "delivered").await;
                assert_eq!(receiver.all().len(), before + 1);
            } else {
                let failed =
                    |it: &Value| it["last_error"].as_str().is_some_and(|it| it.starts_with("TLS failed:"));
                client.delivery(&endpoint, "a failed attempt", failed).await;
                assert_eq!(receiver.all().len(), before);
            }
            client.delete(&format!("/v1/webhook_endpoints/{}", id_of(&endpoint))).await.ok();
            assert_eq!(server.stop(), Some(0));
        }
    })
    .await;
}

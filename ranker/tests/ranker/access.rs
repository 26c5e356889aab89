//! Who may ask, and how requests travel.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
};

use http::StatusCode;
use nix::sys::signal::Signal;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring,
    pki_types::CertificateDer,
};
use searchop_ranker::Tokens;

use crate::{
    artifacts::Artifacts,
    client::{Connection, RANK, get},
    process::{Process, Start},
    router::{self, loaded_and, post},
};

const TOKEN: &str = "f1a0-first";

#[tokio::test]
async fn without_a_token_nothing_is_ranked_and_nothing_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    fs::write(&file, TOKEN).unwrap();
    let (_artifacts, router) = loaded_and(|ranker| {
        ranker.tokens = Some(Arc::new(Tokens::open(file).unwrap()));
    });
    for path in ["/rank", "/v1/rerank", "/v2/rerank", "/rerank"] {
        // A body that would be wrong in every way is not looked at.
        let answer = post(&router, path, vec![b'{'; router::MAX_BODY + 1]).await;
        assert_eq!(
            answer.error(),
            (401, "unauthorized".to_owned(), None),
            "{path}"
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    for path in [
        "/livez",
        "/readyz",
        "/health",
        "/info",
        "/docs",
        "/openapi.json",
    ] {
        assert_eq!(
            router::get(&router, path).await.status,
            StatusCode::OK,
            "{path}"
        );
    }
}

#[test]
fn tokens_and_certificates_are_taken_over_while_the_program_runs() {
    let artifacts = Artifacts::new(1.0);
    let dir = tempfile::tempdir().unwrap();
    let files = Files(dir.path());
    fs::write(files.token(), TOKEN).unwrap();
    let old = files.certify();
    let options = files.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut process = Start::new(&artifacts, &options).start();
    process.wait_until_ready();

    let mut kept = Tls::connect(&process, &old).unwrap();
    assert_eq!(kept.rank(TOKEN), 200);
    assert_eq!(kept.rank("f1a0-second"), 401);
    // Who speaks plain HTTP gets no answer, and the metrics port speaks nothing else.
    assert!(Connection::open(process.rank).unwrap().rank(RANK).is_err());
    assert_eq!(get(process.metrics, "/readyz").unwrap().status, 200);

    fs::write(files.token(), format!("{TOKEN}\nf1a0-second\n")).unwrap();
    let new = files.certify();
    process.wait_for("the new certificate", |process| {
        Tls::connect(process, &new).is_some()
    });
    assert!(Tls::connect(&process, &old).is_none());
    process.wait_for("the new token", |process| {
        Tls::connect(process, &new).unwrap().rank("f1a0-second") == 200
    });
    assert_eq!(kept.rank(TOKEN), 200, "an open connection goes on");

    // A certificate without its key changes nothing.
    let key = fs::read(files.key()).unwrap();
    files.certify();
    fs::write(files.key(), key).unwrap();
    process.wait_for("a warning", |process| {
        process.log().contains("keeping the certificates")
    });
    assert!(Tls::connect(&process, &new).is_some());

    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(0));
    for secret in [TOKEN, "f1a0-second"] {
        assert!(!process.log().contains(secret));
    }
}

#[test]
fn files_that_are_wrong_from_the_start_end_the_program() {
    let artifacts = Artifacts::new(1.0);
    let dir = tempfile::tempdir().unwrap();
    let files = Files(dir.path());
    files.certify();
    fs::write(files.token(), "\n").unwrap();
    let refused = |options: &[&str], why: &str| {
        let mut process = Start::new(&artifacts, options).start();
        assert_eq!(process.wait().code(), Some(2));
        process.wait_for(why, |process| process.log().contains(why));
    };
    let options = files.options();
    refused(&[&options[0]], "holds no token");
    fs::write(files.key(), "not a key").unwrap();
    refused(&[&options[1], &options[2]], "tls.key: ");
}

/// The files of a Secret.
struct Files<'a>(&'a Path);

impl Files<'_> {
    fn token(&self) -> std::path::PathBuf {
        self.0.join("token")
    }

    fn key(&self) -> std::path::PathBuf {
        self.0.join("tls.key")
    }

    fn options(&self) -> [String; 5] {
        let folder = self.0.display();
        [
            format!("--token-file={folder}/token"),
            format!("--tls-cert-file={folder}/tls.crt"),
            format!("--tls-key-file={folder}/tls.key"),
            "--drain-seconds=0".to_owned(),
            "--log=debug".to_owned(),
        ]
    }

    /// Writes a new certificate with its key.
    fn certify(&self) -> CertificateDer<'static> {
        let CertifiedKey::<KeyPair> { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(self.key(), signing_key.serialize_pem()).unwrap();
        fs::write(self.0.join("tls.crt"), cert.pem()).unwrap();
        cert.der().clone()
    }
}

/// A client that believes one certificate.
struct Tls(StreamOwned<ClientConnection, TcpStream>);

impl Tls {
    /// `None` if the server shows another certificate.
    fn connect(process: &Process, trusted: &CertificateDer<'static>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = TcpStream::connect(process.rank).unwrap();
        while client.is_handshaking() {
            client.complete_io(&mut stream).ok()?;
        }
        Some(Self(StreamOwned::new(client, stream)))
    }

    /// Status of a request with this token.
    fn rank(&mut self, token: &str) -> u16 {
        let length = RANK.len();
        let request = format!(
            "POST /rank HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{RANK}"
        );
        self.0.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let head = String::from_utf8(answer).unwrap();
        let number = |after: &str| {
            let rest = &head[head.find(after).unwrap() + after.len()..];
            rest.split_ascii_whitespace()
                .next()
                .unwrap()
                .parse::<usize>()
                .unwrap()
        };
        let mut body = vec![0; number("content-length: ")];
        self.0.read_exact(&mut body).unwrap();
        number("HTTP/1.1 ") as u16
    }
}

//! futures-rustls, by its own client and by openssl.

use levent::test::Test;

use crate::support::{Server, run, talk};

const RUSTLS: &str = env!("CARGO_BIN_EXE_rustls_echo");

fn certificate(name: &str) -> String {
    let file = format!("levent-ecosystem-{name}-{}.der", std::process::id());
    std::env::temp_dir()
        .join(file)
        .to_str()
        .expect("a path of letters")
        .to_owned()
}

/// Two megabytes there and back.
#[test]
fn rustls_with_itself() {
    Test::new().run(async || {
        let file = certificate("rustls");
        let server = Server::start(RUSTLS, &["serve", "127.0.0.1:0", &file]).await;
        let question: Vec<u8> = (0..2 << 20).map(|i: u32| (i % 251) as u8).collect();
        let (status, answer) = run(RUSTLS, &["ask", &server.address, &file], &question)
            .await
            .unwrap();
        assert!(status.success() && answer == question);
        assert!(server.end().await.0.success());
        std::fs::remove_file(file).unwrap();
    });
}

/// A certificate that the client does not trust ends its connection before it has sent anything, and no other client's.
#[test]
fn rustls_refuses_strangers() {
    Test::new().run(async || {
        let (file, other) = (certificate("known"), certificate("stranger"));
        let server = Server::start(RUSTLS, &["serve", "127.0.0.1:0", &file]).await;
        let stranger = Server::start(RUSTLS, &["serve", "127.0.0.1:0", &other]).await;
        for (trusted, code, answer) in [(&other, 1, ""), (&file, 0, "le vent")] {
            let ask = ["ask", &server.address, trusted];
            let (status, printed) = run(RUSTLS, &ask, b"le vent").await.unwrap();
            assert_eq!(status.code(), Some(code));
            assert_eq!(printed, answer.as_bytes());
        }
        assert!(server.end().await.0.success() && stranger.end().await.0.success());
        std::fs::remove_file(file).unwrap();
        std::fs::remove_file(other).unwrap();
    });
}

/// openssl finds the certificate good, and gets back what it says.
#[test]
fn rustls_with_openssl() {
    Test::new().run(async || {
        let file = certificate("openssl");
        let server = Server::start(RUSTLS, &["serve", "127.0.0.1:0", &file]).await;
        let pem = format!("{file}.pem");
        let convert = ["x509", "-inform", "der", "-in", &file, "-out", &pem];
        if run("openssl", &convert, b"").await.is_none() {
            return;
        }
        let client = [
            "s_client",
            "-quiet",
            "-no_ign_eof",
            "-verify_return_error",
            "-verify_hostname",
            "localhost",
            "-servername",
            "localhost",
            "-CAfile",
            &pem,
            "-connect",
            &server.address,
        ];
        let question = b"le vent\n";
        let (status, answer) = talk("openssl", &client, question, question.len())
            .await
            .unwrap();
        assert!(status.success() && answer == question, "{answer:?}");
        assert!(server.end().await.0.success());
        std::fs::remove_file(file).unwrap();
        std::fs::remove_file(pem).unwrap();
    });
}

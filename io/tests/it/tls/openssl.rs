//! `openssl s_client` and `openssl s_server` at the other end.
//!
//! Where there is no such program the tests say so and pass. Nothing here waits longer than `PATIENCE`.

use super::{client_config, identity, localhost, server_config};
use levent_io::buffer::Eol;
use levent_io::net::TcpListener;
use levent_io::stream::{BufferedStream, Direction, Event};
use levent_io::tls::{self, rustls::ProtocolVersion};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// The versions, as an option and as what is agreed on.
const VERSIONS: [(&str, ProtocolVersion); 2] = [
    ("-tls1_2", ProtocolVersion::TLSv1_2),
    ("-tls1_3", ProtocolVersion::TLSv1_3),
];

/// A running `openssl`, which goes with it.
struct OpenSsl {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl OpenSsl {
    /// `None`, with a message, if there is no such program.
    fn start(arguments: &[&str]) -> io::Result<Option<OpenSsl>> {
        let child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = match child {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                eprintln!("skipped: there is no program `openssl`");
                return Ok(None);
            }
            child => child?,
        };
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Ok(Some(OpenSsl {
            child,
            stdin,
            stdout,
        }))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line)
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        let stdin = self.stdin.as_mut().expect("open");
        stdin.write_all(text.as_bytes())?;
        stdin.flush()
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Certificate and key as files, removed in the end.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new() -> io::Result<Files> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, SeqCst);
        let path = |kind: &str| {
            let name = format!("levent-tls-{}-{number}.{kind}", std::process::id());
            std::env::temp_dir().join(name)
        };
        let files = Files {
            certificate: path("crt"),
            key: path("key"),
        };
        std::fs::write(&files.certificate, identity().certificate.pem())?;
        std::fs::write(&files.key, identity().key.serialize_pem())?;
        Ok(files)
    }

    fn certificate(&self) -> &str {
        self.certificate.to_str().expect("a plain name")
    }

    fn key(&self) -> &str {
        self.key.to_str().expect("a plain name")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left in the temporary directory harms no test.
        let _ = std::fs::remove_file(&self.certificate);
        let _ = std::fs::remove_file(&self.key);
    }
}

/// `s_server` that answers each line with its reverse, and where it listens.
fn reversing_server(files: &Files, version: &str) -> io::Result<Option<(OpenSsl, SocketAddr)>> {
    let arguments = [
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-cert",
        files.certificate(),
        "-key",
        files.key(),
        "-alpn",
        "levent",
        "-rev",
        version,
    ];
    let Some(mut server) = OpenSsl::start(&arguments)? else {
        return Ok(None);
    };
    loop {
        let line = server.line()?;
        if line.is_empty() {
            return Err(io::Error::other("s_server has ended"));
        }
        if let Some(address) = line.strip_prefix("ACCEPT ") {
            let address = address.trim().parse().map_err(io::Error::other)?;
            return Ok(Some((server, address)));
        }
    }
}

/// Our client at `s_server`: handshake, ALPN, certificate, an exchange, and the end that each kind of leave is (TL-3, TL-8, TL-21, TL-23).
#[test]
fn client_talks_to_s_server() {
    let files = Files::new().unwrap();
    for (option, version) in VERSIONS {
        for kind in ["leave", "cut off", "cut off, and allowed"] {
            let Some((mut server, address)) = reversing_server(&files, option).unwrap() else {
                return;
            };
            let talk = async {
                let mut config = client_config();
                config.alpn_protocols = vec![b"other".to_vec(), b"levent".to_vec()];
                let tcp = BufferedStream::connecting(address);
                let mut stream = tls::client(tcp, Arc::new(config), localhost())?;
                stream.set_timeouts(Some(PATIENCE), Some(PATIENCE));
                stream.write_all(b"drawer\n").await?;
                assert_eq!(stream.event().await, Event::Connected);
                let tls = stream.get_ref().expect("connected");
                assert_eq!(tls.alpn_protocol(), Some(&b"levent"[..]));
                assert_eq!(tls.connection().protocol_version(), Some(version));
                assert_eq!(tls.peer_certificates().map(<[_]>::len), Some(1));
                let line = stream.read_line(Eol::Lf).await?;
                assert_eq!(line.as_deref(), Some(&b"reward"[..]));
                if kind == "leave" {
                    stream.write_all(b"CLOSE\n").await?;
                    assert_eq!(stream.event().await, Event::Eof);
                    assert_eq!(stream.fill_more().await?, 0);
                    stream.close().await?;
                    return Ok(());
                }
                let is_allowed = kind.ends_with("allowed");
                stream.allow_dirty_shutdown(is_allowed);
                server.child.kill()?;
                if is_allowed {
                    assert_eq!(stream.event().await, Event::Eof);
                } else {
                    assert_eq!(stream.event().await, Event::Error(Direction::Read));
                    let error = stream.fill_more().await.expect_err("cut off");
                    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
                }
                Ok::<_, io::Error>(())
            };
            let outcome = levent_executor::block_on(talk);
            outcome.unwrap_or_else(|error| panic!("{option}, {kind}: {error}"));
        }
    }
}

/// `s_client` at our server: handshake, ALPN, an exchange, the end that its leave or death is, and what it makes of ours (TL-8, TL-9, TL-23).
#[test]
fn server_talks_to_s_client() {
    let files = Files::new().unwrap();
    for (option, version) in VERSIONS {
        for kind in ["leave", "cut off", "our leave"] {
            let talk = async {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let address = listener.local_addr()?.to_string();
                let arguments = [
                    "s_client",
                    "-connect",
                    &address,
                    "-servername",
                    "localhost",
                    "-verify_hostname",
                    "localhost",
                    "-CAfile",
                    files.certificate(),
                    "-verify_return_error",
                    "-alpn",
                    "levent",
                    "-quiet",
                    "-no_ign_eof",
                    option,
                ];
                let Some(mut client) = OpenSsl::start(&arguments)? else {
                    return Ok(());
                };
                let mut config = server_config();
                config.alpn_protocols = vec![b"levent".to_vec()];
                let (socket, _) = listener.accept().await?;
                let mut stream = tls::server(BufferedStream::socket(socket), Arc::new(config))?;
                stream.set_timeouts(Some(PATIENCE), Some(PATIENCE));
                client.say("question\n")?;
                assert_eq!(stream.event().await, Event::Connected);
                let tls = stream.get_ref().expect("connected");
                assert_eq!(tls.alpn_protocol(), Some(&b"levent"[..]));
                assert_eq!(tls.connection().protocol_version(), Some(version));
                assert!(tls.peer_certificates().is_none());
                let line = stream.read_line(Eol::Lf).await?;
                assert_eq!(line.as_deref(), Some(&b"question"[..]));
                stream.write_all(b"answer\n").await?;
                stream.flush().await?;
                assert_eq!(client.line()?, "answer\n");
                match kind {
                    "leave" => {
                        client.stdin = None;
                        assert_eq!(stream.event().await, Event::Eof);
                    }
                    "cut off" => {
                        client.child.kill()?;
                        assert_eq!(stream.event().await, Event::Error(Direction::Read));
                        let error = stream.fill_more().await.expect_err("cut off");
                        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
                    }
                    _ => {
                        stream.write_all(b"bye\n").await?;
                        stream.close().await?;
                        let mut rest = String::new();
                        client.stdout.read_to_string(&mut rest)?;
                        assert_eq!(rest, "bye\n");
                        assert!(client.child.wait()?.success());
                    }
                }
                Ok::<_, io::Error>(())
            };
            let outcome = levent_executor::block_on(talk);
            outcome.unwrap_or_else(|error| panic!("{option}, {kind}: {error}"));
        }
    }
}

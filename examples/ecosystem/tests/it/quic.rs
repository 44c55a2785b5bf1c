//! quinn on our runtime: with itself, with quinn on tokio's, and as the program `quic_echo`.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::try_zip;
use levent::quinn::{QuinnRuntime, endpoint};
use levent::test::Test;
use levent::{Task, spawn};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, Runtime, ServerConfig,
    TokioRuntime, TransportConfig,
};
use rustls::RootCertStore;
use rustls::pki_types::PrivatePkcs8KeyDer;

use crate::support::{Server, piece, run};

const QUIC: &str = env!("CARGO_BIN_EXE_quic_echo");
const MEBIBYTE: usize = 1 << 20;

/// A server's configuration, and that of clients who trust it. Connections that are idle for 10 s end.
fn configs() -> (ServerConfig, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut server = ServerConfig::with_single_cert(vec![certificate.clone()], key.into()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut client = ClientConfig::with_root_certificates(Arc::new(roots)).unwrap();
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(Duration::from_secs(10).try_into().unwrap()));
    let transport = Arc::new(transport);
    server.transport_config(Arc::clone(&transport));
    client.transport_config(transport);
    (server, client)
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn at(config: Option<ServerConfig>) -> Endpoint {
    endpoint(EndpointConfig::default(), config, loopback()).unwrap()
}

/// Sends back what comes on the streams of one connection, until that ends.
async fn echo(server: Endpoint) -> ConnectionError {
    let connection = server.accept().await.unwrap().await.unwrap();
    loop {
        let (mut send, mut receive) = match connection.accept_bi().await {
            Ok(streams) => streams,
            Err(error) => {
                // A connection that has ended is remembered for a moment, for datagrams that come late.
                server.wait_idle().await;
                return error;
            }
        };
        let bytes = receive.read_to_end(MEBIBYTE).await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
    }
}

async fn ask(connection: &Connection, stream: u64, len: usize) {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let bytes = piece(stream, 0, len);
    send.write_all(&bytes).await.unwrap();
    send.finish().unwrap();
    assert!(
        receive.read_to_end(MEBIBYTE).await.unwrap() == bytes,
        "stream {stream}"
    );
}

/// Two endpoints with a connection between them, and the server's answers.
async fn connected() -> (Endpoint, Connection, Task<ConnectionError>) {
    let (server, client) = configs();
    let server = at(Some(server));
    let address = server.local_addr().unwrap();
    let served = spawn(echo(server));
    let mut here = at(None);
    here.set_default_client_config(client);
    let connection = here.connect(address, "localhost").unwrap().await.unwrap();
    (here, connection, served)
}

/// A mebibyte there and back, then many small streams at once; the goodbye arrives, and no task, socket or timer is left.
#[test]
fn streams_are_echoed() {
    Test::new().run(async || {
        let (here, connection, served) = connected().await;
        ask(&connection, 0, MEBIBYTE).await;
        let asking: Vec<_> = (1..=100)
            .map(|stream| {
                let connection = connection.clone();
                spawn(async move { ask(&connection, stream, 100 * stream as usize).await })
            })
            .collect();
        for asked in asking {
            asked.await;
        }
        connection.close(7u32.into(), b"done");
        here.wait_idle().await;
        match served.await {
            ConnectionError::ApplicationClosed(close) => assert_eq!(close.error_code, 7u32.into()),
            error => panic!("{error}"),
        }
    });
}

/// A connection that is idle for too long ends on both sides, by the clock of the test.
#[test]
fn idle_connections_end() {
    let real = Instant::now();
    Test::new().virtual_time().run(async || {
        let (_here, connection, served) = connected().await;
        ask(&connection, 1, 10).await;
        let begun = levent::now();
        let ends = try_zip(async { Ok::<_, ()>(connection.closed().await) }, async {
            Ok(served.await)
        });
        let (here, there) = ends.await.unwrap();
        assert!(matches!(here, ConnectionError::TimedOut), "{here}");
        assert!(matches!(there, ConnectionError::TimedOut), "{there}");
        let took = levent::now() - begun;
        assert!((9..20).contains(&took.as_secs()), "{took:?}");
    });
    assert!(real.elapsed() < Duration::from_secs(5));
}

/// A connect that nobody answers ends with the idle timeout too, and leaves nothing.
#[test]
fn nobody_answers() {
    Test::new().virtual_time().run(async || {
        let (_, client) = configs();
        let silent = UdpSocket::bind(loopback()).unwrap();
        let mut here = at(None);
        here.set_default_client_config(client);
        let connecting = here
            .connect(silent.local_addr().unwrap(), "localhost")
            .unwrap();
        let error = connecting.await.unwrap_err();
        assert!(matches!(error, ConnectionError::TimedOut), "{error}");
    });
}

/// Endpoints may be dropped in the middle of a connection: the peer is told.
#[test]
fn dropped_in_the_middle() {
    Test::new().leaks(false).run(async || {
        let (here, connection, served) = connected().await;
        ask(&connection, 1, 10).await;
        drop((connection, here));
        let error = served.await;
        assert!(
            matches!(error, ConnectionError::ApplicationClosed(_)),
            "{error}"
        );
    });
}

/// quinn on tokio's runtime, in a thread of its own, understands us, and we it.
#[test]
fn with_another_runtime() {
    let (server, client) = configs();
    let (ready, address) = async_channel::bounded(1);
    let there = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let socket = UdpSocket::bind(loopback()).unwrap();
            let theirs: Arc<dyn Runtime> = Arc::new(TokioRuntime);
            let server = Endpoint::new(EndpointConfig::default(), Some(server), socket, theirs);
            let server = server.unwrap();
            ready.send(server.local_addr().unwrap()).await.unwrap();
            echo(server).await
        })
    });
    Test::new().run(async || {
        let address = address.recv().await.unwrap();
        let mut here = at(None);
        here.set_default_client_config(client);
        let connection = here.connect(address, "localhost").unwrap().await.unwrap();
        ask(&connection, 1, MEBIBYTE).await;
        connection.close(0u32.into(), b"done");
        here.wait_idle().await;
    });
    let end = there.join().unwrap();
    assert!(
        matches!(end, ConnectionError::ApplicationClosed(_)),
        "{end}"
    );
}

/// A socket that cannot be had is an error, and so is one that is watched already.
#[test]
fn sockets_that_cannot_be_had() {
    let taken = UdpSocket::bind(loopback()).unwrap();
    let again = endpoint(EndpointConfig::default(), None, taken.local_addr().unwrap());
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    let nowhere = endpoint(EndpointConfig::default(), None, ([192, 0, 2, 1], 0).into());
    assert_eq!(
        nowhere.unwrap_err().kind(),
        std::io::ErrorKind::AddrNotAvailable
    );
    assert!(QuinnRuntime.wrap_udp_socket(taken).is_ok());
}

/// Server and client of the program: two megabytes there and back, many times as many datagrams as a socket holds; then Ctrl-C.
#[test]
fn program_echoes() {
    Test::new().run(async || {
        let file = std::env::temp_dir().join(format!("levent-quic-{}.der", std::process::id()));
        let file = file.to_str().expect("a path of letters");
        let server = Server::start(QUIC, &["serve", "127.0.0.1:0", file]).await;
        let question = piece(3, 0, 2 * MEBIBYTE);
        let ask = ["ask", &server.address, file];
        let (status, answer) = run(QUIC, &ask, &question).await.unwrap();
        assert!(status.success() && answer == question);
        let (status, rest) = server.end().await;
        assert!(status.success());
        let all = format!("served 1 connections, {} bytes", question.len());
        assert_eq!(rest.trim_end(), all);
        fs::remove_file(file).unwrap();
    });
}

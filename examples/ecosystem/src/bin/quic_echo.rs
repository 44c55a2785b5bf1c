//! An echo server over QUIC, and a client for it: quinn on levent.
//!
//! ```text
//! cargo run --release --manifest-path examples/ecosystem/Cargo.toml --bin quic_echo -- serve 127.0.0.1:4433 cert.der        (port 0 takes a free one)
//! cargo run --release --manifest-path examples/ecosystem/Cargo.toml --bin quic_echo -- ask 127.0.0.1:4433 cert.der < file
//! ```
//!
//! `serve` makes a certificate for `localhost`, writes it to the file, which a client trusts then, and prints `listening on ADDR`; what comes on a stream goes back on it. Ctrl-C
//! or SIGTERM closes all connections and ends it with `served C connections, B bytes`. `ask` sends what it reads, and prints the answer.

#![forbid(unsafe_code)]

use std::{
    cell::Cell,
    env,
    error::Error,
    fs,
    io::{Read, Write, stdin, stdout},
    net::SocketAddr,
    process::ExitCode,
    rc::Rc,
    sync::Arc,
};

use futures_lite::StreamExt;
use levent::{quinn as on_levent, spawn};
use levent_ecosystem::told_to_end;
use quinn::{
    ClientConfig, Connection, EndpointConfig, Incoming, RecvStream, SendStream, ServerConfig,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", address, file] => serve(address, file),
        ["ask", address, file] => ask(address, file),
        _ => {
            eprintln!("usage: quic_echo serve|ask IP:PORT CERTIFICATE");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quic_echo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the server has done.
#[derive(Default)]
struct Served {
    connections: Cell<u64>,
    bytes: Cell<u64>,
}

fn serve(address: &str, file: &str) -> Result<()> {
    let address: SocketAddr = address.parse()?;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.der().clone();
    fs::write(file, &certificate)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::with_single_cert(vec![certificate], key.into())?;
    let served = Rc::new(Served::default());
    levent::block_on(async {
        let mut told = told_to_end()?;
        let endpoint = on_levent::endpoint(EndpointConfig::default(), Some(config), address)?;
        println!("listening on {}", endpoint.local_addr()?);
        let (accepting, count) = (endpoint.clone(), served.clone());
        let accepting = spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                spawn(connection(incoming, count.clone())).detach();
            }
        });
        told.next().await;
        endpoint.close(0u32.into(), b"the server ends");
        endpoint.wait_idle().await;
        accepting.await;
        let (connections, bytes) = (served.connections.get(), served.bytes.get());
        println!("served {connections} connections, {bytes} bytes");
        Ok(())
    })
}

async fn connection(incoming: Incoming, served: Rc<Served>) {
    let peer = incoming.remote_address();
    let connection: Connection = match incoming.await {
        Ok(connection) => connection,
        Err(error) => return eprintln!("{peer}: {error}"),
    };
    served.connections.set(served.connections.get() + 1);
    // Ends when the connection does, for whatever reason.
    while let Ok((send, receive)) = connection.accept_bi().await {
        let served = served.clone();
        spawn(async move {
            if let Err(error) = echo(send, receive, &served).await {
                eprintln!("{peer}: {error}");
            }
        })
        .detach();
    }
}

async fn echo(mut send: SendStream, mut receive: RecvStream, served: &Served) -> Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    while let Some(n) = receive.read(&mut buffer).await? {
        send.write_all(&buffer[..n]).await?;
        served.bytes.set(served.bytes.get() + n as u64);
    }
    Ok(send.finish()?)
}

fn ask(address: &str, file: &str) -> Result<()> {
    let address: SocketAddr = address.parse()?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(fs::read(file)?))?;
    let config = ClientConfig::with_root_certificates(Arc::new(roots))?;
    let any = match address.is_ipv4() {
        true => "0.0.0.0:0".parse()?,
        false => "[::]:0".parse()?,
    };
    let mut question = Vec::new();
    stdin().read_to_end(&mut question)?;
    levent::block_on(async {
        let mut endpoint = on_levent::endpoint(EndpointConfig::default(), None, any)?;
        endpoint.set_default_client_config(config);
        let connection = endpoint.connect(address, "localhost")?.await?;
        let (mut send, mut receive) = connection.open_bi().await?;
        let sending = spawn(async move {
            send.write_all(&question).await?;
            send.finish()?;
            Result::Ok(())
        });
        let mut buffer = vec![0; 16 * 1024];
        while let Some(n) = receive.read(&mut buffer).await? {
            stdout().write_all(&buffer[..n])?;
        }
        sending.await?;
        connection.close(0u32.into(), b"done");
        endpoint.wait_idle().await;
        Ok(())
    })
}

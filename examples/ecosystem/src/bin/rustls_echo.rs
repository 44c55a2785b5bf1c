//! TLS on levent, by futures-rustls: an echo server, and a client.
//!
//! ```text
//! cargo run --release --manifest-path examples/ecosystem/Cargo.toml --bin rustls_echo -- serve 127.0.0.1:7443 cert.der           (port 0 takes a free one)
//! cargo run --release --manifest-path examples/ecosystem/Cargo.toml --bin rustls_echo -- ask 127.0.0.1:7443 cert.der < file
//! openssl s_client -quiet -connect 127.0.0.1:7443
//! ```
//!
//! `serve` makes a certificate for `localhost`, writes it to the file, which a client trusts then, and prints `listening on ADDR`. A client has 5 s for its handshake. Ctrl-C or SIGTERM ends it.
//! levent has TLS of its own, over buffered streams with watermarks and timeouts: `levent::tls`. This is for programs that have futures-rustls already.

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    fs, io,
    io::{Read, Write},
    process::ExitCode,
    sync::Arc,
};

use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt, future::try_zip};
use futures_rustls::{
    TlsAcceptor, TlsConnector,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName},
    rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring},
};
use levent::{
    net::{TcpListener, TcpStream},
    spawn, timeout,
};
use levent_ecosystem::{GRACE, told_to_end};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", address, file] => serve(address, file),
        ["ask", address, file] => ask(address, file),
        _ => {
            eprintln!("usage: rustls_echo serve|ask HOST:PORT CERTIFICATE");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rustls_echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(address: &str, file: &str) -> Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.der().clone();
    fs::write(file, &certificate)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    levent::block_on(async {
        let mut told = told_to_end()?;
        let listener = TcpListener::bind(address).await?;
        println!("listening on {}", listener.local_addr()?);
        let accepting = spawn(async move {
            loop {
                // The listener paces itself when it is out of descriptors.
                if let Ok((stream, peer)) = listener.accept().await {
                    let acceptor = acceptor.clone();
                    spawn(async move {
                        if let Err(error) = echo(acceptor, stream).await {
                            eprintln!("{peer}: {error}");
                        }
                    })
                    .detach();
                }
            }
        });
        told.next().await;
        accepting.cancel().await;
        Ok(())
    })
}

async fn echo(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    let mut stream = timeout(GRACE, acceptor.accept(stream)).await??;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return stream.close().await,
            n => stream.write_all(&buffer[..n]).await?,
        }
        // TLS keeps what it has not sent yet.
        stream.flush().await?;
    }
}

fn ask(address: &str, file: &str) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(fs::read(file)?))?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let mut question = Vec::new();
    io::stdin().read_to_end(&mut question)?;
    levent::block_on(async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost")?;
        let stream = connector.connect(name, stream).await?;
        let (mut reader, mut writer) = futures_lite::io::split(stream);
        let sending = async {
            writer.write_all(&question).await?;
            writer.flush().await
        };
        let reading = async {
            let mut answer = vec![0; question.len()];
            reader.read_exact(&mut answer).await?;
            io::stdout().write_all(&answer)
        };
        try_zip(sending, reading).await?;
        writer.close().await?;
        Ok(())
    })
}

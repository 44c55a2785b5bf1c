//! An echo server that speaks TLS, with a certificate for `localhost` that it makes itself, or one of yours.
//!
//! ```text
//! cargo run --release --features tls --example tls_echo -- 127.0.0.1:7443          (the default address; port 0 takes a free one)
//! cargo run --release --features tls --example tls_echo -- 127.0.0.1:7443 chain.pem key.pem
//! openssl s_client -quiet -connect 127.0.0.1:7443 -servername localhost
//! ```
//!
//! Prints `listening on ADDR`, and for each connection the TLS version and, if one was agreed on by ALPN (it offers `echo`), the protocol. Whatever is typed
//! into the client comes back. A client that takes its leave gets ours; one that is cut off is reported. Ctrl-C ends the server.
//!
//! The certificate is nobody's: `s_client` says so, and goes on. Linux only, because of where its cryptography comes from.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("this example runs on Linux only");
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{env, io, net::SocketAddr, sync::Arc, time::Duration};

    use levent::{
        BufferedStream, ctrl_c,
        net::{TcpListener, TcpStream},
        spawn,
        stream::Event,
        tls::{
            self,
            rustls::{
                ServerConfig,
                crypto::ring,
                pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
            },
        },
    };

    /// How long the handshake may take, and silence.
    const PATIENCE: Duration = Duration::from_secs(60);

    pub(super) fn main() -> io::Result<()> {
        let mut arguments = env::args().skip(1);
        let address = arguments.next().unwrap_or("127.0.0.1:7443".into());
        let address: SocketAddr = address.parse().map_err(|_| {
            let message = format!("not an ADDRESS:PORT: {address}");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        let (chain, key) = match (arguments.next(), arguments.next()) {
            (Some(chain), Some(key)) => from_files(&chain, &key)?,
            _ => self_signed()?,
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"echo".to_vec()];
        let config = Arc::new(config);

        levent::block_on(async {
            let ended = ctrl_c()?;
            let listener = TcpListener::bind(address).await?;
            println!("listening on {}", listener.local_addr()?);
            let accepting = spawn(async move {
                loop {
                    if let Ok((socket, peer)) = listener.accept().await {
                        let config = config.clone();
                        spawn(async move {
                            if let Err(error) = echo(socket, peer, config).await {
                                eprintln!("{peer}: {error}");
                            }
                        })
                        .detach();
                    }
                }
            });
            ended.await?;
            accepting.cancel().await;
            Ok(())
        })
    }

    async fn echo(
        socket: TcpStream,
        peer: SocketAddr,
        config: Arc<ServerConfig>,
    ) -> io::Result<()> {
        let mut stream = tls::server(BufferedStream::socket(socket), config)?;
        stream.set_timeouts(Some(PATIENCE), Some(PATIENCE));
        // What went wrong otherwise is the error of the first operation below.
        if let (Event::Connected, Some(tls)) = (stream.event().await, stream.get_ref()) {
            let version = tls.connection().protocol_version();
            let version = version.and_then(|version| version.as_str()).unwrap_or("?");
            let protocol = tls.alpn_protocol().unwrap_or(b"no protocol");
            println!("{peer}: {version}, {}", String::from_utf8_lossy(protocol));
        }
        while stream.fill().await? > 0 {
            let (mut input, mut output) = stream.buffers();
            output.append_buffer(&mut input)?;
            stream.room().await?;
        }
        stream.close().await
    }

    type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

    fn from_files(chain: &str, key: &str) -> io::Result<Identity> {
        let chain: Result<_, _> = CertificateDer::pem_file_iter(chain)
            .map_err(io::Error::other)?
            .collect();
        let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
        Ok((chain.map_err(io::Error::other)?, key))
    }

    fn self_signed() -> io::Result<Identity> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
            .map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Ok((vec![made.cert.der().clone()], key.into()))
    }
}

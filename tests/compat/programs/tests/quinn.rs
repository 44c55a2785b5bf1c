//! QUIC on the loopback: quinn with smol's runtime, whose sockets and timers are async-io's.

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, ServerConfig, SmolRuntime};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

type Answer<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn endpoints() -> Answer<(Endpoint, Endpoint, SocketAddr)> {
    let certified = rcgen::generate_simple_self_signed(vec![String::from("localhost")])?;
    let certificate = certified.cert.der().clone();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate)?;
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let runtime = Arc::new(SmolRuntime);
    let bind = |config| Endpoint::new(Default::default(), config, std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, runtime.clone());
    let server = bind(Some(ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server)?))))?;
    let mut here = bind(None)?;
    here.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(client)?)));
    let address = server.local_addr()?;
    Ok((server, here, address))
}

#[test]
fn streams_are_echoed() -> Answer<()> {
    smol::block_on(async {
        let (server, client, address) = endpoints()?;
        let served = smol::spawn(async move {
            let connection = server.accept().await.expect("the endpoint is open").await?;
            while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                let bytes = receive.read_to_end(1 << 20).await?;
                send.write_all(&bytes).await?;
                send.finish()?;
            }
            server.wait_idle().await;
            Answer::Ok(())
        });
        let connection = client.connect(address, "localhost")?.await?;
        for size in [1, 1000, 1 << 20] {
            let (mut send, mut receive) = connection.open_bi().await?;
            let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            send.write_all(&bytes).await?;
            send.finish()?;
            assert!(receive.read_to_end(1 << 20).await? == bytes);
        }
        connection.close(0_u32.into(), b"done");
        client.wait_idle().await;
        served.await
    })
}

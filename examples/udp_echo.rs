//! A UDP echo server: each datagram goes back to its sender.
//!
//! ```text
//! cargo run --release --example udp_echo -- 127.0.0.1:7001     (the default address; port 0 takes a free one)
//! ```
//!
//! Prints `listening on ADDR`. Try `socat - UDP:127.0.0.1:7001`. Ctrl-C or SIGTERM ends it with `echoed N datagrams, B bytes`.

use std::{env, io};

use futures_lite::{StreamExt, future};
use levent::{
    Signals,
    net::UdpSocket,
    signal::{SIGINT, SIGTERM},
};

/// The largest datagram that UDP can carry fits.
const LARGEST: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let address = env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:7001".into());
    levent::block_on(async {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let socket = UdpSocket::bind(address.as_str()).await?;
        println!("listening on {}", socket.local_addr()?);

        let (mut datagrams, mut bytes) = (0u64, 0u64);
        let echo = async {
            let mut buffer = vec![0; LARGEST];
            loop {
                // An error here is about a datagram sent before (nobody listens there): UDP promises nothing, and we go on.
                let Ok((n, sender)) = socket.recv_from(&mut buffer).await else {
                    continue;
                };
                if socket.send_to(&buffer[..n], sender).await.is_ok() {
                    datagrams += 1;
                    bytes += n as u64;
                }
            }
        };
        // One wait for the signal, whatever the number of datagrams: it is the outer future.
        future::or(
            async {
                signals.next().await;
            },
            echo,
        )
        .await;
        println!("echoed {datagrams} datagrams, {bytes} bytes");
        Ok(())
    })
}

//! Buffered streams: over pairs in memory, over sockets, and over a transport that does as it is told.

mod basic;
mod cancel;
mod connecting;
mod events;
mod marks;
mod pairs;
mod reading;
mod script;
mod tasks;
mod timeouts;
mod writing;

use std::io;

use futures_lite::future::try_zip;
use levent_io::BufferedStream;
use levent_io::net::unix::UnixStream;
use levent_io::net::{TcpListener, TcpStream};

/// Both ends of a TCP connection.
async fn tcp() -> io::Result<(BufferedStream<TcpStream>, BufferedStream<TcpStream>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (client, (server, _)) = try_zip(TcpStream::connect(address), listener.accept()).await?;
    Ok((
        BufferedStream::socket(client),
        BufferedStream::socket(server),
    ))
}

fn unix() -> io::Result<(BufferedStream<UnixStream>, BufferedStream<UnixStream>)> {
    let (left, right) = UnixStream::pair()?;
    Ok((BufferedStream::socket(left), BufferedStream::socket(right)))
}

/// Bytes in which no piece looks like another one.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ ((i >> 8) * 7)) as u8).collect()
}

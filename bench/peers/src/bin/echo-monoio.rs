//! Echo server on monoio, one task per connection: `echo-monoio PORT [epoll|io_uring]`, io_uring by default.

use std::io;

use levent_bench::{BUFFER, listener};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

fn main() -> io::Result<()> {
    if std::env::args().nth(2).as_deref() == Some("epoll") {
        let mut runtime = RuntimeBuilder::<LegacyDriver>::new()
            .enable_timer()
            .build()?;
        runtime.block_on(accept())
    } else {
        // A ring with room for an operation of each of thousands of connections.
        let mut runtime = RuntimeBuilder::<IoUringDriver>::new()
            .with_entries(4096)
            .enable_timer()
            .build()?;
        runtime.block_on(accept())
    }
}

async fn accept() -> io::Result<()> {
    let listener = TcpListener::from_std(listener()?)?;
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            monoio::spawn(serve(stream));
        }
    }
}

/// The buffer goes to the kernel and comes back with each result.
async fn serve(mut stream: TcpStream) {
    let mut buffer = Vec::with_capacity(BUFFER);
    // An error here is the end of the connection, like a close.
    let _ = stream.set_nodelay(true);
    loop {
        let (read, filled) = stream.read(buffer).await;
        let Ok(1..) = read else { return };
        let (written, emptied) = stream.write_all(filled).await;
        if written.is_err() {
            return;
        }
        buffer = emptied;
    }
}

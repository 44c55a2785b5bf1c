//! Echo server on smol's local executor, one task per connection, one thread: `echo-smol PORT`.

use std::io;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_bench::{BUFFER, listener};
use smol::net::{TcpListener, TcpStream};
use smol::{Async, LocalExecutor};

fn main() -> io::Result<()> {
    let listener = TcpListener::from(Async::new(listener()?)?);
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                executor.spawn(serve(stream)).detach();
            }
        }
    }))
}

async fn serve(mut stream: TcpStream) {
    let mut buffer = vec![0; BUFFER];
    // An error here is the end of the connection, like a close.
    let _ = stream.set_nodelay(true);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
}

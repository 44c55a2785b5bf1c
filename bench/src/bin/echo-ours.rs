//! Echo server, one task per connection: `echo-ours PORT [BUSY_POLL_US]`. SIGTERM ends it, as it ends any program.

use std::io;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent::net::{TcpListener, TcpStream};
use levent::reactor::{Config, current};
use levent_bench::{BUFFER, argument, listener};

fn main() -> io::Result<()> {
    let busy_poll = Duration::from_micros(argument(2, 0) as u64);
    current::init(&Config::new().busy_poll(busy_poll))?;
    let listener = TcpListener::try_from(listener()?)?;
    levent::block_on(async {
        loop {
            // Out of descriptors, or a connection that is gone already: the listener paces the next try itself.
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            levent::spawn(serve(stream)).detach();
        }
    })
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

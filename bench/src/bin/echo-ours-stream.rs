//! Echo server on buffered streams, one task per connection: `echo-ours-stream PORT`. What came is moved to the output, and not copied.

use std::io;

use levent::BufferedStream;
use levent::net::{TcpListener, TcpStream};
use levent_bench::listener;

fn main() -> io::Result<()> {
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

/// An error is the end of the connection, like a close.
async fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufferedStream::socket(stream);
    while stream.fill().await? > 0 {
        {
            let (mut input, mut output) = stream.buffers();
            output.append_buffer(&mut input)?;
        }
        stream.room().await?;
    }
    stream.close().await
}

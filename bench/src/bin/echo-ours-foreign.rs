//! Echo server whose tasks are polled outside levent's loops: `echo-ours-foreign PORT [THREADS]`. SIGTERM ends it.
//!
//! The connections are accepted in a loop of ours and served by async-executor on threads that know nothing of levent; so the sources' home is the
//! background base, and every wake comes from another thread.

use std::io;
use std::thread;

use async_executor::Executor;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use levent::net::{TcpListener, TcpStream};
use levent_bench::{BUFFER, argument, listener};

static EXECUTOR: Executor<'static> = Executor::new();

fn main() -> io::Result<()> {
    let listener = TcpListener::try_from(listener()?)?;
    for _ in 0..argument(2, 1) {
        thread::spawn(|| future::block_on(EXECUTOR.run(future::pending::<()>())));
    }
    levent::block_on(async {
        loop {
            // Out of descriptors, or a connection that is gone already: the listener paces the next try itself.
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            EXECUTOR.spawn(serve(stream)).detach();
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

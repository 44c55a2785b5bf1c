//! An echo server in the test's thread, its client in another.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent::net::{TcpListener, TcpStream};
use levent::reactor::net::listen_tcp;
use levent::{BufferedStream, spawn};

/// What a server has done, for its client to look at.
#[derive(Default)]
pub(crate) struct Served {
    pub(crate) accepted: AtomicU64,
    pub(crate) closed: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// A listener on a free port of the loopback, with a long queue.
pub(crate) fn listener() -> TcpListener {
    let address = "127.0.0.1:0".parse().expect("an address");
    let listener = listen_tcp(&address, 4096).expect("a free port");
    TcpListener::try_from(listener).expect("a listener can be watched")
}

/// Both ends of a connection.
pub(crate) async fn connected() -> io::Result<(TcpStream, TcpStream)> {
    let listener = listener();
    let (client, (server, _)) = futures_lite::future::try_zip(
        TcpStream::connect(listener.local_addr()?),
        accept(&listener),
    )
    .await?;
    Ok((client, server))
}

/// Accepts, and goes on after errors, which chaos makes.
pub(crate) async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    for _ in 0..50 {
        if let Ok(accepted) = listener.accept().await {
            return Ok(accepted);
        }
    }
    listener.accept().await
}

/// Sends back what comes, to the end.
pub(crate) async fn echo(mut stream: TcpStream, served: &Served) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        // Before the write: who has the answer finds it counted.
        served.bytes.fetch_add(n as u64, Ordering::Relaxed);
        stream.write_all(&buffer[..n]).await?;
    }
}

/// The same on a buffered stream: what comes is moved, and not copied.
pub(crate) async fn echo_buffered(stream: TcpStream, served: Arc<Served>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufferedStream::socket(stream);
    loop {
        let n = stream.fill().await?;
        if n == 0 {
            return stream.close().await;
        }
        served.bytes.fetch_add(n as u64, Ordering::Relaxed);
        {
            let (mut input, mut output) = stream.buffers();
            output.append_buffer(&mut input)?;
        }
        stream.room().await?;
    }
}

/// Serves echo until dropped; connections that are open then go on until they end.
pub(crate) async fn serve(listener: TcpListener, served: Arc<Served>) {
    loop {
        // An error concerns one connection, or passes; the listener paces itself.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let served = Arc::clone(&served);
        served.accepted.fetch_add(1, Ordering::Relaxed);
        spawn(async move {
            let _ = echo(stream, &served).await;
            served.closed.fetch_add(1, Ordering::Relaxed);
        })
        .detach();
    }
}

/// Serves echo in this thread for as long as `client` runs in another one, and returns what that returns.
pub(crate) fn serve_while<R: Send + 'static>(
    client: impl FnOnce(SocketAddr, &Served) -> R + Send + 'static,
) -> R {
    let served = Arc::<Served>::default();
    levent::block_on(async {
        let listener = listener();
        let address = listener.local_addr().expect("a bound socket");
        let (running, ended) = async_channel::bounded::<()>(1);
        let client = {
            let served = Arc::clone(&served);
            // Moved in, so that the channel also ends when the client panics.
            thread::spawn(move || {
                let _running = running;
                client(address, &served)
            })
        };
        let server = spawn(serve(listener, served));
        let _ = ended.recv().await;
        server.cancel().await;
        client
            .join()
            .unwrap_or_else(|panicked| resume_unwind(panicked))
    })
}

/// Counts its calls in one thread.
#[derive(Clone, Default)]
pub(crate) struct Count(Rc<Cell<u64>>);

impl Count {
    pub(crate) fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

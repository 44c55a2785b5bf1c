//! An echo server: one task per connection, a graceful end.
//!
//! ```text
//! cargo run --release --example echo -- 127.0.0.1:7000     (the default address; port 0 takes a free one)
//! ```
//!
//! Prints `listening on ADDR`. Whatever is sent to it comes back: try `socat - TCP:127.0.0.1:7000`. Nothing is printed per
//! connection or request. Ctrl-C or SIGTERM ends it: it accepts no more, lets open connections finish for up to 5 s, prints
//! `served C connections, B bytes` and exits with 0.

use std::{
    cell::{Cell, RefCell},
    env,
    future::poll_fn,
    io,
    net::SocketAddr,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use levent::{
    Signals,
    net::{TcpListener, TcpStream},
    reactor::net::{listen_tcp, raise_descriptor_limit},
    signal::{SIGINT, SIGTERM},
    sleep, spawn, timeout,
};

/// As many connections as the kernel may hold ready for us while we are busy; it cuts this to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// How long open connections may go on once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

fn main() -> io::Result<()> {
    let address = env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:7000".into());
    let address: SocketAddr = address.parse().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("not an ADDRESS:PORT: {address}"),
        )
    })?;
    // Each connection is a descriptor, and the usual soft limit is 1024. A refusal only means fewer connections.
    if let Err(error) = raise_descriptor_limit() {
        eprintln!("the limit of open files stays as it is: {error}");
    }
    levent::block_on(serve(address))
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    // Before the line below is printed, so that who reads it may send the signal.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = TcpListener::try_from(listen_tcp(&address, BACKLOG)?)?;
    println!("listening on {}", listener.local_addr()?);

    let tally = Rc::new(Tally::default());
    let acceptor = spawn(accept(listener, Rc::clone(&tally)));
    signals.next().await;

    // Cancelling drops the listener with the task: from here on connections are refused.
    acceptor.cancel().await;
    // An error says that the grace is over; what is still open is closed with the process.
    let _ = timeout(GRACE, tally.all_closed()).await;
    println!(
        "served {} connections, {} bytes",
        tally.served.get(),
        tally.bytes.get()
    );
    Ok(())
}

/// Accepts for ever. No error ends it: they concern one connection, or pass.
async fn accept(listener: TcpListener, tally: Rc<Tally>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let open = Open::new(&tally);
                spawn(async move {
                    // A connection that breaks is over, as one that ends is.
                    let _ = echo(stream, &open.0).await;
                })
                .detach();
            }
            // The client left before its turn came.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            // Out of descriptors or memory: the connection stays in the backlog, and trying at once would only burn the processor.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn echo(mut stream: TcpStream, tally: &Tally) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
        tally.bytes.set(tally.bytes.get() + n as u64);
    }
}

/// What the server has done. One thread, so plain cells.
#[derive(Default)]
struct Tally {
    served: Cell<u64>,
    bytes: Cell<u64>,
    open: Cell<usize>,
    /// Who waits in `all_closed`.
    waiting: RefCell<Option<Waker>>,
}

impl Tally {
    /// Waits until no connection is open.
    async fn all_closed(&self) {
        poll_fn(|cx| {
            if self.open.get() == 0 {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// One open connection; counted until it is dropped, however its task ends.
struct Open(Rc<Tally>);

impl Open {
    fn new(tally: &Rc<Tally>) -> Open {
        tally.served.set(tally.served.get() + 1);
        tally.open.set(tally.open.get() + 1);
        Open(Rc::clone(tally))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let open = self.0.open.get() - 1;
        self.0.open.set(open);
        if open == 0 {
            // Taken out first: waking may run foreign code, which must not find the cell borrowed.
            let waiting = self.0.waiting.take();
            if let Some(waker) = waiting {
                waker.wake();
            }
        }
    }
}

//! The echo server on reactor callbacks alone, as one would write it for libevent: no future, no task.
//!
//! ```text
//! cargo run --release --example reactor_echo -- 127.0.0.1:7000
//! ```
//!
//! Prints `listening on ADDR`. On SIGINT or SIGTERM it stops accepting, lets open connections finish for up to 5 s, prints
//! `served C connections, B bytes` and exits with 0.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use levent::reactor::{Base, Event, Flags, net, signal};

const GRACE: Duration = Duration::from_secs(5);

/// What all callbacks share.
struct Server {
    base: Base,
    buffer: RefCell<Vec<u8>>,
    open: Cell<u64>,
    served: Cell<u64>,
    bytes: Cell<u64>,
    stopping: Cell<bool>,
    /// The listener's event; dropped, and the listener closed, when the server stops.
    accept: RefCell<Option<Event>>,
}

/// Counts a connection for as long as its event, or the one that finishes its output, lives.
struct Open(Rc<Server>);

impl Open {
    fn new(server: &Rc<Server>) -> Rc<Open> {
        server.open.set(server.open.get() + 1);
        server.served.set(server.served.get() + 1);
        Rc::new(Open(server.clone()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let server = &self.0;
        server.open.set(server.open.get() - 1);
        if server.stopping.get() && server.open.get() == 0 {
            server.base.loop_break();
        }
    }
}

fn main() -> io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:7000".into());
    let address: SocketAddr = address.parse().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{address}: give IP:PORT"),
        )
    })?;
    net::raise_descriptor_limit()?;
    let base = Base::new()?;
    let listener = net::listen_tcp(&address, 4096)?;
    println!("listening on {}", listener.local_addr()?);

    let server = Rc::new(Server {
        base: base.clone(),
        buffer: RefCell::new(vec![0; 16 * 1024]),
        open: Cell::new(0),
        served: Cell::new(0),
        bytes: Cell::new(0),
        stopping: Cell::new(false),
        accept: RefCell::new(None),
    });
    let accept = Event::new(&base, listener, Flags::READ | Flags::PERSIST, {
        let server = server.clone();
        move |listener, _, event| accept_all(&server, listener, event)
    })?;
    accept.add()?;
    *server.accept.borrow_mut() = Some(accept);
    let _signals = [signal::SIGINT, signal::SIGTERM].map(|number| {
        let server = server.clone();
        let event = Event::signal(&base, number, move |_, _| stop(&server));
        if let Err(error) = event.add() {
            eprintln!("signal {number}: {error}");
        }
        event
    });
    base.dispatch()?;
    println!(
        "served {} connections, {} bytes",
        server.served.get(),
        server.bytes.get()
    );
    Ok(())
}

/// Stops accepting and ends the loop when the last connection is gone, or after the grace period.
fn stop(server: &Rc<Server>) {
    if server.stopping.replace(true) {
        return;
    }
    drop(server.accept.take());
    if server.open.get() == 0 {
        server.base.loop_break();
    } else {
        drop(server.base.loop_exit(Some(GRACE)));
    }
}

fn accept_all(server: &Rc<Server>, listener: &TcpListener, event: &Event) {
    loop {
        match net::accept_tcp(listener) {
            Ok((stream, _)) => {
                if let Err(error) = serve(server, stream) {
                    eprintln!("connection: {error}");
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => {
                // Out of descriptors, most likely: asking again at once would find the same.
                eprintln!("accept: {error}");
                drop(event.del());
                let (server, event) = (server.clone(), event.clone());
                server
                    .base
                    .clone()
                    .once_after(Duration::from_millis(100), move || {
                        if !server.stopping.get() {
                            drop(event.add());
                        }
                    });
                return;
            }
        }
    }
}

fn serve(server: &Rc<Server>, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let open = Open::new(server);
    let event = Event::new(
        &server.base,
        stream,
        Flags::READ | Flags::PERSIST,
        move |stream: &TcpStream, _, event| {
            let server = &open.0;
            let buffer = &mut *server.buffer.borrow_mut();
            match (&*stream).read(buffer) {
                Ok(0) => drop(event.del()),
                Ok(read) => {
                    server.bytes.set(server.bytes.get() + read as u64);
                    echo(&open, stream, &buffer[..read], event);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => drop(event.del()),
            }
        },
    )?;
    event.add()?;
    // It lives until it is deleted, and closes the stream then.
    event.detach();
    Ok(())
}

/// Writes all back.
fn echo(open: &Rc<Open>, stream: &TcpStream, data: &[u8], reader: &Event) {
    match (&*stream).write(data) {
        Ok(written) if written == data.len() => {}
        result => echo_rest(open, stream, data, result, reader),
    }
}

/// What the socket does not take now waits in an event of its own, and reading waits with it.
#[cold]
fn echo_rest(
    open: &Rc<Open>,
    stream: &TcpStream,
    data: &[u8],
    result: io::Result<usize>,
    reader: &Event,
) {
    match result {
        Ok(written) => echo(open, stream, &data[written..], reader),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            if let Err(error) = finish_later(open, stream, data.to_vec(), reader) {
                eprintln!("connection: {error}");
                drop(reader.del());
            }
        }
        Err(_) => drop(reader.del()),
    }
}

fn finish_later(
    open: &Rc<Open>,
    stream: &TcpStream,
    data: Vec<u8>,
    reader: &Event,
) -> io::Result<()> {
    let writer = stream.try_clone()?;
    let (open, reader) = (open.clone(), reader.clone());
    let base = open.0.base.clone();
    reader.del()?;
    let mut done = 0;
    let event = Event::new(
        &base,
        writer,
        Flags::WRITE | Flags::PERSIST,
        move |stream: &TcpStream, _, event| {
            let _connection = &open;
            while done < data.len() {
                match (&*stream).write(&data[done..]) {
                    Ok(written) => done += written,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                    Err(_) => return drop(event.del()),
                }
            }
            drop(event.del());
            drop(reader.add());
        },
    )?;
    event.add()?;
    event.detach();
    Ok(())
}

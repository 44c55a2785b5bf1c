//! Echo server on reactor callbacks: `echo-ours-reactor PORT`. Ends on SIGTERM.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

use levent_bench::{BUFFER, listener};
use levent_reactor::{Base, Event, Flags, net, signal};

type Buffer = Rc<RefCell<Vec<u8>>>;

fn main() -> io::Result<()> {
    let base = Base::new()?;
    let buffer: Buffer = Rc::new(RefCell::new(vec![0; BUFFER]));
    let accept = Event::new(
        &base,
        listener()?,
        Flags::READ | Flags::PERSIST,
        move |listener, _, event| {
            if let Some(base) = event.base() {
                on_acceptable(&base, listener, &buffer);
            }
        },
    )?;
    accept.add()?;
    let term = Event::signal(&base, signal::SIGTERM, |event, _| {
        if let Some(base) = event.base() {
            base.loop_break();
        }
    });
    term.add()?;
    base.dispatch().map(drop)
}

fn on_acceptable(base: &Base, listener: &TcpListener, buffer: &Buffer) {
    while let Ok((stream, _)) = net::accept_tcp(listener) {
        if serve(base, stream, buffer.clone()).is_err() {
            return;
        }
    }
}

fn serve(base: &Base, stream: TcpStream, buffer: Buffer) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let event = Event::new(
        base,
        stream,
        Flags::READ | Flags::PERSIST,
        move |stream: &TcpStream, _, event| {
            let buffer = &mut *buffer.borrow_mut();
            match (&*stream).read(buffer) {
                Ok(0) => drop(event.del()),
                Ok(read) => echo(stream, &buffer[..read], event),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => drop(event.del()),
            }
        },
    )?;
    event.add()?;
    event.detach();
    Ok(())
}

/// Writes all back.
fn echo(stream: &TcpStream, data: &[u8], reader: &Event) {
    match (&*stream).write(data) {
        Ok(written) if written == data.len() => {}
        result => echo_rest(stream, data, result, reader),
    }
}

/// What the socket does not take now waits in an event of its own, and reading with it.
#[cold]
fn echo_rest(stream: &TcpStream, data: &[u8], result: io::Result<usize>, reader: &Event) {
    match result {
        Ok(written) => echo(stream, &data[written..], reader),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            drop(finish_later(stream, data.to_vec(), reader.clone()));
        }
        Err(_) => drop(reader.del()),
    }
}

fn finish_later(stream: &TcpStream, data: Vec<u8>, reader: Event) -> io::Result<()> {
    let Some(base) = reader.base() else {
        return Ok(());
    };
    let writer = stream.try_clone()?;
    let mut done = 0;
    reader.del()?;
    let event = Event::new(
        &base,
        writer,
        Flags::WRITE | Flags::PERSIST,
        move |stream: &TcpStream, _, event| {
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

//! A chat server: lines of text, everybody hears everybody.
//!
//! ```text
//! cargo run --release --example chat -- 127.0.0.1:7002 300     (default address; seconds of silence before one is asked to leave)
//! socat READLINE TCP:127.0.0.1:7002                            (in two terminals)
//! ```
//!
//! Prints `listening on ADDR`. A client is asked for a name until it gives one that is free, then each of its lines goes to all others
//! as `NAME: LINE`. `/who` lists the names, `/quit` leaves. Who says nothing for the given time is let go, and so is who
//! does not read what the others say, or sends a line of more than 1 KiB. Ctrl-C or SIGTERM says good-bye to all and exits with 0.
//!
//! Two tasks per client: one reads its lines, one writes what its queue holds. Nobody waits for a slow reader: a full queue
//! closes the connection.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    env, io,
    net::{Shutdown, SocketAddr},
    rc::Rc,
    time::Duration,
};

use async_channel::{Receiver, Sender, bounded};
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt, io::BufReader};
use levent::{
    Signals,
    net::{TcpListener, TcpStream},
    signal::{SIGINT, SIGTERM},
    sleep, spawn, timeout,
};

/// Lines that may wait for a client that does not read.
const QUEUE: usize = 256;
/// Bytes of the longest line, and of the longest name.
const LINE: usize = 1024;
const NAME: usize = 32;

fn main() -> io::Result<()> {
    let mut args = env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:7002".into());
    let idle = args
        .next()
        .map_or(Ok(300), |seconds| seconds.parse())
        .map_err(io::Error::other)?;
    levent::block_on(async {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let listener = TcpListener::bind(address.as_str()).await?;
        println!("listening on {}", listener.local_addr()?);

        let room = Rc::new(Room {
            idle: Duration::from_secs(idle),
            members: RefCell::default(),
        });
        let acceptor = spawn(accept(listener, Rc::clone(&room)));
        signals.next().await;
        acceptor.cancel().await;
        room.tell("* the server says good-bye", None);
        // The writers send what is in the queues; a moment is enough for those who read at all.
        sleep(Duration::from_millis(100)).await;
        Ok(())
    })
}

async fn accept(listener: TcpListener, room: Rc<Room>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let room = Rc::clone(&room);
                spawn(async move {
                    // A broken connection ends like one that was closed.
                    let _ = client(stream, peer, &room).await;
                })
                .detach();
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The people in the chat, by name.
struct Room {
    idle: Duration,
    members: RefCell<BTreeMap<String, Rc<Member>>>,
}

struct Member {
    queue: Sender<Rc<str>>,
    /// To close the connection of one who does not read.
    stream: TcpStream,
}

impl Room {
    /// Puts a line into everybody's queue but `except`'s.
    fn tell(&self, line: &str, except: Option<&str>) {
        let line: Rc<str> = format!("{line}\n").into();
        // A list of its own: sending wakes tasks, and nothing of the room is borrowed while foreign code runs.
        let others: Vec<Rc<Member>> = self
            .members
            .borrow()
            .iter()
            .filter(|(name, _)| except != Some(name))
            .map(|(_, member)| Rc::clone(member))
            .collect();
        for member in others {
            if member.queue.try_send(Rc::clone(&line)).is_err() {
                // Their reader task finds the connection closed and cleans up. An error says that it is closed already.
                let _ = member.stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// One client, from greeting to farewell.
async fn client(stream: TcpStream, peer: SocketAddr, room: &Room) -> io::Result<()> {
    let mut lines = Lines {
        reader: BufReader::new(stream.clone()),
        idle: room.idle,
    };
    let mut out = stream.clone();
    out.write_all(b"your name? ").await?;
    let (seat, queue) = loop {
        let Some(name) = lines.next().await? else {
            return Ok(());
        };
        match Seat::take(room, name.trim(), &stream) {
            Ok(taken) => break taken,
            Err(reason) => {
                out.write_all(format!("{reason}, another one? ").as_bytes())
                    .await?
            }
        }
    };
    let writer = spawn(write_queue(out, queue));
    room.tell(&format!("* {} came from {peer}", seat.name), None);

    let end = converse(&mut lines, &seat).await;
    let name = seat.name.clone();
    // Frees the name and ends the queue; the writer sends what is left of it, within reason.
    drop(seat);
    room.tell(&format!("* {name} left"), None);
    let _ = timeout(Duration::from_secs(1), writer).await;
    end
}

/// Passes the client's lines on until it leaves.
async fn converse(lines: &mut Lines, seat: &Seat<'_>) -> io::Result<()> {
    while let Some(line) = lines.next().await? {
        match line.trim() {
            "" => {}
            "/quit" => break,
            "/who" => {
                let names = seat
                    .room
                    .members
                    .borrow()
                    .keys()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", ");
                seat.say(&format!("* here: {names}\n"));
            }
            line => seat
                .room
                .tell(&format!("{}: {line}", seat.name), Some(&seat.name)),
        }
    }
    Ok(())
}

/// Writes what comes through the queue, until its sender is gone and it is empty.
async fn write_queue(mut out: TcpStream, queue: Receiver<Rc<str>>) -> io::Result<()> {
    while let Ok(line) = queue.recv().await {
        out.write_all(line.as_bytes()).await?;
    }
    out.shutdown(Shutdown::Write)
}

/// A name in the room, given up when dropped.
struct Seat<'a> {
    room: &'a Room,
    name: String,
    queue: Sender<Rc<str>>,
}

impl<'a> Seat<'a> {
    fn take(
        room: &'a Room,
        name: &str,
        stream: &TcpStream,
    ) -> Result<(Seat<'a>, Receiver<Rc<str>>), &'static str> {
        if name.is_empty()
            || name.len() > NAME
            || name.starts_with(['/', '*'])
            || name.contains(':')
        {
            return Err("that is no name");
        }
        let mut members = room.members.borrow_mut();
        if members.contains_key(name) {
            return Err("that name is taken");
        }
        let (queue, lines) = bounded(QUEUE);
        let member = Member {
            queue: queue.clone(),
            stream: stream.clone(),
        };
        members.insert(name.into(), Rc::new(member));
        let name = name.into();
        Ok((Seat { room, name, queue }, lines))
    }

    /// To this client alone. A full queue is dealt with by the next line that somebody says.
    fn say(&self, line: &str) {
        let _ = self.queue.try_send(line.into());
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let member = self.room.members.borrow_mut().remove(&self.name);
        // After the borrow: this may be the last sender of the queue, which wakes the writer.
        drop(member);
    }
}

/// The client's lines, with a limit on their length and on the silence between them.
struct Lines {
    reader: BufReader<TcpStream>,
    idle: Duration,
}

impl Lines {
    /// The next line; `None` at the end of the stream.
    ///
    /// Not cancel safe: a line that was read in part is lost. Here it is only dropped together with the connection.
    async fn next(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        // One byte more than allowed, so that the two cases can be told apart.
        let mut limited = (&mut self.reader).take(LINE as u64 + 1);
        let n = timeout(self.idle, limited.read_until(b'\n', &mut line)).await??;
        if line.len() > LINE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a line of more than 1 KiB",
            ));
        }
        Ok((n > 0).then(|| String::from_utf8_lossy(&line).into_owned()))
    }
}

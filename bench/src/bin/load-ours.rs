//! Closed-loop load for echo servers, from one thread on a bare epoll loop. Every byte that comes back is checked.
//!
//! ```text
//! load-ours pingpong -p PORT -P PID -c CONNECTIONS -s SIZE -d SECONDS [-w WARM_UP_SECONDS] [-b 1] [-t THINK_US] [-l 1]
//! load-ours http     -p PORT -P PID -c CONNECTIONS -d SECONDS [-w WARM_UP_SECONDS]
//! load-ours connect  -p PORT -P PID -c CONNECTIONS -s SIZE -d SECONDS
//! load-ours count    -p PORT -P PID -c CONNECTIONS -s SIZE -n REQUESTS
//! load-ours idle     -p PORT -P PID -c CONNECTIONS [-d SECONDS]
//! ```
//!
//! Prints one line of `key=value`. `PID` is the server: its CPU clock is read at both ends of the measured window, so that the
//! window of the requests and that of the time are the same. `-b 1` keeps the client busy instead of asleep, so that with one
//! connection only the server's sleep is in the way; so does `-t`, the time between an answer and the next message. `-l 1` prints the medium time until an answer.
//! Wrong bytes and broken connections end the run with an error.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use levent_bench::cpu_nanos_of;
use levent_bench::epoll::{EPOLLET, EPOLLIN, EPOLLOUT, Epoll};

/// What a browser sends at the least, and the end of the answer to it.
const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: load-ours\r\nAccept: */*\r\n\r\n";
const HELLO: &[u8] = b"Hello, World!";

/// How long the server may stay silent before the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> io::Result<()> {
    let options = Options::read()?;
    match std::env::args().nth(1).as_deref() {
        Some("pingpong" | "http") => pingpong(&options),
        Some("connect") => connects(&options),
        Some("count") => count(&options),
        Some("idle") => idle(&options),
        _ => Err(invalid(
            "the mode is pingpong, http, connect, count or idle",
        )),
    }
}

fn pingpong(options: &Options) -> io::Result<()> {
    let pid = options.number("-P", 0.0) as i32;
    let mut load = Load::connect(options)?;
    load.begin()?;
    let warm = Duration::from_secs_f64(options.number("-w", 0.2));
    load.run(|_, now, start| now - start >= warm)?;
    let (cpu, requests, start) = (cpu_nanos_of(pid)?, load.requests, Instant::now());
    if options.number("-l", 0.0) > 0.0 {
        load.answer_ns = Some(Vec::new());
    }
    let length = Duration::from_secs_f64(options.number("-d", 1.0));
    load.run(|_, now, start| now - start >= length)?;
    let cpu = cpu_nanos_of(pid)? - cpu;
    let requests = load.requests - requests;
    let seconds = start.elapsed().as_secs_f64();
    print!(
        "requests={requests} seconds={seconds:.4} cpu_ns={cpu} cpu_ns_per_request={:.1}",
        cpu as f64 / requests as f64
    );
    if let Some(mut answer_ns) = load.answer_ns {
        answer_ns.sort_unstable();
        let median = answer_ns.get(answer_ns.len() / 2).copied();
        print!(" answer_ns_p50={}", median.unwrap_or_default());
    }
    println!();
    Ok(())
}

/// A connection, one message and its answer, and the end, again and again.
fn connects(options: &Options) -> io::Result<()> {
    let pid = options.number("-P", 0.0) as i32;
    let mut load = Load::connect(options)?;
    load.renews = true;
    load.begin()?;
    load.run(|load, _, _| load.requests >= 200)?;
    let (cpu, requests, start) = (cpu_nanos_of(pid)?, load.requests, Instant::now());
    let length = Duration::from_secs_f64(options.number("-d", 1.0));
    load.run(|_, now, start| now - start >= length)?;
    let cpu = cpu_nanos_of(pid)? - cpu;
    let requests = load.requests - requests;
    println!(
        "requests={requests} seconds={:.4} cpu_ns={cpu} cpu_ns_per_request={:.1}",
        start.elapsed().as_secs_f64(),
        cpu as f64 / requests as f64
    );
    Ok(())
}

fn count(options: &Options) -> io::Result<()> {
    let wanted = options.number("-n", 1000.0) as u64;
    let mut load = Load::connect(options)?;
    load.wanted = wanted;
    load.begin()?;
    load.run(|load, _, _| load.requests >= wanted)?;
    println!("requests={}", load.requests);
    Ok(())
}

fn idle(options: &Options) -> io::Result<()> {
    let pid = options.number("-P", 0.0) as i32;
    let before = Memory::of(pid)?;
    let mut load = Load::connect(options)?;
    let connections = load.connections.len() as u64;
    // One echo each, so that the server has accepted all of them and has used every buffer.
    load.wanted = connections;
    load.begin()?;
    load.run(|load, _, _| load.requests >= connections)?;
    let after = Memory::of(pid)?;
    let cpu = cpu_nanos_of(pid)?;
    std::thread::sleep(Duration::from_secs_f64(options.number("-d", 1.0)));
    let cpu = cpu_nanos_of(pid)? - cpu;
    println!(
        "connections={connections} resident_per_connection={} data_per_connection={} idle_cpu_ns={cpu} threads={}",
        (after.resident - before.resident) / connections as i64,
        (after.data - before.data) / connections as i64,
        after.threads
    );
    Ok(())
}

/// The connections of a run, each with at most one message under way.
struct Load {
    epoll: Epoll,
    connections: Vec<Connection>,
    /// What every message is made from; the head of it tells connection and number.
    message: Vec<u8>,
    buffer: Vec<u8>,
    /// Messages that came back.
    requests: u64,
    /// Messages to send altogether.
    wanted: u64,
    started: u64,
    /// The longest sleep: none for a busy client.
    wait_ms: i32,
    /// How long after an answer the next message is sent.
    think: Duration,
    /// The connections that think, in the order in which they will be done.
    thinking: VecDeque<(Instant, usize)>,
    /// How long the answers took, if that is asked for.
    answer_ns: Option<Vec<u64>>,
    /// Messages are requests, and an answer is what ends with [`HELLO`].
    is_http: bool,
    /// Each message has a connection of its own.
    renews: bool,
    port: u16,
}

struct Connection {
    stream: TcpStream,
    number: u32,
    sent: usize,
    received: usize,
    /// When the message was begun, if that is asked for.
    begun: Option<Instant>,
}

impl Load {
    fn connect(options: &Options) -> io::Result<Load> {
        levent_reactor::net::raise_descriptor_limit()?;
        let size = options.number("-s", 64.0) as usize;
        if size < 8 {
            return Err(invalid("a message has 8 bytes at least"));
        }
        let port = options.number("-p", 7000.0) as u16;
        let epoll = Epoll::new(1024)?;
        let mut connections = Vec::new();
        for index in 0..options.number("-c", 1.0) as u64 {
            let stream = connected(&epoll, port, index)?;
            connections.push(Connection {
                stream,
                number: 0,
                sent: 0,
                received: 0,
                begun: None,
            });
        }
        let is_http = std::env::args().nth(1).as_deref() == Some("http");
        let think = Duration::from_micros(options.number("-t", 0.0) as u64);
        let is_busy = options.number("-b", 0.0) > 0.0 || !think.is_zero();
        Ok(Load {
            epoll,
            connections,
            message: match is_http {
                true => REQUEST.to_vec(),
                false => (0..size).map(|i| (i * 31 + i / 251) as u8).collect(),
            },
            buffer: vec![0; size.max(4096)],
            requests: 0,
            wanted: u64::MAX,
            started: 0,
            wait_ms: if is_busy { 0 } else { 100 },
            think,
            thinking: VecDeque::new(),
            answer_ns: None,
            is_http,
            renews: false,
            port,
        })
    }

    /// Sends the first message of every connection.
    fn begin(&mut self) -> io::Result<()> {
        for index in 0..self.connections.len() {
            self.start(index)?;
        }
        Ok(())
    }

    /// Echoes until `done`, which is asked between batches and gets the load, the time, and the time of the start.
    fn run(&mut self, done: impl Fn(&Load, Instant, Instant) -> bool) -> io::Result<()> {
        let start = Instant::now();
        let mut heard = start;
        let mut ready = Vec::with_capacity(1024);
        loop {
            let now = Instant::now();
            if done(self, now, start) {
                return Ok(());
            }
            ready.clear();
            ready.extend(self.epoll.wait(self.wait_ms)?.iter().map(|event| event.u64));
            if !ready.is_empty() {
                heard = now;
            } else if now - heard > PATIENCE {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the server is silent",
                ));
            }
            for &index in &ready {
                self.advance(index as usize)?;
            }
            while let Some(&(due, index)) = self.thinking.front() {
                if due > now {
                    break;
                }
                self.thinking.pop_front();
                self.start(index)?;
            }
        }
    }

    fn start(&mut self, index: usize) -> io::Result<()> {
        if self.started == self.wanted {
            return Ok(());
        }
        self.started += 1;
        let connection = &mut self.connections[index];
        connection.number += 1;
        connection.sent = 0;
        connection.received = 0;
        connection.begun = self.answer_ns.is_some().then(Instant::now);
        self.send(index)
    }

    fn send(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        if connection.number == 0 {
            return Ok(());
        }
        if !self.is_http {
            head(&mut self.message, index, connection.number);
        }
        while connection.sent < self.message.len() {
            match connection.stream.write(&self.message[connection.sent..]) {
                Ok(sent) => connection.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes on with the message of a connection. Each message is answered before the next is sent, so once it has come back
    /// nothing more can be there to read.
    fn advance(&mut self, index: usize) -> io::Result<()> {
        self.send(index)?;
        let size = self.message.len();
        loop {
            let connection = &mut self.connections[index];
            let is_done = if self.is_http {
                connection.received > 0
            } else {
                connection.received == size
            };
            if is_done || connection.number == 0 {
                return Ok(());
            }
            let read = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return Err(invalid("the server closed a connection")),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let end = connection.received + read;
            if self.is_http {
                // The servers send head and body in one piece.
                if !self.buffer.starts_with(b"HTTP/1.1 200 OK\r\n")
                    || !self.buffer[..read].ends_with(HELLO)
                {
                    return Err(invalid("the server answered something else"));
                }
            } else {
                head(&mut self.message, index, connection.number);
                if end > connection.sent
                    || self.message[connection.received..end] != self.buffer[..read]
                {
                    return Err(invalid("the server sent other bytes than it got"));
                }
            }
            connection.received = end;
            if end == size || self.is_http {
                self.requests += 1;
                if let (Some(answer_ns), Some(begun)) = (&mut self.answer_ns, connection.begun) {
                    answer_ns.push(begun.elapsed().as_nanos() as u64);
                }
                if self.renews {
                    self.connections[index].stream =
                        connected(&self.epoll, self.port, index as u64)?;
                }
                if self.think.is_zero() {
                    return self.start(index);
                }
                self.thinking
                    .push_back((Instant::now() + self.think, index));
                return Ok(());
            }
        }
    }
}

/// A connection to the server, watched as the one of this number.
fn connected(epoll: &Epoll, port: u16, index: u64) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    epoll.add(&stream, EPOLLIN | EPOLLOUT | EPOLLET, index)?;
    Ok(stream)
}

/// Marks a message, so that no other connection's and no earlier one can pass for it.
fn head(message: &mut [u8], connection: usize, number: u32) {
    message[..4].copy_from_slice(&(connection as u32).to_le_bytes());
    message[4..8].copy_from_slice(&number.to_le_bytes());
}

/// What a process takes, from `/proc/PID/status`; sizes in bytes.
struct Memory {
    resident: i64,
    /// Private writable memory, touched or not: the heap, whatever of it is in use.
    data: i64,
    threads: i64,
}

impl Memory {
    fn of(pid: i32) -> io::Result<Memory> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let number = |name| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.split_whitespace().next())
                .and_then(|word| word.parse::<i64>().ok())
                .unwrap_or(0)
        };
        Ok(Memory {
            resident: number("VmRSS:") * 1024,
            data: number("VmData:") * 1024,
            threads: number("Threads:"),
        })
    }
}

/// The command line: the mode, then pairs of a letter and a number.
struct Options(BTreeMap<String, f64>);

impl Options {
    fn read() -> io::Result<Options> {
        let words: Vec<String> = std::env::args().skip(2).collect();
        let pairs = words.chunks(2).map(|pair| match pair {
            [name, value] => match value.parse() {
                Ok(value) => Ok((name.clone(), value)),
                Err(_) => Err(invalid("the options have numbers as values")),
            },
            _ => Err(invalid("an option has no value")),
        });
        pairs.collect::<io::Result<_>>().map(Options)
    }

    fn number(&self, name: &str, default: f64) -> f64 {
        self.0.get(name).copied().unwrap_or(default)
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

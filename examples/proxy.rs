//! A TCP relay: every connection is passed on to an upstream server, with limits and an idle timeout.
//!
//! ```text
//! cargo run --release --example proxy -- [LISTEN [UPSTREAM [OPTION VALUE]...]]
//! ```
//!
//! `--help` has the options. Prints `listening on ADDR`, and one line to standard error for each connection that ends with an error. Try it between two terminals:
//! `socat - TCP-LISTEN:7000` and `socat - TCP:127.0.0.1:7001`. Ctrl-C or SIGTERM ends it: it prints `relayed C connections (F failed), U bytes up, D bytes down` and
//! exits with 0.

use std::{
    cell::Cell, env, fmt::Display, io, process::ExitCode, rc::Rc, str::FromStr, time::Duration,
};

use futures_lite::StreamExt;
use levent::{
    BufferedStream, Signals,
    limit::{Group, Limit},
    net::{TcpListener, TcpStream},
    reactor::net::raise_descriptor_limit,
    signal::{SIGINT, SIGTERM},
    spawn,
    stream::relay,
    timeout,
};

const HELP: &str = "\
usage: proxy [LISTEN [UPSTREAM [OPTION VALUE]...]]

    LISTEN               HOST:PORT to listen on (127.0.0.1:7001; port 0 takes a free one)
    UPSTREAM             HOST:PORT to pass connections on to (127.0.0.1:7000)

    --idle SECONDS       end a connection on which nothing has moved for so long, either way (60; 0 is never)
    --connect SECONDS    how long the upstream server may take to answer (10)
    --high BYTES         how much is read ahead of a slow side, in each of the four buffers (65536)
    --rate BYTES         bytes per second from each client, and as many to it (no limit)
    --total BYTES        the same of all clients together (no limit)";

fn main() -> ExitCode {
    if env::args().any(|argument| argument == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let options = match Options::read(env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    // Two descriptors per connection. A refusal only means fewer of them.
    if let Err(error) = raise_descriptor_limit() {
        eprintln!("the limit of open files stays as it is: {error}");
    }
    let listen = options.listen.clone();
    match levent::block_on(serve(Rc::new(options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{listen}: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    listen: String,
    upstream: String,
    idle: Duration,
    connect: Duration,
    high: usize,
    rate: Option<Limit>,
    total: Option<Group>,
}

#[derive(Default)]
struct Tally {
    connections: Cell<u64>,
    failed: Cell<u64>,
    up: Cell<u64>,
    down: Cell<u64>,
}

async fn serve(options: Rc<Options>) -> io::Result<()> {
    // Before the line below is printed, so that who reads it may send the signal.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = TcpListener::bind(&*options.listen).await?;
    println!("listening on {}", listener.local_addr()?);

    let tally = Rc::new(Tally::default());
    let accepting = spawn({
        let (options, tally) = (options.clone(), tally.clone());
        async move {
            loop {
                // The listener paces itself when it is out of descriptors.
                if let Ok((client, peer)) = listener.accept().await {
                    tally.connections.set(tally.connections.get() + 1);
                    let (options, tally) = (options.clone(), tally.clone());
                    spawn(async move {
                        if let Err(error) = pass_on(client, &options, &tally).await {
                            tally.failed.set(tally.failed.get() + 1);
                            eprintln!("{peer}: {error}");
                        }
                    })
                    .detach();
                }
            }
        }
    });
    signals.next().await;
    accepting.cancel().await;
    println!(
        "relayed {} connections ({} failed), {} bytes up, {} bytes down",
        tally.connections.get(),
        tally.failed.get(),
        tally.up.get(),
        tally.down.get()
    );
    Ok(())
}

async fn pass_on(client: TcpStream, options: &Options, tally: &Tally) -> io::Result<()> {
    client.set_nodelay(true)?;
    let upstream = timeout(options.connect, TcpStream::connect(&*options.upstream))
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("no connection to {}: {error}", options.upstream),
            )
        })?;
    upstream.set_nodelay(true)?;

    let mut client = BufferedStream::socket(client);
    let mut upstream = BufferedStream::socket(upstream);
    for stream in [&mut client, &mut upstream] {
        stream.set_timeouts(Some(options.idle), Some(options.idle));
        stream.set_read_marks(0, options.high)?;
        stream.set_write_marks(options.high / 2, options.high)?;
    }
    client.set_limit(options.rate);
    client.set_group(options.total.as_ref());

    let mut relaying = relay(&mut client, &mut upstream);
    let ended = (&mut relaying).await;
    // However it ended.
    let (up, down) = relaying.moved();
    tally.up.set(tally.up.get() + up);
    tally.down.set(tally.down.get() + down);
    match ended {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(io::Error::new(
            error.kind(),
            format!("nothing has moved for {} s", options.idle.as_secs()),
        )),
        ended => ended.map(|_| ()),
    }
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> io::Result<Options> {
        let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.into());
        let mut options = Options {
            listen: next("127.0.0.1:7001"),
            upstream: next("127.0.0.1:7000"),
            idle: Duration::from_secs(60),
            connect: Duration::from_secs(10),
            high: 64 << 10,
            rate: None,
            total: None,
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_default();
            match &*name {
                "--idle" => options.idle = Duration::from_secs(number(&name, &value)?),
                "--connect" => options.connect = Duration::from_secs(number(&name, &value)?),
                "--high" => options.high = number(&name, &value)?,
                "--rate" => options.rate = Some(limit(&name, &value)?),
                "--total" => options.total = Some(Group::new(limit(&name, &value)?)),
                _ => return Err(invalid(format!("no such option: {name}"))),
            }
        }
        Ok(options)
    }
}

fn limit(name: &str, value: &str) -> io::Result<Limit> {
    Limit::per_second(number(name, value)?)
        .map_err(|_| invalid(format!("{name}: at least 1 byte per second, not {value}")))
}

fn number<T: FromStr>(name: &str, value: &str) -> io::Result<T> {
    value
        .parse()
        .map_err(|_| invalid(format!("{name}: not a number that fits: {value:?}")))
}

fn invalid(message: impl Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message.to_string())
}

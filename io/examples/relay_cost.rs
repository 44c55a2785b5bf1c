//! What a relay costs between two pairs of sockets: processor time of its thread, by the way that the bytes take.
//!
//! ```text
//! cargo run --release -p levent-io --example relay_cost -- [copy|splice] [tcp|unix] [MIB] [WRITE_SIZE]
//! ```
//!
//! A thread writes, in pieces of WRITE_SIZE, what another one reads; the main thread relays. Prints microseconds per MiB. For system
//! calls, run it under `strace -f -c`, or without `-f` for those of the relay alone.

use std::fs;
use std::io::{Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use levent_io::{copy_bidirectional, net, splice_bidirectional};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize, otherwise: &'static str| {
        arguments.get(index).map_or(otherwise, |word| word.as_str())
    };
    let (way, kind) = (argument(0, "splice"), argument(1, "tcp"));
    let mebibytes: usize = argument(2, "1024").parse().expect("MIB is a number");
    let size: usize = argument(3, "262144")
        .parse()
        .expect("WRITE_SIZE is a number of bytes");

    let ((mut client, a), (mut server, b)) = match kind {
        "unix" => (unix()?, unix()?),
        _ => (tcp()?, tcp()?),
    };
    let total = mebibytes << 20;
    let writer = thread::spawn(move || -> Result<()> {
        let piece = vec![7; size];
        let mut left = total;
        while left > 0 {
            let count = left.min(size);
            client.write_all(&piece[..count])?;
            left -= count;
        }
        Ok(())
    });
    let reader = thread::spawn(move || -> Result<usize> {
        let (mut piece, mut total) = (vec![0; 256 << 10], 0);
        loop {
            match server.read(&mut piece)? {
                0 => return Ok(total),
                count => total += count,
            }
        }
    });
    // A `TcpStream` of any stream socket: only reads, writes and splices matter here.
    let (mut a, mut b) = (net::TcpStream::try_from(a)?, net::TcpStream::try_from(b)?);
    let (begin, busy) = (Instant::now(), busy()?);
    let (there, _) = levent_executor::block_on(async {
        match way {
            "copy" => copy_bidirectional(&mut a, &mut b).await,
            _ => splice_bidirectional(&mut a, &mut b).await,
        }
    })?;
    let (busy, wall) = (self::busy()? - busy, begin.elapsed().as_nanos() as u64);
    drop((a, b));
    writer.join().expect("the writer")?;
    assert_eq!(
        (there as usize, reader.join().expect("the reader")?),
        (total, total)
    );
    println!(
        "{way} {kind} {mebibytes} MiB by {size}: {:.1} us of the processor per MiB, {:.0} MiB/s",
        busy as f64 / 1e3 / mebibytes as f64,
        mebibytes as f64 / (wall as f64 / 1e9)
    );
    Ok(())
}

/// Two ends: one that blocks, and a descriptor.
fn tcp() -> Result<(Box<dyn Duplex>, OwnedFd)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let ours = TcpStream::connect(listener.local_addr()?)?;
    Ok((Box::new(ours), listener.accept()?.0.into()))
}

fn unix() -> Result<(Box<dyn Duplex>, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((Box::new(ours), theirs.into()))
}

trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

/// Nanoseconds that this thread has run.
fn busy() -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text
        .split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or_default())
}

//! What the measuring programs share: the listener, clocks, medians, result lines.
//!
//! The programs are defined by the workloads they run, so that other runtimes' programs can be set beside them: same buffers,
//! same socket options, same counts. Results are lines `name median min max` on standard output.

mod clock;
pub mod epoll;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::time::Instant;

pub use clock::{cpu_nanos_of, pin_to_cpu};

/// The size of every read.
pub const BUFFER: usize = 16 * 1024;
/// How many operations one timed round has.
pub const OPERATIONS: usize = 1_000_000;

/// The port given as the first argument, 7000 by default.
#[must_use]
pub fn port() -> u16 {
    argument(1, 7000) as u16
}

/// The `n`th argument as a number.
#[must_use]
pub fn argument(n: usize, default: usize) -> usize {
    std::env::args()
        .nth(n)
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// The name of the test to run: the first argument.
#[must_use]
pub fn test_name() -> String {
    std::env::args().nth(1).unwrap_or_default()
}

/// A non-blocking listener on loopback with a backlog of 4096, after raising the limit of open files.
///
/// # Errors
///
/// The system's: most likely that the port is in use.
pub fn listener() -> io::Result<TcpListener> {
    levent_reactor::net::raise_descriptor_limit()?;
    levent_reactor::net::listen_tcp(&SocketAddr::from((Ipv4Addr::LOCALHOST, port())), 4096)
}

/// Is this a short run (`MEASURE_QUICK` set)?
#[must_use]
pub fn is_quick() -> bool {
    std::env::var_os("MEASURE_QUICK").is_some()
}

/// How often a timed round is repeated.
#[must_use]
pub fn rounds() -> usize {
    if is_quick() { 3 } else { 5 }
}

/// Prints `name median min max`.
pub fn print(name: &str, mut samples: Vec<f64>) {
    samples.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (samples.first(), samples.last()) else {
        return;
    };
    let middle = samples.len() / 2;
    let median = if samples.len() % 2 == 1 {
        samples[middle]
    } else {
        (samples[middle - 1] + samples[middle]) / 2.0
    };
    println!("{name} {median:.2} {least:.2} {most:.2}");
}

/// The process's CPU time, user and system, in nanoseconds.
#[must_use]
pub fn cpu_nanos() -> f64 {
    clock::process_cpu_nanos() as f64
}

/// Times `rounds` runs of `f` by the CPU clock and prints nanoseconds per operation.
pub fn time_cpu(name: &str, rounds: usize, operations: usize, mut f: impl FnMut()) {
    let samples = (0..rounds).map(|_| {
        let start = cpu_nanos();
        f();
        (cpu_nanos() - start) / operations as f64
    });
    print(name, samples.collect());
}

/// Microseconds since an instant.
#[must_use]
pub fn micros_since(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64 / 1e3
}

/// Times `rounds` runs of `f` by the wall clock and prints microseconds per run. `prepare` makes ready what a run needs, untimed.
pub fn time_wall<T>(
    name: &str,
    rounds: usize,
    mut prepare: impl FnMut() -> T,
    mut f: impl FnMut(T),
) {
    let samples = (0..rounds).map(|_| {
        let ready = prepare();
        let start = Instant::now();
        f(ready);
        micros_since(start)
    });
    print(name, samples.collect());
}

/// Connected pairs of non-blocking sockets: one end is waited on, the other written to.
///
/// # Errors
///
/// The system's: most likely that there are not enough descriptors.
pub fn socket_pairs(count: usize) -> io::Result<(Vec<UnixStream>, Vec<UnixStream>)> {
    levent_reactor::net::raise_descriptor_limit()?;
    let mut pairs = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        pairs.0.push(reader);
        pairs.1.push(writer);
    }
    Ok(pairs)
}

/// A small generator of pseudo-random numbers (xorshift), the same sequence in every program.
#[derive(Debug)]
pub struct Random(pub u32);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

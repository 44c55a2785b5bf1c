//! What the measuring programs share: the listener, clocks, medians, result lines.
//!
//! The programs are defined by the workloads they run, so that other runtimes' programs can be set beside them: same buffers,
//! same socket options, same counts. Results are lines `name median min max` on standard output.

mod clock;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Instant;

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

//! The chain of `micro-ours-reactor` on a bare epoll loop: `micro-epoll chain N A W`, the yardstick.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use levent_bench::epoll::{EPOLLIN, Epoll};
use levent_bench::{argument, cpu_nanos, print, socket_pairs, test_name};

fn main() -> io::Result<()> {
    match test_name().as_str() {
        "chain" => chain(argument(2, 100), argument(3, 1), argument(4, 100)),
        other => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("no test {other:?}: chain"),
        )),
    }
}

fn chain(count: usize, active: usize, writes: usize) -> io::Result<()> {
    let (readers, writers) = socket_pairs(count)?;
    // As many reports per call as libevent and levent take in their steady state.
    let mut epoll = Epoll::new(4096)?;
    for (key, reader) in (0..).zip(&readers) {
        epoll.add(reader, EPOLLIN, key)?;
    }
    let mut samples = Vec::new();
    for _ in 0..25 {
        // As in the other programs: what the kernel keeps of a descriptor is then as old in all of them.
        for (key, reader) in (0..).zip(&readers) {
            epoll.remove(reader)?;
            epoll.add(reader, EPOLLIN, key)?;
        }
        epoll.wait(0)?;
        let (mut received, mut sent, mut left) = (0, active, writes);
        for i in 0..active {
            (&writers[i * (count / active)]).write_all(b"e")?;
        }
        let start = cpu_nanos();
        while received != sent {
            for report in epoll.wait(0)? {
                let index = report.u64 as usize;
                if pass_on(&readers[index], &writers[(index + 1) % count], left) {
                    left -= 1;
                    sent += 1;
                }
                received += 1;
            }
        }
        samples.push((cpu_nanos() - start) / (active + writes) as f64);
    }
    print("chain_cpu_ns", samples);
    Ok(())
}

/// Takes a byte, and sends one if any may still be sent.
fn pass_on(mut reader: &UnixStream, mut next: &UnixStream, left: usize) -> bool {
    matches!(reader.read(&mut [0]), Ok(1)) && left > 0 && next.write_all(b"e").is_ok()
}

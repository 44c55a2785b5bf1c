//! Two tasks and a socket pair: 64 bytes there and back, `ROUND_TRIPS` times. One source, built twice: with smol, and with levent-smol under the
//! name of smol. Prints a line `name median min max` of nanoseconds of CPU per round trip.

use std::io;
use std::os::unix::net::UnixStream;

use levent_bench::{argument, rounds, time_cpu};
use smol::{Async, LocalExecutor, prelude::*};

const SIZE: usize = 64;

pub(crate) fn main() -> io::Result<()> {
    let trips = argument(1, 100_000);
    let executor = LocalExecutor::new();
    let mut failure = None;
    let rounds = argument(2, rounds());
    time_cpu("pair_ns", rounds, trips, || {
        let run = executor.run(async {
            let (left, right) = Async::<UnixStream>::pair()?;
            let answers = executor.spawn(answer(right));
            executor.spawn(ask(left, trips)).await?;
            answers.await
        });
        if let Err(error) = smol::block_on(run) {
            failure = Some(error);
        }
    });
    failure.map_or(Ok(()), Err)
}

async fn ask(mut stream: Async<UnixStream>, trips: usize) -> io::Result<()> {
    let mut message = [7; SIZE];
    for _ in 0..trips {
        stream.write_all(&message).await?;
        stream.read_exact(&mut message).await?;
    }
    Ok(())
}

async fn answer(mut stream: Async<UnixStream>) -> io::Result<()> {
    let mut message = [0; SIZE];
    // Until the other task is done and drops its end.
    while let Ok(()) = stream.read_exact(&mut message).await {
        stream.write_all(&message).await?;
    }
    Ok(())
}

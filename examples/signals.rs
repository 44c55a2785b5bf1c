//! Waits for signals and says which came.
//!
//! ```text
//! cargo run --example signals
//! kill -USR1 PID; kill -HUP PID         (from another terminal, with the PID that it prints)
//! ```
//!
//! Prints a line per signal and one every ten seconds. SIGUSR2 makes it let go of SIGUSR1: after that, SIGUSR1 has its default action
//! again, which ends the process. The first Ctrl-C asks, a second one within three seconds ends it; SIGTERM ends it at once.

use std::{io, process, time::Duration};

use futures_lite::{StreamExt, future};
use levent::{
    Signals, Timer,
    signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    timeout,
};

fn main() -> io::Result<()> {
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH])?;
    println!("process {} waits for signals", process::id());
    levent::block_on(watch(&signals))
}

async fn watch(mut signals: &Signals) -> io::Result<()> {
    let mut idle = Timer::interval(Duration::from_secs(10));
    loop {
        // `None` is a tick. Both streams are cancel safe, so the one that lost the race has lost nothing.
        let signal = future::or(signals.next(), async {
            idle.next().await;
            None
        })
        .await;
        match signal {
            None => println!("still waiting"),
            Some(SIGHUP) => println!("SIGHUP: a daemon would read its configuration again"),
            Some(SIGUSR1) => println!("SIGUSR1"),
            Some(SIGUSR2) => {
                signals.remove(SIGUSR1)?;
                println!("SIGUSR2: SIGUSR1 is no longer caught, the next one ends this process");
            }
            Some(SIGWINCH) => println!("SIGWINCH: the terminal has another size"),
            Some(SIGINT) => {
                println!("SIGINT: once more within three seconds to leave");
                if let Ok(Some(SIGINT | SIGTERM)) =
                    timeout(Duration::from_secs(3), signals.next()).await
                {
                    break;
                }
            }
            Some(SIGTERM) => break,
            Some(other) => println!("signal {other}"),
        }
    }
    println!("bye");
    Ok(())
}

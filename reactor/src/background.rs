//! The base for those who wait outside our loops.
//!
//! A source polled under a foreign `block_on` needs somebody who waits in the backend. The first such poll starts one thread
//! that does nothing else; a program that only uses our loops never has it.

use std::io;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use crate::base::{Base, Wait};
use crate::shared::Shared;

static BACKGROUND: OnceLock<Result<Arc<Shared>, (io::ErrorKind, String)>> = OnceLock::new();

/// The background base, started now if need be.
pub(crate) fn base() -> io::Result<Arc<Shared>> {
    BACKGROUND
        .get_or_init(|| start().map_err(|error| (error.kind(), error.to_string())))
        .clone()
        .map_err(|(kind, message)| {
            io::Error::new(
                kind,
                format!("no base for waiting outside levent's loops: {message}"),
            )
        })
}

fn start() -> io::Result<Arc<Shared>> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("levent-background".into())
        .spawn(move || match Base::new() {
            Ok(base) => {
                let entered = match base.enter() {
                    Ok(entered) => entered,
                    Err(error) => return drop(sender.send(Err(error))),
                };
                if sender.send(Ok(base.shared().clone())).is_err() {
                    return;
                }
                // A backend that fails is asked again; it cannot be given up while others wait here.
                loop {
                    if entered.turn(Wait::Block).is_err() {
                        thread::yield_now();
                    }
                }
            }
            Err(error) => drop(sender.send(Err(error))),
        })?;
    receiver.recv().unwrap_or_else(|_| {
        Err(io::Error::other(
            "the background thread ended before it began",
        ))
    })
}

//! Receivers of process signals.
//!
//! One handler, installed once per number, serves any number of receivers on any threads: each has its own counts and its
//! own descriptor (better than SIG-10, where one base of the process receives them all).
//!
//! Invariants
//! 1. The handler is installed for a number exactly while a receiver wants it. The disposition of before is saved with
//!    the first and comes back with the last, in whatever order they go (SIG-2, better than SIG-12).
//! 2. A receiver wants a number before the handler is installed, and until the old disposition is back: no occurrence in
//!    between is swallowed.

use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

pub use crate::sys::numbers::*;
use crate::sys::signal::{self, Disposition, LAST, Post};

/// Who wants which number, process-wide; at n - 1 for signal n. Never locked by the handler.
static NUMBERS: Mutex<[Number; LAST as usize]> = Mutex::new(
    [const {
        Number {
            receivers: 0,
            old: None,
        }
    }; LAST as usize],
);

struct Number {
    /// Receivers that want it. Above zero exactly while `old` is set.
    receivers: usize,
    /// What the process did with it before us.
    old: Option<Disposition>,
}

/// Counts signals for one base or stream: a descriptor that becomes readable, plus one counter per number.
///
/// `Send + Sync`. Dropping it gives all numbers up. After a fork the child has to make its own.
///
/// # Examples
///
/// ```
/// use levent_reactor::signal::{Receiver, SIGWINCH};
///
/// # fn main() -> std::io::Result<()> {
/// let receiver = Receiver::new()?;
/// receiver.add(SIGWINCH)?;
/// // … watch the descriptor for reading, and when it is ready:
/// receiver.drain();
/// while let Some(number) = receiver.pop() {
///     println!("signal {number}");
/// }
/// # Ok(())
/// # }
/// ```
pub struct Receiver {
    post: Post,
}

impl Receiver {
    /// Makes a receiver that wants no signal yet.
    ///
    /// # Errors
    ///
    /// The system's, if there is no descriptor left.
    pub fn new() -> io::Result<Receiver> {
        Ok(Receiver { post: Post::new()? })
    }

    /// Starts to count a signal. Twice is harmless.
    ///
    /// From now on, until the last receiver gives the number up, the signal does nothing else: a SIGINT that is received
    /// no longer ends the program.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for numbers below 1, above the last, those that cannot be caught (SIGKILL, SIGSTOP), those that must
    /// not be, because returning from them repeats the fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL), and those that the C
    /// library keeps to itself. `Unsupported` in a forked child, for a receiver of the parent.
    pub fn add(&self, signal: i32) -> io::Result<()> {
        check_number(signal)?;
        if !self.post.is_ours() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this receiver belongs to the parent process; make a new one after a fork",
            ));
        }
        let mut numbers = numbers();
        if self.post.wants(signal) {
            return Ok(());
        }
        // First, so that no occurrence meets the handler before somebody counts it.
        self.post.want(signal);
        let number = &mut numbers[(signal - 1) as usize];
        if number.receivers == 0 {
            match signal::install(signal) {
                Ok(old) => number.old = Some(old),
                Err(error) => {
                    self.post.unwant(signal);
                    return Err(if error.raw_os_error() == Some(libc::EINVAL) {
                        refuse(format!(
                            "signal {signal} is kept by the C library; choose one from SIGRTMIN on"
                        ))
                    } else {
                        error
                    });
                }
            }
        }
        number.receivers += 1;
        Ok(())
    }

    /// Gives a number up. The last receiver of the process to do so restores the disposition that was there before the
    /// first, unless somebody has replaced ours meanwhile: then theirs stays. Not added: does nothing.
    ///
    /// Occurrences that were not taken are forgotten.
    ///
    /// # Errors
    ///
    /// None that is known: the system accepted the disposition before. The number is given up in any case.
    pub fn remove(&self, signal: i32) -> io::Result<()> {
        let mut numbers = numbers();
        if !self.post.wants(signal) {
            return Ok(());
        }
        let number = &mut numbers[(signal - 1) as usize];
        number.receivers -= 1;
        let old = if number.receivers == 0 {
            number.old.take()
        } else {
            None
        };
        // First, so that no occurrence meets the handler when nobody counts it any more.
        let answer = old.map_or(Ok(()), |old| signal::restore(signal, &old));
        self.post.unwant(signal);
        answer
    }

    /// Takes the count of occurrences since the last call. Zero for a number that is not added.
    ///
    /// The kernel may merge occurrences before the handler sees them (SIG-5).
    pub fn take(&self, signal: i32) -> u32 {
        self.post.take(signal)
    }

    /// The lowest number with a count above zero; its count is reduced by one.
    pub fn pop(&self) -> Option<i32> {
        self.post
            .wanted()
            .find(|&signal| self.post.take_one(signal))
    }

    /// Makes the descriptor unreadable again. Call it before looking at the counts, or an occurrence in between is seen
    /// only with the next one.
    pub fn drain(&self) {
        self.post.drain();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        for signal in self.post.wanted() {
            // It cannot fail, as far as is known, and there is nobody to tell.
            let _ = self.remove(signal);
        }
    }
}

/// Readable while something was counted since the last [`drain`](Receiver::drain). Only to be watched.
impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.post.as_fd()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signals: Vec<_> = self.post.wanted().collect();
        f.debug_struct("Receiver")
            .field("descriptor", &self.as_fd())
            .field("signals", &signals)
            .finish()
    }
}

fn numbers() -> MutexGuard<'static, [Number; LAST as usize]> {
    NUMBERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Can a receiver have this number? (SIG-15, and the faults.)
fn check_number(signal: i32) -> io::Result<()> {
    let last = signal::last();
    match signal {
        libc::SIGKILL | libc::SIGSTOP => Err(refuse(format!(
            "signal {signal} cannot be caught; SIGTERM and SIGTSTP are the ones that can"
        ))),
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL => Err(refuse(format!(
            "signal {signal} reports a fault, which would repeat when the handler returns; leave it to the default"
        ))),
        _ if (1..=last).contains(&signal) => Ok(()),
        _ => Err(refuse(format!(
            "{signal} is not a signal; numbers go from 1 to {last}"
        ))),
    }
}

fn refuse(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests;

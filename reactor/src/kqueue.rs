//! What a kqueue reports beside descriptors: signals, and the ends of processes.
//!
//! A [`Notices`] has a queue of its own with one filter in it. Queues are descriptors, which become readable: so it is watched like any other, by an
//! event or a [`Source`](crate::lane::Source), on any backend.
//!
//! (Not libkqueue's, whose descriptors never become readable: there [`Notices::take`] has to be asked from time to time.)
//!
//! Only on the systems with kqueue(2). Portable programs count signals with [`signal`](crate::signal) and wait for children with `levent_io::process`.

use std::{
    io,
    num::NonZero,
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::sys::kqueue::{Event, Queue};

/// Reports of one signal, or of the end of one process.
///
/// # Examples
///
/// ```no_run
/// use levent_reactor::kqueue::Notices;
/// use std::{io, num::NonZero, process::Command};
///
/// # fn main() -> io::Result<()> {
/// let child = Command::new("sleep").arg("5").spawn()?;
/// let pid = NonZero::new(child.id() as i32).expect("a child has a number");
/// let notices = Notices::of_exit(pid)?;
/// assert_eq!(notices.take().unwrap_err().kind(), io::ErrorKind::WouldBlock);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Notices {
    queue: Queue,
    /// There is nothing left to wait for: the process has ended.
    is_over: AtomicBool,
    ends: bool,
}

impl Notices {
    /// Reports this signal each time that it is sent to the process, whether it is handled, ignored or blocked.
    ///
    /// What the signal does otherwise remains: one that ends the process still does, unless it is ignored or handled.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a number that is no signal's; the system's for a lack of descriptors.
    pub fn of_signal(number: i32) -> io::Result<Notices> {
        Notices::of(Event::of_signal(number), false)
    }

    /// Reports that a process has ended, also if it has before. It is not waited for: whose child it is has to (`waitpid(2)`).
    ///
    /// # Errors
    ///
    /// The system's for a lack of descriptors, or for a process that may not be watched.
    pub fn of_exit(pid: NonZero<i32>) -> io::Result<Notices> {
        let notices = Notices::of(Event::of_exit(pid.get()), true);
        match notices {
            // kevent(2): no such process. A child that has ended and was not waited for is none on some systems.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(Notices {
                queue: Queue::new()?,
                is_over: AtomicBool::new(true),
                ends: true,
            }),
            notices => notices,
        }
    }

    fn of(change: Event, ends: bool) -> io::Result<Notices> {
        let queue = Queue::new()?;
        queue.kevent(&[change], &mut [], Some((0, 0)))?;
        Ok(Notices {
            queue,
            is_over: AtomicBool::new(false),
            ends,
        })
    }

    /// Takes what has been reported since the last time. After the end of a process it succeeds for ever.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there was nothing: the descriptor becomes readable when there is.
    pub fn take(&self) -> io::Result<()> {
        if self.is_over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut results = [Event::of_signal(0)];
        match self.queue.kevent(&[], &mut results, Some((0, 0)))? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => {
                self.is_over.store(self.ends, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

#[cfg(all(test, levent_libkqueue))]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    fn comes(notices: &Notices) {
        let begun = Instant::now();
        while let Err(error) = notices.take() {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert!(begun.elapsed() < Duration::from_secs(10), "nothing came");
            std::thread::yield_now();
        }
    }

    fn nothing(notices: &Notices) {
        let error = notices.take().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    /// One that ends when its input does, and its number.
    fn child() -> (Child, NonZero<i32>) {
        let cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = NonZero::new(cat.id().try_into().unwrap()).unwrap();
        (cat, pid)
    }

    /// The end of a child is reported when it comes, and for ever after; its status is left.
    #[test]
    fn exit_is_reported() {
        let (mut child, pid) = child();
        let notices = Notices::of_exit(pid).unwrap();
        nothing(&notices);
        drop(child.stdin.take());
        comes(&notices);
        assert!(child.wait().unwrap().success());
        notices.take().unwrap();
    }

    /// A process that is gone has ended.
    #[test]
    fn exit_before_is_reported() {
        let (mut child, pid) = child();
        assert!(child.wait().unwrap().success());
        let notices = Notices::of_exit(pid).unwrap();
        notices.take().unwrap();
        notices.take().unwrap();
    }

    /// libkqueue reports signals only where every thread blocks them: here it is shown to take their numbers.
    #[test]
    fn signals_have_numbers() {
        nothing(&Notices::of_signal(libc::SIGWINCH).unwrap());
        assert!(Notices::of_signal(-1).is_err());
    }
}

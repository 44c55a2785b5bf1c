//! What only systems with kqueue(2) have: signals and the ends of processes, as something to wait for.
//!
//! Each [`Filter`] has a small queue of its own, which the reactor watches like any other descriptor.

use std::fmt;
use std::future::Future;
use std::io;
use std::num::NonZeroI32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::Child;
use std::task::{Context, Poll};

use levent_io::Async;
use levent_reactor::kqueue::Notices;

use sealed::Sealed;

/// An object that becomes ready by a report of the kernel's: see [`Signal`] and [`Exit`].
///
/// # Examples
///
/// ```no_run
/// use levent_async_io::os::kqueue::{Exit, Filter};
/// use std::process::Command;
///
/// # fn main() -> std::io::Result<()> {
/// levent_async_io::block_on(async {
///     let child = Command::new("sleep").arg("1").spawn()?;
///     Filter::new(Exit::new(child))?.ready().await
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct Filter<T> {
    object: T,
    wait: Wait,
}

#[derive(Debug)]
enum Wait {
    Notices(Async<Notices>),
    /// A duplicate: the object keeps its own.
    Descriptor(Async<OwnedFd>),
}

impl<T: Queueable> Filter<T> {
    /// Has the kernel report on an object.
    ///
    /// # Errors
    ///
    /// What the kernel says of it; and the reactor's for a lack of descriptors.
    pub fn new(object: T) -> io::Result<Filter<T>> {
        let notices = Async::new_nonblocking(object.notices()?)?;
        Ok(Filter {
            object,
            wait: Wait::Notices(notices),
        })
    }
}

impl<T> Filter<T> {
    /// The object.
    pub fn get_ref(&self) -> &T {
        &self.object
    }

    /// The object.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.object
    }

    /// Gives the object back.
    ///
    /// # Errors
    ///
    /// None: the type is async-io's.
    pub fn into_inner(self) -> io::Result<T> {
        Ok(self.object)
    }

    /// Waits for a report.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a report that was not taken is there for the next one.
    pub fn ready(&self) -> Ready<'_, T> {
        let waiting: Waiting<'_> = match &self.wait {
            Wait::Notices(notices) => Box::pin(notices.read_with(Notices::take)),
            Wait::Descriptor(descriptor) => Box::pin(descriptor.readable()),
        };
        Ready {
            waiting,
            _filter: self,
        }
    }

    /// The same for what has to implement a `poll_` method itself; one task at a time.
    ///
    /// # Errors
    ///
    /// The backend's, if it cannot watch.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.wait {
            Wait::Notices(notices) => notices.poll_read_with(cx, Notices::take),
            Wait::Descriptor(descriptor) => descriptor.poll_readable(cx),
        }
    }
}

impl<T> AsRef<T> for Filter<T> {
    fn as_ref(&self) -> &T {
        &self.object
    }
}

impl<T> AsMut<T> for Filter<T> {
    fn as_mut(&mut self) -> &mut T {
        &mut self.object
    }
}

impl<T: AsRawFd> AsRawFd for Filter<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.object.as_raw_fd()
    }
}

impl<T: AsFd> AsFd for Filter<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.object.as_fd()
    }
}

impl<T: AsFd + From<OwnedFd>> TryFrom<OwnedFd> for Filter<T> {
    type Error = io::Error;

    fn try_from(fd: OwnedFd) -> io::Result<Filter<T>> {
        let watched = fd.try_clone()?;
        Ok(Filter {
            object: fd.into(),
            wait: Wait::Descriptor(Async::new(watched)?),
        })
    }
}

impl<T: Into<OwnedFd>> TryFrom<Filter<T>> for OwnedFd {
    type Error = io::Error;

    fn try_from(filter: Filter<T>) -> io::Result<OwnedFd> {
        Ok(filter.object.into())
    }
}

type Waiting<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync + 'a>>;

/// The future of [`Filter::ready`].
#[must_use = "futures do nothing unless polled"]
pub struct Ready<'a, T> {
    waiting: Waiting<'a>,
    _filter: &'a Filter<T>,
}

impl<T> Future for Ready<'_, T> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waiting.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Ready<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}

/// What a [`Filter`] can wait for: [`Signal`] and [`Exit`].
pub trait Queueable: Sealed {}

/// A signal, by its number. It is reported each time that it was sent, however it is handled; several may be one report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(pub i32);

impl Queueable for Signal {}

impl Sealed for Signal {
    fn notices(&self) -> io::Result<Notices> {
        Notices::of_signal(self.0)
    }
}

/// The end of a process. Its status is left for whoever waits for it.
#[derive(Debug)]
pub struct Exit(NonZeroI32);

impl Exit {
    /// The end of a child.
    ///
    /// # Panics
    ///
    /// If its number is none of a process, as async-io's.
    pub fn new(child: Child) -> Exit {
        let pid = i32::try_from(child.id()).ok().and_then(NonZeroI32::new);
        Exit(pid.expect("a child has a number"))
    }

    /// The end of a process by its number.
    ///
    /// # Safety
    ///
    /// None is needed here; the signature is async-io's, which asks that it be a child's.
    #[allow(unsafe_code, reason = "the signature is async-io's")]
    pub unsafe fn from_pid(pid: NonZeroI32) -> Exit {
        Exit(pid)
    }
}

impl Queueable for Exit {}

impl Sealed for Exit {
    fn notices(&self) -> io::Result<Notices> {
        Notices::of_exit(self.0)
    }
}

mod sealed {
    use levent_reactor::kqueue::Notices;
    use std::io;

    /// Makes what a `Filter` waits for.
    pub trait Sealed {
        #[doc(hidden)]
        fn notices(&self) -> io::Result<Notices>;
    }
}

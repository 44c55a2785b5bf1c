//! The `unsafe fn`s of `Async<T>`: exclusive access to what is registered.
//!
//! Declarations only: their bodies do nothing unsafe. They are `unsafe` to call because a `&mut T` lets the caller replace
//! or close the descriptor under its registration.

#![allow(unsafe_code)]

use std::future::poll_fn;
use std::io;

use levent_reactor::lane::Direction;

use crate::Async;

impl<T> Async<T> {
    /// The inner object, exclusively.
    ///
    /// # Safety
    ///
    /// The caller must not drop, replace or close the descriptor through the reference (`mem::swap`, `mem::take`): it
    /// stays registered by its number, which another descriptor may then have.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::{io::BufReader, net::TcpStream};
    /// # fn example(mut stream: levent_io::Async<TcpStream>) {
    /// // SAFETY: the stream is used, not replaced.
    /// let inner: &mut TcpStream = unsafe { stream.get_mut() };
    /// # }
    /// ```
    pub unsafe fn get_mut(&mut self) -> &mut T {
        self.inner_mut()
    }

    /// As [`Async::read_with`], for operations that want `&mut T`.
    ///
    /// # Safety
    ///
    /// As [`Async::get_mut`]: the operation must not drop, replace or close the descriptor.
    ///
    /// # Errors
    ///
    /// The operation's own, `WouldBlock` and `Interrupted` excepted; the backend's if it refuses the interest.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once the operation has succeeded, the future is done.
    pub async unsafe fn read_with_mut<R>(
        &mut self,
        mut op: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        poll_fn(|cx| self.poll_mut(Direction::Read, cx, &mut op)).await
    }

    /// As [`Async::write_with`], for operations that want `&mut T`.
    ///
    /// # Safety
    ///
    /// As [`Async::get_mut`]: the operation must not drop, replace or close the descriptor.
    ///
    /// # Errors
    ///
    /// The operation's own, `WouldBlock` and `Interrupted` excepted; the backend's if it refuses the interest.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once the operation has succeeded, the future is done.
    pub async unsafe fn write_with_mut<R>(
        &mut self,
        mut op: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        poll_fn(|cx| self.poll_mut(Direction::Write, cx, &mut op)).await
    }
}

//! A transport that reads and writes by a script, and notes what it was asked.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

/// What the next read does.
pub(crate) enum Read {
    Bytes(Vec<u8>),
    /// Wakes at once: there is something the next time.
    Pending,
    /// Wakes nobody.
    Never,
    Error(io::Error),
}

/// What the next write does.
pub(crate) enum Write {
    /// Takes so many bytes at most.
    Takes(usize),
    Pending,
    Never,
    Error(io::Error),
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) reads: VecDeque<Read>,
    /// Without one, everything is taken.
    pub(crate) writes: VecDeque<Write>,
    /// How many bytes each read had room for, and each write offered.
    pub(crate) asked: Vec<usize>,
    pub(crate) offered: Vec<usize>,
    pub(crate) written: Vec<u8>,
    pub(crate) flushes: usize,
    pub(crate) is_closed: bool,
}

/// The transport; clones are handles to look at it, and to write on the script.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

impl Script {
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.lock().unwrap())
    }

    pub(crate) fn reads(reads: impl IntoIterator<Item = Read>) -> Script {
        let script = Script::default();
        script.with(|state| state.reads.extend(reads));
        script
    }

    pub(crate) fn writes(writes: impl IntoIterator<Item = Write>) -> Script {
        let script = Script::default();
        script.with(|state| {
            state.writes.extend(writes);
            state.reads.push_back(Read::Never);
        });
        script
    }
}

impl AsyncRead for Script {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|state| {
            state.asked.push(buf.len());
            match state.reads.pop_front() {
                // The end, and for ever.
                None => Poll::Ready(Ok(0)),
                Some(Read::Bytes(mut bytes)) => {
                    let count = bytes.len().min(buf.len());
                    buf[..count].copy_from_slice(&bytes[..count]);
                    bytes.drain(..count);
                    if !bytes.is_empty() {
                        state.reads.push_front(Read::Bytes(bytes));
                    }
                    Poll::Ready(Ok(count))
                }
                Some(Read::Pending) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Some(Read::Never) => {
                    state.reads.push_front(Read::Never);
                    Poll::Pending
                }
                Some(Read::Error(error)) => Poll::Ready(Err(error)),
            }
        })
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|state| {
            state.offered.push(buf.len());
            let count = match state.writes.pop_front() {
                None => buf.len(),
                Some(Write::Takes(count)) => count.min(buf.len()),
                Some(Write::Pending) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Write::Never) => {
                    state.writes.push_front(Write::Never);
                    return Poll::Pending;
                }
                Some(Write::Error(error)) => return Poll::Ready(Err(error)),
            };
            state.written.extend_from_slice(&buf[..count]);
            Poll::Ready(Ok(count))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|state| state.flushes += 1);
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|state| state.is_closed = true);
        Poll::Ready(Ok(()))
    }
}

//! Filters, by libevent's rules for its filtering bufferevents.

mod ends;
mod flow;
mod transforms;

use levent_io::Buffer;
use levent_io::stream::{Mode, Progress, Stage};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};

use crate::behaviour::{counting, everywhere};

/// Polls once, and says whether it is done.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    futures_lite::future::block_on(futures_lite::future::poll_once(future))
}

/// Polls once, and says how often that woke the task, which nothing else does.
fn wakes_of<F: Future>(future: F) -> (Option<F::Output>, usize) {
    let (count, waker) = counting();
    let polled = match pin!(future).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    };
    (polled, count.get())
}

/// Bytes that differ from place to place, the same each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(step).collect()
}

/// Puts a byte before each byte, and takes it off again.
struct Marker;

const MARK: u8 = b'+';

impl Stage for Marker {
    fn incoming(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        limit: usize,
        _: Mode,
    ) -> io::Result<Progress> {
        let pairs = (source.len() / 2).min(limit);
        for pair in source.take_vec(pairs * 2)?.chunks(2) {
            if pair[0] != MARK {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no marker"));
            }
            destination.append(&pair[1..])?;
        }
        Ok(match source.len() {
            0 | 1 => Progress::NeedMore,
            _ => Progress::Produced,
        })
    }

    fn outgoing(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        limit: usize,
        _: Mode,
    ) -> io::Result<Progress> {
        for byte in source.take_vec((limit / 2).max(1))? {
            destination.append(&[MARK, byte])?;
        }
        Ok(Progress::Produced)
    }
}

/// What a [`Gate`] was asked, and what it lets through.
#[derive(Default)]
struct Asked {
    reads: AtomicUsize,
    writes: AtomicUsize,
    closes: AtomicUsize,
    /// How many more bytes it takes.
    takes: AtomicUsize,
}

/// A transport that counts what is asked of it, has nothing to read, and takes as many bytes as it is told.
struct Gate(Arc<Asked>);

impl Gate {
    fn new(takes: usize) -> (Gate, Arc<Asked>) {
        let asked = Arc::new(Asked::default());
        asked.takes.store(takes, SeqCst);
        (Gate(asked.clone()), asked)
    }
}

impl AsyncRead for Gate {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.reads.fetch_add(1, SeqCst);
        Poll::Pending
    }
}

impl AsyncWrite for Gate {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.writes.fetch_add(1, SeqCst);
        let takes = self.0.takes.load(SeqCst);
        let count = takes.min(buf.len());
        self.0.takes.store(takes - count, SeqCst);
        match count {
            0 => Poll::Pending,
            count => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.closes.fetch_add(1, SeqCst);
        Poll::Ready(Ok(()))
    }
}

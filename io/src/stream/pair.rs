//! Two streams that are each other's transport: no descriptor, no system call, and bytes are moved in their chunks.
//!
//! ```text
//! left.output ──drain──▶ [ lane, at most CAPACITY ] ──fill──▶ right.input
//! left.input  ◀──fill─── [ lane                   ] ◀──drain── right.output
//! ```
//!
//! Invariants
//! 1. Nobody is woken, and no chunk is dropped, while the lock is held.
//! 2. An end that is dropped has closed its lanes: the other reads what is in its lane and then the end of the stream, and its writes fail (PA-11's better half).

use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::BufferedStream;
use super::seam::Request;
use crate::Buffer;

/// How many bytes are on the way in one direction, beside those in the buffers at its ends.
const CAPACITY: usize = 64 << 10;

/// Two connected streams in memory. What one writes the other reads; dropping one, or closing its writing, is the end of the stream for the other.
///
/// They may be on different threads. To limit how much one runs ahead of the other, there are the marks of both.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # levent_executor::block_on(async {
/// let (mut left, mut right) = levent_io::stream::pair();
/// left.write_all(b"ping").await?;
/// left.flush().await?;
/// assert_eq!(right.peek(4).await?, b"ping");
/// drop(left);
/// right.input().drain(4)?;
/// assert_eq!(right.fill().await?, 0);
/// # Ok(()) })
/// # }
/// ```
#[must_use]
pub fn pair() -> (BufferedStream<PairEnd>, BufferedStream<PairEnd>) {
    let lanes = Arc::new(Mutex::new([Lane::default(), Lane::default()]));
    let end = |writes| PairEnd {
        lanes: lanes.clone(),
        writes,
    };
    (
        BufferedStream::over(end(0), seam).without_flush(),
        BufferedStream::over(end(1), seam).without_flush(),
    )
}

/// The transport of a [`pair`]'s half.
pub struct PairEnd {
    lanes: Arc<Mutex<[Lane; 2]>>,
    /// Which lane this end writes; it reads the other.
    writes: usize,
}

/// Bytes on the way in one direction.
#[derive(Default)]
struct Lane {
    bytes: Buffer,
    /// No more will come: the writer has closed or is gone.
    is_closed: bool,
    /// Nobody will read: the reader is gone.
    is_deaf: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl PairEnd {
    /// Nothing panics under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, [Lane; 2]> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_fill(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let mut lanes = self.lock();
        let lane = &mut lanes[1 - self.writes];
        if lane.bytes.is_empty() {
            if lane.is_closed {
                return Poll::Ready(Ok(0));
            }
            let old = park(&mut lane.reader, cx.waker());
            drop(lanes);
            drop(old);
            return Poll::Pending;
        }
        // Through a buffer of our own: the stream's may have observers, and they are foreign code.
        let mut taken = Buffer::new();
        let moved = taken.append_from(&mut lane.bytes, most);
        let writer = lane.writer.take();
        drop(lanes);
        wake(writer);
        moved.and_then(|_| buffer.append_buffer(&mut taken)).into()
    }

    fn poll_drain(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let mut lanes = self.lock();
        let lane = &mut lanes[self.writes];
        if lane.is_deaf || lane.is_closed {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the other half of the pair is gone: nobody will read this",
            )));
        }
        let room = CAPACITY.saturating_sub(lane.bytes.len());
        if room == 0 {
            let old = park(&mut lane.writer, cx.waker());
            drop(lanes);
            drop(old);
            return Poll::Pending;
        }
        let moved = lane.bytes.append_from(buffer, most.min(room));
        let reader = lane.reader.take();
        drop(lanes);
        wake(reader);
        moved.into()
    }

    /// Ends the lane it writes; `is_gone`: and the one it reads.
    fn end(&self, is_gone: bool) {
        let mut lanes = self.lock();
        let lane = &mut lanes[self.writes];
        lane.is_closed = true;
        let reader = lane.reader.take();
        let mut unread = Buffer::new();
        let mut writer = None;
        if is_gone {
            let lane = &mut lanes[1 - self.writes];
            lane.is_deaf = true;
            writer = lane.writer.take();
            unread = mem::take(&mut lane.bytes);
        }
        drop(lanes);
        drop(unread);
        wake(reader);
        wake(writer);
    }
}

impl Drop for PairEnd {
    fn drop(&mut self) {
        self.end(true);
    }
}

impl fmt::Debug for PairEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes = self.lock();
        f.debug_struct("PairEnd")
            .field("coming", &lanes[1 - self.writes].bytes.len())
            .field("going", &lanes[self.writes].bytes.len())
            .finish()
    }
}

fn seam(end: &mut PairEnd, cx: &mut Context<'_>, request: Request<'_>) -> Poll<io::Result<usize>> {
    match request {
        Request::Fill(buffer, most) => end.poll_fill(cx, buffer, most),
        Request::Drain(buffer, most) => end.poll_drain(cx, buffer, most),
        Request::Flush => Poll::Ready(Ok(0)),
        Request::Close => {
            end.end(false);
            Poll::Ready(Ok(0))
        }
    }
}

/// Puts a waker into its place, and returns the one that is to be dropped when the lock is free.
fn park(place: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    match place {
        Some(same) if same.will_wake(waker) => None,
        place => place.replace(waker.clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

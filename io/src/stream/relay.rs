//! Between two streams: what one reads the other writes, both ways, in one task.
//!
//! ```text
//! a.input ──▶ b.output     until a's end, then b's writing is closed, and the other way goes on
//! a.output ◀── b.input
//! ```
//!
//! Chunks change hands, and no byte is copied. Each side's marks hold: a slow reader stops its peer from being read.
//!
//! Invariants
//! 1. Bytes are taken from an input only when the other's output has room for them: dropped at any time, everything that was read is in one of the four buffers.
//! 2. A timeout counts only while neither way moves.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::waiters::Role;
use super::{BufferedStream, Direction};

/// Relays between two streams until both have ended, and answers how many bytes went from `a` to `b`, and from `b` to `a`.
///
/// The end of one stream is passed to the other when everything before it has been sent, and the other way goes on (half-close). The timeouts of both
/// count while neither way moves: a peer that only listens is not late.
///
/// # Errors
///
/// The first that either stream meets, with the name of the side in its message: the relay is over then, and both streams are as they were left.
///
/// # Cancel safety
///
/// Cancel safe: what was read and not sent is in the buffers, and another relay goes on.
///
/// # Examples
///
/// ```
/// use levent_io::stream::{pair, relay};
///
/// # fn main() -> std::io::Result<()> {
/// # levent_executor::block_on(async {
/// let (mut client, mut left) = pair();
/// let (mut right, mut server) = pair();
/// client.write_all(b"hello").await?;
/// client.close().await?;
/// server.write_all(b"welcome").await?;
/// server.close().await?;
/// assert_eq!(relay(&mut left, &mut right).await?, (5, 7));
/// assert_eq!(server.peek(100).await?, b"hello");
/// # Ok(()) })
/// # }
/// ```
pub fn relay<'a, A, B>(
    a: &'a mut BufferedStream<A>,
    b: &'a mut BufferedStream<B>,
) -> Relaying<'a, A, B> {
    Relaying {
        a,
        b,
        to_b: Way::default(),
        to_a: Way::default(),
    }
}

/// The future of [`relay`].
///
/// Awaited by reference, it can be asked how far it came, whatever it ended with:
///
/// ```
/// # use levent_io::stream::{pair, relay};
/// # fn main() -> std::io::Result<()> {
/// # levent_executor::block_on(async {
/// # let (mut client, mut left) = pair();
/// # let (mut right, server) = pair();
/// client.write_all(b"hello").await?;
/// client.flush().await?;
/// drop(server);
/// let mut relaying = relay(&mut left, &mut right);
/// assert!((&mut relaying).await.is_err());
/// assert_eq!(relaying.moved(), (5, 0));
/// # Ok(()) })
/// # }
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct Relaying<'a, A, B> {
    a: &'a mut BufferedStream<A>,
    b: &'a mut BufferedStream<B>,
    to_b: Way,
    to_a: Way,
}

impl<A, B> Relaying<'_, A, B> {
    /// How many bytes have been taken from the first stream for the second, and from the second for the first. Some of them may not have been sent yet.
    #[must_use]
    pub fn moved(&self) -> (u64, u64) {
        (self.to_b.moved, self.to_a.moved)
    }
}

impl<A, B> Future for Relaying<'_, A, B> {
    type Output = io::Result<(u64, u64)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<(u64, u64)>> {
        let this = &mut *self;
        let (a, b) = (&mut *this.a, &mut *this.b);
        // Neither is late before it is known whether anything moves.
        a.hold_timeouts(true);
        b.hold_timeouts(true);
        let moved = poll_ways(cx, (a, &mut this.to_b), (b, &mut this.to_a));
        a.hold_timeouts(false);
        b.hold_timeouts(false);
        if moved.is_pending() {
            a.poll_late(cx).map_err(|error| error.named("first"))?;
            b.poll_late(cx).map_err(|error| error.named("second"))?;
        }
        moved
    }
}

impl<A, B> fmt::Debug for Relaying<'_, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relaying")
            .field("moved", &self.moved())
            .finish_non_exhaustive()
    }
}

/// Both ways, until nothing changes any more: what one moved, or read ahead while it waited, is room or input for the other.
fn poll_ways<A, B>(
    cx: &mut Context<'_>,
    (a, to_b): (&mut BufferedStream<A>, &mut Way),
    (b, to_a): (&mut BufferedStream<B>, &mut Way),
) -> Poll<io::Result<(u64, u64)>> {
    let mut seen = None;
    for _ in 0..ROUNDS {
        let before = (to_a.moved + to_b.moved, a.output.len(), b.output.len());
        to_b.poll(cx, a, b)
            .map_err(|error| error.named_by("first", "second"))?;
        to_a.poll(cx, b, a)
            .map_err(|error| error.named_by("second", "first"))?;
        if to_a.is_over && to_b.is_over {
            return Poll::Ready(Ok((to_b.moved, to_a.moved)));
        }
        // What a slow reader takes is movement, too.
        if before != (to_a.moved + to_b.moved, a.output.len(), b.output.len()) {
            a.put_off_timeouts();
            b.put_off_timeouts();
        }
        let now = Some((a.coming(), b.coming(), to_a.moved, to_b.moved));
        if now == seen {
            return Poll::Pending;
        }
        seen = now;
    }
    // Two that are always ready: others have their turn.
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// How often a poll looks at both ways, and how many pieces it moves each time.
const ROUNDS: usize = 16;

/// One way of a relay.
#[derive(Default)]
struct Way {
    moved: u64,
    /// The end has been passed on.
    is_over: bool,
}

/// On which side of a way something failed.
enum Failed {
    Reading(io::Error),
    Writing(io::Error),
}

impl Way {
    /// Moves what can be moved now. Registers the task for what cannot.
    fn poll<F, T>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut BufferedStream<F>,
        to: &mut BufferedStream<T>,
    ) -> Result<(), Failed> {
        for _ in 0..ROUNDS {
            if self.is_over {
                break;
            }
            if from.input.is_empty() && from.is_at_end() {
                match to.poll_shut(cx) {
                    Poll::Ready(Ok(())) => self.is_over = true,
                    Poll::Ready(Err(error)) => return Err(Failed::Writing(error)),
                    Poll::Pending => return Ok(()),
                }
                continue;
            }
            match to.poll_room(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Err(Failed::Writing(error)),
                Poll::Pending => return Ok(()),
            }
            if from.input.is_empty() {
                let high = from.reading.high();
                match from.poll_input(cx, Role::Reader, high) {
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Err(Failed::Reading(error)),
                    // What the other stream has been given is sent before the task waits.
                    Poll::Pending => {
                        return match to.poll_output(cx, Role::Writer, |_| false) {
                            Poll::Ready(Err(error)) => Err(Failed::Writing(error)),
                            _ => Ok(()),
                        };
                    }
                }
                continue;
            }
            let space = to.space();
            let count = to
                .output
                .append_from(&mut from.input, space)
                .map_err(Failed::Writing)?;
            from.taken();
            self.moved += count as u64;
        }
        Ok(())
    }
}

impl Failed {
    /// On a way between these two.
    fn named_by(self, from: &str, to: &str) -> io::Error {
        let side = match self {
            Failed::Reading(_) => from,
            Failed::Writing(_) => to,
        };
        self.named(side)
    }

    fn named(self, side: &str) -> io::Error {
        let (doing, error) = match self {
            Failed::Reading(error) => ("reading from", error),
            Failed::Writing(error) => ("writing to", error),
        };
        io::Error::new(
            error.kind(),
            format!("{doing} the {side} stream of the relay: {error}"),
        )
    }
}

impl<S> BufferedStream<S> {
    /// What there is to be relayed: how much, and is that all?
    fn coming(&self) -> (usize, bool) {
        (self.input.len(), self.is_at_end())
    }

    /// Lets both timers begin anew.
    fn put_off_timeouts(&mut self) {
        if let Some(timing) = &mut self.timing {
            timing.moved(Direction::Read, 0);
            timing.moved(Direction::Write, 0);
        }
    }

    /// From now on the timers only note that they run, or the opposite.
    fn hold_timeouts(&mut self, is_held: bool) {
        if let Some(timing) = &mut self.timing {
            timing.is_held = is_held;
        }
    }

    /// Has a direction waited too long that waits now?
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Result<(), Failed> {
        if self.connecting.is_some() && self.poll_connected(cx).is_ready() {
            // Its end concerns both directions.
            if let Some(Err(error)) = self
                .writing
                .end
                .as_ref()
                .map(|end| end.answer(Direction::Write))
            {
                return Err(Failed::Writing(error));
            }
        }
        for direction in [Direction::Read, Direction::Write] {
            let waits = self
                .timing
                .as_ref()
                .is_some_and(|timing| timing.runs(direction));
            if !waits {
                continue;
            }
            if let Poll::Ready(Err(error)) = self.check_late(direction, cx, Role::Reader) {
                return Err(match direction {
                    Direction::Read => Failed::Reading(error),
                    Direction::Write => Failed::Writing(error),
                });
            }
        }
        Ok(())
    }
}

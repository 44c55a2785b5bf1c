//! A deadline that a future waits for.

use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::shared::{Message, Shared};
use crate::{background, current};

/// One deadline and one waker.
///
/// It holds names only: `Send + Sync + Unpin`. An alarm that is polled on another thread moves to that thread's base. Dropping
/// it deregisters it.
///
/// # Example
///
/// ```
/// use levent_reactor::lane::Alarm;
/// use std::task::{Context, Waker};
/// use std::time::Instant;
///
/// let mut alarm = Alarm::new();
/// let mut cx = Context::from_waker(Waker::noop());
/// assert!(alarm.poll_at(Instant::now(), &mut cx).is_ready());
/// ```
#[derive(Debug)]
pub struct Alarm {
    home: Option<Home>,
}

/// Where the alarm is registered.
#[derive(Clone, Copy, Debug)]
struct Home {
    base: u32,
    /// The slot; unknown (`u32::MAX`) if it was posted.
    index: u32,
    key: u64,
}

const UNKNOWN: u32 = u32::MAX;

/// A stand-in for "never" that every clock can express.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Alarm {
    /// An alarm that is registered nowhere.
    #[must_use]
    pub const fn new() -> Alarm {
        Alarm { home: None }
    }

    /// `Ready` once `deadline` has passed; until then registers it with the waker of `cx`.
    ///
    /// A deadline in the past is ready at the first poll and registers nothing. Never early: the clock is read here.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the alarm deregisters it, and with it the waker.
    #[inline]
    pub fn poll_at(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if current::now() >= deadline {
            self.cancel();
            return Poll::Ready(());
        }
        match self.register(deadline, cx) {
            Ok(()) => Poll::Pending,
            Err(_) => {
                // Without any base there is nothing to wait with. Asking again and again is slow, hanging would be worse.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    #[inline]
    fn register(&mut self, deadline: Instant, cx: &mut Context<'_>) -> io::Result<()> {
        let home = self.home;
        let here = current::with(|engine| {
            let at = engine.clock.at(deadline);
            if let Some(home) = home.filter(|home| home.base == engine.id) {
                if let Ok(old) = engine.alarm_update(home.index, home.key, at, cx.waker()) {
                    return (home, old);
                }
            }
            let (index, key) = engine.alarm_insert(at, cx.waker());
            (
                Home {
                    base: engine.id,
                    index,
                    key,
                },
                None,
            )
        });
        if let Some((now, old)) = here {
            drop(old);
            match home {
                Some(before) if before.key == now.key => {}
                Some(before) if before.base != now.base => {
                    self.home = Some(now);
                    forget(before);
                }
                _ => self.home = Some(now),
            }
            return Ok(());
        }
        self.register_outside(deadline, cx)
    }

    /// Registers with the background base.
    #[cold]
    fn register_outside(&mut self, deadline: Instant, cx: &mut Context<'_>) -> io::Result<()> {
        let background = background::base()?;
        if let Some(before) = self.home.filter(|home| home.base != background.id) {
            forget(before);
            self.home = None;
        }
        let key = match self.home {
            Some(home) => home.key,
            None => super::away::next_id(),
        };
        self.home = Some(Home {
            base: background.id,
            index: UNKNOWN,
            key,
        });
        let message = Message::Alarm {
            key,
            deadline,
            waker: cx.waker().clone(),
        };
        let loose = background.post(message).map_err(|_| {
            io::Error::new(io::ErrorKind::NotConnected, "the background base has ended")
        })?;
        loose.settle();
        Ok(())
    }

    /// Moves a registered alarm to another deadline (`None`: one that never comes) with the waker that it has, from any
    /// thread. An alarm that is not registered stays so.
    pub fn reset(&mut self, deadline: Option<Instant>) {
        let Some(home) = self.home else { return };
        let Some(deadline) = deadline.or_else(|| current::now().checked_add(FAR)) else {
            return;
        };
        act(
            home,
            |engine| {
                let at = engine.clock.at(deadline);
                engine.alarm_reset(home.index, home.key, at);
                None
            },
            Message::AlarmReset {
                index: home.index,
                key: home.key,
                deadline,
            },
        );
    }

    /// Deregisters, and drops the waker. The alarm can be polled again.
    #[inline]
    pub fn cancel(&mut self) {
        if let Some(home) = self.home.take() {
            forget(home);
        }
    }
}

#[inline]
fn forget(home: Home) {
    act(
        home,
        |engine| engine.alarm_remove(home.index, home.key),
        Message::AlarmForget {
            index: home.index,
            key: home.key,
        },
    );
}

/// Acts on an alarm where it is: here, in an outer loop, at rest; else by message.
#[inline]
fn act(home: Home, f: impl FnOnce(&mut Engine) -> Option<std::task::Waker>, message: Message) {
    let mut f = Some(f);
    let done = current::with(|engine| {
        if engine.id == home.base {
            f.take().map(|f| f(engine))
        } else {
            None
        }
    });
    match done.flatten() {
        // The waker is dropped here, where nothing is borrowed.
        Some(waker) => drop(waker),
        None => act_away(home.base, f, message),
    }
}

#[cold]
fn act_away<F: FnOnce(&mut Engine) -> Option<std::task::Waker>>(
    base: u32,
    mut f: Option<F>,
    message: Message,
) {
    if let Some(waker) = current::with_outer(base, &mut f) {
        return drop(waker);
    }
    let (Some(shared), Some(f)) = (Shared::find(base), f) else {
        return;
    };
    match shared.at_rest(f) {
        Some(waker) => drop(waker),
        None => match shared.post(message) {
            Ok(loose) => loose.settle(),
            // A base that has ended has no alarms.
            Err(message) => drop(message),
        },
    }
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm::new()
    }
}

impl Drop for Alarm {
    #[inline]
    fn drop(&mut self) {
        self.cancel();
    }
}

//! A future that can never finish: `block_on` says so instead of hanging.
//!
//! What could still wake somebody is partly known: the base's sources, alarms and events. Whether another thread holds a waker is not, so time has to tell. Looked at only
//! before a sleep, and only where it is switched on.
//!
//! | The base has | Then |
//! |---|---|
//! | a deadline | it is slept for: time passes, something will happen |
//! | sources that somebody waits for, or events | [`Stall::waiting`] without a wake is a stall |
//! | nothing | [`Stall::idle`] without a wake is one: only another thread, or a signal, could end it |

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use levent_reactor::{Base, Counted, Wait, current};

use crate::flags::Flags;
use crate::queue::AtHome;
use crate::sleeper::Sleeper;

thread_local! {
    static STALL: Cell<Option<Stall>> = const { Cell::new(None) };
    /// Beside it, since every sleep asks.
    static IS_ON: Cell<bool> = const { Cell::new(false) };
}

/// After how long without progress `block_on` panics, with a list of who waits for what.
///
/// # Examples
///
/// ```
/// use levent_executor::{Stall, block_on, set_stall};
/// use std::{future::pending, panic::catch_unwind, time::Duration};
///
/// let idle = Duration::from_millis(1);
/// set_stall(Some(Stall { idle, ..Stall::default() }));
/// let hangs = catch_unwind(|| block_on(pending::<()>()));
/// assert!(hangs.is_err());
/// # set_stall(None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// When nothing of this thread could end the wait: no source, timer or event. 1 s.
    pub idle: Duration,
    /// When sources or events are waited for, but no timer. 30 s.
    pub waiting: Duration,
}

impl Default for Stall {
    fn default() -> Stall {
        Stall {
            idle: Duration::from_secs(1),
            waiting: Duration::from_secs(30),
        }
    }
}

/// Switches the detection of futures that can never finish on or off for this thread; off by default, since a server that waits for its first client for a
/// day does what it should. [`test`](mod@crate::test) switches it on.
pub fn set_stall(stall: Option<Stall>) {
    STALL.set(stall);
    IS_ON.set(stall.is_some());
}

/// What is set.
pub fn stall() -> Option<Stall> {
    STALL.get()
}

/// Is anything set?
#[inline]
pub(crate) fn is_on() -> bool {
    IS_ON.get()
}

/// Sleeps until something happens that the executor has to see to.
///
/// # Panics
///
/// If nothing has happened for too long.
#[cold]
pub(crate) fn sleep(sleeper: &impl Sleeper, tasks: AtHome<'_>, flags: &Flags) -> io::Result<()> {
    let base = current::base().ok().filter(|_| current::is_inside());
    let (Some(base), Some(stall)) = (base, stall()) else {
        // Somebody else's loop: nothing is known of it.
        return sleeper.turn(Wait::Block);
    };
    if base.next_deadline().is_some() {
        return sleeper.turn(Wait::Block);
    }
    let events = base.count(Counted::ADDED);
    let is_idle = events == 0 && !base.waits().sources.iter().any(|s| s.reads || s.writes);
    let most = if is_idle { stall.idle } else { stall.waiting };
    let begun = Instant::now();
    loop {
        let left = most.saturating_sub(begun.elapsed());
        sleeper.turn(Wait::AtMost(left))?;
        // Whatever else happened, a callback or a message, begins the time anew.
        if flags.is_woken() || tasks.has_work() || base.count(Counted::ADDED) != events {
            return Ok(());
        }
        if begun.elapsed() >= most {
            stalled(&base, tasks, most, is_idle);
        }
    }
}

fn stalled(base: &Base, tasks: AtHome<'_>, waited: Duration, is_idle: bool) -> ! {
    let reason = match is_idle {
        true => "no source, timer or event of this thread could end the wait",
        false => "nothing that is waited for has happened, and no timer is set",
    };
    panic!(
        "block_on: no progress for {waited:?}: {reason}\n{}",
        describe(base, tasks)
    );
}

/// Who waits for what.
pub(crate) fn describe(base: &Base, tasks: AtHome<'_>) -> String {
    let mut text = format!("Tasks: {}\n", tasks.live());
    for (place, count) in tasks.origins() {
        text.push_str(&format!("  {count} spawned at {place}\n"));
    }
    // A String takes everything.
    let _ = base.dump(&mut text);
    text
}

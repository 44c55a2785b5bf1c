//! Looking into a base: counts, the list of events, the dump.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use super::Base;
use crate::Flags;
use crate::engine::Most;
use crate::engine::record::{ACTIVE, INSERTED, LATER};

crate::flags::bit_set! {
    /// Which things to count; combined with `|`, counts add up (INT-6).
    ///
    /// ```
    /// use levent_reactor::{Base, Counted, Event};
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let base = Base::new()?;
    /// let timer = Event::timer(&base, |_, _| {});
    /// timer.add_after(Duration::from_secs(1))?;
    /// assert_eq!(base.count(Counted::ADDED | Counted::ACTIVE), 1);
    /// # Ok(()) }
    /// ```
    pub struct Counted {
        /// Memberships in the inserted, timed and active sets: one event counts up to three times (INT-5).
        ADDED = 0x01,
        /// Active events, those for the next iteration included.
        ACTIVE = 0x02,
        /// References that keep the loop alive without an event. Nothing makes one today: always 0.
        VIRTUAL = 0x04,
    }
}

/// What [`Base::for_each_event`] shows of one event. A copy: it stays as it is when the event changes.
///
/// ```
/// use levent_reactor::{Base, Event};
/// use std::{ops::ControlFlow, time::Duration};
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::new()?;
/// let timer = Event::timer(&base, |_, _| {});
/// timer.add_after(Duration::from_secs(5))?;
/// let found = base.for_each_event(|info| match info.left {
///     Some(left) => ControlFlow::Break(left),
///     None => ControlFlow::Continue(()),
/// });
/// assert!(matches!(found, ControlFlow::Break(left) if left <= Duration::from_secs(5)));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EventInfo {
    /// The descriptor or signal number; -1 for neither.
    pub number: i32,
    /// What the event was made for.
    pub interest: Flags,
    /// What made it active; empty if it is not.
    pub active: Flags,
    /// Its priority level.
    pub priority: u8,
    /// Is it registered for its descriptor or signal?
    pub is_inserted: bool,
    /// Is it active, or about to be in the next iteration?
    pub is_active: bool,
    /// Is it waiting for the next iteration?
    pub is_later: bool,
    /// How much of the time until its deadline is left.
    pub left: Option<Duration>,
}

/// What futures wait for at a base: a copy of [`Base::waits`].
///
/// Displayed, it is a line for each.
///
/// ```
/// use levent_reactor::Base;
///
/// # fn main() -> std::io::Result<()> {
/// let waits = Base::new()?.waits();
/// assert!(waits.sources.is_empty() && waits.alarms.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Waits {
    /// The descriptors that are registered for futures, whether or not anybody waits for them at the moment.
    pub sources: Vec<SourceInfo>,
    /// How much of the time until their deadline is left, for each alarm; the nearest first.
    pub alarms: Vec<Duration>,
}

/// One of the descriptors of [`Waits`].
///
/// ```
/// use levent_reactor::{SourceInfo, current, lane::Source};
/// use std::os::{fd::AsFd, unix::net::UnixStream};
///
/// # fn main() -> std::io::Result<()> {
/// let (left, _right) = UnixStream::pair()?;
/// left.set_nonblocking(true)?;
/// let source = Source::new(left.as_fd())?;
/// let sources: Vec<SourceInfo> = current::base()?.waits().sources;
/// assert!(!sources[0].reads && !sources[0].writes); // nobody waits yet
/// # drop(source);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// Its number.
    pub number: i32,
    /// Somebody waits until it can be read.
    pub reads: bool,
    /// Somebody waits until it can be written.
    pub writes: bool,
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A million of them are not to be read by anybody.
        const SHOWN: usize = 32;
        for source in self.sources.iter().take(SHOWN) {
            let waits = match (source.reads, source.writes) {
                (true, true) => "somebody waits to read and to write",
                (true, false) => "somebody waits to read",
                (false, true) => "somebody waits to write",
                (false, false) => "nobody waits",
            };
            writeln!(f, "Source [fd {}]: {waits}", source.number)?;
        }
        for left in self.alarms.iter().take(SHOWN) {
            writeln!(f, "Alarm in {left:?}")?;
        }
        for (many, what) in [
            (self.sources.len(), "sources"),
            (self.alarms.len(), "alarms"),
        ] {
            if many > SHOWN {
                writeln!(f, "… and {} more {what}", many - SHOWN)?;
            }
        }
        Ok(())
    }
}

impl Base {
    /// What futures wait for at this base. It looks at every source and alarm.
    #[must_use]
    pub fn waits(&self) -> Waits {
        self.with(|engine| {
            let now = engine.clock.now();
            let sources = engine.lane.sources();
            let left = |at: u64| Duration::from_nanos(at.saturating_sub(now));
            let mut alarms: Vec<Duration> = engine.alarms.deadlines().map(left).collect();
            alarms.sort_unstable();
            Waits {
                sources: sources
                    .map(|(number, reads, writes)| SourceInfo {
                        number,
                        reads,
                        writes,
                    })
                    .collect(),
                alarms,
            }
        })
    }

    /// How much time is left until the nearest deadline, of an event or of a future; zero if it has passed, `None` if there is none.
    ///
    /// ```
    /// use levent_reactor::{Base, Event};
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let base = Base::new()?;
    /// assert_eq!(base.next_deadline(), None);
    /// let timer = Event::timer(&base, |_, _| {});
    /// timer.add_after(Duration::from_secs(5))?;
    /// assert!(base.next_deadline() <= Some(Duration::from_secs(5)));
    /// timer.del()?;
    /// assert_eq!(base.next_deadline(), None);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.with(|engine| {
            let earliest = engine.earliest()?;
            Some(Duration::from_nanos(
                earliest.saturating_sub(engine.clock.now()),
            ))
        })
    }

    /// Counts events (INT-5, INT-6).
    #[must_use]
    pub fn count(&self, what: Counted) -> usize {
        self.with(|engine| {
            let now = Most {
                added: engine.pending + engine.queued(),
                active: engine.queued(),
                virtuals: engine.virtuals,
            };
            sum(what, &now)
        })
    }

    /// The highest counts since the base was made or since they were cleared, added up (INT-7). `clear` sets them to 0, not to
    /// what there is now.
    #[must_use]
    pub fn max_count(&self, what: Counted, clear: bool) -> usize {
        self.with(|engine| {
            let most = sum(what, &engine.most);
            if clear {
                let Most {
                    added,
                    active,
                    virtuals,
                } = &mut engine.most;
                for (kind, value) in [
                    (Counted::ADDED, added),
                    (Counted::ACTIVE, active),
                    (Counted::VIRTUAL, virtuals),
                ] {
                    if what.contains(kind) {
                        *value = 0;
                    }
                }
            }
            most
        })
    }

    /// Shows every pending or active event once, in no promised order, until the closure breaks (INT-8). The closure may change the
    /// base: what it is shown was collected before.
    pub fn for_each_event<B>(
        &self,
        mut f: impl FnMut(&EventInfo) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        // Collected first: nothing is borrowed while the closure runs.
        for info in self.event_infos() {
            f(&info)?;
        }
        ControlFlow::Continue(())
    }

    fn event_infos(&self) -> Vec<EventInfo> {
        self.with(|engine| {
            let now = engine.now();
            engine
                .records
                .iter()
                .filter(|(_, record)| !record.is_idle())
                .map(|(_, record)| EventInfo {
                    number: record.number,
                    interest: record.interest,
                    active: if record.is(ACTIVE | LATER) {
                        record.what
                    } else {
                        Flags::NONE
                    },
                    priority: record.priority,
                    is_inserted: record.is(INSERTED),
                    is_active: record.is(ACTIVE | LATER),
                    is_later: record.is(LATER),
                    left: record
                        .deadline
                        .armed_at()
                        .map(|at| Duration::from_nanos(at.saturating_sub(now))),
                })
                .collect()
        })
    }

    /// Writes the base's state in words: libevent's lists of events (INT-12), then what futures wait for. The format may change.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn dump(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let infos = self.event_infos();
        writeln!(out, "Inserted events:")?;
        for info in infos
            .iter()
            .filter(|info| info.is_inserted || info.left.is_some())
        {
            write!(out, "  {}", Name(info))?;
            write_interest(out, info.interest)?;
            for (flag, name) in [(Flags::PERSIST, " Persist"), (Flags::ET, " ET")] {
                out.write_str(if info.interest.contains(flag) {
                    name
                } else {
                    ""
                })?;
            }
            if let Some(left) = info.left {
                let at = SystemTime::now()
                    .checked_add(left)
                    .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
                let at = at.unwrap_or(Duration::MAX);
                write!(out, " Timeout={}.{:06}", at.as_secs(), at.subsec_micros())?;
            }
            writeln!(out)?;
        }
        writeln!(out, "Active events:")?;
        for info in infos.iter().filter(|info| info.is_active) {
            write!(out, "  {}", Active(info))?;
            write_interest(out, info.active)?;
            out.write_str(if info.active.contains(Flags::TIMEOUT) {
                " Timeout active"
            } else {
                " active"
            })?;
            writeln!(out, "{}", if info.is_later { " [NextTime]" } else { "" })?;
        }
        let deadlines = self.with(|engine| engine.deadlines.len());
        let waits = self.waits();
        let (sources, alarms) = (waits.sources.len(), waits.alarms.len());
        write!(out, "{waits}")?;
        for spin in self.with(|engine| engine.guard.found.clone()) {
            writeln!(out, "Not served: {spin}")?;
        }
        let (hits, misses) = self.with(|engine| (engine.busy.hits, engine.busy.misses));
        if hits + misses > 0 {
            writeln!(out, "Waits without sleep: {hits}, in vain: {misses}")?;
        }
        writeln!(out, "Method: {}", self.method().name())?;
        writeln!(
            out,
            "Sources: {sources}, alarms: {alarms}, deadlines: {deadlines}"
        )
    }
}

/// Adds the counts of the kinds asked for.
fn sum(what: Counted, counts: &Most) -> usize {
    [
        (Counted::ADDED, counts.added),
        (Counted::ACTIVE, counts.active),
        (Counted::VIRTUAL, counts.virtuals),
    ]
    .into_iter()
    .filter(|(kind, _)| what.contains(*kind))
    .map(|(_, count)| count)
    .sum()
}

struct Name<'a>(&'a EventInfo);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.0.interest.contains(Flags::SIGNAL) {
            "sig"
        } else {
            "fd "
        };
        write!(f, "[{kind} {}]", self.0.number)
    }
}

struct Active<'a>(&'a EventInfo);

impl fmt::Display for Active<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.0.interest.contains(Flags::SIGNAL) {
            "sig"
        } else {
            "fd "
        };
        write!(
            f,
            "[{kind} {}, priority={}]",
            self.0.number, self.0.priority
        )
    }
}

fn write_interest(out: &mut dyn fmt::Write, flags: Flags) -> fmt::Result {
    for (flag, name) in [
        (Flags::READ, " Read"),
        (Flags::WRITE, " Write"),
        (Flags::CLOSED, " EOF"),
        (Flags::SIGNAL, " Signal"),
    ] {
        out.write_str(if flags.contains(flag) { name } else { "" })?;
    }
    Ok(())
}

//! How a base is to be made.

use std::env;
use std::ffi::OsString;
use std::time::Duration;

use crate::backend::{Features, Method, Options};
use crate::clock::{Clock, nanos};
use crate::sys::limits::is_privileged;

/// The configuration of a [`Base`](crate::Base): which backend, which clock, which limits.
///
/// It is copied when a base is made; one configuration serves many bases (BASE-20).
///
/// | Variable | Effect, unless [`ignore_env`](Config::ignore_env) is set or the program is set-user-id or set-group-id |
/// |---|---|
/// | `EVENT_NOEPOLL`, `EVENT_NOKQUEUE`, `EVENT_NODEVPOLL`, `EVENT_NOPOLL`, `EVENT_NOSELECT` | present: that method is avoided (BASE-8) |
/// | `LEVENT_BACKEND` | the name of the one method to use |
/// | `EVENT_EPOLL_USE_CHANGELIST` | present: as `batch_changes(true)` (BASE-14) |
/// | `LEVENT_TRUST_SHORT=0` | as `trust_short(false)` |
///
/// ```
/// use levent_reactor::{Base, Config, Method};
///
/// # fn main() -> std::io::Result<()> {
/// let base = Base::with_config(&Config::new().ignore_env().avoid_method("epoll"))?;
/// assert_ne!(base.method(), Method::Epoll);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    avoided: Vec<String>,
    required: Features,
    ignore_env: bool,
    no_cache_time: bool,
    trust_short: bool,
    options: Options,
    limits: Limits,
    clock: Option<Clock>,
    spin_limit: u32,
    busy_poll: Duration,
}

/// Bounds of one pass (LOOP-20 to LOOP-24).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Nanoseconds.
    pub(crate) interval: Option<u64>,
    pub(crate) callbacks: Option<u32>,
    pub(crate) min_priority: u8,
    /// After how many passes over more urgent levels a level has its turn; 0 for never.
    pub(crate) aging: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}

impl Config {
    /// The default: the best backend, no limits, time caching on.
    #[must_use]
    pub fn new() -> Config {
        Config {
            avoided: Vec::new(),
            required: Features::NONE,
            ignore_env: false,
            no_cache_time: false,
            trust_short: true,
            options: Options::default(),
            limits: Limits::default(),
            clock: None,
            spin_limit: 10_000,
            busy_poll: Duration::ZERO,
        }
    }

    /// Does not use the method of this name. Names add up; unknown ones are fine (BASE-3).
    #[must_use]
    pub fn avoid_method(mut self, name: &str) -> Config {
        self.avoided.push(name.to_owned());
        self
    }

    /// Uses only a method that has all these features. Replaces an earlier requirement (BASE-5).
    #[must_use]
    pub fn require_features(mut self, features: Features) -> Config {
        self.required = features;
        self
    }

    /// Looks at no environment variable (BASE-9).
    #[must_use]
    pub fn ignore_env(mut self) -> Config {
        self.ignore_env = true;
        self
    }

    /// Reads the clock at every use instead of once per iteration (TIME-7).
    #[must_use]
    pub fn no_cache_time(mut self) -> Config {
        self.no_cache_time = true;
        self
    }

    /// Takes the time from this clock instead of the system's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Config {
        self.clock = Some(clock);
        self
    }

    /// May a short read or write of a stream be taken to mean that the next one would block? On by default; it saves a system
    /// call per request. Off for tests that make transfers short on purpose.
    #[must_use]
    pub fn trust_short(mut self, trust: bool) -> Config {
        self.trust_short = trust;
        self
    }

    /// Has epoll collect changes of interest until the wait, so that adding and deleting the same event in between costs no call. A
    /// descriptor that cannot be watched is then reported to the event's callback instead of refused by `add` (better than CL-3).
    /// Do not use it with duplicates of one descriptor (CL-4). Other methods ignore it (BASE-14). Off by default.
    #[must_use]
    pub fn batch_changes(mut self, batch: bool) -> Config {
        self.options.batched = batch;
        self
    }

    /// Makes no timer descriptor where epoll has no wait in nanoseconds of its own (Linux before 5.11): waits are rounded up to
    /// milliseconds there (BASE-15).
    #[must_use]
    pub fn disallow_timerfd(mut self) -> Config {
        self.options.timer = false;
        self
    }

    /// Bounds each pass over events of priority `min_priority` and less urgent ones: it ends after `interval`, and after
    /// `callbacks` callbacks, and the loop looks for more urgent work. `None`: no such bound (BASE-18).
    #[must_use]
    pub fn max_dispatch(
        mut self,
        interval: Option<Duration>,
        callbacks: Option<u32>,
        min_priority: u8,
    ) -> Config {
        self.limits = Limits {
            interval: interval.map(nanos),
            callbacks,
            min_priority,
            ..self.limits
        };
        self
    }

    /// Gives a level of priority its turn after `passes` passes over more urgent ones in which it had something to run, so that it
    /// does not wait for ever. 0, the default: never; more urgent work always comes first, as in libevent (better than ACT-12).
    #[must_use]
    pub fn aging(mut self, passes: u32) -> Config {
        self.limits.aging = passes;
        self
    }

    /// After how many callbacks in a row, in which its owner did nothing about it, a level-triggered descriptor that is ready in every wait
    /// is no longer watched; see [`Base::on_spin`](crate::Base::on_spin). 0: never. 10,000 by default, which is some tens of milliseconds
    /// of a busy cpu.
    #[must_use]
    pub fn spin_limit(mut self, callbacks: u32) -> Config {
        self.spin_limit = callbacks;
        self
    }

    /// Asks the kernel again and again for up to this long before the loop sleeps, where that is worth it. Zero, the default: never.
    ///
    /// A sleep and the way back from it take several microseconds, and much longer on a virtual machine. Where the next report comes sooner than that, under a client that answers at once, a loop that
    /// asks is quicker, and cheaper for both sides; 20 µs is a good value. Where reports take longer, asking would only cost: so it is done only while the last waits
    /// were short, and given up after a few that were not. Calls by other threads cost what they do while the loop sleeps.
    #[must_use]
    pub fn busy_poll(mut self, most: Duration) -> Config {
        self.busy_poll = most;
        self
    }

    /// The clock, if it is not the system's.
    pub(crate) fn own_clock(&self) -> Option<Clock> {
        self.clock.clone().filter(Clock::is_manual)
    }

    pub(crate) fn the_busy_poll(&self) -> Duration {
        // With a clock of the caller's making, time is no matter of waiting.
        match &self.clock {
            Some(clock) if clock.is_manual() => Duration::ZERO,
            _ => self.busy_poll,
        }
    }

    pub(crate) fn the_spin_limit(&self) -> u32 {
        self.spin_limit
    }

    pub(crate) fn allows(&self, method: Method) -> bool {
        let name = method.name();
        if self.avoided.iter().any(|avoided| avoided == name)
            || !method.features().contains(self.required)
        {
            return false;
        }
        let switch = format!("EVENT_NO{}", name.to_uppercase());
        if self.variable(&switch).is_some() {
            return false;
        }
        self.variable("LEVENT_BACKEND")
            .is_none_or(|only| only.is_empty() || only == name)
    }

    /// A variable of the environment, unless that is not to be trusted (BASE-8).
    fn variable(&self, name: &str) -> Option<OsString> {
        if self.ignore_env || is_privileged() {
            return None;
        }
        env::var_os(name)
    }

    pub(crate) fn options(&self) -> Options {
        let batched = self.options.batched || self.variable("EVENT_EPOLL_USE_CHANGELIST").is_some();
        Options {
            batched,
            ..self.options
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn caches_time(&self) -> bool {
        !self.no_cache_time
    }

    pub(crate) fn trusts_short(&self) -> bool {
        self.trust_short
            && self
                .variable("LEVENT_TRUST_SHORT")
                .is_none_or(|value| value != "0")
    }

    pub(crate) fn the_clock(&self) -> Clock {
        self.clock.clone().unwrap_or_else(Clock::system)
    }
}

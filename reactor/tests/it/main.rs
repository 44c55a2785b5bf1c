//! The reactor's behaviour, rule by rule, on every backend.
//!
//! One module per chapter of the specification; each test's doc comment names the rules it proves, and `CONFORMANCE.md` lists all
//! rules with the tests that prove them. Order is asserted by a trace, time by a manual clock; the real clock serves only for
//! "never early". What changes the whole process runs in a process of its own ([`support::in_child`]).

mod activation;
mod add;
mod alarms;
mod backends;
mod base;
mod busy;
mod changelist;
mod conformance;
mod event;
mod exit;
mod fds;
mod finalize;
mod flags;
mod fork;
mod idle;
mod introspect;
mod jumping;
mod landmarks;
mod lane;
mod lane_moves;
mod looping;
mod misuse;
mod model;
mod once;
mod panics;
mod persist;
mod remote;
mod signals;
#[cfg(target_os = "linux")]
mod spin;
#[cfg(target_os = "linux")]
mod spin_guard;
mod support;
mod threads;
mod time;
mod watchers;

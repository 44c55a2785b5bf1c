//! Behaviour of the timers on the real reactor and clock.
//!
//! "Never early" is asserted always; lateness only where a test is about order. No test sleeps to let something happen first.

mod interval;
mod timeout;
mod timer;
mod trace;

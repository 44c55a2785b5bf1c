//! The flags of an event: what it waits for, how it behaves, and what made it active.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign};

use crate::flags::Ready;

/// A set of event flags, with libevent's values (FLG-1).
///
/// The same type says what an event waits for (its interest) and, in a callback, what happened. Of the interest,
/// [`PERSIST`](Flags::PERSIST) and [`FINALIZE`](Flags::FINALIZE) never come back in a callback.
///
/// ```
/// use levent_reactor::Flags;
///
/// let interest = Flags::READ | Flags::PERSIST;
/// assert!(interest.contains(Flags::READ));
/// assert!(!interest.intersects(Flags::WRITE | Flags::CLOSED));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u8);

impl Flags {
    /// No flag at all: a timer or a user event.
    pub const NONE: Flags = Flags(0);
    /// A deadline passed. As interest it has no effect (EV-6).
    pub const TIMEOUT: Flags = Flags(0x01);
    /// The descriptor can be read, or a read would report its end or its error.
    pub const READ: Flags = Flags(0x02);
    /// The descriptor can be written, or a write would report its error.
    pub const WRITE: Flags = Flags(0x04);
    /// A signal arrived.
    pub const SIGNAL: Flags = Flags(0x08);
    /// The event stays pending when its callback runs.
    pub const PERSIST: Flags = Flags(0x10);
    /// Report changes rather than states, where the backend can (edge-triggered).
    pub const ET: Flags = Flags(0x20);
    /// Kept for libevent's users: deleting never waits for a running callback here, so the flag changes nothing (FLG-10).
    pub const FINALIZE: Flags = Flags(0x40);
    /// The peer closed its side, reported before the data in between is read, where the backend can (FLG-7).
    pub const CLOSED: Flags = Flags(0x80);

    /// Those that wait for a descriptor.
    pub(crate) const DESCRIPTOR: Flags = Flags(0x02 | 0x04 | 0x80);
    /// Those that a source is registered for.
    pub(crate) const SOURCE: Flags = Flags(0x02 | 0x04 | 0x80 | 0x08);

    /// Are all flags of `other` in this set?
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Is any flag of `other` in this set?
    #[inline]
    #[must_use]
    pub const fn intersects(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Is the set empty?
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set without the flags of `other`.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// libevent's number for the set.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set that libevent's number stands for.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u8) -> Flags {
        Flags(bits)
    }

    /// What a backend's report means to an event. The bits are the same.
    #[inline]
    pub(crate) fn from_ready(ready: Ready) -> Flags {
        const {
            assert!(Ready::READ.bits() == Flags::READ.0);
            assert!(Ready::WRITE.bits() == Flags::WRITE.0);
            assert!(Ready::CLOSED.bits() == Flags::CLOSED.0);
        }
        Flags(ready.bits() & Flags::DESCRIPTOR.0)
    }
}

impl BitOr for Flags {
    type Output = Flags;
    #[inline]
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    #[inline]
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

impl BitAnd for Flags {
    type Output = Flags;
    #[inline]
    fn bitand(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 8] = [
            "TIMEOUT", "READ", "WRITE", "SIGNAL", "PERSIST", "ET", "FINALIZE", "CLOSED",
        ];
        let mut first = true;
        for (bit, name) in NAMES.iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                f.write_str(if first { "" } else { "|" })?;
                f.write_str(name)?;
                first = false;
            }
        }
        if first { f.write_str("NONE") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FLG-1: the values are libevent's.
    #[test]
    fn values_are_libevents() {
        let all = [
            (Flags::TIMEOUT, 0x01),
            (Flags::READ, 0x02),
            (Flags::WRITE, 0x04),
            (Flags::SIGNAL, 0x08),
            (Flags::PERSIST, 0x10),
            (Flags::ET, 0x20),
            (Flags::FINALIZE, 0x40),
            (Flags::CLOSED, 0x80),
        ];
        for (flag, value) in all {
            assert_eq!(flag.bits(), value);
        }
    }

    #[test]
    fn reports_map_to_flags() {
        assert_eq!(Flags::from_ready(Ready::READ), Flags::READ);
        assert_eq!(Flags::from_ready(Ready::WRITE), Flags::WRITE);
        assert_eq!(Flags::from_ready(Ready::CLOSED), Flags::CLOSED);
        assert_eq!(Flags::from_ready(Ready::READ | Ready::HANGUP), Flags::READ);
    }

    #[test]
    fn debug_names_the_flags() {
        assert_eq!(
            format!("{:?}", Flags::READ | Flags::PERSIST),
            "READ|PERSIST"
        );
        assert_eq!(format!("{:?}", Flags::NONE), "NONE");
    }
}

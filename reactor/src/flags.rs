//! Small sets of bits: what is asked for ([`Interest`]) and what the kernel reported ([`Ready`]).
//!
//! What an event can be told of a report carries the bits of the event's own flags, so that "reported and asked for" (FLG-3) is one
//! `&`; see `Flags::from_ready`.

/// A set of bits as a newtype. A macro because three types have exactly these members ([`Features`] is the third).
///
/// [`Features`]: crate::Features
macro_rules! bit_set {
    (
        $(#[$type_doc:meta])*
        $vis:vis struct $name:ident { $($(#[$doc:meta])* $flag:ident = $bit:literal,)* }
    ) => {
        $(#[$type_doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        $vis struct $name(u8);

        impl $name {
            /// The empty set.
            $vis const NONE: $name = $name(0);
            $($(#[$doc])* $vis const $flag: $name = $name($bit);)*

            /// The bits as a number.
            #[inline]
            #[must_use]
            $vis const fn bits(self) -> u8 {
                self.0
            }

            /// The set with the known bits of `bits`; unknown ones are dropped.
            #[inline]
            #[must_use]
            $vis const fn from_bits_truncate(bits: u8) -> $name {
                $name(bits & (0 $(| $bit)*))
            }

            /// Is nothing in the set?
            #[inline]
            #[must_use]
            $vis const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Are all of `other` in the set?
            #[inline]
            #[must_use]
            $vis const fn contains(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }

            /// Is any of `other` in the set?
            #[inline]
            #[must_use]
            $vis const fn intersects(self, other: $name) -> bool {
                self.0 & other.0 != 0
            }

            /// The set less what is in `other`.
            #[inline]
            #[must_use]
            $vis const fn without(self, other: $name) -> $name {
                $name(self.0 & !other.0)
            }
        }

        impl std::ops::BitOr for $name {
            type Output = $name;
            #[inline]
            fn bitor(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }
        }

        impl std::ops::BitOrAssign for $name {
            #[inline]
            fn bitor_assign(&mut self, other: $name) {
                self.0 |= other.0;
            }
        }

        impl std::ops::BitAnd for $name {
            type Output = $name;
            #[inline]
            fn bitand(self, other: $name) -> $name {
                $name(self.0 & other.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let names: &[(u8, &str)] = &[$(($bit, stringify!($flag))),*];
                let mut separator = "";
                for (_, flag) in names.iter().filter(|(bit, _)| self.0 & bit != 0) {
                    write!(f, "{separator}{flag}")?;
                    separator = " | ";
                }
                if self.is_empty() { f.write_str("NONE") } else { Ok(()) }
            }
        }
    };
}

pub(crate) use bit_set;

bit_set! {
    /// What is asked of a descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// use levent_reactor::Interest;
    ///
    /// let both = Interest::READ | Interest::WRITE;
    /// assert!(both.contains(Interest::READ));
    /// assert_eq!(both.without(Interest::READ), Interest::WRITE);
    /// assert_eq!(format!("{both:?}"), "READ | WRITE");
    /// ```
    pub struct Interest {
        /// A read would not block.
        READ = 1,
        /// A write would not block.
        WRITE = 2,
        /// The peer will send no more, reported without reading what it has sent. Never fires on select.
        CLOSED = 4,
        /// Report changes only, not states. Ignored where the backend has no edges (FLG-6).
        EDGE = 8,
        /// Urgent data of a TCP peer. On epoll only; the others tell of it with `READ`.
        URGENT = 0x10,
    }
}

bit_set! {
    /// What the kernel reported for a descriptor.
    pub(crate) struct Ready {
        /// A read would not block.
        READ = 2,
        /// A write would not block.
        WRITE = 4,
        /// The peer will send no more.
        CLOSED = 0x80,
        /// An error or a hang-up: true for good. Whoever caches readiness never clears it, and wakes everybody.
        HANGUP = 1,
        /// The descriptor is closed. Reported once; the backend has dropped it from its set by then.
        INVALID = 8,
        /// Urgent data has come, or is still to be read past.
        URGENT = 0x10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_behave_as_sets() {
        let both = Interest::READ | Interest::WRITE;
        assert_eq!(both.bits(), 3);
        assert!(both.contains(Interest::READ) && both.contains(Interest::NONE));
        assert!(!both.contains(Interest::READ | Interest::CLOSED));
        assert!(both.intersects(Interest::READ | Interest::CLOSED));
        assert!(!both.intersects(Interest::NONE));
        assert_eq!(both & Interest::WRITE, Interest::WRITE);
        assert_eq!(both.without(both), Interest::NONE);
        assert!(Interest::default().is_empty());
    }

    #[test]
    fn unknown_bits_are_dropped() {
        assert_eq!(Interest::from_bits_truncate(0xff).bits(), 0x1f);
        assert_eq!(Ready::from_bits_truncate(0xff).bits(), 0x9f);
    }

    #[test]
    fn debug_names_the_bits() {
        assert_eq!(
            format!("{:?}", Ready::READ | Ready::HANGUP),
            "READ | HANGUP"
        );
        assert_eq!(format!("{:?}", Ready::NONE), "NONE");
    }
}

//! The bell that ends a base's wait from another thread or from a signal handler.

// A build with libkqueue is for tests of what the other systems have: their bell too.
#[cfg(all(target_os = "linux", not(levent_libkqueue)))]
pub(crate) use super::eventfd::EventFd as Bell;
#[cfg(all(target_os = "linux", not(levent_libkqueue)))]
pub(super) use super::eventfd::ring;
#[cfg(any(not(target_os = "linux"), levent_libkqueue))]
pub(crate) use super::pipe::Pipe as Bell;
#[cfg(any(not(target_os = "linux"), levent_libkqueue))]
pub(super) use super::pipe::ring;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flags::{Interest, Ready},
        sys::{pipe::Pipe, poll::poll_now},
    };
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

    fn is_ringing(bell: BorrowedFd<'_>) -> bool {
        poll_now(bell, Interest::READ)
            .unwrap()
            .contains(Ready::READ)
    }

    #[test]
    fn rings_until_drained() {
        let bell = Bell::new().unwrap();
        assert!(!is_ringing(bell.as_fd()));
        bell.drain();
        bell.ring();
        bell.ring();
        assert!(is_ringing(bell.as_fd()));
        bell.drain();
        assert!(!is_ringing(bell.as_fd()));
    }

    /// The bell of the systems without eventfd; full, too.
    #[test]
    fn pipe_rings_until_drained() {
        let bell = Pipe::new().unwrap();
        assert!(!is_ringing(bell.as_fd()));
        bell.drain();
        for rings in [1, 256, 100_000] {
            (0..rings).for_each(|_| bell.ring());
            assert!(is_ringing(bell.as_fd()));
            bell.drain();
            assert!(!is_ringing(bell.as_fd()), "after {rings} rings");
        }
    }

    /// FORK-6: after a fork both processes have both numbers; what one rings then is not the other's.
    #[test]
    fn renewed_bell_is_another_one() {
        let bell = Bell::new().unwrap();
        let parents = bell.as_fd().try_clone_to_owned().unwrap();
        let number = bell.as_fd().as_raw_fd();
        bell.ring();
        bell.renew().unwrap();
        assert_eq!(bell.as_fd().as_raw_fd(), number);
        assert!(is_ringing(parents.as_fd()) && !is_ringing(bell.as_fd()));
        bell.ring();
        assert!(is_ringing(bell.as_fd()));
    }

    /// The same for the other systems' bell.
    #[test]
    fn renewed_pipe_is_another_one() {
        let bell = Pipe::new().unwrap();
        let parents = bell.as_fd().try_clone_to_owned().unwrap();
        let _other_end = bell.ringer().try_clone_to_owned().unwrap();
        let number = bell.as_fd().as_raw_fd();
        bell.renew().unwrap();
        assert_eq!(bell.as_fd().as_raw_fd(), number);
        bell.ring();
        assert!(is_ringing(bell.as_fd()) && !is_ringing(parents.as_fd()));
        bell.drain();
        assert!(!is_ringing(bell.as_fd()));
    }
}

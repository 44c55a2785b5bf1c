//! Signals, forks and dispositions, each test in a process of its own.

use super::*;
use crate::{signal::Receiver, test_child::in_child};

static FOREIGN: AtomicU32 = AtomicU32::new(0);

extern "C" fn foreign(_: libc::c_int) {
    FOREIGN.fetch_add(1, SeqCst);
}

fn install_foreign(signal: i32) {
    // SAFETY: `foreign` only adds to an atomic.
    let old = unsafe {
        libc::signal(
            signal,
            foreign as extern "C" fn(libc::c_int) as *const () as usize,
        )
    };
    assert_ne!(old, libc::SIG_ERR);
}

/// SIG-2; better than SIG-12: the order of removal does not matter.
#[test]
fn foreign_disposition_comes_back_with_the_last_receiver() {
    if !in_child("sys::signal::tests::foreign_disposition_comes_back_with_the_last_receiver") {
        return;
    }
    install_foreign(libc::SIGUSR1);
    let first = Receiver::new().unwrap();
    let second = Receiver::new().unwrap();
    first.add(libc::SIGUSR1).unwrap();
    second.add(libc::SIGUSR1).unwrap();
    raise(libc::SIGUSR1);
    assert_eq!(FOREIGN.load(SeqCst), 0);
    first.remove(libc::SIGUSR1).unwrap();
    raise(libc::SIGUSR1);
    assert_eq!(
        (
            FOREIGN.load(SeqCst),
            first.take(libc::SIGUSR1),
            second.take(libc::SIGUSR1)
        ),
        (0, 0, 2)
    );
    drop(second);
    raise(libc::SIGUSR1);
    assert_eq!(FOREIGN.load(SeqCst), 1);
    // And again, SIG-22.
    first.add(libc::SIGUSR1).unwrap();
    raise(libc::SIGUSR1);
    assert_eq!((FOREIGN.load(SeqCst), first.take(libc::SIGUSR1)), (1, 1));
    drop(first);
    raise(libc::SIGUSR1);
    assert_eq!(FOREIGN.load(SeqCst), 2);
}

#[test]
fn handler_of_a_newcomer_is_left_alone() {
    if !in_child("sys::signal::tests::handler_of_a_newcomer_is_left_alone") {
        return;
    }
    let receiver = Receiver::new().unwrap();
    receiver.add(libc::SIGUSR1).unwrap();
    install_foreign(libc::SIGUSR1);
    drop(receiver);
    // The default, which was ours to restore, would have ended the process.
    raise(libc::SIGUSR1);
    assert_eq!(FOREIGN.load(SeqCst), 1);
}

/// Better than SIG-14: the number is counted, not written, and errno is what it was.
#[test]
fn errno_survives_the_handler() {
    if !in_child("sys::signal::tests::errno_survives_the_handler") {
        return;
    }
    let receiver = Receiver::new().unwrap();
    receiver.add(libc::SIGUSR1).unwrap();
    // SAFETY: the C library returns a valid pointer to this thread's `errno`.
    let errno = unsafe { errno_location() };
    // SAFETY: as above.
    unsafe { errno.write(libc::EXDEV) };
    handler(libc::SIGUSR1);
    // SAFETY: as above.
    assert_eq!(unsafe { errno.read() }, libc::EXDEV);
    assert_eq!(receiver.take(libc::SIGUSR1), 1);

    // And when the write inside fails: full, a bell answers `EAGAIN`.
    if Bell::NEEDS_DRAIN {
        (0..100_000).for_each(|_| handler(libc::SIGUSR1));
        assert_eq!(receiver.take(libc::SIGUSR1), 100_000);
    } else {
        let add = |count: u64| {
            let count = count.to_ne_bytes();
            let fd = receiver.as_fd().as_raw_fd();
            // SAFETY: eight readable bytes.
            unsafe { libc::write(fd, count.as_ptr().cast(), count.len()) }
        };
        // One is in already, so it is refused; the rest fits.
        assert_eq!(add(u64::MAX - 1), -1);
        assert_eq!(add(u64::MAX - 2), 8);
    }
    // SAFETY: as above.
    unsafe { errno.write(libc::EXDEV) };
    handler(libc::SIGUSR1);
    // SAFETY: as above.
    assert_eq!(unsafe { errno.read() }, libc::EXDEV);
    assert_eq!(receiver.take(libc::SIGUSR1), 1);
}

/// Each process has its own: a child that is signalled does not wake its parent, and may drop what it
/// inherited.
#[test]
fn forked_child_does_not_ring_its_parent() {
    if !in_child("sys::signal::tests::forked_child_does_not_ring_its_parent") {
        return;
    }
    let receiver = Receiver::new().unwrap();
    receiver.add(libc::SIGUSR1).unwrap();
    // A free cell as well.
    drop(Receiver::new().unwrap());
    // As if a thread had been inside the handler during the fork: the child must not wait for it.
    for cell in Cell::all() {
        cell.users.fetch_add(1, SeqCst);
    }
    // SAFETY: the child calls what is safe after a fork of threads: raise, the handler, atomics, sigaction, _exit.
    // The locks are free, for no other thread of this process uses it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        raise(libc::SIGUSR1);
        let is_silent = receiver.take(libc::SIGUSR1) == 0 && receiver.add(libc::SIGUSR2).is_err();
        drop(receiver);
        let own = Receiver::new().unwrap();
        own.add(libc::SIGUSR1).unwrap();
        raise(libc::SIGUSR1);
        let is_silent = is_silent && own.take(libc::SIGUSR1) == 1;
        drop(own);
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(if is_silent { 0 } else { 1 }) };
    }
    assert!(child > 0);
    let mut status = 0;
    // SAFETY: `status` is writable.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    for cell in Cell::all() {
        cell.users.fetch_sub(1, SeqCst);
    }
    let ready = crate::sys::poll::poll_now(receiver.as_fd(), crate::Interest::READ).unwrap();
    assert!(ready.is_empty());
    raise(libc::SIGUSR1);
    assert_eq!(receiver.take(libc::SIGUSR1), 1);
}

#[test]
fn cells_are_recycled() {
    if !in_child("sys::signal::tests::cells_are_recycled") {
        return;
    }
    for _ in 0..1000 {
        let receivers = [Receiver::new().unwrap(), Receiver::new().unwrap()];
        receivers[0].add(libc::SIGUSR1).unwrap();
        raise(libc::SIGUSR1);
        assert_eq!(
            receivers
                .each_ref()
                .map(|receiver| receiver.take(libc::SIGUSR1)),
            [1, 0]
        );
    }
    assert_eq!(Cell::all().count(), 2);
}

/// Invariant 3: receivers come and go under a storm of signals on another thread; no handler ever writes to a
/// descriptor that is no longer the receiver's.
#[test]
fn storm_never_hits_a_closed_bell() {
    if !in_child("sys::signal::tests::storm_never_hits_a_closed_bell") {
        return;
    }
    // Keeps the handler installed throughout, and counts all of them.
    let keeper = Receiver::new().unwrap();
    keeper.add(libc::SIGUSR1).unwrap();
    let is_done = AtomicBool::new(false);
    let mut raised = 0;
    thread::scope(|scope| {
        let storm = scope.spawn(|| {
            let mut raised = 0;
            while !is_done.load(Relaxed) {
                raise(libc::SIGUSR1);
                raised += 1;
            }
            raised
        });
        for _ in 0..2000 {
            let receiver = Receiver::new().unwrap();
            receiver.add(libc::SIGUSR1).unwrap();
            drop(receiver);
            // Likely gets the number of the eventfd that was just closed. Eight bytes in it would be a late bell.
            let stray = Bell::new().unwrap();
            let ready = crate::sys::poll::poll_now(stray.as_fd(), crate::Interest::READ).unwrap();
            assert!(ready.is_empty());
        }
        is_done.store(true, Relaxed);
        raised = storm.join().unwrap();
    });
    assert_eq!(keeper.take(libc::SIGUSR1), raised);
}

//! The process-wide signal handler and the posts that it rings.
//!
//! ```text
//! signal ──▶ handler ──walks──▶ Cell ▶ Cell ▶ Cell        (leaked, recycled, never freed)
//!                                 │ count += 1
//!                                 └ write(2) ──▶ bell ──▶ the base's or stream's backend
//! ```
//!
//! Invariants
//! 1. The handler takes no lock, allocates nothing, calls only getpid(2) and write(2), cannot panic and leaves `errno` as
//!    it found it (SIG-14).
//! 2. Cells are pushed in front and never unlinked or freed. So the handler may walk the list at any time.
//! 3. A cell's `fd` is -1 or an open bell that nobody else can close: [`Post`] owns it, and closes it only when no
//!    handler can be about to write to it (see [`Cell::retire`]).
//! 4. A handler acts on a cell only in the process that took it. A forked child inherits handler, cells and bells, and
//!    must not ring its parent.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    process, ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release, SeqCst},
        },
    },
    thread,
    time::Duration,
};

use super::{
    bell::{self, Bell},
    check,
};

/// The highest number that a cell has room for. Linux has no higher one, but for MIPS; FreeBSD's and Solaris's real-time signals go
/// beyond it.
pub(crate) const LAST: i32 = 64;

/// The front of the list of cells. Written under `PUSH`, read by everybody.
static CELLS: AtomicPtr<Cell> = AtomicPtr::new(ptr::null_mut());

/// Held while a cell is taken or pushed; never by the handler.
static PUSH: Mutex<()> = Mutex::new(());

/// What the handler knows of one receiver.
struct Cell {
    /// Set before the cell is published, constant from then on.
    next: Option<&'static Cell>,
    /// Belongs to a `Post`. Set under `PUSH`, cleared by `retire` when nothing of the last owner is left.
    is_taken: AtomicBool,
    /// Bit n - 1: signal n is counted here. Set and cleared by the owner; zero while nobody owns the cell.
    wanted: AtomicU64,
    /// Occurrences of signal n, at n - 1, that the owner has not taken. Wraps after 2³² of them.
    counts: [AtomicU32; LAST as usize],
    /// What rings the owner's bell, or -1.
    fd: AtomicI32,
    /// Handlers that look at this cell right now, on any thread.
    users: AtomicU32,
    /// The process that took the cell.
    pid: AtomicU32,
}

impl Cell {
    /// The first cell of the list.
    fn first() -> Option<&'static Cell> {
        // Pairs with the `Release` in `take`, so that the cell's fields are seen as they were published.
        let pointer = CELLS.load(Acquire);
        // SAFETY: null, or a leaked box that is never freed nor mutably borrowed again.
        unsafe { pointer.as_ref() }
    }

    fn all() -> impl Iterator<Item = &'static Cell> {
        std::iter::successors(Cell::first(), |cell| cell.next)
    }

    /// Takes a free cell, or leaks a new one, for this process and bell.
    fn take(fd: BorrowedFd<'_>) -> &'static Cell {
        let _guard = PUSH.lock().unwrap_or_else(PoisonError::into_inner);
        // `Acquire` pairs with the `Release` in `retire`: the last owner's stores come before ours. In a forked child the
        // parent's cells are left alone, for the reason given in `retire`.
        let pid = process::id();
        let free =
            Cell::all().find(|cell| !cell.is_taken.load(Acquire) && cell.pid.load(Relaxed) == pid);
        let cell = free.unwrap_or_else(|| {
            let cell = &*Box::leak(Box::new(Cell {
                next: Cell::first(),
                is_taken: AtomicBool::new(false),
                wanted: AtomicU64::new(0),
                counts: [const { AtomicU32::new(0) }; LAST as usize],
                fd: AtomicI32::new(-1),
                users: AtomicU32::new(0),
                pid: AtomicU32::new(0),
            }));
            // A plain store, for `PUSH` is held. Nothing is ever written through the pointer.
            CELLS.store(ptr::from_ref(cell).cast_mut(), Release);
            cell
        });
        cell.is_taken.store(true, Relaxed);
        // Before any bit of `wanted`, which is what makes handlers look at them; `want` publishes them.
        cell.pid.store(pid, Relaxed);
        cell.fd.store(fd.as_raw_fd(), SeqCst);
        cell
    }

    /// Withdraws the cell from all handlers. When this returns the bell may be closed.
    ///
    /// The proof is Dekker's. We store -1 to `fd`, then load `users`; a handler adds to `users`, then loads `fd`. All four
    /// are `SeqCst`, so they stand in one order: either our load comes after the handler's addition, and we wait for it,
    /// or the handler's load comes after our store and it sees -1. Only the `SeqCst` order gives this; with anything
    /// weaker both could miss each other. The same holds for `wanted`.
    fn retire(&self) {
        self.wanted.store(0, SeqCst);
        self.fd.store(-1, SeqCst);
        if self.pid.load(Relaxed) != process::id() {
            // A forked child. No handler here touches the cell's bell (invariant 4), so there is nothing to wait for;
            // and `users` may count a thread that was in the handler during the fork and does not exist here, for which
            // we would wait for ever, now or as the next owner. So the cell stays taken, for good.
            return;
        }
        // Not for long: a handler makes one system call that does not block. A handler on this very thread has returned
        // before we go on. The final load pairs with the `Release` in `handler`: its write(2) is before our close(2).
        let mut rounds = 0;
        while self.users.load(SeqCst) != 0 {
            rounds += 1;
            if rounds < 1000 {
                thread::yield_now();
            } else {
                // Under a real-time policy yielding lets no thread of a lower priority run.
                thread::sleep(Duration::from_millis(1));
            }
        }
        // Pairs with the `Acquire` in `take`.
        self.is_taken.store(false, Release);
    }
}

/// Runs on any thread, at any instruction, with all signals masked.
extern "C" fn handler(signal: libc::c_int) {
    // SAFETY: the C library returns a valid pointer to this thread's `errno`.
    let errno = unsafe { errno_location() };
    // SAFETY: as above; nobody else accesses this thread's `errno` while this thread is here.
    let saved = unsafe { errno.read() };
    if (1..=LAST).contains(&signal) {
        let index = (signal - 1) as usize;
        let pid = process::id();
        for cell in Cell::all() {
            // Before the loads, in the `SeqCst` order: see `retire`.
            cell.users.fetch_add(1, SeqCst);
            // The load of `wanted` makes `pid` and `fd` of the owner who set it visible.
            if cell.wanted.load(SeqCst) & bit(signal) != 0 && cell.pid.load(Relaxed) == pid {
                // The count first: who is woken by the bell finds it. Pairs with `Post::take`.
                cell.counts[index].fetch_add(1, Release);
                let fd = cell.fd.load(SeqCst);
                if fd >= 0 {
                    bell::ring(fd);
                }
            }
            // Pairs with the last load in `retire`.
            cell.users.fetch_sub(1, Release);
        }
    }
    // SAFETY: as above.
    unsafe { errno.write(saved) };
}

// One name per C library for the same function.
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
use libc::___errno as errno_location;
#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
use libc::__errno as errno_location;
#[cfg(any(target_os = "linux", target_os = "dragonfly"))]
use libc::__errno_location as errno_location;
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
use libc::__error as errno_location;

/// The bit of a number between 1 and `LAST`.
fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// A receiver's side of a cell: a bell that rings when one of the wanted numbers occurs, and their counts.
///
/// Knows nothing of dispositions: who wants a number sees to it that the handler is installed for it.
pub(crate) struct Post {
    cell: &'static Cell,
    /// Declared last, closed last: after `drop` has withdrawn the cell.
    bell: Bell,
}

impl Post {
    pub(crate) fn new() -> io::Result<Post> {
        let bell = Bell::new()?;
        Ok(Post {
            cell: Cell::take(bell.ringer()),
            bell,
        })
    }

    /// Was this made by the process that runs? If not, nothing is ever counted here.
    pub(crate) fn is_ours(&self) -> bool {
        self.cell.pid.load(Relaxed) == process::id()
    }

    /// Counts `signal` (1 to `LAST`) from now on, from zero.
    pub(crate) fn want(&self, signal: i32) {
        self.cell.counts[(signal - 1) as usize].store(0, Relaxed);
        self.cell.wanted.fetch_or(bit(signal), SeqCst);
    }

    /// Counts `signal` (1 to `LAST`) no longer.
    pub(crate) fn unwant(&self, signal: i32) {
        self.cell.wanted.fetch_and(!bit(signal), SeqCst);
        self.cell.counts[(signal - 1) as usize].store(0, Relaxed);
    }

    /// Is `signal` counted?
    pub(crate) fn wants(&self, signal: i32) -> bool {
        (1..=LAST).contains(&signal) && self.cell.wanted.load(Relaxed) & bit(signal) != 0
    }

    /// The numbers that are counted, ascending.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = i32> + use<> {
        let wanted = self.cell.wanted.load(Relaxed);
        (1..=LAST).filter(move |&signal| wanted & bit(signal) != 0)
    }

    /// Takes the whole count of a wanted number.
    pub(crate) fn take(&self, signal: i32) -> u32 {
        // Pairs with the `Release` in `handler`.
        if self.wants(signal) {
            self.cell.counts[(signal - 1) as usize].swap(0, Acquire)
        } else {
            0
        }
    }

    /// Takes one of the count of a wanted number, if there is one.
    pub(crate) fn take_one(&self, signal: i32) -> bool {
        let less_one = |count: u32| count.checked_sub(1);
        self.wants(signal)
            && self.cell.counts[(signal - 1) as usize]
                .fetch_update(Acquire, Relaxed, less_one)
                .is_ok()
    }

    pub(crate) fn drain(&self) {
        self.bell.drain();
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.cell.retire();
    }
}

impl AsFd for Post {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// What the process did with a signal before us.
pub(crate) struct Disposition(libc::sigaction);

/// Asks for, and with `new` also sets, the disposition of a signal.
fn exchange(signal: i32, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `new` is null or readable, `old` has room for the one record that the call writes. A handler in `new` is
    // ours, which is async-signal-safe, or one that the process had installed before.
    check(unsafe { libc::sigaction(signal, new, old.as_mut_ptr()) })?;
    // SAFETY: integers and an optional function pointer, of which zero is a value; the C library may leave some of them alone.
    Ok(unsafe { old.assume_init() })
}

/// Installs our handler: restartable, all signals masked while it runs (SIG-2), on the thread's signal stack if it has one: stacks
/// of coroutines are small, and those of some runtimes are not to be touched at all.
pub(crate) fn install(signal: i32) -> io::Result<Disposition> {
    // SAFETY: the record is integers and an optional function pointer, of which zero is a value.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler_address();
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the set is ours to write; the call cannot fail on a valid pointer.
    unsafe { libc::sigfillset(&mut action.sa_mask) };
    exchange(signal, Some(&action)).map(Disposition)
}

/// Puts an old disposition back, unless somebody else has replaced ours meanwhile: theirs stays.
pub(crate) fn restore(signal: i32, old: &Disposition) -> io::Result<()> {
    if exchange(signal, None)?.sa_sigaction == handler_address() {
        exchange(signal, Some(&old.0))?;
    }
    Ok(())
}

fn handler_address() -> libc::sighandler_t {
    handler as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t
}

/// The highest number of this system's signals, at most `LAST`.
pub(crate) fn last() -> i32 {
    #[cfg(any(target_os = "linux", target_os = "illumos", target_os = "solaris"))]
    let last = libc::SIGRTMAX();
    // As the headers have it (`NSIG` - 1, `SIGRTMAX`); the libc crate leaves these out.
    #[cfg(target_vendor = "apple")]
    let last = 31;
    #[cfg(target_os = "openbsd")]
    let last = 32;
    #[cfg(target_os = "netbsd")]
    let last = 63;
    #[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
    let last = LAST;
    last.min(LAST)
}

/// Sends a signal to the calling thread, which has handled it when this returns.
#[cfg(test)]
pub(crate) fn raise(signal: i32) {
    // SAFETY: raise(3) takes no pointer; the tests that use it have a process of their own.
    check(unsafe { libc::raise(signal) }).unwrap();
}

/// The calling thread, for `signal_thread`.
#[cfg(test)]
pub(crate) fn this_thread() -> libc::pthread_t {
    // SAFETY: always succeeds.
    unsafe { libc::pthread_self() }
}

/// Sends a signal to a thread of this process, which must not have ended yet.
#[cfg(test)]
pub(crate) fn signal_thread(thread: libc::pthread_t, signal: i32) {
    // SAFETY: the caller sees to it that the thread has not been joined; the tests that use it scope their threads.
    let answer = unsafe { libc::pthread_kill(thread, signal) };
    assert_eq!(answer, 0);
}

#[cfg(test)]
mod tests;

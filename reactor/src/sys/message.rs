//! Descriptors beside the bytes of a Unix socket: sendmsg(2) and recvmsg(2) with `SCM_RIGHTS` (unix(7)).
//!
//! Invariants
//! 1. Every descriptor that the kernel installs has an owner before anything else happens: nobody's is closed on the way.
//! 2. The room for control data is a multiple of its alignment. Where it is not, the C libraries' `CMSG_NXTHDR`, and the libc crate's
//!    up to some release, passes over a last header whose padding is missing, and its descriptors would stay open for good.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::{self, MaybeUninit},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use super::check_len;

/// How many descriptors one message can carry: `SCM_MAX_FD` on Linux, and no fewer than the others' limits elsewhere.
pub(crate) const MOST_FDS: usize = if cfg!(target_os = "linux") { 253 } else { 512 };

/// Beside the descriptors there is room for the sender's credentials, which come first if the socket has `SO_PASSCRED`: a header
/// and three integers, or a little more.
const CREDENTIALS: usize = 32;

/// The size of the room: a header and its padding are 32 bytes at most.
const ROOM: usize = CREDENTIALS + 32 + MOST_FDS.next_multiple_of(2) * size_of::<RawFd>();

/// Control data, aligned as its headers have to be.
#[repr(C, align(8))]
struct Control([u8; ROOM]);

const _: () = assert!(align_of::<libc::cmsghdr>() <= align_of::<Control>());

/// No signal for a peer that is gone, where the call can be told so: the others' sockets are told when they are made.
const SEND_FLAGS: libc::c_int = if cfg!(target_vendor = "apple") {
    0
} else {
    libc::MSG_NOSIGNAL
};

/// Systems that make received descriptors close-on-exec in the call.
#[cfg(any(
    target_os = "linux",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
const CLOSE_ON_EXEC: Option<libc::c_int> = Some(libc::MSG_CMSG_CLOEXEC);
/// Elsewhere a child that another thread starts at that moment inherits them.
#[cfg(not(any(
    target_os = "linux",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
const CLOSE_ON_EXEC: Option<libc::c_int> = None;

/// What recvmsg(2) tells beside the bytes and the descriptors.
pub(crate) struct Told {
    pub(crate) len: usize,
    /// `MSG_TRUNC`: a datagram was longer.
    pub(crate) cut_bytes: bool,
    /// `MSG_CTRUNC`: control data was longer, or descriptors could not be installed.
    pub(crate) cut_control: bool,
}

/// Sends bytes and, if there are any, descriptors, which go with the first byte. At most [`MOST_FDS`].
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut control = Control([0; ROOM]);
    let mut message = header(bufs.as_ptr().cast_mut().cast(), bufs.len());
    if !fds.is_empty() {
        put_rights(&mut message, &mut control, fds);
    }
    // SAFETY: `message` points to `bufs`, which std lays out as `iovec`s and whose bytes are readable, and to `control`; all of them
    // live until the call returns, which writes to none and keeps no pointer. The descriptors are open while borrowed.
    check_len(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, SEND_FLAGS) })
}

/// Receives bytes, and hands each descriptor that came with them to `take`.
///
/// At least `max` descriptors find room, if the process may have them, and a few more may: on Linux as many as fit into the rest of
/// the room. Elsewhere the whole of it is offered, since not every system closes those that do not fit.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    max: usize,
    take: impl FnMut(OwnedFd),
) -> io::Result<Told> {
    let mut control = Control([0; ROOM]);
    let mut message = header(bufs.as_mut_ptr().cast(), bufs.len());
    let room = if cfg!(target_os = "linux") {
        let len = max.min(MOST_FDS) * size_of::<RawFd>();
        // SAFETY: arithmetic; the result is a multiple of the alignment (invariant 2).
        CREDENTIALS + unsafe { libc::CMSG_SPACE(len as libc::c_uint) } as usize
    } else {
        ROOM
    };
    debug_assert!(room <= ROOM);
    message.msg_control = ptr::from_mut(&mut control).cast();
    message.msg_controllen = room.min(ROOM) as _;
    let flags = CLOSE_ON_EXEC.unwrap_or(0);
    // SAFETY: `message` points to `bufs`, which std lays out as `iovec`s and whose bytes are writable, and to `control`, which is
    // writable for the length given; all of them live until the call returns, which keeps no pointer.
    let len = check_len(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) })?;
    take_rights(&message, take);
    Ok(Told {
        len,
        cut_bytes: message.msg_flags & libc::MSG_TRUNC != 0,
        cut_control: message.msg_flags & libc::MSG_CTRUNC != 0,
    })
}

/// A message of these `iovec`s, with no address and no control data. The pointer is to be good when it is used.
pub(super) fn header(bufs: *mut libc::iovec, count: usize) -> libc::msghdr {
    // SAFETY: pointers, which may be null, and integers: zero is a value of each.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = bufs;
    // The types differ. A count that is cut is far above what any system takes, and stays so: it is checked there.
    message.msg_iovlen = count.min(libc::c_int::MAX as usize) as _;
    message
}

/// Puts descriptors into the control data, and that into the message.
fn put_rights(message: &mut libc::msghdr, control: &mut Control, fds: &[BorrowedFd<'_>]) {
    assert!(fds.len() <= MOST_FDS, "the caller counts them");
    let len = mem::size_of_val(fds) as libc::c_uint;
    message.msg_control = ptr::from_mut(control).cast();
    // SAFETY: arithmetic. It fits the room, which has 32 bytes and more beside the most descriptors.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(len) } as _;
    // SAFETY: the message has control data, aligned and zeroed, with room for a header: the result points to its beginning.
    let first = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: it points into `control`, which is borrowed exclusively, and whose zeroes are a header.
    let header = unsafe { &mut *first };
    header.cmsg_level = libc::SOL_SOCKET;
    header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: arithmetic.
    header.cmsg_len = unsafe { libc::CMSG_LEN(len) } as _;
    // SAFETY: `first` is a header within `control`, and what follows it is too.
    let data = unsafe { libc::CMSG_DATA(first) };
    // SAFETY: `CMSG_SPACE` has counted these bytes; they are `control`'s, so apart from `fds`, of which each is its number in memory.
    unsafe { ptr::copy_nonoverlapping(fds.as_ptr().cast::<u8>(), data, len as usize) };
}

/// Takes the descriptors out of the control data that the kernel has written.
// The types of the lengths differ from system to system.
#[allow(clippy::unnecessary_cast)]
fn take_rights(message: &libc::msghdr, mut take: impl FnMut(OwnedFd)) {
    let end = message.msg_control as usize + message.msg_controllen as usize;
    // SAFETY: the message still has its control data, with the length that the kernel wrote, at most the one it was given.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: null, or a header that lies within the control data, which the kernel or our zeroes have written.
    while let Some(header) = unsafe { next.as_ref() } {
        if header.cmsg_level == libc::SOL_SOCKET && is_descriptors(header.cmsg_type) {
            // SAFETY: arithmetic.
            let before = unsafe { libc::CMSG_LEN(0) } as usize;
            // SAFETY: `next` is a header within the control data.
            let data = unsafe { libc::CMSG_DATA(next) };
            // A header that was cut may tell more than there is.
            let len = (header.cmsg_len as usize)
                .saturating_sub(before)
                .min(end.saturating_sub(data as usize));
            for index in 0..len / size_of::<RawFd>() {
                // SAFETY: within the data, as just counted.
                let place = unsafe { data.cast::<RawFd>().add(index) };
                // SAFETY: the kernel has written a number there, aligned or not.
                let number = unsafe { place.read_unaligned() };
                // SAFETY: the kernel has just installed this descriptor for us and nobody else knows its number.
                let fd = unsafe { OwnedFd::from_raw_fd(number) };
                if CLOSE_ON_EXEC.is_none() {
                    // SAFETY: the call takes no pointer, and close-on-exec is all that F_SETFD can set. It cannot fail on an open one.
                    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
                }
                if header.cmsg_type == libc::SCM_RIGHTS {
                    take(fd);
                }
            }
        }
        // SAFETY: both belong together, and the message is as it was.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
}

/// Does control data of this kind hold descriptors, which somebody has to close?
fn is_descriptors(kind: libc::c_int) -> bool {
    /// The sender's pidfd, if the socket has `SO_PASSPIDFD` (Linux 6.5): 4 on every architecture.
    const SCM_PIDFD: libc::c_int = 4;
    kind == libc::SCM_RIGHTS || cfg!(target_os = "linux") && kind == SCM_PIDFD
}

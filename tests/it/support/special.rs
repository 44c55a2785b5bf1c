//! What std has no way to do: messages that end a read early, and wakers whose clone is foreign code.
#![allow(unsafe_code, reason = "see above")]

use std::cell::Cell;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// Sends bytes with a descriptor beside them. A reader of bytes does not see it; but its read ends there.
pub(crate) fn send_with_descriptor(stream: &UnixStream, data: &[u8]) {
    let mut control = [0_u64; 8];
    let mut part = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    // SAFETY: all zeros is a message without name, data and control.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: pure arithmetic.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as _;
    // SAFETY: `message` is as the call wants it.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: `control` is larger than one header with one number, aligned for it, and all zeros, which is a header.
    let header = unsafe { &mut *header };
    header.cmsg_level = libc::SOL_SOCKET;
    header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: pure arithmetic.
    header.cmsg_len = unsafe { libc::CMSG_LEN(4) } as _;
    // SAFETY: the place of the number behind the header is within `control`.
    let number = unsafe { libc::CMSG_DATA(header) }.cast::<i32>();
    // SAFETY: as above.
    unsafe { number.write_unaligned(stream.as_raw_fd()) };
    // SAFETY: all that `message` points to lives until the call returns.
    let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &raw const message, 0) };
    assert_eq!(usize::try_from(sent), Ok(data.len()));
}

/// Sends one byte of urgent data.
pub(crate) fn send_urgent_byte(stream: &TcpStream) {
    // SAFETY: the call reads one byte.
    let sent = unsafe { libc::send(stream.as_raw_fd(), c"!".as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
}

thread_local! {
    static CLONING: Cell<Option<Box<dyn FnMut()>>> = const { Cell::new(None) };
}

/// A waker whose clone calls `f` on this thread, but not inside itself. Waking it does nothing. One per thread.
pub(crate) fn waker_that_clones_by(f: impl FnMut() + 'static) -> Waker {
    fn clone(_: *const ()) -> RawWaker {
        if let Some(mut f) = CLONING.take() {
            f();
            CLONING.set(Some(f));
        }
        RawWaker::new(ptr::null(), &TABLE)
    }
    static TABLE: RawWakerVTable = RawWakerVTable::new(clone, |_| (), |_| (), |_| ());
    CLONING.set(Some(Box::new(f)));
    // SAFETY: the functions of the table touch no memory through the pointer, and may be called on any thread.
    unsafe { Waker::from_raw(RawWaker::new(ptr::null(), &TABLE)) }
}

//! Sockets: the calls that std has only in a blocking form, or not at all.

use std::{
    io,
    mem::{self, MaybeUninit},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::{ffi::OsStrExt, net::SocketAddr as UnixAddr},
    },
    ptr,
};

#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;

use super::{check, check_len};

/// An address as the system takes it.
#[derive(Clone, Copy)]
pub(crate) enum Address {
    V4(libc::sockaddr_in),
    V6(libc::sockaddr_in6),
    /// With the length that counts: an abstract name has no end of its own.
    Unix(libc::sockaddr_un, usize),
}

/// The kinds of address: plain old integers.
trait Blank: Copy {}
impl Blank for libc::sockaddr_in {}
impl Blank for libc::sockaddr_in6 {}
impl Blank for libc::sockaddr_un {}
impl Blank for libc::sockaddr_storage {}

/// An address of zeroes.
fn blank<T: Blank>() -> T {
    // SAFETY: the types of the trait, which is private to this file, are integers only; zero is a value of each.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// The longest path that is an address, without the NUL at its end: 107 bytes, 103 on the BSDs and macOS.
pub(crate) const UNIX_PATH_MAX: usize = size_of::<libc::sockaddr_un>() - UNIX_PATH_OFFSET - 1;

/// Where the path begins in a `sockaddr_un`.
const UNIX_PATH_OFFSET: usize = mem::offset_of!(libc::sockaddr_un, sun_path);

impl Address {
    /// The address of an IP socket, flow label and scope id included.
    // On Linux nothing is left to be blank.
    #[allow(clippy::needless_update)]
    pub(crate) fn ip(address: &SocketAddr) -> Address {
        match address {
            SocketAddr::V4(address) => Address::V4(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(address.ip().octets()),
                },
                // The padding, and a length where there is one: the kernel takes it from the call.
                ..blank()
            }),
            SocketAddr::V6(address) => Address::V6(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                // As std has it: the number is handed on in the byte order that the user gave.
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: address.ip().octets(),
                },
                sin6_scope_id: address.scope_id(),
                // The same, for what others add.
                ..blank()
            }),
        }
    }

    /// The address of a path or, if it starts with NUL, of an abstract name, which only Linux has. None if it is too long.
    pub(crate) fn unix(name: &[u8]) -> Option<Address> {
        let mut address = libc::sockaddr_un {
            sun_family: libc::AF_UNIX as libc::sa_family_t,
            ..blank()
        };
        // A path keeps a NUL at its end, an abstract name may fill the field.
        let is_abstract = name.first() == Some(&0);
        let room = address.sun_path.len() - usize::from(!is_abstract);
        if name.len() > room {
            return None;
        }
        for (to, from) in address.sun_path.iter_mut().zip(name) {
            *to = *from as libc::c_char;
        }
        let len = UNIX_PATH_OFFSET + name.len() + usize::from(!is_abstract);
        Some(Address::Unix(address, len))
    }

    pub(crate) fn family(&self) -> libc::c_int {
        match self {
            Address::V4(_) => libc::AF_INET,
            Address::V6(_) => libc::AF_INET6,
            Address::Unix(..) => libc::AF_UNIX,
        }
    }

    /// The address as system calls take it. The pointer is good as long as `self` is borrowed.
    pub(super) fn as_raw(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        let (pointer, len): (*const libc::sockaddr, usize) = match self {
            Address::V4(address) => (ptr::from_ref(address).cast(), size_of_val(address)),
            Address::V6(address) => (ptr::from_ref(address).cast(), size_of_val(address)),
            Address::Unix(address, len) => (ptr::from_ref(address).cast(), *len),
        };
        (pointer, len as libc::socklen_t)
    }
}

/// A non-blocking, close-on-exec stream socket.
pub(crate) fn stream(family: libc::c_int) -> io::Result<OwnedFd> {
    #[cfg(not(target_vendor = "apple"))]
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    #[cfg(target_vendor = "apple")]
    let kind = libc::SOCK_STREAM;
    // SAFETY: the call takes no pointer.
    let fd = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the kernel just made this descriptor for us and nobody else knows its number.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    #[cfg(target_vendor = "apple")]
    prepare(&socket)?;
    Ok(socket)
}

/// What other systems do in the call that makes a socket; and what they do with `MSG_NOSIGNAL` when they write, as std has it too.
#[cfg(target_vendor = "apple")]
fn prepare(socket: &OwnedFd) -> io::Result<()> {
    let socket = std::os::fd::AsFd::as_fd(socket);
    // SAFETY: the call takes no pointer, and close-on-exec is all that F_SETFD can set.
    check(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    super::file::set_nonblocking(socket, true)?;
    switch_on(socket, libc::SO_NOSIGPIPE)
}

pub(crate) fn connect(socket: BorrowedFd<'_>, address: &Address) -> io::Result<()> {
    let (pointer, len) = address.as_raw();
    // SAFETY: `pointer` comes from a borrow of `address` that outlives the call, and `len` is at most its size.
    check(unsafe { libc::connect(socket.as_raw_fd(), pointer, len) }).map(drop)
}

pub(crate) fn bind(socket: BorrowedFd<'_>, address: &Address) -> io::Result<()> {
    let (pointer, len) = address.as_raw();
    // SAFETY: `pointer` comes from a borrow of `address` that outlives the call, and `len` is at most its size.
    check(unsafe { libc::bind(socket.as_raw_fd(), pointer, len) }).map(drop)
}

pub(crate) fn listen(socket: BorrowedFd<'_>, backlog: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes no pointer.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog) }).map(drop)
}

/// Lets a listener take an address whose old connections are still in TIME_WAIT.
pub(crate) fn reuse_address(socket: BorrowedFd<'_>) -> io::Result<()> {
    switch_on(socket, libc::SO_REUSEADDR)
}

/// Lets several listeners have one address, among which the kernel shares the connections out.
#[cfg(any(target_os = "linux", target_os = "dragonfly"))]
pub(crate) fn reuse_port(socket: BorrowedFd<'_>) -> io::Result<()> {
    switch_on(socket, libc::SO_REUSEPORT)
}

/// The same, by the name that shares out there; plain `SO_REUSEPORT` gives everything to the listener that came last.
#[cfg(target_os = "freebsd")]
pub(crate) fn reuse_port(socket: BorrowedFd<'_>) -> io::Result<()> {
    switch_on(socket, libc::SO_REUSEPORT_LB)
}

/// Elsewhere the port could be shared, but the connections would not be.
#[cfg(not(any(target_os = "linux", target_os = "dragonfly", target_os = "freebsd")))]
pub(crate) fn reuse_port(_: BorrowedFd<'_>) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system does not share connections out among the listeners of one port",
    ))
}

/// Keeps IPv4 out of an IPv6 socket, or lets it in.
pub(crate) fn only_v6(socket: BorrowedFd<'_>, only: bool) -> io::Result<()> {
    set_number(socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only.into())
}

/// Has small writes sent at once; accepted sockets have it from their listener.
pub(crate) fn nodelay(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_number(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)
}

/// Has a connection handed out only when its first bytes are there, or after about this many seconds.
#[cfg(target_os = "linux")]
pub(crate) fn defer_accept(socket: BorrowedFd<'_>, seconds: libc::c_int) -> io::Result<()> {
    set_number(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds)
}

/// Only Linux has it, and it is only ever a saving.
#[cfg(not(target_os = "linux"))]
pub(crate) fn defer_accept(_: BorrowedFd<'_>, _: libc::c_int) -> io::Result<()> {
    Ok(())
}

/// Probes a connection that was silent for `idle` seconds, then every third of that, and gives it up after three probes without an
/// answer; accepted sockets have it from their listener.
pub(crate) fn keep_alive(socket: BorrowedFd<'_>, idle: libc::c_int) -> io::Result<()> {
    const PROBES: libc::c_int = 3;
    #[cfg(target_vendor = "apple")]
    use libc::TCP_KEEPALIVE as IDLE;
    #[cfg(not(any(target_vendor = "apple", target_os = "openbsd")))]
    use libc::TCP_KEEPIDLE as IDLE;
    switch_on(socket, libc::SO_KEEPALIVE)?;
    // There the distances are the system's.
    #[cfg(not(target_os = "openbsd"))]
    for (option, value) in [
        (IDLE, idle),
        (libc::TCP_KEEPINTVL, (idle / 3).max(1)),
        (libc::TCP_KEEPCNT, PROBES),
    ] {
        set_number(socket, libc::IPPROTO_TCP, option, value)?;
    }
    #[cfg(target_os = "openbsd")]
    let _ = (idle, PROBES);
    Ok(())
}

/// Sets an option of the socket level that is a switch.
fn switch_on(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    set_number(socket, libc::SOL_SOCKET, option, 1)
}

/// Sets an option that is an `int`.
pub(crate) fn set_number(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: `value` is readable for `len` bytes, its size, until the call returns; the kernel reads no further, whatever the
    // option is, and keeps no pointer.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(&value).cast(),
            len,
        )
    })
    .map(drop)
}

/// Is this a stream socket? Not if it is no socket at all.
pub(crate) fn is_stream(socket: BorrowedFd<'_>) -> bool {
    number(socket, libc::SOL_SOCKET, libc::SO_TYPE).is_ok_and(|kind| kind == libc::SOCK_STREAM)
}

/// Reads an option that is an `int`.
pub(crate) fn number(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
) -> io::Result<libc::c_int> {
    let mut value = 0;
    let mut len = size_of_val(&value) as libc::socklen_t;
    let pointer = ptr::from_mut(&mut value).cast();
    // SAFETY: `value` is writable for `len` bytes, its size, and `len` itself, until the call returns.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, pointer, &mut len) })?;
    Ok(value)
}

/// Where the kernel writes an address, with the length that it wrote.
pub(crate) struct PeerAddress {
    storage: libc::sockaddr_storage,
    len: usize,
}

/// Accepts a connection, non-blocking and close-on-exec, in one system call; on macOS with more.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, PeerAddress)> {
    let mut storage: libc::sockaddr_storage = blank();
    let mut len = size_of_val(&storage) as libc::socklen_t;
    let pointer = ptr::from_mut(&mut storage).cast();
    #[cfg(not(target_vendor = "apple"))]
    let fd = {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: `storage` is writable for `len` bytes, and `len` itself, until the call returns.
        unsafe { libc::accept4(listener.as_raw_fd(), pointer, &mut len, flags) }
    };
    #[cfg(target_vendor = "apple")]
    // SAFETY: `storage` is writable for `len` bytes, and `len` itself, until the call returns.
    let fd = unsafe { libc::accept(listener.as_raw_fd(), pointer, &mut len) };
    let fd = check(fd)?;
    // SAFETY: the kernel just made this descriptor for us and nobody else knows its number.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    #[cfg(target_vendor = "apple")]
    prepare(&socket)?;
    // The kernel tells the address's own length, which may be more than it wrote.
    let len = (len as usize).min(size_of_val(&storage));
    Ok((socket, PeerAddress { storage, len }))
}

impl Default for PeerAddress {
    fn default() -> PeerAddress {
        PeerAddress {
            storage: blank(),
            len: 0,
        }
    }
}

impl PeerAddress {
    /// Where a call may write, and how much. The pointer is good as long as `self` is borrowed.
    pub(super) fn as_raw_mut(&mut self) -> (*mut libc::c_void, libc::socklen_t) {
        let len = size_of_val(&self.storage) as libc::socklen_t;
        (ptr::from_mut(&mut self.storage).cast(), len)
    }

    /// How long the call says that the address is, which may be more than it wrote.
    pub(super) fn set_len(&mut self, len: usize) {
        self.len = len.min(size_of_val(&self.storage));
    }

    /// Some systems hand out a connection whose peer has gone already, with no address at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The IP address; None if it is of another family.
    pub(crate) fn ip(&self) -> Option<SocketAddr> {
        let pointer = ptr::from_ref(&self.storage);
        match libc::c_int::from(self.storage.ss_family) {
            libc::AF_INET if self.len >= size_of::<libc::sockaddr_in>() => {
                // SAFETY: the family says that the storage, large and aligned enough for each address, holds this one;
                // it is integers only, so any bytes are a value.
                let address = unsafe { &*pointer.cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(address.sin_port)).into())
            }
            libc::AF_INET6 if self.len >= size_of::<libc::sockaddr_in6>() => {
                // SAFETY: as above.
                let address = unsafe { &*pointer.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                let port = u16::from_be(address.sin6_port);
                Some(
                    SocketAddrV6::new(ip, port, address.sin6_flowinfo, address.sin6_scope_id)
                        .into(),
                )
            }
            _ => None,
        }
    }

    /// The address of a unix socket: a path, an abstract name, or nothing at all, which most peers have.
    pub(crate) fn unix(&self) -> io::Result<UnixAddr> {
        // SAFETY: the storage is large and aligned enough for each address, and zeroed where the kernel wrote nothing;
        // this one is integers only, so any bytes are a value.
        let address = unsafe { &*ptr::from_ref(&self.storage).cast::<libc::sockaddr_un>() };
        let len = self
            .len
            .saturating_sub(UNIX_PATH_OFFSET)
            .min(address.sun_path.len());
        let name: Vec<u8> = address.sun_path[..len]
            .iter()
            .map(|&byte| byte as u8)
            .collect();
        match name.split_first() {
            // An unnamed address is what std makes of the empty path.
            None => UnixAddr::from_pathname(""),
            #[cfg(target_os = "linux")]
            Some((0, rest)) => UnixAddr::from_abstract_name(rest),
            // The BSDs tell the length of the whole field for a peer without a name.
            #[cfg(not(target_os = "linux"))]
            Some((0, _)) => UnixAddr::from_pathname(""),
            Some(_) => {
                let end = name
                    .iter()
                    .position(|&byte| byte == 0)
                    .unwrap_or(name.len());
                UnixAddr::from_pathname(std::path::Path::new(std::ffi::OsStr::from_bytes(
                    &name[..end],
                )))
            }
        }
    }
}

/// Reads without taking: `recv` with `MSG_PEEK`.
pub(crate) fn peek(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (pointer, len) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: `buffer` is writable for its length until the call returns.
    check_len(unsafe { libc::recv(socket.as_raw_fd(), pointer, len, libc::MSG_PEEK) })
}

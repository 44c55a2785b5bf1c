//! System calls that std lacks: non-blocking sockets from their first moment.
//!
//! std connects and accepts blocking sockets, which then cost another call to make them non-blocking, and its `connect`
//! waits. Everything here is made non-blocking and close-on-exec by the call that makes it, and nothing here waits.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr as UnixAddr, UnixListener, UnixStream},
        },
    },
    path::Path,
};

#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;

mod batch;
mod descriptors;
mod listen;

pub use batch::{Batch, Datagram, Datagrams};
pub use descriptors::{PeerCred, Received, peer_cred, recv_with_fds, send_with_fds};
pub use listen::ListenSettings;

use crate::engine::events::refused;
use crate::sys::{
    file, limits,
    socket::{self, Address, UNIX_PATH_MAX},
};

/// Makes a non-blocking TCP socket with a connect under way, or done.
///
/// To finish, wait until the socket is writable and ask it for its error (`take_error`): none means connected.
/// IPv6 addresses keep their scope id.
///
/// # Errors
///
/// What the system refuses at once: no descriptor left, no such network. A refused connection usually comes later.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let stream = levent_reactor::net::connect_tcp(&listener.local_addr()?)?;
/// listener.accept()?;
/// assert!(stream.take_error()?.is_none());
/// # Ok(())
/// # }
/// ```
pub fn connect_tcp(address: &SocketAddr) -> io::Result<TcpStream> {
    let address = Address::ip(address);
    let socket = socket::stream(address.family())?;
    begun(socket::connect(socket.as_fd(), &address))?;
    Ok(TcpStream::from(socket))
}

/// As [`connect_tcp`], from a local address: that of one interface, or with a port that the peer expects. Port 0 takes a free one.
///
/// # Errors
///
/// `InvalidInput` if one address is IPv4 and the other IPv6; `AddrNotAvailable` and `AddrInUse` for the local one; and those of [`connect_tcp`].
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let stream = levent_reactor::net::connect_tcp_from(&([127, 0, 0, 2], 0).into(), &listener.local_addr()?)?;
/// assert_eq!(listener.accept()?.1, stream.local_addr()?);
/// # Ok(())
/// # }
/// ```
pub fn connect_tcp_from(local: &SocketAddr, address: &SocketAddr) -> io::Result<TcpStream> {
    if local.is_ipv4() != address.is_ipv4() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("cannot connect from {local} to {address}: both must be IPv4, or both IPv6"),
        ));
    }
    let address = Address::ip(address);
    let socket = socket::stream(address.family())?;
    socket::bind(socket.as_fd(), &Address::ip(local))?;
    begun(socket::connect(socket.as_fd(), &address))?;
    Ok(TcpStream::from(socket))
}

/// The same for a unix socket; a path that starts with a NUL byte is an abstract name.
///
/// # Errors
///
/// `InvalidInput` for a path that is empty, has a NUL byte within, or does not fit (107 bytes, 103 on the
/// BSDs and macOS; an abstract name 108 with its leading NUL). `WouldBlock` if the listener's backlog is full: unlike TCP, the connect has not begun, writability
/// tells nothing, and the call must be repeated later. `NotFound` and `ConnectionRefused` come at once.
///
/// # Examples
///
/// ```
/// use std::io::ErrorKind;
///
/// let error = levent_reactor::net::connect_unix("/nowhere".as_ref()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// ```
pub fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let address = unix_name(path.as_os_str().as_bytes())?;
    let socket = socket::stream(address.family())?;
    begun(socket::connect(socket.as_fd(), &address))?;
    Ok(UnixStream::from(socket))
}

/// The address of a unix socket, or what is wrong with its path.
fn unix_name(name: &[u8]) -> io::Result<Address> {
    let invalid = |message| Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    if name.is_empty() {
        return invalid("the path of a unix socket must not be empty");
    }
    let is_abstract = cfg!(target_os = "linux") && name[0] == 0;
    if !is_abstract && name.contains(&0) {
        return invalid(
            "the path of a unix socket must not contain a NUL byte, except first, for an abstract name on Linux",
        );
    }
    Address::unix(name).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "the path of a unix socket is too long: {UNIX_PATH_MAX} bytes at most; use a relative path or a link"
            ),
        )
    })
}

/// A connect that goes on by itself has succeeded as far as we are concerned.
fn begun(answer: io::Result<()>) -> io::Result<()> {
    match answer {
        // connect(2): after EINTR too the connection is established asynchronously, as after EINPROGRESS; repeating the
        // call would be an error.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => {
            Ok(())
        }
        answer => answer,
    }
}

/// Accepts a connection in one system call; the stream is non-blocking and close-on-exec.
///
/// # Errors
///
/// `WouldBlock` if there is none and the listener is non-blocking; `Interrupted`; `ConnectionAborted` if the peer has
/// gone meanwhile; and the system's for exhausted descriptors or memory.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let client = std::net::TcpStream::connect(listener.local_addr()?)?;
/// let (_stream, peer) = levent_reactor::net::accept_tcp(&listener)?;
/// assert_eq!(peer, client.local_addr()?);
/// # Ok(())
/// # }
/// ```
pub fn accept_tcp(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, peer) = socket::accept(listener.as_fd())?;
    if peer.is_empty() {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let peer = peer.ip().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the listener is not an IP socket",
        )
    })?;
    Ok((TcpStream::from(socket), peer))
}

/// The same for a unix socket. The peer's address is usually unnamed.
///
/// # Errors
///
/// As [`accept_tcp`].
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::os::{linux::net::SocketAddrExt, unix::net::{SocketAddr, UnixListener, UnixStream}};
///
/// let name = format!("levent-accept-{}", std::process::id());
/// let address = SocketAddr::from_abstract_name(name)?;
/// let listener = UnixListener::bind_addr(&address)?;
/// let _client = UnixStream::connect_addr(&address)?;
/// let (_stream, peer) = levent_reactor::net::accept_unix(&listener)?;
/// assert!(peer.is_unnamed());
/// # Ok(())
/// # }
/// ```
pub fn accept_unix(listener: &UnixListener) -> io::Result<(UnixStream, UnixAddr)> {
    let (socket, peer) = socket::accept(listener.as_fd())?;
    Ok((UnixStream::from(socket), peer.unix()?))
}

/// Is this the error of a process (`EMFILE`) or a system (`ENFILE`) that has no descriptor left?
///
/// # Examples
///
/// ```
/// let other = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
/// assert!(!levent_reactor::net::is_out_of_descriptors(&other));
/// ```
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Is this an error of `accept` that concerns one connection only, which is out of the queue with it?
///
/// The peer has gone, or (on Linux, accept(2), "Error handling") something happened to the connection meanwhile: the next one
/// may be fine. Anything else will be the same again at once.
///
/// # Examples
///
/// ```
/// let gone = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
/// assert!(levent_reactor::net::concerns_one_connection(&gone));
/// ```
#[must_use]
pub fn concerns_one_connection(error: &io::Error) -> bool {
    // What we make ourselves has no number.
    let Some(number) = error.raw_os_error() else {
        return error.kind() == io::ErrorKind::ConnectionAborted;
    };
    // Not EOPNOTSUPP, which the page names as well: it is also what a socket says that can never accept.
    #[cfg(target_os = "linux")]
    if number == libc::ENONET {
        return true;
    }
    matches!(
        number,
        libc::ECONNABORTED
            | libc::EPROTO
            | libc::ENOPROTOOPT
            | libc::ENETDOWN
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
    )
}

/// Makes a non-blocking listener with `SO_REUSEADDR` and this backlog.
///
/// The system cuts a backlog above its own limit (`net.core.somaxconn`).
///
/// # Errors
///
/// `AddrInUse`, `AddrNotAvailable`, `PermissionDenied` for a privileged port, and so on.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let listener = levent_reactor::net::listen_tcp(&"127.0.0.1:0".parse().unwrap(), 1024)?;
/// assert_ne!(listener.local_addr()?.port(), 0);
/// # Ok(())
/// # }
/// ```
pub fn listen_tcp(address: &SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let settings = ListenSettings {
        backlog,
        reuse_address: true,
        ..ListenSettings::default()
    };
    settings.bind_tcp(address)
}

/// Reads from any socket without taking: the next read finds the same bytes.
///
/// # Errors
///
/// `WouldBlock` if nothing is there and the socket is non-blocking; `NotConnected`; an error of the connection.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::{io::{Read, Write}, os::{fd::AsFd, unix::net::UnixStream}};
///
/// let (mut ours, mut theirs) = UnixStream::pair()?;
/// theirs.write_all(b"hello")?;
/// let mut buffer = [0; 2];
/// assert_eq!(levent_reactor::net::peek(ours.as_fd(), &mut buffer)?, 2);
/// ours.read_exact(&mut buffer)?;
/// assert_eq!(&buffer, b"he");
/// # Ok(())
/// # }
/// ```
pub fn peek(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    socket::peek(fd, buffer)
}

/// Makes a descriptor non-blocking, or blocking again. The mode belongs to the open file: duplicates share it.
///
/// # Errors
///
/// The system's for a closed descriptor.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::{io::Read, os::{fd::AsFd, unix::net::UnixStream}};
///
/// let (mut ours, _theirs) = UnixStream::pair()?;
/// levent_reactor::net::set_nonblocking(ours.as_fd(), true)?;
/// assert_eq!(ours.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
/// # Ok(())
/// # }
/// ```
pub fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    file::set_nonblocking(fd, nonblocking).map_err(|error| refused(error, fd.as_raw_fd()))
}

/// The address that a path names; one that starts with a NUL byte is an abstract name.
///
/// # Errors
///
/// `InvalidInput` for a path that does not fit, or has a NUL byte elsewhere.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// assert!(levent_reactor::net::unix_address("/tmp/socket".as_ref())?.as_pathname().is_some());
/// assert!(levent_reactor::net::unix_address("\0name".as_ref())?.as_pathname().is_none());
/// # Ok(())
/// # }
/// ```
pub fn unix_address(path: &Path) -> io::Result<UnixAddr> {
    match path.as_os_str().as_bytes() {
        #[cfg(target_os = "linux")]
        [0, name @ ..] => UnixAddr::from_abstract_name(name),
        _ => UnixAddr::from_pathname(path),
    }
}

/// Raises the process's soft limit of open files to the hard one and returns it.
///
/// The soft limit is often 1,024 for the sake of programs that use the C library's `select`. Programs started by this
/// one inherit the limit.
///
/// # Errors
///
/// What the system says; hardly ever.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// // Not run here: it changes the whole process.
/// println!("up to {} connections", levent_reactor::net::raise_descriptor_limit()?);
/// # Ok(())
/// # }
/// ```
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let (soft, hard) = limits::descriptors()?;
    if soft < hard {
        limits::set_descriptors(hard, hard)?;
    }
    Ok(hard)
}

#[cfg(test)]
mod tests;

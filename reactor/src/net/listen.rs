//! Listening sockets, with the options that have to be set before somebody connects.
//!
//! ```text
//! socket ──▶ reuse, family ──▶ bind ──▶ what connections inherit ──▶ listen
//!                             adopt ──▶     (nodelay, keep-alive, deferred accept)
//! ```
//!
//! What connections inherit is set before the socket listens, so that the first one has it too.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::{ffi::OsStrExt, net::UnixListener};
use std::path::Path;
use std::time::Duration;

use super::unix_name;
use crate::sys::socket::{self, Address};

/// How a socket is to listen.
///
/// The default is what the system does with a socket that was told nothing, with a backlog of 0.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use levent_reactor::net::ListenSettings;
///
/// let settings = ListenSettings { backlog: 1024, nodelay: true, ..ListenSettings::default() };
/// let listener = settings.bind_tcp(&"127.0.0.1:0".parse().unwrap())?;
/// assert_ne!(listener.local_addr()?.port(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenSettings {
    /// How many connections may wait to be accepted; the system cuts it to its own limit (`net.core.somaxconn`).
    pub backlog: i32,
    /// The address may be taken while old connections to it are still in `TIME_WAIT`.
    pub reuse_address: bool,
    /// Several listeners may have the address, and the system shares the connections out.
    pub reuse_port: bool,
    /// An IPv6 socket does without IPv4, or takes it too; `None` leaves it to the system.
    pub only_v6: Option<bool>,
    /// Connections send small writes at once.
    pub nodelay: bool,
    /// Connections that were silent for so long are probed; whole seconds count, rounded up.
    pub keep_alive: Option<Duration>,
    /// Connections are handed out when their first bytes are there (Linux; ignored elsewhere).
    pub defer_accept: bool,
}

/// How long the kernel keeps a connection back whose client does not speak.
const DEFER_SECONDS: i32 = 1;

impl ListenSettings {
    /// Makes a listener, non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// That of the step that failed, and the socket is closed: `AddrInUse`, `AddrNotAvailable`, `PermissionDenied` for a privileged
    /// port; `Unsupported` for `reuse_port` where connections are not shared out; and so on.
    pub fn bind_tcp(&self, address: &SocketAddr) -> io::Result<TcpListener> {
        let address = Address::ip(address);
        let socket = socket::stream(address.family())?;
        let fd = socket.as_fd();
        if self.reuse_address {
            socket::reuse_address(fd)?;
        }
        if self.reuse_port {
            socket::reuse_port(fd)?;
        }
        if let (Some(only), Address::V6(_)) = (self.only_v6, &address) {
            socket::only_v6(fd, only)?;
        }
        socket::bind(fd, &address)?;
        self.set_inherited(fd)?;
        socket::listen(fd, self.backlog)?;
        Ok(TcpListener::from(socket))
    }

    /// Makes a Unix listener, of which only the backlog can be set; a path that starts with a NUL byte is an abstract name.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if the path exists; `InvalidInput` for one that is empty, too long, or has a NUL byte within.
    pub fn bind_unix(&self, path: &Path) -> io::Result<UnixListener> {
        let address = unix_name(path.as_os_str().as_bytes())?;
        let socket = socket::stream(address.family())?;
        socket::bind(socket.as_fd(), &address)?;
        socket::listen(socket.as_fd(), self.backlog)?;
        Ok(UnixListener::from(socket))
    }

    /// Has a socket listen that is bound already, or listens already. A backlog of 0 leaves the latter as it is.
    ///
    /// What has to be said before `bind` is not looked at; the socket's blocking mode is left to the caller.
    ///
    /// # Errors
    ///
    /// What the system says, of a socket that is not bound for example.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use levent_reactor::net::ListenSettings;
    /// use std::os::fd::OwnedFd;
    ///
    /// let inherited = OwnedFd::from(std::net::TcpListener::bind("127.0.0.1:0")?);
    /// ListenSettings { backlog: 16, ..ListenSettings::default() }.adopt(&inherited)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn adopt(&self, socket: &OwnedFd) -> io::Result<()> {
        self.set_inherited(socket.as_fd())?;
        match self.backlog {
            0 => Ok(()),
            backlog => socket::listen(socket.as_fd(), backlog),
        }
    }

    /// Sets what accepted sockets have from their listener.
    fn set_inherited(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if self.nodelay {
            socket::nodelay(fd)?;
        }
        if let Some(idle) = self.keep_alive {
            // As timers do it: never early.
            let seconds = idle.as_secs() + u64::from(idle.subsec_nanos() > 0);
            socket::keep_alive(fd, i32::try_from(seconds).unwrap_or(i32::MAX))?;
        }
        if self.defer_accept {
            socket::defer_accept(fd, DEFER_SECONDS)?;
        }
        Ok(())
    }
}

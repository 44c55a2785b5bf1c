//! Listeners with options: libevent's evconnlistener for `async fn`.
//!
//! ```text
//! ListenOptions ──bind, adopt_tcp────▶ TcpListener ──┬─▶ accept, incoming
//!               ──bind_unix, adopt_unix▶ UnixListener ┴─▶ enable, disable, stats
//! ```
//!
//! There is no listener of its own kind: those of `bind` and of the options differ in nothing but their options, and what accepts
//! from one accepts from the other.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net as std_unix;
use std::path::Path;
use std::time::Duration;

use levent_reactor::net::ListenSettings;

use super::addr::first_that_works;
use super::unix::UnixListener;
use super::{AsyncToSocketAddrs, TcpListener};
use crate::Async;
use crate::accept::Control;
use crate::sockets::BACKLOG;

/// How to make a listener: a [`TcpListener`] or a [`UnixListener`].
///
/// | Option | Unless said | Unix |
/// |---|---|---|
/// | [`backlog`][ListenOptions::backlog] | 1024 | yes |
/// | [`on_exhaustion`][ListenOptions::on_exhaustion] | [`Backoff`][ExhaustionPolicy::Backoff] | yes |
/// | [`start_disabled`][ListenOptions::start_disabled] | enabled | yes |
/// | [`reuse_address`][ListenOptions::reuse_address] | yes | refused |
/// | [`reuse_port`][ListenOptions::reuse_port] | no | refused |
/// | [`only_v6`][ListenOptions::only_v6] | the system's | refused |
/// | [`defer_accept`][ListenOptions::defer_accept] | no | refused |
/// | [`nodelay`][ListenOptions::nodelay] | no | refused |
/// | [`keep_alive`][ListenOptions::keep_alive] | no | refused |
///
/// Listeners and what they accept are always non-blocking and close-on-exec.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use levent_io::net::{ExhaustionPolicy, ListenOptions};
/// use std::time::Duration;
///
/// let listener = ListenOptions::new()
///     .backlog(4096)
///     .nodelay(true)
///     .keep_alive(Duration::from_secs(300))
///     .on_exhaustion(ExhaustionPolicy::ReserveAndRefuse)
///     .bind("[::]:7000")
///     .await?;
/// let (_stream, peer) = listener.accept().await?;
/// println!("{peer} came");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until something is bound with them"]
pub struct ListenOptions {
    backlog: u32,
    /// `None` stands for "not said", which is yes for TCP and right for Unix.
    reuse_address: Option<bool>,
    reuse_port: bool,
    only_v6: Option<bool>,
    nodelay: bool,
    keep_alive: Option<Duration>,
    defer_accept: bool,
    is_enabled: bool,
    policy: ExhaustionPolicy,
}

/// What a listener does with connections for which there is no descriptor (`EMFILE`, `ENFILE`).
///
/// | | `accept` | The peer | The next `accept` |
/// |---|---|---|---|
/// | `Backoff` | reports the error | waits, connected, until there is a descriptor or it gives up | pauses 10 ms, doubling to 1 s |
/// | `ReserveAndRefuse` | goes on waiting | is disconnected at once | tries at once |
/// | `Error` | reports the error | waits | tries at once |
///
/// While nobody wants to connect, a lack of descriptors is no error.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use levent_io::net::{ExhaustionPolicy, ListenOptions};
///
/// // Clients that would rather try another server than wait.
/// let options = ListenOptions::new().on_exhaustion(ExhaustionPolicy::ReserveAndRefuse);
/// let listener = options.bind("127.0.0.1:7000").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExhaustionPolicy {
    /// Reports each error, of any kind, and paces the accepts that follow, until one succeeds.
    #[default]
    Backoff,
    /// Keeps a spare descriptor, and gives it up for as long as it takes to accept and close a connection that there is no room for:
    /// its peer knows at once. All other errors, and this one should the spare descriptor be lost to another thread, are dealt
    /// with as by `Backoff`.
    ReserveAndRefuse,
    /// Reports each error and paces nothing: the caller must, for it will be the same error again.
    Error,
}

/// What a listener has been through, from [`TcpListener::stats`] or [`UnixListener::stats`].
///
/// # Examples
///
/// ```no_run
/// # fn example(listener: &levent_io::net::TcpListener) {
/// let stats = listener.stats();
/// println!("{} accepted, {} refused, paused for {:?}", stats.accepted, stats.refused, stats.paused);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStats {
    /// Connections that `accept` has returned.
    pub accepted: u64,
    /// Connections that broke before they could be accepted, and were passed over.
    pub aborted: u64,
    /// Connections that were closed by [`ExhaustionPolicy::ReserveAndRefuse`].
    pub refused: u64,
    /// Errors that `accept` has returned.
    pub errors: u64,
    /// How long the listener has paused after errors, a pause that goes on included.
    pub paused: Duration,
}

impl ListenOptions {
    /// The options of [`TcpListener::bind`].
    pub fn new() -> ListenOptions {
        ListenOptions {
            backlog: BACKLOG as u32,
            reuse_address: None,
            reuse_port: false,
            only_v6: None,
            nodelay: false,
            keep_alive: None,
            defer_accept: false,
            is_enabled: true,
            policy: ExhaustionPolicy::Backoff,
        }
    }

    /// How many connections may wait to be accepted. The system cuts it to its own limit (`net.core.somaxconn`).
    ///
    /// 0 says that an adopted socket listens already; nothing can be bound with it.
    pub fn backlog(mut self, connections: u32) -> ListenOptions {
        self.backlog = connections;
        self
    }

    /// Whether the address may be taken while old connections to it are still in `TIME_WAIT`.
    pub fn reuse_address(mut self, reuse: bool) -> ListenOptions {
        self.reuse_address = Some(reuse);
        self
    }

    /// Whether several listeners may have the address, each with a share of the connections: one per thread, for example.
    ///
    /// Linux, FreeBSD and DragonFly do that; elsewhere `bind` fails with `Unsupported`.
    pub fn reuse_port(mut self, reuse: bool) -> ListenOptions {
        self.reuse_port = reuse;
        self
    }

    /// Whether a listener on an IPv6 address is closed to IPv4 (`true`), or open (`false`), which matters for `[::]`.
    pub fn only_v6(mut self, only: bool) -> ListenOptions {
        self.only_v6 = Some(only);
        self
    }

    /// Whether connections send small writes at once (`TCP_NODELAY`), from the first; costs no system call each.
    pub fn nodelay(mut self, nodelay: bool) -> ListenOptions {
        self.nodelay = nodelay;
        self
    }

    /// Has the system probe connections that were silent for `idle`, then three times at a third of that, and end those that do
    /// not answer; costs no system call each. Whole seconds count, rounded up; OpenBSD has distances of its own.
    pub fn keep_alive(mut self, idle: Duration) -> ListenOptions {
        self.keep_alive = Some(idle);
        self
    }

    /// Whether connections are handed out only once the client has sent something, or a second has passed.
    ///
    /// Saves a wakeup per connection, where the client speaks first: in HTTP, not in SMTP. Only Linux has it; ignored elsewhere.
    pub fn defer_accept(mut self, defer: bool) -> ListenOptions {
        self.defer_accept = defer;
        self
    }

    /// Has the listener begin disabled: connections queue up in the system, and accepts wait for
    /// [`enable`][TcpListener::enable].
    pub fn start_disabled(mut self) -> ListenOptions {
        self.is_enabled = false;
        self
    }

    /// What to do with connections for which there is no descriptor.
    pub fn on_exhaustion(mut self, policy: ExhaustionPolicy) -> ListenOptions {
        self.policy = policy;
        self
    }

    /// Binds a TCP listener to the first of the addresses that can be had; port 0 has the system choose one.
    ///
    /// # Errors
    ///
    /// That of the last address tried, from the step that failed: `AddrInUse`, `PermissionDenied`, `Unsupported` …; `InvalidInput` for
    /// options that cannot be, or if there is no address; the resolver's error for a name.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: waits for name resolution only.
    pub async fn bind<A: AsyncToSocketAddrs>(&self, addr: A) -> io::Result<TcpListener> {
        let settings = self.settings()?;
        self.refuse_backlog_0()?;
        first_that_works(addr, "bind to", |addr: SocketAddr| {
            let listener = Async::new_nonblocking(settings.bind_tcp(&addr)?)?;
            TcpListener::with_control(listener, self.control()?)
        })
        .await
    }

    /// Binds a Unix listener to a path; one that starts with NUL is an abstract name.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if the path exists; `InvalidInput` if it is no address, and for the options that only TCP has.
    pub fn bind_unix<P: AsRef<Path>>(&self, path: P) -> io::Result<UnixListener> {
        self.refuse_tcp_options()?;
        self.refuse_backlog_0()?;
        let listener = self.settings()?.bind_unix(path.as_ref())?;
        let listener = Async::new_nonblocking(listener)?;
        UnixListener::with_control(listener, self.control()?)
    }

    /// Makes a TCP listener of a socket that is bound already, or listens already: one that was inherited, or made with options that
    /// are not here.
    ///
    /// `listen(2)` is called, which gives a socket that listens already the backlog; a backlog of 0 leaves it as it is. The socket
    /// is made non-blocking, and is closed with the last handle.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no IP socket, and for options that have to be said before `bind`; else what the system says.
    pub fn adopt_tcp(&self, socket: impl Into<OwnedFd>) -> io::Result<TcpListener> {
        let listener = std::net::TcpListener::from(self.adopted(socket.into())?);
        // Fails for any other family.
        listener.local_addr()?;
        TcpListener::with_control(Async::new(listener)?, self.control()?)
    }

    /// The same for a Unix socket.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no Unix socket, and for the options that only TCP has; else what the system says.
    pub fn adopt_unix(&self, socket: impl Into<OwnedFd>) -> io::Result<UnixListener> {
        self.refuse_tcp_options()?;
        let listener = std_unix::UnixListener::from(self.adopted(socket.into())?);
        // Fails for any other family.
        listener.local_addr()?;
        UnixListener::with_control(Async::new(listener)?, self.control()?)
    }

    fn adopted(&self, socket: OwnedFd) -> io::Result<OwnedFd> {
        if self.reuse_address.is_some() || self.reuse_port || self.only_v6.is_some() {
            return invalid(
                "`reuse_address`, `reuse_port` and `only_v6` come before `bind`: too late for this socket",
            );
        }
        self.settings()?.adopt(&socket)?;
        Ok(socket)
    }

    fn settings(&self) -> io::Result<ListenSettings> {
        if self.keep_alive == Some(Duration::ZERO) {
            return invalid("`keep_alive` needs a time without traffic that is longer than zero");
        }
        Ok(ListenSettings {
            backlog: i32::try_from(self.backlog).unwrap_or(i32::MAX),
            reuse_address: self.reuse_address.unwrap_or(true),
            reuse_port: self.reuse_port,
            only_v6: self.only_v6,
            nodelay: self.nodelay,
            keep_alive: self.keep_alive,
            defer_accept: self.defer_accept,
        })
    }

    fn control(&self) -> io::Result<Control> {
        Control::new(self.policy, self.is_enabled)
    }

    /// libevent refuses it too: there it stands for a socket that listens already.
    fn refuse_backlog_0(&self) -> io::Result<()> {
        match self.backlog {
            0 => invalid(
                "a backlog of 0 is for sockets that listen already; use `adopt_tcp` or `adopt_unix` for them",
            ),
            _ => Ok(()),
        }
    }

    /// Refused even if they say no: whoever says that expects something of it.
    fn refuse_tcp_options(&self) -> io::Result<()> {
        let is_tcp = self.reuse_address.is_some()
            || self.reuse_port
            || self.only_v6.is_some()
            || self.nodelay
            || self.keep_alive.is_some()
            || self.defer_accept;
        match is_tcp {
            true => invalid(
                "of the options, Unix listeners have `backlog`, `start_disabled` and `on_exhaustion` only",
            ),
            false => Ok(()),
        }
    }
}

impl Default for ListenOptions {
    fn default() -> ListenOptions {
        ListenOptions::new()
    }
}

fn invalid<T>(message: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// What both listeners can do besides accepting: handles with `inner` and `control`.
macro_rules! listener_control {
    ($handle:ident, $std:ty) => {
        impl $handle {
            /// A listener that begins as `control` says.
            pub(crate) fn with_control(
                listener: Async<$std>,
                control: Control,
            ) -> io::Result<$handle> {
                let handle = $handle {
                    inner: Arc::new(listener),
                    control: Arc::new(control),
                };
                if !handle.is_enabled() {
                    handle.inner.source().rest();
                }
                Ok(handle)
            }

            /// Has the listener accept again, over all its handles and from any thread; tasks that wait in `accept` go on.
            pub fn enable(&self) {
                self.control.enable();
            }

            /// Has the listener accept nothing more until [`enable`][Self::enable], over all its handles and from any thread.
            ///
            /// Connections stay with the system, up to the backlog, and wake nobody. Tasks that wait in `accept` go on waiting, and
            /// those that come wait too. What another thread is accepting at this moment is still delivered.
            pub fn disable(&self) {
                if self.control.disable() {
                    self.inner.source().rest();
                }
            }

            /// Is the listener enabled?
            #[must_use]
            pub fn is_enabled(&self) -> bool {
                self.control.is_enabled()
            }

            /// What the listener has been through, over all its handles.
            #[must_use]
            pub fn stats(&self) -> $crate::net::ListenerStats {
                self.control.stats()
            }
        }
    };
}

pub(crate) use listener_control;

//! The resolver of hickory, on our sockets, timers and tasks: where evdns stood.
//!
//! [`Resolver`] is hickory's own with our [`Provider`] in it: caching, search lists, several servers with retries, TCP for what does not fit a
//! datagram, the hosts file. What it is told by `ResolverConfig` and `ResolverOpts` is hickory's to explain; `/etc/resolv.conf` is read
//! by `Resolver::builder`. Its names are in [`hickory_resolver`], in the version that is meant here.
//!
//! ```no_run
//! use levent::hickory::{self, Provider, Resolver};
//!
//! # type Error = Box<dyn std::error::Error>;
//! # fn main() -> Result<(), Error> {
//! levent::block_on(async {
//!     let resolver = Resolver::builder(Provider)?.build()?;
//!     for address in resolver.lookup_ip("example.com.").await?.iter() {
//!         println!("{address}");
//!     }
//!     let _stream = hickory::connect(&resolver, "example.com", 80).await?;
//!     Ok::<_, Error>(())
//! })
//! # }
//! ```
//!
//! # Which resolver?
//!
//! A socket that is given a name asks the system, as every other program there does: [`net::TcpStream::connect`](crate::net::TcpStream::connect) and its like call the C
//! library on a thread. That needs no feature, and honours what the administrator set (`nsswitch.conf`). Take this one for records other than
//! addresses, for servers of one's own, for many lookups at once without threads, or for a cache.
//!
//! # Whose tasks
//!
//! hickory has a task for each connection to a server; it is spawned on the thread whose [`block_on`](fn@crate::block_on) polls the lookup, and shared by
//! all clones of the resolver. Lookups may be polled elsewhere too, as long as that loop runs. Where no `block_on` of ours is under way nobody would poll the
//! task, so that none is made, and the lookup fails instead of waiting for ever.
//!
//! A task is idle once it has no question to wait for, and ends when the last clone of the resolver is dropped. Dropping a lookup cancels it: its question
//! is not repeated.

use std::{
    future::Future,
    io,
    net::{self, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use ::hickory_resolver::net::{
    DnsError, NetError,
    runtime::{self, DnsTcpStream, DnsUdpSocket, RuntimeProvider, Spawn},
};
use futures_io::{AsyncRead, AsyncWrite};
use levent_io::{Async, net::TcpStream};

pub use ::hickory_resolver;

/// How long a connection to a server may take if hickory does not say: its own figure.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// hickory's resolver on our runtime. Clones share cache and connections.
///
/// # Examples
///
/// A server of one's own, asked twice at most and for one second each time:
///
/// ```
/// use levent::hickory::hickory_resolver::config::{NameServerConfig, ResolverConfig};
/// use levent::hickory::{Provider, Resolver};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let servers = vec![NameServerConfig::udp_and_tcp("192.0.2.53".parse()?)];
/// let config = ResolverConfig::from_name_servers(servers);
/// let mut builder = Resolver::builder_with_config(config, Provider);
/// builder.options_mut().timeout = Duration::from_secs(1);
/// builder.options_mut().attempts = 1;
/// let resolver = builder.build()?;
/// # let _ = resolver;
/// # Ok(())
/// # }
/// ```
pub type Resolver = hickory_resolver::Resolver<Provider>;

/// Connects to the first address of a name that answers: a lookup by `resolver`, then [`TcpStream::connect`].
///
/// Addresses come in the order of the resolver's `ip_strategy`. An address in digits asks nobody.
///
/// # Errors
///
/// Those of the lookup, as [`io_error`] has them; and those of the last address tried.
///
/// # Cancel safety
///
/// Dropping the future cancels the lookup, or gives the attempt up and closes its socket.
///
/// # Examples
///
/// See [the module](self).
pub async fn connect(resolver: &Resolver, host: &str, port: u16) -> io::Result<TcpStream> {
    let found = resolver.lookup_ip(host).await.map_err(io_error)?;
    let addresses: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip, port)).collect();
    TcpStream::connect(&addresses[..]).await
}

/// A lookup's error as an `io::Error`, with a kind to go by; hickory's own is its source.
///
/// | Kind | What happened |
/// |---|---|
/// | `NotFound` | there is no such name, or it has no such records: hickory's own tells which |
/// | `TimedOut` | no server answered in time |
/// | that of the system | a socket could not be made, bound or connected |
/// | `InvalidInput` | the name cannot be one |
/// | `Other` | anything else: a server that refuses or fails |
///
/// # Examples
///
/// ```
/// use levent::hickory::{Provider, Resolver, io_error};
/// use levent::hickory::hickory_resolver::config::ResolverConfig;
/// use std::io::ErrorKind;
///
/// levent::block_on(async {
///     let resolver = Resolver::builder_with_config(ResolverConfig::default(), Provider).build().unwrap();
///     let error = resolver.lookup_ip("two..dots").await.map_err(io_error).unwrap_err();
///     assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// });
/// ```
pub fn io_error(error: NetError) -> io::Error {
    let kind = match &error {
        NetError::Dns(DnsError::NoRecordsFound(_)) => io::ErrorKind::NotFound,
        NetError::Timeout => io::ErrorKind::TimedOut,
        NetError::Io(error) => error.kind(),
        NetError::Proto(_) => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// What hickory asks a runtime for: sockets, time and tasks, here levent's.
///
/// # Examples
///
/// See [`Resolver`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Provider;

impl RuntimeProvider for Provider {
    type Handle = Tasks;
    type Timer = Time;
    type Udp = Udp;
    type Tcp = Tcp;

    fn create_handle(&self) -> Tasks {
        Tasks
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        most: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Tcp>>>> {
        Box::pin(async move {
            let connect = async {
                match local {
                    Some(local) => TcpStream::connect_from(local, server).await,
                    None => TcpStream::connect(server).await,
                }
            };
            let stream = crate::timeout(most.unwrap_or(CONNECT_TIMEOUT), connect).await??;
            // A question is one small write, and its answer is waited for.
            stream.set_nodelay(true)?;
            Ok(Tcp(stream))
        })
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        _server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Udp>>>> {
        Box::pin(async move { Async::<net::UdpSocket>::bind(local).map(Udp) })
    }
}

/// Spawns hickory's tasks on this thread.
///
/// # Examples
///
/// See [`Resolver`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Tasks;

impl Spawn for Tasks {
    /// Where nobody would poll the task it is dropped, and whoever waits for it gets an error.
    fn spawn_bg(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        if crate::in_block_on() {
            crate::spawn(future).detach();
        }
    }
}

/// hickory's delays and limits, by our timers.
///
/// # Examples
///
/// See [`Resolver`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Time;

// The signatures are those that the attribute of async-trait makes.
impl runtime::Time for Time {
    fn delay_for<'a>(duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            crate::sleep(duration).await;
        })
    }

    fn timeout<'a, F>(
        duration: Duration,
        future: F,
    ) -> Pin<Box<dyn Future<Output = io::Result<F::Output>> + Send + 'a>>
    where
        F: Future + Send + 'static + 'a,
    {
        Box::pin(async move { Ok(crate::timeout(duration, future).await?) })
    }
}

/// A socket for questions and answers.
///
/// # Examples
///
/// See [`Resolver`].
#[derive(Debug)]
pub struct Udp(Async<net::UdpSocket>);

impl DnsUdpSocket for Udp {
    type Time = Time;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.0.poll_read_with(cx, |socket| socket.recv_from(buffer))
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.0
            .poll_write_with(cx, |socket| socket.send_to(bytes, target))
    }
}

/// A connection for what does not fit into a datagram.
///
/// # Examples
///
/// See [`Resolver`].
#[derive(Debug)]
pub struct Tcp(TcpStream);

impl DnsTcpStream for Tcp {
    type Time = Time;
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

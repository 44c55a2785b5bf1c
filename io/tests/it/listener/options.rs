//! What a listener can be told when it is made.

use super::in_child;
use crate::behaviour::{TempDir, everywhere};
use futures_lite::future::{poll_once, try_zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use levent_io::net::unix::UnixStream;
use levent_io::net::{ListenOptions, TcpListener, TcpStream};
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream as StdStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

const ANY: &str = "127.0.0.1:0";

/// A socket that is bound and does not listen: Linux ends that with a shutdown for reading.
#[cfg(target_os = "linux")]
fn bound_socket() -> io::Result<OwnedFd> {
    let socket = StdStream::from(OwnedFd::from(std::net::TcpListener::bind(ANY)?));
    socket.shutdown(Shutdown::Both)?;
    let address = socket.local_addr()?;
    let refused = StdStream::connect(address).map_err(|error| error.kind());
    assert_eq!(refused.unwrap_err(), ErrorKind::ConnectionRefused);
    Ok(socket.into())
}

/// Each listener on port 0 has a port of its own, and an accept tells the stream and its peer (LI-2, LI-9).
#[test]
fn port_0_is_a_free_one() {
    everywhere(|| async {
        let one = ListenOptions::new().bind(ANY).await?;
        let other = ListenOptions::default().bind(ANY).await?;
        assert_ne!(one.local_addr()?, other.local_addr()?);
        for listener in [one, other] {
            let (client, (mut stream, peer)) = try_zip(
                TcpStream::connect(listener.local_addr()?),
                listener.accept(),
            )
            .await?;
            assert_eq!(peer, client.local_addr()?);
            stream.write_all(b"!").await?;
            assert_eq!(client.clone().read(&mut [0; 2]).await?, 1);
            assert_eq!(listener.stats().accepted, 1);
        }
        Ok(())
    });
}

/// A backlog of 0 is for sockets that listen already (LI-2).
#[test]
fn backlog_0_is_refused() {
    everywhere(|| async {
        let options = ListenOptions::new().backlog(0);
        let error = options.bind(ANY).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let dir = TempDir::new("backlog")?;
        let error = options.bind_unix(dir.join("socket")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(!dir.join("socket").exists());
        // Every other one can be had.
        ListenOptions::new().backlog(1).bind(ANY).await?;
        ListenOptions::new().backlog(u32::MAX).bind(ANY).await?;
        Ok(())
    });
}

/// A socket that does not listen is made to, unless the backlog says that it does (LI-1).
#[cfg(target_os = "linux")]
#[test]
fn existing_sockets_are_adopted() {
    everywhere(|| async {
        let listener = ListenOptions::new().adopt_tcp(bound_socket()?)?;
        let address = listener.local_addr()?;
        try_zip(TcpStream::connect(address), listener.accept()).await?;

        // A blocking one of the standard library's, left as it is.
        let theirs = std::net::TcpListener::bind(ANY)?;
        let listener = ListenOptions::new().backlog(0).adopt_tcp(theirs)?;
        assert!(poll_once(listener.accept()).await.is_none(), "not blocking");
        let address = listener.local_addr()?;
        try_zip(TcpStream::connect(address), listener.accept()).await?;

        let dir = TempDir::new("adopt")?;
        let theirs = std::os::unix::net::UnixListener::bind(dir.join("socket"))?;
        let listener = ListenOptions::new().adopt_unix(theirs)?;
        try_zip(UnixStream::connect(dir.join("socket")), listener.accept()).await?;
        Ok(())
    });
}

/// Sockets of another kind are refused, and so is what comes too late (LI-1).
#[test]
fn unfit_sockets_are_refused() {
    everywhere(|| async {
        let dir = TempDir::new("unfit")?;
        let tcp = || std::net::TcpListener::bind(ANY);
        let unix = std::os::unix::net::UnixListener::bind(dir.join("socket"))?;
        let options = ListenOptions::new();
        let kind = |error: io::Error| error.kind();
        let unfit = ErrorKind::InvalidInput;
        assert_eq!(options.adopt_tcp(unix).map_err(kind).unwrap_err(), unfit);
        assert_eq!(options.adopt_unix(tcp()?).map_err(kind).unwrap_err(), unfit);
        for late in [
            options.clone().reuse_address(true),
            options.clone().reuse_port(true),
            options.clone().only_v6(true),
        ] {
            assert_eq!(late.adopt_tcp(tcp()?).map_err(kind).unwrap_err(), unfit);
        }
        Ok(())
    });
}

/// What only TCP has is refused for a Unix address, and no path is made (LI-6).
#[test]
fn unix_refuses_what_only_tcp_has() {
    everywhere(|| async {
        let dir = TempDir::new("refused")?;
        let path = dir.join("socket");
        let new = ListenOptions::new;
        for options in [
            new().reuse_address(true),
            new().reuse_port(true),
            new().reuse_address(true).reuse_port(true),
            new().only_v6(true),
            new().nodelay(true),
            new().defer_accept(true),
            new().keep_alive(Duration::from_secs(1)),
        ] {
            let error = options.bind_unix(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(!path.exists());
        }
        let listener = new().backlog(2).bind_unix(&path)?;
        try_zip(UnixStream::connect(&path), listener.accept()).await?;
        Ok(())
    });
}

/// Listeners that share a port share the connections (LI-5).
#[cfg(target_os = "linux")]
#[test]
fn reused_port_is_shared_out() {
    everywhere(|| async {
        let options = ListenOptions::new().reuse_port(true);
        let one = options.bind(ANY).await?;
        let address = one.local_addr()?;
        let error = ListenOptions::new().bind(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        let other = options.bind(address).await?;
        // That all of 64 go to one of two happens by chance once in 2⁶³ times.
        let _clients = (0..64)
            .map(|_| StdStream::connect(address))
            .collect::<io::Result<Vec<_>>>()?;
        for listener in [&one, &other] {
            while poll_once(listener.accept()).await.transpose()?.is_some() {}
        }
        let (one, other) = (one.stats().accepted, other.stats().accepted);
        assert!(one > 0 && other > 0, "{one} and {other}");
        assert_eq!(one + other, 64);
        Ok(())
    });
}

/// With deferred accept a connection is there when its first bytes are (LI-5).
#[cfg(target_os = "linux")]
#[test]
fn deferred_accept_waits_for_data() {
    everywhere(|| async {
        let listener = ListenOptions::new().defer_accept(true).bind(ANY).await?;
        // The kernel waits for a second only, and this machine may be slow: one of some attempts is enough.
        let mut is_deferred = false;
        for _ in 0..5 {
            let mut client = StdStream::connect(listener.local_addr()?)?;
            let early = poll_once(listener.accept()).await.transpose()?;
            is_deferred |= early.is_none();
            io::Write::write_all(&mut client, b"GET")?;
            let (mut stream, _) = match early {
                Some(early) => early,
                None => listener.accept().await?,
            };
            let mut data = [0; 3];
            stream.read_exact(&mut data).await?;
            assert_eq!(&data, b"GET");
        }
        assert!(is_deferred);
        // Without, a connection is there at once.
        let listener = ListenOptions::new().bind(ANY).await?;
        let _client = StdStream::connect(listener.local_addr()?)?;
        assert!(poll_once(listener.accept()).await.is_some());
        Ok(())
    });
}

/// An IPv6 listener takes IPv4 connections, or does not, as it was told (LI-4).
#[test]
fn only_v6_keeps_v4_out() {
    everywhere(|| async {
        if std::net::TcpListener::bind("[::1]:0").is_err() {
            eprintln!("note: there is no IPv6 here");
            return Ok(());
        }
        let open = ListenOptions::new().only_v6(false).bind("[::]:0").await?;
        let port = open.local_addr()?.port();
        try_zip(TcpStream::connect(("::1", port)), open.accept()).await?;
        try_zip(TcpStream::connect(("127.0.0.1", port)), open.accept()).await?;
        // Nobody else can have that port for IPv4; the port of a closed one, anybody, other tests included: hence some attempts.
        let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse, "{taken}");
        for attempt in 1.. {
            let closed = ListenOptions::new().only_v6(true).bind("[::]:0").await?;
            let port = closed.local_addr()?.port();
            try_zip(TcpStream::connect(("::1", port)), closed.accept()).await?;
            match std::net::TcpListener::bind(("127.0.0.1", port)) {
                Ok(_) => break,
                Err(error) => assert!(attempt < 10, "{error}"),
            }
        }
        Ok(())
    });
}

/// The timer of a connection as the kernel tells it: its kind (2 for keep-alive) and the hundredths of a second that are left.
#[cfg(target_os = "linux")]
fn kernel_timer(local: SocketAddr, peer: SocketAddr) -> io::Result<(u32, u64)> {
    let ports = [local, peer].map(|address| format!(":{:04X}", address.port()));
    let mut table = String::new();
    std::fs::File::open("/proc/net/tcp")?.read_to_string(&mut table)?;
    let row = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|row| row[1].ends_with(&ports[0]) && row[2].ends_with(&ports[1]))
        .expect("the connection is open");
    let (kind, left) = row[5].split_once(':').expect("kind:left");
    let number = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
    Ok((number(kind) as u32, number(left)))
}

/// Connections have what the listener was told, without being told themselves; unless it is told, none is probed (LI-7).
#[cfg(target_os = "linux")]
#[test]
fn connections_inherit() {
    everywhere(|| async {
        let new = ListenOptions::new;
        for (options, told) in [
            (new(), false),
            (
                new().nodelay(true).keep_alive(Duration::from_secs(300)),
                true,
            ),
        ] {
            let listener = options.bind(ANY).await?;
            let connecting = TcpStream::connect(listener.local_addr()?);
            let (_client, (stream, peer)) = try_zip(connecting, listener.accept()).await?;
            assert_eq!(stream.nodelay()?, told);
            let (kind, left) = kernel_timer(listener.local_addr()?, peer)?;
            assert_eq!(kind == 2, told, "timer {kind}");
            // A machine that stands still for minutes fails here; none that is merely busy does.
            assert!(!told || (20_000..=30_100).contains(&left), "{left}");
        }
        let never = new().keep_alive(Duration::ZERO).bind(ANY).await;
        assert_eq!(never.unwrap_err().kind(), ErrorKind::InvalidInput);
        Ok(())
    });
}

/// The flags of an open file, in octal, as the kernel tells them: (non-blocking, close-on-exec).
#[cfg(target_os = "linux")]
fn flags(file: &impl AsRawFd) -> io::Result<(bool, bool)> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = u32::from_str_radix(flags.expect("a line of flags").trim(), 8).expect("octal");
    Ok((flags & 0o4000 != 0, flags & 0o2_000_000 != 0))
}

/// Whatever is made or accepted does not block and is not inherited by programs (LI-4, LI-12).
#[cfg(target_os = "linux")]
#[test]
fn descriptors_have_their_flags() {
    everywhere(|| async {
        let listener = ListenOptions::new().bind(ANY).await?;
        assert_eq!(flags(&listener)?, (true, true));
        let connecting = TcpStream::connect(listener.local_addr()?);
        let (_client, (stream, _)) = try_zip(connecting, listener.accept()).await?;
        assert_eq!(flags(&stream)?, (true, true));

        let dir = TempDir::new("flags")?;
        let listener = ListenOptions::new().bind_unix(dir.join("socket"))?;
        assert_eq!(flags(&listener)?, (true, true));
        let connecting = UnixStream::connect(dir.join("socket"));
        let (_client, (stream, _)) = try_zip(connecting, listener.accept()).await?;
        assert_eq!(flags(&stream)?, (true, true));
        Ok(())
    });
}

/// An address whose old connections linger is taken, unless told otherwise (LI-4).
#[cfg(target_os = "linux")]
#[test]
fn lingering_address_is_taken() {
    everywhere(|| async {
        let listener = TcpListener::bind(ANY).await?;
        let address = listener.local_addr()?;
        let (mut client, (stream, _)) =
            try_zip(TcpStream::connect(address), listener.accept()).await?;
        // Who closes first lingers.
        drop(stream);
        assert_eq!(client.read(&mut [0]).await?, 0);
        drop((client, listener));
        let careful = ListenOptions::new().reuse_address(false);
        let error = careful.bind(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        ListenOptions::new().bind(address).await?;
        Ok(())
    });
}

/// A failure says what failed and leaves no descriptor behind, whichever step it was (LI-8).
#[cfg(target_os = "linux")]
#[test]
fn failure_leaves_nothing_behind() {
    if !in_child("listener::options::failure_leaves_nothing_behind") {
        return;
    }
    let open = || std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    everywhere(|| async {
        let dir = TempDir::new("failure")?;
        let listener = ListenOptions::new().bind(ANY).await?;
        let address = listener.local_addr()?;
        let path = dir.join("socket");
        let _unix = ListenOptions::new().bind_unix(&path)?;
        let before = open()?;
        let error = ListenOptions::new().bind(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        let error = ListenOptions::new().bind("192.0.2.1:0").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "{error}");
        let error = ListenOptions::new().bind_unix(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        // The socket is ours once it is given, whatever comes of it.
        let unfit = std::os::unix::net::UnixListener::bind(dir.join("other"))?;
        ListenOptions::new().adopt_tcp(unfit).unwrap_err();
        assert_eq!(open()?, before);
        Ok(())
    });
}

/// A stream of connections, as from any other listener (LI-9).
#[test]
fn incoming_goes_on() {
    everywhere(|| async {
        let listener = ListenOptions::new().bind(ANY).await?;
        let mut incoming = listener.incoming();
        for _ in 0..3 {
            let accepted = async { incoming.next().await.expect("never ends") };
            try_zip(TcpStream::connect(listener.local_addr()?), accepted).await?;
        }
        assert_eq!(listener.stats().accepted, 3);
        Ok(())
    });
}

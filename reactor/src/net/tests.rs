//! Sockets on loopback, unhappy halves included.

use super::*;
use crate::{
    flags::{Interest, Ready},
    sys::poll::poll_now,
    test_child::in_child,
};
use std::{
    ffi::OsStr,
    io::{Read, Write},
    os::fd::AsRawFd,
};

/// Waits until a connect under way has an answer.
fn finish(stream: &TcpStream) -> io::Result<()> {
    let mut backend =
        crate::backend::open(crate::Method::Poll, crate::backend::Options::default())?;
    backend.change(stream.as_raw_fd(), 0, Interest::NONE, Interest::WRITE)?;
    backend.wait_into(None, &mut Vec::new())?;
    stream.take_error()?.map_or(Ok(()), Err)
}

/// Is the descriptor non-blocking? Tried, not asked: an empty read must not wait.
fn is_nonblocking(mut stream: impl Read) -> bool {
    matches!(stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn connect_and_accept(address: &str) {
    let listener = listen_tcp(&address.parse().unwrap(), 16).unwrap();
    assert_eq!(
        accept_tcp(&listener).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    let client = connect_tcp(&listener.local_addr().unwrap()).unwrap();
    finish(&client).unwrap();
    let (mut server, peer) = accept_tcp(&listener).unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    assert_eq!(client.peer_addr().unwrap(), listener.local_addr().unwrap());
    assert!(is_nonblocking(&client) && is_nonblocking(&server));
    server.write_all(b"x").unwrap();
    assert!(
        poll_now(client.as_fd(), Interest::READ)
            .unwrap()
            .contains(Ready::READ)
    );
}

#[test]
fn connects_and_accepts_ipv4() {
    connect_and_accept("127.0.0.1:0");
}

#[test]
fn connects_and_accepts_ipv6() {
    // A machine without IPv6 has nothing to test.
    if TcpListener::bind("[::1]:0").is_ok() {
        connect_and_accept("[::1]:0");
    }
}

#[test]
fn refused_connect_tells_at_the_end() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = connect_tcp(&address)
        .and_then(|stream| finish(&stream))
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn address_in_use_is_told() {
    let listener = listen_tcp(&"127.0.0.1:0".parse().unwrap(), 1).unwrap();
    let error = listen_tcp(&listener.local_addr().unwrap(), 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

/// Link-local addresses mean nothing without it.
#[test]
fn scope_id_reaches_the_kernel() {
    let Address::V6(raw) = Address::ip(&"[fe80::1%7]:80".parse().unwrap()) else {
        panic!("not IPv6")
    };
    assert_eq!((raw.sin6_scope_id, raw.sin6_port), (7, 80_u16.to_be()));
}

#[test]
fn unix_paths_connect() {
    let directory = std::env::temp_dir().join(format!("levent-net-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let client = connect_unix(&path).unwrap();
    let (server, peer) = accept_unix(&listener).unwrap();
    assert!(peer.is_unnamed());
    assert!(is_nonblocking(&client) && is_nonblocking(&server));
    std::fs::remove_dir_all(&directory).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_names_connect() {
    let name = format!("levent-net-{}", std::process::id());
    let listener = UnixListener::bind_addr(&UnixAddr::from_abstract_name(&name).unwrap()).unwrap();
    let _client = connect_unix(&std::path::PathBuf::from(format!("\0{name}"))).unwrap();
    accept_unix(&listener).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn named_unix_peers_are_told() {
    let name = |number| {
        UnixAddr::from_abstract_name(format!("levent-peer-{}-{number}", std::process::id()))
    };
    let listener = UnixListener::bind_addr(&name(0).unwrap()).unwrap();
    // A stream that is bound before it connects, which std cannot make.
    let client = socket::stream(libc::AF_UNIX).unwrap();
    let own = format!("\0levent-peer-{}-1", std::process::id());
    socket::bind(client.as_fd(), &Address::unix(own.as_bytes()).unwrap()).unwrap();
    let target = format!("\0levent-peer-{}-0", std::process::id());
    socket::connect(client.as_fd(), &Address::unix(target.as_bytes()).unwrap()).unwrap();
    let (_server, peer) = accept_unix(&listener).unwrap();
    assert_eq!(peer.as_abstract_name(), Some(&own.as_bytes()[1..]));
}

#[test]
fn bad_unix_paths_are_refused() {
    let long = "x".repeat(UNIX_PATH_MAX + 1);
    for path in ["", "with\0nul", &long, &format!("\0{long}")] {
        let error = connect_unix(Path::new(OsStr::new(path))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path:?}");
    }
    // The longest that fit are looked for.
    assert_eq!(
        connect_unix(Path::new(&long[1..])).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    let longest = format!("\0{}", &long[1..]);
    assert_eq!(
        connect_unix(Path::new(&longest)).unwrap_err().kind(),
        if cfg!(target_os = "linux") {
            io::ErrorKind::ConnectionRefused
        } else {
            io::ErrorKind::InvalidInput
        }
    );
}

/// Elsewhere the connect is refused.
#[cfg(target_os = "linux")]
#[test]
fn full_unix_backlog_is_told() {
    let name = format!("\0levent-full-{}", std::process::id());
    let address = Address::unix(name.as_bytes()).unwrap();
    let listener = socket::stream(libc::AF_UNIX).unwrap();
    socket::bind(listener.as_fd(), &address).unwrap();
    socket::listen(listener.as_fd(), 0).unwrap();
    let mut waiting = Vec::new();
    let error = loop {
        match connect_unix(Path::new(&name)) {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
        assert!(waiting.len() < 100, "the backlog has no end");
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn descriptor_limit_is_raised() {
    if !in_child("net::tests::descriptor_limit_is_raised") {
        return;
    }
    let (_, hard) = limits::descriptors().unwrap();
    limits::set_descriptors(hard.min(100), hard).unwrap();
    assert_eq!(raise_descriptor_limit().unwrap(), hard);
    assert_eq!(limits::descriptors().unwrap(), (hard, hard));
}

/// What a listener is told about its connections, each of them has.
#[test]
fn connections_inherit_from_their_listener() {
    let settings = ListenSettings {
        backlog: 16,
        nodelay: true,
        keep_alive: Some(std::time::Duration::from_millis(299_001)),
        ..ListenSettings::default()
    };
    let listener = settings.bind_tcp(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = accept_tcp(&listener).unwrap();
    assert!(stream.nodelay().unwrap());
    let option = |level, name| socket::number(stream.as_fd(), level, name).unwrap();
    assert_ne!(option(libc::SOL_SOCKET, libc::SO_KEEPALIVE), 0);
    #[cfg(target_os = "linux")]
    {
        assert_eq!(option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE), 300);
        assert_eq!(option(libc::IPPROTO_TCP, libc::TCP_KEEPINTVL), 100);
        assert_eq!(option(libc::IPPROTO_TCP, libc::TCP_KEEPCNT), 3);
    }

    let plain = ListenSettings {
        backlog: 16,
        ..ListenSettings::default()
    };
    let listener = plain.bind_tcp(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = accept_tcp(&listener).unwrap();
    assert!(!stream.nodelay().unwrap());
    let kept = socket::number(stream.as_fd(), libc::SOL_SOCKET, libc::SO_KEEPALIVE);
    assert_eq!(kept.unwrap(), 0);
}

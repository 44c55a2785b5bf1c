//! Names and addresses: what needs a thread, and what is said of nonsense.

use futures_lite::future::block_on;
use levent_io::net::{self, SocketAddr, TcpListener, resolve};
use std::future::Future;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Ready at the first poll: nothing was asked of anybody.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a literal address must not wait"),
    }
}

/// Literal addresses never start a thread: they are answered by the first poll.
#[test]
fn literal_addresses_are_ready_at_once() {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
    assert_eq!(at_once(resolve("127.0.0.1:80")).unwrap(), [v4]);
    assert_eq!(at_once(resolve("[::1]:80")).unwrap(), [v6]);
    assert_eq!(at_once(resolve(("127.0.0.1", 80))).unwrap(), [v4]);
    assert_eq!(at_once(resolve(("::1", 80))).unwrap(), [v6]);
    assert_eq!(at_once(resolve(("::1".to_owned(), 80))).unwrap(), [v6]);
    assert_eq!(at_once(resolve("127.0.0.1:80".to_owned())).unwrap(), [v4]);
    assert_eq!(at_once(resolve((Ipv4Addr::LOCALHOST, 80))).unwrap(), [v4]);
    assert_eq!(at_once(resolve((Ipv6Addr::LOCALHOST, 80))).unwrap(), [v6]);
    assert_eq!(at_once(resolve((v4.ip(), 80))).unwrap(), [v4]);
    assert_eq!(at_once(resolve(v6)).unwrap(), [v6]);
    let plain = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80);
    assert_eq!(at_once(resolve(&plain)).unwrap(), [v4]);
    assert_eq!(at_once(resolve(&[v4, v6][..])).unwrap(), [v4, v6]);
}

#[test]
fn malformed_addresses_are_invalid_input() {
    for text in [
        "",
        "127.0.0.1",
        "host",
        "host:",
        "host:http",
        "host:65536",
        "127.0.0.1:-1",
    ] {
        let error = at_once(resolve(text)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}: {error}");
        assert!(error.to_string().contains(text), "{text}: {error}");
    }
}

#[test]
fn no_address_is_invalid_input() {
    let none: &[SocketAddr] = &[];
    let error = at_once(TcpListener::bind(none)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = at_once(net::TcpStream::connect(none)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = at_once(net::UdpSocket::bind(none)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn names_are_resolved() {
    let found = block_on(resolve("localhost:80")).unwrap();
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|addr| addr.ip().is_loopback() && addr.port() == 80)
    );
}

/// Asked of several threads at once, all are answered; more of them than there are resolver threads.
#[test]
fn many_names_at_once() {
    let askers = (0..16)
        .map(|port| std::thread::spawn(move || block_on(resolve(("localhost", port)))))
        .collect::<Vec<_>>();
    for (port, asker) in askers.into_iter().enumerate() {
        let found = asker.join().unwrap().unwrap();
        assert!(found.iter().all(|addr| usize::from(addr.port()) == port));
    }
}

/// A name that cannot exist (RFC 2606), and one that the library refuses before it asks.
#[test]
fn unresolvable_name_is_named_in_the_error() {
    let error = block_on(resolve("no-such-host.invalid:80")).unwrap_err();
    assert!(
        error.to_string().contains("no-such-host.invalid"),
        "{error}"
    );
    let error = block_on(resolve(("nul\0inside", 80))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

/// A lookup that is dropped halfway is forgotten; the next one is answered.
#[test]
fn dropped_lookup_upsets_nothing() {
    for _ in 0..100 {
        let mut lookup = Box::pin(resolve("localhost:1"));
        let _ = lookup
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
    }
    assert!(!block_on(resolve("localhost:2")).unwrap().is_empty());
}

/// The last waker is the one that is woken.
#[test]
fn replaced_waker_is_not_needed() {
    let mut lookup = Box::pin(resolve("localhost:1"));
    let first = lookup
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    if first.is_pending() {
        assert!(!block_on(lookup).unwrap().is_empty());
    }
}

/// The resolver's threads are few, have a name, and end when there is nothing to do.
#[test]
fn resolver_threads_end() {
    let count = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.flatten().filter_map(|task| {
            // A thread may end between the listing and this.
            std::fs::read_to_string(task.path().join("comm")).ok()
        });
        names.filter(|name| name.trim() == "levent-resolve").count()
    };
    assert!(!block_on(resolve("localhost:80")).unwrap().is_empty());
    let begin = std::time::Instant::now();
    loop {
        let threads = count();
        assert!(threads <= 4, "{threads} threads");
        if threads == 0 {
            break;
        }
        assert!(
            begin.elapsed().as_secs() < 60,
            "{threads} threads are still there"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

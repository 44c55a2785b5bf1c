//! No descriptor left: no storm, no harm to those who are connected, and recovery (promise 7).

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as StdStream;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent::net::TcpStream;
use levent::{block_on, sleep, spawn};

use crate::support::echo::{Count, connected, listener};
use crate::support::process::{cpu_time, descriptors, limit_descriptors, thread_time, with_limit};
use crate::support::program::Example;
use crate::support::{Watchdog, in_child};

/// Connects; a server that is out of descriptors leaves us in its queue.
fn connect(address: &str) -> StdStream {
    let stream = StdStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

fn round_trip(stream: &mut StdStream) {
    stream.write_all(b"are you there?").unwrap();
    let mut answer = [0; 14];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"are you there?");
}

/// The two servers with 40 descriptors and 200 clients.
#[test]
fn servers_without_descriptors_neither_storm_nor_stop() {
    for name in ["echo", "reactor_echo"] {
        let dog = Watchdog::new(30);
        dog.note("example", name);
        let started = Example::start_with(name, &["127.0.0.1:0"], |command| {
            command.stderr(std::process::Stdio::null());
            with_limit(command, 40);
        });
        let Some(mut server) = started else { return };
        let address = server.address();
        let mut clients: Vec<_> = (0..200).map(|_| connect(&address)).collect();
        round_trip(&mut clients[0]);
        // Those who are in go on, and the server does next to nothing for those who wait. The time is the subject here.
        let before = cpu_time(server.pid());
        let start = Instant::now();
        let mut rounds = 0;
        while start.elapsed() < Duration::from_secs(1) {
            round_trip(&mut clients[1]);
            rounds += 1;
            std::thread::sleep(Duration::from_millis(50));
        }
        let used = cpu_time(server.pid()) - before;
        assert!(
            used < Duration::from_millis(150),
            "{name} used {used:?} of a second in {rounds} rounds without descriptors"
        );
        eprintln!("note: {name} without descriptors: {used:?} in 1 s");
        // As room is made, all the others get their turn. From the front: they have been accepted in this order.
        for (i, mut client) in clients.into_iter().enumerate() {
            dog.note("client", i);
            round_trip(&mut client);
        }
    }
}

/// In process, with the calls counted: the listener paces those who ask again at once, and goes on within two seconds.
#[test]
fn accept_is_paced_and_recovers() {
    if !in_child("limits::accept_is_paced_and_recovers") {
        return;
    }
    let dog = Watchdog::new(20);
    block_on(async {
        let (mut client, mut server) = connected().await.unwrap();
        let listener = listener();
        let address = listener.local_addr().unwrap().to_string();
        let mut waiting: Vec<_> = (0..5).map(|_| connect(&address)).collect();
        // `Watchdog` and the harness hold theirs already; nothing else of this process opens any.
        limit_descriptors(descriptors() as u64 + 16);
        let mut fillers = Vec::new();
        let full = loop {
            match File::open("/dev/null") {
                Ok(file) => fillers.push(file),
                Err(error) => break error,
            }
        };
        assert_eq!(full.raw_os_error(), Some(libc::EMFILE));

        let failures = Count::default();
        let acceptor = {
            let failures = failures.clone();
            spawn(async move {
                let mut accepted = Vec::new();
                while accepted.len() < 5 {
                    match listener.accept().await {
                        Ok((stream, _)) => accepted.push(stream),
                        Err(error) => {
                            assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
                            failures.add();
                        }
                    }
                }
                accepted
            })
        };
        let (start, before) = (Instant::now(), thread_time());
        let mut rounds = 0u32;
        while start.elapsed() < Duration::from_secs(1) {
            dog.note("round", rounds);
            client.write_all(b"on").await.unwrap();
            server.read_exact(&mut [0; 2]).await.unwrap();
            rounds += 1;
            sleep(Duration::from_millis(10)).await;
        }
        let used = thread_time() - before;
        assert!((1..=20).contains(&failures.get()), "{}", failures.get());
        assert!(used < Duration::from_millis(200), "{used:?} in a second");

        drop(fillers);
        let freed = Instant::now();
        let accepted: Vec<TcpStream> = acceptor.await;
        assert!(
            freed.elapsed() < Duration::from_secs(2),
            "{:?}",
            freed.elapsed()
        );
        for (mut server, client) in accepted.into_iter().zip(&mut waiting) {
            client.write_all(b"!").unwrap();
            let mut byte = [0];
            server.read_exact(&mut byte).await.unwrap();
            assert_eq!(&byte, b"!");
        }
    });
}

/// With no descriptor for a base at all: an error that names the reason, and a working base once there is one.
#[test]
fn base_without_descriptors_is_an_error() {
    if !in_child("limits::base_without_descriptors_is_an_error") {
        return;
    }
    let _dog = Watchdog::new(20);
    limit_descriptors(descriptors() as u64 + 8);
    let mut fillers = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        fillers.push(file);
    }
    let error = levent::reactor::Base::new().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
    let error = levent::reactor::current::base().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
    // With room for some of a base's descriptors only: whatever it had is given back.
    for room in 1..3 {
        fillers.truncate(fillers.len() - 1);
        let before = descriptors();
        if levent::reactor::Base::new().is_err() {
            assert_eq!(descriptors(), before, "leaked with room for {room}");
        }
    }
    drop(fillers);
    block_on(async {
        sleep(Duration::from_millis(1)).await;
        let (mut client, mut server) = connected().await.unwrap();
        client.write_all(b"x").await.unwrap();
        drop(client);
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"x");
        // And an error of a connect is an error, not a panic.
        let error = TcpStream::connect("127.0.0.1:1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

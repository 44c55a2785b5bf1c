//! Streams and packets, end to end. `backends` runs all of this on each backend; nothing here assumes one.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::time::{Duration, Instant};

use futures_lite::future::{or, try_zip, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent::net::unix::{UnixDatagram, UnixStream};
use levent::net::{TcpListener, TcpStream, UdpSocket};
use levent::{Async, block_on, sleep, spawn, timeout, yield_now};

use crate::support::Watchdog;
use crate::support::bytes::{SEED, checksum, piece, receive, send};
use crate::support::echo::{connected, listener, serve_while};
use crate::support::process::reset_on_close;

const MIB: u64 = 1 << 20;

/// The variable of the process decides the backend, for the thread's own base too.
#[test]
fn backend_is_the_one_asked_for() {
    let base = levent::reactor::current::base().unwrap();
    match std::env::var("LEVENT_BACKEND") {
        Ok(name) if !name.is_empty() => assert_eq!(base.method().name(), name),
        _ => assert_eq!(base.method().name(), "epoll"),
    }
}

/// 64 connections, 20 round trips each, all interleaved; every byte is compared.
#[test]
fn interleaved_round_trips_keep_their_contents() {
    let dog = Watchdog::new(20);
    serve_while(move |address, _| {
        let mut streams: Vec<_> = (0..64)
            .map(|_| StdStream::connect(address).unwrap())
            .collect();
        for round in 0..20 {
            dog.note("round", round);
            for (id, stream) in streams.iter_mut().enumerate() {
                stream
                    .write_all(&piece(id as u64, round * 100, 100))
                    .unwrap();
            }
            for (id, stream) in streams.iter_mut().enumerate() {
                let mut answer = [0; 100];
                stream.read_exact(&mut answer).unwrap();
                assert_eq!(
                    answer[..],
                    piece(id as u64, round * 100, 100),
                    "connection {id}"
                );
            }
        }
    });
}

/// 8 MiB through the server's one buffer; the checksums of both ways are equal.
#[test]
fn eight_mebibytes_come_back_with_their_checksum() {
    let _dog = Watchdog::new(20);
    serve_while(|address, _| {
        let stream = StdStream::connect(address).unwrap();
        let mut out = stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            let mut sum = SEED;
            for chunk in 0..128 {
                let bytes = piece(1, chunk * 64 * 1024, 64 * 1024);
                sum = checksum(sum, &bytes);
                out.write_all(&bytes).unwrap();
            }
            out.shutdown(Shutdown::Write).unwrap();
            sum
        });
        let (mut input, mut buffer) = (stream, vec![0; 50_000]);
        let (mut sum, mut total) = (SEED, 0);
        loop {
            let n = input.read(&mut buffer).unwrap();
            if n == 0 {
                break;
            }
            sum = checksum(sum, &buffer[..n]);
            total += n as u64;
        }
        assert_eq!(total, 8 * MIB);
        assert_eq!(sum, sender.join().unwrap());
    });
}

/// The writer fills every buffer on the way; the reader takes one byte, lets others run, and takes the next.
#[test]
fn slow_reader_gets_everything() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let (mut writer, mut reader) = connected().await.unwrap();
        let total = 2 * MIB;
        let writing = spawn(async move {
            send(&mut writer, 2, total, 256 * 1024).await?;
            writer.close().await
        });
        // One byte at a time while the buffers are full, then the rest.
        for position in 0..3_000 {
            let mut byte = [0];
            reader.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte[..], piece(2, position, 1));
            if position % 3 == 0 {
                yield_now().await;
            }
        }
        let (mut position, mut buffer) = (3_000, vec![0; 30_000]);
        loop {
            let n = reader.read(&mut buffer).await.unwrap();
            if n == 0 {
                break;
            }
            assert_eq!(buffer[..n], piece(2, position, n), "at {position}");
            position += n as u64;
        }
        assert_eq!(position, total);
        writing.await.unwrap();
    });
}

/// One byte per segment, each echoed before the next is sent.
#[test]
fn slow_writer_is_answered_byte_by_byte() {
    let _dog = Watchdog::new(20);
    serve_while(|address, _| {
        let mut stream = StdStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        for position in 0..2_000 {
            let byte = piece(3, position, 1);
            stream.write_all(&byte).unwrap();
            let mut answer = [0];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer[..], byte);
        }
    });
}

/// The client says that it is done, and still gets all of its answer.
#[test]
fn half_close_by_the_client_ends_only_its_direction() {
    let _dog = Watchdog::new(20);
    serve_while(|address, _| {
        let mut stream = StdStream::connect(address).unwrap();
        let bytes = piece(4, 0, 100_000);
        stream.write_all(&bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer == bytes, "{} bytes of {}", answer.len(), bytes.len());
    });
}

/// Our side says that it is done, and goes on to receive.
#[test]
fn half_close_by_us_ends_only_our_direction() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let (mut client, mut server) = connected().await.unwrap();
        server.write_all(b"last words").await.unwrap();
        server.close().await.unwrap();
        let mut words = String::new();
        client.read_to_string(&mut words).await.unwrap();
        assert_eq!(words, "last words");

        let sending = async {
            send(&mut client, 5, MIB, 10_000).await?;
            client.close().await
        };
        let (received, ()) = try_zip(receive(&mut server, 5, 16 * 1024), sending)
            .await
            .unwrap();
        assert_eq!(received, MIB);
        let error = server.write(b"after the end").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

/// Ruling 13: data and the end that come in one segment are both seen, however short the read.
#[test]
fn data_and_end_together_lose_neither() {
    let _dog = Watchdog::new(20);
    block_on(async {
        for len in [1, 99, 100, 101, 4_096] {
            let (mut client, mut server) = connected().await.unwrap();
            let waiting = spawn(async move { receive(&mut server, 6, 100).await });
            yield_now().await;
            client.write_all(&piece(6, 0, len)).await.unwrap();
            drop(client);
            let received = timeout(Duration::from_secs(10), waiting).await;
            assert_eq!(received.expect("the end is seen").unwrap(), len as u64);
        }
    });
}

/// A reset reaches the reader that waits and the writer that waits, and the next connection is none the worse.
#[test]
fn reset_wakes_reader_and_writer() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        for _ in 0..20 {
            let client = StdStream::connect(address).unwrap();
            let (server, _) = listener.accept().await.unwrap();
            let (mut reader, mut writer) = server.split();
            let reading = spawn(async move { reader.read(&mut [0; 16]).await });
            let writing = spawn(async move {
                let bytes = vec![0; 256 * 1024];
                loop {
                    writer.write_all(&bytes).await?;
                }
                #[allow(unreachable_code, reason = "names the type")]
                io::Result::Ok(())
            });
            // Both wait now: the writer until the buffers have room, the reader for ever.
            for _ in 0..10 {
                yield_now().await;
            }
            reset_on_close(&client);
            drop(client);
            let (read, written) = zip(reading, writing).await;
            // Whichever looks first gets the socket's error; the other finds the end that it left behind.
            let told = |kind| matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
            assert!(
                read.as_ref().is_ok_and(|&n| n == 0)
                    || read.as_ref().is_err_and(|e| told(e.kind())),
                "{read:?}"
            );
            assert!(
                written.as_ref().is_err_and(|error| told(error.kind())),
                "{written:?}"
            );
            assert!(
                read.is_err() || written.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset),
                "nobody was told of the reset"
            );
        }
    });
}

/// A connection that is refused says so at the connect, and at once.
#[test]
fn refused_connect_is_an_error() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let address = {
            let listener = listener();
            listener.local_addr().unwrap()
        };
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

/// A wait that is given up loses nothing: the bytes are there for the next read.
#[test]
fn cancelled_reads_lose_nothing() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let (mut client, mut server) = connected().await.unwrap();
        let mut received = Vec::new();
        for position in 0..200 {
            // Dropped while it waits, a different number of turns later each time.
            let given_up = or(
                async {
                    let mut byte = [0];
                    server.read(&mut byte).await.map(|_| Some(byte[0]))
                },
                async {
                    for _ in 0..position % 5 {
                        yield_now().await;
                    }
                    Ok(None)
                },
            )
            .await
            .unwrap();
            received.extend(given_up);
            client.write_all(&piece(7, position, 1)).await.unwrap();
        }
        client.close().await.unwrap();
        server.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, piece(7, 0, 200));
    });
}

/// Several tasks accept from one listener; each connection goes to exactly one.
#[test]
fn clones_of_a_listener_share_the_connections() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        let (sender, accepted) = async_channel::unbounded();
        let acceptors: Vec<_> = (0..4)
            .map(|_| {
                let (listener, sender) = (listener.clone(), sender.clone());
                spawn(async move {
                    loop {
                        let (_, peer) = listener.accept().await.unwrap();
                        sender.send(peer).await.unwrap();
                    }
                })
            })
            .collect();
        let mut peers = Vec::new();
        for _ in 0..100 {
            let client = TcpStream::connect(address).await.unwrap();
            peers.push(client.local_addr().unwrap());
        }
        let mut seen = Vec::new();
        for _ in 0..100 {
            seen.push(accepted.recv().await.unwrap());
        }
        assert!(accepted.is_empty());
        peers.sort();
        seen.sort();
        assert_eq!(peers, seen);
        drop::<Vec<levent::Task<()>>>(acceptors);
    });
}

/// Any number of tasks wait for one source, and all of them wake.
#[test]
fn all_who_wait_for_a_source_wake() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let (one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
        let one = std::sync::Arc::new(Async::new(one).unwrap());
        let waiting: Vec<_> = (0..10)
            .map(|_| spawn(std::sync::Arc::clone(&one).readable_owned()))
            .collect();
        yield_now().await;
        other.write_all(b"x").unwrap();
        for task in waiting {
            task.await.unwrap();
        }
    });
}

/// Datagrams keep their borders and their senders.
#[test]
fn datagrams_keep_their_borders() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let echo = spawn(async move {
            let mut buffer = vec![0; 65_536];
            loop {
                let (n, sender) = server.recv_from(&mut buffer).await.unwrap();
                server.send_to(&buffer[..n], sender).await.unwrap();
            }
            #[allow(unreachable_code, reason = "names the type")]
            ()
        });
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut buffer = vec![0; 65_536];
        for len in [0, 1, 2, 500, 1_472, 9_000, 60_000] {
            client.send_to(&piece(8, 0, len), address).await.unwrap();
            let (n, sender) = client.recv_from(&mut buffer).await.unwrap();
            assert_eq!((n, sender), (len, address));
            assert_eq!(buffer[..n], piece(8, 0, len));
        }
        drop(echo);
    });
}

/// Unix streams and datagrams, under the same load as TCP.
#[test]
fn unix_sockets_carry_the_same() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let (mut left, mut right) = UnixStream::pair().unwrap();
        let sending = async {
            send(&mut left, 9, MIB, 100_000).await?;
            left.close().await
        };
        let (received, ()) = try_zip(receive(&mut right, 9, 7_777), sending)
            .await
            .unwrap();
        assert_eq!(received, MIB);

        let (one, other) = UnixDatagram::pair().unwrap();
        let sending = async {
            for len in 1..300 {
                one.send(&piece(10, 0, len)).await?;
            }
            io::Result::Ok(())
        };
        let receiving = async {
            let mut buffer = [0; 512];
            for len in 1..300 {
                let n = other.recv(&mut buffer).await?;
                assert_eq!(buffer[..n], piece(10, 0, len));
            }
            Ok(())
        };
        try_zip(sending, receiving).await.unwrap();
    });
}

/// A descriptor's number that was closed and used again belongs to the new socket alone.
#[test]
fn reused_descriptor_numbers_are_new_sockets() {
    let _dog = Watchdog::new(20);
    block_on(async {
        for round in 0..300u64 {
            let (mut client, mut server) = connected().await.unwrap();
            // Left waiting in both directions, and then dropped together with the socket.
            let waiting = {
                let mut clone = server.clone();
                spawn(async move { clone.read(&mut [0]).await })
            };
            yield_now().await;
            client.write_all(&piece(round, 0, 10)).await.unwrap();
            if round % 2 == 0 {
                drop(waiting);
                let mut bytes = [0; 10];
                server.read_exact(&mut bytes).await.unwrap();
                assert_eq!(bytes[..], piece(round, 0, 10), "round {round}");
            } else {
                assert_eq!(waiting.await.unwrap(), 1);
            }
        }
    });
}

/// Deadlines hold while sockets are busy: never early, and not starved.
#[test]
fn timers_are_never_early_beside_busy_sockets() {
    let dog = Watchdog::new(20);
    block_on(async {
        let (client, server) = connected().await.unwrap();
        let pumping = spawn(async move {
            let (mut client, mut server) = (client, server);
            let mut byte = [0];
            loop {
                client.write_all(b"x").await?;
                server.read_exact(&mut byte).await?;
            }
            #[allow(unreachable_code, reason = "names the type")]
            io::Result::Ok(())
        });
        for i in 0..50 {
            dog.note("timer", i);
            let start = Instant::now();
            sleep(Duration::from_micros(1_700)).await;
            assert!(start.elapsed() >= Duration::from_micros(1_700), "timer {i}");
        }
        assert!(!pumping.is_finished(), "the pump has stopped");
        drop(pumping);
    });
}

/// A listener that is dropped refuses at once; a task that waited on it is gone with it.
#[test]
fn dropped_listener_refuses() {
    let _dog = Watchdog::new(20);
    block_on(async {
        let listener: TcpListener = listener();
        let address = listener.local_addr().unwrap();
        let accepting = spawn(async move { listener.accept().await.map(drop) });
        yield_now().await;
        assert!(accepting.cancel().await.is_none());
        let error = StdStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

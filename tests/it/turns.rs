//! No state of a descriptor spins the loop, and an idle program does nothing (promise 1).

use std::time::{Duration, Instant};

use levent::reactor::current;
use levent::{sleep, spawn};

use crate::support::echo::Count;
use crate::support::process::{cpu_time, threads};
use crate::support::program::Example;
use crate::support::{Watchdog, in_child};

/// Turns of this thread's loop within 200 ms: waiting for that time takes one or two of its own.
async fn turns() -> u64 {
    let count = Count::default();
    let base = current::base().unwrap();
    let _watcher = {
        let count = count.clone();
        base.on_prepare(move |_, _| count.add())
    };
    sleep(Duration::from_millis(200)).await;
    count.get()
}

/// One descriptor in each state that loops are known to spin in.
mod descriptors {
    use std::future::Future;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream as StdStream, UdpSocket as StdUdp};
    use std::os::unix::net::UnixStream as StdUnix;
    use std::sync::Arc;

    use futures_lite::{AsyncReadExt, AsyncWriteExt};
    use levent::net::TcpStream;
    use levent::{Async, block_on, yield_now};

    use super::*;
    use crate::support::echo::{connected, listener};
    use crate::support::process::reset_on_close;

    /// Brings the descriptor into its state, which `keep` holds, and counts turns.
    fn quiet<K>(state: impl Future<Output = K>) {
        let _dog = Watchdog::new(20);
        block_on(async {
            let keep = state.await;
            // What the change itself wakes is work, not spinning.
            for _ in 0..5 {
                yield_now().await;
            }
            let turns = turns().await;
            assert!(turns <= 5, "{turns} turns in 200 ms with nothing to do");
            drop(keep);
        });
    }

    /// A server's socket, registered by a first read, and its client.
    async fn registered() -> (TcpStream, StdStream) {
        let listener = listener();
        let mut client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(b"1").unwrap();
        server.read_exact(&mut [0]).await.unwrap();
        (server, client)
    }

    #[test]
    fn unread_data_does_not_spin() {
        quiet(async {
            let (server, mut client) = registered().await;
            client.write_all(&[7; 1000]).unwrap();
            (server, client)
        });
    }

    #[test]
    fn data_read_in_part_does_not_spin() {
        quiet(async {
            let (mut server, mut client) = registered().await;
            client.write_all(&[7; 1000]).unwrap();
            server.read_exact(&mut [0; 10]).await.unwrap();
            (server, client)
        });
    }

    #[test]
    fn half_closed_peer_does_not_spin() {
        quiet(async {
            let (server, client) = registered().await;
            client.shutdown(Shutdown::Write).unwrap();
            (server, client)
        });
    }

    #[test]
    fn half_closed_peer_seen_does_not_spin() {
        quiet(async {
            let (mut server, client) = registered().await;
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
            (server, client)
        });
    }

    #[test]
    fn closed_peer_does_not_spin() {
        quiet(async {
            let (server, client) = registered().await;
            drop(client);
            server
        });
    }

    #[test]
    fn reset_does_not_spin() {
        quiet(async {
            let (server, client) = registered().await;
            reset_on_close(&client);
            drop(client);
            server
        });
    }

    #[test]
    fn reset_seen_does_not_spin() {
        quiet(async {
            let (mut server, client) = registered().await;
            reset_on_close(&client);
            drop(client);
            server.read(&mut [0]).await.unwrap_err();
            server
        });
    }

    /// A hang-up while somebody waits to write: woken once, then quiet.
    #[test]
    fn both_directions_shut_do_not_spin() {
        quiet(async {
            let (mut server, client) = registered().await;
            server.close().await.unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
            (server, client)
        });
    }

    #[test]
    fn waiting_reader_does_not_spin() {
        quiet(async {
            let (mut server, client) = registered().await;
            let waiting = spawn(async move { server.read(&mut [0]).await });
            (waiting, client)
        });
    }

    /// The write side is ready all the time; only the read side is waited for. And the other way round: full buffers.
    #[test]
    fn waiting_writer_does_not_spin() {
        quiet(async {
            let (mut writer, reader) = connected().await.unwrap();
            let waiting = spawn(async move { writer.write_all(&vec![0; 16 << 20]).await });
            // Until nothing moves any more.
            turns().await;
            assert!(!waiting.is_finished());
            (waiting, reader)
        });
    }

    #[test]
    fn dropped_waits_do_not_spin() {
        quiet(async {
            let (one, mut other) = StdUnix::pair().unwrap();
            let one = Async::new(one).unwrap();
            {
                let (readable, writable) = (one.readable(), one.writable());
                let _ = futures_lite::future::poll_once(readable).await;
                let _ = futures_lite::future::poll_once(writable).await;
            }
            other.write_all(b"unread").unwrap();
            (one, other)
        });
    }

    #[test]
    fn hung_up_unix_peer_does_not_spin() {
        quiet(async {
            let (one, mut other) = StdUnix::pair().unwrap();
            let one = Arc::new(Async::new(one).unwrap());
            let waiting = spawn(one.clone().readable_owned());
            yield_now().await;
            other.write_all(b"unread").unwrap();
            drop(other);
            waiting.await.unwrap();
            // Woken, nothing read, and the hang-up stays.
            one.get_ref().read_exact(&mut [0; 2]).unwrap();
            one
        });
    }

    #[test]
    fn unread_datagrams_do_not_spin() {
        quiet(async {
            let socket = Async::<StdUdp>::bind(([127, 0, 0, 1], 0)).unwrap();
            let sender = StdUdp::bind("127.0.0.1:0").unwrap();
            let address = socket.get_ref().local_addr().unwrap();
            sender.send_to(b"one", address).unwrap();
            socket.recv(&mut [0; 8]).await.unwrap();
            sender.send_to(b"two", address).unwrap();
            (socket, sender)
        });
    }

    /// A connection that nobody accepts keeps its listener readable.
    #[test]
    fn unaccepted_connection_does_not_spin() {
        quiet(async {
            let listener = listener();
            let address = listener.local_addr().unwrap();
            let first = StdStream::connect(address).unwrap();
            listener.accept().await.unwrap();
            let second = StdStream::connect(address).unwrap();
            (listener, first, second)
        });
    }
}

/// Timers that are far away, dropped, or moved do not wake the loop.
#[test]
fn far_timers_do_not_spin() {
    let _dog = Watchdog::new(20);
    levent::block_on(async {
        let far: Vec<_> = (1..1000)
            .map(|i| spawn(sleep(Duration::from_secs(3600 + i))))
            .collect();
        let mut moved = levent::Timer::after(Duration::from_millis(50));
        let _ = futures_lite::future::poll_once(&mut moved).await;
        moved.set_after(Duration::MAX);
        for _ in 0..3 {
            let mut dropped = sleep(Duration::from_millis(30));
            let _ = futures_lite::future::poll_once(&mut dropped).await;
        }
        // The first time is for the tasks' first polls, which are work.
        turns().await;
        let turns = turns().await;
        assert!(turns <= 5, "{turns} turns in 200 ms with nothing due");
        drop(far);
    });
}

/// The real server with 1,000 idle connections: one thread, and less than 1 ms of processor time per second.
#[test]
fn idle_server_does_nothing_in_one_thread() {
    for name in ["echo", "reactor_echo"] {
        let _dog = Watchdog::new(30);
        let Some((server, address)) = Example::serve(name) else {
            return;
        };
        let mut clients: Vec<_> = (0..1000)
            .map(|_| std::net::TcpStream::connect(&address).unwrap())
            .collect();
        // An echo through the first and the last: all have been accepted.
        for client in [0, 999] {
            use std::io::{Read, Write};
            clients[client].write_all(b"x").unwrap();
            clients[client].read_exact(&mut [0]).unwrap();
        }
        assert_eq!(threads(server.pid()), 1, "{name}");
        let (start, before) = (Instant::now(), cpu_time(server.pid()));
        // Not an ordering: the time in which nothing shall happen.
        std::thread::sleep(Duration::from_secs(2));
        let used = cpu_time(server.pid()) - before;
        let bound = start.elapsed().mul_f64(0.001);
        assert!(used < bound, "{name} used {used:?} of {bound:?} while idle");
        assert_eq!(threads(server.pid()), 1, "{name}");
        eprintln!("note: {name}, 1,000 idle connections: {used:?} in 2 s");
    }
}

/// Sockets, timers, signals, tasks, literal addresses: no thread of ours beside the one that calls.
#[test]
fn runtime_starts_no_thread() {
    if !in_child("turns::runtime_starts_no_thread") {
        return;
    }
    let _dog = Watchdog::new(20);
    let before = threads("self");
    levent::block_on(async {
        use futures_lite::{AsyncReadExt, AsyncWriteExt};
        let _signals = levent::Signals::new([levent::signal::SIGUSR1]).unwrap();
        let listener = levent::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = spawn(async move { listener.accept().await.unwrap().0 });
        let mut client = levent::net::TcpStream::connect(address.as_str())
            .await
            .unwrap();
        let mut server = server.await;
        client.write_all(b"hello").await.unwrap();
        server.read_exact(&mut [0; 5]).await.unwrap();
        sleep(Duration::from_millis(5)).await;
        assert_eq!(threads("self"), before);
    });
    assert_eq!(threads("self"), before);
}

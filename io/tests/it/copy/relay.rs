//! Relays between real sockets.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::process::{Command, Stdio};

use futures_lite::future::{try_zip, yield_now, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_io::net::unix::UnixStream;
use levent_io::net::{TcpListener, TcpStream};
use levent_io::{copy, splice};

use super::{Ends, Socket, WAYS, Way, everywhere, is_gone, pattern};

/// Sends everything in pieces, with turns of the loop between them, and closes.
async fn send(stream: &mut impl Socket, bytes: &[u8], piece: usize, pause: u32) -> io::Result<()> {
    for piece in bytes.chunks(piece) {
        stream.write_all(piece).await?;
        for _ in 0..pause {
            yield_now().await;
        }
    }
    stream.close().await
}

/// Receives to the end.
async fn receive(stream: &mut impl Socket, piece: usize, pause: u32) -> io::Result<Vec<u8>> {
    let (mut buffer, mut all) = (vec![0; piece], Vec::new());
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
        for _ in 0..pause {
            yield_now().await;
        }
    }
}

/// Both ways at once: `there` at one pace, the same bytes backwards at another.
async fn passes<A: Socket, B: Socket>(way: Way, size: usize, pace: (usize, u32)) -> io::Result<()> {
    let mut ends = Ends::<A, B>::new().await?;
    let there = pattern(size);
    let back: Vec<u8> = there.iter().rev().copied().collect();
    let (mut client, mut server) = (ends.client, ends.server);
    // No stream is read and written by two tasks at once: one task has the client, one the server.
    let (client, server) = (&mut client, &mut server);
    let relay = way.relay(&mut ends.a, &mut ends.b);
    let talk = async {
        send(client, &there, 100_000, 0).await?;
        let received = receive(client, 100_000, 0).await?;
        assert!(received == back, "{way:?}, {size} back");
        Ok(())
    };
    let answer = async {
        let received = receive(server, pace.0, pace.1).await?;
        assert!(received == there, "{way:?}, {size} there");
        send(server, &back, pace.0, pace.1).await
    };
    let (moved, _) = try_zip(relay, try_zip(talk, answer)).await?;
    assert_eq!(moved, (size as u64, size as u64));
    Ok(())
}

/// Contents are the same at sizes around the block's and the pipe's.
#[test]
fn contents_are_identical() {
    everywhere(|| async {
        for way in WAYS {
            for size in [
                0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 147_456,
            ] {
                passes::<TcpStream, TcpStream>(way, size, (65_536, 0)).await?;
                passes::<UnixStream, TcpStream>(way, size, (65_536, 0)).await?;
                passes::<TcpStream, UnixStream>(way, size, (65_536, 0)).await?;
            }
        }
        Ok(())
    });
}

/// Two MiB to a slow reader, and from a slow writer: the kernel's buffers fill and empty again and again.
#[test]
fn slow_reader_and_slow_writer() {
    everywhere(|| async {
        for way in WAYS {
            for pace in [(10_007, 1), (1500, 0), (40_000, 3)] {
                passes::<TcpStream, TcpStream>(way, 2 << 20, pace).await?;
                passes::<UnixStream, UnixStream>(way, 2 << 20, pace).await?;
                passes::<TcpStream, UnixStream>(way, 2 << 20, pace).await?;
            }
        }
        Ok(())
    });
}

/// Both directions full at once do not keep each other from moving.
#[test]
fn both_directions_at_once() {
    everywhere(|| async {
        for way in WAYS {
            let mut ends = Ends::<TcpStream, UnixStream>::new().await?;
            let bytes = pattern(3 << 20);
            let (mut client, mut client_reader) = (ends.client.clone(), ends.client);
            let (mut server, mut server_reader) = (ends.server.clone(), ends.server);
            let clients = try_zip(
                send(&mut client, &bytes, 50_000, 0),
                receive(&mut client_reader, 9000, 0),
            );
            let servers = try_zip(
                send(&mut server, &bytes, 3000, 0),
                receive(&mut server_reader, 70_000, 0),
            );
            let relay = way.relay(&mut ends.a, &mut ends.b);
            let (moved, (((), back), ((), there))) =
                try_zip(relay, try_zip(clients, servers)).await?;
            assert_eq!(moved, (3 << 20, 3 << 20));
            assert!(there == bytes && back == bytes, "{way:?}");
        }
        Ok(())
    });
}

/// Whoever ends first, the other one is heard to its end.
#[test]
fn half_close_in_both_orders() {
    everywhere(|| async {
        for way in WAYS {
            for client_first in [true, false] {
                let ends = Ends::<TcpStream, TcpStream>::new().await?;
                let (mut a, mut b) = (ends.a, ends.b);
                let (mut first, mut second) = if client_first {
                    (ends.client, ends.server)
                } else {
                    (ends.server, ends.client)
                };
                let talk = async {
                    first.write_all(b"question").await?;
                    first.close().await?;
                    let mut text = String::new();
                    second.read_to_string(&mut text).await?;
                    assert_eq!(text, "question");
                    // The end has arrived, and the other direction still works, for small and for large.
                    let answer = pattern(200_000);
                    let (received, ()) = try_zip(
                        receive(&mut first, 65_536, 0),
                        send(&mut second, &answer, 65_536, 0),
                    )
                    .await?;
                    assert!(received == answer);
                    Ok(())
                };
                let (moved, ()) = try_zip(way.relay(&mut a, &mut b), talk).await?;
                let expected = if client_first {
                    (8, 200_000)
                } else {
                    (200_000, 8)
                };
                assert_eq!(moved, expected, "{way:?}");
            }
        }
        Ok(())
    });
}

/// A side that is reset ends the relay with an error that says which one it was.
#[test]
fn reset_in_the_middle() {
    everywhere(|| async {
        for way in WAYS {
            for is_client in [true, false] {
                let ends = Ends::<TcpStream, TcpStream>::new().await?;
                let (mut a, mut b) = (ends.a, ends.b);
                let (gone, mut stays) = if is_client {
                    (ends.client, ends.server)
                } else {
                    (ends.server, ends.client)
                };
                let reset = async {
                    stays.write_all(b"unread").await?;
                    while gone.peek(&mut [0; 6]).await? < 6 {}
                    // Much is under way when the socket closes, and unread data makes that a reset.
                    let mut writer = gone.clone();
                    writer.write_all(&pattern(100_000)).await?;
                    drop((gone, writer));
                    io::Result::Ok(())
                };
                let (result, written) = zip(way.relay(&mut a, &mut b), reset).await;
                written?;
                let error = result.unwrap_err();
                let side = if is_client { " a:" } else { " b:" };
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                assert!(error.to_string().contains(side), "{way:?}: {error}");
                let source = error.source().and_then(|error| error.downcast_ref());
                assert!(source.and_then(io::Error::raw_os_error).is_some());
                // Nothing was closed by the relay; it is by its caller.
                drop((a, b));
                let mut rest = Vec::new();
                stays.read_to_end(&mut rest).await?;
                assert!(pattern(100_000).starts_with(&rest));
            }
        }
        Ok(())
    });
}

/// A sink whose peer is gone is a write error of that side, by memory and through a pipe.
#[test]
fn sink_is_gone() {
    everywhere(|| async {
        for way in WAYS {
            let Ends {
                mut client,
                mut a,
                mut b,
                server,
            } = Ends::<UnixStream, UnixStream>::new().await?;
            drop(server);
            let bytes = pattern(100_000);
            let relay = async { way.relay(&mut a, &mut b).await };
            let (result, written) = zip(relay, client.write_all(&bytes)).await;
            written?;
            let error = result.unwrap_err();
            assert!(is_gone(&error), "{error}");
            assert!(error.to_string().contains("write to b"), "{error}");
        }
        Ok(())
    });
}

/// One direction alone flushes, and leaves the writer open; halves will do.
#[test]
fn one_direction_leaves_the_writer_open() {
    everywhere(|| async {
        for way in WAYS {
            let Ends {
                mut client,
                a,
                b,
                mut server,
            } = Ends::<TcpStream, UnixStream>::new().await?;
            let ((mut reader, _writer), (_reader, mut writer)) = (a.split(), b.split());
            let bytes = pattern(100_000);
            let copied = async {
                let copied = match way {
                    Way::Memory => copy(&mut reader, &mut writer).await?,
                    Way::Pipe => splice(&mut reader, &mut writer).await?,
                };
                writer.write_all(b"more").await?;
                writer.close().await?;
                Ok(copied)
            };
            let ends = try_zip(
                send(&mut client, &bytes, 65_536, 0),
                receive(&mut server, 65_536, 0),
            );
            let (copied, ((), received)) = try_zip(copied, ends).await?;
            assert_eq!(copied, 100_000);
            assert!(received == [&bytes[..], b"more"].concat());
        }
        Ok(())
    });
}

/// An echo: reader and writer are one stream, and one task waits for both its directions.
#[test]
fn echo_through_halves() {
    everywhere(|| async {
        for way in WAYS {
            let (client, echoes) = TcpStream::pair().await?;
            let (mut reader, mut writer) = echoes.split();
            let bytes = pattern(3 << 20);
            let (mut out, mut back) = (client.clone(), client);
            let echo = async {
                match way {
                    Way::Memory => copy(&mut reader, &mut writer).await?,
                    Way::Pipe => splice(&mut reader, &mut writer).await?,
                };
                writer.close().await
            };
            let ends = try_zip(
                send(&mut out, &bytes, 100_000, 0),
                receive(&mut back, 30_000, 1),
            );
            let ((), ((), received)) = try_zip(echo, ends).await?;
            assert!(received == bytes, "{way:?}");
        }
        Ok(())
    });
}

/// Urgent data among much else: a splice in front of it says that there is nothing, or no more, and that is not believed. Nothing but the
/// urgent byte, which is not part of the stream, gets lost.
#[test]
fn urgent_data_in_the_middle() {
    const SENDER: &str = "
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
for i in range(20):
    s.sendall(b'a' * 70000)
    s.send(b'!', socket.MSG_OOB)
s.sendall(b'z')
s.shutdown(socket.SHUT_WR)
s.recv(1)
";
    everywhere(|| async {
        for way in WAYS {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let port = listener.local_addr()?.port().to_string();
            let sender = Command::new("python3")
                .args(["-c", SENDER, &port])
                .stdin(Stdio::null())
                .spawn();
            let Ok(mut sender) = sender else {
                println!("skipped: needs python3, to send urgent data");
                return Ok(());
            };
            let (mut a, _) = listener.accept().await?;
            let (mut b, mut server) = UnixStream::pair()?;
            let answer = async {
                let received = receive(&mut server, 30_000, 1).await?;
                server.close().await?;
                Ok(received)
            };
            let ((there, _), received) = try_zip(way.relay(&mut a, &mut b), answer).await?;
            assert_eq!(there, received.len() as u64);
            // An urgent byte that another one has overtaken becomes part of the stream.
            let others = received.iter().filter(|&&byte| byte != b'!').count();
            assert_eq!(others, 1_400_001, "{way:?}");
            assert!(received.ends_with(b"z"));
            drop(a);
            assert!(sender.wait()?.success());
        }
        Ok(())
    });
}

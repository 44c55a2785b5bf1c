//! Descriptors that travel over Unix sockets.

use super::{everywhere, turn};
use futures_lite::future::{poll_once, try_zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_io::Async;
use levent_io::net::unix::{UnixDatagram, UnixListener, UnixStream};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;

/// A received descriptor is the sender's open file, and does not reach our children.
#[cfg(target_os = "linux")]
#[test]
fn received_descriptor_works() {
    use std::os::fd::AsRawFd;
    everywhere(|| async {
        let (left, right) = UnixStream::pair()?;
        let (mut reader, writer) = StdStream::pair()?;
        let (mut bytes, mut fds) = ([0; 8], Vec::new());
        let (received, sent) = try_zip(
            async {
                // Waits: nothing is there yet.
                right
                    .recv_with_fds(&mut [IoSliceMut::new(&mut bytes)], &mut fds, 4)
                    .await
            },
            async {
                turn().await;
                let bufs = [IoSlice::new(b"he"), IoSlice::new(b"re")];
                left.send_with_fds(&bufs, &[writer.as_fd()]).await
            },
        )
        .await?;
        drop(writer);
        assert_eq!((sent, received.len, fds.len()), (4, 4, 1));
        assert!(!received.has_lost_fds);
        assert_eq!(&bytes[..4], b"here");
        let theirs = fds.pop().expect("one came");
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", theirs.as_raw_fd()))?;
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        assert_ne!(flags.expect("flags") & 0o2_000_000, 0, "close-on-exec");
        std::fs::File::from(theirs).write_all(b"to the other end")?;
        // The last writer is gone with it.
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        assert_eq!(text, "to the other end");
        Ok(())
    });
}

/// A receive ends with the message that carries descriptors, though more is there and the buffer has room: what follows is not
/// waited for.
#[test]
fn receive_ends_with_the_descriptors() {
    everywhere(|| async {
        let (mut left, mut right) = UnixStream::pair()?;
        let (reader, writer) = StdStream::pair()?;
        left.write_all(b"ab").await?;
        left.send_with_fds(&[IoSlice::new(b"c")], &[reader.as_fd()])
            .await?;
        left.send_with_fds(&[IoSlice::new(b"d")], &[writer.as_fd()])
            .await?;
        left.write_all(b"ef").await?;
        let (mut bytes, mut fds, mut text) = ([0; 64], Vec::new(), Vec::new());
        for expected in [1, 2] {
            while fds.len() < expected {
                let bufs = &mut [IoSliceMut::new(&mut bytes)];
                let received = right.recv_with_fds(bufs, &mut fds, 8).await?;
                text.extend_from_slice(&bytes[..received.len]);
            }
            assert_eq!(fds.len(), expected);
        }
        assert_eq!(text, b"abcd");
        // The stream's own read goes on where it ended, and so does a receive after that.
        right.read_exact(&mut bytes[..1]).await?;
        assert_eq!(bytes[0], b'e');
        let bufs = &mut [IoSliceMut::new(&mut bytes)];
        assert_eq!(right.recv_with_fds(bufs, &mut fds, 8).await?.len, 1);
        let mut bufs = [IoSliceMut::new(&mut bytes)];
        let nothing = right.recv_with_fds(&mut bufs, &mut fds, 8);
        assert!(poll_once(nothing).await.is_none());
        drop(left);
        let end = right.recv_with_fds(&mut bufs, &mut fds, 8).await?;
        assert_eq!((end.len, end.has_lost_fds, fds.len()), (0, false, 2));
        Ok(())
    });
}

/// A plain read that is short at the descriptors goes on with what is behind them, and closes them.
#[test]
fn plain_read_passes_descriptors_over() {
    everywhere(|| async {
        let (mut left, mut right) = UnixStream::pair()?;
        let (reader, writer) = StdStream::pair()?;
        let mut reader = Async::<StdStream>::new(reader)?;
        left.send_with_fds(&[IoSlice::new(b"ab")], &[writer.as_fd()])
            .await?;
        left.write_all(b"cd").await?;
        drop(writer);
        let mut bytes = [0; 4];
        right.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"abcd");
        assert_eq!(reader.read(&mut bytes).await?, 0, "no writer is left");
        Ok(())
    });
}

/// A full buffer is waited for; the descriptor goes with the first byte of a send that is cut, and once.
#[test]
fn send_waits_for_room() {
    everywhere(|| async {
        let (left, right) = UnixStream::pair()?;
        let (reader, _writer) = StdStream::pair()?;
        let block = vec![7; 1 << 20];
        let bufs = [IoSlice::new(&block)];
        let fds = [reader.as_fd()];
        let mut sent = left.send_with_fds(&bufs, &fds).await?;
        assert!(sent > 0 && sent < block.len(), "{sent} bytes went at once");
        let mut marks = 1;
        while let Some(more) = poll_once(left.send_with_fds(&bufs, &fds)).await {
            sent += more?;
            marks += 1;
        }
        // Dropped while it waited: neither bytes nor descriptors of it were sent.
        let (mut bytes, mut received, mut came) = (vec![0; 1 << 16], 0, Vec::new());
        try_zip(
            async {
                while received < sent + 1 {
                    let bufs = &mut [IoSliceMut::new(&mut bytes)];
                    received += right.recv_with_fds(bufs, &mut came, 1).await?.len;
                }
                Ok(())
            },
            left.send_with_fds(&[IoSlice::new(b"x")], &fds),
        )
        .await?;
        assert_eq!((received, came.len()), (sent + 1, marks + 1));
        Ok(())
    });
}

/// A datagram is a message of its own: what does not fit is lost, and said; an empty one may carry descriptors.
#[test]
fn datagrams_carry_descriptors() {
    everywhere(|| async {
        let (left, right) = UnixDatagram::pair()?;
        let (reader, writer) = StdStream::pair()?;
        let mut reader = Async::<StdStream>::new(reader)?;
        let two = [writer.as_fd(), writer.as_fd()];
        left.send_with_fds(&[IoSlice::new(b"abc")], &two).await?;
        left.send_with_fds(&[], &two[..1]).await?;
        left.send_with_fds(&[IoSlice::new(b"d")], &[]).await?;
        drop(writer);

        let (mut bytes, mut fds) = ([0; 2], Vec::<OwnedFd>::new());
        let mut bufs = [IoSliceMut::new(&mut bytes)];
        let cut = right.recv_with_fds(&mut bufs, &mut fds, 1).await?;
        assert_eq!((cut.len, fds.len()), (2, 1));
        assert!(cut.has_lost_bytes && cut.has_lost_fds);
        let empty = right.recv_with_fds(&mut bufs, &mut fds, 1).await?;
        assert_eq!((empty.len, fds.len()), (0, 2));
        assert!(!empty.has_lost_bytes && !empty.has_lost_fds);
        let last = right.recv_with_fds(&mut bufs, &mut fds, 1).await?;
        assert_eq!((last.len, fds.len()), (1, 2));

        drop(fds);
        let mut end = [0];
        assert_eq!(reader.read(&mut end).await?, 0, "no writer is left");
        Ok(())
    });
}

/// What cannot be sent is an error, and a read into nothing takes nothing.
#[test]
fn misuse_is_told() {
    everywhere(|| async {
        let (left, right) = UnixStream::pair()?;
        let error = left.send_with_fds(&[], &[right.as_fd()]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);

        left.send_with_fds(&[IoSlice::new(b"x")], &[right.as_fd()])
            .await?;
        let mut fds = Vec::new();
        let nothing = right.recv_with_fds(&mut [], &mut fds, 1).await?;
        assert_eq!((nothing.len, fds.len()), (0, 0));
        let mut byte = [0];
        let bufs = &mut [IoSliceMut::new(&mut byte)];
        assert_eq!(right.recv_with_fds(bufs, &mut fds, 1).await?.len, 1);
        assert_eq!(fds.len(), 1);

        drop((right, fds));
        let error = left
            .send_with_fds(&[IoSlice::new(b"x")], &[left.as_fd()])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        Ok(())
    });
}

/// Both ends are ours.
#[cfg(target_os = "linux")]
#[test]
fn peer_is_this_process() {
    everywhere(|| async {
        let dir = super::TempDir::new("peer")?;
        let listener = UnixListener::bind(dir.join("socket"))?;
        let (client, (server, _)) =
            try_zip(UnixStream::connect(dir.join("socket")), listener.accept()).await?;
        let (one, _other) = UnixStream::pair()?;
        for stream in [&client, &server, &one] {
            let peer = stream.peer_cred()?;
            assert_eq!(peer.pid, i32::try_from(std::process::id()).ok());
            assert_eq!(peer, client.peer_cred()?);
        }
        Ok(())
    });
}

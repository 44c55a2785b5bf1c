//! `os::kqueue`, on the BSDs and macOS. Not over libkqueue: there a queue's descriptor does not become readable.

#![cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]

use std::future::Future;
use std::io;
use std::num::NonZeroI32;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{self, Child, Command, Stdio};

use futures_lite::future::{poll_fn, poll_once};
use levent_async_io::block_on;
use levent_async_io::os::kqueue::{Exit, Filter, Queueable, Ready, Signal};

/// Under our loop, and under one that knows nothing of it.
fn everywhere<F: Future<Output = io::Result<()>>>(test: impl Fn() -> F) {
    block_on(test()).expect("under ours");
    futures_lite::future::block_on(test()).expect("under another");
}

/// One that ends when its input does.
fn reader() -> io::Result<Child> {
    Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
}

#[allow(unsafe_code)]
fn exit(child: &Child) -> io::Result<Filter<Exit>> {
    let pid = NonZeroI32::new(child.id().try_into().expect("a number")).expect("not zero");
    // SAFETY: it is the number of a child, which nobody has waited for.
    Filter::new(unsafe { Exit::from_pid(pid) })
}

/// The end of a child is reported when it comes, and remains so; its status is still there.
#[test]
fn child_ends() {
    everywhere(|| async {
        let mut child = reader()?;
        let filter = exit(&child)?;
        assert!(poll_once(filter.ready()).await.is_none());
        drop(child.stdin.take());
        filter.ready().await?;
        poll_fn(|cx| filter.poll_ready(cx)).await?;
        assert!(child.wait()?.success());
        filter.ready().await
    });
}

/// One that has ended before is reported too.
#[test]
fn child_has_ended() {
    everywhere(|| async {
        let mut child = reader()?;
        assert!(child.wait()?.success());
        exit(&child)?.ready().await
    });
}

/// A signal is reported as often as it comes while somebody waits; this one does nothing else.
#[test]
fn signal_comes() {
    /// `SIGWINCH`, everywhere.
    const WINDOW: i32 = 28;
    everywhere(|| async {
        let filter = Filter::new(Signal(WINDOW))?;
        assert!(poll_once(filter.ready()).await.is_none());
        for _ in 0..2 {
            let pid = process::id().to_string();
            let mut kill = Command::new("kill").args(["-WINCH", &pid]).spawn()?;
            filter.ready().await?;
            assert!(kill.wait()?.success());
        }
        assert_eq!(
            (filter.get_ref(), filter.as_ref()),
            (&Signal(WINDOW), &Signal(WINDOW))
        );
        assert_eq!(filter.into_inner()?, Signal(WINDOW));
        assert!(Filter::new(Signal(0)).is_err());
        Ok(())
    });
}

/// A descriptor in a filter is ready when it can be read, and is given back open.
#[test]
fn descriptor() {
    everywhere(|| async {
        let (left, right) = UnixStream::pair()?;
        let filter = Filter::<UnixStream>::try_from(OwnedFd::from(left))?;
        assert!(poll_once(filter.ready()).await.is_none());
        io::Write::write_all(&mut &right, b"x")?;
        filter.ready().await?;
        filter.as_fd().try_clone_to_owned()?;
        let left = UnixStream::from(OwnedFd::try_from(filter)?);
        let mut byte = [0];
        io::Read::read_exact(&mut &left, &mut byte)
    });
}

/// The traits that async-io's have.
#[test]
fn auto_traits() {
    fn is<T: Send + Sync + Unpin + std::fmt::Debug>() {}
    fn queues<T: Queueable>() {}
    is::<Filter<Signal>>();
    is::<Filter<Exit>>();
    is::<Ready<'static, Signal>>();
    queues::<Signal>();
    queues::<Exit>();
}

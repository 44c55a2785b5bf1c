//! Where the kernel refuses, everything is read and written.
//!
//! `strace` makes the calls fail, in a process of the test's own.

use std::process::{Command, Stdio};

use futures_lite::future::try_zip;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent_io::net::TcpStream;
use levent_io::net::unix::UnixStream;
use levent_io::{send_file, splice_bidirectional};

use super::{Ends, is_child, pattern, run_child};

/// True in the process whose system calls fail as `fault` says; elsewhere runs that process.
fn with_fault(name: &str, fault: &str) -> bool {
    if is_child(name) {
        return true;
    }
    let strace = || {
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", &format!("inject={fault}")]);
        // A search for leaks is a tracer itself, and there can be only one.
        command.env("ASAN_OPTIONS", "detect_leaks=0");
        command
    };
    let probe = strace().arg("true").stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        println!("skipped: needs strace, and that it may trace");
        return false;
    }
    let mut command = strace();
    command.arg(std::env::current_exe().expect("a running test has a path"));
    run_child(command, name);
    false
}

fn relays() {
    levent_executor::block_on(async {
        let Ends {
            mut client,
            mut a,
            mut b,
            mut server,
        } = Ends::<TcpStream, UnixStream>::new().await?;
        let bytes = pattern(500_000);
        let send = async {
            client.write_all(&bytes).await?;
            client.close().await
        };
        let receive = async {
            let mut received = Vec::new();
            server.read_to_end(&mut received).await?;
            assert!(received == bytes);
            server.close().await
        };
        let relay = splice_bidirectional(&mut a, &mut b);
        let (moved, _) = try_zip(relay, try_zip(send, receive)).await?;
        assert_eq!(moved, (500_000, 0));
        std::io::Result::Ok(())
    })
    .unwrap();
}

/// A kernel without `splice`.
#[test]
fn splice_is_unknown() {
    if with_fault("copy::refused::splice_is_unknown", "splice:error=ENOSYS") {
        relays();
    }
}

/// A source that cannot be spliced.
#[test]
fn source_is_refused() {
    if with_fault("copy::refused::source_is_refused", "splice:error=EINVAL") {
        relays();
    }
}

/// A sink that cannot be spliced to: what is in the pipe already is read from there.
#[test]
fn sink_is_refused() {
    let fault = "splice:error=EINVAL:when=2+";
    if with_fault("copy::refused::sink_is_refused", fault) {
        relays();
    }
}

/// A sink that is refused later, with bytes in the pipe.
#[test]
fn sink_is_refused_later() {
    let fault = "splice:error=EINVAL:when=4+";
    if with_fault("copy::refused::sink_is_refused_later", fault) {
        relays();
    }
}

/// No descriptors for a pipe.
#[test]
fn no_pipe_is_to_be_had() {
    if with_fault("copy::refused::no_pipe_is_to_be_had", "pipe2:error=EMFILE") {
        relays();
    }
}

/// Signals in the middle are no errors.
#[test]
fn splice_is_interrupted() {
    let fault = "splice:error=EINTR:when=1+2";
    if with_fault("copy::refused::splice_is_interrupted", fault) {
        relays();
    }
}

/// A kernel without `sendfile`, or one that refuses it for this file or socket.
#[test]
fn sendfile_is_refused() {
    let fault = "sendfile:error=EINVAL:when=2+";
    if !with_fault("copy::refused::sendfile_is_refused", fault) {
        return;
    }
    let dir = super::file::TempFile::new(&pattern(700_000));
    levent_executor::block_on(async {
        let (mut here, mut there) = UnixStream::pair()?;
        let mut received = vec![0; 699_999];
        let file = dir.open();
        let send = send_file(&mut here, &file, 1, 699_999);
        let (sent, ()) = try_zip(send, there.read_exact(&mut received)).await?;
        assert_eq!(sent, 699_999);
        assert!(received == pattern(700_000)[1..]);
        std::io::Result::Ok(())
    })
    .unwrap();
}

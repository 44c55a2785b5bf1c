//! Listeners: accepting, sharing, and running out of descriptors.

use super::{everywhere, turn};
use futures_lite::future::{poll_once, try_zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use levent_io::Async;
use levent_io::net::unix::{UnixListener, UnixStream};
use levent_io::net::{TcpListener, TcpStream};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn address_in_use() {
    everywhere(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let error = TcpListener::bind(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        // The first one goes on.
        try_zip(TcpStream::connect(address), listener.accept()).await?;
        Ok(())
    });
}

/// A connection that is there already is accepted by the first poll.
#[test]
fn first_poll_accepts_what_is_there() {
    everywhere(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
        assert!(matches!(poll_once(listener.accept()).await, Some(Ok(_))));
        assert!(poll_once(listener.accept()).await.is_none());
        Ok(())
    });
}

/// Several tasks accept from clones of one listener: each connection goes to one, and none waits for ever.
#[test]
fn accepted_by_several_tasks() {
    everywhere(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (first, second) = (listener.clone(), listener.clone());
        let clients = async {
            turn().await;
            let one = TcpStream::connect(address).await?;
            turn().await;
            Ok((one, TcpStream::connect(address).await?))
        };
        try_zip(clients, try_zip(first.accept(), second.accept())).await?;
        Ok(())
    });
}

#[test]
fn incoming() {
    everywhere(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = async {
            let mut incoming = listener.incoming();
            for _ in 0..3 {
                let mut stream = incoming.next().await.expect("never ends")?;
                stream.write_all(b"hi").await?;
            }
            Ok(())
        };
        let clients = async {
            for _ in 0..3 {
                let mut text = String::new();
                TcpStream::connect(address)
                    .await?
                    .read_to_string(&mut text)
                    .await?;
                assert_eq!(text, "hi");
            }
            Ok::<_, io::Error>(())
        };
        try_zip(server, clients).await?;

        let bare = Async::<std::net::TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = bare.get_ref().local_addr()?;
        let mut incoming = Box::pin(bare.incoming());
        let accepted = async { incoming.next().await.expect("never ends") };
        try_zip(accepted, TcpStream::connect(address)).await?;
        Ok(())
    });
}

#[test]
fn unix_incoming() {
    everywhere(|| async {
        let dir = super::TempDir::new("incoming")?;
        let listener = UnixListener::bind(dir.join("socket"))?;
        let mut incoming = listener.incoming();
        let accepted = async { incoming.next().await.expect("never ends") };
        try_zip(accepted, UnixStream::connect(dir.join("socket"))).await?;
        Ok(())
    });
}

/// Promise 7: without descriptors, `accept` says so at once, the next one pauses, and all is well once there are some.
#[test]
fn out_of_descriptors() {
    const CHILD: &str = "LEVENT_IO_OUT_OF_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        // The limit is the process's, so it needs one of its own.
        let binary = std::env::current_exe().expect("our own binary");
        let status = Command::new("sh")
            .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
            .arg(binary)
            .args(["--exact", "behaviour::listeners::out_of_descriptors"])
            .env(CHILD, "1")
            .status()
            .expect("a child");
        assert!(status.success(), "{status}");
        return;
    }
    everywhere(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        // Waits once, so that whatever the reactor opens is open.
        try_zip(TcpStream::connect(address), listener.accept()).await?;

        let clients = (0..3)
            .map(|_| std::net::TcpStream::connect(address))
            .collect::<io::Result<Vec<_>>>()?;
        let mut hoard = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            hoard.push(file);
        }
        let begin = Instant::now();
        let mut errors = 0;
        while begin.elapsed() < Duration::from_millis(300) {
            // Clones share the pause.
            let error = listener.clone().accept().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(24), "{error}");
            errors += 1;
        }
        // At 0, 10, 30, 70, 150 and 310 ms, at the earliest.
        assert!((2..=6).contains(&errors), "{errors} errors");

        hoard.clear();
        let begin = Instant::now();
        for _ in &clients {
            listener.accept().await?;
        }
        assert!(begin.elapsed() < Duration::from_secs(1));
        Ok(())
    });
}

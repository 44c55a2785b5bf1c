//! The programs, and others, as child processes.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_lite::future::zip;
use futures_lite::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use levent::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// A server that runs, and where it listens; killed when dropped.
pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) address: String,
}

impl Server {
    pub(crate) async fn start(program: &str, arguments: &[&str]) -> Server {
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).await.expect("text");
        let address = line.trim_end().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("not the first line of a server: {line}"));
        Server {
            address: address.to_owned(),
            child,
            stdout,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn signal(&self, signal: i32) {
        let pid = self.child.id().try_into().expect("a number of a process");
        // SAFETY: the call takes no pointer.
        let sent = unsafe { libc::kill(pid, signal) };
        assert_eq!(sent, 0);
    }

    /// Interrupts it, and waits for its end: the status and what else it printed.
    pub(crate) async fn end(mut self) -> (ExitStatus, String) {
        self.signal(libc::SIGINT);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).await.expect("text");
        (self.child.status().await.expect("it is ours"), rest)
    }
}

/// What a program prints and how it ends, with this input; `None`, with a note, where it is not installed.
pub(crate) async fn run(
    program: &str,
    arguments: &[impl AsRef<OsStr>],
    input: &[u8],
) -> Option<(ExitStatus, Vec<u8>)> {
    talk(program, arguments, input, 0).await
}

/// The same for one that leaves when its input ends: that is kept open until it has printed so much.
pub(crate) async fn talk(
    program: &str,
    arguments: &[impl AsRef<OsStr>],
    input: &[u8],
    answer: usize,
) -> Option<(ExitStatus, Vec<u8>)> {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("note: skipped, there is no `{program}`");
            return None;
        }
        Err(error) => panic!("{program}: {error}"),
    };
    let (mut stdin, mut stdout) = (child.stdin.take()?, child.stdout.take()?);
    let mut output = vec![0; answer];
    // One that does not read its input has gone before.
    let (_, read) = zip(stdin.write_all(input), stdout.read_exact(&mut output)).await;
    read.expect("as much as it has to print");
    drop(stdin);
    stdout.read_to_end(&mut output).await.expect("a pipe");
    Some((child.status().await.expect("it is ours"), output))
}

/// The same for one that has to succeed, and prints text.
pub(crate) async fn text(program: &str, arguments: &[impl AsRef<OsStr>]) -> Option<String> {
    let (status, output) = run(program, arguments, b"").await?;
    assert!(status.success(), "{program}: {status}");
    Some(String::from_utf8(output).expect("text"))
}

/// Runs a test in a thread of its own, which has to end.
pub(crate) fn in_time(test: impl FnOnce() -> io::Result<()> + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let thread = thread::spawn(move || {
        let result = test();
        let _ = ended.send(());
        result
    });
    match end.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        // It has panicked, or is done.
        _ => thread.join().expect("no panic").expect("no error"),
    }
}

/// Bytes of a stream from a position on, without a short period: one that is lost, repeated or out of place shows.
pub(crate) fn piece(stream: u64, from: u64, len: usize) -> Vec<u8> {
    let byte = |position: u64| {
        let mixed = (position ^ stream.rotate_left(40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 29) as u8
    };
    (from..from + len as u64).map(byte).collect()
}

//! `Child`: a process that was started, and the pipes to it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::process::{self, ExitStatus, Output};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_io::AsyncRead;

use super::exit::Exit;
use super::pipes::{ChildStderr, ChildStdin, ChildStdout};
use super::reap::reap;

/// A child process.
///
/// Dropping it leaves the process running, unless the command said [`kill_on_drop`](super::Command::kill_on_drop); its end is awaited
/// then by the reactor, so that it does not stay a zombie, unless the command said otherwise
/// ([`reap_on_drop`](super::Command::reap_on_drop)).
///
/// # Examples
///
/// ```no_run
/// use levent_io::process::Command;
///
/// # fn main() -> std::io::Result<()> {
/// levent_executor::block_on(async {
///     let mut child = Command::new("sleep").arg("1").spawn()?;
///     println!("{} {}", child.id(), child.status().await?);
///     Ok(())
/// })
/// # }
/// ```
pub struct Child {
    /// The writing end of the child's standard input, if that was to be a pipe.
    pub stdin: Option<ChildStdin>,
    /// The reading end of its standard output, if that was to be a pipe.
    pub stdout: Option<ChildStdout>,
    /// The reading end of its standard error, if that was to be a pipe.
    pub stderr: Option<ChildStderr>,
    /// Shared with the futures of `status`, which outlive the `Child` if need be.
    process: Arc<Owned>,
}

impl Child {
    pub(super) fn spawn(
        command: &mut process::Command,
        kill_on_drop: bool,
        reap_on_drop: bool,
    ) -> io::Result<Child> {
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut process = Owned {
            exit: Some(Exit::new(child)),
            // Until it is certain that there will be a `Child`: one that nobody can talk to must not go on.
            kill_on_drop: true,
            reap_on_drop: true,
        };
        let stdin = pipes.0.map(ChildStdin::new).transpose()?;
        let stdout = pipes.1.map(ChildStdout::new).transpose()?;
        let stderr = pipes.2.map(ChildStderr::new).transpose()?;
        process.kill_on_drop = kill_on_drop;
        process.reap_on_drop = reap_on_drop;
        Ok(Child {
            stdin,
            stdout,
            stderr,
            process: Arc::new(process),
        })
    }

    /// The process's number. It may be another's once the status has been taken.
    pub fn id(&self) -> u32 {
        self.process.exit().id()
    }

    /// Ends the process with SIGKILL. Its status is still to be awaited.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if its status has been taken already.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.exit().kill()
    }

    /// The status, if the process has ended. Does not wait, and leaves `stdin` as it is.
    ///
    /// # Errors
    ///
    /// The system's: most likely that somebody else has waited for the process.
    pub fn try_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.exit().try_status()
    }

    /// Drops `stdin`, so that the process does not wait for input for ever, and waits for its end.
    ///
    /// It may be called again, and the futures be awaited at the same time; all get the same status. The future does not borrow the `Child`, and
    /// the process is not lost if the `Child` is dropped before.
    ///
    /// # Errors
    ///
    /// As [`try_status`](Child::try_status), and those of registering with the reactor.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the status is remembered.
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + use<> {
        self.stdin = None;
        let process = Arc::clone(&self.process);
        async move { process.exit().status().await }
    }

    /// Drops `stdin`, reads what the process writes to `stdout` and `stderr`, as far as they are pipes, to the end of both, and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`status`](Child::status), and those of reading.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses what was read, and drops the `Child`.
    pub fn output(mut self) -> impl Future<Output = io::Result<Output>> {
        let status = self.status();
        async move {
            let mut stdout = Gathered::new(self.stdout.take());
            let mut stderr = Gathered::new(self.stderr.take());
            poll_fn(|cx| {
                // Both, always: a process that fills one pipe while the other is read would stand still.
                let (out, err) = (stdout.poll_all(cx)?, stderr.poll_all(cx)?);
                ready!(out);
                ready!(err);
                Poll::Ready(io::Result::Ok(()))
            })
            .await?;
            Ok(Output {
                status: status.await?,
                stdout: stdout.bytes,
                stderr: stderr.bytes,
            })
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish()
    }
}

/// The process, and what becomes of it when nobody has it any more.
struct Owned {
    /// `Some` until the drop.
    exit: Option<Exit>,
    kill_on_drop: bool,
    reap_on_drop: bool,
}

impl Owned {
    fn exit(&self) -> &Exit {
        self.exit.as_ref().expect("only the drop takes it")
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let Some(exit) = self.exit.take() else { return };
        if self.kill_on_drop {
            // Refused only if it has ended.
            let _ = exit.kill();
        }
        if self.reap_on_drop {
            reap(exit);
        }
    }
}

/// What comes through a pipe, to its end.
struct Gathered<P> {
    /// `None` after the end.
    pipe: Option<P>,
    bytes: Vec<u8>,
    /// Where the next ones come, cleared once and not for every read. None without a pipe.
    chunk: Vec<u8>,
}

impl<P: AsyncRead + Unpin> Gathered<P> {
    /// As much as Linux's pipes hold, so that a full one is emptied by one read.
    const CHUNK: usize = 64 << 10;

    fn new(pipe: Option<P>) -> Gathered<P> {
        let room = if pipe.is_some() { Self::CHUNK } else { 0 };
        Gathered {
            pipe,
            bytes: Vec::new(),
            chunk: vec![0; room],
        }
    }

    fn poll_all(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        while let Some(pipe) = &mut self.pipe {
            match Pin::new(pipe).poll_read(cx, &mut self.chunk)? {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(0) => self.pipe = None,
                Poll::Ready(read) => self.bytes.extend_from_slice(&self.chunk[..read]),
            }
        }
        Ok(Poll::Ready(()))
    }
}

//! Child processes, with real ones: `sh`, `cat`, `sleep`.
//!
//! Under our executor and under a foreign one; and once more in a process of its own where no pidfd is to be had.

use crate::behaviour::everywhere;
use crate::support::{is_child, run_child};
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt, future};
use levent_io::process::{Child, Command, Stdio, driver, unix::CommandExt};
use levent_reactor::current;
use levent_timer::Timer;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Is there a process of this number, zombies included?
fn is_there(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok()
}

/// Waits until a process is gone, zombie and all. Which moment that is nobody tells, so it is asked again and again, in a loop that turns.
async fn is_gone(pid: u32) {
    for _ in 0..30_000 {
        if !is_there(pid) {
            return;
        }
        Timer::after(Duration::from_millis(1)).await;
    }
    panic!("process {pid} is still there");
}

#[test]
fn status_is_the_childs() {
    everywhere(async || {
        assert!(sh("exit 0").status().await?.success());
        assert_eq!(sh("exit 7").status().await?.code(), Some(7));
        assert_eq!(sh("kill -TERM $$").status().await?.signal(), Some(15));
        Ok(())
    });
}

#[test]
fn program_that_is_not_there_is_an_error() {
    everywhere(async || {
        let error = Command::new("/nowhere/at/all").status().await;
        assert_eq!(error.map_err(|e| e.kind()), Err(io::ErrorKind::NotFound));
        Ok(())
    });
}

#[test]
fn output_has_both_streams() {
    everywhere(async || {
        let output = sh("echo out; echo err >&2; exit 3").output().await?;
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.stderr, b"err\n");
        assert_eq!(output.status.code(), Some(3));
        Ok(())
    });
}

/// More than a pipe holds in both, by turns: whoever reads one of them to its end first stands still.
#[test]
fn output_reads_both_pipes_at_once() {
    everywhere(async || {
        let script = "i=0; while [ $i -lt 40 ]; do head -c 8192 /dev/zero; head -c 8192 /dev/zero >&2; i=$((i+1)); done";
        let output = sh(script).output().await?;
        assert_eq!(output.stdout.len(), 40 * 8192);
        assert_eq!(output.stderr.len(), 40 * 8192);
        Ok(())
    });
}

#[test]
fn mebibyte_goes_through_cat() {
    everywhere(async || {
        let sent: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().expect("it was to be a pipe");
        let mut stdout = child.stdout.take().expect("it was to be a pipe");
        let mut received = Vec::new();
        let write = async {
            stdin.write_all(&sent).await?;
            drop(stdin);
            io::Result::Ok(())
        };
        future::try_zip(write, stdout.read_to_end(&mut received)).await?;
        assert!(received == sent);
        assert!(child.status().await?.success());
        Ok(())
    });
}

/// `status` drops `stdin`, so that a child that reads to the end does not wait for ever.
#[test]
fn status_ends_the_input() {
    everywhere(async || {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        assert!(child.status().await?.success());
        assert!(child.stdin.is_none());
        Ok(())
    });
}

#[test]
fn kill_ends_it_and_the_status_says_so() {
    everywhere(async || {
        let mut child = Command::new("sleep").arg("1000").spawn()?;
        assert!(child.try_status()?.is_none());
        child.kill()?;
        assert_eq!(child.status().await?.signal(), Some(9));
        assert_eq!(child.try_status()?.and_then(|s| s.signal()), Some(9));
        let again = child.kill().map_err(|error| error.kind());
        // std may take it for done, or refuse; what counts is that no other process of that number is hit.
        assert!(
            matches!(again, Ok(()) | Err(io::ErrorKind::InvalidInput)),
            "{again:?}"
        );
        Ok(())
    });
}

/// Any number of futures, and one after the end, get the same status.
#[test]
fn everybody_gets_the_status() {
    everywhere(async || {
        let mut child = sh("read line; exit 5").stdin(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let (first, second) = (child.status(), child.status());
        // Dropped while it waits: the others do not notice.
        let mut third = Box::pin(child.status());
        assert!(future::poll_once(&mut third).await.is_none());
        drop(third);
        let waits = future::try_zip(first, second);
        let ends = async {
            drop(stdin);
            Ok(())
        };
        let ((first, second), ()) = future::try_zip(waits, ends).await?;
        assert_eq!((first.code(), second.code()), (Some(5), Some(5)));
        assert_eq!(child.status().await?.code(), Some(5));
        Ok(())
    });
}

#[test]
fn hundred_at_once() {
    everywhere(async || {
        let mut waits = Vec::new();
        for code in 0..100 {
            waits.push((code, sh(&format!("exit {code}")).status()));
        }
        for (code, wait) in waits {
            assert_eq!(wait.await?.code(), Some(code));
        }
        Ok(())
    });
}

/// A child that was dropped leaves no zombie, though nobody asks for its status.
#[test]
fn dropped_child_is_reaped() {
    everywhere(async || {
        let mut child = sh("read line").stdin(Stdio::piped()).spawn()?;
        let (pid, stdin) = (child.id(), child.stdin.take());
        drop(child);
        assert!(is_there(pid), "dropping it does not end it");
        drop(stdin);
        is_gone(pid).await;
        Ok(())
    });
}

/// The same when the loop in which it was dropped is left before the end: another one takes over.
#[test]
fn dropped_child_is_reaped_when_its_loop_is_left() -> io::Result<()> {
    let (pid, stdin) = levent_executor::block_on(async {
        let mut child = sh("read line").stdin(Stdio::piped()).spawn()?;
        // The loop has been entered by then.
        Timer::after(Duration::from_millis(1)).await;
        io::Result::Ok((child.id(), child.stdin.take()))
    })?;
    drop(stdin);
    future::block_on(is_gone(pid));
    Ok(())
}

/// A task that has spent its budget may drop one: whoever waits in its place is no part of the task.
#[test]
fn dropped_child_is_reaped_without_budget() -> io::Result<()> {
    levent_executor::block_on(async {
        // The loop has been entered by then.
        Timer::after(Duration::from_millis(1)).await;
        let mut child = sh("read line").stdin(Stdio::piped()).spawn()?;
        let (pid, stdin) = (child.id(), child.stdin.take());
        future::poll_fn(|cx| {
            while current::budget_left() > 0 {
                assert!(current::spend(cx).is_ready());
            }
            std::task::Poll::Ready(())
        })
        .await;
        drop(child);
        assert_eq!(current::budget_left(), 0);
        drop(stdin);
        is_gone(pid).await;
        Ok(())
    })
}

/// Told not to, it leaves the zombie.
#[test]
fn reap_on_drop_can_be_off() {
    everywhere(async || {
        let mut child = sh("read line")
            .reap_on_drop(false)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (pid, mut stdout) = (
            child.id(),
            child.stdout.take().expect("it was to be a pipe"),
        );
        drop(child);
        // The end of its output is the end of the process, or nearly so.
        stdout.read_to_end(&mut Vec::new()).await?;
        let stat = || fs::read_to_string(format!("/proc/{pid}/stat"));
        while !stat()?.contains(") Z ") {
            Timer::after(Duration::from_millis(1)).await;
        }
        Ok(())
    });
}

#[test]
fn kill_on_drop_kills_and_reaps() {
    everywhere(async || {
        let child = Command::new("sleep")
            .arg("1000")
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id();
        drop(child);
        is_gone(pid).await;
        Ok(())
    });
}

/// A future of `status` keeps the process when the `Child` is dropped.
#[test]
fn status_outlives_the_child() {
    everywhere(async || {
        let mut child = sh("exit 4").kill_on_drop(true).spawn()?;
        let status = child.status();
        drop(child);
        // Its own end may come before the drop; what must not happen is that the drop killed it.
        assert_eq!(status.await?.code(), Some(4));
        Ok(())
    });
}

/// Another library's children keep their status: nothing waits for "any child".
#[test]
fn foreign_children_are_left_alone() {
    everywhere(async || {
        let mut foreign = std::process::Command::new("sh")
            .args(["-c", "exit 6"])
            .spawn()?;
        for _ in 0..10 {
            sh("exit 0").status().await?;
        }
        assert_eq!(foreign.wait()?.code(), Some(6));
        Ok(())
    });
}

/// A pipeline: the first one's output is the second one's input, in blocking mode.
#[test]
fn pipes_become_standard_streams() {
    everywhere(async || {
        let mut left = sh("echo one; echo two").stdout(Stdio::piped()).spawn()?;
        let stdout = left.stdout.take().expect("it was to be a pipe");
        let right = Command::new("wc")
            .arg("-l")
            .stdin(stdout.into_stdio().await?)
            .output()
            .await?;
        assert_eq!(String::from_utf8_lossy(&right.stdout).trim(), "2");
        assert!(left.status().await?.success());
        Ok(())
    });
}

/// tokio, libuv and others have put terminals into non-blocking mode: what is handed over is the caller's.
#[test]
fn shared_descriptions_keep_their_mode() {
    everywhere(async || {
        let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
        let probe = writer.try_clone()?;
        let mut child = sh("echo here").stdout(OwnedFd::from(writer)).spawn()?;
        assert!(child.status().await?.success());
        // The duplicate shares the description: a read with nothing to read would block, or not.
        probe.set_read_timeout(Some(Duration::from_millis(1)))?;
        let flags = fs::read_to_string(format!(
            "/proc/self/fdinfo/{}",
            std::os::fd::AsRawFd::as_raw_fd(&probe)
        ))?;
        let flags = flags
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .map(str::trim);
        let flags = u32::from_str_radix(flags.unwrap_or_default(), 8).unwrap_or(u32::MAX);
        assert_eq!(flags & 0o4000, 0, "O_NONBLOCK is not set: {flags:o}");
        drop(reader);
        Ok(())
    });
}

/// Waiting for a child beside other things: the loop turns, and nothing is lost by giving the wait up.
#[test]
fn wait_can_be_given_up() {
    everywhere(async || {
        let mut child = sh("read line; exit 8").stdin(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let timeout = async {
            Timer::after(Duration::from_millis(5)).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        let waited = child.status().or(timeout).await;
        assert_eq!(waited.map_err(|e| e.kind()), Err(io::ErrorKind::TimedOut));
        drop(stdin);
        assert_eq!(child.status().await?.code(), Some(8));
        Ok(())
    });
}

/// Spawned here, awaited there.
#[test]
fn child_is_awaited_on_another_thread() {
    everywhere(async || {
        let mut child = sh("read line; exit 9").stdin(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let elsewhere = std::thread::spawn(move || levent_executor::block_on(child.status()));
        drop(stdin);
        let status = elsewhere.join().expect("it does not panic")?;
        assert_eq!(status.code(), Some(9));
        Ok(())
    });
}

#[test]
fn commands_are_stds() {
    everywhere(async || {
        let mut command = Command::from(std::process::Command::new("sh"));
        command
            .args(["-c", "echo $0 $A $B; pwd"])
            .arg0("name")
            .env("A", "1")
            .envs([("B", "2")])
            .current_dir("/");
        assert_eq!(command.get_program(), "sh");
        assert_eq!(command.get_args().count(), 2);
        assert_eq!(command.get_envs().count(), 2);
        assert_eq!(command.get_current_dir(), Some(std::path::Path::new("/")));
        assert!(format!("{command:?}").contains("echo"));
        assert!(format!("{command:#?}").contains("kill_on_drop: false"));
        let output = command.output().await?;
        assert_eq!(output.stdout, b"name 1 2\n/\n");
        Ok(())
    });
}

/// It has nothing to do, and never ends.
#[test]
fn driver_is_pending() {
    everywhere(async || {
        assert!(future::poll_once(driver()).await.is_none());
        Ok(())
    });
}

/// What async-process's have: a `Child` crosses threads, and its pipes have descriptors.
#[test]
fn types_cross_threads() {
    fn crosses<T: Send + Sync + Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    fn described<T: AsFd + std::os::fd::AsRawFd + TryInto<OwnedFd>>() {}
    fn awaited<T: Send>(_: impl FnOnce(&mut Child) -> T, _: impl FnOnce(&mut Command) -> T) {}
    crosses::<Child>();
    crosses::<levent_io::process::ChildStdin>();
    crosses::<levent_io::process::ChildStdout>();
    crosses::<levent_io::process::ChildStderr>();
    described::<levent_io::process::ChildStdin>();
    described::<levent_io::process::ChildStdout>();
    described::<levent_io::process::ChildStderr>();
    type Status = std::pin::Pin<
        Box<dyn future::Future<Output = io::Result<std::process::ExitStatus>> + Send>,
    >;
    awaited::<Status>(
        |child| Box::pin(child.status()),
        |command| Box::pin(command.status()),
    );
}

/// All of the above by SIGCHLD: in a process of its own, since the choice is made by its environment.
#[test]
fn everything_holds_without_pidfds() {
    const NAME: &str = "process::everything_holds_without_pidfds";
    if !is_child(NAME) {
        let mut command = std::process::Command::new(
            std::env::current_exe().expect("a running program has a path"),
        );
        command.env("LEVENT_PIDFD", "0");
        return run_child(command, NAME);
    }
    status_is_the_childs();
    output_has_both_streams();
    mebibyte_goes_through_cat();
    kill_ends_it_and_the_status_says_so();
    everybody_gets_the_status();
    hundred_at_once();
    dropped_child_is_reaped();
    dropped_child_is_reaped_when_its_loop_is_left().expect("as with pidfds");
    dropped_child_is_reaped_without_budget().expect("as with pidfds");
    kill_on_drop_kills_and_reaps();
    foreign_children_are_left_alone();
    wait_can_be_given_up();
    child_is_awaited_on_another_thread();
}

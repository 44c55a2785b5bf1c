//! `Command`: what to run.

use std::ffi::OsStr;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

use super::Child;
use super::unix::{CommandExt, sealed};

/// A process to be started: std's [`Command`](process::Command), whose children are awaited instead of waited for.
///
/// | | `stdin` | `stdout`, `stderr` | unless told otherwise |
/// |---|---|---|---|
/// | [`spawn`](Command::spawn), [`status`](Command::status) | inherited | inherited | |
/// | [`output`](Command::output) | null | pipes | |
///
/// # Examples
///
/// ```
/// use levent_io::process::Command;
///
/// # fn main() -> std::io::Result<()> {
/// levent_executor::block_on(async {
///     let output = Command::new("echo").arg("le vent").output().await?;
///     assert!(output.status.success());
///     assert_eq!(output.stdout, b"le vent\n");
///     Ok(())
/// })
/// # }
/// ```
pub struct Command {
    inner: process::Command,
    /// Which of the standard streams were set.
    stdin: bool,
    stdout: bool,
    stderr: bool,
    reap_on_drop: bool,
    kill_on_drop: bool,
}

impl Command {
    /// A command for the program of this name or path, looked for as std does.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Command {
        Command::from(process::Command::new(program))
    }

    /// Adds an argument.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<I, S>(&mut self, args: I) -> &mut Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.inner.args(args);
        self
    }

    /// Sets a variable of the child's environment.
    pub fn env<K, V>(&mut self, key: K, val: V) -> &mut Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.env(key, val);
        self
    }

    /// Sets variables of the child's environment.
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Command
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.envs(vars);
        self
    }

    /// The arguments so far.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    /// The variables that were set, or removed (`None`).
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.inner.get_envs()
    }

    /// The directory that was set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.inner.get_current_dir()
    }

    /// The program.
    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    /// Leaves a variable out of the child's environment.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Command {
        self.inner.env_remove(key);
        self
    }

    /// Begins with an empty environment instead of ours.
    pub fn env_clear(&mut self) -> &mut Command {
        self.inner.env_clear();
        self
    }

    /// Has the child begin in this directory.
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Command {
        self.inner.current_dir(dir);
        self
    }

    /// What the child's standard input is to be.
    ///
    /// A descriptor that is handed over is shared with the child as it is: levent never changes its mode.
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.stdin = true;
        self.inner.stdin(cfg);
        self
    }

    /// What its standard output is to be; see [`stdin`](Command::stdin).
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.stdout = true;
        self.inner.stdout(cfg);
        self
    }

    /// What its standard error is to be; see [`stdin`](Command::stdin).
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.stderr = true;
        self.inner.stderr(cfg);
        self
    }

    /// Is the end of a child awaited when its [`Child`] has been dropped? On by default. Without it such a child stays a zombie until our own end.
    pub fn reap_on_drop(&mut self, reap_on_drop: bool) -> &mut Command {
        self.reap_on_drop = reap_on_drop;
        self
    }

    /// Is a child that has not ended killed when its [`Child`] is dropped? Off by default.
    pub fn kill_on_drop(&mut self, kill_on_drop: bool) -> &mut Command {
        self.kill_on_drop = kill_on_drop;
        self
    }

    /// Starts the process.
    ///
    /// The call blocks for as long as the system takes to start it, which is short, and as std does.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such program, `PermissionDenied` if it may not be run, and whatever else the system says. If the pipes to it cannot be
    /// registered with the reactor, the process is killed.
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.start(Stdio::inherit, Stdio::inherit)
    }

    /// Starts the process, at once, and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Command::spawn) and [`Child::status`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the [`Child`].
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + use<> {
        let child = self.spawn();
        async { child?.status().await }
    }

    /// Starts the process, at once, reads all its output and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Command::spawn) and [`Child::output`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses what was read, and drops the [`Child`].
    pub fn output(&mut self) -> impl Future<Output = io::Result<Output>> + use<> {
        let child = self.start(Stdio::null, Stdio::piped);
        async { child?.output().await }
    }

    /// Starts it with these standard streams where none was set.
    fn start(&mut self, input: fn() -> Stdio, output: fn() -> Stdio) -> io::Result<Child> {
        if !self.stdin {
            self.inner.stdin(input());
        }
        if !self.stdout {
            self.inner.stdout(output());
        }
        if !self.stderr {
            self.inner.stderr(output());
        }
        Child::spawn(&mut self.inner, self.kill_on_drop, self.reap_on_drop)
    }
}

/// The standard streams that were set there are not known, and are replaced by the defaults.
impl From<process::Command> for Command {
    fn from(inner: process::Command) -> Command {
        Command {
            inner,
            stdin: false,
            stdout: false,
            stderr: false,
            reap_on_drop: true,
            kill_on_drop: false,
        }
    }
}

impl sealed::Sealed for Command {}

impl CommandExt for Command {
    fn uid(&mut self, id: u32) -> &mut Command {
        self.inner.uid(id);
        self
    }

    fn gid(&mut self, id: u32) -> &mut Command {
        self.inner.gid(id);
        self
    }

    fn exec(&mut self) -> io::Error {
        self.inner.exec()
    }

    fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.inner.arg0(arg);
        self
    }
}

/// The command line, as std shows it; `{:#?}` has the rest.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return self.inner.fmt(f);
        }
        f.debug_struct("Command")
            .field("inner", &self.inner)
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .field("kill_on_drop", &self.kill_on_drop)
            .field("reap_on_drop", &self.reap_on_drop)
            .finish()
    }
}

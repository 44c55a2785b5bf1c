//! The examples, and other people's programs, as child processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;

use super::process;

/// A running example; killed when dropped.
pub(crate) struct Example {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Example {
    /// Starts the example of this name, or says why not: cargo builds those with `required-features` only on demand.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Option<Example> {
        Example::start_with(name, arguments, |_| ())
    }

    pub(crate) fn start_with(
        name: &str,
        arguments: &[&str],
        prepare: impl FnOnce(&mut Command),
    ) -> Option<Example> {
        let path = path(name);
        if !path.exists() {
            eprintln!("note: skipped, `{}` is not built", path.display());
            return None;
        }
        let mut command = Command::new(path);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().expect("the example starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        Some(Example { child, stdout })
    }

    /// Starts a server on a free port, and returns it with its `IP:PORT`.
    pub(crate) fn serve(name: &str) -> Option<(Example, String)> {
        Example::serve_with(name, &[])
    }

    /// The same with options after the address.
    pub(crate) fn serve_with(name: &str, options: &[&str]) -> Option<(Example, String)> {
        let arguments = [&["127.0.0.1:0"], options].concat();
        let mut example = Example::start(name, &arguments)?;
        let address = example.address();
        Some((example, address))
    }

    /// What it listens on, by its first line.
    pub(crate) fn address(&mut self) -> String {
        let line = self.line();
        line.strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("not the first line of a server: `{line}`"))
            .to_owned()
    }

    /// The next line that it prints, without its end; empty when there is none.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: i32) {
        process::kill(self.child.id(), signal);
    }

    /// Waits for its end; the status and what was left of its output.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("it is ours"), rest)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // Fails when it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `target/…/examples/NAME`: beside the folder of this very binary.
pub(crate) fn path(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("a running test has a path");
    path.pop();
    path.pop();
    path.join("examples").join(name)
}

/// Runs a program with this input and returns its output; `None`, with a message, where it is not installed.
pub(crate) fn run(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            eprintln!("note: skipped, no `{program}`: {error}");
            return None;
        }
    };
    let mut stdin = child.stdin.take().expect("it is piped");
    let output = thread::scope(|scope| {
        // In a thread of its own: with both pipes full, neither side would go on.
        scope.spawn(move || stdin.write_all(input).expect("it reads its input"));
        child.wait_with_output().expect("it ends")
    });
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        output.status
    );
    Some(output.stdout)
}

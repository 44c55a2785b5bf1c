//! Ends a test that hangs, with what is known about it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// While it lives, the process has to drop it within the time that it was made with; otherwise it prints what it knows and ends.
///
/// A hung thread cannot be unwound, so the whole binary goes. Notes are what the test has to say about its progress.
pub(crate) struct Watchdog {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    ended: Mutex<bool>,
    changed: Condvar,
    notes: Mutex<BTreeMap<&'static str, String>>,
}

impl Watchdog {
    pub(crate) fn new(seconds: u64) -> Watchdog {
        let state = Arc::<State>::default();
        let name = thread::current()
            .name()
            .unwrap_or("without a name")
            .to_owned();
        let watched = Arc::clone(&state);
        let thread = thread::spawn(move || {
            let ended = watched.ended.lock().expect("nothing panics under it");
            let (_ended, answer) = watched
                .changed
                .wait_timeout_while(ended, Duration::from_secs(seconds), |ended| !*ended)
                .expect("nothing panics under it");
            if answer.timed_out() {
                report(&name, seconds, &watched);
                process::exit(101);
            }
        });
        Watchdog {
            state,
            thread: Some(thread),
        }
    }

    /// Remembers how far the test is; the last value of each name is printed when it hangs.
    pub(crate) fn note(&self, name: &'static str, value: impl ToString) {
        let mut notes = self.state.notes.lock().expect("nothing panics under it");
        notes.insert(name, value.to_string());
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.state.ended.lock().expect("nothing panics under it") = true;
        self.state.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // Joined, so that a test may count threads after it.
            thread.join().expect("it only waits");
        }
    }
}

fn report(name: &str, seconds: u64, state: &State) {
    let mut text = format!("\nwatchdog: `{name}` is not done after {seconds} s\n");
    let mut say = |line: String| writeln!(text, "  {line}").expect("memory");
    for (name, value) in &*state.notes.lock().expect("nothing panics under it") {
        say(format!("{name} = {value}"));
    }
    say(format!("descriptors: {}", super::process::descriptors()));
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    for task in tasks.flatten() {
        let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        say(format!(
            "thread {}: waits in {}, system call {}",
            read("comm").trim(),
            read("wchan").trim(),
            read("syscall").trim()
        ));
    }
    // Not `eprintln`: the harness keeps what that prints until the test ends, which it never does.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

//! What the chapters share: bases on every backend, traces, pairs of sockets, counting wakers, child processes.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use levent_reactor::{Base, Clock, ClockHand, Config, Event, Flags, LoopEnd, LoopFlags, Method};

/// All methods of the platform, and epoll with batched changes.
pub(crate) fn methods() -> impl Iterator<Item = Method> {
    let supported = Method::supported();
    let batched = supported.contains(&Method::Epoll);
    supported
        .iter()
        .copied()
        .chain(batched.then_some(Method::EpollBatched))
}

/// A configuration that leaves one method, whatever the environment says.
pub(crate) fn only(method: Method) -> Config {
    let batched = method == Method::EpollBatched;
    let candidate = if batched { Method::Epoll } else { method };
    Method::supported()
        .iter()
        .filter(|other| **other != candidate)
        .fold(Config::new().ignore_env(), |config, other| {
            config.avoid_method(other.name())
        })
        .batch_changes(batched)
}

pub(crate) fn base_on(method: Method) -> Base {
    Base::with_config(&only(method)).expect("a base can be made")
}

/// One body, all backends of the platform.
pub(crate) fn for_each_backend(body: impl FnMut(&Base)) {
    for_each_backend_with(|config| config, body);
}

/// The same with a configuration that is more than the method's.
pub(crate) fn for_each_backend_with(tweak: impl Fn(Config) -> Config, mut body: impl FnMut(&Base)) {
    for method in methods() {
        // Shown with a failure.
        println!("on {}", method.name());
        let base = Base::with_config(&tweak(only(method))).expect("a base can be made");
        assert_eq!(base.method(), method);
        body(&base);
    }
}

/// All backends, with time in the test's hand.
pub(crate) fn with_manual_clock(body: impl FnMut(&Base, &ClockHand)) {
    with_manual_clock_and(|config| config, body);
}

pub(crate) fn with_manual_clock_and(
    tweak: impl Fn(Config) -> Config,
    mut body: impl FnMut(&Base, &ClockHand),
) {
    for method in methods() {
        println!("on {}", method.name());
        let (clock, hand) = Clock::manual();
        let base =
            Base::with_config(&tweak(only(method)).clock(clock)).expect("a base can be made");
        body(&base, &hand);
    }
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One look at the backend and whatever is active: `ONCE | NONBLOCK` (LOOP-8).
pub(crate) fn look(base: &Base) -> LoopEnd {
    base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK)
        .expect("the loop runs")
}

/// What ran, in order.
#[derive(Clone, Default)]
pub(crate) struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    pub(crate) fn new() -> Trace {
        Trace::default()
    }

    pub(crate) fn push(&self, entry: impl Into<String>) {
        self.0.borrow_mut().push(entry.into());
    }

    /// A callback that notes its name.
    pub(crate) fn note(&self, name: &'static str) -> impl FnMut(&Event, Flags) + 'static {
        let trace = self.clone();
        move |_, _| trace.push(name)
    }

    /// A callback that notes its name and what happened.
    pub(crate) fn note_what(&self, name: &'static str) -> impl FnMut(&Event, Flags) + 'static {
        let trace = self.clone();
        move |_, what| trace.push(format!("{name} {what:?}"))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }

    /// Asserts what was noted since the last call.
    #[track_caller]
    pub(crate) fn assert<const N: usize>(&self, expected: [&str; N]) {
        assert_eq!(self.take(), expected);
    }
}

/// Two ends of a connection, both non-blocking.
pub(crate) fn pair() -> (Rc<UnixStream>, UnixStream) {
    let (here, there) = UnixStream::pair().expect("a pair can be made");
    here.set_nonblocking(true).unwrap();
    there.set_nonblocking(true).unwrap();
    (Rc::new(here), there)
}

/// The same, with a byte to be read at the first end.
pub(crate) fn readable_pair() -> (Rc<UnixStream>, UnixStream) {
    let (here, mut there) = pair();
    there.write_all(b"x").unwrap();
    (here, there)
}

/// An event for a shared socket whose callback needs no source.
pub(crate) fn on_fd<S: AsFd + 'static>(
    base: &Base,
    source: &Rc<S>,
    interest: Flags,
    mut callback: impl FnMut(&Event, Flags) + 'static,
) -> Event {
    Event::new(base, source.clone(), interest, move |_, what, event| {
        callback(event, what)
    })
    .expect("the flags are good")
}

/// Fills a socket until it takes no more.
pub(crate) fn fill(mut stream: &UnixStream) {
    let chunk = [0; 4096];
    while stream.write(&chunk).is_ok() {}
}

/// Reads all that is there.
pub(crate) fn drain(mut stream: &UnixStream) -> usize {
    let mut sum = 0;
    let mut chunk = [0; 4096];
    while let Ok(n @ 1..) = std::io::Read::read(&mut stream, &mut chunk) {
        sum += n;
    }
    sum
}

/// A non-blocking pipe: the end to read from and the end to write to.
pub(crate) fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    #[cfg(not(target_vendor = "apple"))]
    // SAFETY: `ends` has room for the two numbers that the call writes.
    let answer = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) };
    // A child of another test may inherit these; there is no such call.
    #[cfg(target_vendor = "apple")]
    // SAFETY: as above.
    let answer = unsafe { libc::pipe(ends.as_mut_ptr()) };
    assert_eq!(answer, 0);
    #[cfg(target_vendor = "apple")]
    for end in ends {
        // SAFETY: the call takes no pointer, and the number is of a descriptor just made.
        let answer = unsafe { libc::fcntl(end, libc::F_SETFL, libc::O_NONBLOCK) };
        assert_ne!(answer, -1);
        // SAFETY: as above.
        let answer = unsafe { libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC) };
        assert_ne!(answer, -1);
    }
    // SAFETY: the call succeeded, so the number is an open descriptor that nobody else owns.
    let reader = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let writer = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    (File::from(reader), File::from(writer))
}

/// A non-blocking counter of the kernel.
#[cfg(target_os = "linux")]
pub(crate) fn eventfd(count: u32) -> OwnedFd {
    // SAFETY: the call takes no pointer.
    let fd = unsafe { libc::eventfd(count, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    assert_ne!(fd, -1);
    // SAFETY: the call succeeded, so the number is an open descriptor that nobody else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Makes `number` another name of what `fd` names, closing what it named before. The caller owns `number`.
pub(crate) fn dup_onto(fd: impl AsFd, number: i32) {
    // SAFETY: numbers only; whoever owns `number` has asked for it.
    let answer = unsafe { libc::dup2(fd.as_fd().as_raw_fd(), number) };
    assert_eq!(answer, number);
}

/// Closes a descriptor behind its owner's back and leaves `/dev/null` in its place for the owner to close.
pub(crate) fn close_behind(fd: impl AsFd, while_closed: impl FnOnce()) {
    let number = fd.as_fd().as_raw_fd();
    // SAFETY: the number is not used while it is closed but by `while_closed`, which expects that; it is filled again below.
    assert_eq!(unsafe { libc::close(number) }, 0);
    while_closed();
    let null = File::open("/dev/null").unwrap();
    if null.as_raw_fd() == number {
        // The owner closes it.
        std::mem::forget(null);
    } else {
        dup_onto(&null, number);
    }
}

/// Resets a TCP connection instead of closing it.
pub(crate) fn reset(stream: std::net::TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the option's value is a `linger` of the size given, readable until the call returns.
    let answer = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
    assert_eq!(answer, 0);
    drop(stream);
}

/// A connected pair of TCP sockets, non-blocking.
pub(crate) fn tcp_pair() -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let here = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (there, _) = listener.accept().unwrap();
    here.set_nonblocking(true).unwrap();
    there.set_nonblocking(true).unwrap();
    (here, there)
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        (wakes, waker)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// The count since the last call.
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Fails the test after a time that no healthy run comes near, instead of hanging.
pub(crate) fn soon(what: &str, mut is_done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_done() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{what}: still not after 20 s"
        );
        std::thread::sleep(Duration::from_micros(200));
    }
}

const MARK: &str = "LEVENT_CHILD";

/// True in the process that shall do the work. Elsewhere starts this binary again with only the test `name` in it (its full
/// path, such as `signals::raised_twice_runs_twice`), and passes on its failure.
pub(crate) fn in_child(name: &str) -> bool {
    in_child_with(name, &[])
}

/// The same with environment variables for the child.
pub(crate) fn in_child_with(name: &str, variables: &[(&str, &str)]) -> bool {
    if std::env::var(MARK).is_ok_and(|child| child == name) {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().expect("a running test has a path"));
    command
        .args([
            name,
            "--exact",
            "--nocapture",
            "--include-ignored",
            "--test-threads=1",
        ])
        .env(MARK, name);
    for (key, value) in variables {
        command.env(key, value);
    }
    let output = command.output().expect("the test binary starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    // "1 passed" as well: a misspelled name runs nothing, and that succeeds.
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{name} failed in its own process ({}):\n{stdout}\n{stderr}",
        output.status
    );
    false
}

/// Raises a signal in this thread.
pub(crate) fn raise(signal: i32) {
    // SAFETY: raising touches no memory; the tests that do it have a handler in place and a process of their own.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// Sends a signal to the process: any of its threads may take it.
pub(crate) fn kill_self(signal: i32) {
    let process = std::process::id() as libc::pid_t;
    // SAFETY: as `raise`.
    let answer = unsafe { libc::kill(process, signal) };
    assert_eq!(answer, 0);
}

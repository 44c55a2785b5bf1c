//! `#[levent::test]` and `#[levent::main]`.

use std::io;
use std::time::{Duration, Instant};

use levent::{now, sleep, spawn};

/// A test is awaited.
#[levent::test]
async fn plain() {
    assert_eq!(spawn(async { 1 + 1 }).await, 2);
}

/// What it returns is the test's, and `?` works.
#[levent::test]
async fn with_an_answer() -> io::Result<()> {
    let listener = levent::net::TcpListener::bind("127.0.0.1:0").await?;
    listener.local_addr()?;
    Ok(())
}

/// An error fails it.
#[levent::test]
#[should_panic = "not done in time"]
async fn fails_by_panic() {
    panic!("not done in time");
}

/// Time jumps.
#[levent::test(virtual_time, timeout = 20)]
async fn in_virtual_time() {
    let (begun, real) = (now(), Instant::now());
    sleep(Duration::from_secs(3600)).await;
    assert!(now() - begun >= Duration::from_secs(3600));
    assert!(real.elapsed() < Duration::from_secs(20));
}

/// The limit is that of the argument.
#[levent::test(timeout = 0.05)]
#[should_panic(expected = "50ms")]
async fn takes_too_long() {
    sleep(Duration::from_secs(3600)).await;
}

/// What is left over fails a test, unless it says that it may.
#[levent::test]
#[should_panic(expected = "left over")]
async fn leaves_a_task() {
    spawn(std::future::pending::<()>()).detach();
}

#[levent::test(leaks = false)]
async fn may_leave_a_task() {
    spawn(std::future::pending::<()>()).detach();
}

/// Not a test: what `main` becomes is an ordinary function.
#[levent::main]
async fn like_main() -> Result<u8, io::Error> {
    sleep(Duration::from_millis(1)).await;
    Err(io::Error::from_raw_os_error(5))?;
    Ok(1)
}

/// `main` gives back what the body does.
#[test]
fn main_answers() {
    assert_eq!(like_main().unwrap_err().raw_os_error(), Some(5));
}

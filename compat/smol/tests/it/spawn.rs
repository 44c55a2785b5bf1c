//! The global executor.

use levent_smol as smol;
use smol::Timer;
use std::thread;
use std::time::Duration;

/// Tasks run on a thread of that name, whoever awaits them.
#[test]
fn tasks_run_on_named_threads() {
    let name = smol::spawn(async { thread::current().name().map(String::from) });
    let name = smol::block_on(name);
    assert!(
        name.as_deref()
            .is_some_and(|name| name.starts_with("smol-")),
        "{name:?}"
    );
}

/// A panic goes to whoever awaits the task; the executor goes on.
#[test]
fn panic_of_a_task_leaves_the_executor_running() {
    let task = smol::spawn(async { panic!("of the task") });
    let joined = thread::spawn(|| smol::block_on(task)).join();
    assert!(joined.is_err());
    assert_eq!(smol::block_on(smol::spawn(async { 1 })), 1);
}

/// A task waits for a timer on its own thread while nobody is in `block_on` elsewhere.
#[test]
fn detached_task_needs_nobody() {
    let (sender, receiver) = std::sync::mpsc::channel();
    smol::spawn(async move {
        Timer::after(Duration::from_millis(1)).await;
        // Nobody there any more is the test's failure already.
        let _ = sender.send(());
    })
    .detach();
    assert_eq!(receiver.recv_timeout(Duration::from_secs(30)), Ok(()));
}

//! THR: bases and threads.

use std::thread;

use levent_reactor::{Base, Event, Remote, RemoteEvent};

/// THR-16: bases are made and ended in many threads at once.
#[test]
fn bases_come_and_go_in_threads() {
    let threads: Vec<_> = (0..20)
        .map(|_| {
            thread::spawn(|| {
                for _ in 0..10 {
                    let base = Base::new().unwrap();
                    let event = Event::timer(&base, |_, _| {});
                    event.add_after(crate::support::ms(1000)).unwrap();
                    event.del().unwrap();
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// THR-5: handles for other threads are `Send` and `Sync`.
#[test]
fn handles_cross_threads() {
    fn crosses<T: Send + Sync + Clone>() {}
    crosses::<Remote>();
    crosses::<RemoteEvent>();
}

/// THR-12: timers added from many threads all ring.
#[test]
fn timers_from_many_threads() {
    let base = Base::new().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let threads: Vec<_> = (0..10)
        .map(|_| {
            let (remote, sender) = (base.remote(), sender.clone());
            thread::spawn(move || {
                for _ in 0..100 {
                    let sender = sender.clone();
                    remote
                        .post(move |base| {
                            base.once_after(crate::support::ms(1), move || sender.send(()).unwrap())
                        })
                        .unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    base.run_loop(levent_reactor::LoopFlags::NONE).unwrap();
    assert_eq!(receiver.iter().count(), 1000);
}

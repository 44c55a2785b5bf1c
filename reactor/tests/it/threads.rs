//! THR: bases and threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

#[cfg(all(target_os = "linux", not(levent_libkqueue)))]
use crate::support::{base_on, in_child};
#[cfg(all(target_os = "linux", not(levent_libkqueue)))]
use levent_reactor::Method;
use levent_reactor::{Base, Event, LoopFlags, Remote, RemoteEvent, Watcher};

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

/// THR-5: handles for other threads are `Send` and `Sync`, and what is not safe there does not get there.
#[test]
fn handles_cross_threads() {
    fn crosses<T: Send + Sync + Clone>() {}
    crosses::<Remote>();
    crosses::<RemoteEvent>();

    // Which of the two is meant would be unclear, and an error, if the type were `Send`.
    trait Stays<A> {
        fn stays() {}
    }
    struct Sent;
    impl<T> Stays<()> for T {}
    impl<T: Send> Stays<Sent> for T {}
    <Base as Stays<_>>::stays();
    <Event as Stays<_>>::stays();
    <Watcher as Stays<_>>::stays();
}

/// THR-12: a hundred threads add a hundred timers each to a base that loops, and each timer wakes the thread that waits for it.
#[test]
fn timers_from_many_threads() {
    let base = Base::new().unwrap();
    let left = Arc::new(AtomicUsize::new(100));
    let threads: Vec<_> = (0..100)
        .map(|_| {
            let (remote, left) = (base.remote(), left.clone());
            thread::spawn(move || {
                let mut wakes = 0;
                for _ in 0..100 {
                    let (sender, receiver) = mpsc::channel();
                    remote
                        .once_after(Duration::from_micros(50), move || sender.send(()).unwrap())
                        .unwrap();
                    wakes += receiver.recv().map_or(0, |()| 1);
                }
                if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    remote.loop_break().unwrap();
                }
                wakes
            })
        })
        .collect();
    base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
    let wakes = threads.into_iter().map(|thread| thread.join().unwrap());
    assert_eq!(wakes.sum::<usize>(), 10_000);
}

/// THR-9: what wakes a base from other threads is one descriptor on Linux, an event counter. The epoll set is the other.
#[test]
#[cfg(all(target_os = "linux", not(levent_libkqueue)))]
fn wake_up_is_one_descriptor() {
    if !in_child("threads::wake_up_is_one_descriptor") {
        return;
    }
    let names = || -> Vec<String> {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        let names = links.filter_map(|link| std::fs::read_link(link.unwrap().path()).ok());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    };
    for method in Method::supported() {
        let before = names();
        let base = base_on(*method);
        let mut made = names();
        for name in before {
            if let Some(at) = made.iter().position(|other| *other == name) {
                made.swap_remove(at);
            }
        }
        made.sort();
        let mut expected = vec!["anon_inode:[eventfd]"];
        if *method == Method::Epoll {
            expected.push("anon_inode:[eventpoll]");
            expected.sort_unstable();
        }
        assert_eq!(made, expected, "{method:?}");
        drop(base);
    }
}

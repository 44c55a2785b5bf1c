//! THR: bases and threads.

use std::thread;

#[cfg(all(target_os = "linux", not(levent_libkqueue)))]
use crate::support::{base_on, in_child};
#[cfg(all(target_os = "linux", not(levent_libkqueue)))]
use levent_reactor::Method;
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

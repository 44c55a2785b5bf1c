//! CL: epoll with changes that are collected until the wait.

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use levent_reactor::{Base, Config, Event, Flags, LoopEnd, LoopFlags, Method, signal};

use crate::support::*;

/// The descriptors that the process's only epoll set watches, as the kernel lists them.
fn watched() -> Vec<RawFd> {
    let sets: Vec<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains("eventpoll"))
        })
        .collect();
    assert_eq!(sets.len(), 1, "{sets:?}");
    let name = sets[0].file_name().unwrap().to_str().unwrap();
    fs::read_to_string(format!("/proc/self/fdinfo/{name}"))
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("tfd:"))
        .map(|rest| rest.split_whitespace().next().unwrap().parse().unwrap())
        .collect()
}

fn reader(base: &Base, stream: &Rc<UnixStream>, trace: &Trace) -> Event {
    on_fd(
        base,
        stream,
        Flags::READ | Flags::PERSIST,
        trace.note_what("read"),
    )
}

/// BASE-4, BASE-14: the variant has a name of its own, is no candidate of its own, and is made of epoll alone.
#[test]
fn variant_is_asked_for() {
    let batched = Base::with_config(&Config::new().ignore_env().batch_changes(true)).unwrap();
    assert_eq!(batched.method().name(), "epoll (with changelist)");
    assert!(!Method::supported().contains(&Method::EpollBatched));
    let avoids = Config::new()
        .ignore_env()
        .avoid_method("epoll (with changelist)")
        .batch_changes(true);
    assert_eq!(
        Base::with_config(&avoids).unwrap().method(),
        Method::EpollBatched
    );
    let poll = only(Method::Poll).batch_changes(true);
    assert_eq!(Base::with_config(&poll).unwrap().method(), Method::Poll);
}

/// BASE-14: the variable has the same effect, unless the environment is ignored.
#[test]
fn variable_asks_for_the_variant() {
    let variable = [("EVENT_EPOLL_USE_CHANGELIST", "1"), ("LEVENT_BACKEND", "")];
    if !in_child_with("changelist::variable_asks_for_the_variant", &variable) {
        return;
    }
    assert_eq!(Base::new().unwrap().method(), Method::EpollBatched);
    let ignores = Config::new().ignore_env();
    assert_eq!(Base::with_config(&ignores).unwrap().method(), Method::Epoll);
}

/// CL-1: changes reach the kernel just before the wait, and what cancels out does not.
#[test]
fn changes_are_made_at_the_wait() {
    if !in_child("changelist::changes_are_made_at_the_wait") {
        return;
    }
    let base = base_on(Method::EpollBatched);
    let trace = Trace::new();
    let (here, _there) = pair();
    let fd = here.as_raw_fd();
    let event = reader(&base, &here, &trace);
    // Something stays pending, or the loop would end without a wait.
    let far = Event::timer(&base, |_, _| {});
    far.add_after(ms(1_000_000)).unwrap();
    look(&base);
    event.add().unwrap();
    assert!(!watched().contains(&fd), "added, not waited for yet");
    look(&base);
    assert!(watched().contains(&fd));
    event.del().unwrap();
    assert!(watched().contains(&fd), "deleted, not waited for yet");
    look(&base);
    assert!(!watched().contains(&fd));
    event.add().unwrap();
    event.del().unwrap();
    look(&base);
    assert!(!watched().contains(&fd));
}

/// CL-2: deleted, added and deleted in its own callback, an event runs no more, and the loop does not spin; deleted and added, it
/// goes on, with another file behind its number too.
#[test]
fn steps_between_waits_add_up() {
    if !in_child("changelist::steps_between_waits_add_up") {
        return;
    }
    let base = base_on(Method::EpollBatched);
    let runs = Rc::new(Cell::new(0));
    let (here, _there) = pair();
    let writer = on_fd(&base, &here, Flags::WRITE | Flags::PERSIST, {
        let runs = runs.clone();
        move |event, _| {
            runs.set(runs.get() + 1);
            event.del().unwrap();
            event.add().unwrap();
            event.del().unwrap();
        }
    });
    writer.add().unwrap();
    let turns = Rc::new(Cell::new(0));
    let count = turns.clone();
    let _watcher = base.on_check(move |_| count.set(count.get() + 1));
    base.loop_exit(Some(ms(100))).unwrap();
    base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
    assert_eq!(runs.get(), 1);
    assert!(turns.get() <= 4, "{} turns", turns.get());

    let trace = Trace::new();
    let (first, _first_peer) = pair();
    let event = reader(&base, &first, &trace);
    event.add().unwrap();
    look(&base);
    event.del().unwrap();
    // Another file takes the number, in the same place: the kernel has forgotten the old one.
    let (second, mut second_peer) = pair();
    // SAFETY: both are open; the number of `first` goes on being owned by it, and names the other file from now on.
    assert!(unsafe { libc::dup2(second.as_raw_fd(), first.as_raw_fd()) } >= 0);
    event.add().unwrap();
    second_peer.write_all(b"x").unwrap();
    look(&base);
    trace.assert(["read READ"]);
    event.del().unwrap();
}

/// CL-3: `add` of a descriptor that is closed says nothing; the event is told at the wait, once.
#[test]
fn refusal_is_reported_at_the_wait() {
    if !in_child("changelist::refusal_is_reported_at_the_wait") {
        return;
    }
    let base = base_on(Method::EpollBatched);
    let trace = Trace::new();
    let number = UnixStream::pair().unwrap().0.into_raw_fd();
    let flags = Flags::READ | Flags::PERSIST;
    // SAFETY: what becomes of an event whose descriptor is closed is what is asked here; nobody else opens one meanwhile.
    let event =
        unsafe { Event::from_raw_fd(&base, number, flags, trace.note_what("read")) }.unwrap();
    // SAFETY: nobody owns the number.
    unsafe { libc::close(number) };
    event.add().unwrap();
    look(&base);
    trace.assert(["read READ"]);
    look(&base);
    trace.assert([]);
    event.del().unwrap();
}

/// CL-5: signals are not batched: the disposition changes with the call, and what wakes the loop was watched from the beginning.
#[test]
fn signals_are_not_batched() {
    if !in_child("changelist::signals_are_not_batched") {
        return;
    }
    let base = base_on(Method::EpollBatched);
    let event = Event::signal_once(&base, signal::SIGUSR1, |event, _| {
        event.base().unwrap().loop_break();
    });
    event.add().unwrap();
    // Without a handler this would be the end.
    raise(signal::SIGUSR1);
    assert_eq!(base.dispatch().unwrap(), LoopEnd::Stopped);
}

//! The names of smol 2.0's root, and the types that other crates name.

#![allow(unused_imports, reason = "that the names are there is the test")]

use std::any::TypeId;
use std::future::Future;
use std::time::Instant;

// All twenty of them, as a user writes them.
use levent_smol as smol;
use smol::channel::{Receiver, Sender};
use smol::fs::File;
use smol::future::FutureExt;
use smol::io::AsyncReadExt;
use smol::lock::{Mutex, RwLock, Semaphore};
use smol::net::{AsyncToSocketAddrs, Incoming, TcpListener, TcpStream, UdpSocket, resolve, unix};
use smol::prelude::*;
use smol::process::{Child, Command, Stdio};
use smol::stream::StreamExt;
use smol::{
    Async, Executor, LocalExecutor, Task, Timer, Unblock, block_on, pin, ready, spawn, unblock,
};

/// smol-macros, smol-hyper and blocking name these types: a look-alike would not do.
#[test]
fn executors_and_tasks_are_those_of_async_executor() {
    assert_eq!(
        TypeId::of::<Executor<'static>>(),
        TypeId::of::<async_executor::Executor<'static>>()
    );
    assert_eq!(
        TypeId::of::<LocalExecutor<'static>>(),
        TypeId::of::<async_executor::LocalExecutor<'static>>()
    );
    assert_eq!(
        TypeId::of::<Task<u8>>(),
        TypeId::of::<async_executor::Task<u8>>()
    );
    // A user stores what `unblock` answers beside what `spawn` does.
    let _: [Task<u8>; 2] = [unblock(|| 1), spawn(async { 2 })];
}

/// What is below the root is levent's: one reactor, not two.
#[test]
fn sockets_and_timers_are_levents() {
    assert_eq!(
        TypeId::of::<Async<std::net::TcpStream>>(),
        TypeId::of::<levent_io::Async<std::net::TcpStream>>()
    );
    assert_eq!(
        TypeId::of::<TcpStream>(),
        TypeId::of::<levent_io::net::TcpStream>()
    );
    fn both<T: Future<Output = Instant> + Stream<Item = Instant> + Send + Sync>() {}
    both::<Timer>();
}

/// The macros work by the name of the root that the user has given it.
#[test]
fn macros_come_along() {
    let answer = block_on(async {
        let future = async { 3 };
        pin!(future);
        smol::future::poll_fn(|cx| std::task::Poll::Ready(ready!(future.as_mut().poll(cx)))).await
    });
    assert_eq!(answer, 3);
}

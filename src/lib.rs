//! An async runtime with libevent's semantics at its core: one thread, one loop, few dependencies.
//!
//! `block_on` drives a *base*: descriptors, timers and signals of one thread. Tasks are spawned onto the same thread, so they may
//! hold `Rc` and `RefCell`; sockets and timers are `Send + Sync` all the same, so libraries written for smol's traits work on
//! them. Nothing runs behind your back: a program that only uses this crate's loops has the threads that it made itself.
//!
//! ```no_run
//! use futures_lite::{AsyncReadExt, AsyncWriteExt};
//! use levent::net::TcpListener;
//! use std::io;
//!
//! fn main() -> io::Result<()> {
//!     levent::block_on(async {
//!         let listener = TcpListener::bind("127.0.0.1:7000").await?;
//!         loop {
//!             let (mut stream, peer) = listener.accept().await?;
//!             levent::spawn(async move {
//!                 let mut buffer = vec![0; 4096];
//!                 loop {
//!                     match stream.read(&mut buffer).await {
//!                         Ok(0) | Err(_) => break println!("{peer} left"),
//!                         Ok(n) => if stream.write_all(&buffer[..n]).await.is_err() { break },
//!                     }
//!                 }
//!             })
//!             .detach();
//!         }
//!     })
//! }
//! ```
//!
//! | Want | Go to |
//! |---|---|
//! | run futures | [`block_on`], [`spawn`], [`LocalExecutor`], [`Task`] |
//! | tests with a limit, a look for what is left over, and virtual time | [`test`](mod@test); [`Stall`] |
//! | an end to it: stop, drain, drop all | [`run`](fn@run), [`Run`]; tasks that borrow: [`scope`](fn@scope); panics of detached tasks: [`OnPanic`] |
//! | sockets | [`net`]; many datagrams at once: [`net::Batch`]; descriptors over Unix sockets: [`net::unix`]; any descriptor: [`Async`] |
//! | buffers before and behind them, watermarks, timeouts, limits | [`BufferedStream`], [`stream`]; bytes alone: [`Buffer`]; rates: [`limit`] |
//! | from one stream to another | [`copy`](fn@copy), [`copy_bidirectional`], [`splice`](fn@splice), [`send_file`](fn@send_file); of buffered ones: [`stream::relay`] |
//! | time | [`sleep`], [`timeout`](fn@timeout), [`interval`](fn@interval), [`Timer`]; all of it: [`timer`] |
//! | signals | [`ctrl_c`], [`Signals`]; the numbers: [`signal`] |
//! | child processes | [`process`] |
//! | the loop itself, with callbacks | [`reactor`] |
//! | TLS | `levent::tls`, with the feature `tls` |
//! | DNS: any records, own servers, a cache | `levent::hickory`, with the feature `hickory` |
//! | a hyper server or client | `levent::hyper`, with the feature `hyper` |
//! | QUIC | `levent::quinn`, with the feature `quinn` |
//! | crates that ask for tokio's traits, or its runtime | `levent::tokio`, with the feature `tokio` |
//!
//! Who comes from another runtime finds its names in [`migrate`].
//!
//! `read`, `write_all`, `next` and their like are extension methods of the traits in [`prelude`]: take them from `futures-lite` or
//! `futures-util`, whichever your program has.
//!
//! # Features
//!
//! None is on by default, and none changes what the rest does.
//!
//! - `hyper`: adapters for hyper 1, in the module of that name.
//! - `hickory`: the resolver of hickory 0.26, in the module of that name. Needs Rust 1.88.
//! - `macros`: the attributes `#[levent::main]` and `#[levent::test]`.
//! - `quinn`: a runtime for quinn 0.11, in the module of that name.
//! - `tokio`: tokio's I/O traits for our streams and ours for tokio's, in the module of that name.
//! - `tls`: TLS over buffered streams by rustls, in the module of that name.
//! - `bytes`: [`Buffer`] takes `bytes::Bytes` without a copy.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "macros")]
mod attributes;
#[cfg(feature = "hickory")]
#[cfg_attr(docsrs, doc(cfg(feature = "hickory")))]
pub mod hickory;
#[cfg(feature = "hyper")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
pub mod hyper;
pub mod migrate;
pub mod prelude;
#[cfg(feature = "quinn")]
#[cfg_attr(docsrs, doc(cfg(feature = "quinn")))]
pub mod quinn;
#[cfg(any(feature = "hyper", feature = "tokio"))]
mod scratch;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub mod tokio;

#[doc(no_inline)]
pub use levent_reactor as reactor;
#[doc(no_inline)]
pub use levent_signal as signal;
#[doc(no_inline)]
pub use levent_timer as timer;

#[cfg(feature = "macros")]
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
pub use attributes::{main, test};
pub use levent_executor::{
    Budget, FallibleTask, LocalExecutor, OnPanic, Report, Run, Scope, Stall, Stop, Task, block_on,
    budget, in_block_on, run, scope, set_budget, set_on_panic, set_stall, spawn, test, yield_now,
};
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use levent_io::tls;
pub use levent_io::{
    Async, Buffer, BufferedStream, buffer, copy, copy_bidirectional, copy_buf, limit, net, process,
    send_file, splice, splice_bidirectional, stream,
};
/// The time of this thread's timers: the system's, but for tests with another.
pub use levent_reactor::current::now;
pub use levent_signal::{CtrlC, Signals, ctrl_c};
pub use levent_timer::{
    Elapsed, Interval, Sleep, Timeout, Timer, interval, interval_at, sleep, sleep_until, timeout,
    timeout_at,
};

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

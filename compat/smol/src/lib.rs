//! The root of [smol](https://docs.rs/smol/2) 2, on the levent reactor.
//!
//! A program that depends on smol changes one line of its manifest, and none of its source:
//!
//! ```toml
//! smol = { package = "levent-smol", version = "0.1" }
//! ```
//!
//! | Names | Whose |
//! |---|---|
//! | [`Async`], [`Timer`], [`block_on`], [`spawn`], [`net`], [`process`] | ours: they wait for the reactor |
//! | [`Executor`], [`LocalExecutor`], [`Task`] | async-executor's, the very types, since other crates name them |
//! | [`unblock`], [`Unblock`], [`fs`] | blocking's and async-fs's |
//! | [`channel`], [`lock`] | async-channel and async-lock |
//! | [`future`], [`io`], [`stream`], [`prelude`], [`pin!`], [`ready!`] | futures-lite's |
//!
//! The crates below a program are not reached by the renaming; to move those as well, see `levent-async-io`.
//!
//! # Examples
//!
//! ```
//! use levent_smol as smol;
//! use smol::{io, net, prelude::*};
//!
//! # fn main() -> io::Result<()> {
//! smol::block_on(async {
//!     let listener = net::TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = smol::spawn(async move {
//!         let (stream, _) = listener.accept().await?;
//!         io::copy(stream.clone(), stream).await
//!     });
//!     let mut stream = net::TcpStream::connect(address).await?;
//!     stream.write_all(b"hello").await?;
//!     stream.close().await?;
//!     let mut answer = String::new();
//!     stream.read_to_string(&mut answer).await?;
//!     assert_eq!(answer, "hello");
//!     assert_eq!(server.await?, 5);
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # What is different
//!
//! - See `levent-async-io` for the reactor: one per thread that is inside a [`block_on`], no thread before somebody waits elsewhere.
//! - `SMOL_THREADS` of 0, of less, or that is no number means 1, as smol's next release has it; smol 2.0.2 has no worker then, and hangs.
//! - A `net` type is not async-net's of the same name, nor a `process` type async-process's: a crate that wants those wants the patch.

#![forbid(unsafe_code)]

mod spawn;

pub use async_channel as channel;
#[doc(no_inline)]
pub use async_executor::{Executor, LocalExecutor, Task};
pub use async_fs as fs;
pub use async_lock as lock;
#[doc(no_inline)]
pub use blocking::{Unblock, unblock};
#[doc(no_inline)]
pub use futures_lite::{future, io, pin, prelude, ready, stream};
pub use levent_async_io::{Async, Timer, block_on};
pub use levent_io::{net, process};
pub use spawn::spawn;

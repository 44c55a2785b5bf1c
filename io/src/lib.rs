//! Async sockets and descriptors on the levent reactor.
//!
//! ```text
//! BufferedStream<S>                      buffers before and behind: watermarks, timeouts, events, frames
//!        │ any S, or
//! net::TcpStream, UdpSocket, unix::…     handles to share: names resolved, accept errors paced
//!        │ Arc
//!    Async<T>                            one descriptor: try the operation, wait on `WouldBlock`
//!        │
//!  levent_reactor::lane::Source          its registration: readiness, wakers
//! ```
//!
//! [`Async<T>`] makes any descriptor asynchronous; [`net`] has the sockets ready to use. Nothing here knows an executor: the
//! futures run inside a levent loop, where they cost no lock, and under any other executor, where the reactor's
//! background base waits for them.
//!
//! [`copy()`], [`copy_bidirectional`] and their like move whole streams; between sockets, and from files, the kernel does it.
//!
//! [`Buffer`] is a queue of bytes, libevent's evbuffer; it needs no reactor, and knows nothing of tasks. [`BufferedStream`] is a
//! stream with two of them, libevent's bufferevent.
//!
//! [`process`] has child processes, whose pipes are such streams and whose end is awaited like anything else.
//!
//! # What holds everywhere
//!
//! 1. **The operation comes first.** It is tried before anything is waited for, so that what is there already is
//!    delivered by the first poll.
//! 2. **Dropping a future loses no data.** A read or write either happened, and then its poll answered, or it did not
//!    happen. Every future of this crate is cancel safe; what that means for a partly finished sequence is noted there.
//! 3. **`read_with`, `readable`, `accept`, `recv` and their like may be awaited by any number of tasks at once.** The
//!    `poll_*` methods, and with them `AsyncRead` and `AsyncWrite`, have room for one waker per direction.
//! 4. **A descriptor has one registration.** A second [`Async`] of it is refused with `AlreadyExists`.
//!
//! # Examples
//!
//! ```no_run
//! use futures_lite::{future, AsyncReadExt, AsyncWriteExt};
//! use levent_io::net::TcpStream;
//!
//! # fn main() -> std::io::Result<()> {
//! future::block_on(async {
//!     let mut stream = TcpStream::connect("127.0.0.1:7000").await?;
//!     stream.write_all(b"hello").await?;
//!     let mut answer = [0; 5];
//!     stream.read_exact(&mut answer).await?;
//!     Ok(())
//! })
//! # }
//! ```

#![deny(unsafe_code)]

mod accept;
mod async_io;
pub mod buffer;
mod copy;
pub mod limit;
pub mod net;
mod operations;
pub mod process;
mod raw_mut;
mod ready;
mod sockets;
pub mod stream;
#[cfg(feature = "tls")]
pub mod tls;
mod traits;
mod waiting;

pub use async_io::Async;
pub use buffer::Buffer;
pub use copy::{
    CopyBuf, Relay, SendFile, StreamSocket, ThroughMemory, ThroughPipe, Transfer, copy,
    copy_bidirectional, copy_buf, send_file, splice, splice_bidirectional,
};
pub use levent_reactor::IoSafe;
pub use ready::{Readable, ReadableOwned, Writable, WritableOwned};
pub use stream::BufferedStream;

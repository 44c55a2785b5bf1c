//! The traits that everything here is made of: `use levent::prelude::*`.
//!
//! They are the ecosystem's own (`futures-core`, `futures-io`), so a library that asks for `AsyncRead` takes our sockets. The methods
//! with names (`read`, `lines`, `next`) are in the extension traits of `futures-lite` or `futures-util`; levent brings neither,
//! to leave the choice of version to you.
//!
//! ```
//! use levent::prelude::*;
//! use std::time::Duration;
//!
//! fn copies<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> S {
//!     stream
//! }
//!
//! fn ticks() -> impl Stream<Item = std::time::Instant> {
//!     levent::interval(Duration::from_secs(1))
//! }
//! ```

#[doc(no_inline)]
pub use std::future::Future;

#[doc(no_inline)]
pub use futures_core::Stream;
#[doc(no_inline)]
pub use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};

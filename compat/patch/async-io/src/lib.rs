//! async-io 2.6's root on the levent reactor: see `levent-async-io`.

#![forbid(unsafe_code)]

pub use levent_async_io::*;

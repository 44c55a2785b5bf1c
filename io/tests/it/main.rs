//! Integration tests of `levent-io`, one binary.
//!
//! `auto_traits` and `surface` are checked by the compiler; `addresses`, `buffer` (the byte queue) and `limit` need no reactor; `copy` moves whole streams; `behaviour` runs
//! every test under our own executor and under a foreign one, and so does `listener`, on every backend; `filter` and `tls` have
//! streams over streams; `conformance` checks the page of that name.

mod addresses;
mod auto_traits;
mod buffer;
mod conformance;
mod copy;
mod filter;
mod limit;
mod listener;
mod process;
mod quota;
mod relay;
mod stream;
mod support;
mod surface;
#[cfg(all(feature = "tls", target_os = "linux"))]
mod tls;

mod behaviour;

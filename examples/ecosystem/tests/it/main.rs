//! The programs of `src/bin` as child processes, and real clients: curl, openssl, Python, and the programs' own. A client that is not installed is skipped with a note.
//!
//! `executors` turns it round: what is levent's, polled by the executors of others. `tokio_traits` has both sides' streams with the traits of the other.
//!
//! Everything else is awaited on levent, children too, so that a test that hangs is ended by its limit.

mod executors;
mod http;
mod quic;
mod support;
mod tls;
mod tokio_traits;
mod websocket;

//! End-to-end tests of `levent`: real sockets, real clients, real processes. One binary.
//!
//! | Module | What it asks |
//! |---|---|
//! | `sockets` | streams, ends, resets and packets; every test is fit for each backend |
//! | `backends` | runs `sockets` and `turns` once per backend, each in a process of its own |
//! | `chaos` | the same contents under short transfers and interrupted calls; compares bytes, never counts calls |
//! | `programs` | the examples as child processes, with `curl`, `socat` and `ncat` where there are |
//! | `load` | thousands of connections, timers, signals and foreign wakes |
//! | `limits` | no descriptor left |
//! | `turns` | no state of a descriptor, and no idle program, spins |
//! | `memory` | allocations per request, bytes per connection |
//! | `nesting` | `block_on` in `block_on`, panics, sockets that move, foreign executors |
//! | `handover` | waits whose loop ends, moves or is another one; wakers that are foreign code |
//! | `bad_input` | one clear error each, and nothing lost |
//! | `types` | `Send` and `Sync`, decided by the compiler |
//! | `dns` | hickory's resolver against a name server of the test's own; the example `dig` (feature `hickory`) |
//! | `http`, `http_peers` | the adapters for hyper: server and client, HTTP/1 and HTTP/2 (feature `hyper`) |
//! | `attributes` | `#[levent::test]` and `#[levent::main]` (feature `macros`) |
//!
//! Each test is bounded by a [`Watchdog`](support::Watchdog), uses port 0, and orders what happens by messages, never by sleeping.
//! What belongs to a whole process (limits, signals, descriptors, threads, the environment) is changed in a process of its own, see
//! [`support::in_child`].

#[cfg(feature = "macros")]
mod attributes;
mod backends;
mod bad_input;
mod chaos;
#[cfg(feature = "hickory")]
mod dns;
mod handover;
#[cfg(feature = "hyper")]
mod http;
#[cfg(feature = "hyper")]
mod http_peers;
mod limits;
mod load;
mod memory;
mod nesting;
mod programs;
mod sockets;
mod support;
mod turns;
mod types;

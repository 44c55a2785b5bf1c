//! Integration tests of `levent-io`, one binary.
//!
//! `auto_traits` and `surface` are checked by the compiler; `addresses` and `buffer`, the byte queue, need no reactor; `behaviour` runs every
//! test under our own executor and under a foreign one, and so does `listener`, on every backend; `conformance` checks the page of that name.

mod addresses;
mod auto_traits;
mod buffer;
mod conformance;
mod listener;
mod surface;

mod behaviour;

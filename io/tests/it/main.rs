//! Integration tests of `levent-io`, one binary.
//!
//! `auto_traits` and `surface` are checked by the compiler; `addresses` needs no reactor; `behaviour` runs every test under our own
//! executor and under a foreign one.

mod addresses;
mod auto_traits;
mod surface;

mod behaviour;

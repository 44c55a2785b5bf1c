//! Integration tests of `levent-io`, one binary.
//!
//! `buffer` has the byte queue, one module per chapter of its rules, and its model. `auto_traits` and `surface` are checked by the compiler; `addresses` needs no reactor; `behaviour` runs every test under our own
//! executor and under a foreign one.

mod addresses;
mod auto_traits;
mod surface;

mod buffer;

mod behaviour;

//! Behaviour of the signal streams with real signals, each test in a process of its own.

mod child;
mod signals;

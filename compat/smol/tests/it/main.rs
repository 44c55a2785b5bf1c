//! smol's root: its names, whose they are, and the global executor.

mod roots;
mod spawn;
mod threads;

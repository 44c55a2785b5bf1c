//! What the tests share: a watchdog, processes of their own, an echo server, checked bytes.

pub(crate) mod bytes;
pub(crate) mod echo;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod special;
mod watchdog;

pub(crate) use process::in_child;
pub(crate) use watchdog::Watchdog;

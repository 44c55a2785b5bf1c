//! Coming from another runtime: name by name.
//!
//! | From | Page | In short |
//! |---|---|---|
//! | smol, async-io | [`from_smol`] | rename a dependency; or take the native names |
//! | async-std | [`from_async_std`] | the same traits; `task::spawn` is [`spawn`](crate::spawn), which stays on its thread |
//! | tokio's current-thread runtime | [`from_tokio`] | `futures-io` traits instead of tokio's; no `Runtime` to hand around |
//! | libevent | [`from_libevent`] | the reactor is libevent's; futures take the place of callbacks where you like |

#[doc = include_str!("from_smol.md")]
pub mod from_smol {}

#[doc = include_str!("from_async_std.md")]
pub mod from_async_std {}

#[doc = include_str!("from_tokio.md")]
pub mod from_tokio {}

#[doc = include_str!("from_libevent.md")]
pub mod from_libevent {}

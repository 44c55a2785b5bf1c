//! What the spin guard has to say.

use std::fmt;
use std::os::fd::RawFd;

use super::Base;
use crate::Flags;

/// A descriptor that was ready again and again while the callbacks of its events did nothing about it, and that the base therefore
/// watches no longer; see [`Base::on_spin`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spin {
    /// Its number. It may be closed by now.
    pub descriptor: RawFd,
    /// What the system calls it, where it tells: a path, `pipe:[17]`, `socket:[18]`, `anon_inode:[eventfd]`.
    pub name: Option<String>,
    /// What it was ready for; nothing if only an error or a hang-up was reported.
    pub ready: Flags,
    /// How many callbacks in a row did nothing.
    pub callbacks: u32,
}

impl fmt::Display for Spin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptor {}", self.descriptor)?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        write!(
            f,
            " was ready ({:?}) for {} callbacks in a row that neither read, wrote, accepted nor changed an interest: it is not watched \
             any more; delete its event where it is served no longer, or delete and add it to watch it again",
            self.ready, self.callbacks
        )
    }
}

/// The hook of [`Base::on_spin`].
pub(crate) type Hook = Box<dyn FnMut(&Spin)>;

impl Base {
    /// Has `hook` called when the base has stopped watching a descriptor because nobody serves it.
    ///
    /// A level-triggered descriptor that is ready, and whose callback leaves it so, would make the loop use all of the cpu: the end of a
    /// stream whose event is not deleted, an interest in writing where there is nothing to write, a listener that cannot accept. When that
    /// has gone on for [`Config::spin_limit`](crate::Config::spin_limit) callbacks in a row, the base stops watching the descriptor
    /// for what it is ready for. Its events stay pending, and any change of interest watches it again.
    ///
    /// On Linux only, and only where the system shows beyond doubt that the owner does nothing: for TCP; for anything that is at its end;
    /// for pipes, terminals and counters of the kernel; for datagrams that are received over IP; and for listeners when no descriptor is
    /// left. What is sent as datagrams or over Unix sockets, or read there, does not show, and is never taken for idleness.
    ///
    /// The hook runs on the base's thread, like a callback, and replaces the one before. What was found is also in the
    /// [dump](Base::dump), and counted by [`spins`](Base::spins).
    ///
    /// ```
    /// use levent_reactor::{Base, Config, Event, Flags};
    /// use std::os::unix::net::UnixStream;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let base = Base::with_config(&Config::new().spin_limit(50))?;
    /// # if base.method() == levent_reactor::Method::Kqueue { return Ok(()) }
    /// let (reader, writer) = UnixStream::pair()?;
    /// drop(writer);
    /// let forgotten = Event::new(&base, reader, Flags::READ | Flags::PERSIST, |_, _, _| ())?;
    /// forgotten.add()?;
    /// base.on_spin({
    ///     let base = base.clone();
    ///     move |spin| {
    ///         eprintln!("{spin}");
    ///         base.loop_break();
    ///     }
    /// });
    /// # if cfg!(target_os = "linux") {
    /// base.dispatch()?;
    /// assert_eq!(base.spins(), 1);
    /// # }
    /// # Ok(()) }
    /// ```
    pub fn on_spin(&self, hook: impl FnMut(&Spin) + 'static) {
        drop(self.local.spin_hook.replace(Some(Box::new(hook))));
    }

    /// How many descriptors the base has stopped watching because nobody served them.
    #[must_use]
    pub fn spins(&self) -> u64 {
        self.with(|engine| engine.guard.count)
    }

    /// Tells the hook what the guard has found.
    #[cold]
    pub(super) fn tell_spins(&self) {
        for spin in self.with(|engine| std::mem::take(&mut engine.guard.news)) {
            // Taken out meanwhile: it may set another.
            if let Some(mut hook) = self.local.spin_hook.take() {
                self.guarded(|| hook(&spin));
                let newer = self.local.spin_hook.take();
                self.local.spin_hook.set(newer.or(Some(hook)));
            }
        }
    }
}

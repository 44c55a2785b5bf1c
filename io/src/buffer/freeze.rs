//! Closing one end of a buffer to changes.

use std::io;

use super::Buffer;

/// An end of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Where bytes are taken: `drain`, `read`, `take_line`, `write_to`, `prepend`, moves out of it.
    Front,
    /// Where bytes are added: `append`, `reserve`, `read_from`, moves into it.
    Back,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frozen {
    front: bool,
    back: bool,
}

impl Buffer {
    /// Refuses changes at one end until [`unfreeze`](Buffer::unfreeze); the other end goes on as before. Twice is as good as once.
    ///
    /// What only looks is never refused: the length, peeks, searches, `pull_up`, and [`expand`](Buffer::expand) (EB-97). Copying out is, as
    /// libevent has it (EB-98).
    ///
    /// ```
    /// use levent_io::buffer::{Buffer, Side};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut buffer = Buffer::from("being written out");
    /// buffer.freeze(Side::Front);
    /// assert!(buffer.drain(5).is_err());
    /// buffer.append(b", more follows")?;
    /// buffer.unfreeze(Side::Front);
    /// assert_eq!(buffer.drain(5)?, 5);
    /// # Ok(()) }
    /// ```
    pub fn freeze(&mut self, side: Side) {
        *self.frozen_mut(side) = true;
    }

    /// Allows changes at one end again.
    pub fn unfreeze(&mut self, side: Side) {
        *self.frozen_mut(side) = false;
    }

    /// Are changes at this end refused?
    #[must_use]
    pub fn is_frozen(&self, side: Side) -> bool {
        match side {
            Side::Front => self.frozen.front,
            Side::Back => self.frozen.back,
        }
    }

    fn frozen_mut(&mut self, side: Side) -> &mut bool {
        match side {
            Side::Front => &mut self.frozen.front,
            Side::Back => &mut self.frozen.back,
        }
    }

    /// The error of a frozen front, if it is.
    pub(super) fn check_front(&self) -> io::Result<()> {
        if self.frozen.front {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the front of this buffer is frozen: unfreeze Side::Front before taking bytes from it or prepending",
            ));
        }
        Ok(())
    }

    /// The error of a frozen back, if it is.
    pub(super) fn check_back(&self) -> io::Result<()> {
        if self.frozen.back {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the back of this buffer is frozen: unfreeze Side::Back before adding bytes to it",
            ));
        }
        Ok(())
    }
}

//! Errors that say which side failed, at what.

use std::error::Error;
use std::fmt;
use std::io;

/// What was to be done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Read,
    Write,
    Flush,
    Close,
}

/// What went wrong in one direction, which does not know its ends' names.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) action: Action,
    pub(super) error: io::Error,
}

impl Failure {
    pub(super) fn new(action: Action, error: io::Error) -> Failure {
        Failure { action, error }
    }

    /// The error for the user, of the same kind.
    pub(super) fn between(self, reader: &'static str, writer: &'static str) -> io::Error {
        let words = match self.action {
            Action::Read => ["read from", reader],
            Action::Write => ["write to", writer],
            Action::Flush => ["flush", writer],
            Action::Close => ["close", writer],
        };
        let error = self.error;
        io::Error::new(error.kind(), Named { words, error })
    }
}

/// The message: `cannot read from a: Connection reset by peer`.
#[derive(Debug)]
struct Named {
    words: [&'static str; 2],
    error: io::Error,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [action, side] = self.words;
        write!(f, "cannot {action} {side}: {}", self.error)
    }
}

impl Error for Named {
    /// The original error, for its number.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// A writer that takes nothing will not take more the next time: trying again would spin.
pub(super) fn accepts_nothing() -> io::Error {
    io::Error::new(
        io::ErrorKind::WriteZero,
        "it accepts no bytes, and says that this is no error",
    )
}

/// Counts that the next slice would panic of.
pub(super) fn claims_too_much() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it claims to have moved more bytes than it was given: its implementation is wrong",
    )
}

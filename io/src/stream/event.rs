//! What happened to a stream: connected, ended, failed, timed out.

use super::Direction;
use super::side::End;

/// Something that happened to a [`BufferedStream`](super::BufferedStream), once.
///
/// The methods that read and write answer with the same end or error; events are for those who do not read or write at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The connection, or the handshake, is complete (BE-41).
    Connected,
    /// The connection could not be made (BE-44). The error is what every operation answers with.
    ConnectFailed,
    /// The peer sends no more. What is in the input can still be read, and writing goes on (BE-19).
    Eof,
    /// The direction has failed. The error is what its operations answer with.
    Error(Direction),
    /// Nothing moved in this direction for its timeout, and it is disabled until it is enabled again (BE-64).
    Timeout(Direction),
}

/// Events that have not been told, each at most once. In the order in which they are told (BE-55): connected before everything else.
#[derive(Debug, Default)]
pub(super) struct Pending(u8);

const ORDER: [Event; 7] = [
    Event::Connected,
    Event::ConnectFailed,
    Event::Eof,
    Event::Error(Direction::Read),
    Event::Error(Direction::Write),
    Event::Timeout(Direction::Read),
    Event::Timeout(Direction::Write),
];

impl Pending {
    pub(super) fn add(&mut self, event: Event) {
        for (index, known) in ORDER.iter().enumerate() {
            if *known == event {
                self.0 |= 1 << index;
            }
        }
    }

    pub(super) fn note(&mut self, direction: Direction, end: &End) {
        match end {
            End::Eof => self.add(Event::Eof),
            End::TimedOut => self.add(Event::Timeout(direction)),
            End::Closed => {}
            End::Os(_) | End::Failed(_) => self.add(Event::Error(direction)),
        }
    }

    pub(super) fn take(&mut self) -> Option<Event> {
        if self.0 == 0 {
            return None;
        }
        let index = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        ORDER.get(index as usize).copied()
    }
}

//! What a filter does to the bytes: a trait of two functions, or two closures.

use std::fmt;
use std::io;

use crate::Buffer;

/// Transforms the bytes of a [`BufferedStream`](super::BufferedStream): see [`filter`](super::BufferedStream::filter).
///
/// Each function takes bytes off the front of `source` and appends what it makes of them to the end of `destination`. What is in the destination
/// already is not its affair. `limit` is how many bytes are welcome there, a wish (FI-2): more is put up with, and means more memory.
///
/// A function that is not written passes everything. Of two closures [`stage`] makes a stage.
///
/// # Examples
///
/// ```
/// use levent_io::Buffer;
/// use levent_io::stream::{Mode, Progress, Stage, pair};
/// use std::io::{self, Read};
///
/// /// Both directions with each byte exclusive-ored.
/// struct Mask(u8);
///
/// impl Mask {
///     fn apply(&self, source: &mut Buffer, destination: &mut Buffer, limit: usize) -> io::Result<Progress> {
///         let mut bytes = source.take_vec(limit)?;
///         bytes.iter_mut().for_each(|byte| *byte ^= self.0);
///         destination.append(&bytes)?;
///         Ok(if source.is_empty() { Progress::NeedMore } else { Progress::Produced })
///     }
/// }
///
/// impl Stage for Mask {
///     fn incoming(&mut self, source: &mut Buffer, destination: &mut Buffer, limit: usize, _: Mode) -> io::Result<Progress> {
///         self.apply(source, destination, limit)
///     }
///
///     fn outgoing(&mut self, source: &mut Buffer, destination: &mut Buffer, limit: usize, _: Mode) -> io::Result<Progress> {
///         self.apply(source, destination, limit)
///     }
/// }
///
/// # fn main() -> io::Result<()> {
/// # levent_executor::block_on(async {
/// let (left, mut right) = pair();
/// let mut left = left.filter(Mask(0x20));
/// left.write_all(b"HELLO").await?;
/// left.flush().await?;
/// assert_eq!(right.peek(5).await?, b"hello");
/// # Ok(()) })
/// # }
/// ```
pub trait Stage {
    /// From the transport to the reader. `mode` is `Normal`, and at the end of the stream `Finished`.
    ///
    /// # Errors
    ///
    /// End the upper stream's reading with the same error (FI-12).
    fn incoming(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        limit: usize,
        mode: Mode,
    ) -> io::Result<Progress> {
        pass(source, destination, limit, mode)
    }

    /// From the writer to the transport.
    ///
    /// `source` has what was written since the last call, behind what the stage left there.
    ///
    /// # Errors
    ///
    /// End the upper stream's writing with the same error (FI-12).
    fn outgoing(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        limit: usize,
        mode: Mode,
    ) -> io::Result<Progress> {
        pass(source, destination, limit, mode)
    }
}

/// What is expected of a [`Stage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// As much as is useful; the stage may keep bytes back for more to come.
    Normal,
    /// The far end has to be able to read everything that has been given until now: somebody waits.
    Flush,
    /// What is in the source is the last there is.
    Finished,
}

/// What came of a call of a [`Stage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// There may be more to give: call again. An answer that was true for neither buffer is taken as `NeedMore`.
    Produced,
    /// Nothing more without more bytes in the source, whatever was produced by this call.
    NeedMore,
}

/// The function of a [`Stage`] that passes everything on: bytes are moved, not copied.
///
/// # Errors
///
/// None, with buffers that are not frozen.
pub fn pass(
    source: &mut Buffer,
    destination: &mut Buffer,
    limit: usize,
    _mode: Mode,
) -> io::Result<Progress> {
    destination.append_from(source, limit)?;
    Ok(match source.is_empty() {
        true => Progress::NeedMore,
        false => Progress::Produced,
    })
}

/// A stage of two functions, [`incoming`](Stage::incoming) and [`outgoing`](Stage::outgoing); for a missing one, [`pass`].
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # levent_executor::block_on(async {
/// use levent_io::stream::{Progress, pair, pass, stage};
///
/// let mut sent = 0;
/// let (left, mut right) = pair();
/// let mut left = left.filter(stage(pass, |source, destination, _, _| {
///     sent += destination.append_buffer(source)?;
///     Ok(Progress::NeedMore)
/// }));
/// left.write_all(b"counted").await?;
/// left.close().await?;
/// drop(left);
/// assert_eq!(sent, 7);
/// # Ok(()) })
/// # }
/// ```
pub fn stage<I, O>(incoming: I, outgoing: O) -> StageFns<I, O>
where
    I: FnMut(&mut Buffer, &mut Buffer, usize, Mode) -> io::Result<Progress>,
    O: FnMut(&mut Buffer, &mut Buffer, usize, Mode) -> io::Result<Progress>,
{
    StageFns { incoming, outgoing }
}

/// What [`stage`] makes.
#[derive(Clone, Copy)]
pub struct StageFns<I, O> {
    incoming: I,
    outgoing: O,
}

impl<I, O> Stage for StageFns<I, O>
where
    I: FnMut(&mut Buffer, &mut Buffer, usize, Mode) -> io::Result<Progress>,
    O: FnMut(&mut Buffer, &mut Buffer, usize, Mode) -> io::Result<Progress>,
{
    fn incoming(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        limit: usize,
        mode: Mode,
    ) -> io::Result<Progress> {
        (self.incoming)(source, destination, limit, mode)
    }

    fn outgoing(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        limit: usize,
        mode: Mode,
    ) -> io::Result<Progress> {
        (self.outgoing)(source, destination, limit, mode)
    }
}

impl<I, O> fmt::Debug for StageFns<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageFns").finish_non_exhaustive()
    }
}

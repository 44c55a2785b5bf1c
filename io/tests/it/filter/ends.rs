//! How filters begin and end: connects, ends of stream, errors, timeouts, flush and close.

use super::{Gate, Marker, everywhere, noise, poll_once, wakes_of};
use futures_lite::future;
use levent_io::Buffer;
use levent_io::net::TcpListener;
use levent_io::stream::{
    BufferedStream, Direction, Event, Mode, Progress, Stage, pair, pass, stage,
};
use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// A filter of a stream that has not connected yet is made and dropped freely; what it connects to is told through it, once, and what was
/// written before is sent then (FI-5, FI-13).
#[test]
fn filter_of_a_stream_to_come() {
    everywhere(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        drop(BufferedStream::connecting(address).filter(Marker));

        let mut stream = BufferedStream::connecting(address).filter(Marker);
        stream.try_write(b"early")?;
        assert!(stream.take_event().is_none());
        let (event, accepted) = future::zip(stream.event(), listener.accept()).await;
        assert_eq!(event, Event::Connected);
        let mut peer = BufferedStream::socket(accepted?.0).filter(Marker);
        stream.flush().await?;
        assert_eq!(peer.peek(5).await?, b"early");
        peer.close().await?;
        assert_eq!(stream.event().await, Event::Eof);
        assert!(stream.take_event().is_none());
        let lower = stream.get_mut().expect("connected").inner_mut();
        assert_eq!(lower.take_event(), Some(Event::Eof), "no Connected twice");
        Ok(())
    });
}

/// A connect that fails below has failed above, and every operation says why (FI-5, FI-13).
#[test]
fn failed_connect_is_told_through() {
    everywhere(async || {
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let mut stream = BufferedStream::connecting(address).filter(Marker);
        assert_eq!(stream.event().await, Event::ConnectFailed);
        assert!(stream.take_event().is_none());
        let error = stream.fill_more().await.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = stream.flush().await.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        Ok(())
    });
}

/// A stage that needs more is asked again when there is more, and not before; bytes it leaves are kept for it (FI-12).
#[test]
fn need_more_waits_for_more() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let (mut left, right) = pair();
    let mut right = right.filter(stage(
        move |source: &mut Buffer, destination: &mut Buffer, _, _| {
            counted.fetch_add(1, SeqCst);
            let blocks = source.len() / 16 * 16;
            destination.append_from(source, blocks)?;
            Ok(Progress::NeedMore)
        },
        pass,
    ));
    let mut send = |bytes: &[u8]| {
        left.output().append(bytes).unwrap();
        poll_once(left.flush()).unwrap().unwrap();
    };
    send(&[1; 10]);
    for _ in 0..3 {
        assert!(poll_once(right.fill_more()).is_none());
    }
    assert_eq!(calls.load(SeqCst), 1);
    send(&[2; 10]);
    assert_eq!(poll_once(right.fill_more()).unwrap().unwrap(), 16);
    assert!(poll_once(right.fill_more()).is_none());
    assert_eq!(calls.load(SeqCst), 2);
    // The last four bytes are no block, and no more will come.
    poll_once(left.close()).unwrap().unwrap();
    let error = poll_once(right.fill_more()).unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(right.get_ref().unwrap().inner().input_len(), 4);
}

/// A stage that wants more at once than the marks allow is told so, instead of waiting for ever (FI-11, FI-12).
#[test]
fn need_more_than_the_mark_is_an_error() {
    let (mut left, mut right) = pair();
    right.set_read_marks(0, 100).unwrap();
    let mut right = right.filter(stage(|_, _, _, _| Ok(Progress::NeedMore), pass));
    left.output().append(&[0; 200]).unwrap();
    poll_once(left.flush()).unwrap().unwrap();
    let error = poll_once(right.fill_more()).unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
}

/// An error of a stage is its direction's: the operation fails with it, the event tells the direction, and the other direction goes on (FI-12).
#[test]
fn stage_errors_are_reported() {
    let refuse = |_: &mut Buffer, _: &mut Buffer, _: usize, _: Mode| {
        Err(io::Error::new(io::ErrorKind::InvalidData, "not my bytes"))
    };
    let (mut left, right) = pair();
    let mut right = right.filter(stage(refuse, pass));
    left.output().append(b"?").unwrap();
    poll_once(left.flush()).unwrap().unwrap();
    let error = poll_once(right.fill_more()).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "not my bytes");
    assert_eq!(right.take_event(), Some(Event::Error(Direction::Read)));
    right.output().append(b"!").unwrap();
    poll_once(right.flush()).unwrap().unwrap();
    assert_eq!(poll_once(left.fill_more()).unwrap().unwrap(), 1);

    let (mut left, right) = pair();
    let mut right = right.filter(stage(pass, refuse));
    right.output().append(b"!").unwrap();
    let error = poll_once(right.flush()).unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(right.take_event(), Some(Event::Error(Direction::Write)));
    left.output().append(b"?").unwrap();
    poll_once(left.flush()).unwrap().unwrap();
    assert_eq!(poll_once(right.fill_more()).unwrap().unwrap(), 1);
}

/// Keeps every byte back until it is flushed or finished, and ends with a full stop.
#[derive(Default)]
struct Lazy {
    kept: Buffer,
    modes: Vec<Mode>,
    is_over: bool,
}

impl Lazy {
    fn step(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        mode: Mode,
    ) -> io::Result<Progress> {
        self.modes.push(mode);
        self.kept.append_buffer(source)?;
        if mode != Mode::Normal {
            destination.append_buffer(&mut self.kept)?;
        }
        if mode == Mode::Finished && !std::mem::replace(&mut self.is_over, true) {
            destination.append(b".")?;
        }
        Ok(Progress::NeedMore)
    }
}

impl Stage for Lazy {
    fn incoming(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        _: usize,
        mode: Mode,
    ) -> io::Result<Progress> {
        self.step(source, destination, mode)
    }

    fn outgoing(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        _: usize,
        mode: Mode,
    ) -> io::Result<Progress> {
        self.step(source, destination, mode)
    }
}

/// At the end of the stream the stage gives what it has kept, the reader gets it, and only then the end is told (FI-13, FI-15).
#[test]
fn tail_comes_before_the_end() {
    everywhere(async || {
        let (mut left, right) = pair();
        let mut right = right.filter(Lazy::default());
        left.write_all(b"abc").await?;
        left.flush().await?;
        assert!(poll_once(right.fill_more()).is_none(), "kept");
        left.close().await?;
        assert_eq!(right.fill_more().await?, 4);
        assert_eq!(right.take_event(), None);
        assert_eq!(right.peek(9).await?, b"abc.");
        assert_eq!(right.event().await, Event::Eof);
        assert_eq!(right.take_event(), None);
        let filter = right.get_ref().expect("a filter");
        assert!(
            filter
                .stage()
                .modes
                .ends_with(&[Mode::Finished, Mode::Finished])
        );
        Ok(())
    });
}

/// An error below is the same error above, in its direction (FI-13).
#[test]
fn errors_below_are_told_through() {
    let (left, right) = pair();
    let mut left = left.filter(Marker).filter(Marker);
    drop(right);
    left.output().append(b"lost").unwrap();
    let error = poll_once(left.flush()).unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(left.take_event(), Some(Event::Error(Direction::Write)));
}

/// A timeout below is a timeout above, and enabling there goes on with both; the second one is told as well (FI-13, FI-18).
#[test]
fn timeouts_below_are_told_through() {
    everywhere(async || {
        let (mut left, mut right) = pair();
        let wait = Duration::from_millis(20);
        right.set_timeouts(Some(wait), None);
        let mut right = right.filter(Marker).filter(Marker);
        for _ in 0..2 {
            let begun = Instant::now();
            let error = right.fill_more().await.expect_err("nothing came");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(begun.elapsed() >= wait);
            assert_eq!(right.take_event(), Some(Event::Timeout(Direction::Read)));
            assert_eq!(right.take_event(), None);
            right.enable(Direction::Read);
        }
        left.write_all(b"+++x").await?;
        left.flush().await?;
        assert_eq!(right.peek(1).await?, b"x");
        Ok(())
    });
}

/// The filter's own timers: reading counts what came out of the stage, and writing does not count while there is nothing to write (FI-18).
#[test]
fn filter_has_timers_of_its_own() {
    everywhere(async || {
        let (mut left, right) = pair();
        let mut right = right.filter(Marker);
        let (short, long) = (Duration::from_millis(10), Duration::from_millis(60));
        right.set_timeouts(Some(long), Some(short));
        right.enable(Direction::Write);
        let begun = Instant::now();
        // Half a pair is no byte for the reader.
        left.write_all(b"+").await?;
        left.flush().await?;
        assert_eq!(right.event().await, Event::Timeout(Direction::Read));
        assert!(begun.elapsed() >= long);
        assert!(right.is_enabled(Direction::Write));
        Ok(())
    });
}

/// Flushing has every stage give what it keeps, through all levels, to the peer; waiting for an answer does the same (FI-14).
#[test]
fn flush_goes_all_the_way() {
    everywhere(async || {
        let (left, mut right) = pair();
        let mut left = left.filter(Lazy::default()).filter(Lazy::default());
        left.write_all(b"one ").await?;
        assert_eq!(poll_once(right.fill_more()).map(drop), None);
        left.flush().await?;
        assert_eq!(right.peek(4).await?, b"one ");
        left.write_all(b"two").await?;
        assert!(poll_once(left.fill_more()).is_none());
        assert_eq!(right.peek(7).await?, b"one two");
        left.flush().await?;
        let outer = left.get_ref().expect("a filter");
        let flushes = |modes: &[Mode]| modes.iter().filter(|mode| **mode == Mode::Flush).count();
        assert_eq!(flushes(&outer.stage().modes), 2, "not for nothing");
        Ok(())
    });
}

/// A stage is flushed once for what it has been given, however often the wait for the transport is polled (FI-14).
#[test]
fn flush_is_asked_for_once() {
    let (gate, asked) = Gate::new(0);
    let mut stream = BufferedStream::new(gate).filter(Lazy::default());
    stream.output().append(b"some").unwrap();
    for _ in 0..3 {
        assert!(poll_once(stream.flush()).is_none());
    }
    asked.takes.store(100, SeqCst);
    poll_once(stream.flush()).unwrap().unwrap();
    let modes = &stream.get_ref().unwrap().stage().modes;
    assert_eq!(modes[..], [Mode::Normal, Mode::Flush]);
}

/// A wait to close reads ahead below, and a reader of the filter hears of it (FI-11).
#[test]
fn closing_reads_and_tells() {
    let (mut left, mut right) = pair();
    left.disable(Direction::Write);
    let mut left = left.filter(Lazy::default());
    right.output().append(b"news").unwrap();
    poll_once(right.flush()).unwrap().unwrap();
    let (closed, wakes) = wakes_of(left.close());
    assert!(closed.is_none());
    assert_eq!(left.get_ref().unwrap().inner().input_len(), 4);
    assert!(wakes > 0);
}

/// Closing finishes the stages from the outermost on, and then closes the stream below; or leaves it open (FI-14, FI-16).
#[test]
fn close_finishes_the_stages() {
    let (gate, asked) = Gate::new(usize::MAX);
    let mut stream = BufferedStream::new(gate)
        .filter(Lazy::default())
        .filter(Lazy::default());
    stream.output().append(b"end").unwrap();
    poll_once(stream.close()).unwrap().unwrap();
    assert_eq!(usize::MAX - asked.takes.load(SeqCst), 5, "end..");
    assert_eq!(asked.closes.load(SeqCst), 1);
    let error = stream.try_write(b"more").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);

    let (gate, asked) = Gate::new(usize::MAX);
    let mut stream = BufferedStream::new(gate).filter(Lazy::default());
    stream.get_mut().unwrap().keep_open();
    stream.output().append(b"end").unwrap();
    poll_once(stream.close()).unwrap().unwrap();
    assert_eq!(usize::MAX - asked.takes.load(SeqCst), 4);
    assert_eq!(asked.closes.load(SeqCst), 0);
    let mut lower = stream.into_parts().transport.unwrap().into_inner();
    lower.output().append(b"plain").unwrap();
    poll_once(lower.flush()).unwrap().unwrap();
    assert_eq!(usize::MAX - asked.takes.load(SeqCst), 9);
}

/// A stage that does not take its last bytes has not finished, and close says so (FI-14).
#[test]
fn unfinished_stage_is_an_error() {
    let (gate, _) = Gate::new(usize::MAX);
    let mut stream =
        BufferedStream::new(gate).filter(stage(pass, |_, _, _, _| Ok(Progress::NeedMore)));
    stream.output().append(b"half a block").unwrap();
    poll_once(stream.flush()).unwrap().unwrap();
    let error = poll_once(stream.close()).unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let filter = stream.into_parts().transport.unwrap();
    assert_eq!(filter.into_parts().unsent.len(), 12);
}

/// Dropping a filter drops the stage and the stream below, once; taken apart, both go on, with their bytes (FI-16).
#[test]
fn filter_owns_or_returns_what_is_below() {
    struct Counted(Arc<AtomicUsize>);
    impl Stage for Counted {}
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let (left, mut right) = pair();
    drop(left.filter(Counted(drops.clone())));
    assert_eq!(drops.load(SeqCst), 1);
    assert_eq!(
        poll_once(right.fill_more()).unwrap().unwrap(),
        0,
        "it is gone"
    );

    let (mut left, right) = pair();
    let mut right = right.filter(Counted(drops.clone()));
    right.set_read_marks(0, 3).unwrap();
    left.output().append(b"abcdef").unwrap();
    poll_once(left.flush()).unwrap().unwrap();
    assert_eq!(poll_once(right.fill_more()).unwrap().unwrap(), 3);
    let parts = right.into_parts();
    assert_eq!(parts.input.to_vec().unwrap(), b"abc");
    let mut parts = parts.transport.unwrap().into_parts();
    assert_eq!(parts.inner.input().to_vec().unwrap(), b"def");
    assert_eq!(drops.load(SeqCst), 1);
    drop(parts.stage);
    assert_eq!(drops.load(SeqCst), 2);
    left.output().append(b"g").unwrap();
    poll_once(left.flush()).unwrap().unwrap();
    assert_eq!(poll_once(parts.inner.fill_more()).unwrap().unwrap(), 1);
}

/// What was in the stream before it was filtered: its input comes through the stage, its output goes out as it is, first (FI-3).
#[test]
fn bytes_from_before_the_filter() {
    let (mut left, right) = pair();
    left.output().append(b"raw ").unwrap();
    let mut left = left.filter(Marker);
    poll_once(left.flush()).unwrap().unwrap();
    let mut right = right;
    assert_eq!(poll_once(right.peek(4)).unwrap().unwrap(), b"raw ");
    left.output().append(b"x").unwrap();
    poll_once(left.flush()).unwrap().unwrap();
    assert_eq!(poll_once(right.fill_more()).unwrap().unwrap(), 2);
    right.input().drain(4).unwrap();
    let mut right = right.filter(Marker);
    assert_eq!(poll_once(right.fill_more()).unwrap().unwrap(), 1);
}

/// The socket below is reached through the filter, for its descriptor and the settings of its stream (FI-3, FI-17).
#[test]
fn socket_is_reached_through_the_filter() {
    everywhere(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut stream = BufferedStream::connect(listener.local_addr()?).await?;
        let number = stream.get_ref().expect("connected").as_fd().as_raw_fd();
        stream.set_read_marks(0, 77)?;
        let mut stream = stream.filter(Marker).filter(Marker);
        let inner = stream.get_mut().expect("a filter").inner_mut();
        let inner = inner.get_mut().expect("a filter").inner_mut();
        assert_eq!(inner.marks(Direction::Read), (0, 77));
        inner.set_max_single(Direction::Read, 5);
        assert_eq!(
            inner.get_ref().expect("a socket").as_fd().as_raw_fd(),
            number
        );
        Ok(())
    });
}

/// A stage that gives bytes without end does not keep the others of its loop waiting (FI-7).
#[test]
fn endless_stage_lets_others_run() {
    let (mut left, right) = pair();
    left.output().append(&noise(100)).unwrap();
    poll_once(left.flush()).unwrap().unwrap();
    // Moves bytes in its source, and gives none.
    let mut right = right.filter(stage(
        |source, _, _, _| {
            source.append(b"x")?;
            Ok(Progress::Produced)
        },
        pass,
    ));
    assert!(poll_once(right.fill_more()).is_none());
}

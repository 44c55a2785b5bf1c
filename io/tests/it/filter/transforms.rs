//! Whole exchanges through stages that change the number of bytes: markers, and zlib.

use super::{Marker, everywhere, noise};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use futures_lite::future;
use levent_io::Buffer;
use levent_io::net::unix::UnixStream;
use levent_io::stream::{BufferedStream, Mode, Progress, Stage, pair};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// libevent's own amount.
const AMOUNT: usize = 8333;

/// Sends `AMOUNT` bytes and closes; the far end reads all of them and then the end.
async fn exchange<A, B, T: Stage, U: Stage>(
    left: BufferedStream<A>,
    right: BufferedStream<B>,
    stages: (T, U),
) -> io::Result<()> {
    let (mut left, mut right) = (left.filter(stages.0), right.filter(stages.1));
    let data: Vec<u8> = noise(AMOUNT).iter().map(|byte| byte & 0x0f).collect();
    let sender = async {
        left.write_all(&data).await?;
        left.close().await?;
        assert_eq!(left.output_len(), 0);
        Ok(())
    };
    let receiver = async {
        let mut got = vec![0; AMOUNT];
        right.read_exact(&mut got).await?;
        assert!(got == data);
        assert_eq!(right.fill_more().await?, 0);
        Ok(())
    };
    future::try_zip(sender, receiver).await.map(drop)
}

/// Each byte gets a marker and loses it again, over sockets and over pairs (FI-19).
#[test]
fn markers_go_there_and_back() {
    everywhere(async || {
        let (left, right) = pair();
        exchange(left, right, (Marker, Marker)).await?;
        let (left, right) = UnixStream::pair()?;
        let (left, right) = (BufferedStream::socket(left), BufferedStream::socket(right));
        exchange(left, right, (Marker, Marker)).await
    });
}

/// zlib in one direction.
enum Zlib {
    Deflate(Compress),
    Inflate(Decompress),
}

impl Zlib {
    /// One piece: from the first chunk of `source`, and not more than is welcome.
    fn step(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        limit: usize,
        mode: Mode,
    ) -> io::Result<Progress> {
        let piece = source.first_slice().to_vec();
        let is_all = piece.len() == source.len();
        let mut room = destination.reserve(limit.clamp(64, 4096))?;
        let size = room.capacity().min(4096);
        let (taken, given, status) = match self {
            Zlib::Deflate(zlib) => {
                let flush = match mode {
                    Mode::Flush if is_all => FlushCompress::Sync,
                    Mode::Finished if is_all => FlushCompress::Finish,
                    _ => FlushCompress::None,
                };
                let before = (zlib.total_in(), zlib.total_out());
                let status = zlib.compress(&piece, &mut room[..size], flush)?;
                (
                    zlib.total_in() - before.0,
                    zlib.total_out() - before.1,
                    status,
                )
            }
            Zlib::Inflate(zlib) => {
                let before = (zlib.total_in(), zlib.total_out());
                let status = zlib.decompress(&piece, &mut room[..size], FlushDecompress::None)?;
                (
                    zlib.total_in() - before.0,
                    zlib.total_out() - before.1,
                    status,
                )
            }
        };
        room.commit(given as usize)?;
        source.drain(taken as usize)?;
        // Room that was not used up says that there is no more to come.
        let is_over = status == Status::StreamEnd || (source.is_empty() && (given as usize) < size);
        Ok(match is_over {
            true => Progress::NeedMore,
            false => Progress::Produced,
        })
    }
}

/// zlib in both directions, with a count of those alive.
struct Both {
    coming: Zlib,
    going: Zlib,
    calls: Arc<[AtomicUsize; 2]>,
    alive: Arc<AtomicUsize>,
}

impl Both {
    fn new(calls: &Arc<[AtomicUsize; 2]>, alive: &Arc<AtomicUsize>) -> Both {
        alive.fetch_add(1, SeqCst);
        Both {
            coming: Zlib::Inflate(Decompress::new(true)),
            going: Zlib::Deflate(Compress::new(Compression::default(), true)),
            calls: calls.clone(),
            alive: alive.clone(),
        }
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

impl Stage for Both {
    fn incoming(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        limit: usize,
        mode: Mode,
    ) -> io::Result<Progress> {
        self.calls[0].fetch_add(1, SeqCst);
        if source.is_empty() {
            return Ok(Progress::NeedMore);
        }
        self.coming.step(source, destination, limit, mode)
    }

    fn outgoing(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        limit: usize,
        mode: Mode,
    ) -> io::Result<Progress> {
        self.calls[1].fetch_add(1, SeqCst);
        self.going.step(source, destination, limit, mode)
    }
}

/// Compressed at one end and inflated at the other, in both kinds of streams; both functions are called, and both stages dropped once (FI-19).
#[test]
fn zlib_goes_there_and_back() {
    everywhere(async || {
        let calls = Arc::new([const { AtomicUsize::new(0) }; 2]);
        let alive = Arc::new(AtomicUsize::new(0));
        let both = || (Both::new(&calls, &alive), Both::new(&calls, &alive));
        let (left, right) = pair();
        exchange(left, right, both()).await?;
        let (left, right) = UnixStream::pair()?;
        let (left, right) = (BufferedStream::socket(left), BufferedStream::socket(right));
        exchange(left, right, both()).await?;
        assert!(calls.iter().all(|calls| calls.load(SeqCst) > 0));
        assert_eq!(alive.load(SeqCst), 0);
        Ok(())
    });
}

/// A compressor keeps bytes back; a question is answered all the same, since whoever waits for the answer flushes (FI-14, FI-19).
#[test]
fn compressed_questions_are_answered() {
    everywhere(async || {
        let calls = Arc::new([const { AtomicUsize::new(0) }; 2]);
        let alive = Arc::new(AtomicUsize::new(0));
        let (left, right) = pair();
        let mut left = left.filter(Both::new(&calls, &alive));
        let mut right = right.filter(Both::new(&calls, &alive));
        let client = async {
            for number in 0..100_u32 {
                left.write_all(&number.to_be_bytes()).await?;
                let mut answer = [0; 4];
                left.read_exact(&mut answer).await?;
                assert_eq!(u32::from_be_bytes(answer), number + 1);
            }
            left.close().await
        };
        let server = async {
            let mut question = [0; 4];
            for _ in 0..100 {
                right.read_exact(&mut question).await?;
                let answer = u32::from_be_bytes(question) + 1;
                right.write_all(&answer.to_be_bytes()).await?;
            }
            assert_eq!(right.fill_more().await?, 0);
            Ok(())
        };
        future::try_zip(client, server).await.map(drop)
    });
}

//! A tunnel that compresses: two relays, between which everything goes as zlib streams.
//!
//! ```text
//! client ──▶ zlib_tunnel pack 127.0.0.1:7004 127.0.0.1:7005 ══zlib══▶ zlib_tunnel unpack 127.0.0.1:7005 127.0.0.1:7000 ──▶ server
//!
//! cargo run --release --example zlib_tunnel -- unpack 127.0.0.1:7005 127.0.0.1:7000     (addresses may be names; port 0 takes a free one)
//! cargo run --release --example zlib_tunnel -- pack 127.0.0.1:7004 127.0.0.1:7005
//! ```
//!
//! Each prints `listening on ADDR`, and for each connection that has ended how many bytes went up and down. What somebody waits for goes out at once, and so
//! does the end of one direction while the other goes on. Ctrl-C ends the program.
//!
//! The compressor is flate2's, and a [`Stage`] of 40 lines makes a filter of it.

use std::{env, io, process::ExitCode, rc::Rc};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use levent::{
    Buffer, BufferedStream,
    buffer::Reservation,
    ctrl_c,
    net::{TcpListener, TcpStream},
    spawn,
    stream::{Mode, Progress, Stage, relay},
};

/// The most that one step makes, in bytes.
const STEP: usize = 16 << 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [role @ ("pack" | "unpack"), listen, upstream] = words[..] else {
        eprintln!("usage: zlib_tunnel pack|unpack LISTEN UPSTREAM, both HOST:PORT");
        return ExitCode::from(2);
    };
    match levent::block_on(serve(role == "pack", listen, upstream)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{listen}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(packs: bool, listen: &str, upstream: &str) -> io::Result<()> {
    let ended = ctrl_c()?;
    let listener = TcpListener::bind(listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let upstream: Rc<str> = upstream.into();
    let accepting = spawn(async move {
        loop {
            // The listener paces itself when it is out of descriptors.
            if let Ok((client, peer)) = listener.accept().await {
                let upstream = upstream.clone();
                spawn(async move {
                    match pass_on(client, &upstream, packs).await {
                        Ok((up, down)) => eprintln!("{peer}: {up} bytes up, {down} bytes down"),
                        Err(error) => eprintln!("{peer}: {error}"),
                    }
                })
                .detach();
            }
        }
    });
    ended.await?;
    accepting.cancel().await;
    Ok(())
}

/// The zlib streams are on the upstream's side of one end, and on the client's of the other.
async fn pass_on(client: TcpStream, upstream: &str, packs: bool) -> io::Result<(u64, u64)> {
    let upstream = TcpStream::connect(upstream).await?;
    for stream in [&client, &upstream] {
        stream.set_nodelay(true)?;
    }
    let mut client = BufferedStream::socket(client);
    let mut upstream = BufferedStream::socket(upstream);
    if packs {
        relay(&mut client, &mut upstream.filter(Zlib::new())).await
    } else {
        relay(&mut client.filter(Zlib::new()), &mut upstream).await
    }
}

/// One zlib stream each way.
struct Zlib {
    going: Compress,
    coming: Decompress,
    /// The stream that comes is complete.
    is_over: bool,
}

impl Zlib {
    fn new() -> Zlib {
        Zlib {
            going: Compress::new(Compression::default(), true),
            coming: Decompress::new(true),
            is_over: false,
        }
    }
}

impl Stage for Zlib {
    fn outgoing(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        _: usize,
        mode: Mode,
    ) -> io::Result<Progress> {
        // One piece of memory at a time. What is to be flushed or finished is everything.
        let piece = source.first_slice();
        let is_last = piece.len() == source.len();
        let flush = match mode {
            Mode::Flush if is_last => FlushCompress::Sync,
            Mode::Finished if is_last => FlushCompress::Finish,
            _ => FlushCompress::None,
        };
        let mut room = destination.reserve(STEP)?;
        let before = (self.going.total_in(), self.going.total_out());
        self.going.compress(piece, &mut room[..STEP], flush)?;
        let taken = self.going.total_in() - before.0;
        let given = self.going.total_out() - before.1;
        moved(source, room, taken, given)
    }

    fn incoming(
        &mut self,
        source: &mut Buffer,
        destination: &mut Buffer,
        _: usize,
        mode: Mode,
    ) -> io::Result<Progress> {
        let piece = source.first_slice();
        let mut room = destination.reserve(STEP)?;
        let before = (self.coming.total_in(), self.coming.total_out());
        let flush = FlushDecompress::None;
        let status = self.coming.decompress(piece, &mut room[..STEP], flush)?;
        self.is_over |= status == Status::StreamEnd;
        let taken = self.coming.total_in() - before.0;
        let given = self.coming.total_out() - before.1;
        let progress = moved(source, room, taken, given)?;
        if mode == Mode::Finished && progress == Progress::NeedMore && !self.is_over {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the zlib stream is cut off",
            ));
        }
        Ok(progress)
    }
}

/// One call has taken and given so many bytes. Room that was not used up says that there is nothing more to come of what it had.
fn moved(source: &mut Buffer, room: Reservation, taken: u64, given: u64) -> io::Result<Progress> {
    // They lay in memory, so they fit.
    room.commit(given as usize)?;
    source.drain(taken as usize)?;
    Ok(if source.is_empty() && given < STEP as u64 {
        Progress::NeedMore
    } else {
        Progress::Produced
    })
}

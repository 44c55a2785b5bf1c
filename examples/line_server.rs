//! A server that talks in lines: one task per connection, a limit on the length of a line, and an idle timeout.
//!
//! ```text
//! cargo run --release --example line_server -- 127.0.0.1:7002     (the default address; port 0 takes a free one)
//! ```
//!
//! Prints `listening on ADDR`. Try `socat - TCP:127.0.0.1:7002`, and type
//!
//! | Line | Answer |
//! |---|---|
//! | `echo WORDS` | the words |
//! | `add N N ...` | their sum |
//! | `time` | seconds since 1970 |
//! | `quit` | `bye`, and the end |
//!
//! Anything else is answered with `?`. A client may send many lines at once: they are answered in one write. A line longer than 4 KiB, or silence for a
//! minute, ends the connection with a last line that says so. Ctrl-C ends the server.

use std::{
    env,
    io::{self, Write},
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use levent::{
    BufferedStream,
    buffer::Eol,
    ctrl_c,
    net::{TcpListener, TcpStream},
    spawn, timeout,
};

const LINE_MAX: usize = 4 << 10;
const IDLE: Duration = Duration::from_secs(60);

fn main() -> io::Result<()> {
    let address = env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:7002".into());
    let address: SocketAddr = address.parse().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("not an ADDRESS:PORT: {address}"),
        )
    })?;
    levent::block_on(async {
        let ended = ctrl_c()?;
        let listener = TcpListener::bind(address).await?;
        println!("listening on {}", listener.local_addr()?);
        let accepting = spawn(async move {
            loop {
                if let Ok((stream, peer)) = listener.accept().await {
                    spawn(async move {
                        if let Err(error) = talk(BufferedStream::socket(stream)).await {
                            eprintln!("{peer}: {error}");
                        }
                    })
                    .detach();
                }
            }
        });
        ended.await?;
        accepting.cancel().await;
        Ok(())
    })
}

async fn talk(mut stream: BufferedStream<TcpStream>) -> io::Result<()> {
    stream.set_timeouts(Some(IDLE), Some(IDLE));
    stream.set_read_marks(0, LINE_MAX)?;
    loop {
        let line = match stream.read_line(Eol::Crlf).await {
            Ok(Some(line)) => line,
            Ok(None) => break,
            // The two errors that the client can still be told of.
            Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                writeln!(stream.output(), "the line is too long")?;
                return take_leave(stream).await;
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                writeln!(stream.output(), "good night")?;
                break;
            }
            Err(error) => return Err(error),
        };
        let line = String::from_utf8_lossy(&line);
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("echo", words) => writeln!(stream.output(), "{words}")?,
            ("add", numbers) => {
                let sum = numbers
                    .split_whitespace()
                    .try_fold(0i64, |sum, number| sum.checked_add(number.parse().ok()?));
                match sum {
                    Some(sum) => writeln!(stream.output(), "{sum}")?,
                    None => writeln!(stream.output(), "?")?,
                }
            }
            ("time", _) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                writeln!(stream.output(), "{}", now.unwrap_or_default().as_secs())?;
            }
            ("quit", _) => {
                writeln!(stream.output(), "bye")?;
                break;
            }
            _ => writeln!(stream.output(), "?")?,
        }
        // What has been answered is sent when the next line has to be waited for; a client that never reads is waited for here.
        stream.room().await?;
    }
    stream.close().await
}

/// Says what there is to say, and hears the client out, within bounds: closing a connection with unread input resets it, and the last line is lost.
async fn take_leave(mut stream: BufferedStream<TcpStream>) -> io::Result<()> {
    stream.close().await?;
    let hear_out = async {
        let mut left = 1 << 20;
        while left > 0 {
            let heard = stream.fill().await?;
            if heard == 0 {
                break;
            }
            left -= stream.input().drain(heard.min(left))?;
        }
        Ok(())
    };
    timeout(Duration::from_secs(1), hear_out)
        .await
        .unwrap_or(Ok(()))
}

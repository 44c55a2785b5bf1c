//! One source, several threads, with and without a loop of ours.

use levent_smol as smol;
use smol::{Async, future, io, prelude::*};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

const MUCH: usize = 16 << 20;

/// Reads and checks a pattern that depends on the place.
async fn drain(mut stream: impl AsyncRead + Unpin) -> io::Result<usize> {
    let (mut buffer, mut total) = (vec![0; 64 << 10], 0);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(total);
        }
        for (place, byte) in (total..).zip(&buffer[..read]) {
            assert_eq!(*byte, (place % 251) as u8, "at {place}");
        }
        total += read;
    }
}

async fn fill(mut stream: impl AsyncWrite + Unpin) -> io::Result<()> {
    let bytes: Vec<u8> = (0..MUCH).map(|place| (place % 251) as u8).collect();
    stream.write_all(&bytes).await
}

/// Which loop each of the threads is in.
type BlockOn = fn(future::Boxed<io::Result<usize>>) -> io::Result<usize>;

fn ours(future: future::Boxed<io::Result<usize>>) -> io::Result<usize> {
    smol::block_on(future)
}

fn theirs(future: future::Boxed<io::Result<usize>>) -> io::Result<usize> {
    future::block_on(future)
}

/// Two tasks on two threads share one `Async` by reference, one for each direction: both make progress, 16 MiB each way.
#[test]
fn two_threads_share_one_source() -> io::Result<()> {
    for (reader, writer) in [
        (ours, ours),
        (ours, theirs),
        (theirs, ours),
        (theirs, theirs),
    ] as [(BlockOn, BlockOn); 4]
    {
        let (left, right) = Async::<UnixStream>::pair()?;
        let (left, right) = (Arc::new(left), Arc::new(right));
        let far = thread::spawn({
            let right = Arc::clone(&right);
            move || {
                smol::block_on(async {
                    let (sent, received) = future::zip(
                        async {
                            fill(&*right).await?;
                            right.get_ref().shutdown(std::net::Shutdown::Write)
                        },
                        drain(&*right),
                    )
                    .await;
                    sent.and(received)
                })
            }
        });
        let reads = thread::spawn({
            let left = Arc::clone(&left);
            move || reader(async move { drain(&*left).await }.boxed())
        });
        let writes = thread::spawn(move || {
            writer(
                async move {
                    fill(&*left).await?;
                    left.get_ref().shutdown(std::net::Shutdown::Write)?;
                    Ok(0)
                }
                .boxed(),
            )
        });
        assert_eq!(reads.join().expect("the reader does not panic")?, MUCH);
        writes.join().expect("the writer does not panic")?;
        assert_eq!(far.join().expect("the other end does not panic")?, MUCH);
    }
    Ok(())
}

/// design: a thread stuck inside `block_on` holds nobody else up.
#[test]
fn stuck_thread_holds_nobody_up() -> io::Result<()> {
    let (is_in, entered) = std::sync::mpsc::channel();
    let (release, stuck) = std::sync::mpsc::channel::<()>();
    let stuck = thread::spawn(move || {
        smol::block_on(async {
            // Its base is running, and will not turn again before it is let go.
            smol::Timer::after(std::time::Duration::from_millis(1)).await;
            let _ = is_in.send(());
            let _ = stuck.recv();
        });
    });
    entered.recv().expect("the thread does not panic");
    smol::block_on(async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = listener.get_ref().local_addr()?;
        let echo = smol::spawn(async move {
            let (stream, _) = listener.accept().await?;
            io::copy(&stream, &stream).await
        });
        let mut stream = Async::<TcpStream>::connect(address).await?;
        stream.write_all(b"hello").await?;
        stream.get_ref().shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert_eq!(answer, "hello");
        echo.await
    })?;
    drop(release);
    stuck.join().expect("the thread does not panic");
    Ok(())
}

//! Our sockets, timers and child processes, polled by executors that know nothing of us, whose tasks move between threads as they like.

use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_executor::Executor;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent::net::{TcpListener, TcpStream, UdpSocket};
use levent::process::Command;
use levent::{sleep, timeout};

use crate::support::in_time;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

const CONNECTIONS: u8 = 32;
const ROUNDS: usize = 100;

/// The work, which spawns its parts and ends when they have.
async fn work(spawn: impl Fn(Task)) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (done, ends) = async_channel::unbounded();
    for number in 0..CONNECTIONS {
        let done = done.clone();
        spawn(Box::pin(async move {
            let asked = ask(address, number).await;
            done.send(asked).await.expect("somebody counts");
        }));
        let (stream, _) = listener.accept().await?;
        spawn(Box::pin(async move {
            // Its end is the client's, who looks at what it got.
            let _ = echo(stream).await;
        }));
    }
    drop(done);
    let mut ended = 0;
    while let Ok(end) = ends.recv().await {
        end?;
        ended += 1;
    }
    assert_eq!(ended, CONNECTIONS);

    let silent = UdpSocket::bind("127.0.0.1:0").await?;
    let late = timeout(Duration::from_millis(5), silent.recv_from(&mut [0])).await;
    assert!(late.is_err());
    let output = Command::new("echo").arg("le vent").output().await?;
    assert_eq!(output.stdout, b"le vent\n");
    Ok(())
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}

/// There and back, in sizes that fit a buffer and that do not, with pauses.
async fn ask(address: std::net::SocketAddr, number: u8) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (stream.clone(), stream);
    for round in 0..ROUNDS {
        let question = vec![number ^ round as u8; 1 + round * 97];
        let mut answer = vec![0; question.len()];
        futures_lite::future::try_zip(writer.write_all(&question), reader.read_exact(&mut answer))
            .await?;
        assert_eq!(answer, question, "round {round}");
        if round % 32 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(())
}

/// tokio's scheduler, whose threads steal tasks from each other.
#[test]
fn tokio_on_several_threads() {
    in_time(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .build()?;
        let spawner = runtime.handle().clone();
        runtime.block_on(work(move |task| drop(spawner.spawn(task))))
    });
}

/// async-executor, which is smol's, run by four threads.
#[test]
fn async_executor_on_several_threads() {
    in_time(|| {
        let executor = Arc::new(Executor::new());
        for _ in 0..4 {
            let executor = Arc::clone(&executor);
            thread::spawn(move || futures_lite::future::block_on(executor.run(pending::<()>())));
        }
        let spawner = Arc::clone(&executor);
        futures_lite::future::block_on(work(move |task| spawner.spawn(task).detach()))
    });
}

/// The pool of the crate futures; and its `block_on`.
#[test]
fn thread_pool_of_futures() {
    in_time(|| {
        let pool = futures_executor::ThreadPool::builder()
            .pool_size(4)
            .create()?;
        futures_executor::block_on(work(move |task| pool.spawn_ok(task)))
    });
}

/// pollster, which has no tasks: each gets a thread.
#[test]
fn pollster_with_a_thread_for_each() {
    in_time(|| {
        pollster::block_on(work(|task| {
            thread::spawn(|| pollster::block_on(task));
        }))
    });
}

/// Ours at home, and the tasks abroad: sources made in a loop of ours are polled by a pool from then on.
#[test]
fn made_here_and_polled_there() {
    in_time(|| {
        let executor = Arc::new(Executor::new());
        for _ in 0..2 {
            let executor = Arc::clone(&executor);
            thread::spawn(move || futures_lite::future::block_on(executor.run(pending::<()>())));
        }
        let spawner = Arc::clone(&executor);
        levent::block_on(work(move |task| spawner.spawn(task).detach()))
    });
}

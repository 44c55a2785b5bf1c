//! No descriptors left, under each policy (promise 7).
//!
//! In the tests with many clients, the clients are here and the server is a process of its own, with room for 64 descriptors.

use super::{child, in_child, is_child};
use crate::behaviour::{counting, everywhere, poll_with, turn};
use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use levent_executor::LocalExecutor;
use levent_io::net::{ExhaustionPolicy, ListenOptions, ListenerStats, TcpListener, TcpStream};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const ANY: &str = "127.0.0.1:0";
const CLIENTS: usize = 200;
/// Answers with the listener's counts.
const ASK: u8 = b'?';

/// Takes every descriptor that is left.
fn hoard() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Serves one connection: what comes goes back, and on demand the listener's counts.
async fn serve(mut stream: TcpStream, listener: TcpListener) -> io::Result<()> {
    let mut byte = [0];
    while stream.read(&mut byte).await? > 0 {
        if byte[0] == ASK {
            let stats = listener.stats();
            let paused = stats.paused.as_millis() as u64;
            for count in [stats.accepted, stats.refused, stats.errors, paused] {
                stream.write_all(&count.to_le_bytes()).await?;
            }
        } else {
            stream.write_all(&byte).await?;
        }
    }
    Ok(())
}

/// The server: accepts for ever, whatever accept says.
fn run_server(policy: ExhaustionPolicy) -> ! {
    // Our input ends with whoever started us, however that ends.
    std::thread::spawn(|| {
        let end = io::stdin().read(&mut [0]);
        std::process::exit(end.map_or(1, |_| 0));
    });
    let executor = LocalExecutor::new();
    levent_executor::block_on(executor.run(async {
        let options = ListenOptions::new().on_exhaustion(policy);
        let listener = options.bind(ANY).await.unwrap();
        // On a line of its own, after what the harness says.
        println!("\naddress {}", listener.local_addr().unwrap());
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                executor.spawn(serve(stream, listener.clone())).detach();
            }
        }
    }))
}

/// The server's process; ends with the test.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(name: &str) -> Server {
        let mut child = child(name, 64)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("address ")?.parse().ok())
            .expect("the server says where it listens");
        Server { child, address }
    }

    fn connect(&self) -> StdStream {
        let stream = StdStream::connect(self.address).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it is gone already, all the better.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// True if the server answers, false if it has closed the connection.
fn is_served(mut client: &StdStream) -> bool {
    let mut byte = [0];
    match client.write_all(b"x").and_then(|()| client.read(&mut byte)) {
        Ok(n) => n == 1 && byte == *b"x",
        Err(error) => match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => false,
            _ => panic!("neither served nor refused: {error}"),
        },
    }
}

/// The server's counts: accepted, refused, errors, milliseconds paused.
fn ask(mut client: &StdStream) -> [u64; 4] {
    client.write_all(&[ASK]).unwrap();
    std::array::from_fn(|_| {
        let mut count = [0; 8];
        client.read_exact(&mut count).unwrap();
        u64::from_le_bytes(count)
    })
}

/// 200 clients and room for less than 64: few accepts that fail, those who are in go on, and the others follow within a second of
/// there being room (LI-16).
#[test]
fn backoff_neither_storms_nor_stops() {
    const NAME: &str = "listener::exhaustion::backoff_neither_storms_nor_stops";
    if is_child(NAME) {
        run_server(ExhaustionPolicy::Backoff);
    }
    let server = Server::start(NAME);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    assert!(is_served(&clients[0]));
    // The real clock is the subject: what a second without descriptors costs.
    let [before @ .., _] = ask(&clients[0]);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        assert!(is_served(&clients[0]) && is_served(&clients[1]));
        std::thread::sleep(Duration::from_millis(5));
    }
    let [accepted, refused, errors, paused] = ask(&clients[0]);
    let calls = (accepted - before[0]) + (errors - before[2]);
    assert!(calls < 20, "{calls} accepts in a second");
    assert!((30..64).contains(&accepted), "{accepted} accepted");
    assert_eq!(refused, 0);
    assert!(errors > 0 && paused > 0, "{errors} errors, {paused} ms");

    // The server's part of it takes its time as well, which is not counted: the best of some rounds shows the pause.
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        let [before, ..] = ask(&clients[0]);
        // From the front: they are in. The first stays, to ask.
        clients.drain(1..31);
        while ask(&clients[0])[0] < before + 30 {
            assert!(start.elapsed() < Duration::from_secs(20), "still waiting");
            std::thread::sleep(Duration::from_millis(5));
        }
        fastest = fastest.min(start.elapsed());
    }
    assert!(fastest < Duration::from_millis(1500), "{fastest:?}");
    // In the end everybody has been served.
    while clients.len() > 1 {
        assert!(is_served(&clients.remove(1)));
    }
    assert_eq!(ask(&clients[0])[0], CLIENTS as u64);
}

/// Each of 200 clients is served or has its end at once, without an error; whoever comes when there is room is served (LI-16).
#[test]
fn reserve_refuses_whom_there_is_no_room_for() {
    const NAME: &str = "listener::exhaustion::reserve_refuses_whom_there_is_no_room_for";
    if is_child(NAME) {
        run_server(ExhaustionPolicy::ReserveAndRefuse);
    }
    let server = Server::start(NAME);
    let clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    // Every one of them has an answer, and no timeout: `is_served` fails on one.
    let (served, refused): (Vec<_>, Vec<_>) = clients.into_iter().partition(is_served);
    let counts = [served.len() as u64, refused.len() as u64, 0, 0];
    assert_eq!(ask(&served[0]), counts);
    assert!((30..64).contains(&served.len()), "{}", served.len());
    assert!(served.iter().all(is_served), "they go on");

    drop(served.into_iter().skip(1).collect::<Vec<_>>());
    // The server learns of that in its own time; until then it refuses.
    let start = Instant::now();
    while !is_served(&server.connect()) {
        assert!(start.elapsed() < Duration::from_secs(20), "still refusing");
    }
}

async fn listen(policy: ExhaustionPolicy) -> io::Result<(TcpListener, SocketAddr)> {
    let options = ListenOptions::new().on_exhaustion(policy);
    let listener = options.bind(ANY).await?;
    // Waits once, so that whatever the reactor opens is open.
    assert!(poll_once(listener.accept()).await.is_none());
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Every error at once, and no pause: `Error` leaves the pace to the caller; `Backoff` keeps one; the listener is enabled under both
/// (LI-15, LI-16).
#[test]
fn errors_are_reported() {
    if !in_child("listener::exhaustion::errors_are_reported") {
        return;
    }
    everywhere(|| async {
        for (policy, is_paced) in [
            (ExhaustionPolicy::Error, false),
            (ExhaustionPolicy::Backoff, true),
        ] {
            let (listener, address) = listen(policy).await?;
            let _client = StdStream::connect(address)?;
            let hoard = hoard();
            for _ in 0..3 {
                let error = listener.accept().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(24), "{error}");
            }
            let ListenerStats { errors, paused, .. } = listener.stats();
            assert_eq!(errors, 3);
            // After the first 10 ms, after the second 20.
            assert_eq!(paused >= Duration::from_millis(30), is_paced, "{paused:?}");
            assert_eq!(paused > Duration::ZERO, is_paced, "{paused:?}");
            assert!(listener.is_enabled());
            // Not a third error: there is room. The connection has waited all the time.
            drop(hoard);
            listener.accept().await?;
        }
        Ok(())
    });
}

/// One task's error has all of them pause: who waited for a connection sleeps through those that come meanwhile (LI-16).
#[test]
fn pause_is_slept_through() {
    if !in_child("listener::exhaustion::pause_is_slept_through") {
        return;
    }
    everywhere(|| async {
        for _ in 0..20 {
            if let Some(wakes) = wakes_in_a_pause().await? {
                assert_eq!(wakes, 0);
                return Ok(());
            }
        }
        panic!("this machine is too busy");
    });
}

/// `None` if the pause was over too soon to tell.
async fn wakes_in_a_pause() -> io::Result<Option<usize>> {
    let (listener, address) = listen(ExhaustionPolicy::Backoff).await?;
    let (count, waker) = counting();
    let mut waiting = Box::pin(listener.accept());
    assert!(poll_with(&mut waiting, &waker).is_pending());
    let _client = StdStream::connect(address)?;
    while count.get() == 0 {
        turn().await;
    }
    let mut hoard = hoard();
    for _ in 0..4 {
        listener.accept().await.unwrap_err();
    }
    // The pause that begins somewhere in here is the fifth.
    let begin = Instant::now();
    listener.accept().await.unwrap_err();
    let pause = Duration::from_millis(160);
    if poll_with(&mut waiting, &waker).is_ready() {
        return Ok(None);
    }
    let before = count.get();
    // Room for the client's end.
    hoard.pop();
    let _another = StdStream::connect(address)?;
    for _ in 0..5 {
        turn().await;
    }
    let wakes = count.get() - before;
    // It began later than `begin`: that accept first sat out the pause before.
    let is_over = begin.elapsed() >= pause;
    Ok((!is_over).then_some(wakes))
}

/// As long as nobody comes, a lack of descriptors is no error, and costs nothing; under any policy (LI-16).
#[test]
fn nobody_there_is_no_error() {
    if !in_child("listener::exhaustion::nobody_there_is_no_error") {
        return;
    }
    everywhere(|| async {
        for policy in [
            ExhaustionPolicy::Backoff,
            ExhaustionPolicy::ReserveAndRefuse,
            ExhaustionPolicy::Error,
        ] {
            let (listener, address) = listen(policy).await?;
            let hoard = hoard();
            let mut accept = Box::pin(listener.accept());
            for _ in 0..5 {
                assert!(poll_once(&mut accept).await.is_none());
            }
            assert_eq!(listener.stats(), ListenerStats::default());
            drop(hoard);
            let _client = StdStream::connect(address)?;
            accept.await?;
        }
        Ok(())
    });
}

/// A stream of connections refuses them all the same, and goes on after it (LI-16).
#[test]
fn incoming_refuses() {
    if !in_child("listener::exhaustion::incoming_refuses") {
        return;
    }
    everywhere(|| async {
        let (listener, address) = listen(ExhaustionPolicy::ReserveAndRefuse).await?;
        // More than one poll refuses.
        let mut clients = Vec::new();
        for _ in 0..40 {
            clients.push(StdStream::connect(address)?);
        }
        let mut hoard = hoard();
        let mut incoming = listener.incoming();
        while listener.stats().refused < 40 {
            assert!(poll_once(incoming.next()).await.is_none());
        }
        for client in &mut clients {
            assert_eq!(client.read(&mut [0])?, 0, "the end");
        }
        let stats = listener.stats();
        assert_eq!((stats.accepted, stats.errors), (0, 0));
        // One for the client, one for the server's end.
        hoard.truncate(hoard.len() - 2);
        let _client = StdStream::connect(address)?;
        assert!(incoming.next().await.expect("never ends").is_ok());
        Ok(())
    });
}

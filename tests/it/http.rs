//! hyper's HTTP/1.1 server on our adapters, and a client that writes its requests by hand.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::or;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use levent::hyper::{HyperTimer, Io};
use levent::{block_on, sleep, spawn};

use crate::support::Watchdog;
use crate::support::echo::listener;

/// `/slow` takes a while; `/big` is 1 MB; anything else is named.
async fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let path = request.uri().path();
    if path == "/slow" {
        sleep(Duration::from_millis(20)).await;
    }
    let body = if path == "/big" {
        "0123456789".repeat(100_000)
    } else {
        format!("you asked for {path}")
    };
    Ok(Response::new(body))
}

/// Serves while `client` runs in another thread.
fn serve_while(client: impl FnOnce(SocketAddr) + Send + 'static) {
    let _dog = Watchdog::new(20);
    block_on(async {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        let (running, ended) = async_channel::bounded::<()>(1);
        let client = thread::spawn(move || {
            let _running = running;
            client(address);
        });
        let accepting = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                spawn(async move {
                    // The client's errors are the subject of no test here.
                    let _ = http1::Builder::new()
                        .timer(HyperTimer)
                        .header_read_timeout(Duration::from_millis(200))
                        .serve_connection(Io::new(stream), service_fn(answer))
                        .await;
                })
                .detach();
            }
        };
        or(accepting, async {
            let _ = ended.recv().await;
        })
        .await;
        client.join().unwrap();
    });
}

/// Reads one response: its status line and its body.
fn response(input: &mut BufReader<StdStream>) -> (String, Vec<u8>) {
    let mut status = String::new();
    input.read_line(&mut status).unwrap();
    let mut len = 0;
    loop {
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            len = value.parse().unwrap();
        }
    }
    let mut body = vec![0; len];
    input.read_exact(&mut body).unwrap();
    (status.trim().to_owned(), body)
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// 200 requests over one connection, one after the other.
#[test]
fn connection_is_kept_alive() {
    serve_while(|address| {
        let mut out = StdStream::connect(address).unwrap();
        let mut input = BufReader::new(out.try_clone().unwrap());
        for i in 0..200 {
            out.write_all(&get(&format!("/{i}"))).unwrap();
            let (status, body) = response(&mut input);
            assert_eq!(status, "HTTP/1.1 200 OK");
            assert_eq!(body, format!("you asked for /{i}").as_bytes());
        }
    });
}

/// Ten requests at once are answered in their order, the slow ones too.
#[test]
fn pipelined_requests_are_answered_in_order() {
    serve_while(|address| {
        let mut out = StdStream::connect(address).unwrap();
        let mut input = BufReader::new(out.try_clone().unwrap());
        let paths = ["/a", "/slow", "/b", "/slow", "/c"];
        let requests: Vec<u8> = paths.iter().flat_map(|path| get(path)).collect();
        out.write_all(&requests).unwrap();
        for path in paths {
            let (_, body) = response(&mut input);
            assert_eq!(body, format!("you asked for {path}").as_bytes());
        }
    });
}

/// A request that comes byte by byte, and an answer that fills the buffers.
#[test]
fn slow_request_and_big_answer_are_whole() {
    serve_while(|address| {
        let mut out = StdStream::connect(address).unwrap();
        out.set_nodelay(true).unwrap();
        let mut input = BufReader::new(out.try_clone().unwrap());
        for byte in get("/big") {
            out.write_all(&[byte]).unwrap();
        }
        let (_, body) = response(&mut input);
        assert_eq!(body, "0123456789".repeat(100_000).into_bytes());
    });
}

/// hyper's own timeout, on our timer: a head that never ends.
#[test]
fn head_that_never_ends_is_timed_out() {
    serve_while(|address| {
        let start = Instant::now();
        let mut stream = StdStream::connect(address).unwrap();
        stream.write_all(b"GET / HTT").unwrap();
        let mut rest = Vec::new();
        // Closed, or answered with an error and closed.
        let _ = stream.read_to_end(&mut rest);
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(200), "{took:?}");
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    });
}

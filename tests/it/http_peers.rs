//! hyper's clients and HTTP/2 on our adapters: with each other, with curl, and with Python's server.
//!
//! Nothing here is `Send`: services hold an `Rc`, so the futures that hyper spawns stay on this thread.

use std::cell::Cell;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::future::or;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1 as client1, http2 as client2};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use levent::hyper::{Exec, HyperTimer, Io};
use levent::net::TcpStream;
use levent::test::Test;
use levent::{block_on, sleep, spawn};

use crate::support::Watchdog;
use crate::support::echo::listener;

const BIG: usize = 1 << 20;

/// Echoes the body, after a moment for some; counts.
async fn echo(
    count: Rc<Cell<u32>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    count.set(count.get() + 1);
    assert_eq!(request.version(), Version::HTTP_2);
    if request.uri().path() == "/slow" {
        sleep(Duration::from_millis(5)).await;
    }
    let body = request.into_body().collect().await?;
    Ok(Response::new(Full::new(body.to_bytes())))
}

/// Serves HTTP/2 without TLS while `client` runs; says how many requests there were.
fn serve_while<F: Future<Output = ()>>(client: impl FnOnce(SocketAddr) -> F) -> u32 {
    let _dog = Watchdog::new(30);
    let count = Rc::new(Cell::new(0));
    block_on(async {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        let accepting = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let count = count.clone();
                spawn(async move {
                    // The client's errors are the subject of no test here.
                    let _ = http2::Builder::new(Exec)
                        .timer(HyperTimer)
                        .keep_alive_interval(Duration::from_secs(1))
                        .serve_connection(
                            Io::new(stream),
                            service_fn(|request| echo(count.clone(), request)),
                        )
                        .await;
                })
                .detach();
            }
        };
        or(accepting, client(address)).await;
    });
    count.get()
}

async fn connected(address: SocketAddr) -> client2::SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = client2::Builder::new(Exec)
        .timer(HyperTimer)
        .handshake(Io::new(stream))
        .await
        .unwrap();
    spawn(async move { connection.await.unwrap() }).detach();
    sender
}

/// A hundred requests at once over one connection, answered in whatever order, each with its own body.
#[test]
fn http2_carries_a_hundred_requests_at_once() {
    let served = serve_while(async |address| {
        let sender = connected(address).await;
        let requests: Vec<_> = (0..100)
            .map(|number| {
                let mut sender = sender.clone();
                spawn(async move {
                    let path = if number % 3 == 0 { "/slow" } else { "/" };
                    let body = Full::new(Bytes::from(format!("number {number}")));
                    let request = Request::post(format!("http://localhost{path}"))
                        .body(body)
                        .unwrap();
                    let response = sender.send_request(request).await.unwrap();
                    let body = response.into_body().collect().await.unwrap().to_bytes();
                    assert_eq!(body, format!("number {number}").as_bytes());
                })
            })
            .collect();
        for request in requests {
            request.await;
        }
    });
    assert_eq!(served, 100);
}

/// More than a window: flow control lets it through both ways.
#[test]
fn http2_carries_what_exceeds_its_windows() {
    serve_while(async |address| {
        let mut sender = connected(address).await;
        let sent = Bytes::from((0..BIG).map(|i| (i % 251) as u8).collect::<Vec<_>>());
        let request = Request::post("http://localhost/")
            .body(Full::new(sent.clone()))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let received = response.into_body().collect().await.unwrap().to_bytes();
        assert!(received == sent);
    });
}

/// Ends with the test, whatever becomes of that.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Another implementation: curl, by nghttp2.
#[test]
fn http2_answers_curl() {
    serve_while(async |address| {
        let url = format!("http://{address}/slow");
        let mut curl = levent::process::Command::new("curl");
        curl.args([
            "-sS",
            "--http2-prior-knowledge",
            "-w",
            "[%{http_version} %{http_code}]",
        ]);
        let output = match curl.args(["--data-binary", "le vent", &url]).output().await {
            Ok(output) => output,
            Err(error) => return eprintln!("skipped: no curl: {error}"),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        if complaint.contains("does not support") {
            return eprintln!("skipped: {complaint}");
        }
        // One request: curl 7.88 does not get a second one over such a connection from any server.
        assert_eq!(text, "le vent[2 200]", "{complaint}");
    });
}

/// hyper's HTTP/1 client against another implementation's server: Python's.
#[test]
fn http1_client_talks_to_python() {
    let _dog = Watchdog::new(30);
    let script = "import http.server as s\n\
        class H(s.BaseHTTPRequestHandler):\n\
        \x20 protocol_version = 'HTTP/1.1'\n\
        \x20 def log_message(self, *a): pass\n\
        \x20 def do_POST(self):\n\
        \x20   b = self.rfile.read(int(self.headers['content-length']))\n\
        \x20   self.send_response(200); self.send_header('content-length', str(len(b))); self.end_headers(); self.wfile.write(b)\n\
        h = s.ThreadingHTTPServer(('127.0.0.1', 0), H)\n\
        print(h.server_address[1], flush=True)\n\
        h.serve_forever()\n";
    let started = Command::new("python3")
        .args(["-c", script])
        .stdout(Stdio::piped())
        .spawn();
    let Ok(python) = started else {
        return eprintln!("skipped: no python3");
    };
    let mut python = Killed(python);
    let mut port = String::new();
    BufReader::new(python.0.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port.trim().parse().unwrap()));
    block_on(async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = client1::handshake(Io::new(stream)).await.unwrap();
        let driver = spawn(connection);
        for size in [1, 1000, BIG] {
            let sent = Bytes::from(vec![7; size]);
            let request = Request::post("/")
                .header("host", "localhost")
                .body(Full::new(sent.clone()))
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert!(response.into_body().collect().await.unwrap().to_bytes() == sent);
        }
        drop(sender);
        driver.await.unwrap();
    });
}

/// A server that closes after its answer: the client learns of it, and does not hang.
#[test]
fn http1_client_sees_the_end() {
    let _dog = Watchdog::new(30);
    block_on(async {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = |_| async {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"once"))))
            };
            hyper::server::conn::http1::Builder::new()
                .keep_alive(false)
                .serve_connection(Io::new(stream), service_fn(answer))
                .await
                .unwrap();
        });
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = client1::handshake(Io::new(stream)).await.unwrap();
        let driver = spawn(connection);
        let request = || {
            Request::get("/")
                .header("host", "localhost")
                .body(Empty::<Bytes>::new())
                .unwrap()
        };
        let response = sender.send_request(request()).await.unwrap();
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "once"
        );
        server.await;
        driver.await.unwrap();
        assert!(sender.send_request(request()).await.is_err());
    });
}

/// hyper's deadlines go by our clock: one of 10 s is 10 s, an hour after the test began, and takes no time.
#[test]
fn deadlines_in_virtual_time() {
    let real = Instant::now();
    Test::new().virtual_time().run(async || {
        sleep(Duration::from_secs(3600)).await;
        let listener = listener();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let begun = levent::now();
        let served = http1::Builder::new()
            .timer(HyperTimer)
            .header_read_timeout(Duration::from_secs(10))
            .serve_connection(
                Io::new(stream),
                service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new()))),
            )
            .await;
        assert!(served.unwrap_err().is_timeout());
        let took = levent::now() - begun;
        assert!((10..11).contains(&took.as_secs()), "{took:?}");
        drop(client);
    });
    assert!(real.elapsed() < Duration::from_secs(5));
}

//! An HTTP/1.1 server: hyper on levent.
//!
//! ```text
//! cargo run --release --features hyper --example hello_http -- 127.0.0.1:8080     (the default address)
//! curl -v http://127.0.0.1:8080/
//! ```
//!
//! Prints `listening on ADDR` and answers `GET /` with `Hello, World!`, other paths with 404; connections are kept alive. A client that
//! takes longer than 10 s for its request head is let go. Ctrl-C or SIGTERM: no new connections, requests under way are answered, and
//! after at most 5 s it exits with 0.

use std::{convert::Infallible, env, io, pin::pin, time::Duration};

use futures_lite::{StreamExt, future};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use levent::{
    Run, Signals, Stop,
    hyper::{HyperTimer, Io},
    net::{TcpListener, TcpStream},
    signal::{SIGINT, SIGTERM},
    sleep, spawn,
};

/// How long requests under way may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

fn main() -> io::Result<()> {
    let address = env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".into());
    // When `serve` ends, connections are told to stop; what has not ended after the grace is dropped, and with it its answer.
    let report = Run::new()
        .drain(GRACE)
        .run(async |stop| serve(&address, stop).await);
    report.output.unwrap_or(Ok(()))
}

async fn serve(address: &str, stop: Stop) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let acceptor = spawn(accept(listener, stop));
    signals.next().await;
    acceptor.cancel().await;
    Ok(())
}

async fn accept(listener: TcpListener, stop: Stop) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => spawn(connection(stream, stop.clone())).detach(),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            // Out of descriptors: the connection stays in the backlog until others have ended.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn connection(stream: TcpStream, stop: Stop) {
    // Refused only when the connection is gone already, which hyper will find out.
    let _ = stream.set_nodelay(true);
    let mut http = pin!(
        http1::Builder::new()
            .timer(HyperTimer)
            .header_read_timeout(Duration::from_secs(10))
            .serve_connection(Io::new(stream), service_fn(hello))
    );
    let ended = future::or(async { Some(http.as_mut().await) }, async {
        stop.stopped().await;
        None
    })
    .await;
    // Told to stop: the request under way is answered, with `connection: close`. An error, here as above, is the client's.
    if ended.is_none() {
        http.as_mut().graceful_shutdown();
        let _ = http.await;
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let known = request.uri().path() == "/" && request.method() == Method::GET;
    let text = if known {
        "Hello, World!"
    } else {
        "nothing here\n"
    };
    let mut response = Response::new(text.to_string());
    if !known {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

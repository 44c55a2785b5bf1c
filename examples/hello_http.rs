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

use async_channel::{Receiver, Sender, bounded};
use futures_lite::{StreamExt, future};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use levent::{
    Signals,
    hyper::{HyperTimer, Io},
    net::{TcpListener, TcpStream},
    signal::{SIGINT, SIGTERM},
    sleep, spawn, timeout,
};

/// How long requests under way may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Nothing is ever sent on these channels: what counts is that one side is gone.
type Nothing = Infallible;

fn main() -> io::Result<()> {
    let address = env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".into());
    levent::block_on(async {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let listener = TcpListener::bind(address.as_str()).await?;
        println!("listening on {}", listener.local_addr()?);

        let (running, stopped) = bounded::<Nothing>(1);
        let (open, all_closed) = bounded::<Nothing>(1);
        let acceptor = spawn(accept(listener, stopped, open));
        signals.next().await;

        acceptor.cancel().await;
        // Each connection sees its channel end, and finishes; the last of them ends the other channel.
        drop(running);
        // Whatever the outcome: what is still open after the grace is closed with the process.
        let _ = timeout(GRACE, all_closed.recv()).await;
        Ok(())
    })
}

async fn accept(listener: TcpListener, stopped: Receiver<Nothing>, open: Sender<Nothing>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => spawn(connection(stream, stopped.clone(), open.clone())).detach(),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            // Out of descriptors: the connection stays in the backlog until others have ended.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn connection(stream: TcpStream, stopped: Receiver<Nothing>, _open: Sender<Nothing>) {
    // Refused only when the connection is gone already, which hyper will find out.
    let _ = stream.set_nodelay(true);
    let mut http = pin!(
        http1::Builder::new()
            .timer(HyperTimer)
            .header_read_timeout(Duration::from_secs(10))
            .serve_connection(Io::new(stream), service_fn(hello))
    );
    let ended = future::or(async { Some(http.as_mut().await) }, async {
        let _ = stopped.recv().await;
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

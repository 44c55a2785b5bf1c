//! Crates of others, running on levent: one program each, in `src/bin`, driven by the tests in `tests`.
//!
//! | Program | Shows |
//! |---|---|
//! | `axum_server` | axum's router, extractors and state; what its handlers await is levent's |
//! | `tower_limits` | tower's layers, and one of our own for time: overload is answered with 503, slowness with 504 |
//! | `websocket_echo` | async-tungstenite, server and client |
//! | `rustls_echo` | futures-rustls, server and client |
//! | `quic_echo` | quinn on our runtime, server and client |
//! | `reqwest_get` | a client that only knows tokio |
//!
//! [`serve`] is what the first two have in common: hyper's connections, as tasks that end gracefully.

#![forbid(unsafe_code)]

use std::{env, io, pin::pin, time::Duration};

use axum::body::Body;
use futures_lite::{StreamExt, future};
use hyper::{Request, Response, body::Incoming, server::conn::http1};
use hyper_util::service::TowerToHyperService;
use levent::{
    Run, Signals, Stop,
    hyper::{HyperTimer, Io},
    net::{TcpListener, TcpStream},
    signal::{SIGINT, SIGTERM},
    spawn,
};
use tower::{BoxError, Service};

/// How long requests under way may take once a server is told to stop, and how long a client may take for a request head or a handshake.
pub const GRACE: Duration = Duration::from_secs(5);

/// Serves HTTP/1.1 with a service of tower's at `address`, and prints `listening on ADDR`.
///
/// SIGINT or SIGTERM ends it: no new connections; requests under way are answered, and after 5 s it returns in any case.
///
/// # Errors
///
/// Those of the listener, and of the signals.
pub fn serve<S>(address: &str, service: S) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error: Into<BoxError>>
        + Clone
        + 'static,
{
    let report = Run::new().drain(GRACE).run(async |stop| {
        let mut told = told_to_end()?;
        let listener = TcpListener::bind(address).await?;
        println!("listening on {}", listener.local_addr()?);
        let accepting = spawn(accept(listener, service, stop));
        told.next().await;
        accepting.cancel().await;
        Ok(())
    });
    report.output.unwrap_or(Ok(()))
}

/// SIGINT and SIGTERM, from now on.
///
/// # Errors
///
/// Those of registering for signals.
pub fn told_to_end() -> io::Result<Signals> {
    Signals::new([SIGINT, SIGTERM])
}

async fn accept<S>(listener: TcpListener, service: S, stop: Stop)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error: Into<BoxError>>
        + Clone
        + 'static,
{
    loop {
        // The listener paces itself when it is out of descriptors.
        if let Ok((stream, _)) = listener.accept().await {
            spawn(connection(stream, service.clone(), stop.clone())).detach();
        }
    }
}

async fn connection<S>(stream: TcpStream, service: S, stop: Stop)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error: Into<BoxError>> + Clone,
{
    // Refused only when the connection is gone already, which hyper will find out.
    let _ = stream.set_nodelay(true);
    let mut http = pin!(
        http1::Builder::new()
            .timer(HyperTimer)
            .header_read_timeout(GRACE)
            .serve_connection(Io::new(stream), TowerToHyperService::new(service))
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

/// The first argument of the program, or this.
pub fn argument_or(default: &str) -> String {
    env::args().nth(1).unwrap_or_else(|| default.to_owned())
}

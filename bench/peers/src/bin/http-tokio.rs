//! HTTP/1.1 server of one answer, hyper on tokio's current-thread scheduler: `http-tokio PORT`. Keeps connections alive; SIGTERM ends it.

#[path = "../../../src/both/hello.rs"]
mod hello;

use std::io;

use hello::hello;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use levent_bench::listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

fn main() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::from_std(listener()?)?;
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                spawn_local(serve(stream));
            }
        }
    })
}

async fn serve(stream: TcpStream) {
    // Refused only when the connection is gone already, which hyper will find out.
    let _ = stream.set_nodelay(true);
    // Its error is the client's, who left in the middle of something.
    let _ = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service_fn(hello))
        .await;
}

//! HTTP/1.1 server of one answer, hyper on levent: `http-ours PORT`. Keeps connections alive; SIGTERM ends it.

#[path = "../both/hello.rs"]
mod hello;

use std::io;

use hello::hello;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use levent::hyper::Io;
use levent::net::{TcpListener, TcpStream};
use levent_bench::listener;

fn main() -> io::Result<()> {
    let listener = TcpListener::try_from(listener()?)?;
    levent::block_on(async {
        loop {
            // Out of descriptors, or a connection that is gone already: the listener paces the next try itself.
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            levent::spawn(serve(stream)).detach();
        }
    })
}

async fn serve(stream: TcpStream) {
    // Refused only when the connection is gone already, which hyper will find out.
    let _ = stream.set_nodelay(true);
    // Its error is the client's, who left in the middle of something.
    let _ = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(Io::new(stream), service_fn(hello))
        .await;
}

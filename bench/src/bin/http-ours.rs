//! HTTP/1.1 server of one answer, hyper on levent: `http-ours PORT`. Keeps connections alive; SIGTERM ends it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use levent::hyper::Io;
use levent::net::{TcpListener, TcpStream};
use levent_bench::listener;

const TEXT: &[u8] = b"Hello, World!";

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

async fn hello(_: Request<Incoming>) -> Result<Response<Text>, Infallible> {
    Ok(Response::new(Text(Some(Bytes::from_static(TEXT)))))
}

/// A body in one piece that is copied from nowhere.
struct Text(Option<Bytes>);

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |text| text.len() as u64))
    }
}

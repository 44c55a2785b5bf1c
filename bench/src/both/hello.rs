//! What the HTTP servers answer, whatever they run on.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::{Request, Response};

/// What `load-ours http` waits for, too.
const TEXT: &[u8] = b"Hello, World!";

pub(crate) async fn hello(_: Request<Incoming>) -> Result<Response<Text>, Infallible> {
    Ok(Response::new(Text(Some(Bytes::from_static(TEXT)))))
}

/// A body in one piece that is copied from nowhere.
pub(crate) struct Text(Option<Bytes>);

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

//! tower's layers around a service on levent: at most two requests at a time, others are refused; and so many seconds for each.
//!
//! ```text
//! cargo run --release --manifest-path examples/ecosystem/Cargo.toml --bin tower_limits -- 127.0.0.1:8080 1   (the defaults; port 0 takes a free one)
//! curl -i http://127.0.0.1:8080/200                    an answer after so many milliseconds
//! curl -i http://127.0.0.1:8080/5000                   504, after one second
//! curl -i --data-binary @- http://127.0.0.1:8080/0     the answer comes when the body has
//! ```
//!
//! `ConcurrencyLimit` and `LoadShed` are tower's and need no runtime. Its `Timeout` and `RateLimit` ask for tokio's timers; [`TimeLimit`] is the first of them with ours.
//! Prints `listening on ADDR`. Ctrl-C or SIGTERM: requests under way are answered, and it exits with 0.

#![forbid(unsafe_code)]

use std::{
    env,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::{Request, Response, StatusCode, body::Incoming};
use levent::{Elapsed, sleep, timeout};
use tower::{BoxError, Layer, Service, ServiceBuilder, load_shed::error::Overloaded, service_fn};

fn main() -> io::Result<()> {
    let seconds = env::args().nth(2).unwrap_or_else(|| "1".into());
    let most = seconds
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let most = most.ok_or_else(|| {
        let message = format!("`{seconds}` is not a number of seconds");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    let service = ServiceBuilder::new()
        .then(answer_in_any_case)
        .load_shed()
        .concurrency_limit(2)
        .layer(TimeLimit(most))
        .service(service_fn(wait));
    levent_ecosystem::serve(&levent_ecosystem::argument_or("127.0.0.1:8080"), service)
}

/// Answers when the body has come, and as many milliseconds later as the path says.
async fn wait(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let Ok(milliseconds) = request.uri().path().trim_start_matches('/').parse() else {
        return Ok(status(StatusCode::NOT_FOUND));
    };
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    sleep(Duration::from_millis(milliseconds)).await;
    Ok(Response::new("here you are\n".into()))
}

/// What the layers refuse is an answer too.
async fn answer_in_any_case(
    answer: Result<Response<Body>, BoxError>,
) -> Result<Response<Body>, BoxError> {
    Ok(answer.unwrap_or_else(|error| {
        status(if error.is::<Overloaded>() {
            StatusCode::SERVICE_UNAVAILABLE
        } else if error.is::<Elapsed>() {
            StatusCode::GATEWAY_TIMEOUT
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        })
    }))
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A layer that gives a service so long for each request, by the timers of this thread; then its error is [`Elapsed`].
#[derive(Clone, Copy)]
struct TimeLimit(Duration);

impl<S> Layer<S> for TimeLimit {
    type Service = TimeLimited<S>;

    fn layer(&self, inner: S) -> TimeLimited<S> {
        TimeLimited {
            inner,
            most: self.0,
        }
    }
}

#[derive(Clone)]
struct TimeLimited<S> {
    inner: S,
    most: Duration,
}

impl<S, R> Service<R> for TimeLimited<S>
where
    S: Service<R, Error: Into<BoxError>, Future: 'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let limited = timeout(self.most, self.inner.call(request));
        Box::pin(async move { limited.await?.map_err(Into::into) })
    }
}

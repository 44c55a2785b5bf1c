//! An HTTP/1.1 server with the limits that a public one needs: hyper on levent, where evhttp stood.
//!
//! ```text
//! cargo run --release --features hyper --example http_server -- [LISTEN [OPTION VALUE]...]
//! curl http://127.0.0.1:8080/lines/3                       three lines, chunked
//! curl --data-binary @README.md http://127.0.0.1:8080/sum  length and sum of a body
//! ```
//!
//! `--help` has the options and `GET /` the routes. Prints `listening on ADDR`. Ctrl-C or SIGTERM: no new connections, requests under way are answered; it
//! prints `answered N requests on C connections` and exits with 0.
//!
//! | Who misbehaves | gets |
//! |---|---|
//! | a head that is too large, or has too many fields | 431, and the end |
//! | a head that takes too long, or a connection that is idle for as long | the end |
//! | a body that is announced, or turns out, to be too large | 413 |
//! | a body that takes too long | 408; the end if the answer has begun |
//! | an unknown path, an unknown method | 404, 405 with `Allow` |

use std::{
    cell::Cell,
    convert::Infallible,
    env, io,
    pin::{Pin, pin},
    process::ExitCode,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_lite::{StreamExt, future};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use levent::{
    Run, Signals, Sleep, Stop,
    hyper::{HyperTimer, Io},
    net::{TcpListener, TcpStream},
    signal::{SIGINT, SIGTERM},
    sleep, spawn, timeout,
};

const HELP: &str = "\
usage: http_server [LISTEN [OPTION VALUE]...]

    LISTEN               HOST:PORT to listen on (127.0.0.1:8080; port 0 takes a free one)

    --head BYTES         how large the head of a request may be, 8192 at least (16384)
    --body BYTES         how large a body may be (1048576)
    --head-time SECONDS  how long a head may take, and how long a connection may be idle (10)
    --body-time SECONDS  how long a body may take (30)
    --grace SECONDS      how long requests under way may take at the end (5)";

const ROUTES: &str = "\
GET  /             this page
GET  /lines/N      N lines, one by one
GET  /slow/MS      an answer after so many milliseconds
POST /echo         the body, as it comes
POST /sum          the length of the body, and the sum of its bytes
";

fn main() -> ExitCode {
    if env::args().any(|argument| argument == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let options = match Options::read(env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let server = Rc::new(Server {
        options,
        connections: Cell::new(0),
        requests: Cell::new(0),
    });
    // When `serve` ends, connections are told to stop; what has not ended after the grace is dropped.
    let run = Run::new().drain(server.options.grace);
    let report = run.run(async |stop| serve(server.clone(), stop).await);
    match report.output {
        Some(Err(error)) => {
            eprintln!("{}: {error}", server.options.listen);
            ExitCode::FAILURE
        }
        _ => {
            println!(
                "answered {} requests on {} connections",
                server.requests.get(),
                server.connections.get()
            );
            ExitCode::SUCCESS
        }
    }
}

struct Options {
    listen: String,
    head: usize,
    body: usize,
    head_time: Duration,
    body_time: Duration,
    grace: Duration,
}

struct Server {
    options: Options,
    connections: Cell<u64>,
    requests: Cell<u64>,
}

async fn serve(server: Rc<Server>, stop: Stop) -> io::Result<()> {
    // Before the line below is printed, so that who reads it may send the signal.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = TcpListener::bind(&*server.options.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let accepting = spawn(async move {
        loop {
            // The listener paces itself when it is out of descriptors.
            if let Ok((stream, _)) = listener.accept().await {
                server.connections.set(server.connections.get() + 1);
                spawn(connection(stream, server.clone(), stop.clone())).detach();
            }
        }
    });
    signals.next().await;
    accepting.cancel().await;
    Ok(())
}

async fn connection(stream: TcpStream, server: Rc<Server>, stop: Stop) {
    // Refused only when the connection is gone already, which hyper will find out.
    let _ = stream.set_nodelay(true);
    let options = &server.options;
    let mut http = pin!(
        http1::Builder::new()
            .timer(HyperTimer)
            .header_read_timeout(options.head_time)
            .max_buf_size(options.head)
            .serve_connection(
                Io::new(stream),
                service_fn(|request| answer(&server, request))
            )
    );
    let ended = future::or(async { Some(http.as_mut().await) }, async {
        stop.stopped().await;
        None
    })
    .await;
    // Told to stop: the request under way is answered, with `connection: close`. An error, here as above, is the client's: it left in the
    // middle of something, or was not worth an answer.
    if ended.is_none() {
        http.as_mut().graceful_shutdown();
        let _ = http.await;
    }
}

/// Never an error: what goes wrong with a request is an answer.
async fn answer(
    server: &Server,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    server.requests.set(server.requests.get() + 1);
    let answer = route(&server.options, request).await;
    Ok(answer.unwrap_or_else(Refusal::into_response))
}

async fn route(options: &Options, request: Request<Incoming>) -> Result<Response<Answer>, Refusal> {
    let path = request.uri().path().to_owned();
    // Not every target has a path: `CONNECT host:80` has none.
    let Some(path) = path.strip_prefix('/') else {
        return Err(NOTHING_HERE);
    };
    let (resource, argument) = match path.split_once('/') {
        Some((resource, argument)) => (resource, argument.parse::<u32>().ok()),
        None => (path, None),
    };
    let allowed = match (resource, argument) {
        ("", None) | ("lines" | "slow", Some(_)) => Method::GET,
        ("echo" | "sum", None) => Method::POST,
        _ => return Err(NOTHING_HERE),
    };
    if request.method() != allowed {
        let refusal = Refusal(StatusCode::METHOD_NOT_ALLOWED, "not with this method\n");
        let mut response = refusal.into_response();
        let allow = HeaderValue::from_str(allowed.as_str()).expect("a method's name is a value");
        response.headers_mut().insert(ALLOW, allow);
        return Ok(response);
    }
    match (resource, argument) {
        ("lines", Some(count)) => Ok(plain(Answer::Lines(Lines::new(count)))),
        ("slow", Some(milliseconds)) => {
            sleep(Duration::from_millis(milliseconds.into())).await;
            Ok(text(StatusCode::OK, "here you are\n"))
        }
        ("echo", _) => {
            let late = sleep(options.body_time);
            Ok(plain(Answer::Echo(body(options, request)?, late)))
        }
        ("sum", _) => {
            let bytes = collected(options, body(options, request)?).await?;
            let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
            Ok(text(StatusCode::OK, format!("{} {sum}\n", bytes.len())))
        }
        _ => Ok(text(StatusCode::OK, ROUTES)),
    }
}

/// The body, cut at the limit; refused at once if it is announced to be larger.
fn body(options: &Options, request: Request<Incoming>) -> Result<Limited<Incoming>, Refusal> {
    let body = request.into_body();
    match body.size_hint().lower() > options.body as u64 {
        true => Err(TOO_LARGE),
        false => Ok(Limited::new(body, options.body)),
    }
}

/// The whole of a body, in time.
async fn collected(options: &Options, body: Limited<Incoming>) -> Result<Bytes, Refusal> {
    match timeout(options.body_time, body.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(TOO_LARGE),
        // Not a body that can be read: nobody will see the answer, most likely.
        Ok(Err(_)) => Err(Refusal(StatusCode::BAD_REQUEST, "a broken body\n")),
        Err(_) => Err(Refusal(StatusCode::REQUEST_TIMEOUT, "too slow\n")),
    }
}

/// An answer that says no, and why.
struct Refusal(StatusCode, &'static str);

const NOTHING_HERE: Refusal = Refusal(StatusCode::NOT_FOUND, "nothing here\n");
const TOO_LARGE: Refusal = Refusal(StatusCode::PAYLOAD_TOO_LARGE, "too much\n");

impl Refusal {
    fn into_response(self) -> Response<Answer> {
        text(self.0, self.1)
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Answer> {
    let mut response = plain(Answer::Whole(Full::new(text.into())));
    *response.status_mut() = status;
    response
}

fn plain(answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The bodies that we send. One whose length is known before has a `content-length`; hyper sends the others in chunks.
enum Answer {
    Whole(Full<Bytes>),
    Lines(Lines),
    /// Until it is too late: then the connection ends in the middle of the answer, which has begun.
    Echo(Limited<Incoming>, Sleep),
}

/// So many lines, with a pause between them: what a subscription looks like.
struct Lines {
    sent: u32,
    count: u32,
    pause: Sleep,
}

impl Lines {
    const PAUSE: Duration = Duration::from_millis(1);

    fn new(count: u32) -> Lines {
        Lines {
            sent: 0,
            count,
            pause: sleep(Duration::ZERO),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Answer::Whole(whole) => Pin::new(whole)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Answer::Echo(body, late) => {
                let frame = Pin::new(body).poll_frame(cx);
                if frame.is_pending() && Pin::new(late).poll(cx).is_ready() {
                    return Poll::Ready(Some(Err("too slow".into())));
                }
                frame
            }
            Answer::Lines(lines) => {
                if lines.sent == lines.count {
                    return Poll::Ready(None);
                }
                ready!(Pin::new(&mut lines.pause).poll(cx));
                lines.pause = sleep(Lines::PAUSE);
                lines.sent += 1;
                let line = Bytes::from(format!("line {}\n", lines.sent));
                Poll::Ready(Some(Ok(Frame::data(line))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Whole(whole) => whole.size_hint(),
            // What is echoed may be cut at the limit: no length is promised.
            Answer::Lines(_) | Answer::Echo(..) => SizeHint::default(),
        }
    }
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            listen: "127.0.0.1:8080".into(),
            head: 16 << 10,
            body: 1 << 20,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            grace: Duration::from_secs(5),
        };
        let mut first = true;
        while let Some(name) = arguments.next() {
            if std::mem::take(&mut first) && !name.starts_with("--") {
                options.listen = name;
                continue;
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} wants a value"))?;
            let number: u64 = value
                .parse()
                .map_err(|_| format!("{name}: `{value}` is not a number"))?;
            let size = usize::try_from(number).unwrap_or(usize::MAX);
            match name.as_str() {
                "--head" if size >= 8192 => options.head = size,
                "--head" => return Err("--head: hyper wants 8192 at least".into()),
                "--body" => options.body = size,
                "--head-time" => options.head_time = Duration::from_secs(number),
                "--body-time" => options.body_time = Duration::from_secs(number),
                "--grace" => options.grace = Duration::from_secs(number),
                _ => return Err(format!("no option {name}")),
            }
        }
        Ok(options)
    }
}

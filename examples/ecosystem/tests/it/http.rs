//! axum's router and tower's layers behind hyper, by curl; and reqwest as a client of them.

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1};
use levent::hyper::Io;
use levent::net::TcpStream;
use levent::spawn;
use levent::test::Test;

use crate::support::{Server, run, text};

const AXUM: &str = env!("CARGO_BIN_EXE_axum_server");
const TOWER: &str = env!("CARGO_BIN_EXE_tower_limits");
const REQWEST: &str = env!("CARGO_BIN_EXE_reqwest_get");

/// The answer's status code, by curl.
async fn status(url: String) -> Option<String> {
    text(
        "curl",
        &["-s", "-o", "/dev/null", "-w", "%{http_code}", &url],
    )
    .await
}

/// Paths, queries, bodies and state arrive; what axum refuses, it refuses.
#[test]
fn axum_routes() {
    Test::new().run(async || {
        let server = Server::start(AXUM, &["127.0.0.1:0"]).await;
        let Some(greeting) = text("curl", &["-s", &server.url("/greet/levent")]).await else {
            return;
        };
        assert_eq!(greeting, "Hello, levent.\n");
        let loud = text("curl", &["-s", &server.url("/greet/levent?loud=true")]).await;
        assert_eq!(loud.unwrap(), "HELLO, LEVENT!\n");

        let url = server.url("/reports");
        let post = ["-s", "-H", "content-type: application/json", "-d"];
        for (body, answer) in [
            (r#"{"wind": 7}"#, r#"{"number":1,"gale":false}"#),
            (r#"{"wind": 9}"#, r#"{"number":2,"gale":true}"#),
        ] {
            let arguments = [&post[..], &[body, &url]].concat();
            assert_eq!(text("curl", &arguments).await.unwrap(), answer);
        }
        assert_eq!(text("curl", &["-s", &url]).await.unwrap(), "2");
        let wrong = [
            &post[..],
            &[
                r#"{"wind": "strong"}"#,
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                &url,
            ],
        ]
        .concat();
        assert_eq!(text("curl", &wrong).await.unwrap(), "422");
        assert_eq!(status(server.url("/nowhere")).await.unwrap(), "404");
        let (ended, rest) = server.end().await;
        assert!(ended.success() && rest.is_empty(), "{rest}");
    });
}

/// hyper's client on our adapters: one connection, and what one request counts the next one sees.
#[test]
fn axum_with_hypers_client() {
    Test::new().run(async || {
        let server = Server::start(AXUM, &["127.0.0.1:0"]).await;
        let stream = TcpStream::connect(&*server.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(Io::new(stream)).await.unwrap();
        let driver = spawn(connection);
        for (path, code, text) in [
            ("/greet/hyper", 200, "Hello, hyper.\n"),
            ("/slow/1", 200, "here you are\n"),
            ("/under_way", 200, "0"),
            ("/slow/soon", 400, ""),
            ("/nowhere", 404, ""),
            ("/greet/again?loud=true", 200, "HELLO, AGAIN!\n"),
        ] {
            let request = Request::get(path)
                .header("host", &server.address)
                .body(Empty::<Bytes>::new())
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), code, "{path}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(code != 200 || body == text, "{path}: {body:?}");
        }
        drop(sender);
        driver.await.unwrap();
        assert!(server.end().await.0.success());
    });
}

/// Twenty slow requests are under way at once. The signal lets them be answered, and then the server ends.
#[test]
fn axum_ends_gracefully() {
    Test::new().run(async || {
        let server = Server::start(AXUM, &["127.0.0.1:0"]).await;
        let url = server.url("/slow/3000");
        let asking: Vec<_> = (0..20)
            .map(|_| {
                let url = url.clone();
                spawn(async move { text("curl", &["-s", &url]).await })
            })
            .collect();
        loop {
            match text("curl", &["-s", &server.url("/under_way")]).await {
                None => return,
                Some(count) if count == "20" => break,
                Some(_) => {}
            }
        }
        let (ended, _) = server.end().await;
        assert!(ended.success());
        for asked in asking {
            assert_eq!(asked.await.unwrap(), "here you are\n");
        }
    });
}

/// Begins a request whose body is one byte that has not come. Answers when the server has it: what asks for the body says so (RFC 9110, 10.1.1).
async fn begin(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let head = b"POST /0 HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Two at a time are let in, the third is refused; when they are done it is let in.
#[test]
fn tower_refuses() {
    Test::new().run(async || {
        let server = Server::start(TOWER, &["127.0.0.1:0", "1000"]).await;
        let held = [begin(&server).await, begin(&server).await];
        match status(server.url("/1")).await {
            None => return,
            Some(status) => assert_eq!(status, "503"),
        }
        for mut stream in held {
            stream.write_all(b"x").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert_eq!(status(server.url("/1")).await.unwrap(), "200");
        assert_eq!(status(server.url("/x")).await.unwrap(), "404");
        assert!(server.end().await.0.success());
    });
}

/// A request that takes too long is told.
#[test]
fn tower_limits_time() {
    Test::new().run(async || {
        let server = Server::start(TOWER, &["127.0.0.1:0", "0.05"]).await;
        let Some(status) = status(server.url("/20000")).await else {
            return;
        };
        assert_eq!(status, "504");
        assert!(server.end().await.0.success());
    });
}

/// A crate that knows only tokio gets its answer, and its errors come out.
#[test]
fn reqwest_inside_our_loop() {
    Test::new().run(async || {
        let server = Server::start(AXUM, &["127.0.0.1:0"]).await;
        let found = text(REQWEST, &[server.url("/greet/tokio")]).await;
        assert_eq!(found.unwrap(), "Hello, tokio.\n");
        let (status, _) = run(REQWEST, &[server.url("/nowhere")], b"").await.unwrap();
        assert_eq!(status.code(), Some(1));
    });
}

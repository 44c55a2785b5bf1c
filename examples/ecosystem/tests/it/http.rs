//! axum's router and tower's layers behind hyper, by curl; and reqwest as a client of them.

use futures_lite::future::zip;
use levent::test::Test;
use levent::{spawn, yield_now};

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

/// Twenty slow requests are under way at once. The signal lets them be answered, and then the server ends.
#[test]
fn axum_ends_gracefully() {
    Test::new().run(async || {
        let server = Server::start(AXUM, &["127.0.0.1:0"]).await;
        let url = server.url("/slow/1500");
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

/// Two at a time are let in, the third is refused; the fourth, later, is let in again. One that takes too long is told.
#[test]
fn tower_refuses() {
    Test::new().run(async || {
        let server = Server::start(TOWER, &["127.0.0.1:0"]).await;
        let Some(first) = status(server.url("/1")).await else {
            return;
        };
        assert_eq!(first, "200");
        let (one, other) = (server.url("/700"), server.url("/700"));
        let (one, other) = (spawn(status(one)), spawn(status(other)));
        // Refused as soon as both are in.
        while status(server.url("/1")).await.unwrap() != "503" {
            yield_now().await;
        }
        let (one, other) = zip(one, other).await;
        assert_eq!(
            (one.unwrap().as_str(), other.unwrap().as_str()),
            ("200", "200")
        );
        assert_eq!(status(server.url("/1")).await.unwrap(), "200");
        assert_eq!(status(server.url("/5000")).await.unwrap(), "504");
        assert_eq!(status(server.url("/x")).await.unwrap(), "404");
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

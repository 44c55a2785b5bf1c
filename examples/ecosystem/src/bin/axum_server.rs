//! An axum application on levent: routes, path and query, JSON, state, and a handler that sleeps by our timers.
//!
//! ```text
//! cargo run --release --manifest-path examples/ecosystem/Cargo.toml --bin axum_server -- 127.0.0.1:8080     (the default address; port 0 takes a free one)
//! curl http://127.0.0.1:8080/greet/levent?loud=true
//! curl -X POST -H 'content-type: application/json' -d '{"wind": 7}' http://127.0.0.1:8080/reports
//! ```
//!
//! Prints `listening on ADDR`. Ctrl-C or SIGTERM: requests under way are answered, and it exits with 0.

#![forbid(unsafe_code)]

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use levent::sleep;
use serde::{Deserialize, Serialize};

fn main() -> io::Result<()> {
    let router = Router::new()
        .route("/greet/{name}", get(greet))
        .route("/reports", post(report).get(count))
        .route("/slow/{ms}", get(slow))
        .route("/under_way", get(under_way))
        .with_state(Arc::default());
    levent_ecosystem::serve(&levent_ecosystem::argument_or("127.0.0.1:8080"), router)
}

/// axum wants its state to be `Send`, though there is one thread.
type Shared = State<Arc<Counts>>;

#[derive(Default)]
struct Counts {
    reports: AtomicU32,
    slow: AtomicU32,
}

#[derive(Deserialize)]
struct Tone {
    #[serde(default)]
    loud: bool,
}

async fn greet(Path(name): Path<String>, Query(tone): Query<Tone>) -> String {
    match tone.loud {
        true => format!("HELLO, {}!\n", name.to_uppercase()),
        false => format!("Hello, {name}.\n"),
    }
}

#[derive(Deserialize)]
struct Report {
    wind: u8,
}

#[derive(Serialize)]
struct Reported {
    number: u32,
    gale: bool,
}

async fn report(State(counts): Shared, Json(report): Json<Report>) -> (StatusCode, Json<Reported>) {
    let number = counts.reports.fetch_add(1, Ordering::Relaxed) + 1;
    let gale = report.wind >= 8;
    (StatusCode::CREATED, Json(Reported { number, gale }))
}

async fn count(State(counts): Shared) -> String {
    counts.reports.load(Ordering::Relaxed).to_string()
}

async fn slow(State(counts): Shared, Path(ms): Path<u32>) -> &'static str {
    counts.slow.fetch_add(1, Ordering::Relaxed);
    sleep(Duration::from_millis(ms.into())).await;
    counts.slow.fetch_sub(1, Ordering::Relaxed);
    "here you are\n"
}

/// How many slow requests have begun and not ended.
async fn under_way(State(counts): Shared) -> String {
    counts.slow.load(Ordering::Relaxed).to_string()
}

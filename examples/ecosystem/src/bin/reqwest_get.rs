//! A client that only knows tokio, on levent: reqwest, beside tasks of ours.
//!
//! ```text
//! cargo run --release --manifest-path examples/ecosystem/Cargo.toml --bin reqwest_get -- http://127.0.0.1:8080/
//! ```
//!
//! Prints what is there, and exits with 1 if there is nothing. reqwest opens its sockets and sleeps by tokio; `Compat` gives it a runtime to find, whose one thread
//! watches those sockets. The future itself is polled here, so that it may await whatever is ours.

#![forbid(unsafe_code)]

use std::{env, error::Error, process::ExitCode, time::Duration};

use async_compat::Compat;
use levent::timeout;

fn main() -> ExitCode {
    let Some(url) = env::args().nth(1) else {
        eprintln!("usage: reqwest_get URL");
        return ExitCode::from(2);
    };
    match levent::block_on(Compat::new(get(&url))) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{url}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn get(url: &str) -> Result<String, Box<dyn Error>> {
    // Our timer around their request.
    let response = timeout(Duration::from_secs(10), reqwest::get(url)).await??;
    Ok(response.error_for_status()?.text().await?)
}

//! WebSockets on levent, by async-tungstenite: a server that sends each message back, and a client.
//!
//! ```text
//! cargo run --release --manifest-path examples/ecosystem/Cargo.toml --bin websocket_echo -- serve 127.0.0.1:9001          (port 0 takes a free one)
//! cargo run --release --manifest-path examples/ecosystem/Cargo.toml --bin websocket_echo -- ask 127.0.0.1:9001 hello      (prints the answer)
//! ```
//!
//! `serve` prints `listening on ADDR`, answers pings, takes messages up to 16 MiB, and says goodbye to who says it. A client has 5 s for its handshake; one whose
//! message is too large is told so (1009). Ctrl-C or SIGTERM ends it.

#![forbid(unsafe_code)]

use std::{env, io, process::ExitCode};

use async_tungstenite::{
    accept_async_with_config, client_async,
    tungstenite::{
        self, Error, Message,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};
use futures_util::StreamExt;
use levent::{
    net::{TcpListener, TcpStream},
    spawn, timeout,
};
use levent_ecosystem::{GRACE, told_to_end};

/// The largest message that is taken.
const LARGEST: usize = 16 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", address] => levent::block_on(serve(address)),
        ["ask", address, text] => levent::block_on(ask(address, text)),
        _ => {
            eprintln!(
                "usage: websocket_echo serve HOST:PORT\n       websocket_echo ask HOST:PORT TEXT"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("websocket_echo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut told = told_to_end()?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let accepting = spawn(async move {
        loop {
            // The listener paces itself when it is out of descriptors.
            if let Ok((stream, peer)) = listener.accept().await {
                spawn(async move {
                    if let Err(error) = echo(stream).await {
                        eprintln!("{peer}: {error}");
                    }
                })
                .detach();
            }
        }
    });
    told.next().await;
    accepting.cancel().await;
    Ok(())
}

async fn echo(stream: TcpStream) -> tungstenite::Result<()> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST));
    let handshake = accept_async_with_config(stream, Some(config));
    let mut socket = timeout(GRACE, handshake).await.map_err(io::Error::from)??;
    while let Some(message) = socket.next().await {
        match message {
            // Pings and goodbyes are answered by the library, when it is asked for the next message.
            Ok(message) if message.is_text() || message.is_binary() => socket.send(message).await?,
            Ok(_) => {}
            Err(Error::Capacity(error)) => {
                let farewell = CloseFrame {
                    code: CloseCode::Size,
                    reason: "16 MiB at most".into(),
                };
                socket.close(Some(farewell)).await?;
                return Err(error.into());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn ask(address: &str, text: &str) -> Result<(), Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = client_async(format!("ws://{address}/"), stream).await?;
    socket.send(Message::text(text)).await?;
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(answer) => {
                println!("{answer}");
                socket.close(None).await?;
            }
            _ => continue,
        }
    }
    Ok(())
}

//! async-tungstenite, by its own client and by one in Python that knows only sockets.

use async_tungstenite::{
    client_async,
    tungstenite::{
        Message,
        protocol::{
            CloseFrame,
            frame::{
                Frame,
                coding::{CloseCode, Data, OpCode},
            },
        },
    },
};
use futures_lite::AsyncWriteExt;
use futures_util::StreamExt;
use levent::net::TcpStream;
use levent::test::Test;

use crate::support::{Server, run, text};

const WEBSOCKET: &str = env!("CARGO_BIN_EXE_websocket_echo");

/// The server echoes to the client of the same library.
#[test]
fn tungstenite_with_itself() {
    Test::new().run(async || {
        let server = Server::start(WEBSOCKET, &["serve", "127.0.0.1:0"]).await;
        let answer = text(WEBSOCKET, &["ask", &server.address, "le vent"]).await;
        assert_eq!(answer.unwrap(), "le vent\n");
        assert!(server.end().await.0.success());
    });
}

/// The library's client in our own loop: a mebibyte, pieces with a ping between them, and the goodbye, after which the stream ends.
#[test]
fn tungstenite_client_on_levent() {
    Test::new().run(async || {
        let server = Server::start(WEBSOCKET, &["serve", "127.0.0.1:0"]).await;
        let stream = TcpStream::connect(&*server.address).await.unwrap();
        let url = format!("ws://{}/", server.address);
        let (mut socket, response) = client_async(url, stream).await.unwrap();
        assert_eq!(response.status(), 101);

        let big: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
        let big = Message::binary(big);
        socket.send(big.clone()).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap() == big);

        let piece = |data: &'static str, kind, last| {
            Message::Frame(Frame::message(data, OpCode::Data(kind), last))
        };
        socket.send(piece("le ", Data::Text, false)).await.unwrap();
        let ping = Message::Ping("there?".into());
        socket.send(ping).await.unwrap();
        let last = piece("vent", Data::Continue, true);
        socket.send(last).await.unwrap();
        // In whichever order: a pong overtakes a message that is not whole yet, or goes with it.
        let mut got = [(); 2].map(|()| None);
        for message in &mut got {
            *message = Some(socket.next().await.unwrap().unwrap());
        }
        assert!(got.contains(&Some(Message::Pong("there?".into()))));
        assert!(got.contains(&Some(Message::text("le vent"))), "{got:?}");

        let goodbye = CloseFrame {
            code: CloseCode::Normal,
            reason: "enough".into(),
        };
        socket.close(Some(goodbye.clone())).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer, Message::Close(Some(goodbye)));
        assert!(socket.next().await.is_none());
        drop(socket);
        assert!(server.end().await.0.success());
    });
}

/// A message above the server's limit is refused by name, and its client may go on with another connection.
#[test]
fn tungstenite_refuses_what_is_too_large() {
    Test::new().run(async || {
        let server = Server::start(WEBSOCKET, &["serve", "127.0.0.1:0"]).await;
        let stream = TcpStream::connect(&*server.address).await.unwrap();
        let url = format!("ws://{}/", server.address);
        let (mut socket, _) = client_async(url, stream).await.unwrap();
        // The frame's head announces 17 MiB, of which nothing comes: one that is refused by then needs no more.
        let head = [&[0x82, 0xff][..], &(17u64 << 20).to_be_bytes(), &[0; 4]].concat();
        socket.get_mut().write_all(&head).await.unwrap();
        match socket.next().await {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(frame.code, CloseCode::Size),
            other => panic!("{other:?}"),
        }
        drop(socket);
        let answer = text(WEBSOCKET, &["ask", &server.address, "again"]).await;
        assert_eq!(answer.unwrap(), "again\n");
        assert!(server.end().await.0.success());
    });
}

/// A message in pieces with a ping between them, a mebibyte, and the goodbye (RFC 6455, sections 5.4, 5.5 and 7.1).
const CLIENT: &str = r#"
import base64, hashlib, os, socket, struct, sys

host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_connection((host, int(port)))
f = s.makefile("rb")
key = base64.b64encode(os.urandom(16)).decode()
s.sendall((f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
assert f.readline().startswith(b"HTTP/1.1 101"), "no switch"
head = {}
while (line := f.readline().strip()):
    name, value = line.decode().split(": ", 1)
    head[name.lower()] = value
expected = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
assert head["sec-websocket-accept"] == expected, head

def send(opcode, data, last=True):
    n = len(data)
    length = bytes([0x80 | n]) if n < 126 else b"\xfe" + struct.pack(">H", n) if n < 1 << 16 else b"\xff" + struct.pack(">Q", n)
    mask = os.urandom(4)
    masked = (int.from_bytes(data, "big") ^ int.from_bytes((mask * (n // 4 + 1))[:n], "big")).to_bytes(n, "big")
    s.sendall(bytes([opcode | (0x80 if last else 0)]) + length + mask + masked)

def receive():
    first, n = f.read(2)
    assert n < 128, "a server does not mask"
    n = struct.unpack(">H", f.read(2))[0] if n == 126 else struct.unpack(">Q", f.read(8))[0] if n == 127 else n
    return first & 15, f.read(n)

send(1, b"le ", last=False)
send(9, b"there?")
send(0, "vent \u2248".encode())
got = sorted([receive(), receive()])
assert got == [(1, "le vent \u2248".encode()), (10, b"there?")], got
big = os.urandom(1 << 20)
send(2, big)
assert receive() == (2, big), "a mebibyte"
send(8, struct.pack(">H", 1000))
assert receive() == (8, struct.pack(">H", 1000)), "no goodbye"
assert f.read() == b"", "still open"
print("agreed")
"#;

/// A client that shares no code with the server finds nothing wrong.
#[test]
fn tungstenite_with_python() {
    Test::new().run(async || {
        let server = Server::start(WEBSOCKET, &["serve", "127.0.0.1:0"]).await;
        let Some((status, said)) = run("python3", &["-c", CLIENT, &server.address], b"").await
        else {
            return;
        };
        assert!(status.success());
        assert_eq!(said, b"agreed\n");
        assert!(server.end().await.0.success());
    });
}

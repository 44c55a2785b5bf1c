//! `Send` and `Sync` of the facade's types: a third of the ecosystem stops compiling without them.

use std::net::{TcpListener, TcpStream, UdpSocket};

use levent::net::{self, unix};
use levent::reactor::{Config, Remote, RemoteEvent};
use levent::{Async, CtrlC, Elapsed, Interval, Signals, Sleep, Timeout, Timer};

const fn shared<T: Send + Sync + 'static>() {}
const fn unpinned<T: Unpin>() {}

const _: () = {
    shared::<Async<TcpStream>>();
    shared::<Async<TcpListener>>();
    shared::<Async<UdpSocket>>();
    shared::<Async<std::os::unix::net::UnixStream>>();
    shared::<net::TcpListener>();
    shared::<net::TcpStream>();
    shared::<net::UdpSocket>();
    shared::<net::ReadHalf<net::TcpStream>>();
    shared::<net::WriteHalf<net::TcpStream>>();
    shared::<unix::UnixListener>();
    shared::<unix::UnixStream>();
    shared::<unix::UnixDatagram>();
    shared::<Timer>();
    shared::<Sleep>();
    shared::<Interval>();
    shared::<Timeout<Sleep>>();
    shared::<Elapsed>();
    shared::<Signals>();
    shared::<CtrlC>();
    shared::<Config>();
    shared::<Remote>();
    shared::<RemoteEvent>();

    unpinned::<Async<TcpStream>>();
    unpinned::<net::TcpStream>();
    unpinned::<Timer>();
    unpinned::<Sleep>();
    unpinned::<Interval>();
    unpinned::<Signals>();
};

/// The futures of the async functions, too: they are what libraries box as `Send`.
#[test]
fn futures_of_operations_are_send() {
    use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};

    fn sent<T>(_: impl Future<Output = T> + Send) {}

    sent(net::TcpStream::connect("127.0.0.1:1"));
    sent(net::TcpListener::bind("127.0.0.1:0"));
    sent(net::UdpSocket::bind("127.0.0.1:0"));
    sent(async {
        let listener = net::TcpListener::bind("127.0.0.1:0").await?;
        let (mut stream, _) = listener.accept().await?;
        let mut buffer = [0; 16];
        let n = stream.read(&mut buffer).await?;
        stream.write_all(&buffer[..n]).await?;
        listener.incoming().next().await;
        levent::sleep(std::time::Duration::ZERO).await;
        levent::timeout(std::time::Duration::ZERO, stream.close()).await??;
        levent::interval(std::time::Duration::MAX).tick().await;
        Signals::new([levent::signal::SIGUSR1])?.next().await;
        levent::yield_now().await;
        std::io::Result::Ok(())
    });
    sent(async {
        let socket = Async::<TcpStream>::connect(([127, 0, 0, 1], 1)).await?;
        socket.readable().await?;
        socket.writable().await?;
        socket.read_with(|_| Ok(())).await
    });
}

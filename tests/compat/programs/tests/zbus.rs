//! zbus over a socket pair: a method call, a property and a signal, peer to peer, without a bus.

use async_io::block_on;
use futures_lite::{StreamExt, future};
use std::os::unix::net::UnixStream;
use zbus::connection::Builder;
use zbus::object_server::SignalEmitter;
use zbus::{Guid, interface, proxy};

struct Wind {
    knots: u32,
}

#[interface(name = "org.levent.Wind")]
impl Wind {
    async fn blow(&mut self, by: u32, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> zbus::fdo::Result<u32> {
        self.knots += by;
        emitter.gust(self.knots).await?;
        Ok(self.knots)
    }

    #[zbus(property)]
    fn knots(&self) -> u32 {
        self.knots
    }

    #[zbus(signal)]
    async fn gust(emitter: &SignalEmitter<'_>, knots: u32) -> zbus::Result<()>;
}

#[proxy(interface = "org.levent.Wind", default_path = "/wind", default_service = "org.levent")]
trait Wind {
    fn blow(&self, by: u32) -> zbus::Result<u32>;

    #[zbus(property)]
    fn knots(&self) -> zbus::Result<u32>;

    #[zbus(signal)]
    fn gust(&self, knots: u32) -> zbus::Result<()>;
}

/// zbus wraps the streams with the async-io that it depends on.
#[test]
fn peers_call_each_other() -> zbus::Result<()> {
    block_on(async {
        let (left, right) = UnixStream::pair()?;
        let guid = Guid::generate();
        let server = Builder::async_io_unix_stream(left)
            .server(guid)?
            .p2p()
            .serve_at("/wind", Wind { knots: 0 })?
            .build();
        let client = Builder::async_io_unix_stream(right).p2p().build();
        let (_server, client) = future::try_zip(server, client).await?;
        let wind = WindProxy::new(&client).await?;
        let mut gusts = wind.receive_gust().await?;
        for call in 1..=100 {
            assert_eq!(wind.blow(3).await?, 3 * call);
            let gust = gusts.next().await.expect("the stream goes on");
            assert_eq!(*gust.args()?.knots(), 3 * call);
        }
        assert_eq!(wind.knots().await?, 300);
        Ok(())
    })
}

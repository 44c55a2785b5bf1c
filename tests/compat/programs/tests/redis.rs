//! redis over smol against a server of its own, where one is installed.

use redis::AsyncCommands;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

struct Server(Child, u16);

impl Server {
    /// `None`, with a message, where there is none to start.
    fn start() -> io::Result<Option<Server>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let started = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("skipped: there is no redis-server here");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let server = Server(child, port);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(server))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn commands_and_pipelines_are_answered() -> Result<(), Box<dyn std::error::Error>> {
    let Some(server) = Server::start()? else { return Ok(()) };
    smol::block_on(async {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/", server.1))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        for number in 0..100_u32 {
            let () = connection.set(format!("key{number}"), number).await?;
        }
        let sum: Vec<u32> = connection.mget((0..100).map(|n| format!("key{n}")).collect::<Vec<_>>()).await?;
        assert_eq!(sum.iter().sum::<u32>(), 4950);
        let (one, two): (u32, u32) = redis::pipe().incr("a", 1).incr("a", 1).query_async(&mut connection).await?;
        assert_eq!((one, two), (1, 2));
        // What comes later than asked for is an error, not a hang.
        let late = redis::cmd("BLPOP").arg("nothing").arg(0.05).query_async::<Option<(String, String)>>(&mut connection).await?;
        assert!(late.is_none());
        Ok(())
    })
}

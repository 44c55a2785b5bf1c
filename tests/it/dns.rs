//! hickory's resolver on our runtime, against a name server of the test's own; and the example `dig`.
//!
//! DN-n is the rule of evdns that a test takes its case from. Waits of seconds are in virtual time.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use futures_lite::future::{or, poll_once, zip};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use levent::hickory::hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts,
};
use levent::hickory::hickory_resolver::net::{DnsError, NetError};
use levent::hickory::hickory_resolver::proto::op::{Message, ResponseCode};
use levent::hickory::hickory_resolver::proto::rr::rdata::{MX, PTR, TXT};
use levent::hickory::hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use levent::hickory::{self, Provider, Resolver, io_error};
use levent::net::{TcpListener, TcpStream, UdpSocket};
use levent::process::{Child, Command, Stdio};
use levent::test::Test;
use levent::{Run, Task, block_on, sleep, spawn, yield_now};

use crate::support::Watchdog;
use crate::support::program::path;

/// What the server does about a question.
enum Answer {
    Records(Vec<RData>),
    /// The name is there, and has nothing of this type; or it is not there.
    Nothing(ResponseCode),
    Fail(ResponseCode),
    TooLong,
    Silence,
}

use Answer::*;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Via {
    Udp,
    Tcp,
}

/// A question that has come: name, type, transport.
type Asked = (String, RecordType, Via);

/// A name server on the loopback, by UDP and TCP on one port; gone when dropped.
struct Server {
    address: SocketAddr,
    asked: Rc<RefCell<Vec<Asked>>>,
    connections: Rc<Cell<usize>>,
    _tasks: [Task<()>; 2],
}

impl Server {
    /// The rule sees a question and how often the same came before.
    async fn start(rule: impl Fn(&Asked, usize) -> Answer + 'static) -> Server {
        let (udp, tcp) = both().await;
        let address = udp.local_addr().unwrap();
        let asked = Rc::new(RefCell::new(Vec::<Asked>::new()));
        let connections = Rc::new(Cell::new(0));
        let log = Rc::clone(&asked);
        let reply = Rc::new(move |bytes: &[u8], via| {
            let question = Message::from_vec(bytes).expect("a question");
            let query = &question.queries[0];
            let asked = (query.name().to_string(), query.query_type(), via);
            let before = log.borrow().iter().filter(|&other| *other == asked).count();
            log.borrow_mut().push(asked.clone());
            answer(&question, rule(&asked, before))
        });
        let by_udp = Rc::clone(&reply);
        let datagrams = spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (n, from) = udp.recv_from(&mut buffer).await.unwrap();
                if let Some(bytes) = by_udp(&buffer[..n], Via::Udp) {
                    udp.send_to(&bytes, from).await.unwrap();
                }
            }
        });
        let count = Rc::clone(&connections);
        let streams = spawn(async move {
            let mut tasks = Vec::new();
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                count.set(count.get() + 1);
                let reply = Rc::clone(&reply);
                tasks.push(spawn(async move {
                    let mut len = [0; 2];
                    while stream.read_exact(&mut len).await.is_ok() {
                        let mut question = vec![0; u16::from_be_bytes(len).into()];
                        stream.read_exact(&mut question).await.unwrap();
                        if let Some(bytes) = reply(&question, Via::Tcp) {
                            let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                            stream
                                .write_all(&[&len, &bytes[..]].concat())
                                .await
                                .unwrap();
                        }
                    }
                }));
            }
        });
        Server {
            address,
            asked,
            connections,
            _tasks: [datagrams, streams],
        }
    }

    fn config(&self) -> NameServerConfig {
        name_server(self.address)
    }

    fn resolver(&self) -> Resolver {
        resolver(vec![self.config()], &[], |_| ())
    }

    fn questions(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    fn names(&self) -> Vec<String> {
        let asked = self.asked.borrow();
        asked.iter().map(|(name, ..)| name.clone()).collect()
    }
}

/// Asks by UDP, and by TCP where that is needed.
fn name_server(address: SocketAddr) -> NameServerConfig {
    let connection = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    };
    let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(connection);
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// Sockets of both kinds on one port, which may be taken for the second kind.
async fn both() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

fn answer(question: &Message, answer: Answer) -> Option<Vec<u8>> {
    let query = &question.queries[0];
    let mut message = Message::response(question.id, question.op_code);
    message.add_query(query.clone());
    message.metadata.recursion_available = true;
    match answer {
        Silence => return None,
        TooLong => message.metadata.truncation = true,
        Nothing(code) | Fail(code) => message.metadata.response_code = code,
        Records(data) => {
            let record = |data| Record::from_rdata(query.name().clone(), 60, data);
            message.add_answers(data.into_iter().map(record));
        }
    }
    Some(message.to_vec().expect("it can be written"))
}

fn resolver(
    servers: Vec<NameServerConfig>,
    search: &[&str],
    change: impl FnOnce(&mut ResolverOpts),
) -> Resolver {
    let search = search.iter().map(|domain| name(domain)).collect();
    let config = ResolverConfig::from_parts(None, search, servers);
    let mut builder = Resolver::builder_with_config(config, Provider);
    change(builder.options_mut());
    builder.build().expect("a resolver")
}

fn name(text: &str) -> Name {
    Name::from_str(text).expect("a name")
}

fn ip(text: &str) -> RData {
    RData::from(text.parse::<IpAddr>().expect("an address"))
}

/// A zone with everything that these tests ask for.
fn zone((name, kind, via): &Asked, _: usize) -> Answer {
    match (name.as_str(), kind, via) {
        ("a.example.com.", RecordType::A, _) => Records(vec![ip("192.0.2.1"), ip("192.0.2.2")]),
        ("a.example.com.", RecordType::AAAA, _) => Records(vec![ip("2001:db8::1")]),
        ("a.example.com.", RecordType::MX, _) => {
            let exchange = MX::new(10, self::name("mail.example.com."));
            Records(vec![RData::MX(exchange)])
        }
        ("a.example.com.", RecordType::TXT, _) => {
            Records(vec![RData::TXT(TXT::new(vec!["le vent".into()]))])
        }
        ("1.2.0.192.in-addr.arpa.", RecordType::PTR, _) => {
            let pointer = self::name("a.example.com.");
            Records(vec![RData::PTR(PTR(pointer))])
        }
        ("a.example.com.", ..) => Nothing(ResponseCode::NoError),
        ("big.example.com.", RecordType::TXT, Via::Udp) => TooLong,
        ("big.example.com.", RecordType::TXT, Via::Tcp) => {
            let text = || RData::TXT(TXT::new(vec!["x".repeat(250)]));
            Records((0..200).map(|_| text()).collect())
        }
        ("host.b.example.com.", RecordType::A, _) => Records(vec![ip("192.0.2.3")]),
        ("refused.example.com.", ..) => Fail(ResponseCode::Refused),
        ("silent.example.com.", ..) => Silence,
        _ => Nothing(ResponseCode::NXDomain),
    }
}

async fn data(resolver: &Resolver, name: &str, kind: RecordType) -> Vec<String> {
    let found = resolver.lookup(name, kind).await.expect("records");
    let mut data: Vec<_> = found
        .answers()
        .iter()
        .map(|record| record.data.to_string())
        .collect();
    data.sort();
    data
}

/// DN-29: addresses of both kinds, mail exchangers, texts, and names of addresses.
#[test]
fn records_of_each_kind() {
    Test::new().run(async || {
        let server = Server::start(zone).await;
        let resolver = server.resolver();
        let expected = [
            (
                "a.example.com.",
                RecordType::A,
                &["192.0.2.1", "192.0.2.2"][..],
            ),
            ("a.example.com.", RecordType::AAAA, &["2001:db8::1"]),
            ("a.example.com.", RecordType::MX, &["10 mail.example.com."]),
            ("a.example.com.", RecordType::TXT, &["le vent"]),
            (
                "1.2.0.192.in-addr.arpa.",
                RecordType::PTR,
                &["a.example.com."],
            ),
        ];
        for (name, kind, expected) in expected {
            assert_eq!(data(&resolver, name, kind).await, expected, "{kind}");
        }
        let reverse = resolver
            .reverse_lookup("192.0.2.1".parse::<IpAddr>().unwrap())
            .await;
        assert_eq!(reverse.unwrap().answers().len(), 1);
        let both: Vec<IpAddr> = resolver
            .lookup_ip("a.example.com.")
            .await
            .unwrap()
            .iter()
            .collect();
        assert_eq!(both.len(), 3);
    });
}

/// DN-10: a name that is not there, and one without such records, are told apart; both are `NotFound`.
#[test]
fn nothing_there() {
    Test::new().run(async || {
        let server = Server::start(zone).await;
        let resolver = server.resolver();
        let error = resolver
            .lookup("no.example.com.", RecordType::A)
            .await
            .unwrap_err();
        assert!(error.is_nx_domain());
        assert_eq!(io_error(error).kind(), ErrorKind::NotFound);
        let error = resolver
            .lookup("a.example.com.", RecordType::SRV)
            .await
            .unwrap_err();
        assert!(error.is_no_records_found() && !error.is_nx_domain());
        assert_eq!(io_error(error).kind(), ErrorKind::NotFound);
        let error = resolver
            .lookup("refused.example.com.", RecordType::A)
            .await
            .unwrap_err();
        assert!(matches!(
            error,
            NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused))
        ));
    });
}

/// DN-30, DN-31: an answer that was cut is asked for again by TCP; all such questions share one connection.
#[test]
fn long_answers_come_by_tcp() {
    Test::new().run(async || {
        let server = Server::start(zone).await;
        let resolver = server.resolver();
        let found = resolver
            .lookup("big.example.com.", RecordType::TXT)
            .await
            .unwrap();
        assert_eq!(found.answers().len(), 200);
        let via: Vec<Via> = server.questions().iter().map(|asked| asked.2).collect();
        assert_eq!(via, [Via::Udp, Via::Tcp]);

        resolver.clear_cache();
        let again = || resolver.lookup("big.example.com.", RecordType::TXT);
        let (one, other) = zip(again(), again()).await;
        assert!(one.is_ok() && other.is_ok());
        assert_eq!(server.connections.get(), 1);
    });
}

/// DN-17: a question that is not answered is asked again.
#[test]
fn lost_questions_are_repeated() {
    Test::new().virtual_time().run(async || {
        let rule = |asked: &Asked, before| {
            if before < 2 {
                Silence
            } else {
                zone(asked, before)
            }
        };
        let server = Server::start(rule).await;
        let resolver = server.resolver();
        assert_eq!(
            data(&resolver, "a.example.com.", RecordType::AAAA).await,
            ["2001:db8::1"]
        );
        assert_eq!(server.questions().len(), 3);
    });
}

/// DN-13: a server that never answers is a time-out, after as long as the options say.
#[test]
fn silence_times_out() {
    Test::new().virtual_time().run(async || {
        let server = Server::start(zone).await;
        let resolver = resolver(vec![server.config()], &[], |options| {
            options.timeout = Duration::from_secs(7);
            options.attempts = 0;
        });
        let begun = levent::now();
        let error = resolver
            .lookup("silent.example.com.", RecordType::A)
            .await
            .unwrap_err();
        assert_eq!(io_error(error).kind(), ErrorKind::TimedOut);
        let took = levent::now() - begun;
        assert!((7..9).contains(&took.as_secs()), "{took:?}");
    });
}

/// DN-13: where one server is silent, another's answer is taken. An answer that is a failure is one, and is reported (DN-12 goes on there).
#[test]
fn another_server_is_asked() {
    Test::new().virtual_time().run(async || {
        let silent = Server::start(|_, _| Silence).await;
        let server = Server::start(zone).await;
        let resolver = resolver(vec![silent.config(), server.config()], &[], |_| ());
        let begun = levent::now();
        let found = data(&resolver, "a.example.com.", RecordType::AAAA).await;
        assert_eq!(found, ["2001:db8::1"]);
        // They are asked at the same time.
        assert!(levent::now() - begun < Duration::from_secs(1));
        assert!(!silent.questions().is_empty());
    });
}

/// DN-20: names with few dots are looked for in each domain of the list, in its order; those with enough are asked as they are first.
#[test]
fn search_list() {
    Test::new().run(async || {
        let server = Server::start(zone).await;
        let domains = ["a.example.com.", "b.example.com.", "c.example.com."];
        let resolver = resolver(vec![server.config()], &domains, |_| ());
        assert_eq!(data(&resolver, "host", RecordType::A).await, ["192.0.2.3"]);
        assert_eq!(
            server.names(),
            ["host.a.example.com.", "host.b.example.com."]
        );

        server.asked.borrow_mut().clear();
        let error = resolver.lookup("no.host", RecordType::A).await.unwrap_err();
        assert!(error.is_nx_domain());
        assert_eq!(server.names()[0], "no.host.");
        // A dot at the end makes a name whole.
        server.asked.borrow_mut().clear();
        assert!(resolver.lookup("host.", RecordType::A).await.is_err());
        assert_eq!(server.names(), ["host."]);
    });
}

/// DN-48: what is known is not asked again, until the cache is cleared.
#[test]
fn answers_are_kept() {
    Test::new().run(async || {
        let server = Server::start(zone).await;
        let resolver = server.resolver();
        for _ in 0..3 {
            assert_eq!(
                data(&resolver.clone(), "a.example.com.", RecordType::A)
                    .await
                    .len(),
                2
            );
        }
        assert_eq!(server.questions().len(), 1);
        resolver.clear_cache();
        assert_eq!(
            data(&resolver, "A.Example.com.", RecordType::A).await.len(),
            2
        );
        assert_eq!(server.questions().len(), 2);
    });
}

/// DN-24, DN-27: a lookup that is dropped asks no more; those beside it are answered, each once.
#[test]
fn dropped_lookups_ask_no_more() {
    Test::new().virtual_time().run(async || {
        let server = Server::start(zone).await;
        let resolver = server.resolver();
        let lookup = resolver.lookup("silent.example.com.", RecordType::A);
        or(
            async { drop(lookup.await.expect_err("nobody answers")) },
            async {
                while server.questions().is_empty() {
                    yield_now().await;
                }
            },
        )
        .await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(server.questions().len(), 1);

        let mut lookups = Vec::new();
        for i in 0..100 {
            let resolver = resolver.clone();
            lookups.push(spawn(async move {
                let name = if i % 3 == 0 {
                    "silent.example.com."
                } else {
                    "a.example.com."
                };
                resolver.clear_lookup_cache(name, RecordType::A);
                resolver.lookup(name, RecordType::A).await.is_ok()
            }));
        }
        for (i, lookup) in lookups.into_iter().enumerate() {
            if i % 3 == 0 {
                drop(lookup);
            } else {
                assert!(lookup.await, "{i}");
            }
        }
    });
}

/// A resolver outlives the run whose tasks it had, and gets others in the next.
#[test]
fn one_resolver_in_two_runs() {
    let _dog = Watchdog::new(20);
    let (ready, address) = async_channel::bounded(1);
    let (done, ending) = async_channel::bounded::<()>(1);
    let server = thread::spawn(move || {
        block_on(async {
            let server = Server::start(zone).await;
            ready.send(server.config()).await.unwrap();
            // Closed when the test is over.
            let _ = ending.recv().await;
        });
    });
    let resolver = resolver(vec![address.recv_blocking().unwrap()], &[], |_| ());
    for kind in [RecordType::A, RecordType::MX, RecordType::TXT] {
        let run = Run::new().drain(Duration::ZERO);
        let report = run.run(async |_| data(&resolver, "a.example.com.", kind).await.len());
        assert!(report.output.is_some_and(|found| found > 0), "{kind}");
    }
    drop(done);
    server.join().unwrap();
}

/// Lookups may be polled by another thread while the loop of the tasks runs. Where there is none they fail, and do not wait.
#[test]
fn other_threads() {
    let _dog = Watchdog::new(20);
    let alone = block_on(async {
        let server = Server::start(zone).await;
        let resolver = server.resolver();
        assert_eq!(
            data(&resolver, "a.example.com.", RecordType::AAAA)
                .await
                .len(),
            1
        );
        let (done, answers) = async_channel::bounded(1);
        let abroad = resolver.clone();
        let thread = thread::spawn(move || {
            let found =
                futures_lite::future::block_on(data(&abroad, "a.example.com.", RecordType::A));
            done.send_blocking(found).unwrap();
        });
        assert_eq!(answers.recv().await.unwrap().len(), 2);
        thread.join().unwrap();
        server.resolver()
    });
    let error = futures_lite::future::block_on(alone.lookup("a.example.com.", RecordType::A));
    assert!(error.is_err());
}

/// Connecting by name goes on to the next address; the name's own error comes out with its kind.
#[test]
fn connects_by_name() {
    Test::new().run(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Nobody listens at the first.
        let rule = |asked: &Asked, before| match asked {
            (name, RecordType::A, _) if name == "service.example.com." => {
                Records(vec![ip("127.0.0.77"), ip("127.0.0.1")])
            }
            asked => zone(asked, before),
        };
        let server = Server::start(rule).await;
        let resolver = server.resolver();
        let stream: TcpStream = hickory::connect(&resolver, "service.example.com.", port)
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        let error = hickory::connect(&resolver, "no.example.com.", port)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let direct = hickory::connect(&resolver, "127.0.0.1", port).await;
        assert!(direct.is_ok());
    });
}

/// A lookup that was never polled to its end leaves nothing behind, nor does a resolver that is dropped in the middle of one.
#[test]
fn dropped_in_the_middle() {
    Test::new().run(async || {
        let server = Server::start(zone).await;
        let resolver = server.resolver();
        {
            let lookup = pin!(resolver.lookup("silent.example.com.", RecordType::A));
            assert!(poll_once(lookup).await.is_none());
        }
        drop(resolver);
    });
}

/// A name server that is not ours, at this address; `None`, with a note, where it is not installed.
async fn dnsmasq(address: SocketAddr) -> Option<Child> {
    let mut command = Command::new("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file",
        "--user=root",
    ]);
    command.args(["--no-resolv", "--no-hosts", "--bind-interfaces"]);
    command.arg(format!("--listen-address={}", address.ip()));
    command.arg(format!("--port={}", address.port()));
    command.args([
        "--local=/example.test/",
        "--host-record=a.example.test,192.0.2.1,2001:db8::1",
    ]);
    command.arg("--mx-host=a.example.test,mail.example.test,10");
    // Too much for one datagram.
    command.args((0..10).map(|_| format!("--txt-record=big.example.test,{}", "x".repeat(250))));
    let spawned = command.stderr(Stdio::null()).kill_on_drop(true).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            eprintln!("note: skipped, no `dnsmasq`: {error}");
            return None;
        }
    };
    while TcpStream::connect(address).await.is_err() {
        if let Some(status) = child.try_status().expect("it is ours") {
            // Not root, most likely.
            eprintln!("note: skipped, dnsmasq ends at once: {status}");
            return None;
        }
        yield_now().await;
    }
    Some(child)
}

/// A server that shares no code with the resolver: addresses, mail, an answer too long for a datagram, and what is not there.
#[test]
fn with_dnsmasq() {
    Test::new().run(async || {
        // Nobody else uses this address of the loopback, so that the port remains free until the server has it.
        let probe = UdpSocket::bind((Ipv4Addr::new(127, 0, 53, 53), 0))
            .await
            .unwrap();
        let address = probe.local_addr().unwrap();
        drop(probe);
        let Some(_server) = dnsmasq(address).await else {
            return;
        };
        let resolver = resolver(vec![name_server(address)], &["example.test."], |_| ());
        assert_eq!(data(&resolver, "a", RecordType::A).await, ["192.0.2.1"]);
        assert_eq!(
            data(&resolver, "a.example.test.", RecordType::AAAA).await,
            ["2001:db8::1"]
        );
        let mail = data(&resolver, "a.example.test.", RecordType::MX).await;
        assert_eq!(mail, ["10 mail.example.test."]);
        let address = "192.0.2.1".parse::<IpAddr>().unwrap();
        let pointer = resolver.reverse_lookup(address).await.unwrap();
        assert_eq!(pointer.answers()[0].data.to_string(), "a.example.test.");
        assert_eq!(
            data(&resolver, "big.example.test.", RecordType::TXT)
                .await
                .len(),
            10
        );
        let nothing = resolver.lookup("a.example.test.", RecordType::TXT).await;
        assert!(nothing.unwrap_err().is_no_records_found());
    });
}

/// What the example prints for these arguments, and its exit code.
async fn dig(server: &Server, arguments: &str) -> Option<(String, i32)> {
    let program = path("dig");
    if !program.exists() {
        eprintln!("note: skipped, `{}` is not built", program.display());
        return None;
    }
    let mut command = Command::new(program);
    command
        .arg(format!("@{}", server.address))
        .args(arguments.split(' '));
    let output = command.output().await.expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    Some((
        String::from_utf8(text).expect("text"),
        output.status.code().expect("an exit"),
    ))
}

/// The example asks what it is told to, prints records, and ends with a code to go by.
#[test]
fn dig_looks_up() {
    Test::new().run(async || {
        let server = Server::start(zone).await;
        let expected = HashMap::from([
            ("a.example.com +short", ("192.0.2.1\n192.0.2.2\n", 0)),
            (
                "a.example.com AAAA",
                ("a.example.com. 60 IN AAAA 2001:db8::1\n", 0),
            ),
            (
                "a.example.com mx +tcp +short",
                ("10 mail.example.com.\n", 0),
            ),
            ("-x 192.0.2.1 +short", ("a.example.com.\n", 0)),
            (
                "host +domain=a.example.com +domain=b.example.com +short",
                ("192.0.2.3\n", 0),
            ),
            (
                "no.example.com",
                ("no.example.com. A: no such name (no.example.com.)\n", 1),
            ),
            (
                "a.example.com SRV",
                (
                    "a.example.com. SRV: there are no such records of a.example.com.\n",
                    1,
                ),
            ),
            (
                "silent.example.com +time=0.05 +tries=1",
                ("silent.example.com. A: request timed out\n", 9),
            ),
        ]);
        for (arguments, (text, code)) in expected {
            let Some(found) = dig(&server, arguments).await else {
                return;
            };
            assert_eq!(found, (text.to_owned(), code), "{arguments}");
        }
        for wrong in [
            "a.example.com NOTHING",
            "+tcp",
            "a b c",
            "x +tries=0",
            "x +time=-1",
            "x..y",
            "x +what",
        ] {
            let Some((text, code)) = dig(&server, wrong).await else {
                return;
            };
            assert_eq!(code, 2, "{wrong}: {text}");
        }
        assert!(
            server
                .questions()
                .iter()
                .any(|asked| asked.2 == Via::Tcp && asked.1 == RecordType::MX)
        );
    });
}

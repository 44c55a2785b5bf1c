//! The examples as child processes, and real clients. A program that is not installed, or an example that is not built, is skipped
//! with a note.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libc::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

use crate::support::Watchdog;
use crate::support::bytes::piece;
use crate::support::program::{Example, run};

const ECHOES: [&str; 2] = ["echo", "reactor_echo"];

fn round_trip(stream: &mut TcpStream, sent: &[u8]) {
    stream.write_all(sent).unwrap();
    let mut answer = vec![0; sent.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, sent);
}

/// Waits until the server accepts no more, with connections of our own.
fn until_refused(address: &str) {
    let start = Instant::now();
    // Accepted, or in the queue of a listener that is about to close: not one of those that count.
    while TcpStream::connect(address).is_ok() && start.elapsed() < Duration::from_secs(3) {
        thread::yield_now();
    }
    // A full queue holds a client up until the server is gone: that is no refusal either.
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "it does not refuse"
    );
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// The numbers of `served C connections, B bytes`, which is all that was left to print.
fn summary(rest: &str) -> (u64, u64) {
    let numbers = rest
        .trim_end()
        .strip_prefix("served ")
        .and_then(|rest| rest.strip_suffix(" bytes"))
        .and_then(|rest| rest.split_once(" connections, "))
        .unwrap_or_else(|| panic!("not one summary line: `{rest}`"));
    (numbers.0.parse().unwrap(), numbers.1.parse().unwrap())
}

/// SIGINT and SIGTERM: the open connections go on, then come the summary and exit code 0. Bytes are counted right.
#[test]
fn echo_servers_end_gracefully() {
    for (name, signal) in ECHOES.iter().flat_map(|e| [(e, SIGINT), (e, SIGTERM)]) {
        let dog = Watchdog::new(20);
        dog.note("example", format!("{name}, signal {signal}"));
        let Some((server, address)) = Example::serve(name) else {
            return;
        };
        let mut clients: Vec<_> = (0..3)
            .map(|_| TcpStream::connect(&address).unwrap())
            .collect();
        for client in &mut clients {
            round_trip(client, b"before");
        }
        let start = Instant::now();
        server.signal(signal);
        for _ in 0..10 {
            for client in &mut clients {
                round_trip(client, b"after");
            }
        }
        // The last of them ends the server.
        drop(clients);
        let (status, rest) = server.finish();
        assert!(status.success(), "{name}: {status}");
        assert_eq!(summary(&rest), (3, 3 * (6 + 10 * 5)), "{name}");
        assert!(
            start.elapsed() < Duration::from_secs(4),
            "{name} used the whole grace"
        );
    }
}

/// From the signal on, who connects is refused, and does not hang in the queue of a listener that nobody asks.
fn refuses_after_the_signal(name: &str) {
    let _dog = Watchdog::new(20);
    let Some((server, address)) = Example::serve(name) else {
        return;
    };
    let mut client = TcpStream::connect(&address).unwrap();
    round_trip(&mut client, b"before");
    server.signal(SIGTERM);
    until_refused(&address);
    round_trip(&mut client, b"after");
    drop(client);
    let (status, rest) = server.finish();
    assert!(status.success(), "{status}");
    // The probes of `until_refused` may have been accepted before the signal was seen; they sent nothing.
    assert_eq!(summary(&rest).1, 11);
}

#[test]
fn echo_refuses_after_the_signal() {
    refuses_after_the_signal("echo");
}

#[test]
fn reactor_echo_refuses_after_the_signal() {
    refuses_after_the_signal("reactor_echo");
}

/// With nobody connected there is nothing to wait for, and the numbers are exact.
#[test]
fn echo_servers_count_exactly() {
    for name in ECHOES {
        let _dog = Watchdog::new(20);
        let Some((server, address)) = Example::serve(name) else {
            return;
        };
        for i in 0..50u64 {
            let mut client = TcpStream::connect(&address).unwrap();
            round_trip(&mut client, &piece(i, 0, 1_000));
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
        server.signal(SIGTERM);
        let (status, rest) = server.finish();
        assert!(status.success(), "{name}: {status}");
        assert_eq!(summary(&rest), (50, 50_000), "{name}");
    }
}

/// A client that neither sends nor closes holds the server up for the five seconds of grace, and no longer.
#[test]
fn echo_servers_wait_five_seconds_at_most() {
    let _dog = Watchdog::new(25);
    let servers: Vec<_> = ECHOES
        .iter()
        .filter_map(|name| Example::serve(name))
        .map(|(server, address)| {
            let mut client = TcpStream::connect(&address).unwrap();
            round_trip(&mut client, b"I stay");
            server.signal(SIGTERM);
            (server, client)
        })
        .collect();
    let start = Instant::now();
    for (server, _client) in servers {
        let (status, rest) = server.finish();
        let took = start.elapsed();
        assert!(status.success(), "{status}");
        assert_eq!(summary(&rest), (1, 6));
        // Signalled a little before `start`.
        let bounds = Duration::from_millis(4_500)..Duration::from_secs(10);
        assert!(bounds.contains(&took), "{took:?}");
    }
}

/// Clients of other people's make: 1 MiB, and the answer is the input.
#[test]
fn echo_servers_answer_socat_and_ncat() {
    let input = piece(1, 0, 1 << 20);
    for name in ECHOES {
        let dog = Watchdog::new(30);
        dog.note("example", name);
        let Some((server, address)) = Example::serve(name) else {
            return;
        };
        let mut bytes = 0;
        dog.note("client", "socat");
        if let Some(answer) = run("socat", &["-t5", "-", &format!("TCP:{address}")], &input) {
            assert!(answer == input, "socat got {} bytes", answer.len());
            bytes += input.len() as u64;
        }
        let (host, port) = address.split_once(':').unwrap();
        dog.note("client", "ncat");
        if let Some(answer) = run("ncat", &[host, port], &input) {
            assert!(answer == input, "ncat got {} bytes", answer.len());
            bytes += input.len() as u64;
        }
        server.signal(SIGINT);
        let (status, rest) = server.finish();
        assert!(status.success());
        assert_eq!(summary(&rest).1, bytes, "{name}");
    }
}

/// An address that is none, or is taken, is said so, with an exit code.
#[test]
fn echo_servers_refuse_bad_addresses() {
    let _dog = Watchdog::new(20);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for name in ECHOES {
        for address in ["nonsense", "127.0.0.1:99999", taken.as_str()] {
            let quiet = |command: &mut std::process::Command| {
                command.stderr(std::process::Stdio::null());
            };
            let Some(server) = Example::start_with(name, &[address], quiet) else {
                return;
            };
            let (status, rest) = server.finish();
            assert_eq!(
                (status.code(), rest.as_str()),
                (Some(1), ""),
                "{name} {address}"
            );
        }
    }
}

/// The relay between an echo server and clients of other people's make, with marks of one byte as well; it counts both ways.
#[test]
fn proxy_passes_everything_on() {
    let input = piece(2, 0, 1 << 20);
    for high in ["65536", "1"] {
        let dog = Watchdog::new(60);
        dog.note("high mark", high);
        let Some((_echo, upstream)) = Example::serve("echo") else {
            return;
        };
        let arguments = ["127.0.0.1:0", &upstream, "--high", high];
        let Some(mut proxy) = Example::start("proxy", &arguments) else {
            return;
        };
        let address = proxy.address();
        let input = &input[..if high == "1" { 2_000 } else { input.len() }];
        let mut bytes = 0;
        if let Some(answer) = run("socat", &["-t5", "-", &format!("TCP:{address}")], input) {
            assert!(answer == input, "socat got {} bytes", answer.len());
            bytes += input.len();
        }
        // Half-close: the echo ends the other way when this one has ended.
        let mut client = TcpStream::connect(&address).unwrap();
        round_trip(&mut client, b"through");
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        bytes += 7;
        proxy.signal(SIGTERM);
        let (status, rest) = proxy.finish();
        assert!(status.success());
        assert!(
            rest.trim_end()
                .ends_with(&format!("{bytes} bytes up, {bytes} bytes down")),
            "{rest}"
        );
    }
}

/// Two ends of a tunnel before an echo server: everything comes back, an answer at once, and a half-closed connection to its end; what lies between is zlib, and less
/// than what was sent.
#[test]
fn zlib_tunnel_passes_everything_on() {
    let _dog = Watchdog::new(60);
    let Some((_echo, upstream)) = Example::serve("echo") else {
        return;
    };
    let Some(mut far) = Example::start("zlib_tunnel", &["unpack", "127.0.0.1:0", &upstream]) else {
        return;
    };
    // A look at what passes between the two.
    let far_address = far.address();
    let Some(mut proxy) = Example::start("proxy", &["127.0.0.1:0", &far_address]) else {
        return;
    };
    let between = proxy.address();
    let Some(mut near) = Example::start("zlib_tunnel", &["pack", "127.0.0.1:0", &between]) else {
        return;
    };
    let mut client = TcpStream::connect(near.address()).unwrap();
    round_trip(&mut client, b"one line, and no more before the answer");
    let sent = b"the same again and again, ".repeat(40_000);
    let mut out = client.try_clone().unwrap();
    let sending = thread::spawn({
        let sent = sent.clone();
        move || {
            out.write_all(&sent).unwrap();
            out.shutdown(Shutdown::Write).unwrap();
        }
    });
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    sending.join().unwrap();
    assert!(
        received == sent,
        "{} bytes of {}",
        received.len(),
        sent.len()
    );
    proxy.signal(SIGTERM);
    let (_, rest) = proxy.finish();
    let (up, down) = summary_of_proxy(&rest);
    assert!(up > 0 && up < sent.len() as u64 / 10, "{rest}");
    assert!(down > 0 && down < sent.len() as u64 / 10, "{rest}");
}

/// The bytes up and down that a proxy prints at its end.
fn summary_of_proxy(rest: &str) -> (u64, u64) {
    let numbers: Vec<u64> = rest
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    match numbers[..] {
        [_, _, up, down] => (up, down),
        _ => panic!("{rest}"),
    }
}

/// A limit of 100 kB/s: after 300 kB some two seconds have passed, as a second's worth may come at once.
#[test]
fn proxy_keeps_its_rate() {
    let _dog = Watchdog::new(30);
    let Some((_echo, upstream)) = Example::serve("echo") else {
        return;
    };
    let arguments = [
        "127.0.0.1:0",
        &upstream,
        "--rate",
        "100000",
        "--total",
        "200000",
    ];
    let Some(mut proxy) = Example::start("proxy", &arguments) else {
        return;
    };
    let address = proxy.address();
    let input = piece(3, 0, 300_000);
    let start = Instant::now();
    let mut client = TcpStream::connect(&address).unwrap();
    let mut out = client.try_clone().unwrap();
    let sent = input.clone();
    let sending = thread::spawn(move || {
        out.write_all(&sent).unwrap();
        out.shutdown(Shutdown::Write).unwrap();
    });
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    sending.join().unwrap();
    assert!(answer == input);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1_900), "{took:?}");
}

/// A server that is not there, and silence, end the client's connection; the relay goes on.
#[test]
fn proxy_ends_what_is_dead() {
    let _dog = Watchdog::new(30);
    let quiet = |command: &mut std::process::Command| {
        command.stderr(std::process::Stdio::null());
    };
    let Some((echo, upstream)) = Example::serve("echo") else {
        return;
    };
    let arguments = ["127.0.0.1:0", &upstream, "--idle", "1"];
    let Some(mut proxy) = Example::start_with("proxy", &arguments, quiet) else {
        return;
    };
    let address = proxy.address();
    let mut client = TcpStream::connect(&address).unwrap();
    round_trip(&mut client, b"hello");
    let start = Instant::now();
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "silence ends it");
    assert!(start.elapsed() >= Duration::from_millis(900));

    drop(echo);
    let mut client = TcpStream::connect(&address).unwrap();
    // An end or a reset.
    assert!(!matches!(client.read(&mut [0]), Ok(1..)));
    let mut client = TcpStream::connect(&address).unwrap();
    assert!(!matches!(client.read(&mut [0]), Ok(1..)));
    // What passed before an end that was none counts, too.
    proxy.signal(SIGTERM);
    let (_, rest) = proxy.finish();
    let expected = "relayed 3 connections (3 failed), 5 bytes up, 5 bytes down";
    assert_eq!(rest.trim_end(), expected);
}

/// Names instead of numbers are looked up; help is no error; what is not understood is, and says what is possible.
#[test]
fn proxy_reads_its_command_line() {
    let _dog = Watchdog::new(30);
    let Some((_echo, upstream)) = Example::serve("echo") else {
        return;
    };
    let upstream = upstream.replace("127.0.0.1", "localhost");
    let Some(mut proxy) = Example::start("proxy", &["localhost:0", &upstream]) else {
        return;
    };
    let address = proxy.address();
    round_trip(&mut TcpStream::connect(&address).unwrap(), b"by name");
    drop(proxy);

    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["127.0.0.1:0", "127.0.0.1:1", "--rate", "0"], 2),
        (&["127.0.0.1:0", "127.0.0.1:1", "--idle", "soon"], 2),
        (&["127.0.0.1:0", "127.0.0.1:1", "--nonsense", "1"], 2),
        (&["no address"], 1),
    ] {
        let quiet = |command: &mut std::process::Command| {
            command.stderr(std::process::Stdio::null());
        };
        let Some(proxy) = Example::start_with("proxy", arguments, quiet) else {
            return;
        };
        let (status, rest) = proxy.finish();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
        assert_eq!(rest.starts_with("usage: proxy"), code == 0, "{rest}");
    }
}

/// Lines are answered in order, many at once in one piece; a line that is too long ends the connection.
#[test]
fn line_server_answers() {
    let _dog = Watchdog::new(20);
    let Some((server, address)) = Example::serve("line_server") else {
        return;
    };
    let mut client = TcpStream::connect(&address).unwrap();
    client
        .write_all(b"echo one two\nadd 1 2 3\r\nadd x\nnonsense\n")
        .unwrap();
    let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
    for expected in ["one two", "6", "?", "?"] {
        assert_eq!(lines.next().unwrap().unwrap(), expected);
    }
    client.write_all(b"time\nquit\n").unwrap();
    let now: u64 = lines.next().unwrap().unwrap().parse().unwrap();
    assert!(now > 1_700_000_000);
    assert_eq!(lines.next().unwrap().unwrap(), "bye");
    assert!(lines.next().is_none());

    let mut client = TcpStream::connect(&address).unwrap();
    client.write_all(&[b'x'; 4096]).unwrap();
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut answer = String::new();
    reader.read_line(&mut answer).unwrap();
    assert_eq!(answer, "the line is too long\n");
    // It goes on for a while, which is no reason for a reset.
    for _ in 0..50 {
        client.write_all(&[b'x'; 4096]).unwrap();
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(reader.read_line(&mut answer).unwrap(), 0);
    server.signal(SIGINT);
    assert!(server.finish().0.success());
}

/// A member of the chat.
struct Member {
    lines: BufReader<TcpStream>,
    out: TcpStream,
}

impl Member {
    fn connect(address: &str) -> Member {
        let out = TcpStream::connect(address).unwrap();
        let lines = BufReader::new(out.try_clone().unwrap());
        let mut member = Member { lines, out };
        assert_eq!(member.until(b'?'), "your name?");
        member
    }

    fn named(address: &str, name: &str) -> Member {
        let mut member = Member::connect(address);
        member.say(name);
        let line = member.line();
        assert!(line.contains(&format!("* {name} came from")), "{line}");
        member
    }

    fn say(&mut self, line: &str) {
        self.out.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn until(&mut self, end: u8) -> String {
        let mut bytes = Vec::new();
        self.lines.read_until(end, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap().trim().to_owned()
    }

    /// The next line; empty at the end of the connection.
    fn line(&mut self) -> String {
        self.until(b'\n')
    }
}

/// Names are unique, lines reach all others, `/who` and `/quit` do what they say, and the server says good-bye.
#[test]
fn chat_talks() {
    let _dog = Watchdog::new(20);
    let Some((server, address)) = Example::serve("chat") else {
        return;
    };
    let mut ann = Member::named(&address, "ann");
    let mut bob = Member::connect(&address);
    bob.say("ann");
    assert_eq!(bob.until(b'?'), "that name is taken, another one?");
    bob.say("not:a:name");
    assert_eq!(bob.until(b'?'), "that is no name, another one?");
    bob.say("bob");
    assert!(bob.line().contains("* bob came from"));
    assert!(ann.line().contains("* bob came from"));
    let mut eve = Member::named(&address, "eve");
    assert!(ann.line().contains("* eve came from"));
    assert!(bob.line().contains("* eve came from"));

    ann.say("hello, all");
    assert_eq!(bob.line(), "ann: hello, all");
    assert_eq!(eve.line(), "ann: hello, all");
    bob.say("/who");
    assert_eq!(bob.line(), "* here: ann, bob, eve");
    eve.say("/quit");
    assert_eq!(ann.line(), "* eve left");
    assert_eq!(bob.line(), "* eve left");
    assert_eq!(eve.line(), "", "eve is let go");
    // The name is free again. One who just closes leaves as well.
    let eve = Member::named(&address, "eve");
    assert!(ann.line().contains("* eve came from"));
    drop(eve);
    assert_eq!(ann.line(), "* eve left");
    // A line that is too long ends the connection of who sent it.
    let mut mad = Member::named(&address, "mad");
    assert!(ann.line().contains("* mad came from"));
    mad.say(&"x".repeat(2_000));
    assert_eq!(ann.line(), "* mad left");

    server.signal(SIGTERM);
    assert_eq!(ann.line(), "* the server says good-bye");
    assert_eq!(ann.line(), "");
    let (status, _) = server.finish();
    assert!(status.success());
}

/// Who says nothing for the given time is let go; who talks stays.
#[test]
fn chat_lets_silent_members_go() {
    let _dog = Watchdog::new(20);
    let Some(mut server) = Example::start("chat", &["127.0.0.1:0", "1"]) else {
        return;
    };
    let address = server.address();
    let mut talks = Member::named(&address, "talks");
    let start = Instant::now();
    let mut silent = Member::named(&address, "silent");
    assert!(talks.line().contains("* silent came from"));
    let mut out = talks.out.try_clone().unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let talking = thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(200)).is_err() {
            out.write_all(b"la\n").unwrap();
        }
    });
    assert_eq!(talks.line(), "* silent left");
    assert!(start.elapsed() >= Duration::from_secs(1));
    stop.send(()).unwrap();
    talking.join().unwrap();
    while !silent.line().is_empty() {}
    talks.say("/who");
    assert_eq!(talks.line(), "* here: talks");
}

/// Its lines come in order, none before its time.
#[test]
fn timers_prints_what_it_says() {
    let _dog = Watchdog::new(20);
    let Some(example) = Example::start("timers", &[]) else {
        return;
    };
    let (status, text) = example.finish();
    assert!(status.success());
    let lines: Vec<(u64, &str)> = text
        .lines()
        .map(|line| line.trim_start().split_once(" ms  ").unwrap())
        .map(|(time, what)| (time.parse().unwrap(), what))
        .collect();
    assert!(lines.is_sorted_by_key(|line| line.0), "{text}");
    let at = |what: &str| {
        let found = lines.iter().find(|line| line.1.contains(what));
        found.unwrap_or_else(|| panic!("no `{what}` in\n{text}")).0
    };
    assert!(at("slept 100 ms") >= 100);
    assert!(at("within its limit: Ok(42)") >= 100);
    assert!(at("past its limit: Err(") >= 200);
    assert!(at("first of two: the near one") < at("the far one, after it was set"));
    assert!(at("10,000 sleeps; none early") >= at("the far one, after") + 300);
}

/// Each signal gets its line; one that it lets go has its default action again.
#[test]
fn signals_names_what_came() {
    let _dog = Watchdog::new(20);
    let start = || {
        let mut example = Example::start("signals", &[])?;
        let pid = example.pid();
        assert_eq!(example.line(), format!("process {pid} waits for signals"));
        Some(example)
    };
    let Some(mut example) = start() else { return };
    for _ in 0..3 {
        example.signal(SIGUSR1);
        assert_eq!(example.line(), "SIGUSR1");
    }
    example.signal(SIGHUP);
    assert!(example.line().starts_with("SIGHUP: "));
    example.signal(SIGINT);
    assert!(example.line().starts_with("SIGINT: once more"));
    example.signal(SIGINT);
    let (status, rest) = example.finish();
    assert!(status.success());
    assert_eq!(rest, "bye\n");

    let Some(example) = start() else { return };
    example.signal(SIGTERM);
    let (status, rest) = example.finish();
    assert!(status.success());
    assert_eq!(rest, "bye\n");

    let Some(mut example) = start() else { return };
    example.signal(SIGUSR2);
    assert!(example.line().starts_with("SIGUSR2: "));
    example.signal(SIGUSR1);
    let (status, _) = example.finish();
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(status.signal(), Some(SIGUSR1));
}

/// Datagrams come back as they were, and are counted.
#[test]
fn udp_echo_answers() {
    let _dog = Watchdog::new(20);
    let Some((server, address)) = Example::serve("udp_echo") else {
        return;
    };
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(&address).unwrap();
    let mut buffer = vec![0; 65_536];
    let sizes = [0, 1, 100, 1_472, 20_000, 65_507];
    for size in sizes {
        client.send(&piece(2, 0, size)).unwrap();
        let n = client.recv(&mut buffer).unwrap();
        assert!(buffer[..n] == piece(2, 0, size), "{n} bytes of {size}");
    }
    server.signal(SIGTERM);
    let (status, rest) = server.finish();
    assert!(status.success());
    let bytes: usize = sizes.iter().sum();
    assert_eq!(
        rest,
        format!("echoed {} datagrams, {bytes} bytes\n", sizes.len())
    );
}

/// `curl`: two requests over one connection, another path, and a graceful end while a connection idles.
#[test]
fn hello_http_answers_curl() {
    let dog = Watchdog::new(20);
    let Some((server, address)) = Example::serve("hello_http") else {
        return;
    };
    let url = format!("http://{address}/");
    let arguments = ["-sS", "-w", "[%{http_code} %{num_connects}]", &url, &url];
    if let Some(answer) = run("curl", &arguments, b"") {
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(answer, "Hello, World![200 1]Hello, World![200 0]");
        let other = format!("{url}other");
        let answer = run("curl", &["-sS", "-w", "[%{http_code}]", &other], b"").unwrap();
        assert_eq!(answer, b"nothing here\n[404]");
    }
    dog.note("state", "ending");
    let mut idle = TcpStream::connect(&address).unwrap();
    let mut answer = [0; 15];
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    idle.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let start = Instant::now();
    server.signal(SIGTERM);
    let (status, _) = server.finish();
    assert!(status.success());
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "an idle connection holds it up"
    );
}

/// What comes back for a request that is written as it stands, until the server ends the connection or is silent for a while.
fn http_answer(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is an end as well.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Every limit of `http_server` holds, and each is answered as its page says.
#[test]
fn http_server_keeps_its_limits() {
    let _dog = Watchdog::new(30);
    let options = [
        "--head",
        "8192",
        "--body",
        "1000",
        "--head-time",
        "1",
        "--body-time",
        "1",
    ];
    let Some((server, address)) = Example::serve_with("http_server", &options) else {
        return;
    };
    let get = |path: &str, more: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
        http_answer(&address, request.as_bytes())
    };
    let post = |path: &str, more: &str, body: &str| {
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n{body}");
        http_answer(&address, request.as_bytes())
    };
    let begins = |answer: String, status: &str| {
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{status}: {answer}");
    };

    let lines = get("/lines/3", "");
    assert!(lines.contains("transfer-encoding: chunked"), "{lines}");
    assert!(
        lines.contains("line 1\n") && lines.contains("line 3\n"),
        "{lines}"
    );
    begins(get("/nothing", ""), "404");
    let other = post("/lines/3", "", "");
    assert!(other.contains("allow: GET"), "{other}");
    begins(other, "405");
    begins(get("/", &format!("X: {}\r\n", "a".repeat(9000))), "431");
    begins(get("/", &"X: y\r\n".repeat(200)), "431");

    let sum = post("/sum", "Content-Length: 5\r\n", "hello");
    assert!(sum.ends_with("\r\n\r\n5 532\n"), "{sum}");
    // Announced, and found out.
    begins(post("/sum", "Content-Length: 1001\r\n", ""), "413");
    let much = format!("3e9\r\n{}\r\n0\r\n\r\n", "a".repeat(1001));
    begins(post("/sum", "Transfer-Encoding: chunked\r\n", &much), "413");
    let echoed = post(
        "/echo",
        "Transfer-Encoding: chunked\r\n",
        "4\r\nback\r\n0\r\n\r\n",
    );
    assert!(echoed.contains("back"), "{echoed}");
    // Slow, in either phase. Between them the connection stays open, so the limit is what ends it.
    let begin = Instant::now();
    begins(post("/sum", "Content-Length: 5\r\n", "he"), "408");
    assert!(begin.elapsed() >= Duration::from_secs(1));
    begins(
        http_answer(&address, b"CONNECT host:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
        "404",
    );
    // An answer that has begun is cut off instead.
    let slow = post("/echo", "Content-Length: 5\r\n", "he");
    assert!(
        slow.contains("2\r\nhe\r\n") && !slow.ends_with("0\r\n\r\n"),
        "{slow}"
    );
    let begin = Instant::now();
    let half = http_answer(&address, b"GET / HT");
    assert!(begin.elapsed() >= Duration::from_secs(1), "{half}");

    server.signal(SIGTERM);
    let (status, rest) = server.finish();
    assert!(status.success(), "{status}");
    assert!(rest.starts_with("answered "), "{rest}");
}

/// `curl` keeps a connection alive, and a request under way at the end is answered.
#[test]
fn http_server_answers_curl_and_ends_gracefully() {
    let _dog = Watchdog::new(20);
    let Some((server, address)) = Example::serve("http_server") else {
        return;
    };
    let url = format!("http://{address}");
    let lines = format!("{url}/lines/2");
    let arguments = [
        "-sS",
        "-w",
        "[%{http_code} %{num_connects}]",
        &lines,
        &lines,
    ];
    let Some(answer) = run("curl", &arguments, b"") else {
        return;
    };
    let twice = "line 1\nline 2\n[200 1]line 1\nline 2\n[200 0]";
    assert_eq!(String::from_utf8_lossy(&answer), twice);
    let body = run(
        "curl",
        &["-sS", "--data-binary", "@-", &format!("{url}/sum")],
        &[1; 500],
    )
    .unwrap();
    assert_eq!(body, b"500 500\n");

    // Its first line shows that the answer is under way; the server is told to stop in the middle of it.
    let mut under_way = TcpStream::connect(&address).unwrap();
    under_way
        .write_all(b"GET /lines/300 HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    while !answer.contains("line 1\n") {
        let mut some = [0; 512];
        let read = under_way.read(&mut some).unwrap();
        assert!(read > 0, "{answer}");
        answer.push_str(std::str::from_utf8(&some[..read]).unwrap());
    }
    server.signal(SIGTERM);
    under_way.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("line 300\n"), "cut off: {}", answer.len());
    let (status, _) = server.finish();
    assert!(status.success(), "{status}");
}

/// `openssl s_client` types a line and reads it back, agrees on a protocol, takes its leave, and is let go with success.
#[test]
fn tls_echo_answers_openssl() {
    let _dog = Watchdog::new(20);
    let Some((mut server, address)) = Example::serve("tls_echo") else {
        return;
    };
    let client = Command::new("openssl")
        .args(["s_client", "-quiet", "-no_ign_eof", "-alpn", "echo"])
        .args(["-connect", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut client) = client else {
        eprintln!("note: skipped, there is no `openssl`");
        return;
    };
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(b"hello\n").unwrap();
    let mut stdout = BufReader::new(client.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "hello\n");
    let said = server.line();
    assert!(said.ends_with(": TLSv1_3, echo"), "{said}");
    drop(stdin);
    assert!(client.wait().unwrap().success());
    server.signal(SIGINT);
    assert!(server.finish().0.success());
}

//! Asks name servers: hickory's resolver on levent, where evdns stood.
//!
//! ```text
//! cargo run --release --features hickory --example dig -- example.com
//! cargo run --release --features hickory --example dig -- @192.0.2.53:5353 example.com MX +tcp
//! cargo run --release --features hickory --example dig -- -x 192.0.2.1
//! ```
//!
//! `--help` has the options. Prints one record a line, as a zone file has them. Exits with 0 if there are some, with 1 if there are none (and says why),
//! with 9 if no server answered, with 2 if it was called wrongly.

use std::{
    env,
    net::{IpAddr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use levent::hickory::{
    Provider, Resolver,
    hickory_resolver::{
        config::{
            ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig,
        },
        net::{DnsError, NetError},
        proto::rr::{Name, RecordType},
        system_conf,
    },
};

const HELP: &str = "\
usage: dig [@SERVER] NAME [TYPE] [+OPTION]...
       dig [@SERVER] -x ADDRESS [+OPTION]...

    SERVER          IP, IP:PORT or [IP]:PORT; without one, those of /etc/resolv.conf
    TYPE            A (also without one), AAAA, MX, TXT, NS, CNAME, SOA, SRV, PTR, ANY...
    -x ADDRESS      the name of an IPv4 or IPv6 address

    +time=SECONDS   how long each question may wait (5)
    +tries=N        how often it is asked, 1 at least (3)
    +tcp            ask by TCP at once; without it, where a datagram is too small
    +domain=NAME    a domain to search names with few dots in, first come first tried
    +search         also search the domains of /etc/resolv.conf
    +ndots=N        a name with so many dots is asked as it is first (1)
    +short          print the data of records alone";

fn main() -> ExitCode {
    if env::args().any(|argument| argument == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let asked = match Options::read(env::args().skip(1)) {
        Ok(options) => options.resolver().map(|resolver| (options, resolver)),
        Err(error) => Err(error),
    };
    let (options, resolver) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let Options { name, kind, .. } = &options;
    match levent::block_on(resolver.lookup(name.clone(), *kind)) {
        Ok(found) => {
            for record in found.answers() {
                match options.short {
                    // The aliases on the way are not what was asked for.
                    true if record.record_type() == *kind || *kind == RecordType::ANY => {
                        println!("{}", record.data);
                    }
                    true => {}
                    false => println!("{record}"),
                }
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{name} {kind}: {}", reason(&error));
            ExitCode::from(if is_silence(&error) { 9 } else { 1 })
        }
    }
}

/// What a person wants to know of an error.
fn reason(error: &NetError) -> String {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) if error.is_nx_domain() => {
            format!("no such name ({})", none.query.name())
        }
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            format!("there are no such records of {}", none.query.name())
        }
        error => error.to_string(),
    }
}

fn is_silence(error: &NetError) -> bool {
    matches!(
        error,
        NetError::Timeout | NetError::Io(_) | NetError::NoConnections
    )
}

struct Options {
    server: Option<SocketAddr>,
    name: Name,
    kind: RecordType,
    time: Duration,
    tries: usize,
    tcp: bool,
    domains: Vec<Name>,
    search: bool,
    ndots: usize,
    short: bool,
}

impl Options {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            server: None,
            name: Name::root(),
            kind: RecordType::A,
            time: Duration::from_secs(5),
            tries: 3,
            tcp: false,
            domains: Vec::new(),
            search: false,
            ndots: 1,
            short: false,
        };
        let (mut words, mut is_named) = (0, false);
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            if let Some(server) = argument.strip_prefix('@') {
                options.server = Some(socket_address(server)?);
            } else if let Some(option) = argument.strip_prefix('+') {
                options.set(option)?;
            } else if argument == "-x" {
                let address = arguments.next().ok_or("-x needs an address")?;
                let address: IpAddr = parse("an address", &address)?;
                (options.name, options.kind) = (address.into(), RecordType::PTR);
                is_named = true;
            } else {
                match words {
                    0 if !is_named => options.name = parse("a name", &argument)?,
                    1 if !is_named => options.kind = parse("a type", &argument.to_uppercase())?,
                    _ => return Err(format!("what is `{argument}`?")),
                }
                words += 1;
            }
        }
        if words == 0 && !is_named {
            return Err("a name is needed".into());
        }
        if options.domains.is_empty() && !options.search {
            options.name.set_fqdn(true);
        }
        Ok(options)
    }

    fn set(&mut self, option: &str) -> Result<(), String> {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "time" => {
                self.time = Duration::try_from_secs_f64(parse("seconds", value)?)
                    .ok()
                    .filter(|time| !time.is_zero())
                    .ok_or_else(|| format!("+time: `{value}` is not a time to wait"))?;
            }
            "tries" => {
                self.tries = parse("a number", value)?;
                if self.tries == 0 {
                    return Err("+tries: 1 at least".into());
                }
            }
            "ndots" => self.ndots = parse("a number", value)?,
            "domain" => self.domains.push(parse("a name", value)?),
            "tcp" => self.tcp = true,
            "search" => self.search = true,
            "short" => self.short = true,
            _ => return Err(format!("what is `+{option}`?")),
        }
        Ok(())
    }

    fn resolver(&self) -> Result<Resolver, String> {
        let message = |error| format!("/etc/resolv.conf: {error}");
        let mut config = ResolverConfig::default();
        if self.server.is_none() || self.search {
            let (system, _) = system_conf::read_system_conf().map_err(message)?;
            config = system;
        }
        let (domain, search, servers) = config.into_parts();
        let search = [&self.domains[..], if self.search { &search } else { &[] }].concat();
        let servers = match self.server {
            Some(server) => vec![name_server(server, self.tcp)],
            None if self.tcp => servers
                .iter()
                .map(|server| NameServerConfig::tcp(server.ip))
                .collect(),
            None => servers,
        };
        let config = ResolverConfig::from_parts(domain.filter(|_| self.search), search, servers);
        let mut builder = Resolver::builder_with_config(config, Provider);
        let options = builder.options_mut();
        options.timeout = self.time;
        // hickory counts the repetitions.
        options.attempts = self.tries - 1;
        options.ndots = self.ndots;
        // Who asks a name server wants to know what that says.
        options.use_hosts_file = ResolveHosts::Never;
        builder.build().map_err(|error| error.to_string())
    }
}

fn name_server(address: SocketAddr, tcp: bool) -> NameServerConfig {
    let protocols = match tcp {
        true => vec![ProtocolConfig::Tcp],
        false => vec![ProtocolConfig::Udp, ProtocolConfig::Tcp],
    };
    let connections = protocols.into_iter().map(|protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.collect())
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53));
    alone.or_else(|_| parse("IP, IP:PORT or [IP]:PORT", text))
}

fn parse<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not {what}"))
}

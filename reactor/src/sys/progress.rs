//! How far the owner of a descriptor has come with it: what changes when it reads, writes or accepts.

#[cfg(not(target_os = "linux"))]
use std::os::fd::RawFd;

/// What can be seen of a descriptor from outside. Two that differ mean that somebody has done something in between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress([u64; 4]);

#[cfg(not(target_os = "linux"))]
impl Progress {
    /// Not known on this system.
    pub(crate) fn of(_: RawFd, _: bool) -> Option<Progress> {
        None
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::name;

/// What a person may know it by, if the system tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn name(_: RawFd) -> Option<String> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs, io, mem, os::fd::RawFd};

    use super::Progress;
    use crate::sys::check;

    impl Progress {
        /// The state of `fd`, of which `writes` says whether it is ready for writing only. `None` where the owner could do its
        /// work without that showing here.
        pub(crate) fn of(fd: RawFd, writes: bool) -> Option<Progress> {
            match (option(fd, libc::SO_DOMAIN), option(fd, libc::SO_TYPE)) {
                (Ok(domain), Ok(kind)) => of_socket(fd, domain, kind, writes),
                (Err(error), _) if error.raw_os_error() == Some(libc::ENOTSOCK) => of_file(fd),
                _ => None,
            }
        }
    }

    fn of_socket(fd: RawFd, domain: i32, kind: i32, writes: bool) -> Option<Progress> {
        let is_ip = domain == libc::AF_INET || domain == libc::AF_INET6;
        if is_ip && kind == libc::SOCK_STREAM {
            return of_tcp(fd);
        }
        let waiting = count(fd, libc::FIONREAD);
        if kind == libc::SOCK_STREAM {
            // A connection that waits in a listener is counted nowhere.
            let is_listener = option(fd, libc::SO_ACCEPTCONN).is_ok_and(|is| is != 0);
            return (!is_listener).then(|| Progress([waiting, count(fd, libc::TIOCOUTQ), 0, 0]));
        }
        if writes {
            // A datagram leaves at once, and nothing remembers it.
            return None;
        }
        if is_ip {
            // The next datagram may be as long as the last; the memory of all of them is let go of in steps, but it is.
            let memory = memory(fd).ok()?;
            return Some(Progress([waiting, memory.into(), 0, 0]));
        }
        (waiting == 0).then_some(Progress([0; 4]))
    }

    /// Bytes received minus bytes waiting are those that were read, bytes acknowledged plus bytes unsent those that were written.
    fn of_tcp(fd: RawFd) -> Option<Progress> {
        let info = tcp_info(fd).ok()?;
        let long = |at: usize| info[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
        let (acknowledged, received) = (long(120), long(128));
        let read = received.wrapping_sub(count(fd, libc::FIONREAD));
        let written = acknowledged.wrapping_add(count(fd, libc::TIOCOUTQ));
        // The state, and for a listener the connections that wait in it.
        let waiting = info[24..28].try_into().map_or(0, u32::from_ne_bytes);
        let is_listener = info[0] == LISTEN;
        let queue = if is_listener { waiting } else { 0 };
        Some(Progress([read, written, info[0].into(), queue.into()]))
    }

    fn of_file(fd: RawFd) -> Option<Progress> {
        let waiting = count(fd, libc::FIONREAD);
        let unsent = count(fd, libc::TIOCOUTQ);
        let facts = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let fact = |name: &str| {
            let line = facts.lines().find_map(|line| line.strip_prefix(name))?;
            let line = line.trim();
            line.parse().or_else(|_| u64::from_str_radix(line, 16)).ok()
        };
        let counter = fact("eventfd-count:").or_else(|| fact("ticks:"));
        let is_known = waiting != UNKNOWN
            || counter.is_some()
            // Ready from the end of its process on, and there is nothing to read.
            || name(fd).is_some_and(|name| name == "anon_inode:[pidfd]");
        let position = fact("pos:").unwrap_or(0);
        is_known.then_some(Progress([waiting, unsent, counter.unwrap_or(0), position]))
    }

    /// What the kernel calls the thing behind a descriptor: a path, `pipe:[17]`, `socket:[18]`, `anon_inode:[eventfd]`.
    pub(crate) fn name(fd: RawFd) -> Option<String> {
        let link = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        Some(link.to_string_lossy().into_owned())
    }

    const UNKNOWN: u64 = u64::MAX;
    /// TCP's state of that name.
    const LISTEN: u8 = 10;
    /// The beginning of `tcp_info` that is of interest.
    const TCP_INFO: usize = 136;

    /// One of the ioctls that tell a number of bytes.
    fn count(fd: RawFd, request: libc::Ioctl) -> u64 {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the requests used here write one int, for which there is room; on a closed number they fail.
        let answer = unsafe { libc::ioctl(fd, request, &raw mut bytes) };
        match check(answer) {
            Ok(_) => u64::try_from(bytes).unwrap_or(UNKNOWN),
            Err(_) => UNKNOWN,
        }
    }

    fn option(fd: RawFd, name: libc::c_int) -> io::Result<libc::c_int> {
        let mut value = [0; mem::size_of::<libc::c_int>()];
        read_option(fd, libc::SOL_SOCKET, name, &mut value)?;
        Ok(libc::c_int::from_ne_bytes(value))
    }

    /// The bytes of memory that received datagrams take.
    fn memory(fd: RawFd) -> io::Result<u32> {
        let mut value = [0; 4];
        read_option(fd, libc::SOL_SOCKET, libc::SO_MEMINFO, &mut value)?;
        Ok(u32::from_ne_bytes(value))
    }

    fn tcp_info(fd: RawFd) -> io::Result<[u8; TCP_INFO]> {
        let mut info = [0; TCP_INFO];
        read_option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, &mut info)?;
        Ok(info)
    }

    /// Reads an option, or as much of it as fits.
    fn read_option(
        fd: RawFd,
        level: libc::c_int,
        name: libc::c_int,
        value: &mut [u8],
    ) -> io::Result<()> {
        let mut length = value.len() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes, and that is how long `value` is; on a closed number the call fails.
        let answer = unsafe {
            libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut length)
        };
        check(answer).map(drop)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream, UdpSocket},
        os::{
            fd::{AsRawFd, RawFd},
            unix::net::{UnixDatagram, UnixListener, UnixStream},
        },
    };

    use super::*;

    /// Does `act` show?
    fn shows(fd: RawFd, act: impl FnOnce()) -> bool {
        let before = Progress::of(fd, false).expect("it is known of this kind");
        assert_eq!(Progress::of(fd, false), Some(before), "nobody did anything");
        act();
        Progress::of(fd, false) != Some(before)
    }

    #[test]
    fn reads_writes_and_accepts_of_tcp_show() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut one, _waiting) = (connect(), connect());
        let mut other = None;
        assert!(shows(listener.as_raw_fd(), || other =
            Some(listener.accept().unwrap().0)));
        let mut other = other.unwrap();
        let fd = other.as_raw_fd();
        one.write_all(&[0; 64]).unwrap();
        other.peek(&mut [0; 64]).unwrap();
        assert!(shows(fd, || other.read_exact(&mut [0; 64]).unwrap()));
        assert!(shows(fd, || other.write_all(&[0; 64]).unwrap()));
        // What the peer does is not ours: it sends as much as was read.
        assert!(!shows(fd, || {
            one.write_all(&[0; 64]).unwrap();
            other.peek(&mut [0; 64]).unwrap();
        }));
        // Read and sent again, as in a conversation with a quick peer.
        assert!(shows(fd, || {
            other.read_exact(&mut [0; 64]).unwrap();
            one.write_all(&[0; 64]).unwrap();
            other.peek(&mut [0; 64]).unwrap();
        }));
    }

    #[test]
    fn reads_and_writes_of_other_streams_show() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        assert!(shows(one.as_raw_fd(), || one.write_all(b"12").unwrap()));
        assert!(shows(other.as_raw_fd(), || {
            other.read_exact(&mut [0]).unwrap();
        }));
        drop(one);
        other.read_exact(&mut [0]).unwrap();
        assert!(
            !shows(other.as_raw_fd(), || assert_eq!(
                other.read(&mut [0]).unwrap(),
                0
            )),
            "to read the end again and again leads nowhere"
        );
    }

    /// Datagrams of one length: the next one looks like the last, but the memory shows in time.
    #[test]
    fn datagrams_show_in_the_end() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        for _ in 0..200 {
            socket.send_to(&[0; 64], to).unwrap();
        }
        let shown = (0..150).filter(|_| {
            shows(socket.as_raw_fd(), || {
                socket.recv(&mut [0; 64]).unwrap();
            })
        });
        assert!(shown.count() > 0);
    }

    #[test]
    fn what_does_not_show_is_not_known() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(Progress::of(socket.as_raw_fd(), true), None);
        let (one, other) = UnixDatagram::pair().unwrap();
        one.send(b"1").unwrap();
        assert_eq!(Progress::of(other.as_raw_fd(), false), None);
        let path = std::env::temp_dir().join(format!("levent-progress-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let _ = std::fs::remove_file(&path);
        assert_eq!(Progress::of(listener.as_raw_fd(), false), None);
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(Progress::of(null.as_raw_fd(), false), None);
    }
}

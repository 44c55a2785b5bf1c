//! How far the owner of a descriptor has come with it: what changes when it reads, writes or accepts.

#[cfg(not(target_os = "linux"))]
use std::os::fd::RawFd;

/// What can be seen of a descriptor from outside. Two that differ mean that somebody has done something in between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress([u64; 3]);

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
    use std::{
        cell::Cell,
        fs::{self, File},
        io::{self, Read},
        mem,
        os::fd::RawFd,
    };

    use super::Progress;
    use crate::sys::check;

    impl Progress {
        /// The state of `fd`, of which `writes` says whether it can be written to. `None` where the owner could do its
        /// work without that showing here.
        ///
        /// A number of bytes that wait shows nothing by itself: what the owner takes, a quick peer may have sent again by now.
        pub(crate) fn of(fd: RawFd, writes: bool) -> Option<Progress> {
            match (option(fd, libc::SO_DOMAIN), option(fd, libc::SO_TYPE)) {
                (Ok(domain), Ok(kind)) => of_socket(fd, domain, kind, writes),
                (Err(error), _) if error.raw_os_error() == Some(libc::ENOTSOCK) => {
                    of_file(fd, writes)
                }
                _ => None,
            }
        }
    }

    fn of_socket(fd: RawFd, domain: i32, kind: i32, writes: bool) -> Option<Progress> {
        let is_ip = domain == libc::AF_INET || domain == libc::AF_INET6;
        if option(fd, libc::SO_ACCEPTCONN).is_ok_and(|is| is != 0) {
            // Whoever accepts shows nowhere; but with no descriptor left nobody can.
            return is_out_of_descriptors(fd).then_some(STUCK);
        }
        if is_ip && kind == libc::SOCK_STREAM {
            return of_tcp(fd);
        }
        if writes {
            // What is sent leaves at once, and nothing remembers it.
            return None;
        }
        if is_ip && kind == libc::SOCK_DGRAM {
            return of_udp(fd);
        }
        // At its end, or failed: there is nothing that could be read. Else what is read shows nowhere.
        (count(fd, libc::FIONREAD) == 0).then_some(STUCK)
    }

    /// Bytes received minus bytes waiting are those that were read, bytes acknowledged plus bytes unsent those that were written.
    fn of_tcp(fd: RawFd) -> Option<Progress> {
        let info = tcp_info(fd).ok()?;
        let long = |at: usize| info[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
        let (acknowledged, received) = (long(120), long(128));
        let read = received.wrapping_sub(count(fd, libc::FIONREAD));
        let written = acknowledged.wrapping_add(count(fd, libc::TIOCOUTQ));
        Some(Progress([read, written, info[0].into()]))
    }

    /// The next datagram may be as long as the last. The memory of all of them is let go of in steps, but it is; and where as much comes
    /// as goes, some is dropped.
    fn of_udp(fd: RawFd) -> Option<Progress> {
        let memory = memory(fd).ok()?;
        let waiting = count(fd, libc::FIONREAD);
        Some(Progress([waiting, memory[0].into(), memory[8].into()]))
    }

    /// Of what is no socket the calls are counted: those of this thread, which is the one that runs callbacks.
    fn of_file(fd: RawFd, writes: bool) -> Option<Progress> {
        let waiting = count(fd, libc::FIONREAD);
        if !writes && (waiting == 0 || name(fd).is_some_and(|name| name == PIDFD)) {
            // At its end: to read that again and again leads nowhere.
            return Some(STUCK);
        }
        let (reads, writes) = calls()?;
        Some(Progress([waiting, reads, writes]))
    }

    thread_local! {
        /// How often `calls` has read its file, which counts too.
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    /// How often this thread has called read and write, and what does the same, on whatever it was. `None` if the kernel does not count.
    fn calls() -> Option<(u64, u64)> {
        let mut text = [0; 512];
        let length = File::open("/proc/thread-self/io")
            .ok()?
            .read(&mut text)
            .ok()?;
        let text = std::str::from_utf8(&text[..length]).ok()?;
        let count = |name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse().ok()
        };
        let looks = LOOKS.replace(LOOKS.get() + 1);
        Some((count("syscr:")?.wrapping_sub(looks), count("syscw:")?))
    }

    /// Is the process, or the system, at its limit?
    fn is_out_of_descriptors(fd: RawFd) -> bool {
        // SAFETY: the call takes no pointer; on a closed number it fails.
        let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
        match check(copy) {
            Ok(copy) => {
                // SAFETY: the number is of the duplicate just made, which nobody else knows.
                unsafe { libc::close(copy) };
                false
            }
            Err(error) => matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)),
        }
    }

    /// Nothing can be done with it any more, so that this never changes.
    const STUCK: Progress = Progress([0; 3]);
    /// Ready from the end of its process on, and there is nothing to read.
    const PIDFD: &str = "anon_inode:[pidfd]";
    /// What is known of no number of bytes.
    const UNKNOWN: u64 = u64::MAX;
    /// The beginning of `tcp_info` that is of interest.
    const TCP_INFO: usize = 136;

    /// What the kernel calls the thing behind a descriptor: a path, `pipe:[17]`, `socket:[18]`, `anon_inode:[eventfd]`.
    pub(crate) fn name(fd: RawFd) -> Option<String> {
        let link = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        Some(link.to_string_lossy().into_owned())
    }

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

    /// The kernel's `SK_MEMINFO`: first the memory of what was received, last how often something was dropped.
    fn memory(fd: RawFd) -> io::Result<[u32; 9]> {
        let mut value = [[0; 4]; 9];
        read_option(
            fd,
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            value.as_flattened_mut(),
        )?;
        Ok(value.map(u32::from_ne_bytes))
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
        fs::File,
        io::{Read, Write},
        net::{TcpListener, TcpStream, UdpSocket},
        os::{
            fd::{AsRawFd, RawFd},
            unix::net::{UnixDatagram, UnixListener, UnixStream},
        },
        process::{Command, Stdio},
    };

    use super::*;

    /// Does `act` show?
    fn shows(fd: RawFd, writes: bool, act: impl FnOnce()) -> bool {
        let before = Progress::of(fd, writes).expect("it is known of this kind");
        assert_eq!(
            Progress::of(fd, writes),
            Some(before),
            "nobody did anything"
        );
        act();
        Progress::of(fd, writes) != Some(before)
    }

    #[test]
    fn reads_and_writes_of_tcp_show() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut other = listener.accept().unwrap().0;
        let fd = other.as_raw_fd();
        one.write_all(&[0; 64]).unwrap();
        other.peek(&mut [0; 64]).unwrap();
        assert!(shows(fd, false, || other.read_exact(&mut [0; 64]).unwrap()));
        assert!(shows(fd, true, || other.write_all(&[0; 64]).unwrap()));
        // What the peer does is not ours: it sends as much as was read.
        assert!(!shows(fd, false, || {
            one.write_all(&[0; 64]).unwrap();
            other.peek(&mut [0; 64]).unwrap();
        }));
        // Read and sent again, as in a conversation with a quick peer.
        assert!(shows(fd, false, || {
            other.read_exact(&mut [0; 64]).unwrap();
            one.write_all(&[0; 64]).unwrap();
            other.peek(&mut [0; 64]).unwrap();
        }));
    }

    /// Of pipes, even where the other end makes the number of bytes what it was; the end of one is nothing to be read.
    #[test]
    fn reads_and_writes_of_pipes_show() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        if Progress::of(to.as_raw_fd(), true).is_none() {
            drop(to);
            child.wait().unwrap();
            return println!("skipped: this kernel does not count the calls of a thread");
        }
        assert!(shows(to.as_raw_fd(), true, || to
            .write_all(b"12345")
            .unwrap()));
        from.read_exact(&mut [0]).unwrap();
        let fd = from.as_raw_fd();
        assert!(shows(fd, false, || from.read_exact(&mut [0]).unwrap()));
        from.read_exact(&mut [0; 3]).unwrap();
        drop(to);
        child.wait().unwrap();
        let reads_the_end = || assert_eq!(from.read(&mut [0]).unwrap(), 0);
        assert!(!shows(fd, false, reads_the_end));
    }

    /// Datagrams of one length: the next one looks like the last, but the memory shows in time.
    #[test]
    fn datagrams_show_in_the_end() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        for _ in 0..200 {
            socket.send_to(&[0; 64], to).unwrap();
        }
        let reads = || drop(socket.recv(&mut [0; 64]));
        let shown = (0..150).filter(|_| shows(socket.as_raw_fd(), false, reads));
        assert!(shown.count() > 0);
    }

    #[test]
    fn what_does_not_show_is_not_known() {
        let known = |fd: &dyn AsRawFd, writes| Progress::of(fd.as_raw_fd(), writes).is_some();
        assert!(!known(&UdpSocket::bind("127.0.0.1:0").unwrap(), true));
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(b"1").unwrap();
        assert!(!known(&other, false) && !known(&one, true));
        assert!(known(&one, false), "nothing is there to be read");
        let (one, other) = UnixDatagram::pair().unwrap();
        one.send(b"1").unwrap();
        assert!(!known(&other, false));
        let path = std::env::temp_dir().join(format!("levent-progress-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let _ = std::fs::remove_file(&path);
        assert!(!known(&listener, false));
        assert!(!known(&TcpListener::bind("127.0.0.1:0").unwrap(), false));
        drop(File::open("/dev/null"));
    }
}

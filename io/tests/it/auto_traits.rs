//! Which auto traits the types have, and which they have not, decided by the compiler.

use levent_io::net::{self, unix};
use levent_io::{Async, Readable, ReadableOwned, Writable, WritableOwned};
use std::marker::{PhantomData, PhantomPinned};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Whether a type has a trait: the inherent constant exists only if it does, and wins over the trait's then.
macro_rules! has {
    ($trait:ident, $type:ty) => {{
        struct Probe<T>(PhantomData<T>);
        #[allow(dead_code, reason = "unused where the trait is there")]
        trait Otherwise {
            const HAS: bool = false;
        }
        impl<T> Otherwise for Probe<T> {}
        #[allow(dead_code, reason = "unused where the trait is missing")]
        impl<T: $trait> Probe<T> {
            const HAS: bool = true;
        }
        <Probe<$type>>::HAS
    }};
}

/// `Type: Trait …, !Trait …`
macro_rules! assert_traits {
    ($($type:ty: [$($yes:ident)*] not [$($no:ident)*];)*) => {
        $(
            $(const _: () = assert!(has!($yes, $type));)*
            $(const _: () = assert!(!has!($no, $type));)*
        )*
    };
}

/// One type per combination that matters.
type NotSend = std::sync::MutexGuard<'static, ()>;
type NotSync = std::cell::Cell<u8>;
type NotUnwindSafe = &'static mut u8;
type NotRefUnwindSafe = std::cell::UnsafeCell<u8>;

assert_traits! {
    NotSend: [Sync] not [Send];
    NotSync: [Send] not [Sync];
    NotUnwindSafe: [RefUnwindSafe] not [UnwindSafe];
    NotRefUnwindSafe: [UnwindSafe] not [RefUnwindSafe];

    Async<TcpStream>: [Send Sync Unpin UnwindSafe RefUnwindSafe] not [Clone];
    Async<UnixStream>: [Send Sync Unpin UnwindSafe RefUnwindSafe] not [Clone];
    Async<TcpListener>: [Send Sync Unpin UnwindSafe RefUnwindSafe] not [Clone];
    Async<NotSend>: [Sync Unpin] not [Send];
    Async<NotSync>: [Send Unpin] not [Sync];
    Async<NotUnwindSafe>: [RefUnwindSafe Unpin] not [UnwindSafe];
    Async<NotRefUnwindSafe>: [UnwindSafe Unpin] not [RefUnwindSafe];
    Async<PhantomPinned>: [Unpin] not [];

    Readable<'static, TcpStream>: [Send Sync Unpin] not [];
    Readable<'static, NotSend>: [Send Sync Unpin] not [];
    Readable<'static, NotSync>: [Unpin] not [Send Sync];
    Readable<'static, PhantomPinned>: [Unpin] not [];
    Writable<'static, TcpStream>: [Send Sync Unpin] not [];
    Writable<'static, NotSync>: [Unpin] not [Send Sync];
    ReadableOwned<TcpStream>: [Send Sync Unpin] not [];
    ReadableOwned<NotSend>: [Unpin] not [Send Sync];
    ReadableOwned<NotSync>: [Unpin] not [Send Sync];
    WritableOwned<TcpStream>: [Send Sync Unpin] not [];
    WritableOwned<NotSend>: [Unpin] not [Send Sync];

    net::TcpListener: [Clone Send Sync Unpin UnwindSafe RefUnwindSafe] not [];
    net::TcpStream: [Clone Send Sync Unpin UnwindSafe RefUnwindSafe] not [];
    net::UdpSocket: [Clone Send Sync Unpin UnwindSafe RefUnwindSafe] not [];
    net::Batch: [Send Sync Unpin UnwindSafe RefUnwindSafe] not [Clone];
    net::Datagram<'static>: [Copy Send Sync Unpin UnwindSafe RefUnwindSafe] not [];
    net::Datagrams<'static>: [Clone ExactSizeIterator DoubleEndedIterator Send Sync Unpin UnwindSafe RefUnwindSafe] not [];
    net::ListenOptions: [Clone Send Sync Unpin UnwindSafe RefUnwindSafe] not [Copy];
    net::ListenerStats: [Copy Send Sync Unpin UnwindSafe RefUnwindSafe] not [];
    net::ExhaustionPolicy: [Copy Send Sync Unpin UnwindSafe RefUnwindSafe] not [];
    unix::UnixListener: [Clone Send Sync Unpin UnwindSafe RefUnwindSafe] not [];
    unix::UnixStream: [Clone Send Sync Unpin UnwindSafe RefUnwindSafe] not [];
    unix::UnixDatagram: [Clone Send Sync Unpin UnwindSafe RefUnwindSafe] not [];
    unix::Received: [Copy Default Send Sync Unpin UnwindSafe RefUnwindSafe] not [];
    unix::PeerCred: [Copy Send Sync Unpin UnwindSafe RefUnwindSafe] not [Default];
    net::Incoming<'static>: [Send Sync Unpin] not [];
    unix::Incoming<'static>: [Send Sync Unpin] not [];
    net::ToSocketAddrsFuture: [Send Sync Unpin] not [];
    net::ReadHalf<net::TcpStream>: [Send Sync Unpin] not [Clone];
    net::WriteHalf<net::TcpStream>: [Send Sync Unpin] not [Clone];
}

/// Which `AsyncRead` and `AsyncWrite` there are, and which there must not be.
mod streams {
    use super::*;
    use futures_lite::{AsyncRead, AsyncWrite};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;
    use std::sync::Arc;

    assert_traits! {
        Async<TcpStream>: [AsyncRead AsyncWrite] not [];
        &'static Async<TcpStream>: [AsyncRead AsyncWrite] not [];
        &'static Async<UnixStream>: [AsyncRead AsyncWrite] not [];
        Arc<Async<TcpStream>>: [] not [AsyncRead AsyncWrite];
        Async<UdpSocket>: [] not [AsyncRead AsyncWrite];
        Async<TcpListener>: [] not [AsyncRead AsyncWrite];
        net::TcpStream: [AsyncRead AsyncWrite AsFd] not [];
        unix::UnixStream: [AsyncRead AsyncWrite AsFd] not [];
        &'static net::TcpStream: [] not [AsyncRead AsyncWrite];
        net::ReadHalf<net::TcpStream>: [AsyncRead] not [AsyncWrite];
        net::WriteHalf<net::TcpStream>: [AsyncWrite] not [AsyncRead];
        Async<UnixDatagram>: [AsFd] not [];
        unix::UnixDatagram: [] not [AsFd];
    }
}

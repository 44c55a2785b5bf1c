//! The numbers of signals on this platform.

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $($(#[$doc])* pub const $name: i32 = libc::$name;)*
    };
}

numbers! {
    /// The terminal is gone; by custom also "read your configuration again".
    SIGHUP
    /// Interrupt from the keyboard (Ctrl-C).
    SIGINT
    /// Quit from the keyboard.
    SIGQUIT
    /// For the program's own use.
    SIGUSR1
    /// For the program's own use.
    SIGUSR2
    /// A write to a pipe or socket that nobody reads.
    SIGPIPE
    /// An alarm clock rang.
    SIGALRM
    /// The polite request to end.
    SIGTERM
    /// A child process stopped or ended.
    SIGCHLD
    /// Continue after a stop.
    SIGCONT
    /// The terminal's window changed its size.
    SIGWINCH
    /// Cannot be caught.
    SIGKILL
    /// Cannot be caught.
    SIGSTOP
}

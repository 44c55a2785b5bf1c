//! For those who come from libevent: what each of its calls is called here, and where the two differ.
//!
//! The tables go through `<event2/event.h>` of 2.1.12 and 2.2 in the header's order, then through what of the other headers concerns the event
//! core. Three things are so everywhere and not repeated:
//!
//! - A callback is a closure. What `arg` was for, it owns; it gets its [`Event`] and, if the event was made for one, the source.
//! - -1 and null are an [`io::Error`](std::io::Error) with a kind and a message that says what to do, or an [`Option`].
//! - `struct timeval` is a [`Duration`]; a null one is a call without a timeout, or `None`.
//!
//! ```c
//! struct event_base *base = event_base_new();
//! struct event *ev = event_new(base, fd, EV_READ | EV_PERSIST, on_read, arg);
//! event_add(ev, &five_seconds);
//! event_base_dispatch(base);
//! event_free(ev);
//! event_base_free(base);
//! ```
//!
//! becomes
//!
//! ```
//! use levent_reactor::{Base, Event, Flags};
//! use std::{net::UdpSocket, time::Duration};
//!
//! # fn main() -> std::io::Result<()> {
//! # let socket = UdpSocket::bind("127.0.0.1:0")?;
//! # UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", socket.local_addr()?)?;
//! let base = Base::new()?;
//! let event = Event::new(&base, socket, Flags::READ | Flags::PERSIST, |socket: &UdpSocket, what, event| {
//! #   assert_eq!(what, Flags::READ);
//! #   socket.recv(&mut [0; 8]).unwrap();
//! #   event.del().unwrap();
//!     // …
//! })?;
//! event.add_after(Duration::from_secs(5))?;
//! base.dispatch()?;
//! # Ok(()) }
//! ```
//!
//! # Call by call
//!
//! ## Making a base
//!
//! | libevent | Here |
//! |---|---|
//! | `struct event_base` | [`Base`]: a handle, of one thread |
//! | `struct event` | [`Event`]: a handle, too |
//! | `struct event_config` | [`Config`] |
//! | `event_enable_debug_mode`, `event_debug_unassign` | None: what that mode looks for does not compile, or is an error always |
//! | `event_base_new` | [`Base::new`] |
//! | `event_reinit` | [`Base::reinit`] |
//! | `event_base_dispatch` | [`Base::dispatch`] |
//! | `event_base_get_method` | [`Base::method`], [`Method::name`] |
//! | `event_base_get_signal_method` (2.2) | [`Base::signal_method`] |
//! | `event_get_supported_methods` | [`Method::supported`] |
//! | `event_gettime_monotonic` | [`Base::monotonic`]: the time since the base was made |
//! | `EVENT_BASE_COUNT_ACTIVE`, `EVENT_BASE_COUNT_VIRTUAL`, `EVENT_BASE_COUNT_ADDED` | [`Counted::ACTIVE`], [`Counted::VIRTUAL`], [`Counted::ADDED`] |
//! | `event_base_get_num_events` | [`Base::count`] |
//! | `event_base_get_max_events` | [`Base::max_count`] |
//! | `event_base_free` | Dropping the last [`Base`]; pending finalizers run |
//! | `event_base_free_nofinalize` | None: what a finalizer owns would leak |
//!
//! ## Configuration
//!
//! | libevent | Here |
//! |---|---|
//! | `event_config_new` | [`Config::new`] |
//! | `event_config_free` | Dropping it |
//! | `event_config_avoid_method` | [`Config::avoid_method`] |
//! | `enum event_method_feature` | [`Features`] |
//! | `EV_FEATURE_ET`, `EV_FEATURE_O1`, `EV_FEATURE_FDS`, `EV_FEATURE_EARLY_CLOSE` | [`Features::ET`], [`Features::O1`], [`Features::FDS`], [`Features::EARLY_CLOSE`] |
//! | `enum event_base_config_flag`, `event_config_set_flag` | One method each: |
//! | `EVENT_BASE_FLAG_NOLOCK` | None: there is no lock to save, the base's memory is of one thread |
//! | `EVENT_BASE_FLAG_IGNORE_ENV` | [`Config::ignore_env`] |
//! | `EVENT_BASE_FLAG_STARTUP_IOCP` | None: not on these systems |
//! | `EVENT_BASE_FLAG_NO_CACHE_TIME` | [`Config::no_cache_time`] |
//! | `EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST` | [`Config::batch_changes`] |
//! | `EVENT_BASE_FLAG_PRECISE_TIMER` | None: time is always precise |
//! | `EVENT_BASE_FLAG_EPOLL_DISALLOW_TIMERFD` (2.2) | [`Config::disallow_timerfd`] |
//! | `EVENT_BASE_FLAG_USE_SIGNALFD` (2.2) | None: it needs signals blocked in all threads, and merges them |
//! | `event_base_get_features` | [`Base::features`] |
//! | `event_config_require_features` | [`Config::require_features`] |
//! | `event_config_set_num_cpus_hint` | None: only completion ports asked for it |
//! | `event_config_set_max_dispatch_interval` | [`Config::max_dispatch`] |
//! | `event_base_new_with_config` | [`Base::with_config`] |
//!
//! ## Logging and fatal errors
//!
//! | libevent | Here |
//! |---|---|
//! | `EVENT_LOG_DEBUG`, `EVENT_LOG_MSG`, `EVENT_LOG_WARN`, `EVENT_LOG_ERR`, and the same with `_` in front | None: nothing is logged; what would be warned of is in the error's message |
//! | `event_log_cb`, `event_set_log_callback` | None: the same |
//! | `EVENT_DBG_ALL`, `EVENT_DBG_NONE`, `event_enable_debug_logging` | None: the same |
//! | `event_fatal_cb`, `event_set_fatal_callback` | None: no error ends the process |
//!
//! ## Running the loop
//!
//! | libevent | Here |
//! |---|---|
//! | `event_base_set` | [`Event::set_base`] |
//! | `EVLOOP_ONCE`, `EVLOOP_NONBLOCK`, `EVLOOP_NO_EXIT_ON_EMPTY` | [`LoopFlags::ONCE`], [`LoopFlags::NONBLOCK`], [`LoopFlags::NO_EXIT_ON_EMPTY`] |
//! | `event_base_loop` | [`Base::run_loop`]; 1 is [`LoopEnd::Dry`], 0 [`LoopEnd::Stopped`] |
//! | `event_base_loopexit` | [`Base::loop_exit`]; from another thread [`Remote::loop_exit`] |
//! | `event_base_loopbreak` | [`Base::loop_break`], [`Remote::loop_break`] |
//! | `event_base_loopcontinue` | [`Base::loop_continue`], [`Remote::loop_continue`] |
//! | `event_base_got_exit`, `event_base_got_break` | [`Base::got_exit`], [`Base::got_break`] |
//!
//! ## Flags
//!
//! | libevent | Here |
//! |---|---|
//! | `EV_TIMEOUT`, `EV_READ`, `EV_WRITE`, `EV_SIGNAL` | [`Flags::TIMEOUT`], [`Flags::READ`], [`Flags::WRITE`], [`Flags::SIGNAL`] |
//! | `EV_PERSIST`, `EV_ET`, `EV_FINALIZE`, `EV_CLOSED` | [`Flags::PERSIST`], [`Flags::ET`], [`Flags::FINALIZE`] (changes nothing), [`Flags::CLOSED`] |
//!
//! ## Timers, signals, user events
//!
//! | libevent | Here |
//! |---|---|
//! | `evtimer_new`, `evtimer_assign` | [`Event::timer`]; with `EV_PERSIST` [`Event::interval`] |
//! | `evtimer_add`, `evtimer_del`, `evtimer_pending` | [`Event::add_after`], [`Event::del`], [`Event::is_pending`] |
//! | `evsignal_new`, `evsignal_assign` | [`Event::signal`]; without `EV_PERSIST` [`Event::signal_once`] |
//! | `evsignal_add`, `evsignal_del`, `evsignal_pending` | [`Event::add`], [`Event::del`], [`Event::is_pending`] |
//! | `evuser_new` | [`Event::user`] |
//! | `evuser_del`, `evuser_pending` | [`Event::del`], [`Event::is_pending`] |
//! | `evuser_trigger` | [`Event::activate`] with [`Flags::NONE`] |
//! | `evtimer_initialized`, `evsignal_initialized`, `evuser_initialized` | None: an event that exists is initialised |
//!
//! ## Making and ending events
//!
//! | libevent | Here |
//! |---|---|
//! | `event_callback_fn` | `FnMut(&S, Flags, &Event)`, without a source `FnMut(&Event, Flags)` |
//! | `event_self_cbarg` | None: the callback always gets its event |
//! | `event_new` | [`Event::new`], which owns the source; for a bare number [`Event::from_raw_fd`] |
//! | `event_assign` | [`Event::assign`], of a new event to one that there is |
//! | `event_free` | Dropping the last handle |
//! | `event_finalize_callback_fn` | `FnOnce(&Event)` |
//! | `event_finalize`, `event_free_finalize` | [`Event::finalize`]; the event is freed with its last handle |
//! | `event_base_once` | [`Base::once_after`], [`Base::once_fd`]; from another thread [`Remote::once_after`] |
//!
//! ## Adding, deleting, activating
//!
//! | libevent | Here |
//! |---|---|
//! | `event_add` | [`Event::add`], [`Event::add_after`], [`Event::add_common`]; from another thread [`RemoteEvent::add`] |
//! | `event_remove_timer` | [`Event::remove_timer`] |
//! | `event_del` | [`Event::del`] |
//! | `event_del_noblock` | [`RemoteEvent::del`], the [`Receipt`] dropped |
//! | `event_del_block` | [`RemoteEvent::del`] and [`Receipt::wait`] |
//! | `event_active` | [`Event::activate`], [`Event::activate_times`]; from another thread [`RemoteEvent::activate`] |
//! | `event_pending` | [`Event::pending`]; its `tv` is [`Event::deadline`] or [`Event::deadline_wall_clock`] |
//! | `event_base_get_running_event` | [`Base::running_event`] |
//!
//! ## What an event is
//!
//! | libevent | Here |
//! |---|---|
//! | `event_initialized` | None: an event that exists is initialised |
//! | `event_get_fd`, `event_get_signal` | [`Event::number`] |
//! | `event_get_base` | [`Event::base`] |
//! | `event_get_events` | [`Event::interest`] |
//! | `event_get_callback`, `event_get_callback_arg` | None: a closure cannot be compared, and what it owns is its own |
//! | `event_get_priority` | [`Event::priority`] |
//! | `event_get_assignment` | The four methods above |
//! | `event_get_struct_event_size` | None: nobody allocates an event by its size |
//! | `event_get_version`, `event_get_version_number`, `LIBEVENT_VERSION`, `LIBEVENT_VERSION_NUMBER` | [`VERSION`](crate::VERSION), [`VERSION_NUMBER`](crate::VERSION_NUMBER) |
//!
//! ## Priorities and common timeouts
//!
//! | libevent | Here |
//! |---|---|
//! | `EVENT_MAX_PRIORITIES` | None: there may be 1 to 255 levels, as in libevent, whatever its constant says (ACT-13) |
//! | `event_base_priority_init` | [`Base::set_priorities`] |
//! | `event_base_get_npriorities` | [`Base::priorities`] |
//! | `event_priority_set` | [`Event::set_priority`] |
//! | `event_base_init_common_timeout` | [`Base::common_timeout`], which gives a [`CommonTimeout`] for [`Event::add_common`] |
//!
//! ## Memory, looking inside, time
//!
//! | libevent | Here |
//! |---|---|
//! | `event_set_mem_functions`, `EVENT_SET_MEM_FUNCTIONS_IMPLEMENTED` | None: a program chooses its `#[global_allocator]` |
//! | `event_base_dump_events` | [`Base::dump`] |
//! | `event_base_active_by_fd` | [`Base::activate_fd`], [`Remote::activate_fd`] |
//! | `event_base_active_by_signal` | [`Base::activate_signal`], [`Remote::activate_signal`] |
//! | `event_base_foreach_event_cb` | `FnMut(&EventInfo) -> ControlFlow<B>`, with [`EventInfo`] |
//! | `event_base_foreach_event` | [`Base::for_each_event`] |
//! | `event_base_gettimeofday_cached` | [`Base::wall_clock`]; the monotonic reading of it is [`Base::now`] |
//! | `event_base_update_cache_time` | [`Base::update_cache_time`] |
//! | `libevent_global_shutdown` | None: what a base has goes with it |
//!
//! ## `<event2/thread.h>`
//!
//! | libevent | Here |
//! |---|---|
//! | `evthread_use_pthreads`, `evthread_use_pthreads_with_flags`, `EVTHREAD_PTHREAD_PRIO_INHERIT`, `evthread_use_windows_threads` | None: every base can be reached from other threads, by [`Base::remote`] |
//! | `EVTHREAD_USE_PTHREADS_IMPLEMENTED`, `EVTHREAD_USE_WINDOWS_THREADS_IMPLEMENTED` | None: the same |
//! | `struct evthread_lock_callbacks`, `evthread_set_lock_callbacks`, `EVTHREAD_LOCK_API_VERSION`, `EVTHREAD_LOCKTYPE_RECURSIVE`, `EVTHREAD_LOCKTYPE_READWRITE`, `EVTHREAD_WRITE`, `EVTHREAD_READ`, `EVTHREAD_TRY` | None: locks are the standard library's |
//! | `struct evthread_condition_callbacks`, `evthread_set_condition_callbacks`, `EVTHREAD_CONDITION_API_VERSION`, `evthread_set_id_callback` | None: the same |
//! | `evthread_enable_lock_debugging`, `evthread_enable_lock_debuging` | None: the same |
//! | `evthread_make_base_notifiable` | None: every base is |
//!
//! ## `<event2/watch.h>` (2.2)
//!
//! | libevent | Here |
//! |---|---|
//! | `struct evwatch` | [`Watcher`] |
//! | `evwatch_prepare_cb`, `evwatch_check_cb` | `FnMut(&Base, PrepareInfo)`, `FnMut(&Base)` |
//! | `evwatch_prepare_new`, `evwatch_check_new` | [`Base::on_prepare`], [`Base::on_check`] |
//! | `evwatch_base` | None: the callback gets the base |
//! | `evwatch_free` | Dropping it; [`Watcher::detach`] leaves it to the base |
//! | `struct evwatch_prepare_cb_info`, `evwatch_prepare_get_timeout` | [`PrepareInfo::wait`] |
//! | `struct evwatch_check_cb_info` | None: it is empty |
//!
//! ## `<event2/util.h>`, as far as the event core touches it
//!
//! | libevent | Here |
//! |---|---|
//! | `evutil_socket_t` | [`OwnedFd`](std::os::fd::OwnedFd) and all that is [`AsFd`](std::os::fd::AsFd) |
//! | `evutil_make_socket_nonblocking` | [`net::set_nonblocking`], and the `set_nonblocking` of std's sockets |
//! | `evutil_make_socket_closeonexec`, `evutil_closesocket`, `EVUTIL_CLOSESOCKET` | None: descriptors are made close-on-exec, here and by std, and closed by their owner |
//! | `evutil_make_listen_socket_reuseable` | [`net::listen_tcp`] does it; [`net::ListenSettings`] has this and the other options of listening sockets |
//! | `evutil_socketpair` | std's `UnixStream::pair` |
//! | `evutil_monotonic_timer_new`, `evutil_monotonic_timer_free`, `evutil_configure_monotonic_time`, `evutil_gettime_monotonic`, `EV_MONOT_PRECISE`, `EV_MONOT_FALLBACK` | std's `Instant`; as a base's time, [`Clock`] |
//! | `evutil_timeradd`, `evutil_timersub`, `evutil_timercmp`, `evutil_timerclear`, `evutil_timerisset`, `evutil_gettimeofday` | Arithmetic of [`Duration`] and [`SystemTime`](std::time::SystemTime) |
//! | `EVUTIL_SOCKET_ERROR`, `EVUTIL_SET_SOCKET_ERROR`, `evutil_socket_geterror`, `evutil_socket_error_to_string` | [`io::Error`](std::io::Error) |
//!
//! ## `<event2/event_struct.h>`, `<event2/event_compat.h>`
//!
//! | libevent | Here |
//! |---|---|
//! | `struct event_callback`, `EVLIST_TIMEOUT`, `EVLIST_INSERTED`, `EVLIST_SIGNAL`, `EVLIST_ACTIVE`, `EVLIST_INTERNAL`, `EVLIST_ACTIVE_LATER`, `EVLIST_FINALIZING`, `EVLIST_INIT`, `EVLIST_ALL` | [`Event::pending`] and [`EventInfo`] tell an event's state; its fields are private |
//! | `TAILQ_ENTRY`, `TAILQ_HEAD`, `LIST_ENTRY`, `LIST_HEAD` | None: no list goes through the user's memory |
//! | `event_init`, `event_dispatch`, `event_loop`, `event_loopexit`, `event_loopbreak`, `event_once`, `event_get_method`, `event_priority_init` | The methods above of [`current::base`], which is one per thread and not one per process |
//! | `event_set`, `evtimer_set`, `timeout_set`, `evsignal_set`, `signal_set` | The constructors of [`Event`], which take a base |
//! | `timeout_add`, `timeout_del`, `timeout_pending`, `timeout_initialized` | As `evtimer_…` |
//! | `signal_add`, `signal_del`, `signal_pending`, `signal_initialized` | As `evsignal_…` |
//! | `EVENT_FD`, `EVENT_SIGNAL` | [`Event::number`] |
//!
//! # Every deviation
//!
//! What is not in this list is meant to be as in libevent 2.2. The ids are those of the specification that the tests cite.
//!
//! ## Objects
//!
//! - Events are handles with a count: the last one that is dropped deletes the event, so that none is pending that nobody can reach
//!   (EV-12).
//! - An event owns its source and closes it with itself, so that no number is watched that has been closed (DEL-17).
//! - A base's detached events go with it, and so do their sources; libevent closes nothing of its user's (BASE-24).
//! - An event whose base has ended is idle; adding it is `NotConnected`, where libevent has a dangling pointer (BASE-28, EV-20).
//! - Finalizers that are still due when a base ends run after the backend is gone and find no base: nothing could be added to it
//!   (BASE-25, BASE-26).
//! - Assigning over an event that is pending or active is `ResourceBusy`, not undefined; and it takes a new event, since a number alone
//!   owns nothing (EV-9, EV-10).
//! - An event that is made for a descriptor never has `SIGNAL`, and a signal event has nothing else: two constructors, so that one
//!   refusal is enough (FLG-2).
//! - There is no current base of the process: a thread has a default one, so that no two threads share it unawares (BASE-23).
//! - A panic in a callback leaves the base, and the other events, in order: C has none.
//!
//! ## Arguments and errors
//!
//! - What libevent warns of in its log and answers with -1 is an error that says what to do; nothing is logged and nothing is fatal
//!   (MISC-1, MISC-2, FORK-4).
//! - A duration is never negative, and one beyond the clock's 584 years never comes instead of wrapping (ADD-17).
//! - Descriptors from 2²² on are refused, on select from 65,536 on (macOS: 1,024), instead of being given a table as long (ADD-16,
//!   SE-1).
//! - A one-shot closure gets no flags and no number where it waits for time alone, since there is but one answer (ONCE-2).
//! - The error path of a one-shot leaves no lock held, there being none (ONCE-6).
//! - `EVENT_SHOW_METHOD`, `EVENT_USE_SIGNALFD` and `EVENT_PRECISE_TIMER` are not read; `LEVENT_BACKEND` and `LEVENT_TRUST_SHORT` are,
//!   and [`Config::ignore_env`] leaves none out (BASE-9, BASE-10, BASE-13).
//!
//! ## Adding, deleting, persistence
//!
//! - An active event that is added is registered, also if it was not; libevent says it succeeded and does nothing (ADD-11).
//! - Deleting forgets the interval: who adds the event again says how (DEL-7, PER-10).
//! - Removing the timer of an event whose expiry is queued keeps it from being armed again (DEL-15).
//! - A persistent event stays with the backend when its deadline passes; libevent takes it out and puts it back, and loses it if that
//!   fails (PER-7, PER-8).
//! - `FINALIZE` changes nothing: deleting never waits for a callback (FLG-10).
//! - Finalizing takes no flags, and runs the finalizer at once if the base has ended, so that what it releases is released (FIN-12).
//!
//! ## Activation and priorities
//!
//! - Events of levels that are taken away are served by the last one that is left; in libevent activating one is fatal (ACT-15).
//! - [`Event::activate_later`] and [`Base::defer`] are public: they answer the same need in programs as inside libevent (ACT-19,
//!   ACT-20).
//! - An iteration makes 32 deferred closures active, not 33: libevent's check is off by one (ACT-20).
//! - There are no internal events: no priority of theirs matters, and none is counted, dumped or listed (ACT-10, BASE-30, INT-6,
//!   SIG-16).
//! - With [`Config::aging`] a level that was passed over often enough has its turn; without, more urgent work always comes first (ACT-12).
//!
//! ## The loop and its watchers
//!
//! - A prepare watcher that breaks the loop is obeyed before the wait, not after it (EXIT-1, LOOP-27).
//! - Prepare watchers can shorten the wait: it is chosen again after they ran (LOOP-27, WAT-8).
//! - A watcher may remove itself in its own call (WAT-7), and it gets the base instead of itself (WAT-3).
//! - Looping a base on two threads at once does not compile (LOOP-12, LOOP-28).
//!
//! ## Time
//!
//! - The clock is the fine one and waits are in nanoseconds where the system can, without being asked: no timer is early by a tick
//!   (TIME-2, TIME-17, BASE-13).
//! - poll waits in nanoseconds too where there is ppoll (TIME-15).
//! - There is no clock of last resort: the monotonic one exists everywhere here (TIME-3).
//! - The wait is computed from a fresh reading, so slow callbacks do not make it too long (TIME-6).
//! - The offset to the wall clock is measured when somebody asks, so a clock that was set shows at once (TIME-10).
//! - Without `epoll_pwait2` a timer descriptor is used whether or not precision was asked for, and the choice is made at run time
//!   (BASE-15, EP-10, EP-12).
//! - Equal deadlines expire in the order in which they were set; libevent's order is the heap's (HEAP-5).
//! - The heap has four children per node, which is faster and cannot be seen (HEAP-1).
//! - A common timeout is a token with a type: another base refuses it, and no bit of a time is borrowed (CT-10, CT-11).
//! - A common timeout's queue is in the heap itself, without an internal timer, so its events expire among the others by deadline
//!   (CT-5).
//! - Deleting the last event of a common timeout from another thread wakes the loop, as every message does (CT-9).
//!
//! ## Descriptors and backends
//!
//! - A level-triggered descriptor that is ready again and again while its callback does nothing about it is not watched any more, after
//!   10,000 callbacks in a row, and that is reported ([`Base::on_spin`]); libevent uses all of the cpu for ever.
//!   [`Config::spin_limit`] of 0 is libevent's way.
//! - Edge and level do not mix on one descriptor: always `AlreadyExists`, not in a debug mode only, since the kernel has one mode per
//!   descriptor (FLG-9).
//! - Nor do events and [`lane`] sources, for the same reason.
//! - A descriptor that was closed while it was watched is reported once and dropped: it neither ends select's loop nor makes poll spin
//!   (PO-2, SE-3).
//! - Adding a closed descriptor is an error on poll and select as on epoll (ERR-5).
//! - A number that was closed and used again is registered afresh as soon as an add or a delete changes what is watched for it,
//!   whatever the backend remembers of the former file (EP-2, FD-9).
//! - Reports for events that were deleted meanwhile carry an old generation and are dropped, so that none is another file's (BK-1,
//!   EP-14).
//! - An event for `CLOSED` alone hears of errors and of hang-ups that come without it, as `CLOSED`; else every wait would end at once
//!   and nobody be told (EP-7, EP-8).
//! - What epoll's collected changes could not add is told to the event's callback; libevent writes a line to the log (CL-3).
//! - Edge-triggered changes are not collected, since who asks for edges must know whether they can be had (CL-1).
//! - kqueue's additions are not collected either: a refusal is the caller's (CL-1, CL-3).
//! - kqueue tells of the peer's end as `CLOSED` together with `READ`, and of a broken pipe to readers and writers (BK-5, KQ-2); so does
//!   devpoll of the peer's end, where the driver has it.
//! - On macOS and NetBSD kqueue does not report a regular file at its end, for want of a switch (KQ-3).
//! - devpoll's changes and results grow as they are needed, instead of having the size of the limit of open files (DP-2).
//! - There is no kqueue user filter: the notifier is a descriptor, so that no identifier can meet another's (KQ-5, THR-9).
//! - Nobody copies poll's array before a wait: no other thread touches it (PO-3).
//! - There are no backends for event ports, Windows and `wepoll` (PT-1, PT-2, WN-1).
//!
//! ## Signals
//!
//! - An occurrence that arrives while the event is still active for an earlier one is added to its count, not lost (SIG-8).
//! - Every base with an event for a signal gets it; in libevent one base of the process gets them all (SIG-10, SIG-11, ERR-31).
//! - The disposition of before comes back with the last event of the process, in whatever order bases give the number up (SIG-12).
//! - A handler that somebody installed over ours stays when we leave (SIG-2).
//! - The handler counts and does not queue, so no occurrence is lost to a full pipe and a burst costs one wake (SIG-14).
//! - Signals that report a fault (`SIGSEGV`, `SIGBUS`, `SIGFPE`, `SIGILL`) are refused: the fault would repeat when the handler returns
//!   (SIG-15).
//! - There is this one mechanism on all systems; kqueue's and signalfd's merge occurrences (BASE-16, SIG-17 to SIG-20).
//! - Activating a descriptor's timeouts by hand leaves signal events of the same number alone (INT-14).
//!
//! ## Other threads
//!
//! - A base and its events do not leave their thread; others send messages, so there is no lock, nothing to enable first, and no base
//!   that cannot be woken (BASE-11, BASE-21, BASE-22, THR-1 to THR-6, THR-11, THR-15, THR-17).
//! - What is not a method of [`Remote`] or [`RemoteEvent`] is a closure for [`Remote::post`] (THR-4).
//! - A message is handled in the base's next iteration, and the timeout of an add counts from then, not from the call; what the backend
//!   said is seen there (ADD-19).
//! - Deleting from another thread waits for nothing; who must know asks the [`Receipt`]. A wait inside del can deadlock, and what it
//!   has established may be over when it returns (DEL-8, DEL-10, DEL-11, FIN-13, THR-13, THR-14, THR-18).
//! - Every message wakes a base that waits; libevent works out which need not, and CT-9 is what it missed (ADD-19, DEL-12, THR-7).
//! - The notifier is drained where the backend has no edges, or every wait would end at once (THR-10).
//! - An operation on a base that has ended is `NotConnected`; in libevent the pointer dangles (BASE-29).
//!
//! ## Fork
//!
//! - Until [`Base::reinit`] a base refuses to wait in the child, and on epoll and kqueue to register; what it deletes there is not
//!   deleted for the parent (FORK-1, FORK-2).
//! - If the backend cannot be made again that is an error, not the end of the process (FORK-4).
//!
//! ## Looking inside
//!
//! - [`Base::running_event`] is `None` outside callbacks and in finalizers, where libevent's answer is undefined (INT-4, FIN-14).
//! - [`Base::for_each_event`] shows events for the next iteration and those without a descriptor as well, in no promised order, and its
//!   closure may change the base: it is shown copies (INT-9, INT-10, INT-11).
//! - [`Base::dump`] writes no addresses, which mean nothing here, and adds the backend's name and what futures wait for (INT-12).
//! - The numbers of [`Counted`] are not libevent's; those of [`Flags`], [`Features`] and [`LoopFlags`] are (INT-6). Nothing makes a
//!   virtual reference, so [`Counted::VIRTUAL`] counts 0.
//!
//! ## Not there
//!
//! - Debug mode: its checks are the types', or are always made; a blocking descriptor is not looked for (DBG-1 to DBG-9).
//! - The coarse clock, signalfd, completion ports and the hint of processors: see above (BASE-13, BASE-16, BASE-17).
//! - The no-finalize end of a base, the freeing finalizer, `initialised`, the size of an event, functions for memory and shutdown: they
//!   manage C's memory (BASE-26, FIN-4, EV-14, EV-15, EV-21, MISC-3, MISC-4).

#[cfg(doc)]
use crate::{
    Base, Clock, CommonTimeout, Config, Counted, Event, EventInfo, Features, Flags, LoopEnd,
    LoopFlags, Method, PrepareInfo, Receipt, Remote, RemoteEvent, Watcher, current, lane, net,
};
#[cfg(doc)]
use std::time::Duration;

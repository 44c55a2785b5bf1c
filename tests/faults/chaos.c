/* A preloaded library that lets system calls go wrong in the ways they may, from a seed.

      cc -O1 -shared -fPIC -o chaos.so tests/faults/chaos.c -ldl
      CHAOS_SEED=17 LD_PRELOAD=$PWD/chaos.so PROGRAM

   | Calls | What happens to some of them |
   |---|---|
   | recv, read, readv, recvmsg; send, write, writev, sendmsg on streams | EINTR, EAGAIN, fewer bytes than asked |
   | recvfrom, sendto, and all of the above on datagrams | EINTR, EAGAIN; never cut, which would lose bytes |
   | accept4 | EINTR, EAGAIN, ECONNABORTED, EMFILE, ENFILE; the connection stays in the backlog |
   | epoll_wait, epoll_pwait, epoll_pwait2 | EINTR, room for one event, another order |
   | poll, ppoll, select, pselect | EINTR; poll and ppoll also hide ready entries while one is left |

   | Variable | Meaning | Unset |
   |---|---|---|
   | CHAOS_SEED | which run | 1 |
   | CHAOS_PCT | how many of a hundred calls are hit | 20 |
   | CHAOS_EAGAIN | 0 leaves out EAGAIN: a made-up one is no lie to a level-triggered registration, but no edge follows it | 1 |
   | CHAOS_REFUSE | 0 leaves out EMFILE and ENFILE, for programs that end when accept reports an error | 1 |

   Only non-blocking sockets are touched: blocking ones belong to the clients that tests compare with, for whom EAGAIN would be a
   lie. Descriptors that are no sockets (eventfd, pipes, files) are left alone: there the kernel does not do such things.

   A fault other than a short transfer replaces the call, so nothing is consumed and nothing is lost. connect is not in the list: an
   interrupted one goes on by itself, which cannot be imitated from outside.

   Seen are calls through libc's functions, `syscall` included (epoll_pwait2 takes that way); raw instructions are not. At the end one
   line on stderr says how many faults there were. None means that the program makes calls that are not listed here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- Settings and chance ------------------------------------------------------------------------------------------------------ */

static uint64_t seed = 1;
static unsigned percent = 20;
static int eagain = 1, refuse = 1;

/* What was done, for the line at the end. */
enum { INTERRUPTED, AGAIN, SHORT, REFUSED, REORDERED, KINDS };
static atomic_ulong done[KINDS];

__attribute__((constructor)) static void settings(void) {
    const char *text;
    if ((text = getenv("CHAOS_SEED"))) seed = strtoull(text, NULL, 10);
    if ((text = getenv("CHAOS_PCT"))) percent = (unsigned)strtoul(text, NULL, 10);
    if ((text = getenv("CHAOS_EAGAIN"))) eagain = atoi(text) != 0;
    if ((text = getenv("CHAOS_REFUSE"))) refuse = atoi(text) != 0;
}

/* A number below `limit`. Each thread draws from a sequence of its own (the order in which threads begin names it), so that what one does
   leaves the others' faults where they are. The mixing is that of splitmix64. */
static unsigned below(unsigned limit) {
    static atomic_ulong threads;
    static __thread uint64_t position;
    if (!position) position = (seed << 20) + (atomic_fetch_add(&threads, 1) << 8) + 1;
    uint64_t x = position += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (unsigned)((x ^ x >> 31) % limit);
}

static int strikes(void) { return below(100) < percent; }

static long fail(int kind, int error) {
    atomic_fetch_add(&done[kind], 1);
    errno = error;
    return -1;
}

/* The function that libc has under this name. */
#define NEXT(name)                                                             \
    static __typeof__(&name) next;                                             \
    if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* ---- Transfers ---------------------------------------------------------------------------------------------------------------- */

/* What shall happen to one transfer. */
typedef enum { PASS, INTERRUPT, AGAIN_LATER, CUT } Plan;

/* SOCK_STREAM or SOCK_DGRAM for a non-blocking socket, 0 for what is not our business. */
static int target(int fd) {
    int type = 0, saved = errno;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0) type = 0;
    else if (!(fcntl(fd, F_GETFL) & O_NONBLOCK)) type = 0;
    errno = saved;
    return type;
}

static Plan plan(int fd, size_t len, int flags) {
    /* A transfer of nothing is a question, and a peek promises not to consume: both are left as they are. */
    if (len == 0 || flags & MSG_PEEK) return PASS;
    int type = target(fd);
    if (!type || !strikes()) return PASS;
    switch (below(4)) {
    case 0: return INTERRUPT;
    case 1: return eagain ? AGAIN_LATER : INTERRUPT;
    default: return type == SOCK_STREAM && len > 1 ? CUT : INTERRUPT;
    }
}

/* From one byte to all but one: never none, which would look like the end of the stream. */
static size_t shorter(size_t len) {
    atomic_fetch_add(&done[SHORT], 1);
    size_t most = len - 1 < UINT32_MAX ? len - 1 : UINT32_MAX;
    return 1 + below((unsigned)most);
}

/* The part that all transfers of one buffer share: `call` is the real one, in terms of `len`. */
#define TRANSFER(fd, len, flags, call)                                         \
    switch (plan(fd, len, flags)) {                                            \
    case INTERRUPT: return fail(INTERRUPTED, EINTR);                           \
    case AGAIN_LATER: return fail(AGAIN, EAGAIN);                              \
    case CUT: len = shorter(len); break;                                       \
    case PASS: break;                                                          \
    }                                                                          \
    return call

ssize_t recv(int fd, void *to, size_t len, int flags) {
    NEXT(recv);
    TRANSFER(fd, len, flags, next(fd, to, len, flags));
}

ssize_t send(int fd, const void *from, size_t len, int flags) {
    NEXT(send);
    TRANSFER(fd, len, flags, next(fd, from, len, flags));
}

ssize_t read(int fd, void *to, size_t len) {
    NEXT(read);
    TRANSFER(fd, len, 0, next(fd, to, len));
}

ssize_t write(int fd, const void *from, size_t len) {
    NEXT(write);
    TRANSFER(fd, len, 0, next(fd, from, len));
}

ssize_t recvfrom(int fd, void *to, size_t len, int flags, struct sockaddr *address, socklen_t *size) {
    NEXT(recvfrom);
    TRANSFER(fd, len, flags, next(fd, to, len, flags, address, size));
}

ssize_t sendto(int fd, const void *from, size_t len, int flags, const struct sockaddr *address, socklen_t size) {
    NEXT(sendto);
    TRANSFER(fd, len, flags, next(fd, from, len, flags, address, size));
}

/* The bytes of a list of buffers. */
static size_t total(const struct iovec *list, size_t count) {
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += list[i].iov_len;
    return sum;
}

/* Copies the buffers that hold the first `len` bytes, the last one in part; how many they are. `into` has room for LIST. */
enum { LIST = 64 };
static size_t first(struct iovec *into, const struct iovec *list, size_t count, size_t len) {
    size_t used = 0;
    for (size_t i = 0; i < count && used < LIST && len > 0; i++) {
        if (list[i].iov_len == 0) continue;
        into[used] = list[i];
        if (into[used].iov_len > len) into[used].iov_len = len;
        len -= into[used++].iov_len;
    }
    return used;
}

ssize_t readv(int fd, const struct iovec *list, int count) {
    NEXT(readv);
    struct iovec part[LIST];
    size_t len = count > 0 ? total(list, (size_t)count) : 0, whole = len;
    TRANSFER(fd, len, 0, len == whole ? next(fd, list, count) : next(fd, part, (int)first(part, list, (size_t)count, len)));
}

ssize_t writev(int fd, const struct iovec *list, int count) {
    NEXT(writev);
    struct iovec part[LIST];
    size_t len = count > 0 ? total(list, (size_t)count) : 0, whole = len;
    TRANSFER(fd, len, 0, len == whole ? next(fd, list, count) : next(fd, part, (int)first(part, list, (size_t)count, len)));
}

/* Messages that carry descriptors are not cut: which part they go with is the kernel's affair. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    NEXT(recvmsg);
    size_t len = total(message->msg_iov, message->msg_iovlen);
    if (plan(fd, message->msg_controllen ? 0 : len, flags) == PASS) return next(fd, message, flags);
    return fail(INTERRUPTED, EINTR);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    NEXT(sendmsg);
    struct iovec part[LIST];
    struct msghdr less = *message;
    size_t len = message->msg_controllen ? 0 : total(message->msg_iov, message->msg_iovlen);
    switch (plan(fd, len, flags)) {
    case INTERRUPT: return fail(INTERRUPTED, EINTR);
    case AGAIN_LATER: return fail(AGAIN, EAGAIN);
    case CUT:
        less.msg_iovlen = first(part, message->msg_iov, message->msg_iovlen, shorter(len));
        less.msg_iov = part;
        break;
    case PASS: break;
    }
    return next(fd, &less, flags);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
    NEXT(accept4);
    int errors[5] = {EINTR, ECONNABORTED}, kinds = 2;
    if (refuse) errors[kinds++] = EMFILE, errors[kinds++] = ENFILE;
    if (eagain) errors[kinds++] = EAGAIN;
    if (target(fd) && strikes()) return (int)fail(REFUSED, errors[below((unsigned)kinds)]);
    return next(fd, address, size, flags);
}

/* ---- Waits -------------------------------------------------------------------------------------------------------------------- */

/* Room for one event only, sometimes: the others stay ready, and come with the next wait. */
static int room(int most) {
    if (most <= 1 || !strikes()) return most;
    atomic_fetch_add(&done[SHORT], 1);
    return 1;
}

/* The kernel promises no order. */
static int reorder(struct epoll_event *events, int count) {
    if (count > 1 && strikes()) {
        atomic_fetch_add(&done[REORDERED], 1);
        for (int i = count - 1; i > 0; i--) {
            int j = (int)below((unsigned)i + 1);
            struct epoll_event event = events[i];
            events[i] = events[j];
            events[j] = event;
        }
    }
    return count;
}

int epoll_wait(int fd, struct epoll_event *events, int most, int wait_ms) {
    NEXT(epoll_wait);
    if (strikes()) return (int)fail(INTERRUPTED, EINTR);
    return reorder(events, next(fd, events, room(most), wait_ms));
}

int epoll_pwait(int fd, struct epoll_event *events, int most, int wait_ms, const sigset_t *mask) {
    NEXT(epoll_pwait);
    if (strikes()) return (int)fail(INTERRUPTED, EINTR);
    return reorder(events, next(fd, events, room(most), wait_ms, mask));
}

/* libc's door to calls that it has no function for. No call takes more than six words, and reading words that were not passed is
   harmless on the processors where arguments travel in registers, and on x86-64. */
long syscall(long number, ...) {
    NEXT(syscall);
    long word[6];
    va_list words;
    va_start(words, number);
    for (int i = 0; i < 6; i++) word[i] = va_arg(words, long);
    va_end(words);
    if (number == SYS_epoll_pwait2) {
        if (strikes()) return fail(INTERRUPTED, EINTR);
        word[2] = room((int)word[2]);
    }
    long answer = next(number, word[0], word[1], word[2], word[3], word[4], word[5]);
    return number == SYS_epoll_pwait2 ? reorder((struct epoll_event *)word[1], (int)answer) : answer;
}

/* Hides ready entries, but never the last: a wait that has none returns for its time alone. */
static int hide(struct pollfd *list, nfds_t count, int ready) {
    for (nfds_t i = 0; i < count && ready > 1; i++) {
        if (list[i].revents && strikes()) {
            atomic_fetch_add(&done[SHORT], 1);
            list[i].revents = 0;
            ready--;
        }
    }
    return ready;
}

int poll(struct pollfd *list, nfds_t count, int wait_ms) {
    NEXT(poll);
    if (strikes()) return (int)fail(INTERRUPTED, EINTR);
    return hide(list, count, next(list, count, wait_ms));
}

int ppoll(struct pollfd *list, nfds_t count, const struct timespec *wait, const sigset_t *mask) {
    NEXT(ppoll);
    if (strikes()) return (int)fail(INTERRUPTED, EINTR);
    return hide(list, count, next(list, count, wait, mask));
}

int select(int count, fd_set *in, fd_set *out, fd_set *urgent, struct timeval *wait) {
    NEXT(select);
    if (strikes()) return (int)fail(INTERRUPTED, EINTR);
    return next(count, in, out, urgent, wait);
}

int pselect(int count, fd_set *in, fd_set *out, fd_set *urgent, const struct timespec *wait, const sigset_t *mask) {
    NEXT(pselect);
    if (strikes()) return (int)fail(INTERRUPTED, EINTR);
    return next(count, in, out, urgent, wait, mask);
}

/* ---- The line at the end ------------------------------------------------------------------------------------------------------ */

__attribute__((destructor)) static void report(void) {
    unsigned long sum = 0;
    for (int kind = 0; kind < KINDS; kind++) sum += atomic_load(&done[kind]);
    /* The sum has a line of its own, for scripts to find. */
    dprintf(STDERR_FILENO, "chaos: injected %lu\nchaos: interrupted %lu, again %lu, short %lu, refused %lu, reordered %lu\n", sum,
            done[INTERRUPTED], done[AGAIN], done[SHORT], done[REFUSED], done[REORDERED]);
}

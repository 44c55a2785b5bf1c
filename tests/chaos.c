/* A library to preload that makes system calls fail as they may: seeded short reads and writes, EINTR, EAGAIN, refused
   accepts, split and shuffled epoll results. It sees calls through libc only.

   CHAOS_SEED picks the run, CHAOS_PCT the share of calls that are hit (20), CHAOS_EAGAIN=0 leaves out EAGAIN: with
   edge-triggered registrations it is not a legal fault, since no edge follows it.

   At the end it prints the number of faults: 0 means that the program calls something that is not in this list. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static atomic_long injected;
static atomic_ulong threads;

/* xorshift, one state per thread, so that one thread's calls do not depend on another's. */
static unsigned roll(void) {
    static __thread unsigned long long state;
    if (!state) {
        const char *seed = getenv("CHAOS_SEED");
        state = ((seed ? strtoull(seed, NULL, 10) : 1) + atomic_fetch_add(&threads, 1)) * 0x9E3779B97F4A7C15ull + 1;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33);
}

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

static int hit(void) {
    static int percent = -1;
    if (percent < 0) percent = number("CHAOS_PCT", 20);
    if ((int)(roll() % 100) >= percent) return 0;
    atomic_fetch_add(&injected, 1);
    return 1;
}

/* EINTR, EAGAIN if allowed, or 0 for a short transfer. */
static int fault(void) {
    static int again = -1;
    if (again < 0) again = number("CHAOS_EAGAIN", 1);
    switch (roll() % 4) {
    case 0: return EINTR;
    case 1: return again ? EAGAIN : EINTR;
    default: return 0;
    }
}

static size_t cut(size_t n) { return n > 1 ? 1 + roll() % (n - 1) : n; }

/* Stream sockets only: pipes of the harness, files and datagrams are left alone. */
static int stream(int fd) {
    int type, saved = errno;
    socklen_t len = sizeof type;
    int is = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
    errno = saved;
    return is;
}

#define REAL(f) static __typeof__(&f) real; if (!real) real = (__typeof__(&f))dlsym(RTLD_NEXT, #f)
#define FAIL(e) do { errno = (e); return -1; } while (0)

ssize_t recv(int fd, void *p, size_t n, int flags) {
    REAL(recv);
    if (n > 1 && stream(fd) && hit()) {
        int e = fault();
        if (e) FAIL(e);
        n = cut(n);
    }
    return real(fd, p, n, flags);
}

ssize_t send(int fd, const void *p, size_t n, int flags) {
    REAL(send);
    if (n > 1 && stream(fd) && hit()) {
        int e = fault();
        if (e) FAIL(e);
        n = cut(n);
    }
    return real(fd, p, n, flags);
}

ssize_t read(int fd, void *p, size_t n) {
    REAL(read);
    if (n > 1 && stream(fd) && hit()) {
        int e = fault();
        if (e) FAIL(e);
        n = cut(n);
    }
    return real(fd, p, n);
}

ssize_t write(int fd, const void *p, size_t n) {
    REAL(write);
    if (n > 1 && stream(fd) && hit()) {
        int e = fault();
        if (e) FAIL(e);
        n = cut(n);
    }
    return real(fd, p, n);
}

static ssize_t vectored(ssize_t (*real)(int, const struct iovec *, int), int fd, const struct iovec *v, int count) {
    if (count > 0 && stream(fd) && hit()) {
        int e = fault();
        if (e) FAIL(e);
        /* The first piece that has bytes, in part: never zero, which would look like the end. */
        for (int i = 0; i < count; i++) {
            if (v[i].iov_len > 0) {
                struct iovec one = { v[i].iov_base, cut(v[i].iov_len) };
                return real(fd, &one, 1);
            }
        }
    }
    return real(fd, v, count);
}

ssize_t readv(int fd, const struct iovec *v, int count) { REAL(readv); return vectored(real, fd, v, count); }
ssize_t writev(int fd, const struct iovec *v, int count) { REAL(writev); return vectored(real, fd, v, count); }

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) {
    REAL(accept4);
    if (hit()) {
        static const int errors[] = { EINTR, ECONNABORTED, EMFILE };
        FAIL(errors[roll() % 3]);
    }
    return real(fd, address, len, flags);
}

static int shuffle(struct epoll_event *events, int n) {
    for (int i = n - 1; i > 0; i--) {
        int j = roll() % (i + 1);
        struct epoll_event e = events[i];
        events[i] = events[j];
        events[j] = e;
    }
    return n;
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout) {
    REAL(epoll_wait);
    if (hit()) FAIL(EINTR);
    return shuffle(events, real(fd, events, most > 1 && hit() ? 1 : most, timeout));
}

/* Older C libraries have no function for epoll_pwait2, so programs make the call themselves. */
long syscall(long n, ...) {
    REAL(syscall);
    va_list list;
    va_start(list, n);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    if (n != SYS_epoll_pwait2) return real(n, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (hit()) FAIL(EINTR);
    long most = a[2] > 1 && hit() ? 1 : a[2];
    return shuffle((struct epoll_event *)a[1], (int)real(n, a[0], a[1], most, a[3], a[4], a[5]));
}

int poll(struct pollfd *fds, nfds_t n, int timeout) { REAL(poll); if (timeout && hit()) FAIL(EINTR); return real(fds, n, timeout); }

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask) {
    REAL(ppoll);
    if (hit()) FAIL(EINTR);
    return real(fds, n, timeout, mask);
}

int select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout) { REAL(select); if (hit()) FAIL(EINTR); return real(n, r, w, x, timeout); }

int pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout, const sigset_t *mask) {
    REAL(pselect);
    if (hit()) FAIL(EINTR);
    return real(n, r, w, x, timeout, mask);
}

__attribute__((destructor)) static void report(void) { dprintf(2, "chaos: injected %ld\n", atomic_load(&injected)); }

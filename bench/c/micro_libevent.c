/* The in-process tests of micro-ours-reactor on libevent, to be set beside it: t1, t1common, chain N A W. Lines `name median min max`. */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { OPERATIONS = 1000000, WAITING = 100000, CHAIN_ROUNDS = 25 };

static struct event_base *base;
static long fired;

static double nanos(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

static double cpu(void) { return nanos(CLOCK_PROCESS_CPUTIME_ID); }

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, double *samples, int count) {
    qsort(samples, count, sizeof *samples, by_size);
    printf("%s %.2f %.2f %.2f\n", name, samples[count / 2], samples[0], samples[count - 1]);
}

static uint32_t random_number(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static struct timeval after(uint64_t micros) {
    struct timeval interval = {micros / 1000000, micros % 1000000};
    return interval;
}

static void on_timer(evutil_socket_t fd, short what, void *argument) {
    (void)fd, (void)what, (void)argument;
    fired++;
}

static const struct timeval *interval_of(int common, struct timeval *plain) {
    return common ? event_base_init_common_timeout(base, plain) : plain;
}

static void timers(int common) {
    int rounds = getenv("MEASURE_QUICK") ? 3 : 5;
    double samples[5], more[5];
    struct timeval ten = after(10000000), minute = after(60000000), later = after(1500000);
    const struct timeval *wait = interval_of(common, &ten);
    struct event one;
    evtimer_assign(&one, base, on_timer, NULL);
    for (int round = 0; round < rounds; round++) {
        double start = cpu();
        for (int i = 0; i < OPERATIONS; i++) {
            evtimer_add(&one, wait);
            evtimer_del(&one);
        }
        samples[round] = (cpu() - start) / OPERATIONS;
    }
    report("t1_arm_cancel_ns", samples, rounds);

    struct event *events = calloc(OPERATIONS, sizeof *events);
    for (int i = 0; i < OPERATIONS; i++) evtimer_assign(&events[i], base, on_timer, NULL);
    wait = interval_of(common, &minute);
    for (int round = 0; round < rounds; round++) {
        uint32_t state = 7;
        for (int i = 0; i < WAITING; i++) evtimer_add(&events[i], wait);
        double start = cpu();
        for (int i = 0; i < OPERATIONS; i++) {
            struct timeval moved = after(60000000 + i);
            evtimer_add(&events[random_number(&state) % WAITING], common ? wait : &moved);
        }
        samples[round] = (cpu() - start) / OPERATIONS;
        for (int i = 0; i < WAITING; i++) evtimer_del(&events[i]);
    }
    report("t1_reset_100k_ns", samples, rounds);

    if (getenv("MEASURE_QUICK")) return;
    wait = interval_of(common, &later);
    for (int round = 0; round < 3; round++) {
        uint32_t state = 99;
        fired = 0;
        double start = cpu();
        for (int i = 0; i < OPERATIONS; i++) {
            struct timeval at = after(1500000 + random_number(&state) % 1000000);
            evtimer_add(&events[i], common ? wait : &at);
        }
        samples[round] = (cpu() - start) / OPERATIONS;
        start = cpu();
        while (fired < OPERATIONS) event_base_loop(base, EVLOOP_ONCE);
        more[round] = (cpu() - start) / OPERATIONS;
    }
    report("t1_arm_1m_ns", samples, 3);
    report("t1_expire_1m_ns", more, 3);
}

static int pairs, received, sent, left, (*ends)[2];

static void on_byte(evutil_socket_t fd, short what, void *argument) {
    long next = ((long)argument + 1) % pairs;
    char byte;
    (void)what;
    if (recv(fd, &byte, 1, 0) != 1) return;
    received++;
    if (left > 0 && send(ends[next][1], "e", 1, MSG_NOSIGNAL) == 1) {
        left--;
        sent++;
    }
}

static void chain(int count, int active, int writes) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    pairs = count;
    ends = calloc(count, sizeof *ends);
    struct event *events = calloc(count, sizeof *events);
    for (long i = 0; i < count; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends[i])) exit(1);
        event_assign(&events[i], base, ends[i][0], EV_READ | EV_PERSIST, on_byte, (void *)i);
    }
    double samples[CHAIN_ROUNDS];
    for (int round = 0; round < CHAIN_ROUNDS; round++) {
        for (int i = 0; i < count; i++) {
            event_del(&events[i]);
            event_add(&events[i], NULL);
        }
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        received = 0;
        sent = active;
        left = writes;
        for (int i = 0; i < active; i++)
            if (send(ends[i * (count / active)][1], "e", 1, MSG_NOSIGNAL) != 1) exit(1);
        double start = cpu();
        while (received != sent) event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        samples[round] = (cpu() - start) / (active + writes);
    }
    report("chain_cpu_ns", samples, CHAIN_ROUNDS);
}

static int argument(int count, char **words, int n, int otherwise) { return count > n ? atoi(words[n]) : otherwise; }

int main(int count, char **words) {
    const char *test = count > 1 ? words[1] : "";
    base = event_base_new();
    if (!strcmp(test, "t1")) timers(0);
    else if (!strcmp(test, "t1common")) timers(1);
    else if (!strcmp(test, "chain")) chain(argument(count, words, 2, 100), argument(count, words, 3, 1), argument(count, words, 4, 100));
    else {
        fprintf(stderr, "libevent %s: t1, t1common or chain N A W\n", event_get_version());
        return 1;
    }
    return 0;
}

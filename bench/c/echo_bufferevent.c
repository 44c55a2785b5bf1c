// Echo server on libevent's bufferevents: `echo-libevent PORT`. What came is moved to the output, and not copied.
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct event_base *base;

static void on_read(struct bufferevent *stream, void *unused) {
    (void)unused;
    bufferevent_write_buffer(stream, bufferevent_get_input(stream));
}

static void on_event(struct bufferevent *stream, short what, void *unused) {
    (void)unused;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) bufferevent_free(stream);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int len, void *unused) {
    (void)listener; (void)peer; (void)len; (void)unused;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct bufferevent *stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(stream, on_read, NULL, on_event, NULL);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

int main(int argc, char **argv) {
    struct sockaddr_in here;
    memset(&here, 0, sizeof here);
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    here.sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 7000));
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    base = event_base_new();
    if (!base || !evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 4096,
                                          (struct sockaddr *)&here, sizeof here))
        return 1;
    return event_base_dispatch(base);
}

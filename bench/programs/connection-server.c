/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of connection-client.c: `FIRST_PORT PORTS SOURCE`. Accepts, answers a byte with a byte, and
 * closes when the client has closed. Ends with 1 when a connection comes from another address than SOURCE:
 * one that NAT has forgotten.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256
#define BACKLOG 4096

static int poller;
static int last_listener;
static struct in_addr source;

static void watch(int socket, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = socket};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, socket, &event))
        err(1, "epoll_ctl");
}

static void listen_at(unsigned port) {
    int on = 1;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(listener, (struct sockaddr *)&own, sizeof(own)) || listen(listener, BACKLOG))
        err(1, "listen at port %u", port);
    watch(listener, EPOLLIN);
    last_listener = listener;
}

static void take_all(int listener) {
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);
    int connection;
    while ((connection = accept4(listener, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK)) >= 0) {
        if (peer.sin_addr.s_addr != source.s_addr)
            errx(1, "a connection from %s", inet_ntoa(peer.sin_addr));
        watch(connection, EPOLLIN | EPOLLET);
    }
    if (errno != EAGAIN)
        err(1, "accept");
}

static void answer(int connection) {
    char byte;
    ssize_t size = read(connection, &byte, 1);
    if (size < 0)
        err(1, "read");
    if (size == 0)
        close(connection);
    else if (write(connection, &byte, 1) != 1)
        err(1, "write");
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    if (argc != 4 || inet_pton(AF_INET, argv[3], &source) != 1)
        errx(1, "FIRST_PORT PORTS SOURCE");
    poller = epoll_create1(0);
    for (int i = 0; i < atoi(argv[2]); i++)
        listen_at(atoi(argv[1]) + i);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd <= last_listener)
                take_all(events[i].data.fd);
            else
                answer(events[i].data.fd);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens TCP connections as fast as they can be had: connects, sends one byte, reads one byte, closes (FIN),
 * many at a time: `ADDRESS FIRST_PORT PORTS AT_A_TIME MILLISECONDS`. Writes a line of JSON: connections that
 * were whole when the time was over, and seconds. Ends with 1 when one of them fails. Destination ports take
 * turns, so that source ports do not run out while those of old connections are in TIME_WAIT.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256

static struct sockaddr_in server;
static unsigned first_port, ports, next_port;
static int poller;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void open_one(void) {
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connection < 0)
        err(1, "socket");
    server.sin_port = htons(first_port + next_port++ % ports);
    /* In progress is what a connection is that does not fail; epoll tells of the others. */
    (void)connect(connection, (struct sockaddr *)&server, sizeof(server));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = connection};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, connection, &event))
        err(1, "epoll_ctl");
}

/* Whether the connection has come to its end. */
static int advance(const struct epoll_event *event) {
    char byte = 'x';
    int connection = event->data.fd;
    if (event->events & (EPOLLERR | EPOLLHUP)) {
        socklen_t size = sizeof(errno);
        getsockopt(connection, SOL_SOCKET, SO_ERROR, &errno, &size);
        err(1, "a connection");
    }
    if (!(event->events & EPOLLIN)) {
        if (write(connection, &byte, 1) != 1)
            err(1, "write");
        return 0;
    }
    if (read(connection, &byte, 1) != 1)
        err(1, "read");
    close(connection);
    return 1;
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    unsigned long connections = 0;
    double began, seconds = 0;
    int open;

    server.sin_family = AF_INET;
    if (argc != 6 || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1)
        errx(1, "ADDRESS FIRST_PORT PORTS AT_A_TIME MILLISECONDS");
    first_port = atoi(argv[2]);
    ports = atoi(argv[3]);
    poller = epoll_create1(0);
    began = now();
    for (open = 0; open < atoi(argv[4]); open++)
        open_one();
    /* What is under way when the time is over comes to its end uncounted. */
    while (open > 0) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        if (seconds == 0 && now() >= began + atof(argv[5]) / 1e3)
            seconds = now() - began;
        for (int i = 0; i < count; i++) {
            if (!advance(&events[i]))
                continue;
            if (seconds > 0) {
                open--;
                continue;
            }
            connections++;
            open_one();
        }
    }
    printf("{\"connections\":%lu,\"seconds\":%f}\n", connections, seconds);
    return 0;
}

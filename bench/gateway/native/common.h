/* What the fake upstream and the load generator share: time and a few socket words. Linux only. */
#ifndef PLINTH_BENCH_COMMON_H
#define PLINTH_BENCH_COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

/* CLOCK_MONOTONIC is one clock for all processes of a machine: times of both programs compare. */
static inline int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static inline void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "wrong");
    exit(2);
}

static inline void no_delay(int descriptor) {
    int one = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* fails on a unix socket: no matter */
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* The value of a header between `head` and `end`, or NULL. `name` is "\r\nname:". */
static inline const char *header(const char *head, const char *end, const char *name) {
    size_t length = strlen(name);
    for (const char *at = head; at + length < end; at++) {
        at = memchr(at, '\r', (size_t)(end - at));
        if (at == NULL || at + length >= end) return NULL;
        if (strncasecmp(at, name, length) == 0) {
            at += length;
            while (*at == ' ') at++;
            return at;
        }
    }
    return NULL;
}

#endif

/* A fake provider that answers at once: OpenAI's chat completions (plain and streamed) and embeddings.
 *
 *     upstream PORT
 *
 * What it answers is written in the request's prompt, because a prompt passes every gateway as it is:
 *
 *     @plan chunks=64 size=24 first=0 gap=0 @id=00000001
 *
 * `chunks` pieces of `size` characters, the first after `first` microseconds, then one every `gap`
 * microseconds (0: as fast as the reader takes them, one send() a piece). Every piece begins with "~",
 * so that a reader can count what arrived. A stream that its reader leaves is kept with its id and the
 * time. GET /_stats shows counters, GET /_broken the streams left since the last time it was asked.
 */
#define _GNU_SOURCE
#include "common.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define MOST_CONNECTIONS 16384
#define MOST_BROKEN 65536
#define MOST_TEXTS 256
#define REQUEST_BYTES (1 << 20)
#define PIECES_A_TURN 256
#define DIMENSIONS 384

typedef struct {
    long chunks, size, first_us, gap_us, id;
    int wants_usage, stream, closes;
} Plan;

typedef struct {
    char *bytes;
    size_t length;
} Text;

typedef struct {
    int descriptor, open, busy, wants_out, heap_index;
    char *in;
    size_t in_bytes, in_room;
    Plan plan;
    long piece, pieces;     /* of a stream: head, chunks, finish, usage?, done */
    Text now;               /* what is being sent */
    size_t sent;
    int64_t began, due;
} Connection;

static Connection connections[MOST_CONNECTIONS];
static Connection *heap[MOST_CONNECTIONS + 1];
static int heap_size, poller, timer;
static struct { long id; int64_t at; } broken[MOST_BROKEN];
static long broken_count, requests, streams, finished, left, accepted;
static long long bytes_sent;

/* --- texts, made once --------------------------------------------------------------------- */

static struct { int kind; long a, b; Text text; } texts[MOST_TEXTS];
static int text_count;
enum { HEAD, HEAD_CLOSE, CHUNK, FINISH, USAGE, DONE, ANSWER, EMBEDDING_FLOAT, EMBEDDING_BASE64, MODELS };

static char *filler(char *at, long size) {
    static const char words[] = "lorem ipsum dolor sit amet consectetur ";
    *at++ = '~';
    for (long i = 1; i < size; i++) *at++ = words[(size_t)i % (sizeof words - 1)];
    return at;
}

static Text framed(const char *event) {
    Text text = {malloc(strlen(event) + 32), 0};
    text.length = (size_t)sprintf(text.bytes, "%zx\r\n%s\r\n", strlen(event), event);
    return text;
}

static Text answer(const char *body) {
    Text text = {malloc(strlen(body) + 256), 0};
    text.length = (size_t)sprintf(text.bytes,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", strlen(body), body);
    return text;
}

#define SHARED "\"created\":1790000000,\"model\":\"fake\","
#define EVENT "data: {\"id\":\"chatcmpl-fake0001\",\"object\":\"chat.completion.chunk\"," SHARED

static Text make_embedding(int base64) {
    char *body = malloc(DIMENSIONS * 16 + 512), *at = body;
    at += sprintf(at, "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":");
    if (base64) { /* zeros: 384 float32 are 1536 bytes, 2048 letters */
        at += sprintf(at, "\"");
        for (int i = 0; i < DIMENSIONS * 4 * 4 / 3; i++) *at++ = 'A';
        at += sprintf(at, "\"");
    } else {
        for (int i = 0; i < DIMENSIONS; i++) at += sprintf(at, "%c%.6f", i ? ',' : '[', (i % 97) / 1000.0 - 0.05);
        at += sprintf(at, "]");
    }
    sprintf(at, "}],\"model\":\"fake\",\"usage\":{\"prompt_tokens\":42,\"total_tokens\":42}}");
    Text text = answer(body);
    free(body);
    return text;
}

static Text make_answer(long chunks, long size) {
    char *body = malloc((size_t)(chunks * size) + 1024), *at = body;
    at += sprintf(at, "{\"id\":\"chatcmpl-fake0001\",\"object\":\"chat.completion\"," SHARED
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
    for (long i = 0; i < chunks; i++) at = filler(at, size);
    sprintf(at, "\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":42,\"completion_tokens\":%ld,\"total_tokens\":%ld}}", chunks, chunks + 42);
    Text text = answer(body);
    free(body);
    return text;
}

static Text make_chunk(long size, int first) {
    char *event = malloc((size_t)size + 512), *at = event;
    at += sprintf(at, EVENT "\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\"", first ? "\"role\":\"assistant\"," : "");
    at = filler(at, size);
    sprintf(at, "\"},\"finish_reason\":null}]}\n\n");
    Text text = framed(event);
    free(event);
    return text;
}

static Text make(int kind, long a, long b) {
    char event[1024];
    switch (kind) {
    case HEAD:
    case HEAD_CLOSE: {
        Text head = {malloc(256), 0};
        head.length = (size_t)sprintf(head.bytes, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            "cache-control: no-cache\r\n%stransfer-encoding: chunked\r\n\r\n", kind == HEAD ? "" : "connection: close\r\n");
        return head;
    }
    case CHUNK: return make_chunk(a, (int)b);
    case FINISH:
        return framed(EVENT "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
    case USAGE:
        snprintf(event, sizeof event, EVENT "\"choices\":[],\"usage\":{\"prompt_tokens\":42,"
            "\"completion_tokens\":%ld,\"total_tokens\":%ld}}\n\n", a, a + 42);
        return framed(event);
    case DONE: return (Text){strdup("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"), 24};
    case ANSWER: return make_answer(a, b);
    case MODELS: return answer("{\"object\":\"list\",\"data\":[{\"id\":\"fake\",\"object\":\"model\",\"created\":1790000000,"
        "\"owned_by\":\"bench\"}]}");
    default: return make_embedding(kind == EMBEDDING_BASE64);
    }
}

static Text text_of(int kind, long a, long b) {
    for (int i = 0; i < text_count; i++)
        if (texts[i].kind == kind && texts[i].a == a && texts[i].b == b) return texts[i].text;
    if (text_count == MOST_TEXTS) die("too many different plans");
    texts[text_count].kind = kind, texts[text_count].a = a, texts[text_count].b = b;
    texts[text_count].text = make(kind, a, b);
    return texts[text_count++].text;
}

/* --- who is due: a binary heap over `due` ------------------------------------------------- */

static void put(int at, Connection *c) { heap[at] = c, c->heap_index = at; }

static void sift(int at) {
    Connection *c = heap[at];
    while (at > 1 && heap[at / 2]->due > c->due) put(at, heap[at / 2]), at /= 2;
    for (;;) {
        int child = at * 2;
        if (child > heap_size) break;
        if (child < heap_size && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= c->due) break;
        put(at, heap[child]), at = child;
    }
    put(at, c);
}

static void remind(Connection *c, int64_t due) {
    c->due = due;
    if (!c->heap_index) put(++heap_size, c);
    sift(c->heap_index);
}

static void forget(Connection *c) {
    int at = c->heap_index;
    if (!at) return;
    c->heap_index = 0;
    Connection *last = heap[heap_size--];
    if (last != c) put(at, last), sift(at);
}

static void set_timer(void) {
    struct itimerspec when = {{0, 0}, {0, 0}};
    if (heap_size) when.it_value.tv_sec = heap[1]->due / SECOND, when.it_value.tv_nsec = heap[1]->due % SECOND;
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* --- sending ------------------------------------------------------------------------------ */

static void watch(Connection *c, int wants_out) {
    if (c->wants_out == wants_out) return;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (wants_out ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->descriptor, &event);
    c->wants_out = wants_out;
}

static void hang_up(Connection *c) {
    if (!c->open) return;
    if (c->busy && c->plan.stream) {
        left++;
        if (broken_count < MOST_BROKEN) broken[broken_count].id = c->plan.id, broken[broken_count++].at = now_ns();
    }
    forget(c);
    close(c->descriptor);
    c->open = c->busy = 0;
    c->in_bytes = 0;
}

/* 1: all is sent; 0: the reader is behind; -1: the connection is gone. */
static int push(Connection *c) {
    while (c->sent < c->now.length) {
        ssize_t count = send(c->descriptor, c->now.bytes + c->sent, c->now.length - c->sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN) return watch(c, 1), 0;
        if (count < 0) return hang_up(c), -1;
        c->sent += (size_t)count, bytes_sent += count;
    }
    return 1;
}

static Text piece_text(Connection *c) {
    long after = c->piece - c->plan.chunks;
    if (c->piece == 0) return text_of(c->plan.closes ? HEAD_CLOSE : HEAD, 0, 0);
    if (after <= 0) return text_of(CHUNK, c->plan.size, c->piece == 1);
    if (after == 1) return text_of(FINISH, 0, 0);
    if (after == 2 && c->plan.wants_usage) return text_of(USAGE, c->plan.chunks, 0);
    return text_of(DONE, 0, 0);
}

static void complete(Connection *c) {
    c->busy = 0;
    if (c->plan.stream) finished++;
    if (c->plan.closes) hang_up(c);
}

/* When the next piece may go: pieces 1..chunks are spaced, the others follow at once. */
static int64_t piece_due(Connection *c) {
    if (c->piece == 0 || c->piece > c->plan.chunks) return 0;
    return c->began + 1000 * (c->plan.first_us + (c->piece - 1) * c->plan.gap_us);
}

static void advance(Connection *c) {
    for (int turn = 0; c->busy; turn++) {
        if (c->sent == c->now.length) { /* the next piece */
            if (c->piece == c->pieces) { complete(c); return; }
            int64_t due = piece_due(c);
            if (due > now_ns()) { watch(c, 0), remind(c, due); return; }
            if (turn >= PIECES_A_TURN) { watch(c, 1); return; } /* others' turn */
            c->now = piece_text(c), c->sent = 0, c->piece++;
        }
        if (push(c) != 1) return;
    }
    if (c->open) watch(c, 0);
}

static void respond(Connection *c, Text text) {
    c->now = text, c->sent = 0, c->piece = c->pieces = 0, c->busy = 1;
    advance(c);
}

/* --- reading ------------------------------------------------------------------------------ */

static long number(const char *body, const char *name, long otherwise) {
    const char *at = strstr(body, name);
    return at ? atol(at + strlen(name)) : otherwise;
}

static int has(const char *body, const char *name) { /* "name": true, with or without the space */
    const char *at = strstr(body, name);
    if (!at) return 0;
    at += strlen(name);
    while (*at == ' ') at++;
    return strncmp(at, "true", 4) == 0;
}

static void show_stats(Connection *c) {
    char body[512];
    snprintf(body, sizeof body, "{\"requests\":%ld,\"streams\":%ld,\"finished\":%ld,\"left\":%ld,\"connections\":%ld,"
        "\"bytes_sent\":%lld,\"now_ns\":%lld}", requests, streams, finished, left, accepted, bytes_sent,
        (long long)now_ns());
    respond(c, answer(body)); /* asked a few times a run: its text is never freed */
}

static void show_broken(Connection *c) {
    char *body = malloc((size_t)broken_count * 48 + 8), *at = body;
    at += sprintf(at, "[");
    for (long i = 0; i < broken_count; i++)
        at += sprintf(at, "%s[%ld,%lld]", i ? "," : "", broken[i].id, (long long)broken[i].at);
    sprintf(at, "]");
    broken_count = 0;
    respond(c, answer(body));
    free(body);
}

static void answer_post(Connection *c, const char *target, const char *body) {
    requests++;
    if (strstr(target, "/embeddings")) {
        respond(c, text_of(strstr(body, "\"base64\"") ? EMBEDDING_BASE64 : EMBEDDING_FLOAT, 0, 0));
        return;
    }
    Plan *plan = &c->plan;
    const char *words = strstr(body, "@plan ");
    plan->chunks = plan->size = plan->first_us = plan->gap_us = 0;
    if (words) {
        plan->chunks = number(words, "chunks=", 64), plan->size = number(words, "size=", 24);
        plan->first_us = number(words, "first=", 0), plan->gap_us = number(words, "gap=", 0);
    } else {
        plan->chunks = 8, plan->size = 24;
    }
    plan->id = number(body, "@id=", 0);
    plan->stream = has(body, "\"stream\":");
    plan->wants_usage = has(body, "\"include_usage\":");
    if (!plan->stream) {
        respond(c, text_of(ANSWER, plan->chunks, plan->size));
        return;
    }
    streams++;
    c->piece = 0, c->pieces = plan->chunks + 3 + (plan->wants_usage ? 1 : 0);
    c->now.length = c->sent = 0, c->busy = 1, c->began = now_ns();
    advance(c);
}

static void answer_request(Connection *c, char *body) {
    c->plan.stream = 0; /* until its body says so */
    c->plan.closes = header(c->in, body, "\r\nconnection: close") != NULL;
    char target[256] = "";
    sscanf(c->in, "%*15s %255s", target);
    if (strncmp(c->in, "POST", 4) == 0) answer_post(c, target, body);
    else if (strstr(target, "/_stats")) show_stats(c);
    else if (strstr(target, "/_broken")) show_broken(c);
    else respond(c, text_of(MODELS, 0, 0));
}

static void receive(Connection *c) {
    ssize_t count = recv(c->descriptor, c->in + c->in_bytes, c->in_room - c->in_bytes - 1, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) { hang_up(c); return; }
    if (c->busy) { fprintf(stderr, "pipelining is not spoken here\n"); hang_up(c); return; }
    c->in_bytes += (size_t)count;
    c->in[c->in_bytes] = 0;
    char *end = memmem(c->in, c->in_bytes, "\r\n\r\n", 4);
    if (!end) return;
    char *body = end + 4;
    const char *length = header(c->in, body, "\r\ncontent-length:");
    if (header(c->in, body, "\r\ntransfer-encoding: chunked")) {
        if (c->in_bytes < 5 || memcmp(c->in + c->in_bytes - 5, "0\r\n\r\n", 5)) return;
    } else if (length) {
        size_t whole = (size_t)(body - c->in) + (size_t)atol(length);
        if (whole >= c->in_room) { fprintf(stderr, "a request is too large\n"); hang_up(c); return; }
        if (c->in_bytes < whole) return;
    }
    c->in_bytes = 0;
    answer_request(c, body);
}

/* --- the loop ----------------------------------------------------------------------------- */

static void accept_all(int listener) {
    for (int descriptor; (descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        if (descriptor >= MOST_CONNECTIONS) { close(descriptor); continue; }
        Connection *c = &connections[descriptor];
        no_delay(descriptor);
        if (!c->in) c->in = malloc(REQUEST_BYTES), c->in_room = REQUEST_BYTES;
        c->descriptor = descriptor, c->open = 1, c->busy = c->wants_out = 0, c->in_bytes = 0;
        accepted++;
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event);
    }
}

static void wake_due(void) {
    uint64_t expirations;
    if (read(timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN) die("timer");
    int64_t now = now_ns();
    while (heap_size && heap[1]->due <= now) {
        Connection *c = heap[1];
        forget(c);
        advance(c);
    }
}

static void serve(Connection *c, uint32_t events) {
    if (c->open && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) receive(c);
    if (c->open && events & EPOLLOUT) advance(c);
}

int main(int count, char **words) {
    if (count != 2) { fprintf(stderr, "usage: upstream PORT\n"); return 2; }
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = loopback(atoi(words[1]));
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) die("bind");
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = &timer;
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    for (struct epoll_event events[512];;) {
        int ready = epoll_wait(poller, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &listener) accept_all(listener);
            else if (events[i].data.ptr == &timer) wake_due();
            else serve(events[i].data.ptr, events[i].events);
        }
        set_timer();
    }
}

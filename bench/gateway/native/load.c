/* Send requests to one address and say how it went, as one JSON object.
 *
 *     load port=8400 path=/v1/chat/completions key=sk-… body=FILE [name=value]…
 *
 * mode=closed   `connections` clients, each sends its next request when an answer is complete
 * mode=open     `rate` requests a second whatever happens; a request's time runs from when it was due
 * mode=abandon  `count` streams, each left after `after` marks; prints when each was left
 * mode=stall    `connections` streams, read up to the first mark, then not read for `seconds`
 *
 * Others: unix=SOCKET instead of port; seconds, warmup (not counted), requests (ends a closed run early);
 * mark: what counts as one piece of an answer (default "~"); lean=1: a mark followed by `"` is an empty
 * piece and is not counted; expect: marks a whole answer has (0: any); header: one more header line.
 * A body that holds "@id=00000000" gets a different number in every request.
 *
 * An answer counts as good when its status is 200, its framing is whole, and it has the expected marks
 * (and, if it is an event stream, its [DONE]). Times are nanoseconds inside, milliseconds outside.
 */
#define _GNU_SOURCE
#include "common.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#define MOST_CONNECTIONS 4096
#define READ_BYTES 65536
#define TAIL 64
#define GRACE (10 * SECOND)

/* --- options ------------------------------------------------------------------------------ */

static struct {
    int port, connections, lean, after;
    const char *unix_path, *path, *key, *mode, *mark, *header, *body;
    double rate, seconds, warmup;
    long requests, expect, count;
} option = {.connections = 32, .after = 5, .path = "/v1/chat/completions", .key = "none", .mode = "closed",
            .mark = "~", .header = "", .rate = 50, .seconds = 5, .count = 20};

static void set(const char *name, const char *value) {
#define WORD(field) if (strcmp(name, #field) == 0) { option.field = value; return; }
#define COUNT(field) if (strcmp(name, #field) == 0) { option.field = atoi(value); return; }
#define NUMBER(field) if (strcmp(name, #field) == 0) { option.field = atof(value); return; }
    if (strcmp(name, "unix") == 0) { option.unix_path = value; return; }
    WORD(path) WORD(key) WORD(mode) WORD(mark) WORD(header) WORD(body)
    COUNT(port) COUNT(connections) COUNT(lean) COUNT(after) COUNT(requests) COUNT(expect) COUNT(count)
    NUMBER(rate) NUMBER(seconds) NUMBER(warmup)
    errno = 0, die(name);
}

/* --- times, in logarithmic buckets: 0.4 % wide -------------------------------------------- */

#define STEPS 256
typedef struct {
    long counts[64 * STEPS], total;
    int64_t largest;
} Times;

static Times whole, first, between;

static int bucket(int64_t value) {
    if (value < STEPS) return value < 0 ? 0 : (int)value;
    int power = 63 - __builtin_clzll((uint64_t)value);
    return (power - 7) * STEPS + (int)((value >> (power - 8)) - STEPS);
}

static double middle(int at) {
    if (at < STEPS) return at;
    int power = at / STEPS + 7;
    return ((double)(at % STEPS + STEPS) + 0.5) * (double)(1LL << (power - 8));
}

static void note(Times *times, int64_t value) {
    times->counts[bucket(value)]++, times->total++;
    if (value > times->largest) times->largest = value;
}

static double quantile(const Times *times, double share) { /* milliseconds; -1: nothing measured */
    long wanted = (long)(share * (double)(times->total - 1)) + 1, seen = 0;
    if (!times->total) return -1;
    for (int at = 0; at < 64 * STEPS; at++)
        if ((seen += times->counts[at]) >= wanted) return middle(at) / 1e6;
    return -1;
}

/* --- one connection ----------------------------------------------------------------------- */

enum Framing { UNTIL_CLOSE, LENGTH, CHUNKED };
enum Chunk { SIZE, DATA, AFTER_DATA, TRAILER };

typedef struct {
    int descriptor, busy, used, in_head, status, closes, events, done, resent, stalled;
    enum Framing framing;
    enum Chunk chunk;
    long left, size, line_bytes, marks, id;
    int64_t due, seen;
    char head[16384], tail[TAIL];
    size_t head_bytes;
} Client;

static Client clients[MOST_CONNECTIONS];
static int poller, client_count, busy_count;
static char *request;
static size_t request_bytes;
static long id_at = -1, next_id, all, good, bad, broken, again, in_window, marks, all_marks, stalled;
static int64_t began, from, until;
static char complaint[400];
static struct { long id; int64_t at; } *leavings;
static long leaving_count;

static void make_request(void) {
    FILE *file = option.body ? fopen(option.body, "rb") : NULL;
    static char body[1 << 20];
    if (!file) die("body");
    size_t length = fread(body, 1, sizeof body - 1, file);
    fclose(file);
    request = malloc(length + 8192);
    int head = snprintf(request, 8192, "POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        "authorization: Bearer %s\r\n%s%scontent-length: %zu\r\n\r\n", option.path, option.key, option.header,
        *option.header ? "\r\n" : "", length);
    memcpy(request + head, body, length);
    request_bytes = (size_t)head + length;
    char *id = memmem(request + head, length, "@id=00000000", 12);
    if (id) id_at = id + 4 - request;
}

static void connect_client(Client *c) {
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in address = loopback(option.port);
    c->descriptor = socket(option.unix_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed;
    if (option.unix_path) {
        strncpy(local.sun_path, option.unix_path, sizeof local.sun_path - 1);
        failed = connect(c->descriptor, (void *)&local, sizeof local);
    } else {
        failed = connect(c->descriptor, (void *)&address, sizeof address);
    }
    if (failed) die("connect");
    no_delay(c->descriptor);
    fcntl(c->descriptor, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->descriptor, &event);
    c->used = 0;
}

static void disconnect(Client *c) {
    if (c->descriptor >= 0) close(c->descriptor);
    c->descriptor = -1;
}

static void transmit(Client *c) {
    if (c->descriptor < 0) connect_client(c);
    c->head_bytes = 0, c->in_head = 1, c->framing = UNTIL_CLOSE, c->chunk = SIZE;
    c->left = c->size = c->line_bytes = c->marks = c->seen = 0;
    c->status = c->closes = c->events = c->done = 0;
    memset(c->tail, '\n', TAIL);
    if (id_at >= 0) {
        char digits[16];
        snprintf(digits, sizeof digits, "%08ld", c->id % 100000000);
        memcpy(request + id_at, digits, 8);
    }
    for (size_t sent = 0; sent < request_bytes;) {
        ssize_t count = send(c->descriptor, request + sent, request_bytes - sent, MSG_NOSIGNAL);
        if (count >= 0) { sent += (size_t)count; continue; }
        if (errno != EAGAIN) break; /* the reader will find the connection closed */
        struct pollfd wait = {c->descriptor, POLLOUT, 0};
        poll(&wait, 1, 1000);
    }
}

static void start(Client *c, int64_t due) {
    c->due = due, c->id = ++next_id, c->busy = 1, c->resent = 0;
    busy_count++;
    transmit(c);
}

/* --- an answer's end ---------------------------------------------------------------------- */

static void complain(const char *what, const char *text, size_t length) {
    if (*complaint) return;
    int at = snprintf(complaint, 64, "%s: ", what);
    for (size_t i = 0; i < length && at < (int)sizeof complaint - 1; i++)
        complaint[at++] = text[i] < ' ' || text[i] == '"' || text[i] == '\\' ? ' ' : text[i];
    complaint[at] = 0;
}

static void conclude(Client *c, int64_t now) {
    c->busy = 0, c->used = 1;
    busy_count--, all++;
    int right = c->status == 200 && (!option.expect || c->marks == option.expect) && (!c->events || c->done);
    if (right) {
        good++;
        if (now >= from && now < until) in_window++;
        if (c->due >= from && c->due < until) note(&whole, now - c->due);
    } else {
        bad++;
        char what[64];
        snprintf(what, sizeof what, "status %d, %ld marks, %s", c->status, c->marks, c->done ? "done" : "not done");
        complain(what, c->tail, TAIL);
    }
    if (c->closes || c->framing == UNTIL_CLOSE) disconnect(c);
}

static void lose(Client *c, int64_t now) {
    int whole_answer = !c->in_head && c->framing == UNTIL_CLOSE;
    disconnect(c);
    if (!c->busy) return;
    if (whole_answer) { conclude(c, now); return; }
    if (c->used && !c->head_bytes && c->in_head && !c->resent) { /* a kept connection closed as we wrote */
        c->resent = 1, again++;
        transmit(c);
        return;
    }
    c->busy = 0;
    busy_count--, all++, broken++;
    complain("broken", c->head, c->head_bytes < 200 ? c->head_bytes : 200);
}

/* --- reading an answer -------------------------------------------------------------------- */

static int read_head(Client *c, const char *head, const char *end) {
    c->status = atoi(head + 9);
    const char *length = header(head, end, "\r\ncontent-length:");
    const char *coding = header(head, end, "\r\ntransfer-encoding:");
    const char *connection = header(head, end, "\r\nconnection:");
    const char *type = header(head, end, "\r\ncontent-type:");
    c->framing = coding && strncasecmp(coding, "chunked", 7) == 0 ? CHUNKED : length ? LENGTH : UNTIL_CLOSE;
    c->left = c->framing == LENGTH ? atol(length) : 0;
    c->closes = connection && strncasecmp(connection, "close", 5) == 0;
    c->events = type && strncasecmp(type, "text/event-stream", 17) == 0;
    return c->status >= 200;
}

/* Count what is new in `text`: its first TAIL bytes were looked at before. */
static void look(Client *c, const char *text, size_t length, int64_t now) {
    size_t mark_bytes = strlen(option.mark), reach = mark_bytes + (option.lean ? 1 : 0);
    long found = 0;
    const char *at = text + TAIL - (reach - 1), *end = text + length;
    while ((at = memmem(at, (size_t)(end - at), option.mark, mark_bytes)) && at + reach <= end) {
        at += mark_bytes;
        if (!option.lean || *at != '"') found++;
    }
    if (c->events && !c->done && memmem(text + TAIL - 5, (size_t)(end - text - TAIL + 5), "[DONE]", 6)) c->done = 1;
    memcpy(c->tail, end - TAIL, TAIL);
    if (!found) return;
    if (c->due >= from && c->due < until) note(c->marks ? &between : &first, now - (c->marks ? c->seen : c->due));
    c->seen = now, c->marks += found, all_marks += found;
    if (now >= from && now < until) marks += found;
}

/* Decode the framing of what arrived; the payload is looked at in one piece. True: the answer is whole. */
static int digest(Client *c, const char *data, size_t length, int64_t now) {
    static char text[TAIL + READ_BYTES];
    size_t kept = TAIL;
    int whole_answer = 0;
    memcpy(text, c->tail, TAIL);
    while (length && !whole_answer) {
        if (c->framing != CHUNKED || c->chunk == DATA) {
            size_t count = c->framing == UNTIL_CLOSE || (size_t)c->left > length ? length : (size_t)c->left;
            memcpy(text + kept, data, count);
            kept += count, data += count, length -= count;
            if (c->framing != UNTIL_CLOSE && (c->left -= (long)count) == 0) {
                if (c->framing == LENGTH) whole_answer = 1;
                else c->chunk = AFTER_DATA;
            }
            continue;
        }
        char letter = *data++;
        length--;
        if (letter == '\r') continue;
        if (letter != '\n') {
            if (c->chunk == SIZE) {
                int digit = letter >= 'a' ? letter - 'a' + 10 : letter >= 'A' ? letter - 'A' + 10 : letter - '0';
                c->size = c->size * 16 + digit; /* nobody measured here sends extensions */
            }
            c->line_bytes++;
        } else if (c->chunk == SIZE) {
            c->left = c->size, c->chunk = c->size ? DATA : TRAILER, c->size = c->line_bytes = 0;
        } else if (c->chunk == AFTER_DATA) {
            c->chunk = SIZE, c->line_bytes = 0;
        } else { /* TRAILER: ends with an empty line */
            whole_answer = c->line_bytes == 0;
            c->line_bytes = 0;
        }
    }
    if (kept > TAIL) look(c, text, kept, now);
    return whole_answer;
}

static void receive(Client *c) {
    static char data[READ_BYTES];
    ssize_t count = recv(c->descriptor, data, sizeof data, 0);
    int64_t now = now_ns();
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) { lose(c, now); return; }
    if (!c->busy) { complain("unasked", data, 60); broken++; disconnect(c); return; }
    char *rest = data;
    size_t length = (size_t)count;
    if (c->in_head) {
        if (c->head_bytes + length > sizeof c->head) { /* a head and much body: the head ends in the first part */
            length = sizeof c->head - c->head_bytes;
        }
        memcpy(c->head + c->head_bytes, data, length);
        char *end = memmem(c->head, c->head_bytes + length, "\r\n\r\n", 4);
        size_t before = c->head_bytes;
        c->head_bytes += length;
        if (!end) {
            if (c->head_bytes == sizeof c->head) die("a head is too long");
            return;
        }
        if (!read_head(c, c->head, end + 4)) { /* 100 Continue */
            c->head_bytes = 0;
            return;
        }
        c->in_head = 0;
        rest = data + (end + 4 - c->head) - before;
        length = (size_t)count - (size_t)(rest - data);
        if (c->framing == LENGTH && c->left == 0) { conclude(c, now); return; }
    }
    if (length && digest(c, rest, length, now)) conclude(c, now);
}

/* --- modes -------------------------------------------------------------------------------- */

static int is(const char *mode) { return strcmp(option.mode, mode) == 0; }

static Client *idle(void) {
    for (int i = 0; i < client_count; i++)
        if (!clients[i].busy) return &clients[i];
    if (client_count == MOST_CONNECTIONS) return NULL;
    clients[client_count].descriptor = -1;
    return &clients[client_count++];
}

/* After bytes arrived on `c`: what its mode wants next. */
static void react(Client *c, int64_t now) {
    if (is("closed") && !c->busy && now < until && (!option.requests || next_id < option.requests)) start(c, now);
    if (is("abandon")) {
        if (c->busy && c->marks >= option.after) {
            leavings[leaving_count].id = c->id;
            leavings[leaving_count++].at = now_ns();
            disconnect(c);
            c->busy = 0, busy_count--, all++;
        }
        if (!c->busy && next_id < option.count) start(c, now_ns());
    }
    if (is("stall") && c->busy && !c->stalled && c->marks) {
        c->stalled = 1, stalled++;
        epoll_ctl(poller, EPOLL_CTL_DEL, c->descriptor, NULL);
        if (stalled == option.connections) {
            printf("{\"stalled\":%ld}\n", stalled);
            fflush(stdout);
            until = now + (int64_t)(option.seconds * SECOND);
        }
    }
}

static int over(int64_t now) {
    if (is("abandon")) return leaving_count + broken + bad >= option.count || now > began + 120 * SECOND;
    if (is("stall")) return now >= until || broken || bad;
    if (option.requests && next_id >= option.requests && !busy_count) return 1;
    return now >= until && (!busy_count || now > until + GRACE);
}

static void set_timer(int timer, int64_t at) {
    struct itimerspec when = {{0, 0}, {at / SECOND, at % SECOND}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void run(int timer) {
    struct epoll_event events[512];
    int64_t now = began, step = is("open") ? (int64_t)(SECOND / option.rate) : 0, due = began;
    long most = is("abandon") ? option.count : option.requests ? option.requests : option.connections;
    if (!is("open"))
        for (int i = 0; i < option.connections && i < most; i++) start(idle(), now_ns());
    while (!over(now = now_ns())) {
        for (; step && due <= now && due < until; due += step) {
            Client *c = idle();
            if (!c) break; /* all connections wait: what is due keeps its time */
            start(c, due);
        }
        set_timer(timer, step && due < until && due > now ? due : now + SECOND / 20);
        int ready = epoll_wait(poller, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            Client *c = events[i].data.ptr;
            if (!c) { uint64_t skipped; if (read(timer, &skipped, 8) < 0) continue; continue; }
            if (c->descriptor < 0 || c->stalled) continue;
            receive(c);
            react(c, now_ns());
        }
    }
}

static void report(double elapsed, double busy) {
    if (is("abandon")) {
        printf("{\"left\":[");
        for (long i = 0; i < leaving_count; i++)
            printf("%s[%ld,%lld]", i ? "," : "", leavings[i].id, (long long)leavings[i].at);
        printf("],\"bad\":%ld,\"broken\":%ld,\"complaint\":\"%s\"}\n", bad, broken, complaint);
        return;
    }
    double window = (double)(until - from) / SECOND;
    if (option.requests) window = elapsed - option.warmup;
    printf("{\"requests\":%ld,\"good\":%ld,\"bad\":%ld,\"broken\":%ld,\"unfinished\":%d,\"resent\":%ld,", all, good, bad,
           broken, busy_count, again);
    printf("\"per_second\":%.2f,\"marks\":%ld,\"marks_per_second\":%.2f,\"seconds\":%.3f,\"busy\":%.4f,",
           (double)in_window / window, all_marks, (double)marks / window, elapsed, busy);
    const struct { const char *name; Times *times; } shown[] = {{"", &whole}, {"first_", &first}, {"gap_", &between}};
    for (int i = 0; i < 3; i++)
        printf("\"%sp50\":%.4f,\"%sp90\":%.4f,\"%sp99\":%.4f,\"%smax\":%.4f,", shown[i].name, quantile(shown[i].times, 0.5),
               shown[i].name, quantile(shown[i].times, 0.9), shown[i].name, quantile(shown[i].times, 0.99),
               shown[i].name, (double)shown[i].times->largest / 1e6);
    printf("\"complaint\":\"%s\"}\n", complaint);
}

int main(int count, char **words) {
    for (int i = 1; i < count; i++) {
        char *value = strchr(words[i], '=');
        if (!value) die(words[i]);
        *value = 0;
        set(words[i], value + 1);
    }
    if (option.connections > MOST_CONNECTIONS || strlen(option.mark) >= TAIL) die("connections or mark");
    signal(SIGPIPE, SIG_IGN);
    make_request();
    leavings = calloc((size_t)option.count + 1, sizeof *leavings);
    poller = epoll_create1(EPOLL_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    began = now_ns(), from = began + (int64_t)(option.warmup * SECOND);
    until = from + (int64_t)(option.seconds * SECOND);
    if (is("stall")) until = began + 60 * SECOND; /* until all have stalled */
    if (option.requests) until = began + 7 * 24 * 3600 * SECOND;
    run(timer);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double elapsed = (double)(now_ns() - began) / SECOND;
    double busy = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
                  + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    report(elapsed, busy / elapsed);
    return 0;
}

/* observe_log.c - the access log: one JSON object per line, written by the observer's thread.
 *
 * A line is at first appended to the I/O thread's own buffer. What does not fit is counted, not
 * waited for: a full disk or a slow reader of stderr must not slow anybody's requests.
 */
#include "base/clock.h"
#include "base/log.h"
#include "serve/observe_parts_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Without blocking: a pipe that nobody reads must not hold up a start or a reload. */
enum ps_status ps_serve_log_open(const struct ps_serve_config *c, int *ret_fd, struct ps_error *err)
{
	int fd = STDERR_FILENO;
	if (c->access_log_file)
		fd = open(c->access_log_file,
			  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
	if (fd < 0) {
		ps_error_errno(err, errno, "cannot write the access log");
		ps_error_where(err, "%s", c->access_log_file);
		return err ? err->status : PS_EIO;
	}
	*ret_fd = fd;
	return PS_OK;
}

void ps_serve_log_close(int fd)
{
	if (fd > STDERR_FILENO)
		close(fd);
}

void ps_serve_log_take(struct ps_serve_observe *o, int fd)
{
	pthread_mutex_lock(&o->log_lock);
	ps_serve_log_close(o->log_fd);
	o->log_fd = fd;
	o->log_torn = false;
	pthread_mutex_unlock(&o->log_lock);
}

/* --- a line --- */

static void put_text(struct ps_strbuf *out, const char *key, const char *text)
{
	ps_strbuf_printf(out, ",\"%s\":", key);
	ps_oip_build_string(text, out);
}

static void put_int(struct ps_strbuf *out, const char *key, int64_t v)
{
	ps_strbuf_printf(out, ",\"%s\":%" PRId64, key, v);
}

static void put_hex(struct ps_strbuf *out, const char *key, const unsigned char *bytes, size_t n)
{
	ps_strbuf_printf(out, ",\"%s\":\"", key);
	for (size_t i = 0; i < n; i++)
		ps_strbuf_printf(out, "%02x", bytes[i]);
	ps_strbuf_putc(out, '"');
}

static const char *protocol_of(const struct ps_serve_call *c)
{
	if (c->wire == PS_SERVE_GRPC)
		return "grpc";
	return c->http && c->http->http_major == 2 ? "http/2" : "http/1.1";
}

/* The wire's own code: of HTTP, or of gRPC. */
static int code_of(const struct ps_serve_call *c, enum ps_status status)
{
	if (c->wire == PS_SERVE_GRPC)
		return ps_status_get(status)->grpc;
	return c->http_status ? c->http_status : ps_status_get(status)->http;
}

static void put_instants(struct ps_strbuf *out, const struct ps_serve_call *c)
{
	const struct ps_dispatch_account *a = &c->d.account;
	put_int(out, "first_byte_ns", c->first_byte_ns);
	put_int(out, "started_ns", a->started_ns);
	put_int(out, "input_ns", a->input_ns);
	put_int(out, "computed_ns", a->computed_ns);
	put_int(out, "finished_ns", a->finished_ns);
	put_int(out, "deadline_ns", a->deadline_ns);
	put_int(out, "predicted_ns", a->predicted_ns);
	put_int(out, "cost_ns", a->cost_ns);
}

static void put_durations(struct ps_strbuf *out, const struct ps_serve_call *c, int64_t total_ns)
{
	const struct ps_dispatch_account *a = &c->d.account;
	int64_t queue_ns = a->started_ns ? a->started_ns - a->admitted_ns : 0;
	int64_t compute_ns = a->started_ns && a->finished_ns ? a->finished_ns - a->started_ns : 0;
	put_int(out, "received_ns", c->received_ns);
	put_int(out, "admitted_ns", a->admitted_ns);
	put_int(out, "sent_ns", a->sent_ns);
	ps_strbuf_printf(out, ",\"queue_us\":%.3f,\"compute_us\":%.3f,\"total_us\":%.3f",
			 (double)queue_ns * 1e-3, (double)compute_ns * 1e-3,
			 (double)total_ns * 1e-3);
}

static void put_line(struct ps_strbuf *out, const struct ps_serve_call *c, enum ps_status status,
		     int64_t total_ns, bool slow)
{
	const struct ps_dispatch_account *a = &c->d.account;
	char time[PS_CLOCK_ISO_SIZE];
	int outcome = ps_serve_outcome(status, a->reason);
	ps_clock_wall_iso(ps_clock_wall_ns(), time);
	ps_strbuf_printf(out, "{\"time\":\"%s\",\"log\":\"%s\"", time, slow ? "slow" : "access");
	put_text(out, "tenant", ps_tenancy_name(c->io->snapshot->tenancy, c->tenant));
	put_text(out, "model", c->model_name ? c->model_name : c->target.model);
	put_text(out, "version", c->version);
	ps_strbuf_printf(out,
			 ",\"protocol\":\"%s\",\"status\":\"%s\",\"code\":%d,\"outcome\":\"%s\"",
			 protocol_of(c), ps_status_name(status), code_of(c, status),
			 ps_serve_outcome_name(outcome));
	put_int(out, "rows", a->rows);
	put_int(out, "batch_rows", a->batch_rows);
	put_durations(out, c, total_ns);
	if (slow)
		put_instants(out, c);
	put_int(out, "bytes_in", (int64_t)c->body_bytes);
	put_int(out, "bytes_out", (int64_t)c->answer_bytes);
	put_text(out, "peer", c->peer ? c->peer : "");
	if (c->oip.id)
		put_text(out, "id", c->oip.id);
	if (c->trace) {
		put_hex(out, "trace_id", c->trace->trace_id, 16);
		put_hex(out, "span_id", c->trace->span_id, 8);
		put_hex(out, "parent_id", c->trace->parent_id, 8);
	}
	if (status != PS_OK && c->err.what[0])
		put_text(out, "error", c->err.what);
	ps_strbuf_puts(out, "}\n");
}

/* A share of the calls, evenly spread: each call adds the share to a debt, and each whole one is a
 * line. */
static bool is_sampled(struct ps_serve_observe_io *io)
{
	io->sample_debt += atomic_load_explicit(&io->observe->sample, memory_order_relaxed);
	if (io->sample_debt < 1 - 1e-9)
		return false;
	io->sample_debt -= 1;
	return true;
}

bool ps_serve_log_call(struct ps_serve_observe_io *io, const struct ps_serve_call *c,
		       enum ps_status status, int64_t total_ns)
{
	struct ps_serve_observe *o = io->observe;
	int64_t slow_ns = atomic_load_explicit(&o->slow_ns, memory_order_relaxed);
	bool slow = slow_ns > 0 && total_ns >= slow_ns;
	bool log = atomic_load_explicit(&o->log_on, memory_order_relaxed) && is_sampled(io);
	size_t before = io->log.len;
	if (!log && !slow)
		return false;
	if (before < PS_SERVE_LOG_BYTES)
		put_line(&io->log, c, status, total_ns, slow);
	if (before >= PS_SERVE_LOG_BYTES || ps_strbuf_status(&io->log) != PS_OK)
		io->log_dropped++;
	if (ps_strbuf_status(&io->log) != PS_OK) { /* a line cut short is none */
		io->log.len = before;
		io->log.failed = false;
	}
	return before == 0;
}

/* --- writing --- */

/* What is no file is waited for, a second at most. */
static bool wait_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	return poll(&p, 1, 1000) == 1;
}

/* A pipe that can be written takes PIPE_BUF at once, also when its descriptor may block. As many
 * whole lines as fit: what others write to stderr then falls between two lines. */
static size_t piece_of(const char *bytes, size_t n)
{
	if (n <= PIPE_BUF)
		return n;
	const char *end = memrchr(bytes, '\n', PIPE_BUF);
	return end ? (size_t)(end - bytes) + 1 : PIPE_BUF;
}

static ssize_t write_some(int fd, const char *bytes, size_t n)
{
	errno = EAGAIN;
	return wait_writable(fd) ? write(fd, bytes, piece_of(bytes, n)) : -1;
}

static void lose(struct ps_serve_observe *o, size_t n, bool torn)
{
	if (o->log_lost == 0)
		ps_log(PS_LOG_WARN, "access", "the log cannot be written: %s", strerror(errno));
	o->log_lost += n;
	o->log_torn |= torn;
}

static void write_all(struct ps_serve_observe *o, const char *bytes, size_t n)
{
	size_t done = 0;
	if (n > 0 && o->log_torn && write_some(o->log_fd, "\n", 1) == 1)
		o->log_torn = false;
	while (done < n) {
		ssize_t k = write_some(o->log_fd, bytes + done, n - done);
		if (k > 0) {
			done += (size_t)k;
		} else if (errno != EINTR) {
			lose(o, n - done, done > 0 && bytes[done - 1] != '\n');
			return;
		}
	}
}

void ps_serve_log_flush(struct ps_serve_observe *o)
{
	for (int i = 0; i < o->n_ios; i++) {
		struct ps_serve_observe_io *io = &o->ios[i];
		struct ps_strbuf taken;
		ps_strbuf_init(&taken);
		pthread_mutex_lock(&io->lock);
		struct ps_strbuf swap = io->log;
		io->log = taken;
		taken = swap;
		pthread_mutex_unlock(&io->lock);
		pthread_mutex_lock(&o->log_lock);
		write_all(o, taken.data, taken.len);
		pthread_mutex_unlock(&o->log_lock);
		ps_strbuf_fini(&taken);
	}
}

/* scrape.c - what a server says of itself: its metrics before and after a trial. */
#include "measure/measure_internal.h"

#include "base/clock.h"
#include "base/strbuf.h"
#include "evloop/evloop.h"
#include "metrics/metrics.h"
#include "net/client.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GET_TIMEOUT_NS	(5 * PS_NS_PER_SEC)
#define MAX_BODY_BYTES	(16u << 20)
#define MAX_SERIES	2000  /* of one trial; a server with more has the first ones kept */
#define MAX_LOOKED_AT	20000 /* samples of a page */
#define MAX_SERIES_TEXT 1024
#define MAX_TAIL	256

/* ---- one GET ---- */

struct get {
	struct ps_net_call call;
	char *body;
	size_t len;
	bool done;
};

static void on_done(struct ps_net_call *call)
{
	struct get *g = call->ctx;
	g->done = true;
	if (call->outcome == PS_NET_OK) {
		g->body = malloc(call->answer_bytes + 1);
	}
	if (g->body) {
		if (call->answer_bytes > 0) /* without a body there is no address */
			memcpy(g->body, call->answer_body, call->answer_bytes);
		g->body[call->answer_bytes] = '\0';
		g->len = call->answer_bytes;
	}
}

static enum ps_status status_of(int http)
{
	switch (http) {
	case 401:
		return PS_EUNAUTH;
	case 403:
		return PS_EFORBIDDEN;
	case 404:
		return PS_ENOTFOUND;
	default:
		return PS_EUNAVAIL;
	}
}

static enum ps_status judge(const struct get *g, const struct ps_net_client *client,
			    struct ps_error *err)
{
	const char *why = ps_net_client_why(client);
	if (g->call.outcome != PS_NET_OK) {
		return ps_error_set(err, ps_net_outcome_status(g->call.outcome),
				    "the server did not answer: %s%s%.200s",
				    ps_net_outcome_name(g->call.outcome), why[0] ? ": " : "", why);
	}
	if (g->call.http != 200) {
		return ps_error_set(err, status_of(g->call.http),
				    "the server answered with status %d: %.200s", g->call.http,
				    g->body ? g->body : "");
	}
	return g->body ? PS_OK : ps_error_set(err, PS_ENOMEM, "no memory for an answer");
}

static enum ps_status ask(struct ps_evloop *loop, const struct ps_net_url *u,
			  struct ps_net_client *client, const struct ps_measure_page *page,
			  struct get *g, struct ps_error *err)
{
	char bearer[PS_TENANCY_KEY_SIZE + 4200], path[PS_NET_PATH_SIZE + MAX_TAIL];
	const char *key = page->key;
	(void)snprintf(path, sizeof(path), "%s%s", u->base, page->tail);
	(void)snprintf(bearer, sizeof(bearer), "Bearer %.4096s", key ? key : "");
	const struct ps_net_header header = {"Authorization", bearer};
	g->call = (struct ps_net_call){
		.method = "GET",
		.path = path[0] ? path : "/",
		.headers = key && *key ? &header : NULL,
		.n_headers = key && *key ? 1 : 0,
		.deadline_ns = ps_evloop_now_ns(loop) + GET_TIMEOUT_NS,
		.close = true,
		.on_done = on_done,
		.ctx = g,
	};
	enum ps_status st = ps_net_client_send(client, &g->call, err);
	while (st == PS_OK && !g->done) {
		st = ps_evloop_run_once(loop, GET_TIMEOUT_NS, err);
	}
	explicit_bzero(bearer, sizeof(bearer));
	return st == PS_OK ? judge(g, client, err) : st;
}

static void host_of(const struct ps_net_url *u, char *buf, size_t size)
{
	if (u->unix_path[0]) {
		(void)snprintf(buf, size, "localhost");
	} else {
		(void)snprintf(buf, size, strchr(u->host, ':') ? "[%s]:%u" : "%s:%u", u->host,
			       (unsigned)u->port);
	}
}

static enum ps_status make_client(const struct ps_net_url *u, const struct ps_load_tls *t,
				  struct ps_evloop *loop, struct ps_net_client **ret_client,
				  struct ps_error *err)
{
	char host[PS_NET_HOST_SIZE + 12];
	const struct ps_net_client_tls_options trust = {.ca_path = t->ca_path,
							.certificate_path = t->certificate_path,
							.key_path = t->key_path,
							.insecure = t->insecure};
	struct ps_net_client_tls *tls = NULL;
	struct ps_net_client_options o = {
		.host = host, .server_name = t->server_name, .max_body_bytes = MAX_BODY_BYTES};
	host_of(u, host, sizeof(host));
	enum ps_status st = ps_net_resolve_url(u, &o.address, err);
	if (st == PS_OK && u->secure) {
		st = ps_net_client_tls_new(&trust, &tls, err);
	}
	o.tls = tls;
	if (st == PS_OK) {
		st = ps_net_client_new(loop, &o, ret_client, err);
	}
	ps_net_client_tls_free(tls); /* the client keeps it */
	return st;
}

enum ps_status ps_measure_get(const struct ps_measure_page *page, char **ret_body, size_t *ret_len,
			      struct ps_error *err)
{
	struct ps_net_url u;
	struct ps_evloop *loop = NULL;
	struct ps_net_client *client = NULL;
	struct get g = {.done = false};
	enum ps_status st = ps_net_url_parse(page->url, &u, err);
	if (st == PS_OK) {
		st = ps_evloop_new(NULL, &loop, err);
	}
	if (st == PS_OK) {
		st = make_client(&u, page->tls, loop, &client, err);
	}
	if (st == PS_OK) {
		st = ask(loop, &u, client, page, &g, err);
	}
	ps_net_client_free(client);
	ps_evloop_free(loop);
	if (st != PS_OK) {
		ps_error_where(err, "%.150s%.40s", page->url, page->tail);
		free(g.body);
		return st;
	}
	*ret_body = g.body;
	*ret_len = g.len;
	return PS_OK;
}

/* ---- metrics ---- */

struct ps_metrics_page *ps_measure_scrape(struct ps_measure_context *m,
					  const struct ps_measure_live *live)
{
	struct ps_metrics_page *page = NULL;
	struct ps_metrics_loss loss = {0};
	struct ps_error err;
	char *body = NULL, note[600];
	size_t len = 0;
	if (!live->metrics_url) {
		return NULL;
	}
	/* a Unix socket has no path of its own to name the page */
	bool local = strncmp(live->metrics_url, "unix:", 5) == 0;
	const struct ps_measure_page at = {.url = live->metrics_url,
					   .tail = local ? "/metrics" : "",
					   .key = live->metrics_key,
					   .tls = &m->tls};
	ps_error_clear(&err);
	enum ps_status st = ps_measure_get(&at, &body, &len, &err);
	if (st == PS_OK) {
		st = ps_metrics_read_any(body, len, &page, &loss, &err);
	}
	free(body);
	if (st == PS_OK && loss.lines > 0 && !m->metrics_missing) {
		m->metrics_missing = true; /* said once */
		(void)snprintf(note, sizeof(note),
			       "%zu lines of the server's metrics cannot be read: %s", loss.lines,
			       loss.first);
		(void)ps_measure_say(m, note);
	}
	if (st != PS_OK && !m->metrics_missing) {
		m->metrics_missing = true;
		(void)snprintf(note, sizeof(note), "the server's metrics are not kept: %s: %.200s",
			       err.where, err.what);
		(void)ps_measure_say(m, note);
	}
	return st == PS_OK ? page : NULL;
}

static void put_escaped(struct ps_strbuf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '\\' || *s == '"') {
			ps_strbuf_putc(b, '\\');
		}
		if (*s == '\n') {
			ps_strbuf_puts(b, "\\n");
		} else {
			ps_strbuf_putc(b, *s);
		}
	}
}

/* name{label="value",...} in the arena; NULL: too long, or no memory. */
static const char *series_text(const struct ps_metrics_sample *s, struct ps_arena *a)
{
	struct ps_strbuf b;
	ps_strbuf_init(&b);
	ps_strbuf_puts(&b, s->name);
	for (size_t i = 0; i < s->n_labels; i++) {
		ps_strbuf_printf(&b, "%s%s=\"", i ? "," : "{", s->labels[i].name);
		put_escaped(&b, s->labels[i].value);
		ps_strbuf_putc(&b, '"');
	}
	if (s->n_labels) {
		ps_strbuf_putc(&b, '}');
	}
	bool fits = ps_strbuf_status(&b) == PS_OK && b.len <= MAX_SERIES_TEXT;
	const char *copy = fits ? ps_arena_strndup(a, b.data, b.len) : NULL;
	ps_strbuf_fini(&b);
	return copy;
}

/* Buckets are left out: sums and counts stay, and histograms of its requests are our own. */
static bool worth_keeping(const struct ps_metrics_sample *s)
{
	size_t n = strlen(s->name), k = strlen("_bucket");
	return !(n > k && strcmp(s->name + n - k, "_bucket") == 0) && isfinite(s->value);
}

static bool is_same(const struct ps_metrics_sample *a, const struct ps_metrics_sample *b)
{
	bool same = a->n_labels == b->n_labels && strcmp(a->name, b->name) == 0;
	for (size_t i = 0; same && i < a->n_labels; i++) {
		same = strcmp(a->labels[i].name, b->labels[i].name) == 0 &&
		       strcmp(a->labels[i].value, b->labels[i].value) == 0;
	}
	return same;
}

/* The sample's value in another page of the same server, where it stands near place `at`. */
static double value_in(const struct ps_metrics_page *page, const struct ps_metrics_sample *s,
		       size_t at)
{
	size_t n = 0;
	const struct ps_metrics_sample *all = page ? ps_metrics_page_samples(page, &n) : NULL;
	if (at < n && is_same(&all[at], s)) {
		return all[at].value;
	}
	const struct ps_metrics_sample *same =
		page ? ps_metrics_page_find(page, s->name, s->labels, s->n_labels) : NULL;
	return same && same->n_labels == s->n_labels ? same->value : NAN;
}

/* A page of another make may say a thing twice: the smaller one is kept, as the store holds one. */
static size_t drop_twice(struct ps_store_scrape *x, size_t n)
{
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		if (len == 0 || strcmp(x[len - 1].series, x[i].series) != 0) {
			x[len++] = x[i];
		}
	}
	return len;
}

static int by_series(const void *x, const void *y)
{
	const struct ps_store_scrape *a = x, *b = y;
	int names = strcmp(a->series, b->series);
	return names ? names : (a->after > b->after) - (a->after < b->after);
}

enum ps_status ps_measure_convert_scrapes(const struct ps_metrics_page *before,
					  const struct ps_metrics_page *after, struct ps_arena *a,
					  struct ps_store_trial *trial, struct ps_error *err)
{
	size_t n = 0, len = 0;
	const struct ps_metrics_sample *samples = after ? ps_metrics_page_samples(after, &n) : NULL;
	if (n == 0) {
		return PS_OK;
	}
	n = n < MAX_LOOKED_AT ? n : MAX_LOOKED_AT;
	struct ps_store_scrape *out =
		ps_arena_zalloc(a, sizeof(*out) * (n < MAX_SERIES ? n : MAX_SERIES));
	if (!out) {
		return ps_error_set(err, PS_ENOMEM, "no memory for the server's metrics");
	}
	for (size_t i = 0; i < n && len < MAX_SERIES; i++) {
		double old = worth_keeping(&samples[i]) ? value_in(before, &samples[i], i) : NAN;
		bool idle = samples[i].value == 0 && (old == 0 || isnan(old));
		if (!worth_keeping(&samples[i]) || idle) {
			continue;
		}
		const char *series = series_text(&samples[i], a);
		if (series) {
			out[len++] = (struct ps_store_scrape){series, old, samples[i].value};
		}
	}
	qsort(out, len, sizeof(*out), by_series);
	trial->scrapes = out;
	trial->scrape_len = drop_twice(out, len);
	return PS_OK;
}

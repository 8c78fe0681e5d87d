#include "measure/measure_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first start with a model converts it, which can take a minute for the largest ones. */
#define READY_TIMEOUT_NS (180 * PS_NS_PER_SEC)
#define STOP_TIMEOUT_NS	 (20 * PS_NS_PER_SEC)
#define MAX_SET_FILE	 100 /* bytes of a set's name that make a file's */
#define MAX_QUEUE_LIMIT	 1000000

static const struct ps_measure_tenant *member(const struct ps_measure_campaign *c,
					      const struct ps_store_set *set, int i)
{
	return &((const struct ps_measure_tenant *)c->tenants.items)[set->members[i]];
}

static bool is_used(const struct ps_measure_context *m, const struct ps_store_set *set,
		    const struct ps_measure_start *how, size_t model)
{
	const struct ps_measure_model *models = m->c->models.items;
	bool used = how->model && strcmp(how->model, models[model].name) == 0;
	for (int i = 0; i < set->member_len && !how->model; i++) {
		used = used || ps_measure_asks_model(m->c, member(m->c, set, i), model);
	}
	return used;
}

static void put_models(struct ps_strbuf *b, const struct ps_measure_context *m,
		       const struct ps_store_set *set, const struct ps_measure_start *how)
{
	const struct ps_measure_model *models = m->c->models.items;
	ps_strbuf_puts(b, "models:\n");
	for (size_t k = 0; k < m->c->models.len; k++) {
		if (is_used(m, set, how, k)) {
			ps_strbuf_printf(b, "  - name: %s\n    path: ", models[k].name);
			ps_json_quote(b, m->model_paths[k]);
			ps_strbuf_putc(b, '\n');
		}
	}
}

const char *ps_measure_member_name(const struct ps_measure_tenant *t, int copy, int copies,
				   char buf[PS_MEASURE_MEMBER_SIZE])
{
	if (copies > 1) {
		(void)snprintf(buf, PS_MEASURE_MEMBER_SIZE, "%s.%d", t->name, copy + 1);
	} else {
		(void)snprintf(buf, PS_MEASURE_MEMBER_SIZE, "%s", t->name);
	}
	return buf;
}

/* "m", or of a mix "m, n". */
static void put_names(struct ps_strbuf *b, const struct ps_measure_context *m,
		      const struct ps_measure_tenant *t, const struct ps_measure_start *how)
{
	const struct ps_measure_model *all = m->c->models.items;
	int models[PS_MEASURE_MAX_TENANTS], n = ps_measure_tenant_models(m->c, t, models);
	for (int i = 0; i < n && !how->model; i++) {
		ps_strbuf_printf(b, "%s%s", i ? ", " : "", all[models[i]].name);
	}
	ps_strbuf_puts(b, how->model ? how->model : "");
}

static bool has_own_queues(const struct ps_measure_context *m)
{
	return m->c->server.order != PS_MEASURE_ORDER_ARRIVAL;
}

static void put_agreement(struct ps_strbuf *b, const struct ps_measure_tenant *t)
{
	char sla[PS_SLA_SIZE];
	ps_strbuf_puts(b, "    sla: ");
	ps_json_quote(b, ps_sla_format(&t->sla, sla));
	ps_strbuf_putc(b, '\n');
}

/* Within one tenant the server's order is that of arrival: so all members are one, with one key,
 * and may wait as they might apart. */
static enum ps_status put_one_tenant(struct ps_strbuf *b, const struct ps_measure_context *m,
				     struct ps_measure_live *live, struct ps_error *err)
{
	char digest[PS_TENANCY_DIGEST_SIZE];
	int64_t limit = m->c->server.queue_limit * live->key_len;
	enum ps_status st = ps_tenancy_make_key(live->keys[0], digest, err);
	for (int i = 1; i < live->key_len && st == PS_OK; i++) {
		memcpy(live->keys[i], live->keys[0], sizeof(live->keys[0]));
	}
	ps_strbuf_printf(b, "tenants:\n  - name: everybody\n    keys: [\"%s\"]\n", digest);
	ps_strbuf_printf(b, "    queue_limit: %lld\n",
			 (long long)(limit < MAX_QUEUE_LIMIT ? limit : MAX_QUEUE_LIMIT));
	return st;
}

/* One tenant per member, or per copy of the only member. */
static enum ps_status put_tenants(struct ps_strbuf *b, const struct ps_measure_context *m,
				  const struct ps_store_set *set,
				  const struct ps_measure_start *how, struct ps_measure_live *live,
				  struct ps_error *err)
{
	ps_strbuf_puts(b, "tenants:\n");
	for (int i = 0; i < live->key_len; i++) {
		const struct ps_measure_tenant *t = member(m->c, set, how->copies ? 0 : i);
		char digest[PS_TENANCY_DIGEST_SIZE], name[PS_MEASURE_MEMBER_SIZE];
		enum ps_status st = ps_tenancy_make_key(live->keys[i], digest, err);
		if (st != PS_OK) {
			return st;
		}
		ps_strbuf_printf(b, "  - name: %s\n    keys: [\"%s\"]\n    models: [",
				 ps_measure_member_name(t, i, how->copies, name), digest);
		put_names(b, m, t, how);
		ps_strbuf_printf(b, "]\n    queue_limit: %lld\n",
				 (long long)m->c->server.queue_limit);
		if (m->c->server.order == PS_MEASURE_ORDER_AGREEMENTS) {
			put_agreement(b, t);
		}
	}
	return PS_OK;
}

/* The operator sees the metrics of all tenants. */
static enum ps_status put_operator(struct ps_strbuf *b, struct ps_measure_live *live,
				   struct ps_error *err)
{
	char digest[PS_TENANCY_DIGEST_SIZE];
	live->metrics_key = malloc(PS_TENANCY_KEY_SIZE);
	if (!live->metrics_key) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a key");
	}
	enum ps_status st = ps_tenancy_make_key(live->metrics_key, digest, err);
	ps_strbuf_printf(b, "admin_keys: [\"%s\"]\n", digest);
	return st;
}

static enum ps_status put_written(struct ps_strbuf *b, const struct ps_measure_context *m,
				  const struct ps_store_set *set,
				  const struct ps_measure_start *how, struct ps_measure_live *live,
				  struct ps_error *err)
{
	put_models(b, m, set, how);
	return has_own_queues(m) ? put_tenants(b, m, set, how, live, err)
				 : put_one_tenant(b, m, live, err);
}

static enum ps_status write_config(const struct ps_measure_context *m,
				   const struct ps_store_set *set,
				   const struct ps_measure_start *how, struct ps_measure_live *live,
				   const char *path, struct ps_error *err)
{
	const struct ps_measure_server *s = &m->c->server;
	struct ps_strbuf b;
	char cpus[PS_CPUS_SIZE];
	ps_strbuf_init(&b);
	ps_strbuf_puts(&b, "# written by perseus measure\nlisten: \"127.0.0.1:0\"\n"
			   "grpc: \"off\"\nmetrics: \"127.0.0.1:0\"\n");
	if (ps_cpus_count(&m->c->slice.cpus) > 0) {
		ps_strbuf_printf(&b, "cpus: \"%s\"\n", ps_cpus_format(&m->c->slice.cpus, cpus));
	}
	if (!m->c->server_config) {
		ps_strbuf_printf(&b, "lanes: %lld\nwidth: %s\nseed: %lld\n", (long long)s->lanes,
				 s->width == 1 ? "wide" : "narrow", (long long)m->c->seed);
	}
	ps_strbuf_puts(&b, "cache: ");
	ps_json_quote(&b, how->cache_dir ? how->cache_dir : m->cache_dir);
	if (s->library) {
		ps_strbuf_puts(&b, "\nlibrary: ");
		ps_json_quote(&b, s->library);
	}
	ps_strbuf_putc(&b, '\n');
	enum ps_status st = m->c->server_config ? ps_measure_put_given(m, set, live, &b, err)
						: put_written(&b, m, set, how, live, err);
	if (st == PS_OK) {
		st = put_operator(&b, live, err);
	}
	if (st == PS_OK && ps_strbuf_status(&b) != PS_OK) {
		st = ps_error_set(err, PS_EINVAL, "a path is not UTF-8, or there is no memory");
	}
	if (st == PS_OK) {
		st = ps_file_write(path, b.data, b.len, err);
	}
	ps_strbuf_fini(&b);
	return st;
}

static enum ps_status read_ready_line(struct ps_measure_live *live, struct ps_error *err)
{
	json_t *o = NULL;
	struct ps_strbuf url, metrics;
	enum ps_status st = ps_json_parse(live->ready_line, strlen(live->ready_line), &o, err);
	if (st != PS_OK) {
		return st;
	}
	const char *address = ps_json_get_string(o, "http", NULL);
	const char *error = ps_json_get_string(o, "error", NULL);
	const char *metrics_at = ps_json_get_string(o, "metrics", NULL);
	ps_strbuf_init(&url);
	ps_strbuf_init(&metrics);
	if (error || !address) {
		st = ps_error_set(err, PS_EUNAVAIL, "the server did not start: %s",
				  error ? error : "its ready line names no address");
	} else {
		ps_strbuf_printf(&url, "http://%s", address);
		live->url = ps_strbuf_take_data(&url);
		if (metrics_at) {
			ps_strbuf_printf(&metrics, "http://%s/metrics", metrics_at);
			live->metrics_url = ps_strbuf_take_data(&metrics);
		}
		st = live->url ? PS_OK : ps_error_set(err, PS_ENOMEM, "no memory for an address");
	}
	json_decref(o);
	return st;
}

static enum ps_status start(struct ps_measure_context *m, const char *config, const char *log,
			    struct ps_measure_live *live, struct ps_error *err)
{
	char fd[16];
	(void)snprintf(fd, sizeof(fd), "%d", PS_HOST_READY_FD);
	const char *argv[] = {m->run->program, "serve", "--config", config, "--ready-fd", fd, NULL};
	struct ps_host_slice slice = {.cpus = m->c->slice.cpus,
				      .memory_bytes = m->c->slice.memory_bytes,
				      .cpu_quota = m->c->slice.cpu_quota};
	struct ps_host_start how = {.argv = argv, .slice = &slice, .log_path = log};
	enum ps_status st = ps_host_start(&how, &live->process, err);
	if (st == PS_OK) {
		st = ps_host_wait_ready(live->process, READY_TIMEOUT_NS, &live->ready_line, err);
	}
	return st == PS_OK ? read_ready_line(live, err) : st;
}

/* The name of a set may be longer than a file's. */
static void file_name(const struct ps_measure_context *m, const struct ps_store_set *set,
		      const char *ending, struct ps_strbuf *out)
{
	if (strlen(set->name) <= MAX_SET_FILE) {
		ps_strbuf_printf(out, "%s/%s.%s", m->config_dir, set->name, ending);
	} else {
		ps_strbuf_printf(out, "%s/set-%td.%s", m->config_dir, set - m->plan->sets, ending);
	}
}

static enum ps_status start_own(struct ps_measure_context *m, const struct ps_store_set *set,
				const struct ps_measure_start *how, struct ps_measure_live *live,
				struct ps_error *err)
{
	struct ps_strbuf config, log;
	ps_strbuf_init(&config);
	ps_strbuf_init(&log);
	file_name(m, set, "yaml", &config);
	file_name(m, set, "log", &log);
	enum ps_status st = write_config(m, set, how, live, config.data, err);
	int64_t begun_ns = ps_clock_now_ns();
	if (st == PS_OK) {
		st = start(m, config.data, log.data, live, err);
	}
	live->ready_ns = ps_clock_now_ns() - begun_ns;
	if (st == PS_OK) {
		st = ps_measure_manifest_library(m, ps_host_pid(live->process), err);
	}
	ps_strbuf_fini(&config);
	ps_strbuf_fini(&log);
	return st;
}

/* A server that is there already: it must say that it is ready, and what it is, is kept. */
static enum ps_status join_remote(struct ps_measure_context *m, const struct ps_store_set *set,
				  struct ps_measure_live *live, struct ps_error *err)
{
	const char *base = m->c->server.url;
	const struct ps_measure_live there = {.url = (char *)base};
	char *body = NULL;
	size_t len = 0;
	enum ps_status st = ps_measure_ask_server(m, set, &there, "/v2", &body, &len, err);
	if (st != PS_OK) {
		return st;
	}
	json_t *o = NULL;
	if (ps_json_parse(body, len, &o, NULL) != PS_OK) {
		free(body);
		ps_error_set(err, PS_EUNAVAIL, "the answer to GET /v2 is no JSON");
		ps_error_where(err, "%.200s", base);
		ps_error_hint(err, "server.url must name an Open Inference Protocol server");
		return PS_EUNAVAIL;
	}
	json_decref(o);
	live->ready_line = body;
	live->url = strdup(base);
	live->metrics_url = m->c->server.metrics ? strdup(m->c->server.metrics) : NULL;
	live->metrics_key = m->metrics_key ? strdup(m->metrics_key) : NULL;
	return live->url ? PS_OK : ps_error_set(err, PS_ENOMEM, "no memory for an address");
}

enum ps_status ps_measure_ask_server(const struct ps_measure_context *m,
				     const struct ps_store_set *set,
				     const struct ps_measure_live *live, const char *path,
				     char **ret_body, size_t *ret_len, struct ps_error *err)
{
	int who = set->members[0];
	/* as its requests come, unless they go elsewhere */
	bool elsewhere = member(m->c, set, 0)->target.urls.len > 0;
	const struct ps_measure_page page = {
		.url = live->url,
		.tail = path,
		.key = m->c->server.url ? m->keys[who] : live->keys[0],
		.tls = elsewhere ? &m->tls : &m->targets[who].tls,
	};
	return ps_measure_get(&page, ret_body, ret_len, err);
}

enum ps_status ps_measure_server_start(struct ps_measure_context *m, const struct ps_store_set *set,
				       const struct ps_measure_start *how,
				       struct ps_measure_live *ret_live, struct ps_error *err)
{
	struct ps_measure_live live = {.key_len = how->copies ? how->copies : set->member_len};
	live.keys = calloc((size_t)live.key_len, sizeof(*live.keys));
	if (!live.keys) {
		return ps_error_set(err, PS_ENOMEM, "no memory for keys");
	}
	enum ps_status st = m->c->server.url ? join_remote(m, set, &live, err)
					     : start_own(m, set, how, &live, err);
	if (st != PS_OK) {
		(void)ps_measure_server_stop(&live, NULL);
		return st;
	}
	*ret_live = live;
	return PS_OK;
}

enum ps_status ps_measure_server_stop(struct ps_measure_live *live, struct ps_error *err)
{
	enum ps_status st = ps_host_stop(live->process, STOP_TIMEOUT_NS, err);
	free(live->url);
	free(live->ready_line);
	free(live->metrics_url);
	free(live->metrics_key);
	free(live->keys);
	memset(live, 0, sizeof(*live));
	return st;
}

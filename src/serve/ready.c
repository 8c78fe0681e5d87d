/* ready.c - what is said once the server serves: in the log, and on the descriptor of whoever
 * started it. I/O thread 0. */
#include "base/json.h"
#include "base/log.h"
#include "serve/observe_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Rows of the ready line, and pairs of tenant and model that are looked at for them. */
enum { MAX_READY_ROWS = 4096, MAX_READY_PAIRS = 200000 };

static void write_ready_line(struct ps_serve *s, json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	json_decref(line);
	for (size_t at = 0, n = text ? strlen(text) : 0; at <= n && text;) {
		text[n] = '\n'; /* in place of the NUL */
		ssize_t k = write(s->ready_fd, text + at, n + 1 - at);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			ps_log(PS_LOG_WARN, "serve", "nobody reads descriptor %d", s->ready_fd);
			break;
		}
		at += (size_t)k;
	}
	free(text);
	close(s->ready_fd);
	s->ready_fd = -1;
}

/* Under the lock; NULL when nothing is loaded. */
static json_t *model_row(const struct ps_serve *s, const char *tenant, int domain, int model)
{
	int number = ps_repo_serving(s->repo, model, domain);
	if (number < 0)
		return NULL;
	const struct ps_repo_model *m = ps_repo_get(s->repo, model);
	const struct ps_serve_instance *in = ps_repo_instance_get(s->repo, number)->user;
	json_t *row = json_object();
	if (tenant)
		ps_json_set_string(row, "tenant", tenant);
	ps_json_set_string(row, "name", m->name);
	ps_json_set_string(row, "version", m->version_text);
	ps_json_set_string(row, "platform", in->describe.platform);
	ps_json_set_int(row, "private_bytes", in->memory.private_bytes);
	ps_json_set_int(row, "mapped_bytes", in->memory.mapped_bytes);
	ps_json_set_int(row, "load_ns", in->memory.load_ns);
	return row;
}

static void add_rows_of(const struct ps_serve *s, int tenant, json_t *rows)
{
	const struct ps_tenancy *t = s->ios[0].snapshot->tenancy;
	int n = ps_repo_count(s->repo);
	for (int m = 0; m < n && json_array_size(rows) < MAX_READY_ROWS; m++) {
		if (!ps_tenancy_sees(t, tenant, ps_repo_get(s->repo, m)->name))
			continue;
		json_t *row =
			model_row(s, ps_tenancy_name(t, tenant), ps_serve_domain(t, tenant), m);
		if (row)
			json_array_append_new(rows, row);
	}
}

/* By tenant where that stays readable; of large sets only the models. */
static json_t *model_rows(struct ps_serve *s)
{
	const struct ps_tenancy *t = s->ios[0].snapshot->tenancy;
	json_t *rows = json_array();
	pthread_mutex_lock(&s->lock);
	int n = ps_repo_count(s->repo), tenants = ps_tenancy_count(t);
	if ((int64_t)n * tenants <= MAX_READY_PAIRS) {
		for (int i = 0; i < tenants; i++)
			if (ps_tenancy_exists(t, i))
				add_rows_of(s, i, rows);
	} else {
		for (int m = 0; m < n && json_array_size(rows) < MAX_READY_ROWS; m++) {
			json_t *row = model_row(s, NULL, PS_REPO_SHARED, m);
			if (row)
				json_array_append_new(rows, row);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return rows;
}

/* The first address of a kind, or NULL. */
static const char *address_of(const struct ps_serve *s, enum ps_serve_listener_kind kind)
{
	const struct ps_serve_io *io = &s->ios[0];
	for (int i = 0; i < io->n_listeners; i++)
		if (io->listeners[i].kind == kind)
			return io->listeners[i].address;
	return NULL;
}

static json_t *ready_line(struct ps_serve *s)
{
	json_t *line = json_object();
	ps_json_set_string(line, "http", address_of(s, PS_SERVE_LISTEN_HTTP));
	ps_json_set_string(line, "grpc", address_of(s, PS_SERVE_LISTEN_GRPC));
	ps_json_set_string(line, "metrics", address_of(s, PS_SERVE_LISTEN_METRICS));
	ps_json_set_int(line, "pid", getpid());
	ps_json_set_int(line, "lanes", ps_exec_lanes(s->exec));
	pthread_mutex_lock(&s->engines_lock);
	for (int i = 0; i < PS_SERVE_MAX_ENGINES && s->engines[i].ops; i++)
		ps_json_set_string(line, s->engines[i].ops->name,
				   s->engines[i].ops->version(s->engines[i].engine));
	pthread_mutex_unlock(&s->engines_lock);
	json_object_set_new(line, "models", model_rows(s));
	return line;
}

void ps_serve_write_error_line(struct ps_serve *s, const struct ps_error *err)
{
	char text[1024];
	json_t *line = json_object();
	ps_json_set_string(line, "error", ps_error_format(err, text, sizeof text));
	write_ready_line(s, line);
}

/* Versions that somebody is served, and what is loaded for that. */
static void count_ready(struct ps_serve *s, int *ret_models, int *ret_instances)
{
	const struct ps_repo *r = s->repo;
	*ret_models = *ret_instances = 0;
	pthread_mutex_lock(&s->lock);
	bool *served = calloc((size_t)ps_repo_count(r) + 1, sizeof *served);
	for (int i = 0; i < ps_repo_instances(r); i++) {
		const struct ps_repo_instance *in = ps_repo_instance_get(r, i);
		if (in->state != PS_REPO_INSTANCE_READY)
			continue;
		++*ret_instances;
		for (int k = 0; served && k < in->n_users; k++) {
			*ret_models += !served[in->users[k]];
			served[in->users[k]] = true;
		}
	}
	pthread_mutex_unlock(&s->lock);
	free(served);
}

static const char *or_nothing(const char *text)
{
	return text ? text : "-";
}

void ps_serve_loaded(struct ps_serve *s)
{
	if (s->loaded || atomic_load(&s->draining) || s->closing)
		return;
	s->loaded = true;
	atomic_store(&s->ready, true);
	ps_serve_notify_ready(s);
	int models, instances;
	count_ready(s, &models, &instances);
	ps_log(PS_LOG_INFO, "serve",
	       "ready: http %s, grpc %s, metrics %s; models %d, instances %d, lanes %d",
	       or_nothing(address_of(s, PS_SERVE_LISTEN_HTTP)),
	       or_nothing(address_of(s, PS_SERVE_LISTEN_GRPC)),
	       or_nothing(address_of(s, PS_SERVE_LISTEN_METRICS)), models, instances,
	       ps_exec_lanes(s->exec));
	if (s->ready_fd >= 0)
		write_ready_line(s, ready_line(s));
	ps_serve_recall(s);
}

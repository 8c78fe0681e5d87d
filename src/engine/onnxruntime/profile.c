/* profile.c - where a session's time went, from the library's own profiler.
 *
 * The profiler writes one JSON file per session: an array of events with "cat", "name", "ts" and
 * "dur" in microseconds. Kernels are events of category Node whose name ends in "_kernel_time" and
 * whose args name the operator; a run is an event "model_run" of category Session. */
#include "engine/onnxruntime/ort_internal.h"

#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE_BYTES ((size_t)256 << 20)
#define KERNEL	       "_kernel_time"

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* The file's name is the library's to choose: the prefix and the time. */
static enum ps_status end_profile(struct ps_engine_instance *i, char **ret_path,
				  struct ps_error *err)
{
	const struct ps_ort_api *a = &i->engine->api;
	void *allocator = NULL;
	char *path = NULL;
	struct ps_ort_status *s = a->default_allocator(&allocator);
	enum ps_status st;

	if (!s)
		s = a->session_end_profiling(i->narrow, allocator, &path);
	st = ps_ort_check(a, s, err, "cannot end the profile");
	if (st != PS_OK)
		return st;
	*ret_path = path && *path ? strdup(path) : NULL;
	if (path && (s = a->allocator_free(allocator, path)))
		a->release_status(s);
	return *ret_path ? PS_OK : ps_error_set(err, PS_EENGINE, "the library wrote no profile");
}

/* ---- reading it ---- */

static const char *category(const json_t *event)
{
	return ps_json_get_string(event, "cat", "");
}

static bool is_run(const json_t *event)
{
	return strcmp(category(event), "Session") == 0 &&
	       strcmp(ps_json_get_string(event, "name", ""), "model_run") == 0;
}

static const char *operator_of(const json_t *event)
{
	if (strcmp(category(event), "Node") != 0 ||
	    !ends_with(ps_json_get_string(event, "name", ""), KERNEL))
		return NULL;
	return ps_json_get_string(json_object_get(event, "args"), "op_name", "?");
}

/* The node's own name: the event's without its ending. */
static void node_of(const json_t *event, char name[128])
{
	const char *all = ps_json_get_string(event, "name", "");

	snprintf(name, 128, "%.*s", (int)(strlen(all) - strlen(KERNEL)), all);
}

/* When the runs that count begin: the `skip` first ones are warm-up. Events of a run come before
 * the run's own, so the instant counts, not the order. */
static int64_t begin_of(const json_t *events, int64_t skip, struct ps_engine_profile *p)
{
	int64_t from = INT64_MAX, n = 0;
	size_t k;
	const json_t *e;

	json_array_foreach(events, k, e)
	{
		if (!is_run(e) || n++ < skip)
			continue;
		int64_t ts = ps_json_get_int(e, "ts", 0);
		from = ts < from ? ts : from;
		p->runs++;
		p->run_ns += 1000 * ps_json_get_int(e, "dur", 0);
	}
	return from;
}

static struct ps_engine_operator *row_of(struct ps_engine_profile *p, const char *name)
{
	for (size_t k = 0; k < p->len; k++)
		if (strncmp(p->operators[k].name, name, sizeof(p->operators[k].name) - 1) == 0)
			return &p->operators[k];
	struct ps_engine_operator *all =
		realloc(p->operators, (p->len + 1) * sizeof(*p->operators));
	if (!all)
		return NULL;
	p->operators = all;
	memset(&all[p->len], 0, sizeof(all[0]));
	snprintf(all[p->len].name, sizeof(all[0].name), "%s", name);
	return &all[p->len++];
}

/* Every run visits the nodes in the same order, so that the next one is mostly the one behind. */
static struct ps_engine_node *node_row(struct ps_engine_profile *p, size_t *last, const char *name,
				       const char *op)
{
	for (size_t k = 0; k < p->nodes_len; k++) {
		size_t at = (*last + 1 + k) % p->nodes_len;
		if (strcmp(p->nodes[at].name, name) == 0 &&
		    strncmp(p->nodes[at].op, op, sizeof(p->nodes[at].op) - 1) == 0) {
			*last = at;
			return &p->nodes[at];
		}
	}
	struct ps_engine_node *all = realloc(p->nodes, (p->nodes_len + 1) * sizeof(*p->nodes));
	if (!all)
		return NULL;
	p->nodes = all;
	*last = p->nodes_len++;
	memset(&all[*last], 0, sizeof(all[0]));
	snprintf(all[*last].name, sizeof(all[0].name), "%s", name);
	snprintf(all[*last].op, sizeof(all[0].op), "%s", op);
	return &all[*last];
}

static bool add_event(struct ps_engine_profile *p, size_t *last, const json_t *event,
		      const char *op)
{
	char name[128];
	int64_t ns = 1000 * ps_json_get_int(event, "dur", 0);

	node_of(event, name);
	struct ps_engine_operator *row = row_of(p, op);
	struct ps_engine_node *node = node_row(p, last, name, op);
	if (!row || !node)
		return false;
	row->calls++;
	row->total_ns += ns;
	node->calls++;
	node->total_ns += ns;
	return true;
}

static int by_time(const void *x, const void *y)
{
	const struct ps_engine_operator *a = x, *b = y;

	return (a->total_ns < b->total_ns) - (a->total_ns > b->total_ns);
}

static enum ps_status add_up(const json_t *events, int64_t skip, struct ps_engine_profile *p,
			     struct ps_error *err)
{
	int64_t from = begin_of(events, skip, p);
	size_t k, last = 0;
	const json_t *e;

	json_array_foreach(events, k, e)
	{
		const char *op = operator_of(e);
		if (!op || ps_json_get_int(e, "ts", 0) < from)
			continue;
		if (!add_event(p, &last, e, op))
			return ps_error_set(err, PS_ENOMEM, "no memory for a profile");
	}
	if (p->runs == 0 || p->len == 0)
		return ps_error_set(err, PS_EENGINE, "the library's profile holds no run");
	qsort(p->operators, p->len, sizeof(*p->operators), by_time);
	return PS_OK;
}

enum ps_status ps_ort_profile_read(const char *text, size_t len, int64_t skip,
				   struct ps_engine_profile *ret_profile, struct ps_error *err)
{
	struct ps_engine_profile p = {.len = 0};
	json_t *events = NULL;
	/* the library writes a key twice now and then: its own reader does not mind */
	json_error_t why;

	events = json_loadb(text, len, 0, &why);
	if (!json_is_array(events)) {
		json_decref(events);
		return ps_error_set(err, PS_EENGINE, "the library's profile cannot be read: %s",
				    events ? "no array" : why.text);
	}
	enum ps_status st = add_up(events, skip, &p, err);
	json_decref(events);
	if (st != PS_OK) {
		free(p.operators);
		free(p.nodes);
		return st;
	}
	*ret_profile = p;
	return PS_OK;
}

enum ps_status ps_ort_profile(struct ps_engine_instance *i, int64_t skip,
			      struct ps_engine_profile *ret_profile, struct ps_error *err)
{
	char *path = NULL, *text = NULL;
	size_t len = 0;
	enum ps_status st = end_profile(i, &path, err);

	if (st == PS_OK)
		st = ps_file_read(path, MAX_FILE_BYTES, &text, &len, err);
	if (st == PS_OK)
		st = ps_ort_profile_read(text, len, skip, ret_profile, err);
	if (path)
		unlink(path);
	free(text);
	free(path);
	return st;
}

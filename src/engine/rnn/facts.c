/* facts.c - see facts.h. */
#include "engine/rnn/facts.h"
#include "engine/rnn/graph_internal.h"
#include "engine/rnn/node.h"

#include "base/clock.h"
#include "base/file.h"
#include "model/onnx.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MOST_KEPT  4096
#define SETTLED_NS PS_NS_PER_SEC /* a file may change again within a tick of its clock */

struct kept {
	struct kept *next;
	char *path;
	struct ps_engine_identity identity;
	struct ps_rnn_facts facts[PS_RNN_PRECISIONS];
};

static struct {
	pthread_mutex_t lock;
	struct kept *first;
	int n;
	int64_t reads;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- what is remembered ---- */

static bool recall(const char *path, const struct ps_engine_identity *now,
		   enum ps_rnn_precision precision, struct ps_rnn_facts *ret)
{
	bool found = false;

	pthread_mutex_lock(&all.lock);
	for (struct kept **at = &all.first; *at; at = &(*at)->next) {
		struct kept *k = *at;
		if (strcmp(k->path, path) != 0)
			continue;
		found = ps_engine_same(&k->identity, now);
		if (found) {
			*ret = k->facts[precision];
		} else {
			*at = k->next;
			all.n--;
			free(k->path);
			free(k);
		}
		break;
	}
	pthread_mutex_unlock(&all.lock);
	return found;
}

static void keep(const char *path, const struct ps_engine_identity *identity,
		 const struct ps_rnn_facts *facts)
{
	bool settled = identity->ctime_ns <= ps_clock_wall_ns() - SETTLED_NS;
	struct kept *k = settled ? calloc(1, sizeof *k) : NULL;

	if (!k)
		return;
	k->path = strdup(path);
	k->identity = *identity;
	memcpy(k->facts, facts, sizeof k->facts);
	pthread_mutex_lock(&all.lock);
	if (k->path && all.n < MOST_KEPT) {
		k->next = all.first;
		all.first = k;
		all.n++;
		k = NULL;
	}
	pthread_mutex_unlock(&all.lock);
	if (k)
		free(k->path);
	free(k);
}

int64_t ps_rnn_facts_reads(void)
{
	pthread_mutex_lock(&all.lock);
	int64_t n = all.reads;
	pthread_mutex_unlock(&all.lock);
	return n;
}

/* ---- reading ---- */

static bool seen_before(const struct ps_edit *e, int k)
{
	for (int i = 0; i < k; i++) {
		if (ps_rnn_node_is(&e->nodes[i]) && ps_rnn_node_same(e, &e->nodes[i], &e->nodes[k]))
			return true;
	}
	return false;
}

static void add_layer(const struct ps_rnn_node_need *n, struct ps_rnn_facts *f)
{
	int64_t exact = n->exact.packed_bytes + n->exact.run_bytes;
	int64_t most = n->copied_bytes + exact;

	f->packed_bytes += n->layer.packed_bytes;
	f->run_bytes += n->layer.run_bytes;
	f->exact_bytes += exact;
	f->most_bytes = most > f->most_bytes ? most : f->most_bytes;
}

/* `uses`, by stored tensor: how often layers read it. */
static void add_node(const struct ps_edit *e, int k, enum ps_rnn_precision precision, int *uses,
		     struct ps_rnn_facts *f)
{
	const struct ps_edit_node *n = &e->nodes[k];
	struct ps_rnn_node_need need;
	struct ps_error err;

	if (ps_rnn_node_need(e, n, precision, &need, &err) != PS_OK)
		return;
	f->layers++;
	for (int i = 0; i < 4; i++) {
		int place = ps_rnn_node_places[i];
		const struct ps_edit_stored *t =
			place < n->n_in ? ps_edit_find(e, n->in[place]) : NULL;
		if (t)
			uses[t - e->stored]++;
	}
	if (!seen_before(e, k))
		add_layer(&need, f);
}

static enum ps_status look(const struct ps_edit *e, enum ps_rnn_precision precision,
			   struct ps_rnn_facts *f, struct ps_error *err)
{
	int *uses = calloc((size_t)e->n_stored + 1, sizeof *uses);
	struct ps_error why;

	if (!uses)
		return ps_error_set(err, PS_ENOMEM, "no memory to read a model");
	*f = (struct ps_rnn_facts){.file_bytes = (int64_t)e->len};
	f->pure = ps_rnn_graph_is_pure(e, precision, &why);
	for (int k = 0; k < e->n_nodes; k++) {
		if (ps_rnn_node_is(&e->nodes[k]))
			add_node(e, k, precision, uses, f);
	}
	for (int i = 0; i < e->n_stored; i++) {
		if (e->stored[i].external) { /* such a file is not taken apart */
			const struct ps_rnn_facts none = {.pure = f->pure,
							  .file_bytes = f->file_bytes};
			*f = none;
			break;
		}
		if (uses[i] > 0 && uses[i] == e->stored[i].uses)
			f->weight_bytes += e->stored[i].elements * (int64_t)sizeof(float);
	}
	free(uses);
	return PS_OK;
}

static enum ps_status read_file(const char *path, struct ps_rnn_facts *facts, struct ps_error *err)
{
	struct ps_edit edit;
	char *data;
	size_t len;
	enum ps_status st = ps_file_read(path, (size_t)PS_ONNX_MAX_BYTES, &data, &len, err);

	if (st != PS_OK)
		return st;
	pthread_mutex_lock(&all.lock);
	all.reads++;
	pthread_mutex_unlock(&all.lock);
	st = ps_edit_parse(data, len, &edit, err);
	if (st == PS_OK) {
		for (int p = 0; st == PS_OK && p < PS_RNN_PRECISIONS; p++)
			st = look(&edit, (enum ps_rnn_precision)p, &facts[p], err);
		ps_edit_fini(&edit);
	}
	free(data);
	return st;
}

enum ps_status ps_rnn_facts_get(const char *path, enum ps_rnn_precision precision,
				struct ps_rnn_facts *ret_facts, struct ps_error *err)
{
	struct ps_rnn_facts facts[PS_RNN_PRECISIONS];
	struct ps_engine_identity now;
	enum ps_status st;

	if (!ps_engine_identify(path, &now))
		return ps_error_set(err, PS_ENOTFOUND, "there is no file %s", path);
	if (recall(path, &now, precision, ret_facts))
		return PS_OK;
	st = read_file(path, facts, err);
	if (st != PS_OK)
		return st;
	keep(path, &now, facts); /* changed meanwhile: then its identity is another */
	*ret_facts = facts[precision];
	return PS_OK;
}

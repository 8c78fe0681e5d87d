#include "predict/match.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_layout(const char *type)
{
	return strcmp(type, "ReorderInput") == 0 || strcmp(type, "ReorderOutput") == 0;
}

static int compare(const char *type_a, const char *name_a, const char *type_b, const char *name_b)
{
	int c = strcmp(name_a, name_b);
	return c ? c : strcmp(type_a, type_b);
}

static int by_node(const void *a, const void *b)
{
	const struct ps_predict_node_time *x = *(void *const *)a, *y = *(void *const *)b;
	return compare(x->type, x->node, y->type, y->node);
}

/* The row of an operator in the sorted index; its slot, so that it can be marked as found. */
static const struct ps_predict_node_time **find(const struct ps_predict_node_time **index, size_t n,
						const struct ps_predict_op *op)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int c = compare(index[mid]->type, index[mid]->node, op->type, op->name);
		if (c == 0)
			return &index[mid];
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Splits the time of all nodes of a type over the operators of that type. */
static void split(struct ps_predict_model *m, const char *type,
		  const struct ps_predict_node_time *rows, size_t n,
		  struct ps_predict_matched *matched, double *found_ns)
{
	double ns = 0, bytes = 0;
	size_t nodes = 0, ops = 0;
	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].type, type) == 0) {
			ns += rows[i].ns;
			nodes++;
		}
	for (size_t k = 0; k < m->op_count; k++)
		if (strcmp(m->ops[k].type, type) == 0) {
			bytes += ps_predict_op_bytes(&m->ops[k]);
			ops++;
		}
	if (nodes == 0 || ops == 0 || !(bytes > 0))
		return;
	for (size_t k = 0; k < m->op_count; k++)
		if (strcmp(m->ops[k].type, type) == 0)
			m->ops[k].time_ns = ns * ps_predict_op_bytes(&m->ops[k]) / bytes;
	matched->ops += ops;
	matched->nodes += nodes;
	*found_ns += ns;
}

static enum ps_status check(const struct ps_predict_node_time *rows, size_t n, struct ps_error *err)
{
	for (size_t i = 0; i < n; i++)
		if (!(rows[i].ns >= 0) || !isfinite(rows[i].ns))
			return ps_error_set(err, PS_ECORRUPT,
					    "the profile says that node '%.80s' took %g ns",
					    rows[i].node, rows[i].ns);
	return PS_OK;
}

static double match_named(struct ps_predict_model *m, const struct ps_predict_node_time **index,
			  size_t n, bool *taken, struct ps_predict_matched *matched)
{
	double found_ns = 0;
	for (size_t k = 0; k < m->op_count; k++) {
		struct ps_predict_op *op = &m->ops[k];
		const struct ps_predict_node_time **row =
			is_layout(op->type) ? NULL : find(index, n, op);
		op->time_ns = NAN;
		if (!row || taken[row - index])
			continue;
		taken[row - index] = true;
		op->time_ns = (*row)->ns;
		found_ns += (*row)->ns;
		matched->ops++;
		matched->nodes++;
	}
	return found_ns;
}

static void name_lost(const struct ps_predict_model *m, const struct ps_predict_node_time **index,
		      size_t n, const bool *taken, struct ps_predict_matched *matched)
{
	double longest = -1;
	for (size_t i = 0; i < n; i++) {
		if (taken[i] || index[i]->ns <= longest || is_layout(index[i]->type))
			continue;
		longest = index[i]->ns;
		matched->lost_node = index[i]->node;
	}
	for (size_t k = 0; k < m->op_count && !matched->untimed_op; k++)
		if (isnan(m->ops[k].time_ns))
			matched->untimed_op = m->ops[k].name;
}

enum ps_status ps_predict_match(struct ps_predict_model *m, const struct ps_predict_node_time *rows,
				size_t n, struct ps_predict_matched *ret_matched,
				struct ps_error *err)
{
	struct ps_predict_matched matched = {0};
	enum ps_status st = check(rows, n, err);
	if (st != PS_OK)
		return st;
	const struct ps_predict_node_time **index = calloc(n + 1, sizeof *index);
	bool *taken = calloc(n + 1, sizeof *taken);
	if (index && taken) {
		double all_ns = 0;
		for (size_t i = 0; i < n; i++) {
			index[i] = &rows[i];
			all_ns += rows[i].ns;
		}
		qsort(index, n, sizeof *index, by_node);
		double found_ns = match_named(m, index, n, taken, &matched);
		split(m, "ReorderInput", rows, n, &matched, &found_ns);
		split(m, "ReorderOutput", rows, n, &matched, &found_ns);
		name_lost(m, index, n, taken, &matched);
		matched.share = all_ns > 0 ? found_ns / all_ns : 0;
		*ret_matched = matched;
	} else {
		st = ps_error_set(err, PS_ENOMEM, "no memory to match a profile");
	}
	free(index);
	free(taken);
	return st;
}

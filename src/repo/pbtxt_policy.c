/* config.pbtxt: which versions are served, and how requests become batches. */
#include "repo/pbtxt_internal.h"

#include "base/clock.h"

/* ---- versions ---- */

static enum ps_status latest_versions(struct ps_repo_pb *d, const struct ps_repo_node *n,
				      void *into)
{
	int64_t v = 0;
	enum ps_status st = ps_repo_pb_int_of(d, n, 1, PS_REPO_MAX_VERSION, &v);

	((struct ps_repo_policy *)into)->latest = (int)v;
	return st;
}

static enum ps_status specific_version(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       void *into)
{
	struct ps_repo_policy *p = into;

	if (p->n >= PS_REPO_MAX_POLICY)
		return ps_repo_pb_fail(d, n, PS_ETOOBIG, "at most 64 versions can be named", NULL);
	return ps_repo_pb_int_of(d, n, 1, PS_REPO_MAX_VERSION, &p->versions[p->n++]);
}

static enum ps_status policy_latest(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	static const struct ps_repo_pb_field fields[] = {{"num_versions", latest_versions, false},
							 {0}};
	struct ps_repo_policy *p = into;

	p->kind = PS_REPO_LATEST;
	p->latest = 1;
	return ps_repo_pb_read_message(d, n, fields, p);
}

static enum ps_status policy_all(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	static const struct ps_repo_pb_field fields[] = {{0}};

	((struct ps_repo_policy *)into)->kind = PS_REPO_ALL;
	return ps_repo_pb_read_message(d, n, fields, into);
}

static enum ps_status policy_specific(struct ps_repo_pb *d, const struct ps_repo_node *n,
				      void *into)
{
	static const struct ps_repo_pb_field fields[] = {{"versions", specific_version, true}, {0}};
	struct ps_repo_policy *p = into;

	p->kind = PS_REPO_SPECIFIC;
	return ps_repo_pb_read_message(d, n, fields, p);
}

enum ps_status ps_repo_pb_config_policy(struct ps_repo_pb *d, const struct ps_repo_node *n,
					void *into)
{
	static const struct ps_repo_pb_field fields[] = {{"latest", policy_latest, false},
							 {"all", policy_all, false},
							 {"specific", policy_specific, false},
							 {0}};

	if (n->kind == PS_REPO_TEXT_MESSAGE && n->first && n->first->next)
		return ps_repo_pb_fail(d, n, PS_EPARSE, "only one of latest, all and specific",
				       NULL);
	return ps_repo_pb_read_message(d, n, fields, &((struct ps_repo_config *)into)->policy);
}

/* ---- batching ---- */

static enum ps_status preferred(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	struct ps_repo_batching *b = into;
	int64_t v = 0;
	enum ps_status st = ps_repo_pb_int_of(d, n, 1, PS_REPO_MAX_BATCH, &v);
	int at = b->n_preferred;

	if (st != PS_OK)
		return st;
	if (at >= PS_REPO_MAX_PREFERRED)
		return ps_repo_pb_fail(d, n, PS_ETOOBIG, "at most 32 preferred sizes", NULL);
	for (; at > 0 && b->preferred[at - 1] > v; at--)
		b->preferred[at] = b->preferred[at - 1];
	b->preferred[at] = v;
	b->n_preferred++;
	return PS_OK;
}

static enum ps_status microseconds(struct ps_repo_pb *d, const struct ps_repo_node *n, int64_t *to)
{
	enum ps_status st = ps_repo_pb_int_of(d, n, 0, INT64_C(86400) * 1000000, to);

	*to *= PS_NS_PER_US;
	return st;
}

static enum ps_status queue_delay(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return microseconds(d, n, &((struct ps_repo_batching *)into)->max_delay_ns);
}

static enum ps_status ordering(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return ps_repo_pb_bool_of(d, n, &((struct ps_repo_batching *)into)->preserve_ordering);
}

static enum ps_status levels(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return ps_repo_pb_int_of(d, n, 0, PS_REPO_MAX_LEVELS,
				 &((struct ps_repo_batching *)into)->priority_levels);
}

static enum ps_status default_level(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return ps_repo_pb_int_of(d, n, 0, PS_REPO_MAX_LEVELS,
				 &((struct ps_repo_batching *)into)->default_priority_level);
}

static enum ps_status queue_action(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	static const char *const names[] = {"REJECT", "DELAY"};
	int i = 0;
	enum ps_status st = ps_repo_pb_enum_of(d, n, names, 2, &i);

	((struct ps_repo_queue_policy *)into)->delay = i == 1;
	return st;
}

static enum ps_status queue_timeout(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return microseconds(d, n, &((struct ps_repo_queue_policy *)into)->default_timeout_ns);
}

static enum ps_status queue_override(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return ps_repo_pb_bool_of(d, n,
				  &((struct ps_repo_queue_policy *)into)->allow_timeout_override);
}

static enum ps_status queue_size(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return ps_repo_pb_int_of(d, n, 0, UINT32_MAX,
				 &((struct ps_repo_queue_policy *)into)->max_queue_size);
}

static enum ps_status read_queue(struct ps_repo_pb *d, const struct ps_repo_node *n,
				 struct ps_repo_queue_policy *to)
{
	static const struct ps_repo_pb_field fields[] = {
		{"timeout_action", queue_action, false},
		{"default_timeout_microseconds", queue_timeout, false},
		{"allow_timeout_override", queue_override, false},
		{"max_queue_size", queue_size, false},
		{0}};

	return ps_repo_pb_read_message(d, n, fields, to);
}

static enum ps_status queue_policy(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return read_queue(d, n, &((struct ps_repo_batching *)into)->queue);
}

static enum ps_status level_key(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return ps_repo_pb_int_of(d, n, 1, PS_REPO_MAX_LEVELS,
				 &((struct ps_repo_level_policy *)into)->level);
}

static enum ps_status level_queue(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	return read_queue(d, n, &((struct ps_repo_level_policy *)into)->queue);
}

/* One entry of the map. */
static enum ps_status level_policy(struct ps_repo_pb *d, const struct ps_repo_node *n, void *into)
{
	static const struct ps_repo_pb_field fields[] = {
		{"key", level_key, false}, {"value", level_queue, false}, {0}};
	struct ps_repo_batching *b = into;

	if (b->n_level_policies >= PS_REPO_MAX_LEVEL_POLICIES)
		return ps_repo_pb_fail(d, n, PS_ETOOBIG, "at most 64 levels have a policy", NULL);
	return ps_repo_pb_read_message(d, n, fields, &b->level_policies[b->n_level_policies++]);
}

static enum ps_status one_schedule(struct ps_repo_pb *d, const struct ps_repo_node *n)
{
	if (d->scheduled)
		return ps_repo_pb_fail(d, n, PS_EPARSE,
				       "only one of dynamic_batching, sequence_batching and "
				       "ensemble_scheduling",
				       NULL);
	d->scheduled = true;
	return PS_OK;
}

enum ps_status ps_repo_pb_config_batching(struct ps_repo_pb *d, const struct ps_repo_node *n,
					  void *into)
{
	static const struct ps_repo_pb_field fields[] = {
		{"preferred_batch_size", preferred, true},
		{"max_queue_delay_microseconds", queue_delay, false},
		{"preserve_ordering", ordering, false},
		{"priority_levels", levels, false},
		{"default_priority_level", default_level, false},
		{"default_queue_policy", queue_policy, false},
		{"priority_queue_policy", level_policy, true},
		{0}};
	struct ps_repo_config *c = into;
	enum ps_status st = one_schedule(d, n);

	c->batching.on = true;
	return st == PS_OK ? ps_repo_pb_read_message(d, n, fields, &c->batching) : st;
}

enum ps_status ps_repo_pb_no_sequences(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       void *into)
{
	(void)into;
	ps_repo_pb_fail(d, n, PS_EUNSUPPORTED,
			"stateful sequences are not served: every request stands for itself", NULL);
	ps_error_hint(d->err, "keep the state in the client, or serve this model with Triton");
	return PS_EUNSUPPORTED;
}

enum ps_status ps_repo_pb_no_ensembles(struct ps_repo_pb *d, const struct ps_repo_node *n,
				       void *into)
{
	(void)into;
	ps_repo_pb_fail(d, n, PS_EUNSUPPORTED, "ensembles are not served: a model is one ONNX file",
			NULL);
	ps_error_hint(d->err, "merge the steps into one ONNX graph, or call them one by one");
	return PS_EUNSUPPORTED;
}

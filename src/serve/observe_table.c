/* observe_table.c - pairs of tenant and model, and what each I/O thread counts of them. */
#include "serve/observe_parts_internal.h"

#include <stdlib.h>
#include <string.h>

static void add_sum(struct ps_serve_sum *s, uint64_t count, int64_t ns)
{
	s->count += count;
	s->ns += ns;
}

/* The row of a batch size; rows rise, and what finds no row of its own goes into the last. */
struct ps_serve_batches *ps_serve_batch_row(struct ps_serve_counts *c, int64_t rows)
{
	int i = 0;
	while (i < c->n_batches && c->batches[i].rows < rows)
		i++;
	if (i < c->n_batches && c->batches[i].rows == rows)
		return &c->batches[i];
	if (c->n_batches == PS_SERVE_MAX_BATCH_SIZES)
		return &c->batches[i < c->n_batches ? i : c->n_batches - 1];
	memmove(&c->batches[i + 1], &c->batches[i],
		(size_t)(c->n_batches - i) * sizeof *c->batches);
	c->n_batches++;
	c->batches[i] = (struct ps_serve_batches){.rows = rows};
	return &c->batches[i];
}

void ps_serve_counts_add(struct ps_serve_counts *to, const struct ps_serve_counts *from)
{
	struct {
		struct ps_serve_sum *to;
		const struct ps_serve_sum *from;
	} sums[] = {{&to->success, &from->success}, {&to->fail, &from->fail},
		    {&to->queue, &from->queue},	    {&to->input, &from->input},
		    {&to->infer, &from->infer},	    {&to->output, &from->output}};
	for (int i = 0; i < PS_SERVE_OUTCOME_COUNT; i++)
		to->outcomes[i] += from->outcomes[i];
	for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
		add_sum(sums[i].to, sums[i].from->count, sums[i].from->ns);
	to->inferences += from->inferences;
	to->executions += from->executions;
	ps_metrics_hist_merge(&to->latency, &from->latency);
	ps_metrics_hist_merge(&to->waited, &from->waited);
	ps_metrics_hist_merge(&to->computed, &from->computed);
	to->judged += from->judged;
	to->good += from->good;
	to->bytes_in += from->bytes_in;
	to->bytes_out += from->bytes_out;
	to->cost_ns += from->cost_ns;
	if (from->last_wall_ms > to->last_wall_ms)
		to->last_wall_ms = from->last_wall_ms;
	for (int i = 0; i < from->n_batches; i++) {
		const struct ps_serve_batches *b = &from->batches[i];
		struct ps_serve_batches *t = ps_serve_batch_row(to, b->rows);
		add_sum(&t->input, b->input.count, b->input.ns);
		add_sum(&t->infer, b->infer.count, b->infer.ns);
		add_sum(&t->output, b->output.count, b->output.ns);
	}
}

/* --- pairs and cells --- */

static size_t hash_of(int tenant, int model)
{
	uint64_t x = (uint64_t)(uint32_t)tenant << 32 | (uint32_t)model;
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(x ^ x >> 32);
}

struct ps_serve_cell *ps_serve_find_cell(const struct ps_serve_observe_io *io, int tenant,
					 int model)
{
	if (io->n_buckets == 0)
		return NULL;
	struct ps_serve_cell *c = io->buckets[hash_of(tenant, model) & (io->n_buckets - 1)];
	while (c && (c->tenant != tenant || c->model != model))
		c = c->next;
	return c;
}

static enum ps_status grow_buckets(struct ps_serve_observe_io *io)
{
	size_t n = io->n_buckets ? 2 * io->n_buckets : PS_SERVE_CELL_BUCKETS_MIN;
	struct ps_serve_cell **more = calloc(n, sizeof *more);
	if (!more)
		return PS_ENOMEM;
	for (size_t i = 0; i < io->n_buckets; i++)
		for (struct ps_serve_cell *c = io->buckets[i], *next; c; c = next) {
			struct ps_serve_cell **to = &more[hash_of(c->tenant, c->model) & (n - 1)];
			next = c->next;
			c->next = *to;
			*to = c;
		}
	free(io->buckets);
	io->buckets = more;
	io->n_buckets = n;
	return PS_OK;
}

static struct ps_serve_pair *find_pair(const struct ps_serve_observe *o, int tenant, int model)
{
	struct ps_serve_pair *p = o->pair_hash[hash_of(tenant, model) % PS_SERVE_PAIR_BUCKETS];
	while (p && (p->tenant != tenant || p->model != model))
		p = p->next;
	return p;
}

static struct ps_serve_pair *new_pair(struct ps_serve_observe *o, int tenant, int model)
{
	if (o->n_pairs == o->cap_pairs) {
		size_t cap = o->cap_pairs ? 2 * o->cap_pairs : 64;
		struct ps_serve_pair **more = realloc(o->pairs, cap * sizeof *more);
		if (!more)
			return NULL;
		o->pairs = more;
		o->cap_pairs = cap;
	}
	struct ps_serve_pair *p = calloc(1, sizeof *p);
	struct ps_serve_cell **cells = calloc((size_t)o->n_ios, sizeof *cells);
	if (!p || !cells) {
		free(p);
		free(cells);
		return NULL;
	}
	/* The first pairs to be used have series of their own, for good: a counter that moved from
	 * "other" to a name would make "other" fall. */
	*p = (struct ps_serve_pair){.tenant = tenant,
				    .model = model,
				    .own_series = o->n_pairs < o->max_series,
				    .cells = cells};
	struct ps_serve_pair **first =
		&o->pair_hash[hash_of(tenant, model) % PS_SERVE_PAIR_BUCKETS];
	p->next = *first;
	*first = p;
	o->pairs[o->n_pairs++] = p;
	return p;
}

static enum ps_status join_pair(struct ps_serve_observe *o, int number, struct ps_serve_cell *c)
{
	pthread_mutex_lock(&o->lock);
	struct ps_serve_pair *p = find_pair(o, c->tenant, c->model);
	if (!p)
		p = new_pair(o, c->tenant, c->model);
	if (p)
		p->cells[number] = c;
	pthread_mutex_unlock(&o->lock);
	return p ? PS_OK : PS_ENOMEM;
}

struct ps_serve_cell *ps_serve_new_cell(struct ps_serve_observe_io *io, int tenant, int model)
{
	if (io->n_cells >= io->n_buckets && grow_buckets(io) != PS_OK)
		return NULL;
	struct ps_serve_cell *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->tenant = tenant;
	c->model = model;
	if (join_pair(io->observe, io->number, c) != PS_OK) {
		free(c);
		return NULL;
	}
	struct ps_serve_cell **to = &io->buckets[hash_of(tenant, model) & (io->n_buckets - 1)];
	c->next = *to;
	*to = c;
	io->n_cells++;
	return c;
}

size_t ps_serve_pairs(struct ps_serve_observe *o)
{
	pthread_mutex_lock(&o->lock);
	size_t n = o->n_pairs;
	pthread_mutex_unlock(&o->lock);
	return n;
}

const struct ps_serve_pair *ps_serve_pair_get(struct ps_serve_observe *o, size_t pair)
{
	pthread_mutex_lock(&o->lock);
	const struct ps_serve_pair *p = o->pairs[pair];
	pthread_mutex_unlock(&o->lock);
	return p;
}

void ps_serve_pair_read(struct ps_serve_observe *o, size_t pair, struct ps_serve_counts *ret_counts)
{
	const struct ps_serve_pair *p = ps_serve_pair_get(o, pair);
	memset(ret_counts, 0, sizeof *ret_counts);
	for (int i = 0; i < o->n_ios; i++) {
		pthread_mutex_lock(&o->lock);
		const struct ps_serve_cell *c = p->cells[i];
		pthread_mutex_unlock(&o->lock);
		if (!c)
			continue;
		pthread_mutex_lock(&o->ios[i].lock);
		ps_serve_counts_add(ret_counts, &c->counts);
		pthread_mutex_unlock(&o->ios[i].lock);
	}
}

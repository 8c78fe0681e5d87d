/* serve_bill_money.c - what the machine cost, split by the server's ledger. */
#include "serve_bill_money_internal.h"

#include "base/arena.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rows of the ledger, versions of a model added up. */
struct rows {
	struct ps_arena names;
	struct ps_cost_bill_row *items;
	size_t len, cap;
	bool too_many, overflow, no_memory;
};

static bool grow(struct rows *r)
{
	size_t cap = r->cap ? 2 * r->cap : 64;
	struct ps_cost_bill_row *items = realloc(r->items, cap * sizeof *items);

	if (!items)
		return false;
	r->items = items;
	r->cap = cap;
	return true;
}

static struct ps_cost_bill_row *row_of(struct rows *r, const struct ps_state_usage *u)
{
	struct ps_cost_bill_row *last = r->len ? &r->items[r->len - 1] : NULL;

	if (last && strcmp(last->tenant, u->tenant) == 0 && strcmp(last->model, u->model) == 0)
		return last;
	r->too_many = r->len == PS_COST_MAX_BILL_ROWS;
	if (r->too_many || ((r->len == r->cap || !r->items) && !grow(r)))
		return NULL;
	struct ps_cost_bill_row *row = &r->items[r->len];
	*row = (struct ps_cost_bill_row){
		.tenant = ps_arena_strndup(&r->names, u->tenant, strlen(u->tenant)),
		.model = ps_arena_strndup(&r->names, u->model, strlen(u->model))};
	if (!row->tenant || !row->model)
		return NULL;
	r->len++;
	return row;
}

static void add(struct rows *r, int64_t *to, int64_t v)
{
	r->overflow |= __builtin_add_overflow(*to, v, to);
}

static bool on_row(void *ctx, const struct ps_state_usage *u)
{
	struct rows *r = ctx;
	struct ps_cost_bill_row *row = row_of(r, u);

	if (!row) {
		r->no_memory = !r->too_many;
		return false;
	}
	add(r, &row->requests, u->requests);
	add(r, &row->inferences, u->inferences);
	add(r, &row->compute_ns, u->compute_ns);
	add(r, &row->resident_byte_s, u->resident_byte_s);
	return !r->overflow;
}

static enum ps_status read_rows(struct ps_state *s, const struct ps_state_query *q, struct rows *r,
				struct ps_error *err)
{
	enum ps_status st = ps_state_read(s, q, on_row, r, err);

	if (st != PS_OK)
		return st;
	if (r->too_many)
		return ps_error_set(err, PS_ETOOBIG, "more than %d tenants and models in a bill",
				    PS_COST_MAX_BILL_ROWS);
	if (r->overflow)
		return ps_error_set(err, PS_ECORRUPT, "a sum of the ledger does not fit 64 bits");
	return r->no_memory ? ps_error_set(err, PS_ENOMEM, "no memory for a bill") : PS_OK;
}

/* The instant up to which the ledger was written; 0 when that is the end of the period, but for
 * the minute that goes on and what a server writes every few seconds. */
static int64_t known_until_ns(const struct ps_state_loss *loss, const struct ps_state_query *q)
{
	int64_t end_ns = q->to_minute * PS_STATE_NS_PER_MINUTE;
	int64_t from_ns = q->from_minute * PS_STATE_NS_PER_MINUTE;
	int64_t last_ns = loss->last_write_ns > from_ns ? loss->last_write_ns : from_ns;

	return end_ns - last_ns > PS_STATE_NS_PER_MINUTE + 2 * PS_STATE_FLUSH_NS ? last_ns : 0;
}

/* Money is owed for what is in the ledger: say what may not be. */
static void say_loss(const struct ps_state_loss *loss, const struct ps_state_query *q)
{
	char written[PS_CLOCK_ISO_SIZE] = "never";

	if (loss->last_write_ns > 0)
		ps_clock_wall_iso(loss->last_write_ns, written);
	if (known_until_ns(loss, q) > 0)
		fprintf(stderr,
			"perseus: warning: the ledger was last written %s: what was used after "
			"that is not known and counts as idle\n",
			written);
	if (loss->kept_minute > q->from_minute)
		fprintf(stderr, "perseus: warning: minutes of this period were deleted "
				"(state_keep): their use counts as idle\n");
	if (loss->killed > 0)
		fprintf(stderr,
			"perseus: warning: %d of %d server runs go on or were killed: of each at "
			"most the last %d s are not in the ledger\n",
			loss->killed, loss->runs, (int)(PS_STATE_FLUSH_NS / PS_NS_PER_SEC));
}

static enum ps_status split(struct ps_state *s, const struct ps_state_query *q,
			    const struct ps_cli_ledger_bill *o, const struct ps_cli_pricing *p,
			    struct rows *r, struct ps_error *err)
{
	struct ps_cost_bill b = {.resource = o->state_dir};
	const struct ps_cost_price *price = NULL;
	struct ps_state_loss loss = {0};
	double usd_per_hour;
	enum ps_status st = ps_cli_pricing_find(p, o->priced_as, &price, &usd_per_hour, err);

	if (st == PS_OK)
		st = read_rows(s, q, r, err);
	if (st == PS_OK)
		st = ps_state_loss(s, q, &loss, err);
	if (st == PS_OK)
		st = ps_cli_bill_machine(o->bill, p, price, &b, err);
	if (st != PS_OK)
		return st;
	ps_cli_warn_price(p->today, price);
	say_loss(&loss, q);
	b.from_s = q->from_minute * 60;
	b.to_s = q->to_minute * 60;
	b.known_until_s = known_until_ns(&loss, q) / PS_NS_PER_SEC;
	b.rows = r->items;
	b.row_len = r->len;
	return ps_cli_bill_print(&b, o->json, o->csv, err);
}

enum ps_status ps_cli_ledger_bill(struct ps_state *s, const struct ps_state_query *q,
				  const struct ps_cli_ledger_bill *o, struct ps_error *err)
{
	struct ps_state_query period = *q;
	struct ps_cli_pricing p = {0};
	struct rows r = {0};
	enum ps_status st = ps_cli_pricing_open(o->price, NULL, &p, err);

	if (period.to_minute == 0)
		period.to_minute = ps_clock_wall_ns() / PS_STATE_NS_PER_MINUTE + 1;
	ps_arena_init(&r.names, 0);
	if (st == PS_OK)
		st = split(s, &period, o, &p, &r, err);
	free(r.items);
	ps_arena_fini(&r.names);
	ps_cli_pricing_close(&p);
	return st;
}

/* ledger.c - usage per tenant, model and minute, taken from the observer's counts.
 *
 * A flush takes what was counted since the last one and adds it to the minute in which that time
 * began; there is one at each minute's end and one every few seconds between. Rows carry absolute
 * values, so a row may be written any number of times. What could not be written stays pending.
 */
#include "base/clock.h"
#include "base/log.h"
#include "serve/ledger_internal.h"

#include <stdlib.h>
#include <string.h>

#define FLUSH_EVERY_NS (PS_STATE_FLUSH_NS / 2)
#define NOBODY	       "-"
#define SMOOTHING      0.2 /* of a minute's demand in the remembered one */

enum { MAX_PENDING = 1 << 20, FORGET_MINUTES = 60 };

/* --- entries --- */

static struct ps_serve_ledger_entry *find_entry(struct ps_serve_ledger *l, int tenant, int model)
{
	size_t at = ((size_t)(tenant + 1) * 2654435761u + (size_t)model) % PS_SERVE_LEDGER_HASH;
	struct ps_serve_ledger_entry *e = l->hash[at];
	while (e && (e->tenant != tenant || e->model != model))
		e = e->next;
	return e;
}

static void name_entry(struct ps_serve_ledger *l, struct ps_serve_ledger_entry *e)
{
	struct ps_serve *s = l->observe->server;
	struct ps_serve_snapshot *p = ps_serve_newest(s);
	e->tenant_name = strdup(e->tenant < 0 ? NOBODY : ps_tenancy_name(p->tenancy, e->tenant));
	ps_serve_snapshot_unref(p);
	pthread_mutex_lock(&s->lock);
	const struct ps_repo_model *m = ps_repo_get(s->repo, e->model);
	e->model_name = m->name;
	e->version = m->version;
	pthread_mutex_unlock(&s->lock);
}

/* What the run before has seen is where this one begins. */
static void remember_demand(struct ps_serve_ledger *l, struct ps_serve_ledger_entry *e)
{
	struct ps_error err;
	if (e->tenant >= 0 && ps_state_demand(l->observe->state, e->tenant_name, e->model_name,
					      e->version, &e->rps, &err) != PS_OK)
		ps_log_error(PS_LOG_WARN, "ledger", &err);
}

static struct ps_serve_ledger_entry *get_entry(struct ps_serve_ledger *l, int tenant, int model)
{
	struct ps_serve_ledger_entry *e = find_entry(l, tenant, model);
	if (e)
		return e;
	if (l->n_entries == l->cap_entries) {
		size_t cap = l->cap_entries ? 2 * l->cap_entries : 64;
		struct ps_serve_ledger_entry **more = realloc(l->entries, cap * sizeof *more);
		if (!more)
			return NULL;
		l->entries = more;
		l->cap_entries = cap;
	}
	e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->tenant = tenant;
	e->model = model;
	e->pending_minute = -1;
	name_entry(l, e);
	if (!e->tenant_name) {
		free(e);
		return NULL;
	}
	remember_demand(l, e);
	size_t at = ((size_t)(tenant + 1) * 2654435761u + (size_t)model) % PS_SERVE_LEDGER_HASH;
	e->next = l->hash[at];
	l->hash[at] = e;
	l->entries[l->n_entries++] = e;
	return e;
}

/* The row of an entry for this minute, which becomes pending. NULL: no memory. */
static struct ps_state_usage *row_of(struct ps_serve_ledger *l, struct ps_serve_ledger_entry *e,
				     int64_t minute)
{
	if (e->usage.minute != minute || !e->usage.tenant) {
		e->usage = (struct ps_state_usage){.tenant = e->tenant_name,
						   .model = e->model_name,
						   .version = e->version,
						   .minute = minute};
		e->byte_ns = 0;
	}
	if (e->pending_minute == minute)
		return &e->usage;
	if (l->n_pending == l->cap_pending) {
		size_t cap = l->cap_pending ? 2 * l->cap_pending : 256;
		struct ps_state_usage *more =
			cap <= MAX_PENDING ? realloc(l->pending, cap * sizeof *more) : NULL;
		if (!more) {
			l->dropped++;
			return NULL;
		}
		l->pending = more;
		l->cap_pending = cap;
	}
	e->pending = l->n_pending++;
	e->pending_minute = minute;
	return &e->usage;
}

static void settle(struct ps_serve_ledger *l, const struct ps_serve_ledger_entry *e)
{
	l->pending[e->pending] = e->usage;
}

/* --- requests --- */

static int64_t failures(const struct ps_serve_counts *c)
{
	uint64_t n = 0;
	for (int i = 0; i < PS_SERVE_OUTCOME_COUNT; i++)
		n += i == PS_SERVE_OUTCOME_OK ? 0 : c->outcomes[i];
	return (int64_t)n;
}

static void take_pair(struct ps_serve_ledger *l, size_t pair, int64_t minute)
{
	const struct ps_serve_pair *p = ps_serve_pair_get(l->observe, pair);
	struct ps_serve_counts *c = &l->counts;
	struct ps_serve_ledger_entry *e = get_entry(l, p->tenant, p->model);
	if (!e)
		return;
	ps_serve_pair_read(l->observe, pair, c);
	int64_t requests = (int64_t)c->outcomes[PS_SERVE_OUTCOME_OK], failed = failures(c);
	if (requests == e->requests && failed == e->failed && c->cost_ns == e->cost_ns)
		return;
	struct ps_state_usage *u = row_of(l, e, minute);
	if (!u)
		return; /* it is taken at the next flush */
	u->requests += requests - e->requests;
	u->failed += failed - e->failed;
	u->inferences += (int64_t)c->inferences - e->inferences;
	u->compute_ns += c->cost_ns - e->cost_ns;
	e->requests = requests;
	e->failed = failed;
	e->inferences = (int64_t)c->inferences;
	e->cost_ns = c->cost_ns;
	settle(l, e);
}

void ps_serve_ledger_charge(struct ps_serve_ledger *l, int tenant, int model, __int128 byte_ns,
			    int64_t minute)
{
	struct ps_serve_ledger_entry *e = byte_ns > 0 ? get_entry(l, tenant, model) : NULL;
	struct ps_state_usage *u = e ? row_of(l, e, minute) : NULL;
	if (!u)
		return;
	e->byte_ns += byte_ns;
	u->resident_byte_s = (int64_t)(e->byte_ns / PS_NS_PER_SEC);
	settle(l, e);
}

/* --- writing --- */

static void write_pending(struct ps_serve_ledger *l, int64_t wall_ns)
{
	struct ps_serve_observe *o = l->observe;
	struct ps_error err;
	if (ps_state_write(o->state, l->pending, l->n_pending, wall_ns, &err) != PS_OK) {
		atomic_fetch_add(&o->ledger_failures, 1);
		if (!l->failing)
			ps_log_error(PS_LOG_ERROR, "ledger", &err);
		l->failing = true;
		return;
	}
	if (l->failing)
		ps_log(PS_LOG_INFO, "ledger", "written again: %zu rows had waited", l->n_pending);
	l->failing = false;
	l->n_pending = 0;
	for (size_t i = 0; i < l->n_entries; i++)
		l->entries[i]->pending_minute = -1;
	atomic_store(&o->ledger_wall_ns, wall_ns);
}

/* What each tenant asked of each model, smoothed: once a minute, and then `keep` is true. With a
 * budget of memory also between, as if the minute were over: a server that is killed finds it. */
static void write_demand(struct ps_serve_ledger *l, int64_t minute, bool keep, int64_t wall_ns)
{
	struct ps_state_demand_row *rows = calloc(l->n_entries + 1, sizeof *rows);
	struct ps_error err;
	size_t n = 0;
	for (size_t i = 0; rows && i < l->n_entries; i++) {
		struct ps_serve_ledger_entry *e = l->entries[i];
		bool now = e->usage.tenant && e->usage.minute == minute;
		double rps = now ? (double)(e->usage.requests + e->usage.failed) / 60 : 0;
		if (e->tenant < 0 || (rps == 0 && e->rps < 1e-6))
			continue;
		rps = e->rps + SMOOTHING * (rps - e->rps);
		e->rps = keep ? rps : e->rps;
		rows[n++] = (struct ps_state_demand_row){e->tenant_name, e->model_name, e->version,
							 rps};
	}
	if (n > 0 && ps_state_put_demand(l->observe->state, rows, n, wall_ns, &err) != PS_OK)
		ps_log_error(PS_LOG_WARN, "ledger", &err);
	free(rows);
}

/* With a budget of memory: what loads take here, for the next server. */
static void write_scales(struct ps_serve_ledger *l)
{
	struct ps_serve *s = l->observe->server;
	struct ps_error err;
	for (int k = 0; k < PS_DISPATCH_RATES; k++) {
		pthread_mutex_lock(&s->lock);
		double scale = ps_dispatch_load_scale(s->dispatch, k);
		pthread_mutex_unlock(&s->lock);
		if (scale > 0 &&
		    ps_state_put_load_scale(l->observe->state, ps_dispatch_rate_name(k), scale,
					    &err) != PS_OK)
			ps_log_error(PS_LOG_WARN, "ledger", &err);
	}
}

/* The clock was set back. A minute that has rows already would be written over, so that it gets
 * rows of a new run; until that can be written, the old minute goes on. */
static void begin_again(struct ps_serve_ledger *l, int64_t minute, int64_t wall_ns)
{
	struct ps_error err;
	if (l->n_pending > 0)
		return;
	if (ps_state_begin_again(l->observe->state, wall_ns, &err) != PS_OK) {
		ps_log_error(PS_LOG_WARN, "ledger", &err);
		return;
	}
	for (size_t i = 0; i < l->n_entries; i++)
		l->entries[i]->usage.tenant = NULL;
	l->minute = minute;
}

static void set_next(struct ps_serve_ledger *l, int64_t now_ns, int64_t wall_ns)
{
	int64_t to_minute = PS_STATE_NS_PER_MINUTE - wall_ns % PS_STATE_NS_PER_MINUTE;
	int64_t minute = wall_ns / PS_STATE_NS_PER_MINUTE;
	if (minute < l->minute)
		begin_again(l, minute, wall_ns);
	else
		l->minute = minute;
	l->last_ns = now_ns;
	l->next_ns = now_ns + (to_minute < FLUSH_EVERY_NS ? to_minute : FLUSH_EVERY_NS);
}

/* Old minutes go in steps so small that nobody waits for one. */
static void forget(struct ps_serve_ledger *l, int64_t wall_ns)
{
	struct ps_serve_snapshot *p = ps_serve_newest(l->observe->server);
	int64_t keep_ns = p->config->state_keep;
	struct ps_error err;
	ps_serve_snapshot_unref(p);
	if (keep_ns > 0 && wall_ns > keep_ns &&
	    ps_state_forget(l->observe->state, (wall_ns - keep_ns) / PS_STATE_NS_PER_MINUTE,
			    FORGET_MINUTES, &err) != PS_OK)
		ps_log_error(PS_LOG_WARN, "ledger", &err);
}

void ps_serve_ledger_flush(struct ps_serve_ledger *l, int64_t now_ns, int64_t wall_ns)
{
	int64_t minute = l->minute;
	size_t pairs = ps_serve_pairs(l->observe);
	for (size_t i = 0; i < pairs; i++)
		take_pair(l, i, minute);
	ps_serve_ledger_memory(l, now_ns - l->last_ns, minute);
	write_pending(l, wall_ns);
	bool over = wall_ns / PS_STATE_NS_PER_MINUTE != minute;
	if (!l->failing && (over || ps_dispatch_on_demand(l->observe->server->dispatch)))
		write_demand(l, minute, over, wall_ns);
	if (!l->failing && ps_dispatch_on_demand(l->observe->server->dispatch))
		write_scales(l);
	if (over && !l->failing)
		forget(l, wall_ns);
	set_next(l, now_ns, wall_ns);
}

bool ps_serve_ledger_is_whole(const struct ps_serve_ledger *l)
{
	return l->n_pending == 0 && l->dropped == 0;
}

int64_t ps_serve_ledger_next_ns(const struct ps_serve_ledger *l)
{
	return l->next_ns;
}

enum ps_status ps_serve_ledger_new(struct ps_serve_observe *o, struct ps_serve_ledger **ret_ledger,
				   struct ps_error *err)
{
	struct ps_serve_ledger *l = calloc(1, sizeof *l);
	if (!l)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	l->observe = o;
	set_next(l, ps_clock_now_ns(), ps_clock_wall_ns());
	*ret_ledger = l;
	return PS_OK;
}

void ps_serve_ledger_free(struct ps_serve_ledger *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n_entries; i++) {
		free(l->entries[i]->tenant_name);
		free(l->entries[i]);
	}
	free(l->entries);
	free(l->pending);
	free(l->owners);
	free(l);
}

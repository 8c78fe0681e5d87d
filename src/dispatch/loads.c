/* Loads that are under way: which begins next, when each has its room, and how long it takes.
 *
 *	WAITING (repo) --LOAD--> hashes --reserve--> waits for its turn and room --OPEN--> opens
 *
 * There are max_loading places to hash in, as many to open files in as they are, and one to convert
 * in, so that nothing waits behind a conversion but other conversions.
 * The next is of the tenant that had the least of the loaders' time by its weight (start-time fair
 * queueing); what is pinned goes before, what nobody asked for after all others.
 */
#include "base/units.h"
#include "dispatch/residency_internal.h"

/* A load that hangs gives its place back; so many of them do. */
enum { MAX_GIVEN_UP = 8 };
/* Of a file of which nothing is known: who has many of them takes turns all the same. */
enum { LEAST_CHARGE_NS = 1000000 };

/* ---- places ------------------------------------------------------------------------------- */

static bool is_current(const struct ps_dispatch *d, int instance)
{
	const struct residency *r = d->residency;
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	return instance < r->n_stocks && r->stocks[instance].id == in->id &&
	       in->state == PS_REPO_INSTANCE_LOADING;
}

static int n_stocks(const struct ps_dispatch *d)
{
	int n = ps_repo_instances(d->config.repo);
	return n < d->residency->n_stocks ? n : d->residency->n_stocks;
}

/* What a load needs a place for. */
enum place { TO_HASH, TO_OPEN, TO_CONVERT };

static enum place place_of(const struct stock *s)
{
	if (s->phase == LOAD_HASHES)
		return TO_HASH;
	return s->converts ? TO_CONVERT : TO_OPEN;
}

/* Whether one more can begin. */
static bool has_place(const struct ps_dispatch *d, enum place what)
{
	int taken = 0, given_up = 0;
	for (int i = 0; i < n_stocks(d); i++) {
		const struct stock *s = &d->residency->stocks[i];
		if (!is_current(d, i) || (s->phase == LOAD_WAITS && !s->open) ||
		    place_of(s) != what)
			continue;
		taken++;
		given_up += s->given_up;
	}
	if (what == TO_CONVERT)
		return taken == 0;
	return taken - (given_up < MAX_GIVEN_UP ? given_up : MAX_GIVEN_UP) <
	       d->residency->max_loading;
}

/* ---- whose turn it is --------------------------------------------------------------------- */

enum rank { PINNED, ASKED_FOR, NOBODYS };

/* A load, as the order sees it. */
struct turn {
	int instance;
	enum rank rank;
	int tenant; /* whose time it takes; -1: nobody's */
	double start;
	uint64_t id;
};

static void consider(const struct ps_dispatch *d, int tenant, struct turn *t)
{
	double start = d->residency->load_clock;
	if (tenant >= d->n_tenants)
		return;
	if (tenant >= 0 && d->tenants[tenant].load_used > start)
		start = d->tenants[tenant].load_used;
	if (t->rank == ASKED_FOR && t->start <= start)
		return;
	t->rank = ASKED_FOR;
	t->tenant = tenant;
	t->start = start;
}

/* Of those who wait for it, the one whose turn comes first. */
static struct turn turn_of(const struct ps_dispatch *d, int instance)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	struct turn t = {.instance = instance, .rank = NOBODYS, .tenant = -1, .id = in->id};
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(d->residency, in->users[k], in->domain);
		if (ps_repo_get(d->config.repo, in->users[k])->config->pinned) {
			t.rank = PINNED;
			return t;
		}
		const struct item *it = item < 0 ? NULL : &d->residency->items[item];
		for (const struct ps_dispatch_request *r = it ? it->first : NULL; r;
		     r = r->park_next)
			consider(d, r->tenant, &t);
		if (it && !it->first && it->asked)
			consider(d, it->for_tenant, &t);
	}
	return t;
}

static bool is_before(const struct turn *a, const struct turn *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank;
	if (a->rank == ASKED_FOR && a->start != b->start)
		return a->start < b->start;
	return a->id < b->id;
}

static void charge(struct ps_dispatch *d, const struct turn *t, int64_t ns)
{
	struct residency *r = d->residency;
	if (t->rank != ASKED_FOR || ns == 0)
		return;
	r->load_clock = t->start;
	if (t->tenant >= 0)
		d->tenants[t->tenant].load_used =
			t->start +
			(double)ns / (double)ps_tenancy_weight(d->config.tenancy, t->tenant);
}

/* ---- the books of an item ----------------------------------------------------------------- */

void load_begun(struct ps_dispatch *d, int item, int tenant, bool asked, int64_t now_ns)
{
	struct residency *r = d->residency;
	struct item *it = &r->items[item];
	if (it->fetched_ns == 0) {
		it->way = r->n_under_way++;
		r->under_way[it->way] = item;
	}
	it->for_tenant = tenant;
	it->asked = asked;
	it->fetched_ns = now_ns > 0 ? now_ns : 1;
	it->turn = r->next_turn++;
	it->own_converts = load_converts(d, it);
	it->own_ns = load_expected_ns(d, it);
	it->active_ns = 0;
	r->loads_due = true;
}

void load_over(struct residency *r, struct item *it)
{
	if (it->fetched_ns != 0) {
		int last = r->under_way[--r->n_under_way];
		r->under_way[it->way] = last;
		r->items[last].way = it->way;
	}
	it->fetched_ns = it->own_ns = it->active_ns = 0;
	it->hangs = false;
}

void load_failed(struct residency *r, struct item *it, int64_t now_ns)
{
	it->failures++;
	if (it->failures >= PS_DISPATCH_MAX_FAILURES)
		it->pause_until_ns = now_ns + r->config.load_pause_ns;
}

int load_idle_of(const struct ps_dispatch *d, int tenant)
{
	int n = 0;
	for (int i = 0; i < d->residency->n_under_way; i++) {
		const struct item *it = &d->residency->items[d->residency->under_way[i]];
		n += !it->active_ns && !it->first && it->asked && it->for_tenant == tenant;
	}
	return n;
}

/* Its items take their time from now on, or wait again (`active` false). */
static void set_active(struct ps_dispatch *d, int instance, bool active)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(d->residency, in->users[k], in->domain);
		if (item >= 0)
			d->residency->items[item].active_ns = !active ? 0
							      : d->residency->now_ns
								      ? d->residency->now_ns
								      : 1;
	}
}

/* ---- those that hang ---------------------------------------------------------------------- */

static void give_up(struct ps_dispatch *d, int instance, int64_t now_ns)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	d->residency->stocks[instance].given_up = true;
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(d->residency, in->users[k], in->domain);
		struct item *it = item < 0 ? NULL : &d->residency->items[item];
		if (!it || !it->fetched_ns || it->hangs)
			continue;
		it->hangs = true;
		load_failed(d->residency, it, now_ns);
		residency_tell(d, item, false);
	}
}

void loads_check(struct ps_dispatch *d, int64_t now_ns)
{
	struct residency *r = d->residency;
	int64_t timeout_ns = r->config.load_timeout_ns;
	for (int i = 0; timeout_ns > 0 && i < n_stocks(d); i++) {
		struct stock *s = &r->stocks[i];
		if (!is_current(d, i) || s->phase == LOAD_WAITS || s->given_up)
			continue;
		if (now_ns - s->began_ns >= timeout_ns)
			give_up(d, i, now_ns);
		else if (s->began_ns + timeout_ns < r->retry_ns)
			r->retry_ns = s->began_ns + timeout_ns;
	}
}

/* ---- which has its room ------------------------------------------------------------------- */

static void retry_at(struct ps_dispatch *d, const struct want *w)
{
	if (w->retry_ns < d->residency->retry_ns)
		d->residency->retry_ns = w->retry_ns;
}

/* The item that an instance is loaded for; one that somebody waits for, if there is such a one. */
static int item_of(const struct ps_dispatch *d, int instance)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	int found = -1;
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(d->residency, in->users[k], in->domain);
		if (item >= 0 && (found < 0 || d->residency->items[item].first))
			found = item;
	}
	return found;
}

/* Nothing can go for it now. */
static void wait_on(struct ps_dispatch *d, struct stock *s, int64_t now_ns)
{
	int64_t timeout_ns = d->residency->config.load_timeout_ns;
	if (s->since_ns == 0)
		s->since_ns = now_ns > 0 ? now_ns : 1;
	if (timeout_ns == 0)
		return;
	if (now_ns - s->since_ns >= timeout_ns) {
		s->waits = false;
		s->no_room = true;
	} else if (s->since_ns + timeout_ns < d->residency->retry_ns) {
		d->residency->retry_ns = s->since_ns + timeout_ns;
	}
}

/* Opens an instance if it fits. True: it does not yet, but what goes for it is on its way. */
static bool waits_for_eviction(struct ps_dispatch *d, struct census *c, int instance,
			       int64_t now_ns)
{
	struct stock *s = &d->residency->stocks[instance];
	int item = item_of(d, instance);
	struct want w = {.tenant = s->for_tenant,
			 .item = item,
			 .may_rob = item >= 0 && d->residency->items[item].first,
			 .now_ns = now_ns,
			 .retry_ns = INT64_MAX};
	if (c->used_bytes + s->reserved_bytes > d->residency->config.budget_bytes) {
		bool comes = evict_for(d, c, s->reserved_bytes, &w, false);
		retry_at(d, &w);
		if (!comes)
			wait_on(d, s, now_ns);
		return comes;
	}
	c->used_bytes += s->reserved_bytes;
	s->waits = false;
	s->open = true;
	return false;
}

/* The next in turn of those that wait for room and were not looked at in this round; -1: none. */
static int next_waiting(struct ps_dispatch *d)
{
	struct turn best = {.instance = -1};
	bool place[] = {[TO_HASH] = has_place(d, TO_HASH),
			[TO_OPEN] = has_place(d, TO_OPEN),
			[TO_CONVERT] = has_place(d, TO_CONVERT)};
	for (int i = 0; i < n_stocks(d); i++) {
		const struct stock *s = &d->residency->stocks[i];
		if (!is_current(d, i) || !s->waits || s->seen || !place[place_of(s)])
			continue;
		struct turn t = turn_of(d, i);
		if (best.instance < 0 || is_before(&t, &best))
			best = t;
	}
	return best.instance;
}

/* A small one does not overtake for ever a large one for which room is being made. Those for which
 * none can be made hold up nobody; nobody goes for a load that would not begin yet. */
void loads_open(struct ps_dispatch *d, struct census *c, int64_t now_ns)
{
	int i;
	for (i = 0; i < n_stocks(d); i++)
		d->residency->stocks[i].seen = false;
	while ((i = next_waiting(d)) >= 0) {
		d->residency->stocks[i].seen = true;
		if (waits_for_eviction(d, c, i, now_ns))
			return;
	}
}

/* ---- from the loader ---------------------------------------------------------------------- */

static struct ps_dispatch_action action_for(struct ps_dispatch *d, int instance)
{
	struct stock *s = &d->residency->stocks[instance];
	struct turn t = turn_of(d, instance);
	enum ps_dispatch_action_kind kind = s->open ? PS_DISPATCH_OPEN : PS_DISPATCH_NO_ROOM;
	int item = item_of(d, instance);
	int64_t own_ns = item >= 0 ? d->residency->items[item].own_ns : 0;
	s->open = s->no_room = false;
	s->phase = LOAD_OPENS;
	s->began_ns = d->residency->now_ns;
	if (kind == PS_DISPATCH_OPEN && item >= 0)
		charge(d, &t, own_ns > LEAST_CHARGE_NS ? own_ns : LEAST_CHARGE_NS);
	set_active(d, instance, true);
	return (struct ps_dispatch_action){.kind = kind, .instance = instance};
}

/* The next in turn of those whose content is not known yet; -1: none. */
static int next_unknown(const struct ps_dispatch *d)
{
	struct turn best = {.instance = -1};
	for (int i = ps_repo_waiting(d->config.repo, -1); i >= 0;
	     i = ps_repo_waiting(d->config.repo, i)) {
		struct turn t = turn_of(d, i);
		if (best.instance < 0 || is_before(&t, &best))
			best = t;
	}
	return best.instance;
}

static void begin_hash(struct ps_dispatch *d, int instance)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	struct turn t = turn_of(d, instance);
	struct stock *s = stock_of(d, instance);
	int item = item_find(d->residency, in->model, in->domain);
	ps_repo_begin_load(d->config.repo, instance);
	set_active(d, instance, true);
	if (item >= 0)
		charge(d, &t, load_hash_ns(d, &d->residency->items[item]));
	if (!s)
		return; /* without books it takes no place, and reserve refuses it */
	s->phase = LOAD_HASHES;
	s->began_ns = d->residency->now_ns;
	if (item >= 0)
		s->for_tenant = d->residency->items[item].for_tenant;
}

struct ps_dispatch_action loads_next(struct ps_dispatch *d, int max_loading)
{
	struct residency *r = d->residency;
	r->max_loading = max_loading;
	for (int i = 0; i < n_stocks(d); i++)
		if (is_current(d, i) && (r->stocks[i].open || r->stocks[i].no_room))
			return action_for(d, i);
	int instance =
		(d->draining && d->parked == 0) || !has_place(d, TO_HASH) ? -1 : next_unknown(d);
	if (instance < 0)
		return (struct ps_dispatch_action){.kind = PS_DISPATCH_NOTHING};
	begin_hash(d, instance);
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_LOAD, .instance = instance};
}

static void loaded(struct ps_dispatch *d, struct item *it, const struct ps_repo_facts *facts,
		   bool converted)
{
	int64_t ns = facts->open_ns > facts->load_ns ? facts->open_ns : facts->load_ns;
	load_over(d->residency, it);
	it->of = ps_repo_get(d->config.repo, it->model)->identity;
	it->bytes = facts->private_bytes + facts->mapped_bytes;
	*(converted ? &it->convert_ns : &it->open_ns) = ns > 0 ? ns : 1;
	it->loaded = true;
	it->failures = 0;
	load_learn(d->residency, converted ? PS_DISPATCH_RATE_CONVERT : PS_DISPATCH_RATE_OPEN,
		   it->file_bytes, ns);
}

void residency_loaded(struct ps_dispatch *d, int instance, enum ps_status status,
		      const struct ps_repo_facts *facts)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	const struct stock *s = stock_get(d, instance);
	d->residency->loads_due = true;
	for (int k = 0; status == PS_OK && facts && k < in->n_users; k++) {
		int item = item_need(d->residency, in->users[k], in->domain);
		if (item < 0)
			continue;
		loaded(d, &d->residency->items[item], facts, s->converts);
		fair_content(d, item, in);
		fair_item(d, item);
	}
}

/* It never fits, beside what is pinned. */
static enum ps_status too_big(struct ps_dispatch *d, const char *what, int64_t bytes,
			      struct ps_error *err)
{
	int64_t budget_bytes = d->residency->config.budget_bytes;
	int64_t pinned_bytes = budget_bytes - room_most(d);
	char need[PS_UNITS_SIZE], has[PS_UNITS_SIZE], pinned[PS_UNITS_SIZE];
	return ps_error_set(err, PS_ETOOBIG, "%s %s, and model_memory is %s%s%s", what,
			    ps_units_format_bytes(bytes, need),
			    ps_units_format_bytes(budget_bytes, has),
			    pinned_bytes > 0 ? ", pinned models have of it " : "",
			    pinned_bytes > 0 ? ps_units_format_bytes(pinned_bytes, pinned) : "");
}

/* Who asks next is refused without another try, until the file or the budget is another one. */
static void note_needs(struct ps_dispatch *d, int instance, int64_t bytes)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	for (int k = 0; k < in->n_users; k++) {
		int item = item_need(d->residency, in->users[k], in->domain);
		if (item >= 0)
			d->residency->items[item].needs_bytes = bytes;
	}
}

static void note_bytes(struct ps_dispatch *d, int instance, int64_t bytes)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	for (int k = 0; k < in->n_users; k++) {
		int item = item_need(d->residency, in->users[k], in->domain);
		if (item >= 0)
			d->residency->items[item].bytes = bytes;
	}
}

/* What was measured goes before a forecast. */
static int64_t resident_bytes(const struct ps_dispatch *d, int instance,
			      const struct ps_dispatch_need *need)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	int64_t known = 0;
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(d->residency, in->users[k], in->domain);
		if (item >= 0 && load_is_known(d, &d->residency->items[item]))
			known = d->residency->items[item].bytes;
	}
	return known > need->resident_bytes ? known : need->resident_bytes;
}

/* Now it is known what its load is. */
static void note_need(struct ps_dispatch *d, int instance, const struct ps_dispatch_need *need)
{
	const struct ps_repo_instance *in = ps_repo_instance_get(d->config.repo, instance);
	load_learn(d->residency, PS_DISPATCH_RATE_HASH, need->file_bytes, need->hash_ns);
	for (int k = 0; k < in->n_users; k++) {
		int item = item_find(d->residency, in->users[k], in->domain);
		if (item < 0)
			continue;
		struct item *it = &d->residency->items[item];
		it->file_bytes = need->file_bytes;
		it->own_converts = need->converts;
		it->own_ns = load_open_ns(d, it, need->converts);
		it->active_ns = 0;
	}
}

enum ps_status ps_dispatch_reserve(struct ps_dispatch *d, int instance,
				   const struct ps_dispatch_need *need, struct ps_error *err)
{
	struct stock *s = stock_of(d, instance);
	if (!s)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	int64_t bytes = resident_bytes(d, instance, need);
	(void)census_take(d); /* what is pinned may be more than it was */
	note_needs(d, instance, bytes);
	if (bytes > room_most(d))
		return too_big(d, "it is expected to hold", bytes, err);
	if (need->load_bytes > room_most(d))
		return too_big(d, "loading it for the first time is expected to take",
			       need->load_bytes, err);
	note_need(d, instance, need);
	s->reserved_bytes = bytes > need->load_bytes ? bytes : need->load_bytes;
	s->phase = LOAD_WAITS;
	s->converts = need->converts;
	s->waits = true;
	d->residency->loads_due = true;
	return PS_OK;
}

/* Whether all can stay that has to, though more came in than was forecast. */
static bool has_room_for(struct ps_dispatch *d, int instance, int64_t bytes)
{
	struct stock *s = stock_of(d, instance);
	struct census *c = census_take(d);
	struct want w = {.tenant = s ? s->for_tenant : -1,
			 .item = item_of(d, instance),
			 .may_rob = true,
			 .young = true,
			 .retry_ns = INT64_MAX};
	int n;
	if (!s || !c)
		return true; /* as if nobody had asked */
	int64_t over = c->used_bytes - c->leaving_bytes - s->reserved_bytes + bytes -
		       d->residency->config.budget_bytes;
	if (bytes > s->reserved_bytes && !evict_choose(d, c, over, &w, false, &n))
		return false;
	s->reserved_bytes = bytes; /* what others find until it is READY */
	return true;
}

enum ps_status ps_dispatch_measured(struct ps_dispatch *d, int instance,
				    const struct ps_repo_facts *facts, struct ps_error *err)
{
	char has[PS_UNITS_SIZE], said[PS_UNITS_SIZE];
	int64_t bytes = facts->private_bytes + facts->mapped_bytes;
	if (!d->residency)
		return PS_OK;
	(void)census_take(d);
	if (bytes > room_most(d)) {
		note_bytes(d, instance, bytes);
		note_needs(d, instance, bytes);
		return too_big(d, "it holds", bytes, err);
	}
	int64_t expected = stock_get(d, instance)->reserved_bytes;
	if (has_room_for(d, instance, bytes))
		return PS_OK;
	note_bytes(d, instance, bytes); /* the next one waits for so much */
	return ps_error_set(err, PS_EUNAVAIL,
			    "it holds %s where %s were expected, and what else is loaded is "
			    "pinned, guaranteed to others or being used",
			    ps_units_format_bytes(bytes, has),
			    ps_units_format_bytes(expected, said));
}

/* Requests whose model is not in memory: they are parked with their item, the model is loaded once
 * for all of them, and tick tells each of them to go on or why not.
 */
#include "base/units.h"
#include "dispatch/residency_internal.h"

#include <stdlib.h>

static const struct ps_dispatch_action nothing = {.kind = PS_DISPATCH_NOTHING};

/* ---- life --------------------------------------------------------------------------------- */

enum ps_status residency_new(struct ps_dispatch *d)
{
	struct residency *r = calloc(1, sizeof *r);
	if (!r)
		return PS_ENOMEM;
	r->config = d->config.memory;
	r->retry_ns = r->epoch_ends_ns = INT64_MAX;
	loads_init(r);
	d->residency = r;
	residency_new_tenants(d);
	ps_repo_on_demand(d->config.repo, true);
	return fair_new(r, r->config.seed);
}

void residency_free(struct ps_dispatch *d)
{
	struct residency *r = d->residency;
	if (!r)
		return;
	index_fini(&r->item_of);
	index_fini(&r->use_of);
	index_fini(&r->eviction_of);
	free(r->items);
	free(r->under_way);
	free(r->uses);
	free(r->evictions);
	free(r->stocks);
	census_fini(&r->census);
	free(r->fairs);
	ps_cache_job_free(r->plan);
	ps_cache_free(r->cache);
	free(r);
	d->residency = NULL;
}

bool ps_dispatch_on_demand(const struct ps_dispatch *d)
{
	return d->residency != NULL;
}

enum ps_status ps_dispatch_set_memory(struct ps_dispatch *d, const struct ps_dispatch_memory *m,
				      struct ps_error *err)
{
	if ((m->budget_bytes > 0) != (d->residency != NULL))
		return ps_error_set(err, PS_EINVAL,
				    "a budget of memory begins and ends with the server");
	if (!d->residency)
		return PS_OK;
	if (m->policy != d->residency->config.policy)
		return ps_error_set(err, PS_EINVAL, "the policy stays until the server ends");
	d->residency->config = *m;
	d->residency->loads_due = true;
	fair_set_capacity(d->residency);
	return PS_OK;
}

void residency_new_tenants(struct ps_dispatch *d)
{
	const struct ps_tenancy *t = d->config.tenancy;
	d->residency->tenants_at++;
	d->residency->guarantees = false;
	for (int i = 0; i < ps_tenancy_count(t); i++)
		if (ps_tenancy_memory_bytes(t, i) > 0)
			d->residency->guarantees = true;
}

/* ---- having it loaded --------------------------------------------------------------------- */

enum ps_status residency_fetch(struct ps_dispatch *d, int item, int tenant, bool asked,
			       int64_t now_ns)
{
	struct residency *r = d->residency;
	struct item *it = &r->items[item];
	enum ps_repo_state state = ps_repo_state_of(d->config.repo, it->model, it->domain);
	if (state == PS_REPO_ON_DISK)
		it->failures = 0; /* another file, or it was fine the last time */
	if (now_ns == 0)
		now_ns = r->now_ns;
	if (state == PS_REPO_LOADING || state == PS_REPO_READY) {
		if (!it->fetched_ns && state == PS_REPO_LOADING)
			load_begun(d, item, tenant, asked, now_ns);
		if (asked && !it->asked) { /* what was to be fetched for nobody is wanted now */
			it->asked = true;
			it->for_tenant = tenant;
			r->loads_due = true;
		}
		return PS_OK;
	}
	enum ps_status s = ps_repo_fetch(d->config.repo, it->model, it->domain);
	load_over(r, it);
	if (s == PS_OK)
		load_begun(d, item, tenant, asked, now_ns);
	return s;
}

enum ps_status ps_dispatch_fetch(struct ps_dispatch *d, int model, int domain, int tenant)
{
	if (!d->residency)
		return PS_OK;
	int item = item_need(d->residency, model, domain);
	return item < 0 ? PS_ENOMEM : residency_fetch(d, item, tenant, true, 0);
}

/* ---- parking ------------------------------------------------------------------------------ */

static void park(struct ps_dispatch *d, struct ps_dispatch_request *r, int item, int64_t now_ns)
{
	struct item *it = &d->residency->items[item];
	r->parked_for = item;
	r->parked_ns = now_ns;
	r->told = PS_DISPATCH_UNTOLD;
	r->park_next = NULL;
	r->park_prev = it->last;
	if (it->last)
		it->last->park_next = r;
	else
		it->first = r;
	it->last = r;
	request_set_state(d, r, PS_DISPATCH_PARKED);
}

static void take_off(struct ps_dispatch *d, struct ps_dispatch_request *r)
{
	struct residency *x = d->residency;
	struct item *it = &x->items[r->parked_for];
	struct ps_dispatch_request **first = r->told ? &x->told_first : &it->first;
	struct ps_dispatch_request **last = r->told ? &x->told_last : &it->last;
	if (r->park_prev)
		r->park_prev->park_next = r->park_next;
	else
		*first = r->park_next;
	if (r->park_next)
		r->park_next->park_prev = r->park_prev;
	else
		*last = r->park_prev;
	r->park_next = r->park_prev = NULL;
}

/* Its instance may be evicted again, and a load may wait for just that. */
static void has_come(struct residency *r, struct item *it)
{
	if (it->resuming == 0)
		return;
	it->resuming--;
	r->loads_due = r->loads_due || it->resuming == 0;
}

void residency_unpark(struct ps_dispatch *d, struct ps_dispatch_request *r)
{
	struct item *it = &d->residency->items[r->parked_for];
	take_off(d, r);
	if (r->told == PS_DISPATCH_GOES_ON)
		has_come(d->residency, it); /* it will not any more */
}

static void tell(struct ps_dispatch *d, struct ps_dispatch_request *r, enum ps_dispatch_told what)
{
	struct residency *x = d->residency;
	take_off(d, r);
	r->told = what;
	r->park_prev = x->told_last;
	if (x->told_last)
		x->told_last->park_next = r;
	else
		x->told_first = r;
	x->told_last = r;
}

void residency_tell(struct ps_dispatch *d, int item, bool good)
{
	struct item *it = &d->residency->items[item];
	while (it->first) {
		it->resuming += good;
		tell(d, it->first, good ? PS_DISPATCH_GOES_ON : PS_DISPATCH_IS_REFUSED);
	}
}

static bool is_there(const struct ps_dispatch *d, const struct item *it)
{
	return ps_repo_state_of(d->config.repo, it->model, it->domain) == PS_REPO_READY;
}

/* What was found out about its file: larger than the budget less what is pinned. */
static enum ps_status never_fits(struct ps_dispatch *d, const struct item *it, struct ps_error *why)
{
	const struct ps_repo *repo = d->config.repo;
	const struct ps_repo_model *m = ps_repo_get(repo, it->model);
	enum ps_repo_state state = ps_repo_state_of(repo, it->model, it->domain);
	char needs[PS_UNITS_SIZE], most[PS_UNITS_SIZE];
	if (state == PS_REPO_FAILED && it->needs_bytes > room_most(d))
		return ps_error_set(why, PS_EUNAVAIL, "model '%s' failed to load: %s", m->name,
				    ps_repo_reason(repo, it->model, it->domain)->what);
	if (state != PS_REPO_ON_DISK || !it->loaded || m->config->pinned ||
	    it->bytes <= room_most(d) || !ps_repo_identity_equal(&it->of, &m->identity))
		return PS_OK;
	return ps_error_set(why, PS_EUNAVAIL,
			    "model '%s' holds %s when it is loaded, and model_memory has %s for "
			    "models that are not pinned",
			    m->name, ps_units_format_bytes(it->bytes, needs),
			    ps_units_format_bytes(room_most(d), most));
}

/* Why an item cannot be had; PS_OK in *why: it can. */
static enum ps_status refusal(struct ps_dispatch *d, const struct item *it, int64_t now_ns,
			      int64_t *ret_wait_ns, struct ps_error *why)
{
	const struct ps_repo *repo = d->config.repo;
	const char *name = ps_repo_get(repo, it->model)->name;
	const struct ps_error *reason = ps_repo_reason(repo, it->model, it->domain);
	char left[PS_UNITS_SIZE];
	*ret_wait_ns = 0;
	if (!ps_repo_wanted(repo, it->model, it->domain))
		return ps_error_set(why, PS_EUNAVAIL, "model '%s' is not loaded", name);
	if (it->hangs && it->fetched_ns)
		return ps_error_set(
			why, PS_EUNAVAIL,
			"model '%s' is not loaded: a load is under way and takes longer "
			"than load_timeout",
			name);
	if (never_fits(d, it, why) != PS_OK)
		return PS_EUNAVAIL;
	if (it->failures < PS_DISPATCH_MAX_FAILURES || it->pause_until_ns <= now_ns ||
	    ps_repo_state_of(repo, it->model, it->domain) != PS_REPO_FAILED)
		return PS_OK;
	*ret_wait_ns = it->pause_until_ns - now_ns;
	return ps_error_set(why, PS_EUNAVAIL,
			    "model '%s' failed to load %d times, and is tried again in %s: %s",
			    name, it->failures, ps_units_format_eta(*ret_wait_ns, left),
			    reason->what);
}

static void fill_times(struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t now_ns)
{
	int64_t timeout_ns = d->residency->config.load_timeout_ns;
	request_fill_times(d, r, now_ns);
	r->start_by_ns = timeout_ns ? now_ns + timeout_ns : 0;
	r->put_off = false;
}

/* PS_EUNAVAIL: its model will not be there in time. */
static enum ps_status check_time(const struct ps_dispatch *d, const struct ps_dispatch_request *r,
				 int64_t load_ns, int64_t now_ns, struct ps_error *err)
{
	char load[PS_UNITS_SIZE], has[PS_UNITS_SIZE];
	if (!r->deadline_ns || r->no_deadline_check || now_ns + load_ns < r->deadline_ns)
		return PS_OK;
	return ps_error_set(err, PS_EUNAVAIL,
			    "model '%s' is being loaded: it is expected in %s, and the deadline is "
			    "in %s",
			    ps_repo_get(d->config.repo, r->model)->name,
			    ps_units_format_duration(load_ns, load),
			    ps_units_format_duration(
				    r->deadline_ns > now_ns ? r->deadline_ns - now_ns : 0, has));
}

/* Who is told to come again may have as many loads begun as it may have requests wait. */
static bool may_begin(const struct ps_dispatch *d, int tenant)
{
	return load_idle_of(d, tenant) < ps_tenancy_queue_limit(d->config.tenancy, tenant);
}

/* The tokens of its quota are used; what follows refuses for other reasons. */
static enum ps_status begin_wait(struct ps_dispatch *d, struct ps_dispatch_request *r, int item,
				 int64_t now_ns, int64_t *ret_wait_ns, struct ps_error *err)
{
	const struct item *it = &d->residency->items[item];
	enum ps_status s = refusal(d, it, now_ns, ret_wait_ns, err);
	if (s != PS_OK)
		return s;
	fill_times(d, r, now_ns);
	int64_t load_ns = is_there(d, it) ? 0 : load_wait_ns(d, it, r->tenant, now_ns);
	enum ps_status late = check_time(d, r, load_ns, now_ns, err);
	if (late != PS_OK)
		*ret_wait_ns = load_ns > 0 ? load_ns : 1;
	if (late != PS_OK && !may_begin(d, r->tenant))
		return late;
	s = residency_fetch(d, item, r->tenant, true, now_ns);
	if (s != PS_OK)
		return ps_error_set(err, s == PS_ENOTFOUND ? PS_EUNAVAIL : s, "%s",
				    ps_status_get(s)->meaning);
	if (late != PS_OK)
		return late;
	int64_t due = r->deadline_ns ? r->deadline_ns : INT64_MAX;
	if (r->start_by_ns && r->start_by_ns < due)
		due = r->start_by_ns;
	if (due < INT64_MAX && ps_heap_push(&d->deadlines, &r->deadline, due) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "out of memory");
	park(d, r, item, now_ns);
	/* Its load may have ended between the caller's look and this call: nothing would come to
	 * wake it. */
	if (is_there(d, &d->residency->items[item]))
		residency_tell(d, item, true);
	return PS_OK;
}

enum ps_status ps_dispatch_await(struct ps_dispatch *d, struct ps_dispatch_request *r,
				 int64_t now_ns, int64_t *ret_wait_ns, struct ps_error *err)
{
	struct ps_error own = {0};
	enum ps_dispatch_reason reason = PS_DISPATCH_REASON_NOT_READY;
	err = err ? err : &own;
	*ret_wait_ns = 0;
	d->residency->now_ns = now_ns;
	int item = item_need(d->residency, r->model, domain_of(d, r->tenant));
	enum ps_status s = item < 0 ? ps_error_set(err, PS_ENOMEM, "out of memory")
				    : admit_parked(d, r, now_ns, &reason, err);
	if (s == PS_OK) {
		if (!r->paid) {
			d->tenants[r->tenant].cold_starts++;
			usage_note(d, r->tenant, item, 1, now_ns);
			fair_ask(d, r->tenant, item);
		}
		reason = PS_DISPATCH_REASON_LOADING;
		s = begin_wait(d, r, item, now_ns, ret_wait_ns, err);
	}
	if (s != PS_OK) {
		r->account.finished_ns = now_ns;
		request_end(d, r, s, reason);
	}
	return s;
}

/* ---- going on ----------------------------------------------------------------------------- */

/* Loads that are over without anybody's having told: the content was there already, the model was
 * unloaded, its file is another one. */
static void settle_item(struct ps_dispatch *d, int item, int64_t now_ns)
{
	struct residency *r = d->residency;
	struct item *it = &r->items[item];
	enum ps_repo_state state = ps_repo_state_of(d->config.repo, it->model, it->domain);
	bool uncounted = it->fetched_ns != 0 && !it->hangs; /* else it was, when it hung */
	if (state == PS_REPO_LOADING)
		return;
	load_over(r, it);
	if (state == PS_REPO_FAILED && uncounted)
		load_failed(r, it, now_ns);
	else if (state == PS_REPO_READY)
		it->failures = 0;
	if (!it->first)
		return;
	if (state == PS_REPO_ON_DISK &&
	    residency_fetch(d, item, it->first->tenant, true, now_ns) == PS_OK)
		return;
	residency_tell(d, item, state == PS_REPO_READY);
}

void residency_settle(struct ps_dispatch *d, int64_t now_ns)
{
	for (int i = 0; i < d->residency->n_items; i++) {
		d->residency->steps++;
		if (d->residency->items[i].fetched_ns || d->residency->items[i].first)
			settle_item(d, i, now_ns);
		fair_look(d, i);
	}
}

static void end_wait(struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t now_ns)
{
	r->account.load_wait_ns += now_ns - r->parked_ns;
	d->tenants[r->tenant].load_wait_ns += now_ns - r->parked_ns;
}

static struct ps_dispatch_action resume(struct ps_dispatch *d, struct ps_dispatch_request *r,
					int64_t now_ns)
{
	ps_heap_remove(&d->deadlines, &r->deadline);
	take_off(d, r);
	end_wait(d, r, now_ns);
	request_set_state(d, r, PS_DISPATCH_NEW);
	r->start_by_ns = 0;
	r->paid = true;
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_RESUME, .request = r};
}

static struct ps_dispatch_action refuse(struct ps_dispatch *d, struct ps_dispatch_request *r,
					int64_t wait_ns, int64_t now_ns)
{
	end_wait(d, r, now_ns);
	r->account.finished_ns = now_ns;
	request_end(d, r, PS_EUNAVAIL, PS_DISPATCH_REASON_LOADING);
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_REFUSE,
					   .request = r,
					   .why = &d->residency->why,
					   .wait_ns = wait_ns};
}

static struct ps_dispatch_action tell_next(struct ps_dispatch *d, struct ps_dispatch_request *r,
					   int64_t now_ns)
{
	struct residency *x = d->residency;
	struct item *it = &x->items[r->parked_for];
	const struct ps_repo *repo = d->config.repo;
	int64_t wait = 0;
	if (r->told == PS_DISPATCH_GOES_ON)
		return resume(d, r, now_ns);
	if (refusal(d, it, now_ns, &wait, &x->why) == PS_OK)
		ps_error_set(&x->why, PS_EUNAVAIL, "model '%s' failed to load: %s",
			     ps_repo_get(repo, it->model)->name,
			     ps_repo_reason(repo, it->model, it->domain)->what);
	return refuse(d, r, wait, now_ns);
}

struct ps_dispatch_action residency_late(struct ps_dispatch *d, struct ps_dispatch_request *r,
					 int64_t now_ns)
{
	struct residency *x = d->residency;
	struct item *it = &x->items[r->parked_for];
	char limit[PS_UNITS_SIZE];
	if (r->told)
		return tell_next(d, r, now_ns);
	loads_check(d, now_ns);
	ps_error_set(&x->why, PS_EUNAVAIL, "model '%s' was not loaded within %s",
		     ps_repo_get(d->config.repo, it->model)->name,
		     ps_units_format_duration(x->config.load_timeout_ns, limit));
	return refuse(d, r, 0, now_ns);
}

void ps_dispatch_resumed(struct ps_dispatch *d, int tenant, int model)
{
	int item = d->residency ? item_find(d->residency, model, domain_of(d, tenant)) : -1;
	if (item >= 0)
		has_come(d->residency, &d->residency->items[item]);
}

void residency_hit(struct ps_dispatch *d, const struct ps_dispatch_request *r, int64_t now_ns)
{
	int item = item_need(d->residency, r->model, domain_of(d, r->tenant));
	if (item < 0)
		return;
	if (r->paid) { /* counted when it was parked */
		d->residency->items[item].used_ns = now_ns;
		return;
	}
	d->tenants[r->tenant].hits++;
	usage_note(d, r->tenant, item, 1, now_ns);
	fair_ask(d, r->tenant, item);
}

/* ---- pauses ------------------------------------------------------------------------------- */

int64_t ps_dispatch_pause_ns(const struct ps_dispatch *d, int model, int domain, int64_t now_ns)
{
	int item = d->residency ? item_find(d->residency, model, domain) : -1;
	const struct item *it = item >= 0 ? &d->residency->items[item] : NULL;
	bool paused = it && it->failures >= PS_DISPATCH_MAX_FAILURES &&
		      it->pause_until_ns > now_ns &&
		      ps_repo_state_of(d->config.repo, model, domain) == PS_REPO_FAILED;
	return paused ? it->pause_until_ns - now_ns : 0;
}

/* ---- time --------------------------------------------------------------------------------- */

/* An epoch lasts until the plan of the one before is there. */
static int64_t epoch_ends_ns(const struct residency *r)
{
	return r->plan ? INT64_MAX : r->epoch_ends_ns;
}

struct ps_dispatch_action residency_tick(struct ps_dispatch *d, int64_t now_ns)
{
	struct residency *r = d->residency;
	r->now_ns = now_ns;
	if (r->told_first)
		return tell_next(d, r->told_first, now_ns);
	if (epoch_ends_ns(r) <= now_ns) {
		r->epoch_ends_ns = INT64_MAX; /* until somebody asks again */
		usage_decay(d);
		struct ps_cache_job *plan = fair_plan(d);
		if (plan)
			return (struct ps_dispatch_action){.kind = PS_DISPATCH_PLAN,
							   .plan = plan,
							   .plan_number = r->plan_number};
	}
	if (!r->loads_due && r->retry_ns > now_ns)
		return nothing;
	r->loads_due = false;
	r->retry_ns = INT64_MAX;
	return (struct ps_dispatch_action){.kind = PS_DISPATCH_LOADS};
}

int64_t residency_next_ns(const struct ps_dispatch *d)
{
	const struct residency *r = d->residency;
	if (r->told_first || r->loads_due)
		return 0;
	return r->retry_ns < epoch_ends_ns(r) ? r->retry_ns : epoch_ends_ns(r);
}

void ps_dispatch_planned(struct ps_dispatch *d, uint64_t number, enum ps_status status,
			 const struct ps_error *why, int64_t now_ns)
{
	struct residency *r = d->residency;
	if (!r || !r->plan || number != r->plan_number)
		return;
	fair_planned(d, status, why);
	residency_fetch_wanted(d, now_ns);
	r->loads_due = true;
}

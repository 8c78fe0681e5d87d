/* Whether a request gets in. Cheap checks come first, so that a flood is cheap to refuse; tokens of
 * the rate are taken last, so that only what got in uses them up.
 */
#include "dispatch/dispatch_internal.h"

/* What is being judged. */
struct request_check {
	struct ps_dispatch *d;
	struct ps_dispatch_request *r;
	int64_t now_ns;
	enum ps_dispatch_reason reason;
	struct ps_error *err;
};

/* Text costs more than the refusal itself: it is made only for whoever reads it. */
#define REFUSE(c, why, status, ...)                                                                \
	((c)->reason = (why), (c)->err ? ps_error_set((c)->err, (status), __VA_ARGS__) : (status))

static const char *tenant_name(const struct request_check *c)
{
	return ps_tenancy_name(c->d->config.tenancy, c->r->tenant);
}

static enum ps_status check_instance(struct request_check *c)
{
	struct ps_dispatch *d = c->d;
	struct ps_dispatch_request *r = c->r;
	int instance = ps_dispatch_instance(d, r->tenant, r->model);
	if (instance >= 0) {
		r->instance = instance;
		return instance_is_known(d, instance);
	}
	const char *name = ps_repo_get(d->config.repo, r->model)->name;
	const struct ps_error *why =
		ps_repo_reason(d->config.repo, r->model, domain_of(d, r->tenant));
	if (why->status != PS_OK)
		return REFUSE(c, PS_DISPATCH_REASON_NOT_READY, PS_EUNAVAIL,
			      "model '%s' failed to load: %s", name, why->what);
	return REFUSE(c, PS_DISPATCH_REASON_NOT_READY, PS_EUNAVAIL, "model '%s' is not loaded",
		      name);
}

static enum ps_status check_level(struct request_check *c)
{
	int64_t most;
	if (queue_level(c->d, c->r, &most))
		return PS_OK;
	return REFUSE(c, PS_DISPATCH_REASON_NONE, PS_EINVAL,
		      "priority level must be in range [1, %lld] for '%s', got %d", (long long)most,
		      ps_repo_get(c->d->config.repo, c->r->model)->name, c->r->level);
}

static enum ps_status check_machine(struct request_check *c)
{
	int64_t most = c->d->config.max_waiting;
	if (c->d->draining)
		return REFUSE(c, PS_DISPATCH_REASON_DRAINING, PS_EUNAVAIL,
			      "the server is shutting down");
	int64_t waiting = c->d->waiting + c->d->parked;
	if (most > 0 && waiting >= most)
		return REFUSE(c, PS_DISPATCH_REASON_FULL, PS_EUNAVAIL,
			      "the server is full: %lld requests wait", (long long)waiting);
	return PS_OK;
}

static enum ps_status check_quota(struct request_check *c)
{
	const struct ps_tenancy *t = c->d->config.tenancy;
	struct tenant *own = &c->d->tenants[c->r->tenant];
	int64_t limit = ps_tenancy_queue_limit(t, c->r->tenant);
	int64_t concurrency = ps_tenancy_concurrency(t, c->r->tenant);
	struct ps_tenancy_rate rate = ps_tenancy_rate(t, c->r->tenant);
	int64_t waiting = own->waiting + own->parked;
	if (c->r->paid) /* when it was parked */
		return PS_OK;
	if (rate.per_s > 0 && ps_tenancy_bucket_wait_ns(&own->rate, &rate, 1, c->now_ns) > 0)
		return REFUSE(c, PS_DISPATCH_REASON_RATE, PS_EQUOTA,
			      "tenant %s may send %g requests/s", tenant_name(c), rate.per_s);
	if (concurrency > 0 && waiting + own->running >= concurrency)
		return REFUSE(c, PS_DISPATCH_REASON_CONCURRENCY, PS_EQUOTA,
			      "tenant %s may have %lld requests at the same time", tenant_name(c),
			      (long long)concurrency);
	if (waiting >= limit)
		return REFUSE(c, PS_DISPATCH_REASON_QUEUE, PS_EQUOTA,
			      "the queue of tenant %s is full: %lld requests wait", tenant_name(c),
			      (long long)waiting);
	return PS_OK;
}

/* Of the model, but each tenant has it to itself: nobody can fill it for another one. */
static enum ps_status check_queue(struct request_check *c)
{
	int64_t waiting, most = queue_policy(c->d, c->r)->max_queue_size;
	if (most < 1)
		return PS_OK;
	enum ps_status s = queue_room(c->d, c->r, &waiting);
	if (s != PS_OK || waiting < most)
		return s;
	return REFUSE(c, PS_DISPATCH_REASON_MODEL_QUEUE, PS_EUNAVAIL,
		      "Exceeds maximum queue size: %lld requests of tenant %s wait for '%s'",
		      (long long)waiting, tenant_name(c),
		      ps_repo_get(c->d->config.repo, c->r->model)->name);
}

/* How long it may wait, and until when it must be done. The first, where the model's configuration
 * bounds it, takes the client's `timeout` to itself: as its users know it, it is a time in the
 * queue there, and may only make the bound shorter. */
void request_fill_times(struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t now_ns)
{
	const struct ps_repo_queue_policy *q = queue_policy(d, r);
	int64_t from_ns = r->account.received_ns ? r->account.received_ns : now_ns;
	int64_t wait_ns = q->default_timeout_ns, timeout_ns = r->timeout_ns;
	if (wait_ns > 0) {
		bool shorter = q->allow_timeout_override && timeout_ns > 0 && timeout_ns < wait_ns;
		r->start_by_ns = now_ns + (shorter ? timeout_ns : wait_ns);
		r->put_off = q->delay;
	} else if (timeout_ns > 0 && (!r->deadline_ns || from_ns + timeout_ns < r->deadline_ns)) {
		r->deadline_ns = from_ns + timeout_ns;
	}
	if (r->deadline_ns)
		return;
	int64_t sla_ns = pair_get(d, r->tenant, r->model).sla_ns;
	r->deadline_ns = sla_ns > 0 ? from_ns + sla_ns : 0;
	r->soft_deadline = sla_ns > 0;
}

/* When its run has to end. */
static int64_t run_deadline_ns(const struct ps_dispatch_request *r, int64_t now_ns)
{
	int64_t left_ns = r->deadline_ns - now_ns;
	if (!r->deadline_ns || left_ns <= 0)
		return r->deadline_ns;
	return r->deadline_ns - (r->delivery_ns < left_ns / 10 ? r->delivery_ns : left_ns / 10);
}

static void fill_item(struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t now_ns)
{
	request_fill_times(d, r, now_ns);
	ps_sched_item_init(&r->item);
	r->item.tenant = r->tenant;
	r->item.instance = r->instance;
	r->item.rows = r->rows;
	r->item.shape_key = r->shape_key;
	r->item.deadline_ns = run_deadline_ns(r, now_ns);
	r->item.may_be_late = pair_get(d, r->tenant, r->model).may_be_late;
	r->item.start_by_ns = r->put_off ? 0 : r->start_by_ns;
	r->item.level = r->level;
	r->item.unchecked = r->no_deadline_check;
	r->account.rows = r->rows;
	r->account.deadline_ns = r->deadline_ns;
}

static enum ps_status check_deadline(struct request_check *c)
{
	struct ps_dispatch_request *r = c->r;
	fill_item(c->d, r, c->now_ns);
	if (!r->deadline_ns)
		return PS_OK;
	if (r->deadline_ns <= c->now_ns)
		return REFUSE(c, PS_DISPATCH_REASON_DEADLINE, PS_EDEADLINE,
			      "the request's time has run out");
	int64_t *predicted_ns = &r->account.predicted_ns;
	if (ps_sched_admit(c->d->sched, &r->item, c->now_ns, predicted_ns) == PS_OK)
		return PS_OK;
	return REFUSE(c, PS_DISPATCH_REASON_DEADLINE, PS_EDEADLINE,
		      "it would take %.1f ms, and the deadline is in %.1f ms",
		      (double)(*predicted_ns - c->now_ns) / 1e6,
		      (double)(r->deadline_ns - c->now_ns) / 1e6);
}

static void pay(struct ps_dispatch *d, const struct ps_dispatch_request *r, int64_t now_ns)
{
	struct ps_tenancy_rate rate = ps_tenancy_rate(d->config.tenancy, r->tenant);
	ps_tenancy_bucket_take(&d->tenants[r->tenant].rate, &rate, 1, now_ns);
}

enum ps_status admit_request(struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t now_ns,
			     enum ps_dispatch_reason *ret_reason, struct ps_error *err)
{
	struct request_check c = {.d = d, .r = r, .now_ns = now_ns, .err = err};
	enum ps_status s = check_machine(&c);
	if (s == PS_OK)
		s = check_instance(&c);
	if (s == PS_OK)
		s = check_level(&c);
	if (s == PS_OK)
		s = check_quota(&c);
	if (s == PS_OK)
		s = check_queue(&c);
	if (s == PS_OK)
		s = check_deadline(&c);
	*ret_reason = c.reason;
	if (s == PS_OK && !r->paid)
		pay(d, r, now_ns);
	return s;
}

enum ps_status admit_parked(struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t now_ns,
			    enum ps_dispatch_reason *ret_reason, struct ps_error *err)
{
	struct request_check c = {.d = d, .r = r, .now_ns = now_ns, .err = err};
	enum ps_status s = check_machine(&c);
	if (s == PS_OK)
		s = check_quota(&c);
	*ret_reason = c.reason;
	if (s == PS_OK && !r->paid)
		pay(d, r, now_ns);
	return s;
}

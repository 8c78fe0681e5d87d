/* How long loads take, and when one will be over: by the size of the file and what loads took
 * before.
 */
#include "dispatch/residency_internal.h"

/* ---- rates -------------------------------------------------------------------------------- */

/* Until one was measured, on a slow machine; then all are scaled by what was measured. */
static const struct {
	double fixed_ns, per_byte_ns;
} first_guess[PS_DISPATCH_RATES] = {
	[PS_DISPATCH_RATE_HASH] = {1e5, 1.5},
	[PS_DISPATCH_RATE_CONVERT] = {150e6, 12},
	[PS_DISPATCH_RATE_OPEN] = {4e6, 0.3},
};
static const double SMOOTHING = 0.3; /* of a load in the scale */
static const double LEAST_SCALE = 1e-3, MOST_SCALE = 1e3;

static double guess_ns(enum ps_dispatch_rate kind, int64_t bytes)
{
	return bytes > 0
		       ? first_guess[kind].fixed_ns + (double)bytes * first_guess[kind].per_byte_ns
		       : 0;
}

static int64_t expected_of(const struct residency *r, enum ps_dispatch_rate kind, int64_t bytes)
{
	return (int64_t)(r->scale[kind] * guess_ns(kind, bytes));
}

void loads_init(struct residency *r)
{
	for (int k = 0; k < PS_DISPATCH_RATES; k++)
		r->scale[k] = 1;
	r->max_loading = 1;
}

void load_learn(struct residency *r, enum ps_dispatch_rate kind, int64_t bytes, int64_t ns)
{
	double guess = guess_ns(kind, bytes);
	if (guess <= 0 || ns <= 0)
		return;
	double scale = (double)ns / guess, *now = &r->scale[kind];
	scale = scale < LEAST_SCALE ? LEAST_SCALE : scale > MOST_SCALE ? MOST_SCALE : scale;
	*now = r->measured[kind] ? *now + SMOOTHING * (scale - *now) : scale;
	r->measured[kind] = true;
}

const char *ps_dispatch_rate_name(enum ps_dispatch_rate kind)
{
	static const char *const names[PS_DISPATCH_RATES] = {
		[PS_DISPATCH_RATE_HASH] = "hash",
		[PS_DISPATCH_RATE_CONVERT] = "convert",
		[PS_DISPATCH_RATE_OPEN] = "open",
	};
	return names[kind];
}

double ps_dispatch_load_scale(const struct ps_dispatch *d, enum ps_dispatch_rate kind)
{
	return d->residency && d->residency->measured[kind] ? d->residency->scale[kind] : 0;
}

void ps_dispatch_set_load_scale(struct ps_dispatch *d, enum ps_dispatch_rate kind, double scale)
{
	struct residency *r = d->residency;
	if (!r || r->measured[kind] || !(scale >= LEAST_SCALE && scale <= MOST_SCALE))
		return;
	r->scale[kind] = scale;
	r->measured[kind] = true;
}

/* ---- of one load -------------------------------------------------------------------------- */

static int64_t file_bytes(const struct ps_dispatch *d, const struct item *it)
{
	int64_t bytes = ps_repo_get(d->config.repo, it->model)->identity.bytes;
	return bytes > it->file_bytes ? bytes : it->file_bytes; /* with weights outside the file */
}

/* This very file was loaded before: what it was converted to is kept. */
bool load_is_known(const struct ps_dispatch *d, const struct item *it)
{
	return it->loaded &&
	       ps_repo_identity_equal(&it->of, &ps_repo_get(d->config.repo, it->model)->identity);
}

bool load_converts(const struct ps_dispatch *d, const struct item *it)
{
	const char *path = ps_repo_get(d->config.repo, it->model)->path;
	return !load_is_known(d, it) && path && d->residency->config.converts &&
	       d->residency->config.converts(path);
}

int64_t load_open_ns(const struct ps_dispatch *d, const struct item *it, bool converts)
{
	int64_t measured = !load_is_known(d, it) ? 0 : converts ? it->convert_ns : it->open_ns;
	return measured > 0
		       ? measured
		       : expected_of(d->residency,
				     converts ? PS_DISPATCH_RATE_CONVERT : PS_DISPATCH_RATE_OPEN,
				     file_bytes(d, it));
}

int64_t load_hash_ns(const struct ps_dispatch *d, const struct item *it)
{
	return load_is_known(d, it)
		       ? 0
		       : expected_of(d->residency, PS_DISPATCH_RATE_HASH, file_bytes(d, it));
}

int64_t load_expected_ns(const struct ps_dispatch *d, const struct item *it)
{
	return load_hash_ns(d, it) + load_open_ns(d, it, load_converts(d, it));
}

/* ---- of all of them ----------------------------------------------------------------------- */

/* Of what goes on; one that takes longer than expected is expected to take a quarter of that more.
 */
static double left_ns(const struct item *it, int64_t now_ns)
{
	if (it->active_ns == 0)
		return (double)it->own_ns;
	double gone = now_ns > it->active_ns ? (double)(now_ns - it->active_ns) : 0;
	double left = (double)it->own_ns - gone;
	return left > gone / 4 ? left : gone / 4;
}

static double weight_of(const struct ps_dispatch *d, int tenant)
{
	return tenant >= 0 && tenant < d->n_tenants
		       ? (double)ps_tenancy_weight(d->config.tenancy, tenant)
		       : 1;
}

/* What is before the load of `me` in the places that it needs, served in turns: of another tenant
 * at most what it may have until this tenant's own loads are done. */
struct queue_ahead {
	struct ps_dispatch *d;
	const struct item *me;
	int tenant;
	bool converts;
	double running, own;
};

static void look_ahead(struct queue_ahead *q, int64_t now_ns)
{
	struct residency *r = q->d->residency;
	for (int t = 0; t < q->d->n_tenants; t++)
		q->d->tenants[t].load_backlog = 0;
	for (int i = 0; i < r->n_under_way; i++) {
		const struct item *it = &r->items[r->under_way[i]];
		if (it == q->me || it->own_converts != q->converts || it->hangs)
			continue;
		bool earlier = !q->me->fetched_ns || it->turn < q->me->turn;
		if (it->active_ns)
			q->running += left_ns(it, now_ns);
		else if (it->asked && it->for_tenant == q->tenant)
			q->own += earlier ? left_ns(it, now_ns) : 0;
		else if (it->asked && it->for_tenant >= 0 && it->for_tenant < q->d->n_tenants)
			q->d->tenants[it->for_tenant].load_backlog += left_ns(it, now_ns);
		else if (it->asked && earlier)
			q->own += left_ns(it, now_ns);
	}
}

int64_t load_wait_ns(struct ps_dispatch *d, const struct item *it, int tenant, int64_t now_ns)
{
	struct queue_ahead q = {.d = d, .me = it, .tenant = tenant};
	double mine = it->fetched_ns ? left_ns(it, now_ns) : (double)load_expected_ns(d, it);
	double places = 1;
	if (it->fetched_ns && it->active_ns)
		return (int64_t)mine;
	q.converts = it->fetched_ns ? it->own_converts : load_converts(d, it);
	if (!q.converts)
		places = d->residency->max_loading > 0 ? d->residency->max_loading : 1;
	look_ahead(&q, now_ns);
	double ahead = q.own;
	for (int t = 0; t < d->n_tenants; t++) {
		double most = (q.own + mine) * weight_of(d, t) / weight_of(d, tenant);
		double backlog = d->tenants[t].load_backlog;
		ahead += backlog < most ? backlog : most;
	}
	return (int64_t)((q.running + ahead) / places + mine);
}

/* Loads that nobody waits for: what the policy wants kept, and what is remembered after a restart.
 */
#include "dispatch/residency_internal.h"

/* What the policy wants kept and is not there: its load is nobody's, and evicts only what it does
 * not want. */
void residency_fetch_wanted(struct ps_dispatch *d, int64_t now_ns)
{
	struct residency *r = d->residency;
	for (int i = 0; i < r->n_items; i++)
		if (fair_wants(r, i) && ps_repo_state_of(d->config.repo, r->items[i].model,
							 r->items[i].domain) == PS_REPO_ON_DISK)
			(void)residency_fetch(d, i, -1, false, now_ns);
}

/* ---- after a restart ---------------------------------------------------------------------- */

static void note_recalled(struct ps_dispatch *d, int tenant, int item, double requests)
{
	usage_note(d, tenant, item, requests, 0);
	fair_recall(d, tenant, item, requests);
}

void ps_dispatch_recall(struct ps_dispatch *d, int tenant, int model, double rps)
{
	struct residency *r = d->residency;
	int item = r && rps > 0 ? item_need(r, model, domain_of(d, tenant)) : -1;
	if (item >= 0)
		note_recalled(d, tenant, item, rps * (double)r->config.epoch_ns * 1e-9);
}

static double demand_of(const struct residency *r, const struct item *it)
{
	double sum = 0;
	for (int u = it->first_use; u >= 0; u = r->uses[u].next)
		sum += r->uses[u].demand;
	return sum;
}

static int64_t bytes_of(const struct ps_dispatch *d, const struct item *it)
{
	return it->bytes > 0 ? it->bytes : ps_repo_get(d->config.repo, it->model)->identity.bytes;
}

/* The item on disk that is asked for most, and fits; -1: none. */
static int most_wanted(const struct ps_dispatch *d, int64_t room)
{
	const struct residency *r = d->residency;
	double most = 0;
	int best = -1;
	for (int i = 0; i < r->n_items; i++) {
		const struct item *it = &r->items[i];
		if (ps_repo_state_of(d->config.repo, it->model, it->domain) == PS_REPO_ON_DISK &&
		    bytes_of(d, it) <= room && demand_of(r, it) > most) {
			most = demand_of(r, it);
			best = i;
		}
	}
	return best;
}

void ps_dispatch_refill(struct ps_dispatch *d)
{
	struct residency *r = d->residency;
	int64_t room = r ? r->config.budget_bytes - room_used(d) : 0;
	int best;
	while (r && (best = most_wanted(d, room)) >= 0) {
		room -= bytes_of(d, &r->items[best]);
		if (residency_fetch(d, best, -1, false, 0) != PS_OK)
			break;
	}
}

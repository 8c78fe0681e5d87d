/* answered.c - whether a trial measured anything, or only that nothing works there. */
#include "measure/cell_internal.h"

#include "base/strbuf.h"

#include <inttypes.h>

/* No load explains these: a server that is only too busy refuses, is late, or leaves unsent. */
static uint64_t broken_of(const struct ps_load_tenant_result *t)
{
	return t->outcomes[PS_LOAD_REJECTED] + t->outcomes[PS_LOAD_GARBAGE] +
	       t->outcomes[PS_LOAD_RESET] + t->outcomes[PS_LOAD_WRONG] +
	       t->outcomes[PS_LOAD_CONNECT];
}

/* In the warm-up, too: who answered then, and is late for ever after, is overloaded. */
static bool any_succeeded(const struct ps_load_tenant_result *t)
{
	bool any = t->outcomes[PS_LOAD_OK] > 0;
	for (size_t i = 0; i < t->record_len && !any; i++) {
		any = t->records[i].outcome == PS_LOAD_OK;
	}
	return any;
}

static enum ps_status none_succeeded(const struct ps_load_tenant_result *t, struct ps_error *err)
{
	struct ps_strbuf kinds;
	ps_strbuf_init(&kinds);
	for (int i = 0; i < PS_LOAD_OUTCOME_COUNT; i++) {
		if (t->outcomes[i] > 0) {
			ps_strbuf_printf(&kinds, "%s%" PRIu64 " %s", kinds.len ? ", " : "",
					 t->outcomes[i],
					 ps_load_outcome_name((enum ps_load_outcome)i));
		}
	}
	ps_error_set(err, PS_EUNAVAIL,
		     "none of %" PRIu64 " requests of %s succeeded (%s); the "
		     "first: %.200s",
		     t->scheduled, t->name, kinds.data,
		     t->first_failure[0] ? t->first_failure : "no answer came");
	ps_strbuf_fini(&kinds);
	return PS_EUNAVAIL;
}

enum ps_status ps_measure_answered(const struct ps_load_result *r, struct ps_error *err)
{
	const struct ps_load_tenant_result *silent = NULL;
	bool alive = false;
	for (size_t i = 0; i < r->tenant_len; i++) {
		const struct ps_load_tenant_result *t = &r->tenants[i];
		if (t->scheduled == 0) {
			continue;
		}
		bool any = any_succeeded(t);
		if (!any && broken_of(t) == t->scheduled) {
			return none_succeeded(t, err);
		}
		silent = silent || any ? silent : t;
		alive = alive || any || t->outcomes[PS_LOAD_REFUSED] > 0;
	}
	return silent && !alive ? none_succeeded(silent, err) : PS_OK;
}

enum ps_status ps_measure_any_answered(const struct ps_load_result *r, struct ps_error *err)
{
	for (size_t i = 0; i < r->tenant_len; i++) {
		const struct ps_load_tenant_result *t = &r->tenants[i];
		if (t->scheduled > 0 && t->outcomes[PS_LOAD_OK] == 0) {
			return none_succeeded(t, err);
		}
	}
	return PS_OK;
}

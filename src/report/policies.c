/* policies.c - reads what perseus cache simulate said: foreign input, of which only what is known
 * is kept. */
#include "report/policies.h"

#include <math.h>

/* Figures with intervals, of a policy and of a tenant under one. */
static const char *const of_policy[] = {
	"requests_per_s", "against_optp",  "hit_ratio",		 "used", "jain", "worst_share",
	"outside_core",	  "mean_slowdown", "worst_p99_slowdown", NULL};
static const char *const of_tenant[] = {"hit_ratio", "share", "mean_slowdown", "p99_slowdown",
					NULL};
static const char *const numbers[] = {"worst_epoch", "gap", NULL};
static const char *const counts[] = {"epochs", "epochs_looked_at", "epochs_outside", "switches",
				     NULL};

static enum ps_status wrong(const char *key, const char *what, struct ps_error *err)
{
	ps_error_set(err, PS_EPARSE, "this is not what perseus cache simulate --json says: %s",
		     what);
	ps_error_where(err, "%s", key);
	return PS_EPARSE;
}

static bool is_number(const json_t *v)
{
	return !v || json_is_null(v) || json_is_number(v);
}

static enum ps_status interval(const json_t *from, const char *key, json_t *to,
			       struct ps_error *err)
{
	static const char *const ends[] = {"value", "low", "high"};
	const json_t *v = json_object_get(from, key);
	json_t *o = json_object();

	json_object_set_new(to, key, o);
	if (v && !json_is_object(v))
		return wrong(key, "an object with value, low and high is expected", err);
	for (int i = 0; i < 3; i++) {
		if (!is_number(json_object_get(v, ends[i])))
			return wrong(key, "a number or null is expected", err);
		ps_json_set_real(o, ends[i], ps_json_get_real(v, ends[i], NAN));
	}
	return PS_OK;
}

static enum ps_status intervals(const json_t *from, const char *const *keys, json_t *to,
				struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (int i = 0; keys[i] && st == PS_OK; i++)
		st = interval(from, keys[i], to, err);
	return st;
}

static enum ps_status text(const json_t *from, const char *key, json_t *to, struct ps_error *err)
{
	const char *v = ps_json_get_string(from, key, NULL);

	if (!v)
		return wrong(key, "a text is expected", err);
	ps_json_set_string(to, key, v);
	return PS_OK;
}

static enum ps_status tenant(const json_t *from, json_t *to, struct ps_error *err)
{
	enum ps_status st = text(from, "tenant", to, err);

	return st == PS_OK ? intervals(from, of_tenant, to, err) : st;
}

/* A list of at most `most` entries, each copied by `one`. */
static enum ps_status list(const json_t *from, const char *key, size_t most,
			   enum ps_status (*one)(const json_t *, json_t *, struct ps_error *),
			   json_t *to, struct ps_error *err)
{
	const json_t *all = json_object_get(from, key);
	json_t *kept = json_array();
	enum ps_status st = PS_OK;

	json_object_set_new(to, key, kept);
	if (!json_is_array(all))
		return wrong(key, "a list is expected", err);
	if (json_array_size(all) > most)
		return ps_error_set(err, PS_ETOOBIG, "'%s' has over %zu entries", key, most);
	for (size_t i = 0; i < json_array_size(all) && st == PS_OK; i++) {
		json_t *o = json_object();
		json_array_append_new(kept, o);
		st = one(json_array_get(all, i), o, err);
	}
	return st;
}

static enum ps_status policy(const json_t *from, json_t *to, struct ps_error *err)
{
	enum ps_status st = text(from, "policy", to, err);

	if (st == PS_OK)
		st = intervals(from, of_policy, to, err);
	for (int i = 0; numbers[i] && st == PS_OK; i++) {
		if (!is_number(json_object_get(from, numbers[i])))
			return wrong(numbers[i], "a number or null is expected", err);
		ps_json_set_real(to, numbers[i], ps_json_get_real(from, numbers[i], NAN));
	}
	for (int i = 0; counts[i] && st == PS_OK; i++) {
		if (!json_is_integer(json_object_get(from, counts[i])))
			return wrong(counts[i], "a count is expected", err);
		ps_json_set_int(to, counts[i], ps_json_get_int(from, counts[i], 0));
	}
	if (st != PS_OK)
		return st;
	return list(from, "tenants", PS_REPORT_POLICIES_MAX_TENANTS, tenant, to, err);
}

enum ps_status ps_report_policies_read(const json_t *said, json_t **ret_shown, struct ps_error *err)
{
	const json_t *setting = json_object_get(said, "setting");
	json_t *o = json_object();
	enum ps_status st = PS_OK;

	if (!o)
		return ps_error_set(err, PS_ENOMEM, "no memory for the policies");
	st = json_is_object(setting) ? PS_OK : wrong("setting", "an object is expected", err);
	if (st == PS_OK)
		json_object_set_new(o, "setting", json_deep_copy(setting));
	if (st == PS_OK)
		st = list(said, "policies", PS_REPORT_POLICIES_MAX, policy, o, err);
	if (st == PS_OK && json_array_size(json_object_get(o, "policies")) == 0)
		st = wrong("policies", "there is none", err);
	if (st == PS_OK)
		*ret_shown = o;
	else
		json_decref(o);
	return st;
}

enum ps_status ps_report_policies_parse(const char *said, size_t len, json_t **ret_shown,
					struct ps_error *err)
{
	json_t *v = NULL;
	enum ps_status st = ps_json_parse(said, len, &v, err);

	if (st == PS_OK)
		st = ps_report_policies_read(v, ret_shown, err);
	json_decref(v);
	return st;
}

/* case_internal.h - the steps of reading a case.   Layer 3. */
#ifndef PS_PLAN_CASE_INTERNAL_H
#define PS_PLAN_CASE_INTERNAL_H

#include "plan/case.h"

#include <stdlib.h>

static inline const struct ps_plan_file_tenant *ps_plan_file_tenant(const struct ps_plan_case *c,
								    size_t i)
{
	return (const struct ps_plan_file_tenant *)c->file.tenants.items + i;
}

static inline const struct ps_plan_profile *ps_plan_profile(const struct ps_plan_case *c, size_t i)
{
	return (const struct ps_plan_profile *)c->profiles.profiles.items + i;
}

/* ps_plan_refuse sets an error at file:line:key. */
enum ps_status ps_plan_refuse(struct ps_error *err, enum ps_status st, const char *path, int line,
			      const char *key, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* ps_plan_case_path gives the path that the option names, or of the file beside the plan; the
 * caller frees it. PS_EINVAL when neither is there (`what`: "prices"), PS_ENOMEM. */
enum ps_status ps_plan_case_path(const struct ps_plan_case *c, const char *option,
				 const char *in_file, const char *what, char **ret_path,
				 struct ps_error *err);
/* ps_plan_parse_rate reads "20" or "20/s"; 0 is quiet. */
bool ps_plan_parse_rate(const char *text, double *ret_rps);

/* ps_plan_case_model_named is the place of a model in the case; -1: it is not there. */
int ps_plan_case_model_named(const struct ps_plan_case *c, const char *name);
/* ps_plan_case_source_models asks the source about the tenants' models, of which those that the
 * files do not have join the others. Without a source it does nothing. */
enum ps_status ps_plan_case_source_models(struct ps_plan_case *c, struct ps_error *err);
/* ps_plan_case_source_type asks it how long models take on a type; given[model] says how closely a
 * row of the file fits (0: not at all). *ret_known counts the models that became known. */
enum ps_status ps_plan_case_source_type(struct ps_plan_case *c, int type, const int *given,
					int *ret_known, struct ps_error *err);
/* ps_plan_case_source_pairs asks it how models slow each other down. */
enum ps_status ps_plan_case_source_pairs(struct ps_plan_case *c, struct ps_error *err);
/* ps_plan_case_source_lacks refuses (PS_ENOTFOUND) tenants of whose models too little is known. */
enum ps_status ps_plan_case_source_lacks(const struct ps_plan_case *c, struct ps_error *err);

/* ps_plan_case_models lists the models of the profiles, and those that the source knows. */
enum ps_status ps_plan_case_models(struct ps_plan_case *c, struct ps_error *err);
/* ps_plan_case_types lists the types that may be rented and what is known of the models there. */
enum ps_status ps_plan_case_types(struct ps_plan_case *c, struct ps_error *err);
/* ps_plan_case_said fills c->said: what each tenant of the file says, with what it takes from
 * others.
 */
enum ps_status ps_plan_case_said(struct ps_plan_case *c, struct ps_error *err);
/* ps_plan_case_tenants makes the tenants. */
enum ps_status ps_plan_case_tenants(struct ps_plan_case *c, struct ps_error *err);

#endif

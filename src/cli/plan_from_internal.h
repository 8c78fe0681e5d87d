/* plan_from_internal.h - a plan's figures from a results store, and what is said of them. Layer 6.
 */
#ifndef PS_CLI_PLAN_FROM_INTERNAL_H
#define PS_CLI_PLAN_FROM_INTERNAL_H

#include "cli/cli.h"
#include "cli/plan_store_internal.h"
#include "plan/answer.h"

struct ps_cli_plan_from {
	char *store, *models, *write_campaign;
};

/* The options; `from` is a struct ps_cli_plan_from in `options`. */
#define PS_CLI_PLAN_FROM_ROWS(options)                                                             \
	{.name = "store",                                                                          \
	 .type = PS_CONF_TEXT,                                                                     \
	 .offset = offsetof(options, from.store),                                                  \
	 .metavar = "RESULTS.DB",                                                                  \
	 .help = "Take service times, memory and capacities from this results store: what was "    \
		 "measured before what the profiles give, and what neither has is predicted.",     \
	 .heading = "Where figures of models are from"},                                           \
		{.name = "models",                                                                 \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = offsetof(options, from.models),                                         \
		 .metavar = "DIR",                                                                 \
		 .help = "Folder with the models' files, NAME.onnx each, for what is predicted."}, \
	{                                                                                          \
		.name = "write-campaign", .type = PS_CONF_TEXT,                                    \
		.offset = offsetof(options, from.write_campaign), .metavar = "FILE",               \
		.help = "Write the campaign that measures what the plan lacks or only "            \
			"predicts, for perseus measure.",                                          \
	}

/* ps_cli_plan_open opens a case as ps_plan_case_open does, with the store as its source when there
 * is one: *ret_store, else NULL. When a model is missing and a campaign is asked for, it is written
 * before the error is returned. Close with ps_cli_plan_close. */
enum ps_status ps_cli_plan_open(const struct ps_cli_plan_from *from, const char *plan,
				const char *prices, const char *profiles, const char *revocations,
				struct ps_plan_case *ret_case, struct ps_cli_plan_store **ret_store,
				struct ps_error *err);
/* ps_cli_plan_write_campaign writes the campaign that measures what a plan only predicts: profiles,
 * searches alone, and pairs that share machines and were not measured. `a` NULL: there is no plan
 * yet. Says on stderr what was written. PS_ENOTFOUND for a model whose file is not known. */
enum ps_status ps_cli_plan_write_campaign(struct ps_cli_plan_store *s,
					  const struct ps_plan_answer *a, const char *path,
					  struct ps_error *err);
/* ps_cli_plan_write_lacks does so for a plan, when that is asked for. */
enum ps_status ps_cli_plan_write_lacks(const struct ps_cli_plan_from *from,
				       const struct ps_plan_answer *a, struct ps_error *err);
void ps_cli_plan_close(struct ps_plan_case *c, struct ps_cli_plan_store *s);

/* ps_cli_plan_pairs calls f for each two models that share a machine of the plan, once. */
void ps_cli_plan_pairs(const struct ps_plan_answer *a,
		       void (*f)(void *ctx, const struct ps_plan_answer *a, int own, int other),
		       void *ctx);
/* ps_cli_plan_from_text appends where the figures of a plan are from; nothing without a store. */
void ps_cli_plan_from_text(const struct ps_plan_answer *a, int most, struct ps_strbuf *out);
/* ps_cli_plan_from_json makes the same for one tenant on one type; NULL without a store. */
json_t *ps_cli_plan_from_json(const struct ps_plan_answer *a, int tenant, int type);
/* ps_cli_plan_beside_json makes a list of the pairs of models that share machines of the plan; NULL
 * without a store. */
json_t *ps_cli_plan_beside_json(const struct ps_plan_answer *a);
/* ps_cli_plan_notes_json says what of the store was left out, and why. */
void ps_cli_plan_notes_json(const struct ps_plan_answer *a, json_t *o);

#endif

/* predict_ask_internal.h - what is asked of the tables, and the answers.   Layer 6. */
#ifndef PS_CLI_PREDICT_ASK_INTERNAL_H
#define PS_CLI_PREDICT_ASK_INTERNAL_H

#include "cli/predict_show_internal.h"
#include "cli/predict_tables_internal.h"

#include "conf/conf.h"

/* The command line. */
struct ps_cli_predict_options {
	char *store, *dir, *csv, *write_campaign;
	struct ps_conf_texts models, beside, beside_rates; /* one rate for each */
	int64_t batch, threads, campaign;		   /* threads 0: not given */
	double cpus, rate;				   /* 0: not given */
	double beside_rps[PS_PREDICT_MAX_NEIGHBOURS];	   /* beside_rates, as numbers */
	double confidence;
	struct ps_sla sla;
	bool validate, json;
};

/* ps_cli_predict_slice is the slice that is asked about: given, or that of most profiles. */
struct ps_predict_slice ps_cli_predict_slice(const struct ps_cli_predict_options *o,
					     const struct ps_cli_predict_data *d);

struct ps_cli_predict_answers {
	struct ps_cli_predict_answer *items; /* free() it */
	size_t len;
};

/* ps_cli_predict_ask answers for every model that was asked about (its place in `d`). PS_EUNAVAIL
 * with the campaign to run when there is too little to learn from; what one model lacks is said in
 * its answer. */
enum ps_status ps_cli_predict_ask(const struct ps_cli_predict_options *o,
				  const struct ps_cli_predict_data *d, const int *asked,
				  struct ps_cli_predict_answers *ret_answers, struct ps_error *err);

#define PS_CLI_PREDICT_MOST_CHECKS 16
struct ps_cli_predict_checks {
	struct ps_cli_predict_check checks[PS_CLI_PREDICT_MOST_CHECKS];
	struct ps_cli_predict_table tables[PS_CLI_PREDICT_MOST_CHECKS];
	struct ps_predict_few few[PS_CLI_PREDICT_MOST_CHECKS];
	size_t len;
};

/* ps_cli_predict_check_all learns every quantity and judges it by models left out; what cannot be
 * learned says why. The caller calls ps_cli_predict_checks_free, also after a failure. */
enum ps_status ps_cli_predict_check_all(const struct ps_cli_predict_data *d,
					struct ps_cli_predict_checks *ret_checks,
					struct ps_error *err);
void ps_cli_predict_checks_free(struct ps_cli_predict_checks *c);

#endif

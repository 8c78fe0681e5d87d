/* predict_show_internal.h - predictions, and how good they are, as text, JSON and CSV.   Layer 6.
 */
#ifndef PS_CLI_PREDICT_SHOW_INTERNAL_H
#define PS_CLI_PREDICT_SHOW_INTERNAL_H

#include "cli/predict_tables_internal.h"

#include "base/json.h"
#include "base/strbuf.h"

#define PS_CLI_PREDICT_NOTE_SIZE 240

/* One number that was asked for. */
struct ps_cli_predict_answer {
	const char *model;
	const struct ps_predict_quantity *quantity;
	char setting[120]; /* "batch 4, 1 thread, 1 CPU" */
	bool known;	   /* else `note` says why not */
	struct ps_predict_estimate estimate;
	double error, error_noise;	 /* mean error on models left out, and their noise; NAN */
	int models;			 /* learned from */
	double measured, measured_noise; /* of the very same; NAN: it was not */
	char note[PS_CLI_PREDICT_NOTE_SIZE];
};

/* How good a quantity's predictions are; learned NULL: `note` says what is missing. */
struct ps_cli_predict_check {
	const struct ps_predict_quantity *quantity;
	const struct ps_cli_predict_table *table;
	const struct ps_predict_few *few; /* of a transfer; else NULL */
	char setting[160];
	char note[PS_CLI_PREDICT_NOTE_SIZE];
};

void ps_cli_predict_answers_text(const struct ps_cli_predict_answer *a, size_t n,
				 struct ps_strbuf *out);
json_t *ps_cli_predict_answers_json(const struct ps_cli_predict_answer *a, size_t n);
void ps_cli_predict_answers_csv(const struct ps_cli_predict_answer *a, size_t n,
				struct ps_strbuf *out);

void ps_cli_predict_checks_text(const struct ps_cli_predict_check *c, size_t n,
				struct ps_strbuf *out);
json_t *ps_cli_predict_checks_json(const struct ps_cli_predict_check *c, size_t n);
void ps_cli_predict_checks_csv(const struct ps_cli_predict_check *c, size_t n,
			       struct ps_strbuf *out);

/* What was left out, below either. */
void ps_cli_predict_notes_text(const struct ps_cli_predict_data *d, struct ps_strbuf *out);
void ps_cli_predict_notes_json(const struct ps_cli_predict_data *d, json_t *o);

/* What of a sentence is the same everywhere: "1.2 ms" from ns, "31 requests/s", "1.3". */
const char *ps_cli_predict_value(double v, const char *unit, char buf[32]);

#endif

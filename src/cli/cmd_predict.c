/* cmd_predict.c - perseus predict: from models that were measured to models that were not. */
#include "cli/cli.h"
#include "cli/predict_campaign_internal.h"
#include "cli/predict_show_internal.h"
#include "cli/predict_ask_internal.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_RATE 1e-6
#define MOST_RATE  1e9

#define FIELD(f) offsetof(struct ps_cli_predict_options, f)

static const struct ps_conf_option rows[] = {
	{.name = "store",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(store),
	 .metavar = "RESULTS.DB",
	 .help = "The results store with profiles, that perseus measure wrote.",
	 .flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED},
	{.name = "model",
	 .type = PS_CONF_TEXTS,
	 .offset = FIELD(models),
	 .metavar = "MODEL.onnx",
	 .help = "A model to predict. One that the store knows is predicted from the others, and "
		 "what was measured is shown beside it.",
	 .max = 64,
	 .flags = PS_CONF_POSITIONAL},
	{.name = "batch",
	 .type = PS_CONF_INT,
	 .offset = FIELD(batch),
	 .metavar = "N",
	 .def = "1",
	 .min = 1,
	 .max = 65536,
	 .help = "Inferences per run.",
	 .heading = "What is asked"},
	{.name = "threads",
	 .type = PS_CONF_INT,
	 .offset = FIELD(threads),
	 .metavar = "N",
	 .min = 1,
	 .max = 1024,
	 .help = "Threads of one run; without it those of most profiles."},
	{.name = "cpus",
	 .type = PS_CONF_REAL,
	 .offset = FIELD(cpus),
	 .metavar = "N",
	 .min = 0.01,
	 .max = 1024,
	 .help = "CPUs of the slice; without it those of most profiles."},
	{.name = "sla",
	 .type = PS_CONF_SLA,
	 .offset = FIELD(sla),
	 .metavar = "SLA",
	 .help = "Also the capacity alone under this agreement, such as p95<=200ms."},
	{.name = "beside",
	 .type = PS_CONF_TEXTS,
	 .offset = FIELD(beside),
	 .metavar = "NAME",
	 .max = PS_PREDICT_MAX_NEIGHBOURS,
	 .help = "Also the slowdown and the p99 beside this model of the store, at --rate and "
		 "--beside-rate; given several times: beside all of them."},
	{.name = "rate",
	 .type = PS_CONF_RATE,
	 .offset = FIELD(rate),
	 .metavar = "RATE",
	 .min = 1e-6,
	 .max = 1e9,
	 .help = "Requests per second for the model."},
	{.name = "beside-rate",
	 .type = PS_CONF_TEXTS,
	 .offset = FIELD(beside_rates),
	 .metavar = "RATE",
	 .max = PS_PREDICT_MAX_NEIGHBOURS,
	 .help = "Requests per second for its neighbour, such as 2, 2/s or 90/min; one for each, "
		 "in their "
		 "order."},
	{.name = "confidence",
	 .type = PS_CONF_RATIO,
	 .offset = FIELD(confidence),
	 .metavar = "SHARE",
	 .def = "90%",
	 .min = 0.5,
	 .max = 0.999,
	 .help = "Of the intervals. n models can bound n / (n + 1) at most: 12 models 92 %."},
	{.name = "campaign",
	 .type = PS_CONF_INT,
	 .offset = FIELD(campaign),
	 .metavar = "ID",
	 .min = 1,
	 .max = 0,
	 .help = "Learn from this campaign of the store only.",
	 .letter = 'c',
	 .heading = "What is learned from"},
	{.name = "models",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(dir),
	 .metavar = "DIR",
	 .help = "Folder with the files of the store's models, NAME.onnx each. Otherwise they are "
		 "looked for where the campaign had them; networks of the zoo are made again."},
	{.name = "validate",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(validate),
	 .help = "Show for every quantity how wrong it is on models that are left out, one by one.",
	 .heading = "Result"},
	{.name = "csv",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(csv),
	 .metavar = "FILE",
	 .help = "Write the same as a table for other tools; with --validate every measurement."},
	{.name = "write-campaign",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(write_campaign),
	 .metavar = "FILE",
	 .help = "Write the campaign that measures what is missing, for perseus measure."},
	PS_CLI_JSON(struct ps_cli_predict_options),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus predict",
	.summary = "Predict models that were not measured from those that were.",
	.details =
		"The service time of a model follows from its file and from the operators of other "
		"models; capacity, slowdown and p99 beside a neighbour follow from service times. "
		"Several candidates are tried, and the best one is chosen by leaving models out: "
		"the "
		"error that is shown is of models that had no part in any choice. What lies "
		"outside "
		"the measured range is marked.",
	.example =
		"perseus predict results.db --validate\n"
		"perseus predict results.db mine.onnx --batch 4\n"
		"perseus predict results.db mine.onnx --sla 'p95<=200ms' --json\n"
		"perseus predict results.db mine.onnx --beside resnet50 --rate 4 --beside-rate 2\n"
		"perseus predict results.db mine.onnx --rate 4 --beside a --beside-rate 2 "
		"--beside b --beside-rate 1\n"
		"perseus predict results.db mine.onnx --write-campaign more.yaml",
	.options = rows,
	.size = sizeof(struct ps_cli_predict_options),
	.where_offset = SIZE_MAX,
};

static enum ps_status usage(const char *where, const char *what, struct ps_error *err)
{
	ps_error_set(err, PS_EUSAGE, "%s", what);
	ps_error_where(err, "%s", where);
	return PS_EUSAGE;
}

static enum ps_status check_rates(struct ps_cli_predict_options *o, struct ps_error *err)
{
	for (size_t i = 0; i < o->beside_rates.len; i++) {
		double *rps = &o->beside_rps[i];
		if (ps_conf_parse_rate(o->beside_rates.items[i], rps, NULL) != PS_OK ||
		    !(*rps >= LEAST_RATE) || !(*rps <= MOST_RATE))
			return usage("--beside-rate",
				     "is no rate such as 2, 2/s or 90/min, from 1e-6 to 1e9", err);
	}
	return PS_OK;
}

static enum ps_status check(struct ps_cli_predict_options *o, struct ps_error *err)
{
	if (o->models.len == 0 && !o->validate && !o->write_campaign)
		return usage("MODEL.onnx", "a model to predict is missing, or --validate", err);
	if (o->validate && o->models.len > 0)
		return usage("--validate", "looks at the store's models, not at files", err);
	if (o->beside.len > 0 && (o->rate <= 0 || o->beside_rates.len != o->beside.len))
		return usage("--beside", "needs --rate, and a --beside-rate for each", err);
	if (o->beside.len == 0 && (o->rate > 0 || o->beside_rates.len > 0))
		return usage("--rate", "is about a neighbour: --beside is missing", err);
	return check_rates(o, err);
}

static enum ps_status write_csv(const char *path, const struct ps_strbuf *out, struct ps_error *err)
{
	if (ps_strbuf_status(out) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for %s", path);
	return ps_file_write(path, out->data, out->len, err);
}

static enum ps_status print_text(const struct ps_strbuf *out, struct ps_error *err)
{
	if (ps_strbuf_status(out) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for the text");
	return ps_cli_print(out->data, out->len, err);
}

/* ---- the two things that it does ---- */

/* The caller's object, with the notes. */
static enum ps_status print_json(json_t *o, const struct ps_cli_predict_data *d,
				 struct ps_error *err)
{
	ps_cli_predict_notes_json(d, o);
	return ps_cli_print_json(o, err);
}

static enum ps_status show_checks(const struct ps_cli_predict_options *o,
				  const struct ps_cli_predict_data *d,
				  const struct ps_cli_predict_checks *c, struct ps_error *err)
{
	struct ps_strbuf out;
	enum ps_status st = PS_OK;

	ps_strbuf_init(&out);
	if (o->csv) {
		ps_cli_predict_checks_csv(c->checks, c->len, &out);
		st = write_csv(o->csv, &out, err);
		ps_strbuf_clear(&out);
	}
	if (st == PS_OK && o->json) {
		st = print_json(ps_cli_predict_checks_json(c->checks, c->len), d, err);
	} else if (st == PS_OK) {
		ps_cli_predict_checks_text(c->checks, c->len, &out);
		ps_cli_predict_notes_text(d, &out);
		st = print_text(&out, err);
	}
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status validate(const struct ps_cli_predict_options *o,
			       struct ps_cli_predict_data *d, struct ps_error *err)
{
	struct ps_cli_predict_checks *c = calloc(1, sizeof(*c));

	if (!c)
		return ps_error_set(err, PS_ENOMEM, "no memory for the tables");
	enum ps_status st = ps_cli_predict_check_all(d, c, err);
	if (st == PS_OK)
		st = show_checks(o, d, c, err);
	ps_cli_predict_checks_free(c);
	free(c);
	return st;
}

static enum ps_status show_answers(const struct ps_cli_predict_options *o,
				   const struct ps_cli_predict_data *d,
				   const struct ps_cli_predict_answers *a, struct ps_error *err)
{
	struct ps_strbuf out;
	enum ps_status st = PS_OK;

	ps_strbuf_init(&out);
	if (o->csv) {
		ps_cli_predict_answers_csv(a->items, a->len, &out);
		st = write_csv(o->csv, &out, err);
		ps_strbuf_clear(&out);
	}
	if (st == PS_OK && o->json) {
		st = print_json(ps_cli_predict_answers_json(a->items, a->len), d, err);
	} else if (st == PS_OK) {
		ps_cli_predict_answers_text(a->items, a->len, &out);
		ps_cli_predict_notes_text(d, &out);
		st = print_text(&out, err);
	}
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status predict(const struct ps_cli_predict_options *o, struct ps_cli_predict_data *d,
			      const int *asked, struct ps_error *err)
{
	struct ps_cli_predict_answers a = {0};
	enum ps_status st = ps_cli_predict_ask(o, d, asked, &a, err);

	if (st == PS_OK)
		st = show_answers(o, d, &a, err);
	free(a.items);
	return st;
}

static enum ps_status write_campaign(const struct ps_cli_predict_options *o,
				     const struct ps_cli_predict_data *d, struct ps_error *err)
{
	const struct ps_cli_predict_wanted w = {.path = o->write_campaign,
						.store = o->store,
						.batch = o->batch,
						.slice = ps_cli_predict_slice(o, d)};
	int models = 0, more = 0;
	enum ps_status st = ps_cli_predict_write_campaign(d, &w, &models, &more, err);

	if (st == PS_OK && models > 0)
		fprintf(stderr, "wrote %s: perseus measure %s --store %s measures %d models\n",
			w.path, w.path, w.store, models);
	if (st == PS_OK && more > 0)
		fprintf(stderr, "%d networks of the zoo did not fit: ask again when it has run\n",
			more);
	if (st == PS_OK && (o->beside.len > 0 || o->sla.percentile > 0))
		fprintf(stderr,
			"it measures profiles and operators: capacities need search:, pairs "
			"confirm: with your rates\n");
	if (st == PS_OK && models == 0)
		fprintf(stderr, "nothing is missing: %s was not written\n", w.path);
	return st;
}

static enum ps_status with_data(const struct ps_cli_predict_options *o,
				struct ps_cli_predict_data *d, struct ps_error *err)
{
	int asked[64];
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < o->models.len && st == PS_OK; i++)
		st = ps_cli_predict_add_file(d, o->models.items[i], &asked[i], err);
	if (st == PS_OK && o->write_campaign)
		st = write_campaign(o, d, err);
	if (st != PS_OK || (o->models.len == 0 && !o->validate))
		return st;
	st = ps_cli_predict_count(d, o->dir, err);
	if (st != PS_OK)
		return st;
	return o->validate ? validate(o, d, err) : predict(o, d, asked, err);
}

static int run(void *options)
{
	struct ps_cli_predict_options *o = options;
	struct ps_cli_predict_data *d = calloc(1, sizeof(*d));
	struct ps_store *s = NULL;
	struct ps_error err;
	enum ps_status st = d ? check(o, &err) : ps_error_set(&err, PS_ENOMEM, "no memory");

	if (st == PS_OK)
		st = ps_store_open(o->store, PS_STORE_READ, &s, &err);
	if (st == PS_OK)
		st = ps_cli_predict_read(s, o->campaign, d, &err);
	ps_store_close(s);
	if (st == PS_OK) {
		st = with_data(o, d, &err);
		ps_cli_predict_free(d);
	}
	free(d);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cmd_predict = {.name = "predict", .schema = &schema, .run = run};

/* rows.h - made-up measurements for the tests of predict/. */
#ifndef TESTS_UNIT_PREDICT_ROWS_H
#define TESTS_UNIT_PREDICT_ROWS_H

#include "predict/choose.h"

#include "base/rng.h"

#include <math.h>
#include <string.h>

#define MOST_ROWS   400
#define MOST_MODELS 40

static const struct ps_predict_quantity made_up = {
	.name = "made-up time",
	.unit = "ns",
	.columns = {{"work", PS_PREDICT_LOGS | PS_PREDICT_ADDS},
		    {"bytes", PS_PREDICT_LOGS | PS_PREDICT_ADDS},
		    {"runs", PS_PREDICT_ADDS}},
	.column_len = 3,
	.places = {"batch"},
	.place_len = 1,
	.goal = 0.1,
};

struct made {
	struct ps_predict_row rows[MOST_ROWS];
	const char *names[MOST_MODELS];
	struct ps_predict_table table;
};

static inline void made_begin(struct made *m, int models)
{
	memset(m, 0, sizeof(*m));
	for (int i = 0; i < MOST_MODELS; i++)
		m->names[i] = "model";
	m->table = (struct ps_predict_table){
		.quantity = &made_up, .models = m->names, .model_len = models, .rows = m->rows};
}

static inline struct ps_predict_row *made_add(struct made *m, int model, double batch, double work,
					      double bytes, double y)
{
	struct ps_predict_row *r = &m->rows[m->table.len++];
	*r = (struct ps_predict_row){.models = {model, -1},
				     .place = {batch},
				     .x = {work, bytes, 1},
				     .y = y,
				     .noise = 0.01,
				     .anchor = NAN};
	return r;
}

/* Models over two decades of work, whose time is a sum of parts and noise that is a factor. */
static inline void made_sum(struct made *m, int models, double noise, struct ps_rng *rng)
{
	made_begin(m, models);
	for (int g = 0; g < models; g++) {
		double work = exp(2 + 4.6 * ps_rng_uniform(rng));
		double bytes = exp(1 + 4.6 * ps_rng_uniform(rng));
		double y = (2 * work + 3 * bytes + 20) * exp(noise * ps_rng_normal(rng));
		made_add(m, g, 1, work, bytes, y);
	}
}

static inline struct ps_predict_rows made_all(const struct made *m, size_t *at)
{
	for (size_t i = 0; i < m->table.len; i++)
		at[i] = i;
	return (struct ps_predict_rows){&m->table, at, m->table.len};
}

#endif

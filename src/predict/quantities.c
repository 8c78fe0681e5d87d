/* quantities.c - the columns of each quantity, and how a row gets them. */
#include "predict/predict.h"

#include "predict/pair_internal.h"

#include <math.h>
#include <string.h>

/* ---- service time ---- */

enum {
	S_MACS,
	S_ACTIVATIONS,
	S_OPERATORS,
	S_PARAMETERS,
	S_THREADS,
	S_BATCH,
	S_CONV,
	S_POINTWISE,
	S_DEPTHWISE,
	S_OTHER_CONV,
	S_PRODUCTS,
	S_ELEMENTS,
	S_RUN,
	S_COLUMNS
};

#define BOTH (PS_PREDICT_ADDS | PS_PREDICT_LOGS)

const struct ps_predict_quantity ps_predict_service = {
	.name = "service time",
	.unit = "ns",
	.columns = {[S_MACS] = {"multiply-accumulates per thread", PS_PREDICT_LOGS},
		    [S_ACTIVATIONS] = {"bytes of activations", BOTH},
		    [S_OPERATORS] = {"operators", BOTH},
		    [S_PARAMETERS] = {"bytes of parameters", BOTH},
		    [S_THREADS] = {"threads", PS_PREDICT_LOGS},
		    [S_BATCH] = {"inferences", PS_PREDICT_LOGS},
		    [S_CONV] = {"multiply-accumulates of wide convolutions", PS_PREDICT_ADDS},
		    [S_POINTWISE] = {"multiply-accumulates of 1x1 convolutions", PS_PREDICT_ADDS},
		    [S_DEPTHWISE] = {"multiply-accumulates of depthwise convolutions",
				     PS_PREDICT_ADDS},
		    [S_OTHER_CONV] = {"multiply-accumulates of grouped convolutions",
				      PS_PREDICT_ADDS},
		    [S_PRODUCTS] = {"multiply-accumulates of products", PS_PREDICT_ADDS},
		    [S_ELEMENTS] = {"operations on elements", PS_PREDICT_ADDS},
		    [S_RUN] = {"runs", PS_PREDICT_ADDS}},
	.column_len = S_COLUMNS,
	.places = {"batch", "threads", "CPUs"},
	.place_len = 3,
	.goal = 0.10,
};

static int column_of(enum ps_predict_kind kind)
{
	switch (kind) {
	case PS_PREDICT_CONV:
	case PS_PREDICT_IMAGE:
		return S_CONV;
	case PS_PREDICT_POINTWISE:
		return S_POINTWISE;
	case PS_PREDICT_DEPTHWISE:
		return S_DEPTHWISE;
	case PS_PREDICT_GROUPED:
		return S_OTHER_CONV;
	default:
		return S_PRODUCTS;
	}
}

void ps_predict_service_row(const struct ps_predict_model *work,
			    const struct ps_predict_slice *slice, struct ps_predict_row *ret_row)
{
	struct ps_predict_row r = {
		.models = {0, -1}, .y = NAN, .noise = NAN, .anchor = NAN, .work = work};
	double t = slice->threads;

	r.place[0] = (double)work->batch;
	r.place[1] = t;
	r.place[2] = slice->cpus;
	r.x[S_MACS] = work->macs / t;
	r.x[S_ACTIVATIONS] = work->activation_bytes;
	r.x[S_OPERATORS] = (double)work->op_count;
	r.x[S_PARAMETERS] = work->param_bytes;
	r.x[S_THREADS] = t;
	r.x[S_BATCH] = (double)work->batch;
	for (size_t i = 0; i < work->op_count; i++)
		if (isfinite(work->ops[i].macs))
			r.x[column_of(work->ops[i].kind)] += work->ops[i].macs / t;
	r.x[S_ELEMENTS] = work->element_ops / t;
	r.x[S_RUN] = 1;
	*ret_row = r;
}

/* ---- transfer ---- */

enum { T_SERVICE, T_OPERATORS, T_ACTIVATIONS, T_COLUMNS };

const struct ps_predict_quantity ps_predict_transfer = {
	.name = "service time on another slice",
	.unit = "ns",
	.columns = {[T_SERVICE] = {"service time on the first slice", BOTH},
		    [T_OPERATORS] = {"operators", BOTH},
		    [T_ACTIVATIONS] = {"bytes of activations", BOTH}},
	.column_len = T_COLUMNS,
	.places = {"batch", "threads", "CPUs"},
	.place_len = 3,
	.goal = 0.15,
};

void ps_predict_transfer_row(const struct ps_predict_model *work, double service_ns,
			     const struct ps_predict_slice *slice, struct ps_predict_row *ret_row)
{
	ps_predict_service_row(work, slice, ret_row);
	memset(ret_row->x, 0, sizeof(ret_row->x));
	/* its own operators were measured: the sum of them would be no prediction */
	ret_row->work = NULL;
	ret_row->anchor = service_ns;
	ret_row->x[T_SERVICE] = service_ns;
	ret_row->x[T_OPERATORS] = (double)work->op_count;
	ret_row->x[T_ACTIVATIONS] = work->activation_bytes;
}

/* ---- capacity ---- */

enum { C_SERVICE, C_LIMIT, C_TAIL, C_LANES, C_COLUMNS };

const struct ps_predict_quantity ps_predict_capacity = {
	.name = "capacity alone",
	.unit = "requests/s",
	.columns = {[C_SERVICE] = {"service time", PS_PREDICT_LOGS},
		    [C_LIMIT] = {"limit over service time", PS_PREDICT_LOGS},
		    [C_TAIL] = {"share outside the limit", PS_PREDICT_LOGS},
		    [C_LANES] = {"lanes", PS_PREDICT_LOGS}},
	.column_len = C_COLUMNS,
	.places = {"lanes", "CPUs"},
	.place_len = 2,
	.goal = 0.15,
};

static void place_of(const struct ps_predict_slice *slice, struct ps_predict_row *r)
{
	r->place[0] = slice->lanes;
	r->place[1] = slice->cpus;
}

void ps_predict_capacity_row(const struct ps_predict_tenant *t, double p, double limit_ns,
			     const struct ps_predict_slice *slice, struct ps_predict_row *ret_row)
{
	struct ps_predict_row r = {.models = {0, -1}, .y = NAN, .noise = NAN};

	place_of(slice, &r);
	r.x[C_SERVICE] = t->service_ns;
	r.x[C_LIMIT] = limit_ns / t->service_ns;
	r.x[C_TAIL] = 1 - p;
	r.x[C_LANES] = slice->lanes;
	r.anchor = ps_predict_alone_capacity(t, p, limit_ns, slice);
	*ret_row = r;
}

/* ---- two tenants ---- */

enum {
	P_OTHER_LOAD,
	P_RATIO,
	P_OWN_LOAD,
	P_OWN_SERVICE,
	P_OTHER_TRAFFIC,
	P_LANES,
	P_ONE,
	P_MET,
	P_COLUMNS
};

#define PAIR_COLUMNS                                                                               \
	{                                                                                          \
		[P_OTHER_LOAD] = {"the neighbour's load", PS_PREDICT_LOGS},                        \
		[P_RATIO] = {"the neighbour's service time over one's own", PS_PREDICT_LOGS},      \
		[P_OWN_LOAD] = {"one's own load", PS_PREDICT_LOGS},                                \
		[P_OWN_SERVICE] = {"one's own service time", BOTH},                                \
		[P_OTHER_TRAFFIC] = {"bytes that the neighbour moves per second",                  \
				     PS_PREDICT_LOGS},                                             \
		[P_LANES] = {"lanes", PS_PREDICT_LOGS},                                            \
		[P_ONE] = {"being there", PS_PREDICT_ADDS}, [P_MET] = {                            \
			"the neighbour's service time, as often as it is met",                     \
			PS_PREDICT_ADDS                                                            \
		}                                                                                  \
	}

const struct ps_predict_quantity ps_predict_slowdown = {
	.name = "slowdown beside a neighbour",
	.unit = "",
	.columns = PAIR_COLUMNS,
	.column_len = P_COLUMNS,
	.places = {"lanes", "CPUs"},
	.place_len = 2,
	.goal = 0.10,
};

const struct ps_predict_quantity ps_predict_p99 = {
	.name = "p99 beside a neighbour",
	.unit = "ns",
	.columns = PAIR_COLUMNS,
	.column_len = P_COLUMNS,
	.places = {"lanes", "CPUs"},
	.place_len = 2,
	.goal = 0.15,
};

static double load_of(const struct ps_predict_tenant *t, const struct ps_predict_slice *slice)
{
	return t->rate_rps * t->service_ns * 1e-9 / slice->lanes;
}

static void pair_row(const struct ps_predict_tenant *own, const struct ps_predict_tenant *other,
		     const struct ps_predict_slice *slice, struct ps_predict_row *ret_row)
{
	struct ps_predict_row r = {.models = {0, -1}, .y = NAN, .noise = NAN, .anchor = NAN};

	place_of(slice, &r);
	r.x[P_OTHER_LOAD] = load_of(other, slice);
	r.x[P_RATIO] = other->service_ns / own->service_ns;
	r.x[P_OWN_LOAD] = load_of(own, slice);
	r.x[P_OWN_SERVICE] = own->service_ns;
	r.x[P_OTHER_TRAFFIC] = other->moved_bytes * other->rate_rps;
	r.x[P_LANES] = slice->lanes;
	r.x[P_ONE] = 1;
	r.x[P_MET] = r.x[P_OTHER_LOAD] * r.x[P_RATIO];
	*ret_row = r;
}

void ps_predict_slowdown_row(const struct ps_predict_tenant *own,
			     const struct ps_predict_tenant *other,
			     const struct ps_predict_slice *slice, struct ps_predict_row *ret_row)
{
	pair_row(own, other, slice, ret_row);
	ret_row->x[P_OWN_SERVICE] = own->service_ns;
	ret_row->anchor = ps_predict_pair_quantile(own, other, 0.5, slice) /
			  ps_predict_pair_quantile(own, NULL, 0.5, slice);
}

/* Additive columns are times here: the time that one's own and the neighbour's runs take. */
void ps_predict_p99_row(const struct ps_predict_tenant *own, const struct ps_predict_tenant *other,
			const struct ps_predict_slice *slice, struct ps_predict_row *ret_row)
{
	pair_row(own, other, slice, ret_row);
	ret_row->x[P_ONE] = other->service_ns;
	ret_row->x[P_MET] = ret_row->x[P_OTHER_LOAD] * other->service_ns;
	ret_row->anchor = ps_predict_pair_quantile(own, other, 0.99, slice);
}

const struct ps_predict_quantity ps_predict_set_slowdown = {
	.name = "slowdown beside several",
	.unit = "",
	.places = {"lanes", "CPUs", "neighbours"},
	.place_len = 3,
	.goal = 0.10,
};

const struct ps_predict_quantity ps_predict_set_p99 = {
	.name = "p99 beside several",
	.unit = "ns",
	.places = {"lanes", "CPUs", "neighbours"},
	.place_len = 3,
	.goal = 0.15,
};

/* ---- memory ---- */

enum { M_PARAMETERS, M_PEAK, M_MODEL, M_COLUMNS };

const struct ps_predict_quantity ps_predict_memory = {
	.name = "memory in a server",
	.unit = "bytes",
	.columns = {[M_PARAMETERS] = {"bytes of parameters", BOTH},
		    [M_PEAK] = {"bytes of activations at one time", BOTH},
		    [M_MODEL] = {"being there", PS_PREDICT_ADDS}},
	.column_len = M_COLUMNS,
	.goal = 0.20,
};

void ps_predict_memory_row(const struct ps_predict_model *work, struct ps_predict_row *ret_row)
{
	struct ps_predict_row r = {.models = {0, -1}, .y = NAN, .noise = NAN, .anchor = NAN};

	r.x[M_PARAMETERS] = work->param_bytes;
	r.x[M_PEAK] = work->peak_bytes;
	r.x[M_MODEL] = 1;
	*ret_row = r;
}

/* spec.c - what a recurrent layer is, and whether that makes sense. */
#include "engine/rnn/rnn.h"

#include <math.h>
#include <strings.h>

/* ONNX's names and default constants. */
static const struct {
	const char *name;
	bool alpha, beta;
	float alpha_default, beta_default;
} activations[PS_RNN_ACTIVATIONS] = {
	[PS_RNN_RELU] = {"Relu", false, false, 0, 0},
	[PS_RNN_TANH] = {"Tanh", false, false, 0, 0},
	[PS_RNN_SIGMOID] = {"Sigmoid", false, false, 0, 0},
	[PS_RNN_AFFINE] = {"Affine", true, true, 1, 0},
	[PS_RNN_LEAKY_RELU] = {"LeakyRelu", true, false, 0.01F, 0},
	[PS_RNN_THRESHOLDED_RELU] = {"ThresholdedRelu", true, false, 1, 0},
	[PS_RNN_SCALED_TANH] = {"ScaledTanh", true, true, 1, 1},
	[PS_RNN_HARD_SIGMOID] = {"HardSigmoid", true, true, 0.2F, 0.5F},
	[PS_RNN_ELU] = {"Elu", true, false, 1, 0},
	[PS_RNN_SOFTSIGN] = {"Softsign", false, false, 0, 0},
	[PS_RNN_SOFTPLUS] = {"Softplus", false, false, 0, 0},
};

int ps_rnn_gates(enum ps_rnn_cell cell)
{
	static const int gates[] = {[PS_RNN_PLAIN] = 1, [PS_RNN_GRU] = 3, [PS_RNN_LSTM] = 4};

	return gates[cell];
}

bool ps_rnn_uses_alpha(enum ps_rnn_activation a)
{
	return activations[a].alpha;
}

bool ps_rnn_uses_beta(enum ps_rnn_activation a)
{
	return activations[a].beta;
}

static struct ps_rnn_function function_of(enum ps_rnn_activation a)
{
	return (struct ps_rnn_function){a, activations[a].alpha_default,
					activations[a].beta_default};
}

enum ps_status ps_rnn_function_named(const char *name, struct ps_rnn_function *ret_function,
				     struct ps_error *err)
{
	for (int a = 0; a < PS_RNN_ACTIVATIONS; a++) {
		if (strcasecmp(name, activations[a].name) == 0) {
			*ret_function = function_of((enum ps_rnn_activation)a);
			return PS_OK;
		}
	}
	return ps_error_set(err, PS_ENOTFOUND, "no activation is called \"%.64s\"", name);
}

struct ps_rnn_spec ps_rnn_spec_default(enum ps_rnn_cell cell, int64_t inputs, int64_t hidden)
{
	struct ps_rnn_spec s = {.cell = cell, .inputs = inputs, .hidden = hidden};

	for (int d = 0; d < 2; d++) {
		s.functions[d].f = function_of(cell == PS_RNN_PLAIN ? PS_RNN_TANH : PS_RNN_SIGMOID);
		s.functions[d].g = s.functions[d].h = function_of(PS_RNN_TANH);
	}
	return s;
}

static enum ps_status check_size(const char *what, int64_t n, struct ps_error *err)
{
	if (n < 1)
		return ps_error_set(err, PS_EINVAL, "a recurrent layer of %lld %s", (long long)n,
				    what);
	if (n > PS_RNN_MAX_HIDDEN)
		return ps_error_set(err, PS_ETOOBIG, "a recurrent layer of %lld %s; at most %d",
				    (long long)n, what, PS_RNN_MAX_HIDDEN);
	return PS_OK;
}

static bool is_known(const struct ps_rnn_function *f)
{
	return (unsigned)f->kind < PS_RNN_ACTIVATIONS && isfinite(f->alpha) && isfinite(f->beta);
}

enum ps_status ps_rnn_spec_check(const struct ps_rnn_spec *s, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if ((unsigned)s->cell > PS_RNN_LSTM || (unsigned)s->direction > PS_RNN_BOTH ||
	    s->layout < 0 || s->layout > 1)
		return ps_error_set(err, PS_EINVAL, "unknown cell, direction or layout");
	st = check_size("inputs", s->inputs, err);
	if (st == PS_OK)
		st = check_size("hidden units", s->hidden, err);
	if (st != PS_OK)
		return st;
	if (!(s->clip >= 0) || !isfinite(s->clip))
		return ps_error_set(err, PS_EINVAL, "clip %g: a positive number, or 0 for none",
				    (double)s->clip);
	for (int d = 0; d < 2; d++) {
		const struct ps_rnn_functions *f = &s->functions[d];
		if (!is_known(&f->f) || !is_known(&f->g) || !is_known(&f->h))
			return ps_error_set(err, PS_EINVAL,
					    "an activation that is not known, or whose alpha or"
					    " beta is no number");
	}
	return PS_OK;
}

static bool same_number(float a, float b)
{
	return !(a < b) && !(a > b);
}

static bool same_function(const struct ps_rnn_function *a, const struct ps_rnn_function *b)
{
	return a->kind == b->kind && same_number(a->alpha, b->alpha) &&
	       same_number(a->beta, b->beta);
}

bool ps_rnn_spec_same(const struct ps_rnn_spec *a, const struct ps_rnn_spec *b)
{
	bool same = a->cell == b->cell && a->direction == b->direction && a->layout == b->layout &&
		    a->inputs == b->inputs && a->hidden == b->hidden &&
		    same_number(a->clip, b->clip) &&
		    a->linear_before_reset == b->linear_before_reset &&
		    a->input_forget == b->input_forget;

	for (int d = 0; same && d < 2; d++)
		same = same_function(&a->functions[d].f, &b->functions[d].f) &&
		       same_function(&a->functions[d].g, &b->functions[d].g) &&
		       same_function(&a->functions[d].h, &b->functions[d].h);
	return same;
}

/* |f(x)| <= 1 for all x, which keeps every state of a GRU and every output of an LSTM within 1. */
static bool is_within_one(const struct ps_rnn_function *f)
{
	return f->kind == PS_RNN_TANH || f->kind == PS_RNN_SIGMOID || f->kind == PS_RNN_SOFTSIGN ||
	       f->kind == PS_RNN_HARD_SIGMOID ||
	       (f->kind == PS_RNN_SCALED_TANH && fabsf(f->alpha) <= 1);
}

/* A GRU's next state lies between the last one and the candidate only if z is within 0 and 1. */
static bool is_share(const struct ps_rnn_function *f)
{
	return f->kind == PS_RNN_SIGMOID || f->kind == PS_RNN_HARD_SIGMOID;
}

static bool stays_within_one(const struct ps_rnn_spec *s, const struct ps_rnn_functions *f)
{
	switch (s->cell) {
	case PS_RNN_LSTM:
		return is_within_one(&f->f) && is_within_one(&f->h);
	case PS_RNN_GRU:
		return is_share(&f->f) && is_within_one(&f->g);
	case PS_RNN_PLAIN:
		return is_within_one(&f->f);
	}
	return false;
}

enum ps_status ps_rnn_can(const struct ps_rnn_spec *s, enum ps_rnn_precision precision,
			  struct ps_error *err)
{
	if ((unsigned)precision >= PS_RNN_PRECISIONS)
		return ps_error_set(err, PS_EINVAL, "unknown precision %d", (int)precision);
	for (int d = 0; precision == PS_RNN_INT8 && d < 2; d++) {
		if (!stays_within_one(s, &s->functions[d]))
			return ps_error_set(err, PS_EUNSUPPORTED,
					    "int8 needs activations whose results stay within 1");
	}
	return PS_OK;
}

/* The simulator, with the server's own dispatcher, against closed formulas.
 *
 * How many arrivals make 1 % attainable? The mean wait of n successive M/M/1 customers has the
 * relative variance (2 + 5 u - 4 u^2 + u^3) / (u (1 - u)^2) / n (Daley, 1968; u the utilisation);
 * constant service and the two-point service of M/G/1 scatter less. The share of requests over the
 * p99 has the variance 0.01 x 0.99 x tau / n, where tau, the correlation time of "over the p99", is
 * about that of the number in the system, 2 u (1 + u) / (1 - u)^2 requests; divided by the density
 * at the p99 squared that is the variance of the p99. The arrivals of each row make 1 % three
 * standard deviations, and are 5e6 at least: 40 million for mean waits at 0.9, 144 million for the
 * p99 there. No variance is reduced by other means. A short run (under 16 seeds) takes fewer, and
 * allows four standard deviations.
 */
#include "truth.h"

#include "sim/sim.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_ARRIVALS 5e6
#define SIGMAS	       3
#define WARM	       20000
#define SLOW_SHARE     0.1
#define SLOW_FACTOR    5.0
#define TOLERANCE      0.01

enum figure { MEAN_WAIT, P99 };
enum { LAWS = 3 };

struct row {
	enum ps_sim_service service;
	double u;
	enum figure figure;
};

static const struct law {
	const char *name;
	enum ps_sim_service service;
} laws[LAWS] = {
	{"M/D/1", PS_SIM_FIXED}, {"M/M/1", PS_SIM_EXPONENTIAL}, {"M/G/1", PS_SIM_TWO_POINT}};

static const double utilisations[] = {0.3, 0.5, 0.7, 0.9};

/* Squared coefficient of variation of the service. The two points have mean 1: a share of 0.1 takes
 * 5 times as long as the rest. */
static double cv2(enum ps_sim_service s)
{
	double fast = 1 / (1 - SLOW_SHARE + SLOW_SHARE * SLOW_FACTOR), slow = SLOW_FACTOR * fast;
	if (s == PS_SIM_FIXED)
		return 0;
	if (s == PS_SIM_EXPONENTIAL)
		return 1;
	return (1 - SLOW_SHARE) * fast * fast + SLOW_SHARE * slow * slow - 1;
}

static double theory(const struct row *r)
{
	if (r->figure == P99)
		return log(100) / (1 - r->u) * TRUTH_SERVICE_NS;
	return r->u * (1 + cv2(r->service)) / (2 * (1 - r->u)) * TRUTH_SERVICE_NS;
}

/* Relative variance of one arrival's worth. */
static double variance(const struct row *r)
{
	double u = r->u, idle = 1 - u;
	if (r->figure == MEAN_WAIT) {
		double exponential = (2 + 5 * u - 4 * u * u + u * u * u) / (u * idle * idle);
		return exponential * fmax(1, (1 + cv2(r->service)) / 2);
	}
	/* tau of "over the p99", in arrivals: 2 u (1 + u) / (1 - u)^2 that of the number waiting.
	 * The p99's relative variance is 0.99 tau / (0.01 ln(100)^2). */
	double tau = 2 * u * (1 + u) / (idle * idle) + 1;
	return 0.99 * tau / (0.01 * log(100) * log(100));
}

struct seed {
	struct row row;
	double arrivals; /* of one seed */
};

struct found {
	double value, little;
	int64_t served;
};

static void one(const void *ctx, int k, void *ret)
{
	const struct seed *s = ctx;
	struct ps_sim_model model = {.service = s->row.service,
				     .service_ns = TRUTH_SERVICE_NS,
				     .slow_share = SLOW_SHARE,
				     .slow_factor = SLOW_FACTOR};
	struct ps_sim_tenant t = {.rate_rps = s->row.u / (TRUTH_SERVICE_NS * 1e-9),
				  .arrival = PS_SIM_POISSON,
				  .queue_limit = 100000000,
				  .weight = 1};
	struct ps_sim_plan p = {.tenants = &t,
				.models = &model,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.seed = 100 + (uint64_t)k,
				.arrivals = (int64_t)s->arrivals + WARM,
				.warmup = WARM,
				.quantiles = s->row.figure == P99};
	struct ps_sim_summary sum;
	struct ps_sim_result x;
	struct ps_error err;
	struct found *f = ret;
	if (ps_sim_run(&p, &x, &sum, &err) != PS_OK) {
		fprintf(stderr, "perseus-truth: %s\n", err.what);
		exit(2);
	}
	f->value = s->row.figure == P99 ? (double)x.p99_ns : x.wait_mean_ns;
	f->served = x.served;
}

static const char *row_name(const struct row *r, char *buf, size_t size)
{
	const char *law = "";
	for (int i = 0; i < LAWS; i++)
		law = laws[i].service == r->service ? laws[i].name : law;
	snprintf(buf, size, "%s at %g", law, r->u);
	return buf;
}

/* The seeds are as many as the runs; short runs have fewer than a full one. */
static bool show(const struct truth_options *o, const struct row *r)
{
	bool full = o->runs >= 16;
	double needs = fmax(LEAST_ARRIVALS, variance(r) * pow(SIGMAS / TOLERANCE, 2));
	double arrivals = full ? needs : fmin(needs, 400e3 * o->runs);
	double sigma = sqrt(variance(r) / arrivals), allowed = full ? TOLERANCE : 4 * sigma;
	struct seed s = {*r, arrivals / o->runs};
	struct found *f = calloc((size_t)o->runs, sizeof(*f));
	char name[32], figure[96], ours[64], bound[64], goal[64], note[128];
	double value = 0;
	int64_t served = 0;
	if (!f)
		exit(2);
	truth_each(o, one, &s, f, sizeof(*f));
	for (int k = 0; k < o->runs; k++) {
		value += f[k].value / o->runs;
		served += f[k].served;
	}
	free(f);
	double off = value / theory(r) - 1;
	snprintf(figure, sizeof(figure), "truth: %s, %s", row_name(r, name, sizeof(name)),
		 r->figure == P99 ? "p99 of latency" : "mean wait");
	snprintf(ours, sizeof(ours), "%.5g ms", value / 1e6);
	snprintf(bound, sizeof(bound), "%.5g ms", theory(r) / 1e6);
	snprintf(goal, sizeof(goal), "within %.2g %%", 100 * allowed);
	snprintf(note, sizeof(note), "off %+.2f %%; %.1f million arrivals, sigma %.2f %%",
		 100 * off, (double)served / 1e6, 100 * sigma);
	return truth_row(o, figure, ours, bound, goal, truth_when(fabs(off) <= allowed), note);
}

/* N users without think time: one after the other is served, each waits for all. */
static bool show_closed(const struct truth_options *o, int users)
{
	struct ps_sim_model model = {.service = PS_SIM_FIXED, .service_ns = TRUTH_SERVICE_NS};
	struct ps_sim_tenant t = {
		.arrival = PS_SIM_CLOSED, .outstanding = users, .queue_limit = 1000, .weight = 1};
	struct ps_sim_plan p = {.tenants = &t,
				.models = &model,
				.n_tenants = 1,
				.n_models = 1,
				.n_lanes = 1,
				.seed = 1,
				.arrivals = 100000,
				.warmup = 1000};
	struct ps_sim_summary sum;
	struct ps_sim_result x;
	struct ps_error err;
	char figure[64], ours[64], bound[64];
	if (ps_sim_run(&p, &x, &sum, &err) != PS_OK) {
		fprintf(stderr, "perseus-truth: %s\n", err.what);
		exit(2);
	}
	double seconds = (double)(sum.counted_until_ns - sum.counted_from_ns) * 1e-9;
	double through = (double)(x.served - 1) / seconds;
	double latency = x.latency_mean_ns, asked = users * TRUTH_SERVICE_NS;
	double little = through * latency * 1e-9;
	bool ok = fabs(latency / asked - 1) <= 0.01 && fabs(little / users - 1) <= 0.01 &&
		  fabs(through * TRUTH_SERVICE_NS * 1e-9 - 1) <= 0.01;
	snprintf(figure, sizeof(figure), "truth: closed loop of %d", users);
	snprintf(ours, sizeof(ours), "%.5g/s, %.5g ms", through, latency / 1e6);
	snprintf(bound, sizeof(bound), "%.5g/s, %.5g ms", 1e9 / TRUTH_SERVICE_NS, asked / 1e6);
	return truth_row(o, figure, ours, bound, "within 1 %", truth_when(ok),
			 "throughput 1/S, latency N S");
}

bool truth_queues(const struct truth_options *o)
{
	bool ok = true;
	for (int i = 0; i < LAWS; i++) {
		for (size_t k = 0; k < sizeof(utilisations) / sizeof(utilisations[0]); k++) {
			struct row r = {laws[i].service, utilisations[k], MEAN_WAIT};
			char name[32];
			if (o->only && !strstr(row_name(&r, name, sizeof(name)), o->only))
				continue;
			ok &= show(o, &r);
			r.figure = P99;
			if (r.service == PS_SIM_EXPONENTIAL)
				ok &= show(o, &r);
		}
	}
	for (int users = 1; users <= 16 && !o->only; users *= 4)
		ok &= show_closed(o, users);
	return ok;
}

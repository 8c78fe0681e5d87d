/* campaign.h - a campaign of two tenants made of formulas, for the tests of report/. Latencies are
 * those of a queue with exponential service: exponential with the given mean. */
#ifndef TEST_REPORT_CAMPAIGN_H
#define TEST_REPORT_CAMPAIGN_H

#include "base/arena.h"
#include "base/file.h"
#include "base/rng.h"
#include "stats/hist.h"
#include "store/store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIALS = 4, CELLS = 15, SAMPLES = 80 };

struct made {
	struct ps_arena arena;
	struct ps_rng rng;
	struct ps_store_campaign campaign;
	struct ps_store_tenant tenants[2];
	struct ps_store_set sets[3];
	struct ps_store_cell cells[CELLS];
	size_t cell_len;
};

static struct ps_store_blob blob(struct made *m, const struct ps_hist *h)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_hist_write(h, &out);
	void *copy = ps_arena_alloc(&m->arena, out.len);
	memcpy(copy, out.data, out.len);
	struct ps_store_blob b = {copy, out.len};
	ps_strbuf_fini(&out);
	return b;
}

/* Fills `r` with n requests of exponential latency, `lost` more without an answer. */
static void make_result(struct made *m, struct ps_store_result *r, int tenant, int n, int lost,
			double mean_ms, double seconds)
{
	const struct ps_sla *sla = &m->tenants[tenant].sla;
	struct ps_hist latency, compute, none;

	ps_hist_init(&latency);
	ps_hist_init(&compute);
	ps_hist_init(&none);
	for (int i = 0; i < n; i++) {
		ps_hist_record(&latency,
			       (int64_t)(1e6 * (20 + ps_rng_exponential(&m->rng, mean_ms))));
		ps_hist_record(&compute, tenant == 0 ? 50000000 : 75000000);
	}
	ps_hist_record_lost(&latency, (uint64_t)lost);
	uint64_t over = ps_hist_count_over(&latency, sla->limit_ns);
	*r = (struct ps_store_result){
		.tenant = tenant,
		.wanted_rps = (n + lost) / seconds,
		.scheduled = (uint64_t)(n + lost),
		.sent = (uint64_t)(n + lost),
		.completed = (uint64_t)n,
		.ok = (uint64_t)n,
		.good = (uint64_t)(n + lost) - over,
		.timeouts = (uint64_t)lost,
		.outcomes_json = "{}",
		.batch = 1,
		.offered_rps = (n + lost) / seconds,
		.achieved_rps = (n + lost) / seconds,
		.throughput_rps = n / seconds,
		.goodput_rps = (double)((uint64_t)(n + lost) - over) / seconds,
		.effective_ratio = 1,
		.trend_p = 1,
		.valid = true,
		.latency = blob(m, &latency),
		.service = blob(m, &latency),
		.send_lag = blob(m, &none),
		.first_byte = blob(m, &latency),
		.uncorrected = blob(m, &latency),
		.server_queue = blob(m, &none),
		.server_compute = blob(m, &compute),
	};
	ps_hist_fini(&latency);
	ps_hist_fini(&compute);
	ps_hist_fini(&none);
}

static struct ps_store_trial *add_trial(struct made *m, const char *key, int set,
					enum ps_store_cell_kind kind, int block)
{
	struct ps_store_cell *c = &m->cells[m->cell_len++];
	struct ps_store_trial *t = ps_arena_zalloc(&m->arena, sizeof *t);

	*c = (struct ps_store_cell){
		.key = key,
		.kind = kind,
		.set = set,
		.block = block,
		.position = set,
		.attempt = 1,
		.state = PS_STORE_DONE,
		.trials = t,
		.trial_len = 1,
	};
	t->valid = t->met = true;
	t->duration_ns = INT64_C(8000000000);
	t->warmup_ns = INT64_C(1000000000);
	t->server_cpu_ns = INT64_C(6000000000);
	t->generator_cpu_ns = INT64_C(100000000);
	t->steal_ns = 20000000;
	t->server_rss_bytes = t->server_pss_bytes = INT64_C(150) << 20;
	t->server_peak_rss_bytes = INT64_C(180) << 20;
	t->generator_rss_bytes = INT64_C(9) << 20;
	return t;
}

static void add_samples(struct made *m, struct ps_store_trial *t, double cores, int mib)
{
	struct ps_store_sample *s = ps_arena_zalloc(&m->arena, SAMPLES * sizeof *s);

	for (int i = 0; i < SAMPLES; i++) {
		double wave = cores * (i * 0.1 + 0.05 * sin(i * 0.4 + mib));
		s[i].at_ns = i * INT64_C(100000000);
		s[i].server_cpu_ns = (int64_t)(1e9 * wave);
		s[i].generator_cpu_ns = i * INT64_C(1500000);
		s[i].steal_ns = i * INT64_C(100000);
		s[i].busy_ns = i * INT64_C(90000000);
		s[i].server_rss_bytes = s[i].server_pss_bytes =
			((int64_t)mib << 20) + ((int64_t)(20 * (1 - exp(-i / 8.0))) << 20);
		s[i].generator_rss_bytes = INT64_C(9) << 20;
	}
	t->samples = s;
	t->sample_len = SAMPLES;
}

/* What each second saw: as much as the whole, shared out. */
static void add_seconds(struct made *m, struct ps_store_trial *t)
{
	enum { SECONDS = 8 };
	struct ps_store_second *s = ps_arena_zalloc(&m->arena, t->result_len * SECONDS * sizeof *s);

	for (size_t i = 0; i < t->result_len; i++)
		for (int k = 0; k < SECONDS; k++) {
			const struct ps_store_result *r = &t->results[i];
			uint32_t ok = (uint32_t)(r->ok / SECONDS + (uint64_t)(k % 3));
			s[i * SECONDS + (size_t)k] = (struct ps_store_second){
				.tenant = r->tenant,
				.second = k,
				.scheduled = ok,
				.sent = ok,
				.ok = ok,
				.good = ok,
				.latency_sum_ns = ok * INT64_C(40000000),
				.latency_max_ns = INT64_C(90000000),
			};
		}
	t->seconds = s;
	t->second_len = t->result_len * SECONDS;
}

/* Mean latencies at the demand rates: alone, and the same times `stretch` together. */
static void add_demand(struct made *m, int set, int block, int requests, double stretch)
{
	static const double alone_ms[] = {22, 30};
	char *key = ps_arena_alloc(&m->arena, 40);
	snprintf(key, 40, "confirm/%d/%s", block, m->sets[set].name);
	struct ps_store_trial *t = add_trial(m, key, set, PS_STORE_CONFIRM, block);
	int members = m->sets[set].member_len;
	struct ps_store_result *r = ps_arena_zalloc(&m->arena, (size_t)members * sizeof *r);

	t->role = PS_STORE_DEMAND;
	t->factor = NAN;
	for (int i = 0; i < members; i++) {
		int tenant = m->sets[set].members[i];
		make_result(m, &r[i], tenant, requests / (tenant + 1), 0,
			    alone_ms[tenant] * (members > 1 ? stretch : 1), 8);
	}
	t->results = r;
	t->result_len = (size_t)members;
	add_seconds(m, t);
	add_samples(m, t, members > 1 ? 0.75 : 0.4, members > 1 ? 240 : 110 + 20 * set);
}

static void add_search(struct made *m, int set, const double *ray, double factor, double width)
{
	static const char *const keys[] = {"search/resnet50", "search/inception-v3",
					   "search/together"};
	struct ps_store_trial *t = add_trial(m, keys[set], set, PS_STORE_SEARCH, -1);
	int members = m->sets[set].member_len;
	struct ps_store_result *r = ps_arena_zalloc(&m->arena, (size_t)members * sizeof *r);
	char *method = ps_arena_alloc(&m->arena, 80);

	snprintf(method, 80, "{\"steps\":4,\"stop\":\"steps\",\"confirmed_scale\":%.17g}",
		 factor * (1 - width));
	t->role = PS_STORE_STEP;
	t->factor = factor;
	for (int i = 0; i < members; i++)
		make_result(m, &r[i], m->sets[set].members[i], 120, 0, 50, 8);
	t->results = r;
	t->result_len = (size_t)members;
	m->cells[m->cell_len - 1].capacity = (struct ps_store_capacity){
		.known = true,
		.ray_rps = ray,
		.factor = factor,
		.factor_low = factor * (1 - width),
		.factor_high = factor * (1 + width),
		.checked = true,
		.check_met = true,
		.method_json = method,
	};
}

static const int members_of_sets[3][2] = {{0}, {1}, {0, 1}};
static const double one[] = {1}, ray[] = {8, 4};

/* make_campaign fills `m`: resnet50 alone does 16/s, inception-v3 10/s, together `factor` times
 * (8, 4); each demand trial has `requests` requests of the first tenant, half of the second. */
static void make_campaign(struct made *m, double factor, double width, int requests, double stretch)
{
	memset(m, 0, sizeof *m);
	ps_arena_init(&m->arena, 0);
	ps_rng_init(&m->rng, 1, 1);
	m->tenants[0] = (struct ps_store_tenant){
		"resnet50", "models/resnet50.onnx", 8, {0.95, 200000000, 0.99}};
	m->tenants[1] = (struct ps_store_tenant){
		"inception-v3", "models/inception-v3.onnx", 4, {0.95, 200000000, 0.99}};
	m->sets[0] = (struct ps_store_set){"alone:resnet50", members_of_sets[0], 1};
	m->sets[1] = (struct ps_store_set){"alone:inception-v3", members_of_sets[1], 1};
	m->sets[2] = (struct ps_store_set){"together", members_of_sets[2], 2};
	add_search(m, 0, one, 16, width);
	add_search(m, 1, one, 10, width);
	add_search(m, 2, ray, factor, width);
	for (int b = 0; b < TRIALS; b++)
		for (int s = 0; s < 3; s++)
			add_demand(m, s, b, requests, stretch);
	m->campaign = (struct ps_store_campaign){
		.id = 1,
		.name = "two CNNs on one machine",
		.file_path = "examples/two-cnns.yaml",
		.file_text = "name: two CNNs on one machine\n# <b>not bold</b>\n",
		.manifest_json = "{\"perseus\": \"0.1.0\", \"cpu\": \"a <fine> CPU\"}",
		.seed = 7,
		.started_wall_ns = INT64_C(1795363200000000000),
		.finished_wall_ns = INT64_C(1795363500000000000),
		.slice_cpus = "0-1",
		.slice_memory_bytes = INT64_C(4) << 30,
		.price = {.provider = "aws",
			  .region = "us-east-1",
			  .instance_type = "c6i.large",
			  .vcpu = 2,
			  .memory_gib = 4,
			  .usd_per_hour = 0.085,
			  .source = "a price list",
			  .source_date = "2026-07-20",
			  .terms = {.billed_per = "second",
				    .minimum_ns = INT64_C(60000000000),
				    .spot_usd_per_hour = 0.03}},
		.full_command = "perseus measure examples/two-cnns-full.yaml",
		.tenants = m->tenants,
		.tenant_len = 2,
		.sets = m->sets,
		.set_len = 3,
		.cells = m->cells,
		.cell_len = m->cell_len,
	};
}

static void free_campaign(struct made *m)
{
	ps_arena_fini(&m->arena);
}

/* Writes `m` through the store's own interface. */
__attribute__((unused)) static enum ps_status write_store(const struct made *m, const char *path,
							  struct ps_error *err)
{
	struct ps_store_cell planned[CELLS];
	struct ps_store_campaign c = m->campaign;
	struct ps_store *s;
	int64_t id;

	memcpy(planned, m->cells, sizeof planned);
	for (size_t i = 0; i < m->cell_len; i++) {
		planned[i].state = PS_STORE_PLANNED;
		planned[i].trial_len = 0;
		planned[i].capacity.known = false;
	}
	c.cells = planned;
	enum ps_status st = ps_store_open(path, PS_STORE_CREATE, &s, err);
	if (st != PS_OK)
		return st;
	st = ps_store_campaign_begin(s, &c, &id, err);
	for (size_t i = 0; i < m->cell_len && st == PS_OK; i++) {
		st = ps_store_cell_start(s, id, m->cells[i].key, c.started_wall_ns, err);
		if (st == PS_OK)
			st = ps_store_cell_write(s, id, &m->cells[i], err);
	}
	if (st == PS_OK)
		st = ps_store_campaign_finish(s, id, c.finished_wall_ns, err);
	ps_store_close(s);
	return st;
}

/* Makes a small campaign's store at `path`, which ends in XXXXXX, and reads its bytes, for tests
 * that damage it. The caller frees *ret_data and unlinks the path. */
__attribute__((unused)) static enum ps_status make_store(char *path, char **ret_data,
							 size_t *ret_len)
{
	static struct made m;
	int fd = mkstemp(path);

	if (fd < 0)
		return PS_EIO;
	close(fd);
	unlink(path);
	make_campaign(&m, 1.25, 0.05, 40, 1.3);
	enum ps_status st = write_store(&m, path, NULL);
	free_campaign(&m);
	return st == PS_OK ? ps_file_read(path, 1 << 24, ret_data, ret_len, NULL) : st;
}

#endif

/* sheets.c - the files of an export: each column with its source and its meaning. */
#include "store/upkeep.h"

#define OF_CELL "cell JOIN campaign ON campaign.id = cell.campaign"
#define OF_TRIAL                                                                                   \
	"trial JOIN cell ON cell.id = trial.cell JOIN campaign ON campaign.id = cell.campaign"
/* Joins the tenant that a table's tenant_idx means. */
#define WITH_TENANT(table)                                                                         \
	" LEFT JOIN tenant ON tenant.campaign = campaign.id AND tenant.idx = " table ".tenant_idx"
#define WITH_SET                                                                                   \
	" LEFT JOIN tenant_set ON tenant_set.campaign = campaign.id"                               \
	" AND tenant_set.idx = cell.set_idx"

static const struct ps_store_column campaigns[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"name", NULL, "Its name in the campaign file."},
	{"started",
	 "strftime('%Y-%m-%dT%H:%M:%SZ', nullif(started_wall_ns, 0) / 1000000000, 'unixepoch')",
	 "Wall clock, UTC; a label only."},
	{"finished",
	 "strftime('%Y-%m-%dT%H:%M:%SZ', nullif(finished_wall_ns, 0) / 1000000000, 'unixepoch')",
	 "Empty: not finished."},
	{"goes_on_from", "(SELECT p.uuid FROM campaign p WHERE p.id = campaign.previous)",
	 "The campaign whose changed form this is."},
	{"seed", "printf('%llu', seed)", "Of all its randomness."},
	{"file_path", NULL, "The campaign file."},
	{"slice_cpus", NULL, "CPUs of the slice, as asked."},
	{"slice_memory_bytes", "nullif(slice_memory_bytes, 0)",
	 "Memory of the slice, as asked; empty: no limit."},
	{"slice_cpu_quota", "nullif(slice_cpu_quota, 0)",
	 "CPU time of the slice in CPUs, as asked; empty: no quota."},
	{"price_provider", NULL, "Of the price: who asks it."},
	{"price_region", NULL, "Of the price: where."},
	{"price_instance", NULL, "The instance type that the slice is priced as."},
	{"price_usd_per_hour", NULL, "US dollars per hour."},
	{"price_date", NULL, "When the price was read."},
	{"price_billed_per", NULL,
	 "By what time it is billed: hour, minute or second; empty: not kept, nor what follows."},
	{"price_minimum_ns", NULL, "What is billed of every rental at least."},
	{"price_spot_usd_per_hour", NULL, "As a spot machine; empty: not stated."},
	{"price_reserved_usd_per_hour", NULL, "With a commitment of one year; empty: not stated."},
	{"price_gpu_kind", NULL, "Which GPU it has."},
	{"price_gpu_count", NULL, "How many GPUs."},
	{"price_currency", NULL, "In what currency the source states it; empty: US dollars."},
	{"price_exchange_usd", NULL, "US dollars for one unit of that."},
	{"price_exchange_date", NULL, "When that rate was read."},
	{"cells", "(SELECT count(*) FROM cell WHERE cell.campaign = campaign.id)",
	 "Cells planned."},
	{"cells_done",
	 "(SELECT count(*) FROM cell WHERE cell.campaign = campaign.id AND state = 'done')",
	 "Cells done."},
	{0},
};

static const struct ps_store_column tenants[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"tenant", "tenant.name", "The tenant."},
	{"model", "tenant.model", "Its model."},
	{"demand_rps", NULL, "The rate it needs, requests per second."},
	{"sla_percentile", NULL, "Of its SLA: the share of requests inside the limit."},
	{"sla_limit_ns", NULL, "Of its SLA: the latency limit."},
	{"sla_min_success", NULL, "Of its SLA: the least success ratio."},
	{0},
};

static const struct ps_store_column sets[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"tenant_set", "tenant_set.name", "The set of tenants measured together."},
	{"position", "set_member.position", "Of the tenant in the set, from 0."},
	{"tenant", "tenant.name", "The tenant."},
	{0},
};

static const struct ps_store_column cells[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"cell", "cell.key", "The cell, by its key in the campaign."},
	{"kind", "cell.kind", "search, confirm, capacity, rates, ..."},
	{"tenant_set", "tenant_set.name", "Which tenants."},
	{"block", "nullif(cell.block, -1)", "The block; empty: in none."},
	{"position", "cell.position", "Place in the block."},
	{"part", "nullif(cell.part, -1)", "Which of the campaign's grids or frontiers."},
	{"point", "nullif(cell.point, -1)", "Which point of it."},
	{"attempt", "cell.attempt", "How often it was started."},
	{"state", "cell.state", "planned, running, done, failed, skipped or moved."},
	{"reason", "cell.reason", "Why failed, skipped or moved."},
	{"started",
	 "strftime('%Y-%m-%dT%H:%M:%SZ', nullif(cell.started_wall_ns, 0) / 1000000000, "
	 "'unixepoch')",
	 "Wall clock, UTC; a label only."},
	{"finished",
	 "strftime('%Y-%m-%dT%H:%M:%SZ', nullif(cell.finished_wall_ns, 0) / 1000000000, "
	 "'unixepoch')",
	 "Wall clock, UTC; a label only."},
	{0},
};

static const struct ps_store_column capacities[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"cell", "cell.key", "The cell, by its key in the campaign."},
	{"tenant_set", "tenant_set.name", "Which tenants."},
	{"tenant", "tenant.name", "One of them."},
	{"ray_rps", "capacity_ray.rps", "Its rate at factor 1; alone 1."},
	{"factor", NULL, "Capacity, in units of the ray."},
	{"factor_low", NULL, "Lower end of its interval."},
	{"factor_high", NULL, "Upper end."},
	{"capacity_rps", "capacity_ray.rps * factor", "This tenant's rate at capacity."},
	{"capacity_low_rps", "capacity_ray.rps * factor_low", "Lower end of its interval."},
	{"capacity_high_rps", "capacity_ray.rps * factor_high", "Upper end."},
	{"checked", NULL, "1: fresh trials were made."},
	{"check_met", NULL, "1: and one held every SLA."},
	{0},
};

static const struct ps_store_column trials[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"cell", "cell.key", "The cell, by its key in the campaign."},
	{"trial", "trial.number", "The trial, by its number in the cell, from 0."},
	{"role", "trial.role", "What it was for."},
	{"factor", "trial.factor", "Of the ray; empty: none."},
	{"copies", NULL, "Of the tenant, when tenants are packed; else 1."},
	{"started",
	 "strftime('%Y-%m-%dT%H:%M:%SZ', nullif(trial.started_wall_ns, 0) / 1000000000, "
	 "'unixepoch')",
	 "Wall clock, UTC; a label only."},
	{"warmup_ns", NULL, "Before the measured part."},
	{"duration_ns", NULL, "Of the measured part."},
	{"seed", "printf('%llu', trial.seed)", "Of its arrivals."},
	{"met", "trial.met", "1: every SLA held."},
	{"valid", "trial.valid", "1: the instrument kept its promises."},
	{"reasons", "trial.reasons", "Why not."},
	{"verdict", "trial.verdict", "What the search made of it."},
	{"server_cpu_ns", "nullif(server_cpu_ns, -1)", "CPU time of the server, measured part."},
	{"generator_cpu_ns", "nullif(generator_cpu_ns, -1)", "CPU time of the load generator."},
	{"steal_ns", "nullif(steal_ns, -1)", "Taken by the hypervisor, all CPUs."},
	{"server_rss_bytes", "nullif(server_rss_bytes, -1)", "Resident at the end."},
	{"server_pss_bytes", "nullif(server_pss_bytes, -1)", "Proportional share at the end."},
	{"server_peak_rss_bytes", "nullif(server_peak_rss_bytes, -1)", "Most ever resident."},
	{"generator_rss_bytes", "nullif(generator_rss_bytes, -1)", "Resident, load generator."},
	{"host", NULL, "What was watched and what was absent, JSON."},
	{0},
};

static const struct ps_store_column results[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"cell", "cell.key", "The cell, by its key in the campaign."},
	{"trial", "trial.number", "The trial, by its number in the cell, from 0."},
	{"tenant", "tenant.name", "The tenant."},
	{"wanted_rps", "nullif(wanted_rps, 0)", "Rate of the plan; empty: closed loop."},
	{"concurrency", "nullif(concurrency, 0)", "Users of the closed loop; empty: open loop."},
	{"batch", "coalesce(mean_batch, batch)", "Inferences per request; of a mix their mean."},
	{"scheduled", NULL, "Arrivals in the measured part."},
	{"sent", NULL, "Of these, sent."},
	{"completed", NULL, "Answered, whatever the answer."},
	{"ok", NULL, "Answered with a result."},
	{"good", NULL, "And inside the SLA's limit."},
	{"timeouts", NULL, "No answer in time."},
	{"unsent", NULL, "Never sent."},
	{"refused", NULL, "Refused by the server."},
	{"outcomes", NULL, "Requests by outcome, JSON."},
	{"offered_rps", NULL, "Scheduled per second."},
	{"achieved_rps", NULL, "Sent per second."},
	{"throughput_rps", NULL, "Answered with a result per second, up to the last of them."},
	{"goodput_rps", NULL, "Good per second."},
	{"effective_ratio", NULL, "Independent samples per sample."},
	{"latency_mean_ns", "mean_ns(result.latency)",
	 "From the scheduled instant; over the ok ones."},
	{"latency_p50_ns", "quantile_ns(result.latency, 0.5)",
	 "Over all scheduled requests, the failed as lost; empty: it falls on a lost one."},
	{"latency_p90_ns", "quantile_ns(result.latency, 0.9)",
	 "Over all scheduled requests, the failed as lost; empty: it falls on a lost one."},
	{"latency_p95_ns", "quantile_ns(result.latency, 0.95)",
	 "Over all scheduled requests, the failed as lost; empty: it falls on a lost one."},
	{"latency_p99_ns", "quantile_ns(result.latency, 0.99)",
	 "Over all scheduled requests, the failed as lost; empty: it falls on a lost one."},
	{"latency_p999_ns", "quantile_ns(result.latency, 0.999)",
	 "Over all scheduled requests, the failed as lost; empty: it falls on a lost one."},
	{"service_p50_ns", "quantile_ns(service, 0.5)", "From the instant of sending."},
	{"service_p99_ns", "quantile_ns(service, 0.99)", "From the instant of sending."},
	{"send_lag_p50_ns", "quantile_ns(send_lag, 0.5)", "Sent later than scheduled."},
	{"send_lag_p99_ns", "quantile_ns(send_lag, 0.99)", "Sent later than scheduled."},
	{"server_queue_p50_ns", "quantile_ns(server_queue, 0.5)",
	 "Waiting in the server, as it says."},
	{"server_compute_p50_ns", "quantile_ns(server_compute, 0.5)",
	 "Computing in the server, as it says."},
	{"trend_tau", NULL, "Kendall's tau of latency over the run."},
	{"trend_p", NULL, "One-sided p of a rising latency."},
	{"sla_met", NULL, "1: percentile and success ratio held."},
	{"sla_decided", NULL, "1: with enough samples to say so."},
	{"sla_needs_more", NULL, "Samples that are missing for that."},
	{"valid", "result.valid", "1: the instrument kept its promises."},
	{"reasons", "result.reasons", "Why not."},
	{"first_failure", NULL, "The first error."},
	{"records", NULL, "Requests kept one by one."},
	{"records_dropped", NULL, "Requests for which there was no room."},
	{0},
};

static const struct ps_store_column seconds[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"cell", "cell.key", "The cell, by its key in the campaign."},
	{"trial", "trial.number", "The trial, by its number in the cell, from 0."},
	{"tenant", "tenant.name", "The tenant."},
	{"second", "second.second", "From the start of the measured part."},
	{"scheduled", "second.scheduled", "Arrivals."},
	{"sent", "second.sent", "Sent."},
	{"ok", "second.ok", "Answered with a result."},
	{"failed", NULL, "Not."},
	{"good", "second.good", "Inside the limit."},
	{"latency_sum_ns", NULL, "Over the ok ones."},
	{"latency_max_ns", NULL, "Over the ok ones."},
	{0},
};

static const struct ps_store_column samples[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"cell", "cell.key", "The cell, by its key in the campaign."},
	{"trial", "trial.number", "The trial, by its number in the cell, from 0."},
	{"at_ns", "sample.at_ns", "Since the start of the load, warm-up included."},
	{"server_cpu_ns", "sample.server_cpu_ns", "CPU time of the server so far."},
	{"generator_cpu_ns", "sample.generator_cpu_ns", "CPU time of the load generator so far."},
	{"steal_ns", "sample.steal_ns", "Taken by the hypervisor so far, all CPUs."},
	{"busy_ns", NULL, "All CPUs of the machine, so far."},
	{"server_rss_bytes", "nullif(sample.server_rss_bytes, -1)", "Resident now."},
	{"server_pss_bytes", "nullif(sample.server_pss_bytes, -1)",
	 "Proportional share now; read seldom."},
	{"generator_rss_bytes", "nullif(sample.generator_rss_bytes, -1)", "Resident now."},
	{"server_threads", NULL, "Now."},
	{"server_minor_faults", NULL, "Page faults without a disk, so far."},
	{"server_major_faults", NULL, "Page faults with one, so far."},
	{"server_voluntary_switches", NULL,
	 "Context switches of its own accord so far; read seldom."},
	{"server_involuntary_switches", NULL,
	 "Context switches by the kernel so far; read seldom."},
	{"server_run_delay_ns", NULL, "Ready to run without a CPU, so far, all threads."},
	{"server_read_bytes", NULL, "From disks so far."},
	{"server_written_bytes", NULL, "To disks so far."},
	{"server_throttled_ns", NULL, "Stopped by a CPU quota so far."},
	{"server_huge_bytes", NULL, "In huge pages now; read seldom."},
	{"server_cycles", NULL, "CPU cycles so far, user space."},
	{"server_instructions", NULL, "Instructions so far, user space."},
	{"server_cache_misses", NULL, "Last-level cache misses so far, user space."},
	{"generator_run_delay_ns", NULL, "The generator ready to run without a CPU, so far."},
	{"net_received_bytes", NULL,
	 "By all interfaces that the server sees, loopback too, so far."},
	{"net_sent_bytes", NULL, "Sent by them so far."},
	{"cpu_khz", NULL, "Frequency now, mean over the slice's CPUs."},
	{0},
};

static const struct ps_store_column gpus[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"cell", "cell.key", "The cell, by its key in the campaign."},
	{"trial", "trial.number", "The trial, by its number in the cell, from 0."},
	{"at_ns", NULL, "Since the start of the load."},
	{"gpu", NULL, "Its number in the driver."},
	{"busy_ratio", NULL, "Share of time with a kernel running, as the driver counts."},
	{"server_busy_ratio", NULL, "The server's part."},
	{"power_w", NULL, "Watts."},
	{"memory_bytes", NULL, "In use, all processes."},
	{"server_memory_bytes", NULL, "In use by the server."},
	{"clock_mhz", NULL, "Of the multiprocessors."},
	{"memory_clock_mhz", NULL, "Of the memory."},
	{0},
};

static const struct ps_store_column scrapes[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"cell", "cell.key", "The cell, by its key in the campaign."},
	{"trial", "trial.number", "The trial, by its number in the cell, from 0."},
	{"series", NULL, "The metric with its labels, as the server wrote it."},
	{"before", NULL, "Its value before the trial."},
	{"after", NULL, "Its value after it."},
	{0},
};

static const struct ps_store_column figures[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"cell", "cell.key", "The cell, by its key in the campaign."},
	{"name", "figure.name", "What was found."},
	{"subject", NULL, "About which model, tenant or operator."},
	{"x", NULL, "Where on its curve: batch size, rate."},
	{"value", NULL, "The number."},
	{"low", NULL, "Lower end of its interval."},
	{"high", NULL, "Upper end."},
	{"unit", NULL, "Its unit."},
	{"count", NULL, "Samples behind it."},
	{0},
};

static const struct ps_store_column requests[] = {
	{"campaign", "campaign.uuid", "The campaign (its uuid), the same in every store."},
	{"cell", "cell.key", "The cell, by its key in the campaign."},
	{"trial", "trial.number", "The trial, by its number in the cell, from 0."},
	{"tenant", "tenant.name", "The tenant."},
	{"scheduled_ns", NULL, "Since the start of the load, as all instants here."},
	{"sent_ns", NULL, "Empty: never sent."},
	{"first_byte_ns", NULL, "Of the answer."},
	{"done_ns", NULL, "Its end."},
	{"server_queue_ns", NULL, "As the server says."},
	{"server_compute_ns", NULL, "As the server says."},
	{"http_status", NULL, "Empty: none."},
	{"outcome", NULL, "Its number; 0 is ok."},
	{"warmup", NULL, "1: before the measured part."},
	{0},
};

const struct ps_store_sheet ps_store_sheets[] = {
	{"campaigns.csv", "The campaigns.", "campaign ORDER BY id", campaigns},
	{"tenants.csv", "Who was measured, and what they were promised.",
	 "tenant JOIN campaign ON campaign.id = tenant.campaign ORDER BY campaign.id, tenant.idx",
	 tenants},
	{"sets.csv", "Which tenants were measured together: one row per member.",
	 "set_member JOIN campaign ON campaign.id = set_member.campaign"
	 " JOIN tenant_set ON tenant_set.campaign = campaign.id AND tenant_set.idx = set_idx"
	 " JOIN tenant ON tenant.campaign = campaign.id AND tenant.idx = tenant_idx"
	 " ORDER BY campaign.id, set_idx, position",
	 sets},
	{"cells.csv", "The cells of every plan and how far they came.",
	 OF_CELL WITH_SET " ORDER BY campaign.id, plan_order", cells},
	{"capacities.csv", "What the searches found: one row per tenant of the set.",
	 "capacity JOIN cell ON cell.id = capacity.cell"
	 " JOIN campaign ON campaign.id = cell.campaign"
	 " JOIN capacity_ray ON capacity_ray.cell = cell.id"
	 " LEFT JOIN set_member ON set_member.campaign = campaign.id"
	 " AND set_member.set_idx = cell.set_idx AND set_member.position = capacity_ray.position"
	 " LEFT JOIN tenant ON tenant.campaign = campaign.id AND tenant.idx = tenant_idx" WITH_SET
	 " ORDER BY campaign.id, plan_order, capacity_ray.position",
	 capacities},
	{"trials.csv", "Every trial.", OF_TRIAL " ORDER BY campaign.id, plan_order, trial.number",
	 trials},
	{"results.csv", "One row per tenant and trial.",
	 "result JOIN " OF_TRIAL WITH_TENANT(
		 "result") " WHERE trial.id = result.trial"
			   " ORDER BY campaign.id, plan_order, trial.number, tenant.idx",
	 results},
	{"seconds.csv", "One row per second, tenant and trial.",
	 "second JOIN " OF_TRIAL WITH_TENANT("second") " WHERE trial.id = second.trial"
						       " ORDER BY campaign.id, plan_order, "
						       "trial.number, tenant.idx, second.second",
	 seconds},
	{"samples.csv", "The host beside each trial; empty: not known here, or not read then.",
	 "sample JOIN " OF_TRIAL
	 " WHERE trial.id = sample.trial ORDER BY campaign.id, plan_order, trial.number, at_ns",
	 samples},
	{"gpus.csv", "The GPUs beside each trial.",
	 "gpu_sample JOIN " OF_TRIAL " WHERE trial.id = gpu_sample.trial"
	 " ORDER BY campaign.id, plan_order, trial.number, at_ns, gpu",
	 gpus},
	{"scrapes.csv", "What the servers said about themselves.",
	 "scrape JOIN " OF_TRIAL " WHERE trial.id = scrape.trial"
	 " ORDER BY campaign.id, plan_order, trial.number, series",
	 scrapes},
	{"figures.csv", "Numbers that are no trials: load times, profiles.",
	 "figure JOIN " OF_CELL
	 " WHERE cell.id = figure.cell ORDER BY campaign.id, plan_order, figure.number",
	 figures},
	{"requests.csv", "Every request that was kept; only with --requests.", NULL, requests},
	{0},
};

void ps_store_sheets_reference(struct ps_strbuf *out)
{
	for (const struct ps_store_sheet *s = ps_store_sheets; s->file; s++) {
		ps_strbuf_printf(out, "### %s\n\n%s\n\n| column | meaning |\n|---|---|\n", s->file,
				 s->what);
		for (const struct ps_store_column *c = s->columns; c->name; c++) {
			ps_strbuf_printf(out, "| `%s` | %s |\n", c->name, c->what);
		}
		ps_strbuf_putc(out, '\n');
	}
}

#include "store/schema_internal.h"

/* In the order of ps_store_sample_fields. */
#define SAMPLE_COLUMNS                                                                             \
	"at_ns, server_cpu_ns, generator_cpu_ns, steal_ns, busy_ns, server_rss_bytes, "            \
	"server_pss_bytes, generator_rss_bytes, server_threads, server_minor_faults, "             \
	"server_major_faults, server_voluntary_switches, server_involuntary_switches, "            \
	"server_run_delay_ns, server_read_bytes, server_written_bytes, "                           \
	"server_throttled_ns, server_huge_bytes, server_cycles, server_instructions, "             \
	"server_cache_misses, generator_run_delay_ns, net_received_bytes, "                        \
	"net_sent_bytes, cpu_khz"

/* In the order of struct ps_store_terms. */
#define PRICE_TERMS                                                                                \
	"price_billed_per, price_minimum_ns, price_spot_usd_per_hour, "                            \
	"price_reserved_usd_per_hour,"                                                             \
	" price_gpu_kind, price_gpu_count, price_currency, price_exchange_usd,"                    \
	" price_exchange_source, price_exchange_date"

#define ROW(id, sql) [PS_STMT_##id] = {#id, sql}

const struct ps_store_stmt_row ps_store_stmts[PS_STMT_COUNT] = {
	ROW(CAMPAIGN_INSERT,
	    "INSERT INTO campaign (name, file_path, file_text, manifest, seed, started_wall_ns,"
	    " slice_cpus, slice_memory_bytes, price_provider, price_region, price_instance,"
	    " price_vcpu, price_memory_gib, price_usd_per_hour, price_source, price_date,"
	    " full_command, previous, uuid, slice_cpu_quota, " PRICE_TERMS ")"
	    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
	ROW(TENANT_INSERT,
	    "INSERT INTO tenant (campaign, idx, name, model, demand_rps, sla_percentile,"
	    " sla_limit_ns, sla_min_success) VALUES (?,?,?,?,?,?,?,?)"),
	ROW(SET_INSERT, "INSERT INTO tenant_set (campaign, idx, name) VALUES (?,?,?)"),
	ROW(MEMBER_INSERT,
	    "INSERT INTO set_member (campaign, set_idx, position, tenant_idx) VALUES (?,?,?,?)"),
	ROW(CELL_INSERT,
	    "INSERT INTO cell (campaign, plan_order, key, kind, set_idx, block, position, part,"
	    " point, digest, state) VALUES (?,?,?,?,?,?,?,?,?,?,'planned')"),
	ROW(CAMPAIGN_FINISH, "UPDATE campaign SET finished_wall_ns = ? WHERE id = ?"),
	ROW(CAMPAIGN_MANIFEST, "UPDATE campaign SET manifest = ? WHERE id = ?"),
	ROW(CELL_FIND, "SELECT id, state FROM cell WHERE campaign = ? AND key = ?"),
	ROW(CELL_START,
	    "UPDATE cell SET state = 'running', attempt = attempt + 1, started_wall_ns = ?,"
	    " finished_wall_ns = 0, reason = NULL, seal = NULL WHERE id = ?"),
	ROW(CELL_FINISH,
	    "UPDATE cell SET state = ?, reason = ?, finished_wall_ns = ?, slice = ?, server = ?"
	    " WHERE id = ?"),
	ROW(CELL_SKIP, "UPDATE cell SET state = 'skipped', reason = ? WHERE id = ?"),
	ROW(CELL_CLEAR_FIGURES, "DELETE FROM figure WHERE cell = ?"),
	ROW(CAMPAIGN_SEAL, "UPDATE campaign SET seal = ? WHERE id = ?"),
	ROW(CELL_SEAL, "UPDATE cell SET seal = ? WHERE id = ?"),
	ROW(TRIAL_SEAL, "UPDATE trial SET seal = ? WHERE id = ?"),
	ROW(CELL_DELETE, "DELETE FROM cell WHERE id = ?"),
	ROW(CAMPAIGN_PREVIOUS, "UPDATE campaign SET previous = ? WHERE id = ?"),
	ROW(CELL_CLEAR_TRIALS, "DELETE FROM trial WHERE cell = ?"),
	ROW(CELL_CLEAR_CAPACITY, "DELETE FROM capacity WHERE cell = ?"),
	ROW(CAPACITY_INSERT,
	    "INSERT INTO capacity (cell, factor, factor_low, factor_high, checked, check_met,"
	    " method) VALUES (?,?,?,?,?,?,?)"),
	ROW(RAY_INSERT, "INSERT INTO capacity_ray (cell, position, rps) VALUES (?,?,?)"),
	ROW(TRIAL_INSERT,
	    "INSERT INTO trial (cell, number, role, factor, started_wall_ns, warmup_ns,"
	    " duration_ns, seed, met, valid, reasons, verdict, server_cpu_ns, generator_cpu_ns,"
	    " steal_ns, server_rss_bytes, server_pss_bytes, server_peak_rss_bytes,"
	    " generator_rss_bytes, copies, host)"
	    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
	ROW(RESULT_INSERT,
	    "INSERT INTO result (trial, tenant_idx, wanted_rps, concurrency, scheduled, sent,"
	    " completed, ok, good, timeouts, unsent, refused, outcomes, batch, offered_rps,"
	    " achieved_rps, throughput_rps, goodput_rps, effective_ratio, trend_tau, trend_p,"
	    " sla_met, sla_decided, sla_needs_more, valid, reasons, first_failure, latency,"
	    " service, send_lag, first_byte, uncorrected, server_queue, server_compute, records,"
	    " records_dropped, requests, mean_batch) VALUES"
	    " (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
	ROW(SECOND_INSERT,
	    "INSERT INTO second (trial, tenant_idx, second, scheduled, sent, ok, failed, good,"
	    " latency_sum_ns, latency_max_ns) VALUES (?,?,?,?,?,?,?,?,?,?)"),
	ROW(SAMPLE_INSERT, "INSERT INTO sample (trial, " SAMPLE_COLUMNS ")"
			   " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
	ROW(GPU_INSERT,
	    "INSERT INTO gpu_sample (trial, at_ns, gpu, busy_ratio, server_busy_ratio, power_w,"
	    " memory_bytes, server_memory_bytes, clock_mhz, memory_clock_mhz)"
	    " VALUES (?,?,?,?,?,?,?,?,?,?)"),
	ROW(FIGURE_INSERT,
	    "INSERT INTO figure (cell, number, name, subject, unit, x, value, low, high, count)"
	    " VALUES (?,?,?,?,?,?,?,?,?,?)"),
	ROW(SCRAPE_INSERT, "INSERT INTO scrape (trial, series, before, after) VALUES (?,?,?,?)"),
	/* Results go to another campaign by changing the owner of their trials. */
	ROW(MOVE_CELL,
	    "UPDATE cell SET state = 'done', attempt = old.attempt,"
	    " started_wall_ns = old.started_wall_ns, finished_wall_ns = old.finished_wall_ns,"
	    " slice = old.slice, server = old.server FROM cell AS old"
	    " WHERE cell.id = ? AND old.id = ?"),
	ROW(MOVE_TRIALS, "UPDATE trial SET cell = ? WHERE cell = ?"),
	ROW(MOVE_FIGURES, "UPDATE figure SET cell = ? WHERE cell = ?"),
	ROW(MOVE_CAPACITY,
	    "INSERT INTO capacity (cell, factor, factor_low, factor_high, checked, check_met,"
	    " method) SELECT ?, factor, factor_low, factor_high, checked, check_met, method"
	    " FROM capacity WHERE cell = ?"),
	ROW(MOVE_RAY, "UPDATE capacity_ray SET cell = ? WHERE cell = ?"),
	ROW(MOVE_LEAVE, "UPDATE cell SET state = 'moved', reason = ?, seal = NULL WHERE id = ?"),
	/* The places of tenants, in two steps, as no two may share one meanwhile. */
	ROW(MOVE_RESULT_TENANT, "UPDATE result SET tenant_idx = ? WHERE tenant_idx = ?"
				" AND trial IN (SELECT id FROM trial WHERE cell = ?)"),
	ROW(MOVE_SECOND_TENANT, "UPDATE second SET tenant_idx = ? WHERE tenant_idx = ?"
				" AND trial IN (SELECT id FROM trial WHERE cell = ?)"),
	ROW(LIST, "SELECT c.id, c.name, c.started_wall_ns, c.finished_wall_ns, count(x.id),"
		  " coalesce(sum(x.state = 'done'), 0), coalesce(sum(x.state = 'failed'), 0)"
		  " FROM campaign c LEFT JOIN cell x ON x.campaign = c.id GROUP BY c.id"
		  " ORDER BY c.id DESC"),
	ROW(CAMPAIGN_LAST, "SELECT id FROM campaign ORDER BY id DESC LIMIT 1"),
	ROW(CAMPAIGN_READ,
	    "SELECT name, file_path, file_text, manifest, seed, started_wall_ns, finished_wall_ns,"
	    " slice_cpus, slice_memory_bytes, price_provider, price_region, price_instance,"
	    " price_vcpu, price_memory_gib, price_usd_per_hour, price_source, price_date,"
	    " full_command, previous, uuid, slice_cpu_quota, " PRICE_TERMS
	    " FROM campaign WHERE id = ?"),
	ROW(TENANTS_READ,
	    "SELECT name, model, demand_rps, sla_percentile, sla_limit_ns, sla_min_success"
	    " FROM tenant WHERE campaign = ? ORDER BY idx"),
	ROW(SETS_READ, "SELECT name FROM tenant_set WHERE campaign = ? ORDER BY idx"),
	ROW(MEMBERS_READ, "SELECT tenant_idx FROM set_member WHERE campaign = ? AND set_idx = ?"
			  " ORDER BY position"),
	ROW(CELLS_READ,
	    "SELECT id, key, kind, set_idx, block, position, attempt, state, reason,"
	    " started_wall_ns, finished_wall_ns, slice, server, part, point, digest FROM cell"
	    " WHERE campaign = ? ORDER BY plan_order"),
	ROW(CAPACITY_READ,
	    "SELECT factor, factor_low, factor_high, checked, check_met, method FROM capacity"
	    " WHERE cell = ?"),
	ROW(RAY_READ, "SELECT rps FROM capacity_ray WHERE cell = ? ORDER BY position"),
	ROW(TRIALS_READ,
	    "SELECT id, role, number, factor, started_wall_ns, warmup_ns, duration_ns, seed, met,"
	    " valid, reasons, verdict, server_cpu_ns, generator_cpu_ns, steal_ns,"
	    " server_rss_bytes, server_pss_bytes, server_peak_rss_bytes, generator_rss_bytes,"
	    " copies, host FROM trial WHERE cell = ? ORDER BY number"),
	ROW(RESULTS_READ,
	    "SELECT id, tenant_idx, wanted_rps, concurrency, scheduled, sent, completed, ok, good,"
	    " timeouts, unsent, refused, outcomes, coalesce(mean_batch, batch), offered_rps,"
	    " achieved_rps,"
	    " throughput_rps, goodput_rps, effective_ratio, trend_tau, trend_p, sla_met,"
	    " sla_decided, sla_needs_more, valid, reasons, first_failure, latency, service,"
	    " send_lag, first_byte, uncorrected, server_queue, server_compute, records,"
	    " records_dropped FROM result WHERE trial = ? ORDER BY tenant_idx"),
	ROW(SECONDS_READ,
	    "SELECT tenant_idx, second, scheduled, sent, ok, failed, good, latency_sum_ns,"
	    " latency_max_ns FROM second WHERE trial = ? ORDER BY tenant_idx, second"),
	ROW(SAMPLES_READ, "SELECT " SAMPLE_COLUMNS " FROM sample WHERE trial = ? ORDER BY at_ns"),
	ROW(GPUS_READ,
	    "SELECT at_ns, gpu, busy_ratio, server_busy_ratio, power_w, memory_bytes,"
	    " server_memory_bytes, clock_mhz, memory_clock_mhz FROM gpu_sample WHERE trial = ?"
	    " ORDER BY at_ns, gpu"),
	ROW(FIGURES_READ,
	    "SELECT name, subject, unit, x, value, low, high, count FROM figure WHERE cell = ?"
	    " ORDER BY number"),
	ROW(SCRAPES_READ,
	    "SELECT series, before, after FROM scrape WHERE trial = ? ORDER BY series"),
	ROW(REQUESTS_READ, "SELECT requests FROM result WHERE id = ?"),
	ROW(CHECK_EMPTY_CELLS,
	    "SELECT cell.key, campaign.name FROM cell JOIN campaign ON campaign.id = cell.campaign"
	    " WHERE state = 'done'"
	    " AND NOT EXISTS (SELECT 1 FROM trial WHERE trial.cell = cell.id)"
	    " AND NOT EXISTS (SELECT 1 FROM figure WHERE figure.cell = cell.id)"
	    " OR state IN ('planned', 'running')"
	    " AND attempt < 2 AND EXISTS (SELECT 1 FROM trial WHERE trial.cell = cell.id)"),
	ROW(CHECK_COUNTS,
	    "SELECT DISTINCT cell.key, campaign.name FROM result"
	    " JOIN trial ON trial.id = result.trial JOIN cell ON cell.id = trial.cell"
	    " JOIN campaign ON campaign.id = cell.campaign WHERE good > ok OR ok > completed"
	    " OR sent > scheduled OR timeouts + unsent + refused + ok > scheduled"),
	/* What is sealed, whole: see seal.c. */
	ROW(CAMPAIGN_ROW, "SELECT * FROM campaign WHERE id = ?"),
	ROW(TENANT_ROWS, "SELECT * FROM tenant WHERE campaign = ? ORDER BY idx"),
	ROW(SET_ROWS, "SELECT * FROM tenant_set WHERE campaign = ? ORDER BY idx"),
	ROW(MEMBER_ROWS, "SELECT * FROM set_member WHERE campaign = ? ORDER BY set_idx, position"),
	ROW(CELL_ROW, "SELECT * FROM cell WHERE id = ?"),
	ROW(CAPACITY_ROWS, "SELECT * FROM capacity WHERE cell = ?"),
	ROW(RAY_ROWS, "SELECT * FROM capacity_ray WHERE cell = ? ORDER BY position"),
	ROW(FIGURE_ROWS, "SELECT * FROM figure WHERE cell = ? ORDER BY number"),
	ROW(TRIAL_SEALS, "SELECT number, seal AS sealed FROM trial WHERE cell = ? ORDER BY number"),
	ROW(TRIAL_ROW, "SELECT * FROM trial WHERE id = ?"),
	ROW(RESULT_ROWS, "SELECT * FROM result WHERE trial = ? ORDER BY tenant_idx"),
	ROW(SECOND_ROWS, "SELECT * FROM second WHERE trial = ? ORDER BY tenant_idx, second"),
	ROW(SAMPLE_ROWS, "SELECT * FROM sample WHERE trial = ? ORDER BY at_ns"),
	ROW(GPU_ROWS, "SELECT * FROM gpu_sample WHERE trial = ? ORDER BY at_ns, gpu"),
	ROW(SCRAPE_ROWS, "SELECT * FROM scrape WHERE trial = ? ORDER BY series"),
	ROW(CAMPAIGNS_ALL,
	    "SELECT id, name, seal, uuid, previous, finished_wall_ns FROM campaign ORDER BY id"),
	ROW(CAMPAIGNS_SEALED, "SELECT id, name, seal FROM campaign ORDER BY id"),
	ROW(CAMPAIGN_BY_UUID, "SELECT id, finished_wall_ns, seal FROM campaign WHERE uuid = ?"),
	ROW(CAMPAIGN_UUID, "SELECT uuid FROM campaign WHERE id = ?"),
	ROW(CAMPAIGN_MANIFEST_READ, "SELECT manifest FROM campaign WHERE id = ?"),
	ROW(CELLS_OF,
	    "SELECT id, key, state, seal FROM cell WHERE campaign = ? ORDER BY plan_order"),
	ROW(CELL_BY_KEY, "SELECT id, key, state, seal FROM cell WHERE campaign = ? AND key = ?"),
	ROW(TRIALS_OF, "SELECT id, number, seal FROM trial WHERE cell = ? ORDER BY number"),
	ROW(RESULTS_ALL,
	    "SELECT result.id, campaign.uuid, cell.key, trial.number, tenant.name FROM campaign"
	    " JOIN cell ON cell.campaign = campaign.id JOIN trial ON trial.cell = cell.id"
	    " JOIN result ON result.trial = trial.id LEFT JOIN tenant"
	    " ON tenant.campaign = campaign.id AND tenant.idx = result.tenant_idx"
	    " ORDER BY campaign.id, plan_order, trial.number, tenant.idx"),
};

#include "store/schema_internal.h"

#include "store/store.h"

/* Enumerations are texts, so that the file can be read without us. Times are nanoseconds. */
static const char migration_1[] =
	"CREATE TABLE campaign ("
	" id INTEGER PRIMARY KEY, name TEXT NOT NULL, file_path TEXT, file_text TEXT NOT NULL,"
	" manifest TEXT, seed INTEGER NOT NULL, started_wall_ns INTEGER NOT NULL,"
	" finished_wall_ns INTEGER NOT NULL DEFAULT 0, slice_cpus TEXT, slice_memory_bytes INTEGER,"
	" price_provider TEXT, price_region TEXT, price_instance TEXT, price_vcpu REAL,"
	" price_memory_gib REAL, price_usd_per_hour REAL, price_source TEXT, price_date TEXT,"
	" full_command TEXT, UNIQUE (name, started_wall_ns)) STRICT;"
	"CREATE TABLE tenant ("
	" campaign INTEGER NOT NULL REFERENCES campaign ON DELETE CASCADE, idx INTEGER NOT NULL,"
	" name TEXT NOT NULL, model TEXT NOT NULL, demand_rps REAL, sla_percentile REAL,"
	" sla_limit_ns INTEGER, sla_min_success REAL, PRIMARY KEY (campaign, idx))"
	" STRICT, WITHOUT ROWID;"
	"CREATE TABLE tenant_set ("
	" campaign INTEGER NOT NULL REFERENCES campaign ON DELETE CASCADE, idx INTEGER NOT NULL,"
	" name TEXT NOT NULL, PRIMARY KEY (campaign, idx)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE set_member ("
	" campaign INTEGER NOT NULL, set_idx INTEGER NOT NULL, position INTEGER NOT NULL,"
	" tenant_idx INTEGER NOT NULL, PRIMARY KEY (campaign, set_idx, position),"
	" FOREIGN KEY (campaign, set_idx) REFERENCES tenant_set ON DELETE CASCADE,"
	" FOREIGN KEY (campaign, tenant_idx) REFERENCES tenant ON DELETE CASCADE)"
	" STRICT, WITHOUT ROWID;"
	"CREATE TABLE cell ("
	" id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL REFERENCES campaign ON DELETE CASCADE,"
	" plan_order INTEGER NOT NULL, key TEXT NOT NULL,"
	" kind TEXT NOT NULL CHECK (kind IN ('search', 'confirm', 'capacity')),"
	" set_idx INTEGER NOT NULL, block INTEGER NOT NULL, position INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL DEFAULT 0,"
	" state TEXT NOT NULL CHECK (state IN ('planned', 'running', 'done', 'failed')),"
	" reason TEXT, started_wall_ns INTEGER NOT NULL DEFAULT 0,"
	" finished_wall_ns INTEGER NOT NULL DEFAULT 0, slice TEXT, server TEXT,"
	" UNIQUE (campaign, key), FOREIGN KEY (campaign, set_idx) REFERENCES tenant_set) STRICT;"
	"CREATE TABLE capacity ("
	" cell INTEGER PRIMARY KEY REFERENCES cell ON DELETE CASCADE, factor REAL NOT NULL,"
	" factor_low REAL, factor_high REAL, checked INTEGER NOT NULL,"
	" check_met INTEGER NOT NULL, method TEXT) STRICT;"
	"CREATE TABLE capacity_ray ("
	" cell INTEGER NOT NULL REFERENCES capacity ON DELETE CASCADE, position INTEGER NOT NULL,"
	" rps REAL NOT NULL, PRIMARY KEY (cell, position)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE trial ("
	" id INTEGER PRIMARY KEY, cell INTEGER NOT NULL REFERENCES cell ON DELETE CASCADE,"
	" number INTEGER NOT NULL, role TEXT NOT NULL CHECK"
	" (role IN ('scale', 'step', 'check', 'demand', 'at_capacity')), factor REAL,"
	" started_wall_ns INTEGER NOT NULL, warmup_ns INTEGER NOT NULL,"
	" duration_ns INTEGER NOT NULL, seed INTEGER NOT NULL, met INTEGER NOT NULL,"
	" valid INTEGER NOT NULL, reasons TEXT, verdict TEXT, server_cpu_ns INTEGER,"
	" generator_cpu_ns INTEGER, steal_ns INTEGER, server_rss_bytes INTEGER,"
	" server_pss_bytes INTEGER, server_peak_rss_bytes INTEGER, generator_rss_bytes INTEGER,"
	" UNIQUE (cell, number)) STRICT;"
	"CREATE TABLE result ("
	" id INTEGER PRIMARY KEY, trial INTEGER NOT NULL REFERENCES trial ON DELETE CASCADE,"
	" tenant_idx INTEGER NOT NULL, wanted_rps REAL, concurrency INTEGER NOT NULL,"
	" scheduled INTEGER NOT NULL, sent INTEGER NOT NULL, completed INTEGER NOT NULL,"
	" ok INTEGER NOT NULL, good INTEGER NOT NULL, timeouts INTEGER NOT NULL,"
	" unsent INTEGER NOT NULL, refused INTEGER NOT NULL, outcomes TEXT, batch INTEGER,"
	" offered_rps REAL, achieved_rps REAL, throughput_rps REAL, goodput_rps REAL,"
	" effective_ratio REAL, trend_tau REAL, trend_p REAL, sla_met INTEGER NOT NULL,"
	" sla_decided INTEGER NOT NULL, sla_needs_more INTEGER NOT NULL, valid INTEGER NOT NULL,"
	" reasons TEXT, first_failure TEXT, latency BLOB, service BLOB, send_lag BLOB,"
	" first_byte BLOB, uncorrected BLOB, server_queue BLOB, server_compute BLOB,"
	" records INTEGER NOT NULL, records_dropped INTEGER NOT NULL, requests BLOB,"
	" UNIQUE (trial, tenant_idx)) STRICT;"
	"CREATE TABLE second ("
	" trial INTEGER NOT NULL REFERENCES trial ON DELETE CASCADE, tenant_idx INTEGER NOT NULL,"
	" second INTEGER NOT NULL, scheduled INTEGER NOT NULL, sent INTEGER NOT NULL,"
	" ok INTEGER NOT NULL, failed INTEGER NOT NULL, good INTEGER NOT NULL,"
	" latency_sum_ns INTEGER NOT NULL, latency_max_ns INTEGER NOT NULL,"
	" PRIMARY KEY (trial, tenant_idx, second)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE sample ("
	" trial INTEGER NOT NULL REFERENCES trial ON DELETE CASCADE, at_ns INTEGER NOT NULL,"
	" server_cpu_ns INTEGER, generator_cpu_ns INTEGER, steal_ns INTEGER, busy_ns INTEGER,"
	" server_rss_bytes INTEGER, server_pss_bytes INTEGER, generator_rss_bytes INTEGER,"
	" PRIMARY KEY (trial, at_ns)) STRICT, WITHOUT ROWID;";

const char *const ps_store_migrations[] = {migration_1};
_Static_assert(sizeof(ps_store_migrations) / sizeof(ps_store_migrations[0]) ==
		       PS_STORE_SCHEMA_VERSION,
	       "one migration per schema version");

#define ROW(id, sql) [PS_STMT_##id] = {#id, sql}

const struct ps_store_stmt_row ps_store_stmts[PS_STMT_COUNT] = {
	ROW(CAMPAIGN_INSERT,
	    "INSERT INTO campaign (name, file_path, file_text, manifest, seed, started_wall_ns,"
	    " slice_cpus, slice_memory_bytes, price_provider, price_region, price_instance,"
	    " price_vcpu, price_memory_gib, price_usd_per_hour, price_source, price_date,"
	    " full_command) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
	ROW(TENANT_INSERT,
	    "INSERT INTO tenant (campaign, idx, name, model, demand_rps, sla_percentile,"
	    " sla_limit_ns, sla_min_success) VALUES (?,?,?,?,?,?,?,?)"),
	ROW(SET_INSERT, "INSERT INTO tenant_set (campaign, idx, name) VALUES (?,?,?)"),
	ROW(MEMBER_INSERT,
	    "INSERT INTO set_member (campaign, set_idx, position, tenant_idx) VALUES (?,?,?,?)"),
	ROW(CELL_INSERT,
	    "INSERT INTO cell (campaign, plan_order, key, kind, set_idx, block, position, state)"
	    " VALUES (?,?,?,?,?,?,?,'planned')"),
	ROW(CAMPAIGN_FINISH, "UPDATE campaign SET finished_wall_ns = ? WHERE id = ?"),
	ROW(CAMPAIGN_MANIFEST, "UPDATE campaign SET manifest = ? WHERE id = ?"),
	ROW(CELL_FIND, "SELECT id, state FROM cell WHERE campaign = ? AND key = ?"),
	ROW(CELL_START,
	    "UPDATE cell SET state = 'running', attempt = attempt + 1, started_wall_ns = ?,"
	    " finished_wall_ns = 0, reason = NULL WHERE id = ?"),
	ROW(CELL_FINISH,
	    "UPDATE cell SET state = ?, reason = ?, finished_wall_ns = ?, slice = ?, server = ?"
	    " WHERE id = ?"),
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
	    " generator_rss_bytes) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
	ROW(RESULT_INSERT,
	    "INSERT INTO result (trial, tenant_idx, wanted_rps, concurrency, scheduled, sent,"
	    " completed, ok, good, timeouts, unsent, refused, outcomes, batch, offered_rps,"
	    " achieved_rps, throughput_rps, goodput_rps, effective_ratio, trend_tau, trend_p,"
	    " sla_met, sla_decided, sla_needs_more, valid, reasons, first_failure, latency,"
	    " service, send_lag, first_byte, uncorrected, server_queue, server_compute, records,"
	    " records_dropped, requests) VALUES"
	    " (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
	ROW(SECOND_INSERT,
	    "INSERT INTO second (trial, tenant_idx, second, scheduled, sent, ok, failed, good,"
	    " latency_sum_ns, latency_max_ns) VALUES (?,?,?,?,?,?,?,?,?,?)"),
	ROW(SAMPLE_INSERT,
	    "INSERT INTO sample (trial, at_ns, server_cpu_ns, generator_cpu_ns, steal_ns, busy_ns,"
	    " server_rss_bytes, server_pss_bytes, generator_rss_bytes)"
	    " VALUES (?,?,?,?,?,?,?,?,?)"),
	ROW(LIST, "SELECT c.id, c.name, c.started_wall_ns, c.finished_wall_ns, count(x.id),"
		  " coalesce(sum(x.state = 'done'), 0), coalesce(sum(x.state = 'failed'), 0)"
		  " FROM campaign c LEFT JOIN cell x ON x.campaign = c.id GROUP BY c.id"
		  " ORDER BY c.started_wall_ns DESC, c.id DESC"),
	ROW(CAMPAIGN_LAST,
	    "SELECT id FROM campaign ORDER BY started_wall_ns DESC, id DESC LIMIT 1"),
	ROW(CAMPAIGN_READ,
	    "SELECT name, file_path, file_text, manifest, seed, started_wall_ns, finished_wall_ns,"
	    " slice_cpus, slice_memory_bytes, price_provider, price_region, price_instance,"
	    " price_vcpu, price_memory_gib, price_usd_per_hour, price_source, price_date,"
	    " full_command FROM campaign WHERE id = ?"),
	ROW(TENANTS_READ,
	    "SELECT name, model, demand_rps, sla_percentile, sla_limit_ns, sla_min_success"
	    " FROM tenant WHERE campaign = ? ORDER BY idx"),
	ROW(SETS_READ, "SELECT name FROM tenant_set WHERE campaign = ? ORDER BY idx"),
	ROW(MEMBERS_READ, "SELECT tenant_idx FROM set_member WHERE campaign = ? AND set_idx = ?"
			  " ORDER BY position"),
	ROW(CELLS_READ,
	    "SELECT id, key, kind, set_idx, block, position, attempt, state, reason,"
	    " started_wall_ns, finished_wall_ns, slice, server FROM cell WHERE campaign = ?"
	    " ORDER BY plan_order"),
	ROW(CAPACITY_READ,
	    "SELECT factor, factor_low, factor_high, checked, check_met, method FROM capacity"
	    " WHERE cell = ?"),
	ROW(RAY_READ, "SELECT rps FROM capacity_ray WHERE cell = ? ORDER BY position"),
	ROW(TRIALS_READ,
	    "SELECT id, role, number, factor, started_wall_ns, warmup_ns, duration_ns, seed, met,"
	    " valid, reasons, verdict, server_cpu_ns, generator_cpu_ns, steal_ns,"
	    " server_rss_bytes, server_pss_bytes, server_peak_rss_bytes, generator_rss_bytes"
	    " FROM trial WHERE cell = ? ORDER BY number"),
	ROW(RESULTS_READ,
	    "SELECT id, tenant_idx, wanted_rps, concurrency, scheduled, sent, completed, ok, good,"
	    " timeouts, unsent, refused, outcomes, batch, offered_rps, achieved_rps,"
	    " throughput_rps, goodput_rps, effective_ratio, trend_tau, trend_p, sla_met,"
	    " sla_decided, sla_needs_more, valid, reasons, first_failure, latency, service,"
	    " send_lag, first_byte, uncorrected, server_queue, server_compute, records,"
	    " records_dropped FROM result WHERE trial = ? ORDER BY tenant_idx"),
	ROW(SECONDS_READ,
	    "SELECT tenant_idx, second, scheduled, sent, ok, failed, good, latency_sum_ns,"
	    " latency_max_ns FROM second WHERE trial = ? ORDER BY tenant_idx, second"),
	ROW(SAMPLES_READ,
	    "SELECT at_ns, server_cpu_ns, generator_cpu_ns, steal_ns, busy_ns, server_rss_bytes,"
	    " server_pss_bytes, generator_rss_bytes FROM sample WHERE trial = ? ORDER BY at_ns"),
	ROW(REQUESTS_READ, "SELECT requests FROM result WHERE id = ?"),
	ROW(CHECK_EMPTY_CELLS,
	    "SELECT key FROM cell WHERE state = 'done'"
	    " AND NOT EXISTS (SELECT 1 FROM trial WHERE trial.cell = cell.id)"
	    " OR state IN ('planned', 'running')"
	    " AND attempt < 2 AND EXISTS (SELECT 1 FROM trial WHERE trial.cell = cell.id)"
	    " LIMIT 1"),
	ROW(CHECK_COUNTS,
	    "SELECT cell.key FROM result JOIN trial ON trial.id = result.trial"
	    " JOIN cell ON cell.id = trial.cell WHERE good > ok OR ok > completed"
	    " OR sent > scheduled OR timeouts + unsent + refused + ok > scheduled LIMIT 1"),
};

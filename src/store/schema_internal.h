/* schema_internal.h - the tables, as numbered migrations, and every statement by name. */
#ifndef PS_STORE_SCHEMA_INTERNAL_H
#define PS_STORE_SCHEMA_INTERNAL_H

#include <stddef.h>

#define PS_STORE_APPLICATION_ID 0x50727365 /* "Prse" in the file's header */

/* Migration k (from 0) raises a file from version k to k + 1. A released one never changes. */
extern const char *const ps_store_migrations[];

enum ps_store_stmt {
	PS_STMT_CAMPAIGN_INSERT,
	PS_STMT_TENANT_INSERT,
	PS_STMT_SET_INSERT,
	PS_STMT_MEMBER_INSERT,
	PS_STMT_CELL_INSERT,
	PS_STMT_CAMPAIGN_FINISH,
	PS_STMT_CAMPAIGN_MANIFEST,
	PS_STMT_CELL_FIND,
	PS_STMT_CELL_START,
	PS_STMT_CELL_FINISH,
	PS_STMT_CELL_CLEAR_TRIALS,
	PS_STMT_CELL_CLEAR_CAPACITY,
	PS_STMT_CAPACITY_INSERT,
	PS_STMT_RAY_INSERT,
	PS_STMT_TRIAL_INSERT,
	PS_STMT_RESULT_INSERT,
	PS_STMT_SECOND_INSERT,
	PS_STMT_SAMPLE_INSERT,
	PS_STMT_LIST,
	PS_STMT_CAMPAIGN_LAST,
	PS_STMT_CAMPAIGN_READ,
	PS_STMT_TENANTS_READ,
	PS_STMT_SETS_READ,
	PS_STMT_MEMBERS_READ,
	PS_STMT_CELLS_READ,
	PS_STMT_CAPACITY_READ,
	PS_STMT_RAY_READ,
	PS_STMT_TRIALS_READ,
	PS_STMT_RESULTS_READ,
	PS_STMT_SECONDS_READ,
	PS_STMT_SAMPLES_READ,
	PS_STMT_REQUESTS_READ,
	PS_STMT_CHECK_EMPTY_CELLS,
	PS_STMT_CHECK_COUNTS,
	PS_STMT_COUNT
};

struct ps_store_stmt_row {
	const char *name;
	const char *sql;
};

extern const struct ps_store_stmt_row ps_store_stmts[PS_STMT_COUNT];

#endif

/* metrics_page_internal.h - a page of metrics while it is made: observe_text.c (tenants and
 * models), observe_machine.c (the operator's part).   Layer 5. The observer's thread's. */
#ifndef PS_SERVE_METRICS_PAGE_INTERNAL_H
#define PS_SERVE_METRICS_PAGE_INTERNAL_H

#include "serve/observe_parts_internal.h"

enum ps_serve_metric {
	PS_M_REQUESTS,
	PS_M_INFERENCES,
	PS_M_COMPUTE,
	PS_M_BYTES_IN,
	PS_M_BYTES_OUT,
	PS_M_SLA,
	PS_M_SLA_GOOD,
	PS_M_LATENCY,
	PS_M_QUEUE,
	PS_M_RUN,
	PS_M_T_WAITING,
	PS_M_T_RUNNING,
	PS_M_T_COST,
	PS_M_T_LAG,
	PS_M_T_HITS,
	PS_M_T_COLD,
	PS_M_T_LOAD_WAIT,
	PS_M_T_RESIDENT,
	PS_M_T_UTILITY,
	PS_M_NV_SUCCESS,
	PS_M_NV_FAILURE,
	PS_M_NV_COUNT,
	PS_M_NV_EXEC,
	PS_M_NV_REQUEST_US,
	PS_M_NV_QUEUE_US,
	PS_M_NV_INPUT_US,
	PS_M_NV_INFER_US,
	PS_M_NV_OUTPUT_US,
	PS_M_NV_PENDING,
	PS_M_NV_LOAD,
	PS_M_MODELS,
	PS_M_MEMORY,
	PS_M_LOADS,
	PS_M_LOAD_SECONDS,
	PS_M_LOAD_STEPS,
	PS_M_LOAD_STEP_SECONDS,
	PS_M_UNLOADS,
	PS_M_RESIDENT,
	PS_M_BUDGET,
	PS_M_BUDGET_USED,
	PS_M_PARKED,
	PS_M_EVICTIONS,
	PS_M_EPOCHS,
	PS_M_CONFIGURATIONS,
	PS_M_JAIN,
	PS_M_WORST,
	PS_M_LANES,
	PS_M_LANES_BUSY,
	PS_M_LANE_BUSY,
	PS_M_LANE_RUNS,
	PS_M_WAITING,
	PS_M_KEYS,
	PS_M_CALLS,
	PS_M_CONNECTIONS,
	PS_M_ACCEPTED,
	PS_M_HANDSHAKES,
	PS_M_REFUSED,
	PS_M_BUFFERED,
	PS_M_LOG_DROPPED,
	PS_M_LEDGER_AT,
	PS_M_LEDGER_FAILED,
	PS_M_GENERATION,
	PS_M_RELOADS,
	PS_M_TENANTS,
	PS_M_SERIES,
	PS_M_UP,
	PS_M_CPU,
	PS_M_RSS,
	PS_M_VSIZE,
	PS_M_FDS,
	PS_M_MAX_FDS,
	PS_M_THREADS,
	PS_M_START,
	PS_M_COUNT
};

/* Triton's reasons of failures. */
enum {
	PS_SERVE_NV_REJECTED,
	PS_SERVE_NV_CANCELED,
	PS_SERVE_NV_BACKEND,
	PS_SERVE_NV_OTHER,
};

extern const struct ps_metrics_family ps_serve_families[];

#define PS_SERVE_OTHER INT32_MAX /* tenant and model of what is added up */

struct ps_serve_series {
	int tenant, model;
	char version[PS_SERVE_VERSION_SIZE];
	struct ps_metrics_label labels[3]; /* tenant, model, version */
	struct ps_serve_counts counts;
};

struct ps_serve_model_sum {
	struct ps_metrics_label labels[2]; /* model, version */
	struct ps_serve_counts counts;
};

struct ps_serve_page {
	struct ps_serve *server;
	int viewer;
	struct ps_metrics_writer w;
	struct ps_serve_snapshot *snapshot;
	struct ps_serve_series **series; /* by model, then tenant */
	size_t n_series;
	struct ps_serve_series *other;
	struct ps_serve_model_sum *models;
	size_t n_models;
	struct ps_serve_counts scratch;
};

void ps_serve_begin(struct ps_serve_page *p, enum ps_serve_metric m);
/* observe_memory.c: what a budget of memory does to tenants; then the operator's part of it.
 * Nothing without a budget. */
void ps_serve_put_residency(struct ps_serve_page *p, const int *tenants, size_t n);
void ps_serve_put_memory(struct ps_serve_page *p);
/* observe_machine.c: queues of the tenants on the page; the operator's part. */
void ps_serve_put_tenants(struct ps_serve_page *p);
void ps_serve_put_machine(struct ps_serve_page *p);

#endif

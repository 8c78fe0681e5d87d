/* cache_sim_internal.h - what perseus cache simulate computes and shows.   Layer 6. */
#ifndef PS_CLI_CACHE_SIM_INTERNAL_H
#define PS_CLI_CACHE_SIM_INTERNAL_H

#include "cli/cache_file_internal.h"

#include "stats/stats.h"

/* What is counted per policy and seed. */
enum ps_cli_cache_figure {
	PS_CLI_CACHE_RATE,     /* requests per second */
	PS_CLI_CACHE_HITS,     /* share of requests */
	PS_CLI_CACHE_USED,     /* share of the capacity */
	PS_CLI_CACHE_JAIN,     /* index */
	PS_CLI_CACHE_WORST,    /* tenant's share, sums over epochs */
	PS_CLI_CACHE_SPARED,   /* seconds of loads that V is worth, all tenants */
	PS_CLI_CACHE_OUTSIDE,  /* share of epochs outside the core */
	PS_CLI_CACHE_SLOWDOWN, /* mean over requests */
	PS_CLI_CACHE_SLOWEST,  /* the highest p99 slowdown of a tenant */
	PS_CLI_CACHE_AGAINST,  /* requests per second over OPTP's in the same seed */
	PS_CLI_CACHE_FIGURES,
};

struct ps_cli_cache_tenant_figures {
	struct ps_stats_interval hits, share, mean_slowdown, p99_slowdown;
};

struct ps_cli_cache_row {
	enum ps_cache_kind policy;
	struct ps_stats_interval figure[PS_CLI_CACHE_FIGURES];
	double worst_epoch, gap; /* the worst of all seeds */
	int epochs, core_epochs, outside, switches;
	struct ps_cli_cache_tenant_figures *tenant; /* [tenants] */
};

struct ps_cli_cache_simulated {
	const char *title;
	int tenants, seeds, n;
	bool core; /* asked for */
	const char *const *tenant_name;
	struct ps_cli_cache_row row[PS_CACHE_KINDS]; /* [n] */
	json_t *setting;			     /* every parameter */
};

/* ps_cli_cache_figure_name and _title: a key for programs, a head for people. */
const char *ps_cli_cache_figure_name(enum ps_cli_cache_figure f);

void ps_cli_cache_sim_text(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out);
void ps_cli_cache_sim_csv(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out);
json_t *ps_cli_cache_sim_json(const struct ps_cli_cache_simulated *s);

#endif

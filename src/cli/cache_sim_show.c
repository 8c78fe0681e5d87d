/* cache_sim_show.c - what perseus cache simulate found: text, CSV, JSON. */
#include "cli/cache_sim_internal.h"

#include "base/csv.h"

#include <math.h>
#include <stdio.h>

static const struct {
	const char *name, *head;
	double times; /* for people */
	int digits;
} figures[PS_CLI_CACHE_FIGURES] = {
	[PS_CLI_CACHE_RATE] = {"requests_per_s", "requests/s", 1, 4},
	[PS_CLI_CACHE_HITS] = {"hit_ratio", "hits %", 100, 1},
	[PS_CLI_CACHE_USED] = {"used", "used %", 100, 1},
	[PS_CLI_CACHE_JAIN] = {"jain", "Jain", 1, 3},
	[PS_CLI_CACHE_WORST] = {"worst_share", "worst share", 1, 3},
	[PS_CLI_CACHE_SPARED] = {"spared_s", "spared s", 1, 1},
	[PS_CLI_CACHE_OUTSIDE] = {"outside_core", "outside %", 100, 1},
	[PS_CLI_CACHE_SLOWDOWN] = {"mean_slowdown", "slowdown", 1, 3},
	[PS_CLI_CACHE_SLOWEST] = {"worst_p99_slowdown", "worst p99", 1, 2},
	[PS_CLI_CACHE_AGAINST] = {"against_optp", "of optp's %", 100, 1},
};

const char *ps_cli_cache_figure_name(enum ps_cli_cache_figure f)
{
	return figures[f].name;
}

static const char *policy(const struct ps_cli_cache_row *r)
{
	return ps_cache_policy_get(r->policy)->name;
}

static void tenant_name(const struct ps_cli_cache_simulated *s, int i, char buf[64])
{
	if (s->tenant_name)
		snprintf(buf, 64, "%.60s", s->tenant_name[i]);
	else
		snprintf(buf, 64, "tenant %d", i + 1);
}

/* "1.234 +-0.010"; "-" for what there is none of. */
static const char *cell(const struct ps_stats_interval *i, double times, int digits, char buf[40])
{
	if (isnan(i->value))
		snprintf(buf, 40, "-");
	else if (i->has_interval)
		snprintf(buf, 40, "%.*f +-%.*f", digits, i->value * times, digits,
			 (i->hi - i->lo) / 2 * times);
	else
		snprintf(buf, 40, "%.*f", digits, i->value * times);
	return buf;
}

/* Groups of many tenants are not enumerated: what was not looked at is not said to be in the core.
 */
static const char *row_cell(const struct ps_cli_cache_row *r, enum ps_cli_cache_figure f,
			    char buf[40])
{
	if (f == PS_CLI_CACHE_OUTSIDE && r->core_epochs == 0 && r->epochs > 0)
		return "not checked";
	return cell(&r->figure[f], figures[f].times, figures[f].digits, buf);
}

static void policies_text(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out)
{
	static const enum ps_cli_cache_figure shown[] = {
		PS_CLI_CACHE_RATE,    PS_CLI_CACHE_AGAINST,  PS_CLI_CACHE_HITS,
		PS_CLI_CACHE_USED,    PS_CLI_CACHE_JAIN,     PS_CLI_CACHE_WORST,
		PS_CLI_CACHE_OUTSIDE, PS_CLI_CACHE_SLOWDOWN, PS_CLI_CACHE_SLOWEST};
	char buf[40];

	ps_strbuf_printf(out, "%-7s", "policy");
	for (size_t f = 0; f < sizeof(shown) / sizeof(*shown); f++)
		ps_strbuf_printf(out, " %15s", figures[shown[f]].head);
	ps_strbuf_printf(out, " %11s\n", "worst epoch");
	for (int i = 0; i < s->n; i++) {
		ps_strbuf_printf(out, "%-7s", policy(&s->row[i]));
		for (size_t f = 0; f < sizeof(shown) / sizeof(*shown); f++)
			ps_strbuf_printf(out, " %15s", row_cell(&s->row[i], shown[f], buf));
		ps_strbuf_printf(out, " %11.4f\n", s->row[i].worst_epoch);
	}
}

static void tenants_text(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out)
{
	char buf[40], name[64];

	ps_strbuf_printf(out, "\n%-7s %-20s %15s %15s %15s %15s\n", "policy", "tenant", "hits %",
			 "x share", "mean slowdown", "p99 slowdown");
	for (int i = 0; i < s->n; i++)
		for (int t = 0; t < s->tenants; t++) {
			const struct ps_cli_cache_tenant_figures *x = &s->row[i].tenant[t];
			tenant_name(s, t, name);
			ps_strbuf_printf(out, "%-7s %-20s", policy(&s->row[i]), name);
			ps_strbuf_printf(out, " %15s", cell(&x->hits, 100, 1, buf));
			ps_strbuf_printf(out, " %15s", cell(&x->share, 1, 3, buf));
			ps_strbuf_printf(out, " %15s", cell(&x->mean_slowdown, 1, 3, buf));
			ps_strbuf_printf(out, " %15s\n", cell(&x->p99_slowdown, 1, 2, buf));
		}
}

static void unchecked_text(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out)
{
	int epochs = 0, looked = 0;

	for (int i = 0; i < s->n; i++) {
		epochs += s->row[i].epochs;
		looked += s->row[i].core_epochs;
	}
	if (looked < epochs)
		ps_strbuf_printf(out, "%d of %d epochs were checked for the core%s.\n", looked,
				 epochs,
				 s->core ? ": groups are enumerated where at most 16 tenants ask "
					   "for anything"
					 : "");
}

void ps_cli_cache_sim_text(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out)
{
	ps_strbuf_printf(out,
			 "%s, %d tenants, %d seeds; means with half their 95 %% intervals.\n\n",
			 s->title, s->tenants, s->seeds);
	policies_text(s, out);
	if (s->tenants <= 16)
		tenants_text(s, out);
	ps_strbuf_puts(
		out,
		"\nworst share: of what the worst off tenant is entitled to, over all epochs (1 or "
		"more keeps the promise), foreseen over the draw; worst epoch: the least in any. "
		"outside: epochs in which some tenants could do better on their own. slowdown: "
		"latency over that with memory and machine for the tenant alone.\n");
	unchecked_text(s, out);
}

/* ---- CSV ---- */

static void csv_interval(const struct ps_stats_interval *i, struct ps_strbuf *out)
{
	const double v[] = {i->value, i->has_interval ? i->lo : NAN, i->has_interval ? i->hi : NAN};

	for (int k = 0; k < 3; k++) {
		ps_strbuf_putc(out, ',');
		ps_csv_real(out, v[k]);
	}
	ps_strbuf_putc(out, '\n');
}

void ps_cli_cache_sim_csv(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out)
{
	static const char *const of_tenant[] = {"hit_ratio", "share", "mean_slowdown",
						"p99_slowdown"};
	char name[64];

	ps_strbuf_puts(out, "policy,tenant,figure,value,low,high\n");
	for (int i = 0; i < s->n; i++) {
		const struct ps_cli_cache_row *r = &s->row[i];
		for (int f = 0; f < PS_CLI_CACHE_FIGURES; f++) {
			ps_strbuf_printf(out, "%s,,%s", policy(r), figures[f].name);
			csv_interval(&r->figure[f], out);
		}
		for (int t = 0; t < s->tenants; t++) {
			const struct ps_stats_interval *x[] = {
				&r->tenant[t].hits, &r->tenant[t].share,
				&r->tenant[t].mean_slowdown, &r->tenant[t].p99_slowdown};
			tenant_name(s, t, name);
			for (int f = 0; f < 4; f++) {
				ps_strbuf_printf(out, "%s,", policy(r));
				ps_csv_text(out, name);
				ps_strbuf_printf(out, ",%s", of_tenant[f]);
				csv_interval(x[f], out);
			}
		}
	}
}

/* ---- JSON ---- */

static json_t *interval_json(const struct ps_stats_interval *i)
{
	json_t *o = json_object();

	ps_json_set_real(o, "value", i->value);
	ps_json_set_real(o, "low", i->has_interval ? i->lo : NAN);
	ps_json_set_real(o, "high", i->has_interval ? i->hi : NAN);
	return o;
}

static json_t *row_json(const struct ps_cli_cache_simulated *s, const struct ps_cli_cache_row *r)
{
	json_t *o = json_object(), *tenants = json_array();
	char name[64];

	ps_json_set_string(o, "policy", policy(r));
	for (int f = 0; f < PS_CLI_CACHE_FIGURES; f++)
		json_object_set_new(o, figures[f].name, interval_json(&r->figure[f]));
	ps_json_set_real(o, "worst_epoch", r->worst_epoch);
	ps_json_set_real(o, "gap", r->gap);
	ps_json_set_int(o, "epochs", r->epochs);
	ps_json_set_int(o, "epochs_looked_at", r->core_epochs);
	ps_json_set_int(o, "epochs_outside", r->outside);
	ps_json_set_int(o, "switches", r->switches);
	for (int t = 0; t < s->tenants; t++) {
		json_t *x = json_object();
		tenant_name(s, t, name);
		ps_json_set_string(x, "tenant", name);
		json_object_set_new(x, "hit_ratio", interval_json(&r->tenant[t].hits));
		json_object_set_new(x, "share", interval_json(&r->tenant[t].share));
		json_object_set_new(x, "mean_slowdown", interval_json(&r->tenant[t].mean_slowdown));
		json_object_set_new(x, "p99_slowdown", interval_json(&r->tenant[t].p99_slowdown));
		json_array_append_new(tenants, x);
	}
	json_object_set_new(o, "tenants", tenants);
	return o;
}

json_t *ps_cli_cache_sim_json(const struct ps_cli_cache_simulated *s)
{
	json_t *o = json_object(), *all = json_array();

	json_object_set(o, "setting", s->setting);
	for (int i = 0; i < s->n; i++)
		json_array_append_new(all, row_json(s, &s->row[i]));
	json_object_set_new(o, "policies", all);
	return o;
}

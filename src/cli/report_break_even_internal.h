/* report_break_even_internal.h - who is compared on what machines, and how it is shown.   Layer 6.
 */
#ifndef PS_CLI_REPORT_BREAK_EVEN_INTERNAL_H
#define PS_CLI_REPORT_BREAK_EVEN_INTERNAL_H

#include "base/json.h"
#include "base/strbuf.h"
#include "cost/curve.h"
#include "price_options_internal.h"

/* ---- who is compared ---- */

/* One of two machines: a campaign on it and its prices, or prices alone. */
struct ps_cli_even_side {
	struct ps_cli_priced priced;
	const struct ps_cost_price *price;
	bool has_campaign;
};

struct ps_cli_even_member {
	const char *tenant;
	double share; /* of the requests of the set */
};

/* A tenant alone, or a set whose tenants' rates grow in step; its rate is then their sum. */
struct ps_cli_even_subject {
	const char *name;
	bool is_set;
	int len; /* of a set's members; 0 of a tenant */
	struct ps_cli_even_member members[PS_STORE_MAX_TENANTS];
};

/* ps_cli_even_pick finds who is asked for; both NULL: the only tenant with a capacity alone on both
 * sides. PS_EUSAGE for two names or several tenants, PS_ENOTFOUND. */
enum ps_status ps_cli_even_pick(const char *tenant, const char *set,
				const struct ps_cli_even_side sides[2],
				struct ps_cli_even_subject *ret_subject, struct ps_error *err);
/* ps_cli_even_capacity returns its capacity on a side with a campaign, requests/s. PS_ENOTFOUND. */
enum ps_status ps_cli_even_capacity(const struct ps_cli_even_side *s,
				    const struct ps_cli_even_subject *u,
				    struct ps_stats_interval *ret_rps, struct ps_error *err);
/* ps_cli_even_check_same refuses (PS_EINVAL) what are not the same requests on both sides: other
 * inferences per request, another mix of a set; other SLAs and models are warnings on stderr. */
enum ps_status ps_cli_even_check_same(const struct ps_cli_even_side sides[2],
				      const struct ps_cli_even_subject *u, struct ps_error *err);

/* ---- how it is shown ---- */

enum { PS_CLI_MAX_CROSSINGS = 1000 };

struct ps_cli_break_even {
	const struct ps_cli_even_subject *subject;
	struct ps_cost_type types[2];
	bool stated; /* the second capacity */
	double up_to;
	size_t points;
	struct ps_cost_crossing *crossings; /* the first PS_CLI_MAX_CROSSINGS */
	size_t crossing_len;		    /* in all */
};

/* ps_cli_break_even_text appends it for people. */
void ps_cli_break_even_text(const struct ps_cli_break_even *r, struct ps_strbuf *out);
/* ps_cli_break_even_csv appends the curve (RFC 4180). */
void ps_cli_break_even_csv(const struct ps_cli_break_even *r, struct ps_strbuf *out);
/* ps_cli_break_even_json makes all of it as an object; the caller owns it. */
json_t *ps_cli_break_even_json(const struct ps_cli_break_even *r);

#endif

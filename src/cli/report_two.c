/* report_two.c - perseus report --against: two campaigns, and which of their differences are real.
 */
#include "report/agree.h"
#include "report/versus.h"
#include "report_verbs_internal.h"

#include <unistd.h>

struct both {
	const struct ps_report_answer *a, *b;
	struct ps_report_agreement *g;
};

static enum ps_status write_html(const struct both *x, const char *path, struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	enum ps_status st = ps_report_versus_html(x->a, x->b, x->g, &out, err);
	if (st == PS_OK)
		st = ps_cli_out_write(&out, path, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status write_markdown(const struct both *x, const char *path, struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_report_versus_markdown(x->a, x->b, x->g, &out);
	enum ps_status st = ps_cli_out_write(&out, path, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status write_csv(const struct both *x, const char *path, struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_report_agree_csv(x->g, &out);
	enum ps_status st = ps_cli_out_write(&out, path, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status print(const struct both *x, bool as_json, struct ps_error *err)
{
	struct ps_strbuf out;

	if (as_json)
		return ps_cli_print_json(ps_report_agree_json(x->g), err);
	ps_strbuf_init(&out);
	ps_report_versus_text(x->a, x->b, x->g, ps_cli_width(STDOUT_FILENO), &out);
	enum ps_status st = ps_cli_out_print(&out, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status show(const struct ps_cli_two *q, const struct both *x, struct ps_error *err)
{
	enum ps_status st = ps_report_agree_answers(x->g, x->a, x->b, err);

	if (st == PS_OK && q->html)
		st = write_html(x, q->html, err);
	if (st == PS_OK && q->markdown)
		st = write_markdown(x, q->markdown, err);
	if (st == PS_OK && q->csv)
		st = write_csv(x, q->csv, err);
	return st == PS_OK ? print(x, q->json, err) : st;
}

enum ps_status ps_cli_report_two(const struct ps_cli_two *q, const struct ps_store_campaign *a,
				 bool *ret_agrees, struct ps_error *err)
{
	struct ps_report_answer answer = {0};
	struct ps_cli_answered other = {0};
	struct ps_report_agreement g;
	const struct both x = {&answer, &other.answer, &g};
	enum ps_status st = ps_cli_answer_open(q->against_store ? q->against_store : q->store,
					       q->against, &other, err);

	if (st == PS_OK)
		st = ps_report_build(a, &answer, err);
	if (st == PS_OK)
		st = ps_report_agree(a, other.campaign, &g, err);
	if (st == PS_OK) {
		st = show(q, &x, err);
		*ret_agrees = g.agrees;
		ps_report_agree_free(&g);
	}
	ps_report_fini(&answer);
	ps_cli_answer_close(&other);
	return st;
}

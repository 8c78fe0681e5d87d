/* report_answer.c - what the verbs of perseus report share. */
#include "report_verbs_internal.h"

enum ps_status ps_cli_answer_open(const char *path, int64_t id, struct ps_cli_answered *ret,
				  struct ps_error *err)
{
	struct ps_cli_answered a = {0};
	struct ps_store *s = NULL;
	enum ps_status st = ps_store_open(path, PS_STORE_READ, &s, err);

	if (st == PS_OK)
		st = ps_store_campaign_read(s, id, &a.campaign, err);
	ps_store_close(s);
	if (st == PS_OK)
		st = ps_report_build(a.campaign, &a.answer, err);
	if (st != PS_OK) {
		ps_store_campaign_free(a.campaign);
		return st;
	}
	*ret = a;
	return PS_OK;
}

void ps_cli_answer_close(struct ps_cli_answered *a)
{
	if (a->campaign)
		ps_report_fini(&a->answer);
	ps_store_campaign_free(a->campaign);
	*a = (struct ps_cli_answered){0};
}

enum ps_status ps_cli_out_print(const struct ps_strbuf *out, struct ps_error *err)
{
	enum ps_status st = ps_strbuf_status(out);

	if (st != PS_OK)
		return ps_error_set(err, st, "no memory for the text");
	return ps_cli_print(out->data, out->len, err);
}

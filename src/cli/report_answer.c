/* report_answer.c - what the verbs of perseus report share. */
#include "report_verbs_internal.h"

#include "base/file.h"

#include <unistd.h>

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

enum ps_status ps_cli_out_write(const struct ps_strbuf *out, const char *path, struct ps_error *err)
{
	if (ps_strbuf_status(out) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for %s", path);
	return ps_file_write(path, out->data, out->len, err);
}

enum ps_status ps_cli_table_csv(const struct ps_report_table *t, const char *path,
				struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_report_table_csv(t, &out);
	enum ps_status st = ps_cli_out_write(&out, path, err);
	ps_strbuf_fini(&out);
	return st;
}

enum ps_status ps_cli_tables_json(const struct ps_cli_answered *a, const struct ps_report_table *t,
				  size_t len, struct ps_error *err)
{
	json_t *o = json_object();

	ps_json_set_string(o, "campaign", a->campaign->name);
	ps_json_set_real(o, "confidence", PS_REPORT_CONFIDENCE);
	for (size_t i = 0; i < len; i++)
		json_object_set_new(o, t[i].name, ps_report_table_json(&t[i]));
	return ps_cli_print_json(o, err);
}

enum ps_status ps_cli_tables_text(const char *lead, const struct ps_report_table *t, size_t len,
				  struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_strbuf_puts(&out, lead);
	for (size_t i = 0; i < len; i++)
		ps_report_table_text(&t[i], ps_cli_width(STDOUT_FILENO), &out);
	enum ps_status st = ps_cli_out_print(&out, err);
	ps_strbuf_fini(&out);
	return st;
}

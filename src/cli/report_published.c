/* report_published.c - reads published figures for perseus report --published. */
#include "base/file.h"
#include "report_published_internal.h"

#include <stdlib.h>

enum ps_status ps_cli_published_open(const char *path, struct ps_report_answer *a,
				     struct ps_cli_published *ret, struct ps_error *err)
{
	char *text = NULL;
	size_t len = 0;
	enum ps_status st = ps_file_read(path, PS_REPORT_PUBLISHED_MAX_BYTES, &text, &len, err);

	if (st == PS_OK)
		st = ps_report_published_parse(text, len, path, &ret->published, err);
	free(text);
	if (st != PS_OK)
		return st;
	st = ps_report_beside_build(a, &ret->published, &ret->beside, err);
	if (st != PS_OK) {
		ps_report_published_free(&ret->published);
		return st;
	}
	a->beside = &ret->beside;
	return PS_OK;
}

void ps_cli_published_close(struct ps_cli_published *p)
{
	ps_report_published_free(&p->published);
}

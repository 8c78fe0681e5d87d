/* find.c - the campaign that a run goes on with. */
#include "measure/measure_internal.h"

#include "store/manifest.h"

#include <stdlib.h>
#include <string.h>

/* The places in the listing of campaigns of this name come one after the other; n: no more. */
static size_t next_named(const struct ps_store_listing *list, size_t n, size_t i, const char *name)
{
	/* names are cut in a listing */
	while (i < n && strncmp(list[i].name, name, sizeof(list[i].name) - 1) != 0) {
		i++;
	}
	return i;
}

static enum ps_status none_named(const char *name, bool any, struct ps_error *err)
{
	ps_error_set(err, PS_ENOTFOUND, "the store holds no campaign \"%.100s\"%s", name,
		     any ? "" : ", nor any other");
	ps_error_hint(err, "run without --resume to begin it");
	return PS_ENOTFOUND;
}

static enum ps_status other_machine(const char *name, const char *difference, struct ps_error *err)
{
	ps_error_set(err, PS_EEXIST, "campaign \"%.60s\" was measured on another machine: %s", name,
		     difference);
	ps_error_hint(err, "results of two machines do not mix: run without --resume, which begins "
			   "it anew beside the old one; perseus report --against compares both");
	return PS_EEXIST;
}

/* The last one of that name that was measured on this kind of machine. */
static enum ps_status find(struct ps_store *s, const struct ps_store_listing *list, size_t n,
			   const char *name, const json_t *here, struct ps_measure_found *ret_found,
			   struct ps_error *err)
{
	char text[PS_STORE_MACHINE_TEXT_SIZE], last[PS_STORE_MACHINE_TEXT_SIZE] = "";
	enum ps_status st = PS_OK;
	struct ps_measure_found f = {.passed_over = 0};
	for (size_t i = next_named(list, n, 0, name); i < n && st == PS_OK;
	     i = next_named(list, n, i + 1, name)) {
		st = ps_store_campaign_read(s, list[i].id, &f.campaign, err);
		if (st != PS_OK ||
		    !ps_store_manifest_differs(f.campaign->manifest_json, here, text)) {
			break;
		}
		if (f.passed_over++ == 0) {
			memcpy(last, text, sizeof(last));
		}
		ps_store_campaign_free(f.campaign);
		f.campaign = NULL;
	}
	if (st == PS_OK && !f.campaign) {
		st = f.passed_over ? other_machine(name, last, err) : none_named(name, n > 0, err);
	}
	*ret_found = f;
	return st;
}

enum ps_status ps_measure_find_campaign(struct ps_store *s, const char *name,
					struct ps_measure_found *ret_found, struct ps_error *err)
{
	struct ps_store_listing *list = NULL;
	size_t n = 0;
	enum ps_status st = ps_store_list(s, &list, &n, err);
	if (st != PS_OK) {
		return st;
	}
	json_t *here = ps_host_machine_json();
	st = here ? find(s, list, n, name, here, ret_found, err)
		  : ps_error_set(err, PS_ENOMEM, "no memory to look at the machine");
	json_decref(here);
	free(list);
	return st;
}

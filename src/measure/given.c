/* given.c - a server's configuration as somebody else wrote it, with keys of ours. */
#include "measure/measure_internal.h"

#include "base/file.h"
#include "base/strbuf.h"

#include <stdlib.h>

/* Names of members are those of measure.h: they need no quotes. */
static enum ps_status put_keys(const struct ps_measure_context *m, const struct ps_store_set *set,
			       struct ps_measure_live *live, struct ps_strbuf *b,
			       struct ps_error *err)
{
	const struct ps_measure_tenant *tenants = m->c->tenants.items;
	char digest[PS_TENANCY_DIGEST_SIZE];
	enum ps_status st = PS_OK;
	ps_strbuf_puts(b, "keys:\n");
	for (int i = 0; i < set->member_len && st == PS_OK; i++) {
		st = ps_tenancy_make_key(live->keys[i], digest, err);
		ps_strbuf_printf(b, "  - tenant: \"%s\"\n    digest: \"%s\"\n",
				 tenants[set->members[i]].name, digest);
	}
	if (st == PS_OK && ps_strbuf_status(b) != PS_OK) {
		st = ps_error_set(err, PS_ENOMEM, "no memory for keys");
	}
	return st;
}

enum ps_status ps_measure_put_given(const struct ps_measure_context *m,
				    const struct ps_store_set *set, struct ps_measure_live *live,
				    struct ps_strbuf *b, struct ps_error *err)
{
	struct ps_strbuf keys;
	char *path = ps_measure_path(m->config_dir, "keys.yaml");
	ps_strbuf_init(&keys);
	enum ps_status st = path ? put_keys(m, set, live, &keys, err)
				 : ps_error_set(err, PS_ENOMEM, "no memory for a path");
	if (st == PS_OK) {
		st = ps_file_write(path, keys.data, keys.len, err);
	}
	ps_strbuf_puts(b, m->c->server_config);
	ps_strbuf_fini(&keys);
	free(path);
	return st;
}

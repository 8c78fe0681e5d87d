/* config.pbtxt: whatever is accepted is valid, equal to its copy, and within its limits. */
#include "fuzz/fuzz.h"
#include "repo/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ps_repo_config c, copy;
	struct ps_error err;
	enum ps_status st;

	ps_error_clear(&err);
	st = ps_repo_config_parse((const char *)data, size, "fuzz", &c, &err);
	MUST(st == PS_OK || (err.status == st && err.what[0] && err.where[0]));
	if (st != PS_OK)
		return 0;
	MUST(ps_repo_config_validate(&c, &err) == PS_OK);
	MUST(ps_repo_config_copy(&c, &copy) == PS_OK);
	MUST(ps_repo_config_equal(&c, &copy));
	MUST(c.n_inputs <= PS_MODEL_MAX_TENSORS && c.n_warnings <= PS_REPO_MAX_WARNINGS);
	ps_repo_config_fini(&copy);
	ps_repo_config_fini(&c);
	return 0;
}

/* repo.h - which models there are: names, versions, files and load states.   Layer 3, pure but for
 * ps_repo_scan, which lists a folder. Uses base.
 *
 * A model is (name, version); its number 0..count-1 is how everybody else calls it. The set is
 * fixed after it has been filled; only states change. Not thread-safe: its owner (dispatch/)
 * guards it.
 *
 *      +----------+  load   +---------+  ok    +-------+  unload  +-----------+
 *      | UNLOADED | ------> | LOADING | -----> | READY | -------> | UNLOADING |
 *      +----------+         +---------+        +-------+          +-----------+
 *           ^                 |     ^                                   |
 *           |           error v     | again                             |
 *           |               +--------+                                  |
 *           |               | FAILED |                                  |
 *           |               +--------+                                  |
 *           +-----------------------------------------------------------+
 */
#ifndef PS_REPO_REPO_H
#define PS_REPO_REPO_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define PS_REPO_MAX_MODELS  4096
#define PS_REPO_MAX_NAME    128
#define PS_REPO_MAX_VERSION 999999999

enum ps_repo_state {
	PS_REPO_UNLOADED,
	PS_REPO_LOADING,
	PS_REPO_READY,
	PS_REPO_FAILED,
	PS_REPO_UNLOADING,
	PS_REPO_STATE_COUNT
};

/* One model. Owned by the repository; texts live as long as it. */
struct ps_repo_model {
	const char *name;
	const char *path;
	int64_t version;
	char version_text[16];
	enum ps_repo_state state; /* changed by ps_repo_set_state only */
	struct ps_error error;	  /* why it FAILED */
};

struct ps_repo;

/* ps_repo_new makes an empty repository. PS_ENOMEM. */
enum ps_status ps_repo_new(struct ps_repo **ret_repo);
/* ps_repo_free frees it; NULL is fine. */
void ps_repo_free(struct ps_repo *r);

/* ps_repo_add adds a model in state UNLOADED. The file is not touched. Names are letters, digits,
 * '.', '_', '-' (at most PS_REPO_MAX_NAME). Numbers of models change until all are added.
 * PS_EINVAL (name, version), PS_EEXIST, PS_ETOOBIG (too many), PS_ENOMEM. */
enum ps_status ps_repo_add(struct ps_repo *r, const char *name, int64_t version, const char *path,
			   struct ps_error *err);
/* ps_repo_is_model_file says whether a path ends in .onnx or .synthetic.yaml. */
bool ps_repo_is_model_file(const char *path);
/* ps_repo_scan adds every model file directly in `dir`: NAME.onnx and NAME.synthetic.yaml, each as
 * version 1 of NAME, in order of name. Other files are passed over. PS_ENOTFOUND when the folder is
 * missing or holds no model; the errors of ps_repo_add. Blocking. */
enum ps_status ps_repo_scan(struct ps_repo *r, const char *dir, struct ps_error *err);

/* ps_repo_count returns the number of models. */
int ps_repo_count(const struct ps_repo *r);
/* ps_repo_get borrows model number `model`. */
const struct ps_repo_model *ps_repo_get(const struct ps_repo *r, int model);
/* ps_repo_find returns the number of (name, version), or of the highest version when `version` is
 * 0; -1 when there is none. O(log n). */
int ps_repo_find(const struct ps_repo *r, const char *name, size_t name_len, int64_t version);
/* ps_repo_versions writes the numbers of all versions of `name` in rising order, at most `max`, and
 * returns how many there are. */
int ps_repo_versions(const struct ps_repo *r, const char *name, int *ret_models, int max);

/* ps_repo_state_name returns "UNLOADED", "LOADING", ... */
const char *ps_repo_state_name(enum ps_repo_state s);
/* ps_repo_may_change says whether the table allows the transition. */
bool ps_repo_may_change(enum ps_repo_state from, enum ps_repo_state to);
/* ps_repo_set_state is the one function that changes a state. `why` is kept for FAILED and may be
 * NULL otherwise. PS_EINTERNAL when the table forbids the transition (nothing changes). */
enum ps_status ps_repo_set_state(struct ps_repo *r, int model, enum ps_repo_state to,
				 const struct ps_error *why);
/* ps_repo_in_state counts the models in a state. O(1). */
int ps_repo_in_state(const struct ps_repo *r, enum ps_repo_state s);

#endif

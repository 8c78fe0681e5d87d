/* layout.h - where models lie: lists folders, compares two listings.   Layer 3. Uses base, conf,
 * model. Blocking: for start-up and background threads, never under dispatch's mutex.
 *
 *	DIR/NAME.onnx, DIR/NAME.synthetic.yaml		version 1 of NAME
 *	DIR/NAME/VERSION/model.onnx			version VERSION of NAME, configuration in
 *	DIR/NAME/VERSION/model.synthetic.yaml		  DIR/NAME/config.pbtxt when it is there
 *	DIR/NAME/VERSION/<default_model_filename>
 */
#ifndef PS_REPO_LAYOUT_H
#define PS_REPO_LAYOUT_H

#include "repo/config.h"

#include <sys/types.h>

#define PS_REPO_MAX_FILES 16384 /* of one listing */

/* What tells a changed file without reading it. */
struct ps_repo_identity {
	dev_t dev;
	ino_t ino;
	int64_t bytes, mtime_ns, ctime_ns;
};

/* One version of one model in a folder. Owned by its listing. */
struct ps_repo_file {
	char *name, *path;
	int64_t version;
	struct ps_repo_identity identity; /* of the model's file */
};

/* One name in a folder: its configuration, or why it has none that can be used. */
struct ps_repo_entry {
	char *name;
	struct ps_repo_config config;
	struct ps_repo_identity config_identity; /* all 0: there is no file */
	enum ps_status status;			 /* not PS_OK: the name cannot be served */
	struct ps_error error;
	int first_file, n_files; /* in the listing's files, rising versions */
};

/* What a folder holds, sorted by name. */
struct ps_repo_listing {
	char *dir;
	struct ps_repo_entry *entries;
	int n_entries;
	struct ps_repo_file *files;
	int n_files;
};

/* ps_repo_list reads `dir`. One bad model does not spoil the others: its entry carries the error.
 * PS_ENOTFOUND (no such folder), PS_ETOOBIG, PS_EIO, PS_ENOMEM. */
enum ps_status ps_repo_list(const char *dir, struct ps_repo_listing **ret_listing,
			    struct ps_error *err);
void ps_repo_listing_free(struct ps_repo_listing *l);
/* ps_repo_listing_find returns the entry called `name`, or NULL. O(log n). */
const struct ps_repo_entry *ps_repo_listing_find(const struct ps_repo_listing *l, const char *name);

/* ps_repo_identify stats a file. PS_ENOTFOUND, PS_EIO. */
enum ps_status ps_repo_identify(const char *path, struct ps_repo_identity *ret_identity,
				struct ps_error *err);
bool ps_repo_identity_equal(const struct ps_repo_identity *a, const struct ps_repo_identity *b);

/* ps_repo_is_model_file says whether a path ends in .onnx, .ort or .synthetic.yaml. */
bool ps_repo_is_model_file(const char *path);

#endif

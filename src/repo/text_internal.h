/* text_internal.h - the protobuf text format, as a tree.   Inside repo/ only. Pure.
 *
 *	name: "x"  # a comment
 *	max_batch_size: 8; input [ { name: "a" dims: [ 1, -1 ] }, { name: 'b' "c" } ]
 *	dynamic_batching { preferred_batch_size: [4, 8] }
 *
 * A field is NAME ':' VALUE, NAME ':' [VALUE, ...] or NAME {fields} (also with ':' and with <>);
 * fields may be separated by ',' or ';'. A list of n values is n fields of that name. Strings are
 * in either quote, know the escapes of C, and are joined when they follow one another.
 */
#ifndef PS_REPO_TEXT_INTERNAL_H
#define PS_REPO_TEXT_INTERNAL_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define PS_REPO_TEXT_MAX_DEPTH 32
#define PS_REPO_TEXT_MAX_NODES 100000

enum ps_repo_text_kind { PS_REPO_TEXT_MESSAGE, PS_REPO_TEXT_STRING, PS_REPO_TEXT_WORD };

/* A field. WORD: a number or an identifier as it stands (numbers with their sign). */
struct ps_repo_node {
	enum ps_repo_text_kind kind;
	int line, column; /* of the value, from 1 */
	char *name;
	char *text; /* STRING (may hold NULs: `len`), WORD */
	size_t len;
	struct ps_repo_node *first, *last; /* fields of a MESSAGE, in order */
	struct ps_repo_node *next;
};

/* ps_repo_text_parse reads `text` into a MESSAGE without a name; `file` is used in errors, which
 * say file:line:column. PS_EPARSE, PS_ETOOBIG, PS_ENOMEM. */
enum ps_status ps_repo_text_parse(const char *text, size_t len, const char *file,
				  struct ps_repo_node **ret_root, struct ps_error *err);
void ps_repo_text_free(struct ps_repo_node *n);

#endif

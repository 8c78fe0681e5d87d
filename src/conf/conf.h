/* conf.h - option and configuration tables.   Layer 1. Uses base only.
 *
 * One row (struct ps_conf_option) gives the parser, the range, the unit, the default, the line of
 * --help, the line of the man page and the reference in docs/. Command lines (ps_conf_parse_args)
 * and YAML files (ps_conf_parse_yaml) both fill plain C structs from such rows; every error names
 * file:line:key, or the option.
 *
 * Ownership: texts and arrays inside a filled struct are malloc'ed; ps_conf_free releases them. A
 * struct is zeroed, then gets the defaults of its rows, then what the user wrote.
 */
#ifndef PS_CONF_CONF_H
#define PS_CONF_CONF_H

#include "base/cpus.h"
#include "base/error.h"
#include "base/sla.h"
#include "base/strbuf.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The type of a row, and of the field that it fills. */
enum ps_conf_type {
	PS_CONF_BOOL,	  /* bool: --name / --no-name; true or false in YAML */
	PS_CONF_INT,	  /* int64_t */
	PS_CONF_REAL,	  /* double */
	PS_CONF_TEXT,	  /* char *, NULL when absent */
	PS_CONF_DURATION, /* int64_t ns: 200ms */
	PS_CONF_BYTES,	  /* int64_t: 64MiB */
	PS_CONF_RATE,	  /* double per second: 20, 20/s, 90/min */
	PS_CONF_RATIO,	  /* double in parts of one: 99% or 0.99 */
	PS_CONF_ENUM,	  /* int: index into `choices` */
	PS_CONF_SLA,	  /* struct ps_sla */
	PS_CONF_CPUS,	  /* struct ps_cpus */
	PS_CONF_TEXTS, /* struct ps_conf_texts: repeat the option, or a YAML list; `def` is one item
			*/
	PS_CONF_SECTION,  /* an embedded struct of `section`; YAML mapping only. When the key is
			   * absent it has its defaults, and what is required in it is not missed */
	PS_CONF_SECTIONS, /* struct ps_conf_array of structs of `section`; YAML list only */
};

struct ps_conf_texts {
	char **items;
	size_t len;
};

struct ps_conf_array {
	void *items; /* len structs of section->size bytes, one behind the other */
	size_t len;
};

/* Where a section stood in its file, for checks that come after parsing. */
struct ps_conf_where {
	int line, column; /* from 1; 0 when it did not come from a file */
};

enum {
	PS_CONF_REQUIRED = 1,	/* must be given */
	PS_CONF_POSITIONAL = 2, /* an argument without --name; a PS_CONF_TEXTS row takes the rest */
	PS_CONF_SECRET = 4,	/* value never shown in errors or dumps */
};

struct ps_conf_option {
	const char *name; /* "api-key" on the command line, "api_key" in YAML: write it with '-';
			   * '-' and '_' are the same in YAML. NULL ends the table */
	enum ps_conf_type type;
	size_t offset;	     /* of the field in the struct */
	const char *metavar; /* how the value is called in help: "RATE" */
	const char *help;    /* one or two sentences; the unit and range are added from the row */
	const char *def;     /* default as a user would write it, NULL for none */
	double min, max; /* range for INT, REAL, DURATION (ns), BYTES, RATE, RATIO and the number
			  * of TEXTS or SECTIONS, when given; no range when both are 0 (a RATIO is
			  * then 0 to 1), no upper bound when max < min */
	const char *const *choices; /* NULL-terminated. ENUM: what it may be. INT, DURATION, BYTES:
				     * words that may stand in place of a number ("auto"); the first
				     * gives -1, the second -2, ..., whatever the range */
	const struct ps_conf_schema *section; /* SECTION, SECTIONS */
	unsigned flags;
	char letter;	     /* short form, '\0' for none */
	const char *heading; /* of the options from this one on, in help and man pages; NULL: as
			      * before. Files have none: their keys are in sections */
};

struct ps_conf_schema {
	const char *name;    /* "perseus load", or the section's name */
	const char *summary; /* one line */
	const char *details; /* paragraphs for --help and the man page; may be NULL */
	const char *example; /* lines of examples; may be NULL */
	const struct ps_conf_option *options;
	size_t size;	     /* of the struct that is filled */
	size_t where_offset; /* of a struct ps_conf_where in it; SIZE_MAX for none */
};

/* ps_conf_parse_args fills `out` (schema->size bytes) from argv[0..argc), which does not hold the
 * program or command name. "--name value", "--name=value", "-x value", "--" ends options. An option
 * given twice is refused unless it is a TEXTS row; SECTION rows are for files only. When
 * --help or -h is seen, *ret_help is true, nothing is checked, and `out` must still be freed.
 * PS_EUSAGE with the option in `where` and a near-miss suggestion in `hint`. On failure `out` owns
 * nothing. */
enum ps_status ps_conf_parse_args(const struct ps_conf_schema *schema, int argc, char **argv,
				  void *out, bool *ret_help, struct ps_error *err);

/* ps_conf_parse_yaml fills `out` from YAML text; `name` is used in errors. Unknown keys,
 * duplicate keys, missing required keys, wrong types, units and ranges give PS_EPARSE with
 * "name:line:key" in `where` and, for an unknown key, the nearest known one in `hint`. Limits: 32
 * MiB, 32 levels, 4,000,000 nodes; aliases and several documents are refused. On failure `out` owns
 * nothing. */
enum ps_status ps_conf_parse_yaml(const struct ps_conf_schema *schema, const char *text, size_t len,
				  const char *name, void *out, struct ps_error *err);

/* ps_conf_load_yaml reads the file and calls ps_conf_parse_yaml. */
enum ps_status ps_conf_load_yaml(const struct ps_conf_schema *schema, const char *path, void *out,
				 struct ps_error *err);

/* ps_conf_yaml_line returns the line, from 1, of the key at `path` ("server.metrics": keys of
 * mappings, one in the other) in YAML text that ps_conf_parse_yaml has taken; of the deepest key of
 * the path that is there, 0 when none is. For checks of several keys together. O(len). */
int ps_conf_yaml_line(const char *text, size_t len, const char *path);

/* ps_conf_free releases what a filled struct owns; the struct itself is the caller's. */
void ps_conf_free(const struct ps_conf_schema *schema, void *out);

/* ps_conf_help appends the --help text, wrapped at `width` columns. */
void ps_conf_help(const struct ps_conf_schema *schema, int width, struct ps_strbuf *out);
/* ps_conf_man appends the OPTIONS part of a man page section (roff) for the schema. */
void ps_conf_man(const struct ps_conf_schema *schema, struct ps_strbuf *out);
/* ps_conf_help_file appends the keys of a file with all its sections, wrapped. */
void ps_conf_help_file(const struct ps_conf_schema *schema, int width, struct ps_strbuf *out);
/* ps_conf_man_file appends the keys of a file as roff. */
void ps_conf_man_file(const struct ps_conf_schema *schema, struct ps_strbuf *out);
/* ps_conf_reference appends a Markdown reference of a file schema with all its sections. */
void ps_conf_reference(const struct ps_conf_schema *schema, struct ps_strbuf *out);
/* ps_conf_reference_args appends that of a command line. */
void ps_conf_reference_args(const struct ps_conf_schema *schema, struct ps_strbuf *out);

/* ps_conf_columns returns the columns that `n` bytes of UTF-8 take, one per character. */
size_t ps_conf_columns(const char *s, size_t n);
/* ps_conf_wrap appends one paragraph, broken at blanks so that no line passes `width` columns
 * unless a single word does. The cursor stands at column `at`; later lines start at `indent`. Ends
 * with a newline. */
void ps_conf_wrap(struct ps_strbuf *out, const char *text, size_t len, size_t at, size_t indent,
		  size_t width);
/* ps_conf_wrap_paragraphs wraps paragraphs separated by empty lines; a line that starts with a
 * blank is kept as it is. */
void ps_conf_wrap_paragraphs(struct ps_strbuf *out, const char *text, size_t indent, size_t width);

/* ps_conf_check_schema looks for mistakes in a table: names or letters twice, a field outside the
 * struct, a default that its own row refuses, a row without help. For tests of the tables.
 * PS_EINTERNAL with the row in `where`. */
enum ps_status ps_conf_check_schema(const struct ps_conf_schema *schema, struct ps_error *err);

/* ps_conf_parse_rate reads "20", "20/s", "90/min" or "3600/h" into requests per second, 0 or more.
 * PS_EPARSE. For rates in lists; a row of PS_CONF_RATE does it by itself. */
enum ps_status ps_conf_parse_rate(const char *text, double *ret_rps, struct ps_error *err);
/* ps_conf_nearest returns the candidate that `word` most probably meant (edit distance at most a
 * third of its length), or NULL. */
const char *ps_conf_nearest(const char *word, const char *const *candidates, size_t n);

#endif

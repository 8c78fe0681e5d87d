/* conf_internal.h - values shared by the readers and the writers of option tables.   Layer 1. */
#ifndef PS_CONF_CONF_INTERNAL_H
#define PS_CONF_CONF_INTERNAL_H

#include "conf/conf.h"

enum {
	PS_CONF_MAX_OPTIONS = 128,    /* rows per table */
	PS_CONF_MAX_ITEMS = 100000,   /* texts or sections of one row */
	PS_CONF_MAX_BYTES = 32 << 20, /* of a YAML file */
	PS_CONF_MAX_LEVELS = 32,
	PS_CONF_MAX_NODES = 4000000,
};

/* ps_conf_count returns the number of rows. */
size_t ps_conf_count(const struct ps_conf_schema *schema);
/* ps_conf_field returns the field of `o` in `base`. */
void *ps_conf_field(const struct ps_conf_option *o, void *base);
/* ps_conf_set parses `text` into a field of a plain type (no SECTION, no SECTIONS); a TEXTS row
 * gets one more item. Checks the range of numbers. `where` stays empty. */
enum ps_status ps_conf_set(const struct ps_conf_option *o, void *field, const char *text,
			   struct ps_error *err);
/* ps_conf_check_len checks the number of items of a TEXTS or SECTIONS row against its range. */
enum ps_status ps_conf_check_len(const struct ps_conf_option *o, size_t len, struct ps_error *err);
/* ps_conf_clear_field frees what one field owns and zeroes it. */
void ps_conf_clear_field(const struct ps_conf_option *o, void *field);
/* ps_conf_set_defaults zeroes `out` and gives it the defaults, embedded sections too. */
enum ps_status ps_conf_set_defaults(const struct ps_conf_schema *schema, void *out,
				    struct ps_error *err);
/* ps_conf_array_add appends a section with its defaults; returns it in *ret_item. */
enum ps_status ps_conf_array_add(const struct ps_conf_option *o, struct ps_conf_array *a,
				 void **ret_item, struct ps_error *err);
/* ps_conf_hint_nearest sets the hint of `err` to the option nearest to `word`, written with
 * `prefix`; in YAML '-' becomes '_'. */
void ps_conf_hint_nearest(const struct ps_conf_schema *schema, const char *word, bool yaml,
			  struct ps_error *err);
/* ps_conf_yaml_name writes the name with '_' for '-'; returns buf. */
#define PS_CONF_NAME_SIZE 64
const char *ps_conf_yaml_name(const char *name, char buf[PS_CONF_NAME_SIZE]);
/* ps_conf_has_range says whether the row bounds its value. */
bool ps_conf_has_range(const struct ps_conf_option *o);
/* ps_conf_format_range writes "1 to 10", "at least 1" in the unit of the row. */
#define PS_CONF_RANGE_SIZE 96
const char *ps_conf_format_range(const struct ps_conf_option *o, char buf[PS_CONF_RANGE_SIZE]);
/* ps_conf_spaces appends `n` blanks. */
void ps_conf_spaces(struct ps_strbuf *out, size_t n);
/* ps_conf_notes appends what a row knows beyond its sentence: choices, form, range, default. */
void ps_conf_notes(const struct ps_conf_option *o, bool yaml, struct ps_strbuf *out);
/* ps_conf_left_side appends "-r, --rate RATE" or "URL...". */
void ps_conf_left_side(const struct ps_conf_option *o, struct ps_strbuf *out);
/* ps_conf_in_args says whether the row can be given on a command line. */
bool ps_conf_in_args(const struct ps_conf_option *o);

#endif

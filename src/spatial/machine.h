/* machine.h - machines as files.   Layer 1. Uses base and conf. Blocking (files). */
#ifndef PS_SPATIAL_MACHINE_H
#define PS_SPATIAL_MACHINE_H

#include "base/strbuf.h"
#include "conf/conf.h"
#include "spatial/spatial.h"

/* The keys of a machine's file. */
extern const struct ps_conf_schema ps_spatial_machine_schema;

/* ps_spatial_machine_load reads a machine from a YAML file. What ps_conf_load_yaml says; PS_EPARSE
 * with FILE:LINE:KEY for values that do not go together (a key that belongs to the other kind of
 * machine or is missing for this one, a precision twice, levels that do not grow). */
enum ps_status ps_spatial_machine_load(const char *path, struct ps_spatial_machine *ret_machine,
				       struct ps_error *err);
/* ps_spatial_machine_parse is the same for text; `name` is used in errors. */
enum ps_status ps_spatial_machine_parse(const char *text, size_t len, const char *name,
					struct ps_spatial_machine *ret_machine,
					struct ps_error *err);
/* ps_spatial_machine_print appends the machine as such a file; what is read from it is the same
 * machine to six digits. */
void ps_spatial_machine_print(const struct ps_spatial_machine *m, struct ps_strbuf *out);

#endif

/* shape_internal.h - "image:1x3x224x224" on a command line.   Layer 6. */
#ifndef PS_CLI_SHAPE_INTERNAL_H
#define PS_CLI_SHAPE_INTERNAL_H

#include "conf/conf.h"
#include "load/load.h"

/* ps_cli_shapes_parse reads every text of `texts` ("INPUT:DxDxD"; the part after the last colon is
 * the shape). The caller frees *ret_shapes with free(); names point into `texts`, which are cut at
 * the colon. PS_EUSAGE, PS_ENOMEM. */
enum ps_status ps_cli_shapes_parse(struct ps_conf_texts *texts, struct ps_load_shape **ret_shapes,
				   struct ps_error *err);

#endif

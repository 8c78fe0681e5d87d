/* config_internal.h - the two writers of a model configuration. */
#ifndef PS_OIP_CONFIG_INTERNAL_H
#define PS_OIP_CONFIG_INTERNAL_H

#include "oip/proto_internal.h"

/* ps_oip_put_config appends JSON, ps_oip_pack_config a ModelConfigResponse. */
void ps_oip_put_config(const struct ps_oip_model_config *c, struct ps_strbuf *out);
void ps_oip_pack_config(const struct ps_oip_model_config *c, struct ps_strbuf *out);

#endif

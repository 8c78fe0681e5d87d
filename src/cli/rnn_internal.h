/* rnn_internal.h - what the files of perseus rnn share.   Layer 6. */
#ifndef PS_CLI_RNN_INTERNAL_H
#define PS_CLI_RNN_INTERNAL_H

#include "base/json.h"
#include "base/strbuf.h"
#include "cli/cli.h"
#include "spatial/machine.h"

extern const struct ps_cli_command ps_cli_rnn_explore, ps_cli_rnn_machine, ps_cli_rnn_check;

/* An exploration, for those who show it. */
struct ps_cli_rnn_explored {
	struct ps_spatial_layer layer;
	struct ps_spatial_machine machine;
	struct ps_spatial_points points;
};

/* ps_cli_rnn_cpus gives the CPUs to run on: those asked for, else all that are allowed, at most
 * as many as a team has threads. */
struct ps_cpus ps_cli_rnn_cpus(const struct ps_cpus *asked);
/* ps_cli_rnn_folder gives the folder of what is kept: the option, else the usual one; NULL: none.
 * `buf` has PS_FILE_PATH bytes. */
const char *ps_cli_rnn_folder(const char *option, char *buf);
/* ps_cli_rnn_layer_text writes "LSTM, 1024 hidden units, ...". */
void ps_cli_rnn_layer_text(const struct ps_spatial_layer *l, struct ps_strbuf *out);
/* ps_cli_rnn_count says how many points of a precision there are and how many are on the front. */
void ps_cli_rnn_count(const struct ps_spatial_points *p, enum ps_spatial_precision precision,
		      size_t *ret_all, size_t *ret_front);

/* ps_cli_rnn_text appends the exploration as tables, ps_cli_rnn_json returns it as JSON, and
 * ps_cli_rnn_svg and _html append a drawing and a page with it. */
void ps_cli_rnn_text(const struct ps_cli_rnn_explored *e, struct ps_strbuf *out);
json_t *ps_cli_rnn_json(const struct ps_cli_rnn_explored *e);
void ps_cli_rnn_svg(const struct ps_cli_rnn_explored *e, struct ps_strbuf *out);
void ps_cli_rnn_html(const struct ps_cli_rnn_explored *e, struct ps_strbuf *out);

#endif

/* facts.h - what a file's recurrent layers are and take, without opening it.   Layer 2, part of
 * engine/rnn. Uses base, model.
 *
 * Asked for several times while a model is loaded (which engine opens it, what it takes, opening
 * itself), so it is remembered in the process by path and identity: the file is read and parsed
 * once for all of them, and a second time by who packs the weights.
 *
 * Threads: any. Blocks on the disk.
 */
#ifndef PS_ENGINE_RNN_FACTS_H
#define PS_ENGINE_RNN_FACTS_H

#include "engine/rnn/rnn.h"

/* In one precision. Nodes that are the same layer count once. */
struct ps_rnn_facts {
	bool pure;	      /* nothing but what the engine rnn runs (graph_internal.h) */
	int layers;	      /* that can be had */
	int64_t file_bytes;   /* of the whole file */
	int64_t weight_bytes; /* that leave the file when these layers are taken out of it */
	int64_t packed_bytes; /* of all layers */
	int64_t run_bytes;    /* of room for one run, per thread */
	int64_t exact_bytes;  /* of float32 twins of all layers, and their room */
	int64_t most_bytes;   /* of the layer that takes most meanwhile: a copy of its weights, its
			       * twin and their room */
};

/* ps_rnn_facts_get reads a file unless it is remembered. A node that no runtime could run counts as
 * a layer of no size: opening says what is wrong. Errors of reading and of ps_edit_parse. */
enum ps_status ps_rnn_facts_get(const char *path, enum ps_rnn_precision precision,
				struct ps_rnn_facts *ret_facts, struct ps_error *err);
/* ps_rnn_facts_reads: how often a file was read for facts since the process began; for tests. */
int64_t ps_rnn_facts_reads(void);

#endif

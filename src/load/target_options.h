/* target_options.h - targets as options: the same rows on a command line, in a load file and in a
 * campaign.   Layer 3. Reads no file.
 */
#ifndef PS_LOAD_TARGET_OPTIONS_H
#define PS_LOAD_TARGET_OPTIONS_H

#include "base/arena.h"
#include "conf/conf.h"
#include "load/target_spec.h"

/* What the rows fill. */
struct ps_load_target_options {
	struct ps_conf_texts urls;
	int balance, protocol;
	int64_t streams;
	char *tls_ca, *tls_cert, *tls_key, *tls_name;
	bool insecure;
	char *in_process;
	struct ps_conf_texts mix, input_files, expect_files;
	double tolerance, check_share;
};

extern const char *const ps_load_balance_choices[];
extern const char *const ps_load_protocol_choices[];

/* S: the struct that the table fills. AT: the way to the options in it, with a point, or nothing.
 */
#define PS_LOAD_URL_ROW(S, AT, WITHOUT)                                                            \
	{                                                                                          \
		.name = "url", .type = PS_CONF_TEXTS, .offset = offsetof(S, AT urls),              \
		.metavar = "URL", .max = PS_LOAD_MAX_REPLICAS,                                     \
		.help = "Server: http://HOST[:PORT][/BASE], https://, grpc://, grpcs:// or "       \
			"unix:PATH; "                                                              \
			"several are replicas that take turns. " WITHOUT                           \
	}

/* Whom TLS trusts, and who we are. */
#define PS_LOAD_TLS_ROWS(S, AT)                                                                    \
	{.name = "tls-ca",                                                                         \
	 .type = PS_CONF_TEXT,                                                                     \
	 .offset = offsetof(S, AT tls_ca),                                                         \
	 .metavar = "FILE",                                                                        \
	 .help = "Certificates (PEM) of whom to trust, instead of the system's."},                 \
		{.name = "tls-cert",                                                               \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = offsetof(S, AT tls_cert),                                               \
		 .metavar = "FILE",                                                                \
		 .help = "Own certificate (PEM), for servers that ask for one."},                  \
		{.name = "tls-key",                                                                \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = offsetof(S, AT tls_key),                                                \
		 .metavar = "FILE",                                                                \
		 .help = "Its key (PEM, not encrypted)."},                                         \
		{.name = "tls-name",                                                               \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = offsetof(S, AT tls_name),                                               \
		 .metavar = "NAME",                                                                \
		 .help = "Name that the server's certificate must have, when it is not the "       \
			 "URL's."},                                                                \
	{                                                                                          \
		.name = "insecure", .type = PS_CONF_BOOL, .offset = offsetof(S, AT insecure),      \
		.help = "TLS without looking at the server's certificate."                         \
	}

/* How a server is reached, and what is sent and must come back: also of a campaign's tenants. */
#define PS_LOAD_WAY_ROWS(S, AT)                                                                    \
	{.name = "protocol",                                                                       \
	 .type = PS_CONF_ENUM,                                                                     \
	 .offset = offsetof(S, AT protocol),                                                       \
	 .choices = ps_load_protocol_choices,                                                      \
	 .def = "http",                                                                            \
	 .help = "http is HTTP/1.1; grpc-stream keeps a stream open for each request in "          \
		 "flight. A URL grpc:// asks for grpc as well."},                                  \
		{.name = "streams",                                                                \
		 .type = PS_CONF_INT,                                                              \
		 .offset = offsetof(S, AT streams),                                                \
		 .metavar = "N",                                                                   \
		 .min = 1,                                                                         \
		 .max = PS_LOAD_MAX_STREAMS,                                                       \
		 .help = "Requests at once on a connection of http2, grpc or grpc-stream (32 "     \
			 "without it); with in-process the threads that run the model of an open " \
			 "loop (as many as CPUs without it)."},                                    \
		PS_LOAD_TLS_ROWS(S, AT)

#define PS_LOAD_BALANCE_ROW(S, AT)                                                                 \
	{                                                                                          \
		.name = "balance", .heading = "How the server is reached", .type = PS_CONF_ENUM,   \
		.offset = offsetof(S, AT balance), .choices = ps_load_balance_choices,             \
		.def = "round-robin",                                                              \
		.help = "Which of several replicas gets a request: the next one, or the one that " \
			"owes "                                                                    \
			"the fewest answers."                                                      \
	}

#define PS_LOAD_MIX_ROW(S, AT)                                                                     \
	{                                                                                          \
		.name = "mix", .heading = "What is sent, and what must come back",                 \
		.type = PS_CONF_TEXTS, .offset = offsetof(S, AT mix),                              \
		.metavar = "MODEL[@VERSION][,batch=N][,weight=W]", .max = PS_LOAD_MAX_MIX,         \
		.help = "Several models or batch sizes, drawn by weight (1 without it) with the "  \
			"tenant's seed, instead of one model."                                     \
	}

#define PS_LOAD_DATA_ROWS(S, AT)                                                                   \
	{.name = "input-file",                                                                     \
	 .type = PS_CONF_TEXTS,                                                                    \
	 .offset = offsetof(S, AT input_files),                                                    \
	 .metavar = "[INPUT=]FILE",                                                                \
	 .max = PS_LOAD_MAX_FILES,                                                                 \
	 .help = "Send this input instead of a made-up one: *.npy, else raw bytes as on "          \
		 "the wire. Several for one input are sent in turn."},                             \
		{.name = "expect-file",                                                            \
		 .type = PS_CONF_TEXTS,                                                            \
		 .offset = offsetof(S, AT expect_files),                                           \
		 .metavar = "[OUTPUT=]FILE",                                                       \
		 .max = PS_LOAD_MAX_FILES,                                                         \
		 .help = "The output that must come back, one for all inputs or one for each; "    \
			 "another one counts as wrong."},                                          \
		{.name = "tolerance",                                                              \
		 .type = PS_CONF_REAL,                                                             \
		 .offset = offsetof(S, AT tolerance),                                              \
		 .def = "0",                                                                       \
		 .min = 0,                                                                         \
		 .max = 1e30,                                                                      \
		 .help = "Floating-point outputs may differ from what is expected by so much, "    \
			 "in parts of the expected number where that is above 1."},                \
	{                                                                                          \
		.name = "check-share", .type = PS_CONF_RATIO,                                      \
		.offset = offsetof(S, AT check_share), .def = "100%", .min = 1e-6, .max = 1,       \
		.help = "Share of the requests whose answers are compared, drawn with the "        \
			"tenant's seed."                                                           \
	}

/* All of them. */
#define PS_LOAD_TARGET_ROWS(S, AT)                                                                 \
	PS_LOAD_BALANCE_ROW(S, AT), PS_LOAD_WAY_ROWS(S, AT),                                       \
		{.name = "in-process",                                                             \
		 .type = PS_CONF_TEXT,                                                             \
		 .offset = offsetof(S, AT in_process),                                             \
		 .metavar = "MODEL",                                                               \
		 .help = "No server: run this model in this process, each request on a thread of " \
			 "its own. A file (*.onnx, *.ort, *.synthetic.yaml) or a name of the "     \
			 "zoo."},                                                                  \
		PS_LOAD_MIX_ROW(S, AT), PS_LOAD_DATA_ROWS(S, AT)

/* ps_load_target_from_options makes what a plan wants of what the rows filled. Texts are borrowed
 * from `o`, the rest lives in `arena`. `dir`: what file names are relative to, NULL: the working
 * folder. The first URL is left to the caller (o->urls.items[0]). PS_EUSAGE, PS_ENOMEM. */
enum ps_status ps_load_target_from_options(const struct ps_load_target_options *o, const char *dir,
					   struct ps_arena *arena,
					   struct ps_load_target_spec *ret_spec,
					   struct ps_error *err);

#endif

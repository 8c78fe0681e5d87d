/* cli.h - what the subcommands share.   Layer 6. Main thread only.
 *
 * A command lives in src/cli/cmd_<name>.c and defines one `const struct ps_cli_command
 * ps_cmd_<name>`. Nothing has to be registered: the build finds the file (src/cli/CMakeLists.txt
 * gives the order of the list in `perseus --help`).
 *
 * main() reads the command line by the command's schema, answers --help, and calls run() with the
 * filled struct. A plain command looks like this:
 *
 *	struct bench_options { char *model; int64_t threads; bool json; };
 *	static const struct ps_conf_option rows[] = { ..., PS_CLI_JSON(struct bench_options), {0} };
 *	static const struct ps_conf_schema schema = { .name = "perseus bench", ... };
 *	static int run(void *options)
 *	{
 *		const struct bench_options *o = options;
 *		struct ps_error err;
 *
 *		if (do_it(o, &err) != PS_OK)
 *			return ps_cli_fail(&err);
 *		return PS_CLI_OK;
 *	}
 *	const struct ps_cli_command ps_cmd_bench = { .name = "bench", .schema = &schema, .run = run
 *};
 *
 * Results go to stdout, progress and talk to stderr.
 */
#ifndef PS_CLI_CLI_H
#define PS_CLI_CLI_H

#include "base/error.h"
#include "base/json.h"
#include "conf/conf.h"

#include <stddef.h>
#include <stdint.h>

/* Exit codes that are no failure of ps_status_table(); all of them are listed in the man page. */
enum {
	PS_CLI_OK = 0,
	PS_CLI_NEGATIVE = 1,   /* it ran, and the answer is no: INVALID measurement, SLA missed */
	PS_CLI_NOT_SHOWN = 11, /* it ran, and the answer is neither yes nor no */
};

struct ps_cli_command {
	const char *name; /* "load", or the verb: "write" */
	const char *path; /* of a verb with verbs: "serve keys"; NULL: the name */
	const struct ps_conf_schema
		*schema;	   /* of the command line; NULL when there are only verbs.
				    * schema->name is "perseus load", "perseus zoo write" */
	int (*run)(void *options); /* gets the filled struct of schema->size bytes, which main()
				    * frees afterwards; returns the exit code. With verbs: what
				    * runs without one; NULL: a verb is needed */
	const struct ps_cli_command *const *verbs; /* NULL-terminated: perseus zoo list|write; each
						    * has its own schema and run, or verbs. NULL
						    * for none */
	const char *summary; /* one line in `perseus --help`; NULL: schema->summary */
	/* File formats that the command reads, NULL-terminated: their keys become part of
	 * `perseus help NAME` and of the man page. NULL for none. */
	const struct ps_conf_schema *const *files;
};

/* PS_CLI_JSON is the row of --json for an options struct with a field `bool json`. */
#define PS_CLI_JSON(struct_type)                                                                   \
	{                                                                                          \
		.name = "json", .type = PS_CONF_BOOL, .offset = offsetof(struct_type, json),       \
		.help = "Print one JSON object on stdout instead of text.",                        \
	}

/* ps_cli_fail prints "perseus: what", the place and the advice on stderr and returns the exit code
 * of err->status. */
int ps_cli_fail(const struct ps_error *err);

/* ps_cli_print_json prints `value` indented, with a newline, on stdout, and drops the reference
 * (also on failure). PS_EIO when stdout refuses (a full disk, a closed pipe), PS_ENOMEM when
 * `value` is NULL. */
enum ps_status ps_cli_print_json(json_t *value, struct ps_error *err);

/* ps_cli_print writes `len` bytes to stdout; same errors. */
enum ps_status ps_cli_print(const char *text, size_t len, struct ps_error *err);

/* ps_cli_own_path fills the path of this program, which starts servers as itself. PS_EIO. */
enum ps_status ps_cli_own_path(char *buf, size_t size, struct ps_error *err);

/* ps_cli_is_terminal says whether descriptor `fd` is a terminal on which a line can be rewritten
 * (a terminal, and TERM is not "dumb"). */
bool ps_cli_is_terminal(int fd);

/* ps_cli_width returns the columns of the terminal on `fd`: what the terminal says, else COLUMNS,
 * else 80; never under 20. */
int ps_cli_width(int fd);

/* A line of progress on stderr. On a terminal it is rewritten in place, at most ten times a
 * second; elsewhere each text that differs from the last one becomes a line, at most one per ten
 * seconds. All silent when `quiet`. */
struct ps_cli_progress {
	bool quiet, terminal, shown;
	int64_t last_ns;
	char last[512];
};

/* ps_cli_progress_init looks at stderr once. */
void ps_cli_progress_init(struct ps_cli_progress *p, bool quiet);
/* ps_cli_progress_show shows the text, cut at the terminal's width. */
void ps_cli_progress_show(struct ps_cli_progress *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* ps_cli_progress_note takes the line away and prints a line that stays. */
void ps_cli_progress_note(struct ps_cli_progress *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* ps_cli_progress_done takes the line away. */
void ps_cli_progress_done(struct ps_cli_progress *p);

/* ps_cli_stop_on_signals makes SIGINT and SIGTERM set the flag that ps_cli_stopped reads, and
 * SIGPIPE harmless; a second SIGINT ends the program as usual. */
void ps_cli_stop_on_signals(void);
bool ps_cli_stopped(void);

#endif

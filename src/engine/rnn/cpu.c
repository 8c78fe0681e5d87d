/* cpu.c - keeps what was measured of this CPU. */
#include "engine/rnn/cpu.h"

#include "base/file.h"
#include "base/log.h"
#include "base/version.h"
#include "engine/rnn/kernel_internal.h"

#include <stdio.h>
#include <string.h>

#define FILE_NAME  "rnn-machine.yaml"
#define QUICK_NAME "rnn-machine-quick.yaml"

static void model_name(char *buf, size_t size)
{
	char line[512];
	FILE *f = fopen("/proc/cpuinfo", "re");

	snprintf(buf, size, "unknown CPU");
	while (f && fgets(line, sizeof line, f)) {
		char *colon = strchr(line, ':');
		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(buf, size, "%s", colon + 1 + strspn(colon + 1, " \t"));
		break;
	}
	if (f)
		(void)fclose(f);
}

void ps_rnn_cpu_identity(const struct ps_rnn_team *team, char buf[PS_SPATIAL_NAME])
{
	char model[64];

	model_name(model, sizeof model);
	snprintf(buf, PS_SPATIAL_NAME, "%.48s, %s, threads %d, perseus %.16s %.24s", model,
		 ps_rnn_kernel_best()->name, ps_rnn_team_threads(team), ps_version(),
		 ps_version_revision());
}

static bool read_kept(const char *path, const char *identity, struct ps_spatial_machine *ret)
{
	struct ps_spatial_machine m;

	if (!ps_file_exists(path) || ps_spatial_machine_load(path, &m, NULL) != PS_OK ||
	    strcmp(m.measured_on, identity) != 0)
		return false;
	*ret = m;
	return true;
}

static void keep(const char *dir, const char *path, const struct ps_spatial_machine *m)
{
	struct ps_strbuf text;
	struct ps_error err;
	char why[512];

	ps_strbuf_init(&text);
	ps_spatial_machine_print(m, &text);
	enum ps_status st = ps_strbuf_status(&text);
	if (st == PS_OK)
		st = ps_file_mkdirs(dir, &err);
	if (st == PS_OK)
		st = ps_file_write(path, text.data, text.len, &err);
	if (st != PS_OK && st != PS_ENOMEM)
		ps_log(PS_LOG_WARN, "engine", "what was measured of this CPU is not kept: %s",
		       ps_error_format(&err, why, sizeof why));
	ps_strbuf_fini(&text);
}

/* What was measured at length serves those in a hurry, too; not the other way around. */
static bool find_kept(const char *dir, const char *identity, enum ps_rnn_cpu_how how,
		      struct ps_spatial_machine *ret)
{
	char path[PS_FILE_PATH];

	if (how == PS_RNN_CPU_AGAIN)
		return false;
	snprintf(path, sizeof path, "%s/" FILE_NAME, dir);
	if (read_kept(path, identity, ret))
		return true;
	snprintf(path, sizeof path, "%s/" QUICK_NAME, dir);
	return how == PS_RNN_CPU_QUICK && read_kept(path, identity, ret);
}

enum ps_status ps_rnn_cpu_get(const char *dir, struct ps_rnn_team *team,
			      const struct ps_engine_lender *lender, enum ps_rnn_cpu_how how,
			      struct ps_spatial_machine *ret_machine, struct ps_error *err)
{
	char identity[PS_SPATIAL_NAME], path[PS_FILE_PATH];
	bool quick = how == PS_RNN_CPU_QUICK;

	ps_rnn_cpu_identity(team, identity);
	if (dir && strlen(dir) + sizeof QUICK_NAME + 1 > sizeof path)
		return ps_error_set(err, PS_EINVAL, "path too long: %.80s", dir);
	if (dir && find_kept(dir, identity, how, ret_machine))
		return PS_OK;
	enum ps_status st = ps_rnn_cpu_measure(team, lender, quick, ret_machine, err);
	if (st != PS_OK)
		return st;
	model_name(ret_machine->name, 64);
	memcpy(ret_machine->measured_on, identity, sizeof identity);
	snprintf(path, sizeof path, "%s/%s", dir ? dir : "", quick ? QUICK_NAME : FILE_NAME);
	if (dir)
		keep(dir, path, ret_machine);
	return PS_OK;
}

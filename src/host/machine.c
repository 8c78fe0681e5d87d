#include "host/host.h"
#include "host/watch_internal.h"

#include "base/clock.h"
#include "base/file.h"

#include <gnu/libc-version.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

struct ps_cpus ps_host_cpus_allowed(void)
{
	struct ps_cpus c = {{0}};
	cpu_set_t set;
	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0) {
		for (int cpu = 0; cpu < CPU_SETSIZE && cpu < PS_CPUS_MAX; cpu++) {
			if (CPU_ISSET(cpu, &set)) {
				ps_cpus_add(&c, cpu);
			}
		}
	}
	return c;
}

/* The first line of a file of /proc or /sys, without its newline. */
static bool first_line(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(buf, (int)size, f);
	if (f) {
		(void)fclose(f);
	}
	if (ok) {
		buf[strcspn(buf, "\n")] = '\0';
	}
	return ok;
}

static void set_file(json_t *o, const char *key, const char *path)
{
	char buf[512];
	ps_json_set_string(o, key, first_line(path, buf, sizeof(buf)) ? buf : NULL);
}

/* The value of the first "key : value" line of a file. */
static void set_field(json_t *o, const char *name, const char *path, const char *key)
{
	static char line[8192]; /* a line of CPU flags is long; only the main thread comes here */
	FILE *f = fopen(path, "re");
	size_t n = strlen(key);
	ps_json_set_string(o, name, NULL);
	while (f && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');
		if (strncmp(line, key, n) == 0 && colon) {
			line[strcspn(line, "\n")] = '\0';
			ps_json_set_string(o, name, colon + 1 + strspn(colon + 1, " \t"));
			break;
		}
	}
	if (f) {
		(void)fclose(f);
	}
}

static json_t *caches(void)
{
	json_t *all = json_array();
	for (int i = 0; i < 8; i++) {
		char path[96], level[16], type[32], size[32];
		static const char base[] = "/sys/devices/system/cpu/cpu0/cache/index";
		(void)snprintf(path, sizeof(path), "%s%d/level", base, i);
		if (!first_line(path, level, sizeof(level))) {
			break;
		}
		(void)snprintf(path, sizeof(path), "%s%d/type", base, i);
		(void)first_line(path, type, sizeof(type));
		(void)snprintf(path, sizeof(path), "%s%d/size", base, i);
		(void)first_line(path, size, sizeof(size));
		char text[96];
		(void)snprintf(text, sizeof(text), "L%s %s %s", level, type, size);
		(void)json_array_append_new(all, json_string(text));
	}
	return all;
}

/* How fast the CPUs may run, or that nobody here decides it. */
static json_t *cpufreq(void)
{
	static const char base[] = "/sys/devices/system/cpu/cpu0/cpufreq";
	static const char *const names[] = {"scaling_driver",	"scaling_governor",
					    "scaling_min_freq", "scaling_max_freq",
					    "cpuinfo_max_freq", "scaling_cur_freq"};
	json_t *o = json_object();
	if (access(base, F_OK) != 0) {
		ps_json_set_string(o, "absent", "the kernel sets no frequency here");
		return o;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[96];
		(void)snprintf(path, sizeof(path), "%s/%s", base, names[i]);
		set_file(o, names[i], path);
	}
	set_file(o, "intel_no_turbo", "/sys/devices/system/cpu/intel_pstate/no_turbo");
	set_file(o, "boost", "/sys/devices/system/cpu/cpufreq/boost");
	return o;
}

static json_t *counters(void)
{
	struct ps_host_absences absent = {.len = 0};
	struct ps_host_counters c;
	json_t *o = json_object();
	ps_host_counters_open(&c, getpid(), &absent);
	ps_json_set_bool(o, "available", c.len > 0);
	ps_json_set_string(o, "absent", absent.len > 0 ? absent.items[0].reason : NULL);
	ps_host_counters_close(&c);
	return o;
}

static json_t *huge_pages(void)
{
	static const char info[] = "/proc/meminfo";
	json_t *o = json_object();
	set_file(o, "transparent", "/sys/kernel/mm/transparent_hugepage/enabled");
	set_file(o, "defrag", "/sys/kernel/mm/transparent_hugepage/defrag");
	set_field(o, "total", info, "HugePages_Total");
	set_field(o, "free", info, "HugePages_Free");
	set_field(o, "size", info, "Hugepagesize");
	return o;
}

static json_t *processor(void)
{
	char cpus[PS_CPUS_SIZE];
	struct ps_cpus allowed = ps_host_cpus_allowed();
	json_t *o = json_object();
	static const char info[] = "/proc/cpuinfo";
	set_field(o, "model", info, "model name");
	set_field(o, "vendor", info, "vendor_id");
	set_field(o, "family", info, "cpu family");
	set_field(o, "model_number", info, "model\t");
	set_field(o, "stepping", info, "stepping");
	set_field(o, "microcode", info, "microcode");
	set_field(o, "mhz_now", info, "cpu MHz");
	set_field(o, "flags", info, "flags");
	ps_json_set_int(o, "online", sysconf(_SC_NPROCESSORS_ONLN));
	ps_json_set_string(o, "allowed", ps_cpus_format(&allowed, cpus));
	(void)json_object_set_new(o, "caches", caches());
	set_file(o, "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
	(void)json_object_set_new(o, "cpufreq", cpufreq());
	(void)json_object_set_new(o, "counters", counters());
	set_file(o, "smt", "/sys/devices/system/cpu/smt/active");
	return o;
}

static json_t *kernel(void)
{
	struct utsname u;
	json_t *o = json_object();
	if (uname(&u) == 0) {
		ps_json_set_string(o, "system", u.sysname);
		ps_json_set_string(o, "release", u.release);
		ps_json_set_string(o, "version", u.version);
		ps_json_set_string(o, "machine", u.machine);
	}
	ps_json_set_string(o, "libc", gnu_get_libc_version());
	set_field(o, "hypervisor", "/proc/cpuinfo", "hypervisor_id");
	set_file(o, "vendor", "/sys/class/dmi/id/sys_vendor");
	set_file(o, "product", "/sys/class/dmi/id/product_name");
	set_file(o, "transparent_huge_pages", "/sys/kernel/mm/transparent_hugepage/enabled");
	return o;
}

static json_t *groups(void)
{
	char *text = NULL;
	size_t len = 0;
	json_t *lines = json_array();
	FILE *f = fopen("/proc/self/cgroup", "re");
	while (f && getline(&text, &len, f) > 0) {
		text[strcspn(text, "\n")] = '\0';
		(void)json_array_append_new(lines, json_string(text));
	}
	if (f) {
		(void)fclose(f);
	}
	free(text);
	return lines;
}

json_t *ps_host_machine_json(void)
{
	json_t *o = json_object(), *clock = json_object();
	int64_t step = 0, cost = 0;
	if (!o || !clock) {
		json_decref(o);
		json_decref(clock);
		return NULL;
	}
	(void)json_object_set_new(o, "processor", processor());
	(void)json_object_set_new(o, "kernel", kernel());
	ps_json_set_int(o, "memory_bytes",
			(int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE));
	(void)json_object_set_new(o, "huge_pages", huge_pages());
	set_file(o, "load_average", "/proc/loadavg");
	(void)json_object_set_new(o, "cgroups", groups());
	ps_clock_resolution_ns(&step, &cost);
	set_file(clock, "source",
		 "/sys/devices/system/clocksource/clocksource0/current_clocksource");
	ps_json_set_int(clock, "step_ns", step);
	ps_json_set_int(clock, "read_cost_ns", cost);
	(void)json_object_set_new(o, "clock", clock);
	return o;
}

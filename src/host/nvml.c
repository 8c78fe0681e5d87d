/* nvml.c - GPUs as NVIDIA's management library sees them, loaded while running.
 *
 * The library belongs to the driver: it is there where the GPU is, and a build needs neither. Names
 * and structs are those of its stable ABI (the "_v2", "_v3" of a function is part of its promise).
 * A function that an older driver lacks leaves its value unknown. */
#include "host/watch_internal.h"

#include "base/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY	      "libnvidia-ml.so.1"
#define MAX_PROCESSES 64
#define CLOCK_SM      1
#define CLOCK_MEMORY  2
#define NOT_FOUND     6
#define HELD_NS	      (2 * PS_NS_PER_SEC) /* the driver's readings are up to a second apart */

typedef void *device; /* nvmlDevice_t */

struct utilisation {
	unsigned gpu, memory; /* percent */
};
struct memory {
	unsigned long long total, free, used;
};
struct process {
	unsigned pid;
	unsigned long long used;
	unsigned instance, compute_instance;
};
struct process_use {
	unsigned pid;
	unsigned long long at_us;
	unsigned sm, memory, encoder, decoder; /* percent */
};

struct functions {
	int (*init)(void);
	int (*shutdown)(void);
	const char *(*error)(int);
	int (*count)(unsigned *);
	int (*handle)(unsigned, device *);
	int (*name)(device, char *, unsigned);
	int (*driver)(char *, unsigned);
	int (*utilisation)(device, struct utilisation *);
	int (*memory)(device, struct memory *);
	int (*power)(device, unsigned *);
	int (*clock)(device, int, unsigned *);
	int (*processes)(device, unsigned *, struct process *);
	int (*process_uses)(device, struct process_use *, unsigned *, unsigned long long);
};

struct ps_host_nvml {
	void *library;
	struct functions f;
	device devices[PS_HOST_WATCH_GPUS];
	unsigned long long last_use_us[PS_HOST_WATCH_GPUS];
	double last_use[PS_HOST_WATCH_GPUS];
	int64_t used_at_ns[PS_HOST_WATCH_GPUS]; /* when that was new */
	int count;
};

/* Where each function's pointer lies, and whether one can do without. */
static const struct {
	const char *name, *older;
	size_t offset;
	bool needed;
} symbols[] = {
	{"nvmlInit_v2", NULL, offsetof(struct functions, init), true},
	{"nvmlShutdown", NULL, offsetof(struct functions, shutdown), true},
	{"nvmlErrorString", NULL, offsetof(struct functions, error), true},
	{"nvmlDeviceGetCount_v2", NULL, offsetof(struct functions, count), true},
	{"nvmlDeviceGetHandleByIndex_v2", NULL, offsetof(struct functions, handle), true},
	{"nvmlDeviceGetName", NULL, offsetof(struct functions, name), false},
	{"nvmlSystemGetDriverVersion", NULL, offsetof(struct functions, driver), false},
	{"nvmlDeviceGetUtilizationRates", NULL, offsetof(struct functions, utilisation), false},
	{"nvmlDeviceGetMemoryInfo", NULL, offsetof(struct functions, memory), false},
	{"nvmlDeviceGetPowerUsage", NULL, offsetof(struct functions, power), false},
	{"nvmlDeviceGetClockInfo", NULL, offsetof(struct functions, clock), false},
	{"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2",
	 offsetof(struct functions, processes), false},
	{"nvmlDeviceGetProcessUtilization", NULL, offsetof(struct functions, process_uses), false},
};

static bool find_functions(struct ps_host_nvml *n, struct ps_host_absences *absent)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *p = dlsym(n->library, symbols[i].name);
		if (!p && symbols[i].older) {
			p = dlsym(n->library, symbols[i].older);
		}
		if (!p && symbols[i].needed) {
			ps_host_absent_say(absent, "gpu", "the driver's library has no %s",
					   symbols[i].name);
			return false;
		}
		memcpy((char *)&n->f + symbols[i].offset, &p, sizeof(p));
	}
	return true;
}

static bool find_devices(struct ps_host_nvml *n, struct ps_host_absences *absent)
{
	unsigned count = 0;
	int rc = n->f.count(&count);
	for (unsigned i = 0; rc == 0 && i < count && n->count < PS_HOST_WATCH_GPUS; i++) {
		if (n->f.handle(i, &n->devices[n->count]) == 0) {
			n->last_use[n->count++] = NAN;
		}
	}
	if (n->count == 0) {
		ps_host_absent_say(absent, "gpu", "%s",
				   rc ? n->f.error(rc) : "the driver has none");
	}
	return n->count > 0;
}

struct ps_host_nvml *ps_host_nvml_open(const char *path, struct ps_host_absences *absent)
{
	struct ps_host_nvml *n = calloc(1, sizeof(*n));
	if (!n) {
		return NULL;
	}
	n->library = dlopen(path ? path : LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!n->library) {
		ps_host_absent_say(absent, "gpu", "no %s", path ? path : LIBRARY);
		free(n);
		return NULL;
	}
	int rc = -1;
	if (find_functions(n, absent)) {
		rc = n->f.init();
		if (rc != 0) {
			ps_host_absent_say(absent, "gpu", "%s", n->f.error(rc));
		} else if (find_devices(n, absent)) {
			return n;
		}
	}
	if (rc == 0) {
		(void)n->f.shutdown();
	}
	(void)dlclose(n->library);
	free(n);
	return NULL;
}

int ps_host_nvml_count(const struct ps_host_nvml *n)
{
	return n->count;
}

/* Drivers name processes by their numbers outside containers. A list in which nobody is known here
 * says nothing about the server; an empty one says that it is not there. */
static int64_t memory_of(const struct ps_host_nvml *n, device d, pid_t server)
{
	struct process list[MAX_PROCESSES];
	unsigned count = MAX_PROCESSES;
	bool known = false;
	if (server <= 0 || !n->f.processes || n->f.processes(d, &count, list) != 0) {
		return -1;
	}
	for (unsigned i = 0; i < count && i < MAX_PROCESSES; i++) {
		if (list[i].pid == (unsigned)server) {
			/* all bits set: the driver cannot say */
			return list[i].used <= INT64_MAX ? (int64_t)list[i].used : -1;
		}
		known = known || kill((pid_t)list[i].pid, 0) == 0 || errno == EPERM;
	}
	return known || count == 0 ? 0 : -1;
}

/* Nothing new: the last value stands until there should have been another. From then on the server
 * does nothing on a GPU that is idle; on one that others use it is not known. */
static double held_use(const struct ps_host_nvml *n, int gpu, const struct ps_host_gpu_sample *s)
{
	if (s->at_ns - n->used_at_ns[gpu] <= HELD_NS) {
		return n->last_use[gpu];
	}
	return s->busy_ratio == 0 ? 0 : NAN;
}

/* The driver keeps a ring of readings per process; the latest one since the last time counts. */
static double use_of(struct ps_host_nvml *n, int gpu, pid_t server,
		     const struct ps_host_gpu_sample *s)
{
	struct process_use list[MAX_PROCESSES];
	unsigned count = MAX_PROCESSES;
	int rc;
	if (server <= 0 || !n->f.process_uses) {
		return NAN;
	}
	rc = n->f.process_uses(n->devices[gpu], list, &count, n->last_use_us[gpu]);
	if (rc != 0 && rc != NOT_FOUND) {
		return NAN;
	}
	for (unsigned i = 0; rc == 0 && i < count && i < MAX_PROCESSES; i++) {
		if (list[i].pid == (unsigned)server && list[i].at_us > n->last_use_us[gpu]) {
			n->last_use_us[gpu] = list[i].at_us;
			n->last_use[gpu] = (double)list[i].sm / 100;
			n->used_at_ns[gpu] = s->at_ns;
		}
	}
	return held_use(n, gpu, s);
}

static int64_t clock_of(const struct ps_host_nvml *n, device d, int which)
{
	unsigned mhz = 0;
	return n->f.clock && n->f.clock(d, which, &mhz) == 0 ? (int64_t)mhz : -1;
}

void ps_host_nvml_read(struct ps_host_nvml *n, int gpu, pid_t server,
		       struct ps_host_gpu_sample *ret)
{
	device d = n->devices[gpu];
	struct utilisation u = {0};
	struct memory m = {0};
	unsigned mw = 0;
	ret->busy_ratio =
		n->f.utilisation && n->f.utilisation(d, &u) == 0 ? (double)u.gpu / 100 : NAN;
	ret->memory_bytes = n->f.memory && n->f.memory(d, &m) == 0 ? (int64_t)m.used : -1;
	ret->power_w = n->f.power && n->f.power(d, &mw) == 0 ? (double)mw / 1000 : NAN;
	ret->clock_mhz = clock_of(n, d, CLOCK_SM);
	ret->memory_clock_mhz = clock_of(n, d, CLOCK_MEMORY);
	ret->server_memory_bytes = memory_of(n, d, server);
	ret->server_busy_ratio = use_of(n, gpu, server, ret);
}

json_t *ps_host_nvml_json(const struct ps_host_nvml *n)
{
	char text[96] = "";
	json_t *o = json_object(), *all = json_array();
	bool ok = n->f.driver && n->f.driver(text, sizeof(text)) == 0;
	ps_json_set_string(o, "driver", ok ? text : NULL);
	for (int i = 0; i < n->count; i++) {
		struct memory m = {0};
		json_t *g = json_object();
		ok = n->f.name && n->f.name(n->devices[i], text, sizeof(text)) == 0;
		ps_json_set_string(g, "name", ok ? text : NULL);
		if (n->f.memory && n->f.memory(n->devices[i], &m) == 0) {
			ps_json_set_int(g, "memory_bytes", (int64_t)m.total);
		}
		(void)json_array_append_new(all, g);
	}
	(void)json_object_set_new(o, "gpus", all);
	return o;
}

void ps_host_nvml_close(struct ps_host_nvml *n)
{
	if (n) {
		(void)n->f.shutdown();
		(void)dlclose(n->library);
		free(n);
	}
}

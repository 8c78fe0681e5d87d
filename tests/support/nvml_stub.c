/* A management library of NVIDIA's that pretends to have two GPUs, so that the code that watches
 * them runs on a machine without one. The test compiles it into a shared library; NVML_STUB_PID
 * names the process that uses GPU 1. Ways to be otherwise, each a macro: OLD (a driver without the
 * latest functions), NO_GPU, BROKEN (init fails), SHORT (a needed function is missing).
 *
 * What it cannot show: that a driver counts right. */
#include <stdio.h>
#include <stdlib.h>

struct utilisation {
	unsigned gpu, memory;
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
	unsigned sm, memory, encoder, decoder;
};

static int gpus[2];
static int started;
int nvml_stub_open; /* read by the test: inits without shutdown */

static unsigned server(void)
{
	const char *text = getenv("NVML_STUB_PID");
	return text ? (unsigned)strtoul(text, NULL, 10) : 0;
}

int nvmlInit_v2(void)
{
#ifdef BROKEN
	return 9;
#else
	started = 1;
	nvml_stub_open++;
	return 0;
#endif
}

int nvmlShutdown(void)
{
	nvml_stub_open--;
	return 0;
}

const char *nvmlErrorString(int rc)
{
	return rc == 9 ? "Driver Not Loaded" : "Unknown Error";
}

int nvmlDeviceGetCount_v2(unsigned *n)
{
#ifdef NO_GPU
	*n = 0;
#else
	*n = 2;
#endif
	return started ? 0 : 1;
}

#ifndef SHORT
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **out)
{
	*out = &gpus[i];
	return 0;
}
#endif

static int index_of(const void *device)
{
	return device == &gpus[1];
}

int nvmlDeviceGetName(void *device, char *name, unsigned size)
{
	snprintf(name, size, "Stub GPU %d", index_of(device));
	return 0;
}

int nvmlSystemGetDriverVersion(char *text, unsigned size)
{
	snprintf(text, size, "1.2.3");
	return 0;
}

int nvmlDeviceGetUtilizationRates(void *device, struct utilisation *u)
{
	*u = (struct utilisation){index_of(device) ? 75 : 0, 10};
	return 0;
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *m)
{
	unsigned long long used = index_of(device) ? 3ull << 30 : 1ull << 20;
	*m = (struct memory){80ull << 30, (80ull << 30) - used, used};
	return 0;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *mw)
{
	*mw = index_of(device) ? 312500 : 0;
	return index_of(device) ? 0 : 3; /* GPU 0 does not support it */
}

int nvmlDeviceGetClockInfo(void *device, int which, unsigned *mhz)
{
	(void)device;
	*mhz = which == 2 ? 2619 : 1980;
	return 0;
}

static int processes(void *device, unsigned *n, struct process *list)
{
	*n = 0;
	if (index_of(device)) {
		list[(*n)++] = (struct process){server(), 2ull << 30, ~0u, ~0u};
	}
	return 0;
}

#ifdef OLD
int nvmlDeviceGetComputeRunningProcesses_v2(void *device, unsigned *n, struct process *list)
{
	return processes(device, n, list);
}
#else
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *n, struct process *list)
{
	return processes(device, n, list);
}

int nvmlDeviceGetProcessUtilization(void *device, struct process_use *list, unsigned *n,
				    unsigned long long since)
{
	if (!index_of(device) || since >= 2000) {
		return 6; /* not found: nothing new */
	}
	list[0] = (struct process_use){server(), 1000, 20, 0, 0, 0};
	list[1] = (struct process_use){server(), 2000, 60, 0, 0, 0};
	list[2] = (struct process_use){server() + 1, 2000, 90, 0, 0, 0};
	*n = 3;
	return 0;
}
#endif

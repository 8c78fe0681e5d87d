/* cgroup_internal.h - one control group per server and controller. */
#ifndef PS_HOST_CGROUP_INTERNAL_H
#define PS_HOST_CGROUP_INTERNAL_H

#include "host/host.h"

#include <limits.h>

enum ps_host_controller { PS_HOST_MEMORY, PS_HOST_CPUSET, PS_HOST_QUOTA, PS_HOST_CONTROLLERS };

struct ps_host_group {
	bool applied;
	bool shared; /* version 2: the group of an earlier controller, which removes it */
	int version;
	char path[PATH_MAX]; /* folder of the group that we made */
	char reason[160];    /* why it was not applied */
};

/* ps_host_group_find says where our own group of a controller lies, given the texts of
 * /proc/self/cgroup and /proc/self/mountinfo: version 2 when `has_v2` says that its group there
 * lists the controller, else version 1. Returns the version, or 0 when there is none. */
int ps_host_group_find(const char *cgroup_text, const char *mountinfo_text, const char *controller,
		       bool (*has_v2)(const char *folder, const char *controller),
		       char ret_folder[PATH_MAX]);

/* ps_host_quota_us is the CPU time per period of PS_HOST_PERIOD_US for a quota in CPUs. */
#define PS_HOST_PERIOD_US 100000
int64_t ps_host_quota_us(double cpus);

/* ps_host_groups_make makes and limits groups for a slice, below our own (version 2: beside it
 * where it may have none below, being no root), recording what could not be done. */
void ps_host_groups_make(const struct ps_host_slice *slice,
			 struct ps_host_group groups[PS_HOST_CONTROLLERS]);
/* ps_host_groups_remove removes them; their processes must be gone. */
void ps_host_groups_remove(struct ps_host_group groups[PS_HOST_CONTROLLERS]);
/* ps_host_group_oom_kills is how many processes the kernel killed in a memory group for want of
 * memory; 0 also when the group does not say. */
int64_t ps_host_group_oom_kills(const struct ps_host_group *g);
/* ps_host_groups_json describes them. */
json_t *ps_host_groups_json(const struct ps_host_group groups[PS_HOST_CONTROLLERS]);

#endif

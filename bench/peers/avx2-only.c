/* avx2-only.c - for LD_PRELOAD: the program sees a processor whose widest vectors are AVX2's.
 *
 * Linux lets a thread give up CPUID (arch_prctl(ARCH_SET_CPUID, 0), where the processor can fault
 * it); threads that it starts inherit that. Each CPUID is then answered here: the processor's own
 * answer without AVX-512, AVX-VNNI and AMX. That limits libraries that have no switch for it. Exits
 * with 3 where CPUID cannot be given up.
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define BIT(n) (1u << (n))

/* Intel's manual, volume 2, CPUID leaf 7. */
static void limit(unsigned leaf, unsigned sub, unsigned r[4])
{
	if (leaf == 7 && sub == 0) {
		r[1] &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) |
			  BIT(31));
		r[2] &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
		r[3] &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25));
	} else if (leaf == 7 && sub == 1) {
		r[0] &= ~(BIT(4) | BIT(5) | BIT(21) | BIT(23));
		r[3] &= ~(BIT(4) | BIT(5) | BIT(10) | BIT(19));
	}
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	const unsigned char *at = (const unsigned char *)(uintptr_t)g[REG_RIP];
	unsigned leaf = (unsigned)g[REG_RAX], sub = (unsigned)g[REG_RCX], r[4];

	(void)info;
	if (at[0] != 0x0f || at[1] != 0xa2) { /* the program's own fault: again, and die of it */
		signal(sig, SIG_DFL);
		return;
	}
	syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
	__cpuid_count(leaf, sub, r[0], r[1], r[2], r[3]);
	syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
	limit(leaf, sub, r);
	g[REG_RAX] = r[0];
	g[REG_RBX] = r[1];
	g[REG_RCX] = r[2];
	g[REG_RDX] = r[3];
	g[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void)
{
	struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

	sigaction(SIGSEGV, &a, NULL);
	if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) != 0) {
		perror("avx2-only: CPUID cannot be given up");
		_exit(3);
	}
}

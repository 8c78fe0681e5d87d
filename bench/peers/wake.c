/* wake.c - the least that sending can cost here: `wake SENDER_CPU READER_CPU RATE SECONDS` waits
 * busily for each arrival of a Poisson process and writes one byte to a loopback TCP socket, whose
 * reader sleeps on another CPU. It has no protocol, no connections to choose from, no answers and
 * no records. Prints the lag of the writes behind their schedule, p50 and p99, in microseconds.
 */
#define _GNU_SOURCE
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct reader {
	int fd, cpu;
};

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) != 0)
		exit(2);
}

static void *read_all(void *arg)
{
	struct reader *r = arg;
	char bytes[256];

	pin(r->cpu);
	while (read(r->fd, bytes, sizeof bytes) > 0)
		;
	return NULL;
}

static int connected_pair(int *ret_reader)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof at;
	int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0),
	    fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&at, size) != 0 || listen(listener, 1) != 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &size) != 0 ||
	    connect(fd, (struct sockaddr *)&at, size) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
		exit(2);
	*ret_reader = accept(listener, NULL, NULL);
	close(listener);
	return fd;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	double gap_us = 1e6 / atof(argv[3]), due;
	size_t n = (size_t)(atof(argv[3]) * atof(argv[4]));
	double *lag = calloc(n, sizeof *lag);
	struct reader reader = {.cpu = atoi(argv[2])};
	int fd = connected_pair(&reader.fd);
	pthread_t thread;

	if (!lag || n == 0 || pthread_create(&thread, NULL, read_all, &reader) != 0)
		return 2;
	pin(atoi(argv[1]));
	due = now_us() + 1000;
	for (size_t i = 0; i < n; i++) {
		due += -gap_us * log(1 - drand48());
		while (now_us() < due)
			;
		lag[i] = now_us() - due;
		if (write(fd, "x", 1) != 1)
			return 2;
	}
	shutdown(fd, SHUT_RDWR);
	pthread_join(thread, NULL);
	qsort(lag, n, sizeof *lag, by_size);
	printf("%.1f %.1f\n", lag[n / 2], lag[n * 99 / 100]);
	return 0;
}

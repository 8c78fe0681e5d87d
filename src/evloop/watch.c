#include "evloop/evloop_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static uint32_t epoll_bits(unsigned events)
{
	return (events & PS_EVLOOP_READ ? EPOLLIN : 0u) |
	       (events & PS_EVLOOP_WRITE ? EPOLLOUT : 0u) |
	       (events & PS_EVLOOP_RDHUP ? EPOLLRDHUP : 0u);
}

enum ps_status ps_evloop_fd_add(struct ps_evloop *loop, struct ps_evloop_fd *w,
				struct ps_error *err)
{
	struct epoll_event e = {.events = epoll_bits(w->events), .data.ptr = w};
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, w->fd, &e) != 0)
		return ps_error_errno(err, errno, "cannot watch descriptor %d", w->fd);
	w->loop = loop;
	return PS_OK;
}

enum ps_status ps_evloop_fd_set(struct ps_evloop_fd *w, unsigned events, struct ps_error *err)
{
	if (w->events == events)
		return PS_OK;
	struct epoll_event e = {.events = epoll_bits(events), .data.ptr = w};
	if (epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_MOD, w->fd, &e) != 0)
		return ps_error_errno(err, errno, "cannot watch descriptor %d", w->fd);
	w->events = events;
	return PS_OK;
}

void ps_evloop_fd_remove(struct ps_evloop_fd *w)
{
	struct ps_evloop *loop = w->loop;
	if (!loop)
		return;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	for (int i = 0; i < loop->n_ready; i++)
		if (loop->ready[i].data.ptr == w)
			loop->ready[i].data.ptr = NULL;
	w->loop = NULL;
}

/* --- waiting --- */

/* Kernels before 5.11 have no epoll_pwait2: there a timerfd in the set ends the wait. */
static int wait_by_timerfd(struct ps_evloop *loop, const struct timespec *ts)
{
	if (loop->timer_fd < 0) {
		loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
		if (loop->timer_fd < 0 ||
		    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->timer_fd, &e) != 0)
			return -1;
	}
	struct itimerspec at = {.it_value = *ts};
	if (timerfd_settime(loop->timer_fd, 0, &at, NULL) != 0)
		return -1;
	return epoll_wait(loop->epoll_fd, loop->ready, PS_EVLOOP_BATCH, -1);
}

enum ps_status ps_evloop_poll(struct ps_evloop *loop, int64_t timeout_ns, struct ps_error *err)
{
	int n;
	if (timeout_ns <= 0) {
		n = epoll_wait(loop->epoll_fd, loop->ready, PS_EVLOOP_BATCH,
			       timeout_ns < 0 ? -1 : 0);
	} else {
		struct timespec ts = {.tv_sec = timeout_ns / PS_NS_PER_SEC,
				      .tv_nsec = timeout_ns % PS_NS_PER_SEC};
		n = loop->timer_fd >= 0
			    ? wait_by_timerfd(loop, &ts)
			    : epoll_pwait2(loop->epoll_fd, loop->ready, PS_EVLOOP_BATCH, &ts, NULL);
		/* EPERM is what old container filters say of a call they do not know. */
		if (n < 0 && (errno == ENOSYS || errno == EPERM))
			n = wait_by_timerfd(loop, &ts);
	}
	loop->n_ready = n > 0 ? n : 0;
	if (n < 0 && errno != EINTR)
		return ps_error_errno(err, errno, "cannot wait for events");
	return PS_OK;
}

/* --- signals --- */

static void on_signalfd(struct ps_evloop_fd *w, unsigned events)
{
	(void)events;
	struct ps_evloop_signals *s = w->ctx;
	struct signalfd_siginfo info;
	/* One at a time: on_signal may close `s`; what is left makes the descriptor ready again. */
	if (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info)
		s->on_signal(s->ctx, (int)info.ssi_signo);
}

enum ps_status ps_evloop_signals_open(struct ps_evloop *loop, struct ps_evloop_signals *s,
				      const int *signos, int n, struct ps_error *err)
{
	sigset_t set;
	sigemptyset(&set);
	for (int i = 0; i < n; i++)
		sigaddset(&set, signos[i]);
	int e = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (e != 0)
		return ps_error_errno(err, e, "cannot block signals");
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return ps_error_errno(err, errno, "cannot make a signalfd");
	s->watch = (struct ps_evloop_fd){
		.fd = fd, .events = PS_EVLOOP_READ, .on_ready = on_signalfd, .ctx = s};
	enum ps_status status = ps_evloop_fd_add(loop, &s->watch, err);
	if (status != PS_OK)
		close(fd);
	return status;
}

void ps_evloop_signals_close(struct ps_evloop_signals *s)
{
	if (!s->watch.loop)
		return;
	ps_evloop_fd_remove(&s->watch);
	close(s->watch.fd);
}

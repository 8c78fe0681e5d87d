/* thread.h - what the calling thread asks of the kernel's scheduler.   Layer 0.
 *
 * All calls concern the calling thread alone, need no rights and do not block. Threads and
 * programs that it starts afterwards begin with the same.
 */
#ifndef PS_BASE_THREAD_H
#define PS_BASE_THREAD_H

/* ps_thread_prompt is for a thread that waits for events and does little for each: it shall run
 * soon after it wakes, though others compute on its CPU. It asks for the shortest time slice; its
 * share of the CPU stays what it was. Linux before 6.12 has no such slice: nothing changes there.
 */
void ps_thread_prompt(void);
/* ps_thread_prompt_end undoes that. */
void ps_thread_prompt_end(void);
/* ps_thread_step_back undoes that and raises the niceness to `nice` (0..19; a thread that is nicer
 * already stays so). */
void ps_thread_step_back(int nice);

#endif

/* thread.h - what the calling thread asks of the kernel's scheduler.   Layer 0.
 *
 * All calls concern the calling thread alone and do not block; none needs rights, and one says what
 * was refused. Threads and programs that it starts afterwards begin with the same.
 */
#ifndef PS_BASE_THREAD_H
#define PS_BASE_THREAD_H

#include <stdbool.h>

/* ps_thread_prompt is for a thread that waits for events and does little for each: it shall run
 * soon after it wakes, though others compute on its CPU. It asks for the shortest time slice; its
 * share of the CPU stays what it was. Linux before 6.12 has no such slice: nothing changes there.
 */
void ps_thread_prompt(void);
/* ps_thread_prompt_end undoes that. */
void ps_thread_prompt_end(void);
/* ps_thread_urgent is ps_thread_prompt for a thread whom computing threads of this process must not
 * keep waiting at all: the shortest slice alone still leaves it to the kernel's next tick (4 ms at
 * 250 Hz) after it has read or written more than its share. So it also takes the least niceness,
 * which needs CAP_SYS_NICE or RLIMIT_NICE; false when that is refused (the slice is asked for all
 * the same). A process that was made nice stays as nice as it is. */
bool ps_thread_urgent(void);
/* ps_thread_step_back takes the usual slice again and raises the niceness to `nice` (0..19; a
 * thread that is nicer already stays so). */
void ps_thread_step_back(int nice);

#endif

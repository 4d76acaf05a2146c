/*
 * The time of day of a process that preloads this, by as many nanoseconds ahead of the real one as SET_CLOCK's file
 * says, eight bytes in this machine's order, which somebody else may rewrite at any time. The monotonic clock and every
 * wait are left alone: libfaketime 0.9.10, which is Debian's, has them end at once, and threads then loop.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

static const volatile int64_t *ahead_ns;

__attribute__((constructor)) static void map_clock(void)
{
	const char *path = getenv("SET_CLOCK");
	int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(*ahead_ns), PROT_READ, MAP_SHARED, file, 0);

	if (mapped == MAP_FAILED) {
		abort(); /* the real time would look like an answer */
	}
	(void)close(file);
	ahead_ns = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int failed = (int)syscall(SYS_clock_gettime, clock, now);

	if (failed == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) && ahead_ns != NULL) {
		int64_t ns = (int64_t)now->tv_nsec + *ahead_ns % NS_PER_S;
		int64_t s = (int64_t)now->tv_sec + *ahead_ns / NS_PER_S;

		if (ns < 0) {
			ns += NS_PER_S;
			s -= 1;
		}
		now->tv_sec = (time_t)(s + ns / NS_PER_S);
		now->tv_nsec = (long)(ns % NS_PER_S);
	}
	return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;
	int failed = clock_gettime(CLOCK_REALTIME, &exact);

	(void)zone; /* obsolete, and nobody asks */
	if (failed == 0) {
		now->tv_sec = exact.tv_sec;
		now->tv_usec = exact.tv_nsec / 1000;
	}
	return failed;
}

time_t time(time_t *now)
{
	struct timespec exact;
	time_t s = clock_gettime(CLOCK_REALTIME, &exact) == 0 ? exact.tv_sec : (time_t)-1;

	if (now != NULL) {
		*now = s;
	}
	return s;
}

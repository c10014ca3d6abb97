/* The child of the measurements; child.go says what its roles are. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int stamp(const char *fifo)
{
	uint64_t rec[2];
	int fd;

	rec[0] = monotonic();
	rec[1] = (uint64_t)getpid();
	if ((fd = open(fifo, O_WRONLY)) < 0 || write(fd, rec, sizeof rec) != sizeof rec)
		return 1;
	return close(fd);
}

static int put(int fd, const char *data, size_t len)
{
	ssize_t n;

	for (; len > 0; data += n, len -= (size_t)n)
		if ((n = write(fd, data, len)) < 0)
			return 1;
	return 0;
}

static int putline(const char *id, long seq)
{
	char line[101];
	int head = snprintf(line, sizeof line, "%s %010ld ", id, seq);

	memset(line + head, '.', (size_t)(99 - head));
	line[99] = '\n';
	return put(1, line, 100);
}

static sigset_t usr1;

static void await(void)
{
	int sig;

	sigwait(&usr1, &sig);
}

/* What a listener has seen: events, gaps in their numbers, lines, the times of the first and of the last event. */
static uint64_t seen[5];
static const char *counts;

static void save(void)
{
	int fd = open(counts, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || put(fd, (const char *)seen, sizeof seen) || close(fd))
		_exit(1);
}

static void finish(int sig)
{
	(void)sig;
	save();
	_exit(0);
}

static int listener(const char *mode, long lines, const char *fifo)
{
	int late = strcmp(mode, "late") == 0, held = strcmp(mode, "live") == 0;
	static char buf[1 << 16];
	size_t have = 0, need, len;
	uint64_t next = 0, serial;
	char *end, *at;
	ssize_t n;

	signal(SIGTERM, finish);
	if (put(1, "READY\n", 6))
		return 1;
	for (;;) {
		while ((end = memchr(buf, '\n', have)) == NULL || (at = strstr(buf, " len:")) == NULL || at > end ||
		       have < (need = (size_t)(end - buf) + 1 + (size_t)atol(at + 5))) {
			if (have == sizeof buf - 1 || (n = read(0, buf + have, sizeof buf - 1 - have)) <= 0)
				return 1;
			have += (size_t)n;
			buf[have] = 0;
		}
		if ((at = strstr(buf, " poolserial:")) == NULL)
			return 1;
		serial = strtoull(at + 12, NULL, 10);
		seen[4] = monotonic();
		if (seen[0]++ == 0)
			seen[3] = seen[4];
		seen[1] += serial != next;
		next = serial + 1;
		for (at = end + 1; (at = memchr(at, '\n', (size_t)(buf + need - at))) != NULL; at++)
			seen[2]++;
		seen[2]--; /* the end of the first line, which describes the rest */
		if (!held) {
			await();
			held = 1;
		}
		if (late)
			save();
		if (put(1, "RESULT 2\nOKREADY\n", 17))
			return 1;
		if (lines > 0 && seen[2] >= (uint64_t)lines) {
			lines = 0;
			if (stamp(fifo))
				return 1;
		}
		len = have - need;
		memmove(buf, buf + need, len + 1);
		have = len;
	}
}

int main(int argc, char **argv)
{
	struct timespec between = {0, 0};
	long seq, count;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);

	if (argc == 3 && strcmp(argv[1], "stamp") == 0) {
		if (stamp(argv[2]))
			return 1;
		for (;;)
			pause();
	}
	if ((argc == 5 && strcmp(argv[1], "lines") == 0) || (argc == 6 && strcmp(argv[1], "slow") == 0)) {
		if (argc == 6)
			between.tv_nsec = 1000 * atol(argv[5]);
		count = atol(argv[3]);
		if (stamp(argv[4]))
			return 1;
		for (seq = 0; seq < count; seq++)
			if ((argc == 6 && nanosleep(&between, NULL)) || putline(argv[2], seq))
				return 1;
		return stamp(argv[4]);
	}
	if (argc == 6 && strcmp(argv[1], "listen") == 0) {
		counts = argv[4];
		if (stamp(argv[5]))
			return 1;
		return listener(argv[2], atol(argv[3]), argv[5]);
	}
	return 2;
}

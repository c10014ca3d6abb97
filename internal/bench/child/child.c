/* The child of the measurements; child.go says what its roles are. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int stamp(const char *fifo)
{
	struct timespec now;
	uint64_t rec[2];
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &now);
	rec[0] = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	rec[1] = (uint64_t)getpid();
	if ((fd = open(fifo, O_WRONLY)) < 0 || write(fd, rec, sizeof rec) != sizeof rec)
		return 1;
	return close(fd);
}

int main(int argc, char **argv)
{
	char line[101];
	int head, done;
	long seq, count;
	ssize_t n;

	if (argc == 3 && strcmp(argv[1], "stamp") == 0) {
		if (stamp(argv[2]))
			return 1;
		for (;;)
			pause();
	}
	if (argc == 5 && strcmp(argv[1], "lines") == 0) {
		count = atol(argv[3]);
		if (stamp(argv[4]))
			return 1;
		for (seq = 0; seq < count; seq++) {
			head = snprintf(line, sizeof line, "%s %010ld ", argv[2], seq);
			memset(line + head, '.', (size_t)(99 - head));
			line[99] = '\n';
			for (done = 0; done < 100; done += (int)n)
				if ((n = write(1, line + done, (size_t)(100 - done))) < 0)
					return 1;
		}
		return stamp(argv[4]);
	}
	return 2;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges mutants of the core: each in a process of its own, question by question, until an answer is another one than
 * Python's, or it dies, or it does not come to an end. What has noticed one mutant is asked first of the next.
 *
 *     judge QUESTIONS ORDER SECONDS < NUMBERS
 *
 * QUESTIONS: of each the sizes of question and answer, then both. ORDER: in which they are asked; read if it is there, and
 * written at the end. Prints `NUMBER PLACE` for a mutant that question PLACE noticed, `NUMBER -` for one that survives.
 */
#define _DEFAULT_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>

#include "harness.h"

/* Which mutant runs; 0: none. */
extern unsigned ks_mutant;
unsigned ks_mutant;

#define MEMORY (512ul << 20)

struct question {
	const uint8_t *asked;
	const uint8_t *told;
	uint32_t asked_size;
	uint32_t told_size;
};

static struct question *questions;
static uint32_t question_count;
static uint32_t *order;

static void read_questions(const char *path)
{
	int file = open(path, O_RDONLY);
	struct stat about;
	const uint8_t *at;
	const uint8_t *end;

	must(file >= 0 && fstat(file, &about) == 0, "no questions");
	at = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	must(at != MAP_FAILED, "no questions");
	end = at + about.st_size;
	(void)memcpy(&question_count, at, 4);
	at += 4;
	questions = calloc(question_count, sizeof(*questions));
	order = calloc(question_count, sizeof(*order));
	must(questions != NULL && order != NULL, "no memory");
	for (uint32_t place = 0; place < question_count; place++) {
		struct question *each = &questions[place];

		(void)memcpy(&each->asked_size, at, 4);
		(void)memcpy(&each->told_size, at + 4, 4);
		each->asked = at + 8;
		each->told = each->asked + each->asked_size;
		at = each->told + each->told_size;
		order[place] = place;
	}
	must(at == end, "questions of another size");
}

/* An endless loop ends by SIGVTALRM. */
static void limit_time(double seconds)
{
	struct itimerval limit = {{0, 0}, {(time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)}};

	must(setitimer(ITIMER_VIRTUAL, &limit, NULL) == 0, "no timer");
}

static void ask_all(volatile uint32_t *turn, double seconds)
{
	for (*turn = 0; *turn < question_count; (*turn)++) {
		const struct question *each = &questions[order[*turn]];
		uint8_t *told = NULL;
		size_t size;

		limit_time(seconds);
		size = harness_ask(each->asked, each->asked_size, &told);
		if (size != each->told_size || memcmp(told, each->told, size) != 0) {
			_exit(1);
		}
		free(told);
	}
	_exit(0);
}

/* The turn at which it was noticed; question_count: it was not. */
static uint32_t judge(unsigned mutant, volatile uint32_t *turn, double seconds)
{
	int status;
	pid_t child = fork();

	must(child >= 0, "no process");
	if (child == 0) {
		static const struct rlimit none = {0, 0};
#ifndef SANITIZED
		static const struct rlimit memory = {MEMORY, MEMORY};

		must(setrlimit(RLIMIT_AS, &memory) == 0, "no limit");
#endif
		must(setrlimit(RLIMIT_CORE, &none) == 0 && freopen("/dev/null", "w", stderr) != NULL, "no limit");
		ks_mutant = mutant;
		ask_all(turn, seconds);
	}
	must(waitpid(child, &status, 0) == child, "no process");
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ? question_count : *turn;
}

static void keep_order(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (file != NULL) {
		size_t done = *mode == 'r' ? fread(order, sizeof(*order), question_count, file)
					   : fwrite(order, sizeof(*order), question_count, file);

		must(done == question_count && fclose(file) == 0, "the order of the questions");
	}
}

int main(int argc, char **argv)
{
	volatile uint32_t *turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned mutant;

	must(argc == 4 && turn != MAP_FAILED, "usage: judge QUESTIONS ORDER SECONDS < NUMBERS");
	read_questions(argv[1]);
	keep_order(argv[2], "rb");
	while (scanf("%u", &mutant) == 1) {
		uint32_t at = judge(mutant, turn, atof(argv[3]));

		if (at == question_count) {
			(void)printf("%u -\n", mutant);
		} else {
			uint32_t place = order[at];

			(void)memmove(&order[1], &order[0], at * sizeof(*order));
			order[0] = place;
			(void)printf("%u %u\n", mutant, place);
		}
		(void)fflush(stdout);
	}
	keep_order(argv[2], "wb");
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - the parties on the kernel: processes that obey.  Each shows its pages at the same addresses; fork makes
 * another process of one.  What they see goes to memory that all of them and the runner share.
 *
 * A held pin is, by what there is to pin:
 *   RING  a registered buffer, a long-term write pin.  Of private memory every other pin is the same to a reader: a page
 *         of the mm's own that stays (U1 to U4, W10, K2); one that may only be read is made writable for the moment (M4)
 *   VIEW  a second mapping of the pages: of shared memory, and of a file's pages for a short read pin (U4)
 *   ZERO  nothing: a short read pin of the zero page, which is zeroes for ever (Z4)
 */
#ifndef PINFOLD_FUZZ_KERNEL_H
#define PINFOLD_FUZZ_KERNEL_H

#include "../oracle/device.h"
#include "program.h"

#include <sys/socket.h>
#include <sys/uio.h>

/* What a page of a party is, as /proc says it. */
enum state {
	MAPPED = 1, READABLE = 2, WRITABLE = 4, IS_SHARED = 8, OF_FILE = 16, OF_MEMORY = 32, BEYOND = 64, UNIQUE = 128,
	CACHED = 256, FRESH = 512 /* no page was there before it was looked at */
};

struct view {
	uint16_t state[PAGES], map[PAGES]; /* map: which line of /proc/self/maps */
	uint64_t word[PAGES][SPOTS], hash[PAGES];
};

struct shown {
	struct view view[PARTIES];
	uint64_t device[SLOTS][PIN_PAGES][SPOTS];
	uint64_t sum;  /* of what a read saw */
	bool zero_pin; /* the last pin was one of the zero page */
	bool thorough; /* nothing is left to some other step: to find the shortest program */
	/* From the runner to the one that started it. */
	char failure[600];
	unsigned step, done, skipped;
	bool abandoned;
	uint8_t seen[8192];
};

static const unsigned spot_of[SPOTS] = { 0, 1032, 2048, 4088 };

enum order { STEP, LOOK, LOOK_WHOLE, LOOK_AT_PINS, FINISH, LEAVE };

struct command {
	enum order order;
	struct step step;
	uint64_t value;
};

#define SKIPPED 1000000l /* a result: this cannot be had here */

enum hold { NOTHING, RING, VIEW, ZERO };

/* One process's. */
static struct {
	unsigned long at;
	int file, memory, pagemap, me;
	ino_t file_inode, memory_inode;
	int socket[PARTIES][2]; /* the runner's end, the party's */
	struct shown *shown;
	struct {
		enum hold kind;
		struct device ring;
		unsigned long at;
		unsigned n;
	} held[SLOTS];
} k;

/* ---- looking ------------------------------------------------------------------------------------- */

HELPER uint64_t hash_of(const volatile uint64_t *p, size_t words)
{
	uint64_t h = 14695981039346656037ull;

	for (size_t i = 0; i < words; i++)
		h = (h ^ p[i]) * 0x9e3779b97f4a7c15ull;
	return h;
}

/* Words, or hashes, of pages [first, end) through pointers at `base`; the pages that give SIGBUS.  Others: the signal. */
HELPER int look_by_pointer(unsigned long base, unsigned first, unsigned end, bool whole, struct view *v)
{
	volatile unsigned p = first;

	while (p < end) {
		int sig = signal_of({
			for (; p < end; p++) {
				const volatile uint64_t *w = (const volatile uint64_t *)(base + p * PG);

				for (unsigned i = 0; i < SPOTS; i++)
					v->word[p][i] = w[spot_of[i] / 8];
				if (whole)
					v->hash[p] = hash_of(w, PG / 8);
			}
		});

		if (sig && sig != SIGBUS)
			return sig;
		if (sig)
			v->state[p++] |= BEYOND;
	}
	return 0;
}

static void look_at_line(const char *line, unsigned number, struct view *v)
{
	unsigned long start, end, off, inode, top = k.at + PAGES * PG;
	char rights[5];
	uint16_t state = MAPPED;

	if (sscanf(line, "%lx-%lx %4s %lx %*s %lu", &start, &end, rights, &off, &inode) != 5 || end <= k.at ||
	    start >= top)
		return;
	state |= rights[0] == 'r' ? READABLE : 0;
	state |= rights[1] == 'w' ? WRITABLE : 0;
	state |= rights[3] == 's' ? IS_SHARED : 0;
	state |= inode == k.file_inode ? OF_FILE : inode == k.memory_inode ? OF_MEMORY : 0;
	start = start < k.at ? k.at : start;
	end = end > top ? top : end;
	for (unsigned p = (unsigned)((start - k.at) / PG); p < (end - k.at) / PG; p++) {
		v->state[p] = state;
		v->map[p] = (uint16_t)number;
	}
}

static void look_at_maps(struct view *v)
{
	static char text[1 << 16];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	unsigned number = 1;
	ssize_t n;

	memset(v->state, 0, sizeof(v->state));
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	text[len] = 0;
	for (char *line = text; *line; number++) {
		char *next = strchr(line, '\n');

		look_at_line(line, number, v);
		line = next ? next + 1 : line + strlen(line);
	}
}

static void look_at_pagemap(struct view *v, bool before)
{
	static uint64_t e[PAGES];

	if (k.pagemap < 0)
		k.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pread(k.pagemap, e, sizeof(e), (off_t)(k.at / PG * 8)) != sizeof(e))
		return;
	for (unsigned p = 0; p < PAGES; p++) {
		if (before)
			v->state[p] |= v->state[p] && !(e[p] >> 63) ? FRESH : 0;
		else
			v->state[p] |= (e[p] >> 56 & 1 ? UNIQUE : 0) | (e[p] >> 61 & 1 ? CACHED : 0);
	}
}

static long look(bool whole)
{
	struct view *v = &k.shown->view[k.me];
	unsigned p = 0;

	look_at_maps(v);
	look_at_pagemap(v, true);
	while (p < PAGES) {
		unsigned first = p;

		while (p < PAGES && (v->state[p] & READABLE))
			p++;
		if (look_by_pointer(k.at, first, p, whole, v))
			return -EFAULT;
		while (p < PAGES && !(v->state[p] & READABLE))
			p++;
	}
	look_at_pagemap(v, false);
	return 0;
}

static long look_at_pins(void)
{
	uint64_t page[PIN_PAGES][PG / 8];

	for (unsigned s = 0; s < SLOTS; s++) {
		size_t len = k.held[s].n * PG;
		const void *p = page;

		memset(page, 0, sizeof(page));
		if (k.held[s].kind == NOTHING)
			continue;
		if (k.held[s].kind == RING && (device_io(&k.held[s].ring, false, 0, len) ||
		                               pread(k.held[s].ring.scratch, page, len, 0) != (ssize_t)len))
			return -EIO;
		if (k.held[s].kind == VIEW)
			p = (const void *)k.held[s].at;
		for (unsigned i = 0; i < k.held[s].n; i++)
			for (unsigned j = 0; j < SPOTS; j++)
				k.shown->device[s][i][j] = ((const uint64_t *)p)[i * PG / 8 + spot_of[j] / 8];
	}
	return 0;
}

/* ---- pins ---------------------------------------------------------------------------------------- */

static int prot_of(uint16_t state)
{
	return (state & READABLE ? PROT_READ : 0) | (state & WRITABLE ? PROT_WRITE : 0);
}

static long pin_ring(unsigned slot, unsigned long a, unsigned n, uint16_t state)
{
	bool lend = !(state & WRITABLE);
	long r;

	if (lend && mprotect((void *)a, PG, PROT_READ | PROT_WRITE))
		return -errno;
	r = device_pin(&k.held[slot].ring, a, n * PG);
	if (lend && mprotect((void *)a, PG, prot_of(state)))
		return -errno;
	k.held[slot].kind = r ? NOTHING : RING;
	return r;
}

/* fd < 0: of the mapping at a. */
static long pin_view(unsigned slot, unsigned long a, int fd, off_t off)
{
	void *p = fd < 0 ? mremap((void *)a, 0, PG, MREMAP_MAYMOVE) :
	                   mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off);

	struct iovec here = { &(char){ 0 }, 1 }, there = { p, 1 };

	if (p == MAP_FAILED || mprotect(p, PG, PROT_READ | PROT_WRITE) || madvise(p, PG, MADV_DONTFORK))
		return -errno;
	/* Beyond the end of the file there is nothing to pin; what cannot be read at a was not looked at. */
	if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != 1) {
		munmap(p, PG);
		return -EFAULT;
	}
	k.held[slot].kind = VIEW;
	k.held[slot].at = (unsigned long)p;
	return 0;
}

/* The offset of the file that is mapped at a. */
static off_t offset_at(unsigned long a)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long start, end, off = 0;
	char line[700];

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "%lx-%lx %*s %lx", &start, &end, &off) == 3 && end <= a)
		;
	if (f)
		fclose(f);
	return (off_t)(off + a - start);
}

/* The page frame at a of this process; 0: only root is told. */
static uint64_t frame_at(unsigned long a)
{
	uint64_t e = 0;

	if (pread(k.pagemap, &e, 8, (off_t)(a / PG * 8)) != 8)
		return 0;
	return e & ((1ull << 55) - 1);
}

static bool is_zero_page(unsigned long a)
{
	volatile char *p = mmap(NULL, PG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t zero;

	(void)*p;
	zero = frame_at((unsigned long)p);
	munmap((void *)(uintptr_t)p, PG);
	return zero && zero == frame_at(a);
}

/* A short read pin of private memory: whatever page is there now. */
static long pin_private_page(unsigned slot, unsigned page, uint16_t state)
{
	const uint64_t *w = k.shown->view[k.me].word[page];
	unsigned long a = k.at + page * PG;

	if (state & CACHED)
		return pin_view(slot, a, state & OF_FILE ? k.file : k.memory, offset_at(a));
	if (is_zero_page(a)) {
		k.held[slot].kind = ZERO;
		k.shown->zero_pin = true;
		return 0;
	}
	/* The huge zero page, or a page of zeroes that is shared with another process. */
	if (!(state & UNIQUE) && !(w[0] | w[1] | w[2] | w[3]))
		return SKIPPED;
	return pin_ring(slot, a, 1, state);
}

static long kernel_pin(const struct step *s)
{
	unsigned slot = s->v[0], page = s->v[2], n = s->v[3] + 1;
	bool write = s->v[4], longterm = s->v[5];
	uint16_t state = k.shown->view[k.me].state[page];
	unsigned long a = k.at + page * PG;

	k.shown->zero_pin = false;
	k.held[slot].n = n;
	if (write && longterm)
		return pin_ring(slot, a, n, state | WRITABLE);
	if (!(state & (write ? WRITABLE : READABLE)) || (state & BEYOND))
		return -EFAULT;
	if (state & IS_SHARED)
		return pin_view(slot, a, -1, 0);
	return write || longterm ? pin_ring(slot, a, 1, state) : pin_private_page(slot, page, state);
}

static long kernel_device_store(const struct step *s, uint64_t value)
{
	size_t off = s->v[1] * PG + spot_of[s->v[2]];
	struct device *d = &k.held[s->v[0]].ring;

	if (k.held[s->v[0]].kind == VIEW) {
		*(volatile uint64_t *)(k.held[s->v[0]].at + off) = value;
		return 0;
	}
	return pwrite(d->scratch, &value, 8, (off_t)off) == 8 ? device_io(d, true, off, 8) : -errno;
}

static long kernel_put(unsigned slot)
{
	long r = 0;

	if (k.held[slot].kind == RING)
		r = device_unpin(&k.held[slot].ring);
	if (k.held[slot].kind == VIEW)
		r = munmap((void *)k.held[slot].at, PG) ? -errno : 0;
	k.held[slot].kind = NOTHING;
	return r;
}

/* ---- steps --------------------------------------------------------------------------------------- */

static const int kernel_prots[] = { PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE };

static long kernel_map(const struct step *s)
{
	void *want = (void *)(k.at + s->v[1] * PG), *p;
	int fd = s->v[5] == REAL_FILE ? k.file : s->v[5] == MEMORY_FILE ? k.memory : -1;
	int flags = (s->v[4] ? MAP_SHARED : MAP_PRIVATE) | (fd < 0 ? MAP_ANONYMOUS : 0) |
	            (s->v[7] == NOREPLACE_MAP ? MAP_FIXED_NOREPLACE : MAP_FIXED) |
	            (s->v[7] == POPULATE_MAP ? MAP_POPULATE : 0);

	p = mmap(want, s->v[2] * PG, kernel_prots[s->v[3]], flags, fd, fd < 0 ? 0 : (off_t)(s->v[6] * PG));
	return p == MAP_FAILED ? -errno : p == want ? 0 : -EXDEV;
}

/* 0: it is where it was; 1: it moved, and then to where the step says. */
static long kernel_move(const struct step *s)
{
	static const int flags[] = {
		0, MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_FIXED, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP
	};
	void *from = (void *)(k.at + s->v[1] * PG), *to = (void *)(k.at + s->v[5] * PG);
	size_t len = s->v[3] * PG;
	void *p = mremap(from, s->v[2] * PG, len, flags[s->v[4]], to);

	if (p == MAP_FAILED)
		return -errno;
	if (p == from || p == to)
		return p == to && p != from;
	return mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to ? 1 : -errno;
}

/* By pointer; so does a window of pinfold's. */
static long kernel_store(unsigned long a, unsigned n, uint64_t value)
{
	volatile unsigned p = 0;

	return -signal_of({
		for (; p < n; p++)
			*(volatile uint64_t *)(a + p * PG) = value + p;
	});
}

static long kernel_force(unsigned long a, uint64_t value)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	long r = pwrite(fd, &value, 8, (off_t)a) == 8 ? 0 : -errno;

	close(fd);
	return r == -EIO ? -EFAULT : r; /* what a get would say */
}

static uint64_t copied[COPY_PAGES][PG / 8];

static void fill_copy(uint64_t value, unsigned n)
{
	for (unsigned p = 0; p < n; p++)
		for (unsigned i = 0; i < PG / 8; i++)
			copied[p][i] = value + p;
}

static long kernel_copy(const struct step *s, uint64_t value)
{
	struct iovec local = { copied, s->v[2] * PG }, remote = { (void *)(k.at + s->v[1] * PG), s->v[2] * PG };
	ssize_t n;

	fill_copy(value, s->what == WRITE ? s->v[2] : 0);
	n = s->what == WRITE ? process_vm_writev(getpid(), &local, 1, &remote, 1, 0) :
	                       process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	k.shown->sum = n > 0 ? hash_of(copied[0], (size_t)n / 8) : 0;
	return n < 0 ? -errno : n;
}

static void serve(unsigned who);

static long kernel_fork(unsigned to)
{
	pid_t pid = fork();

	if (pid)
		return pid > 0 ? 0 : -errno;
	for (unsigned s = 0; s < SLOTS; s++) {
		if (k.held[s].kind == RING) {
			close(k.held[s].ring.ring.ring_fd);
			close(k.held[s].ring.scratch);
		}
		k.held[s].kind = NOTHING;
	}
	close(k.pagemap);
	k.pagemap = -1;
	serve(to);
	_exit(0);
}

static long kernel_load(unsigned long a)
{
	volatile uint64_t word = 0;
	int sig = signal_of(word = *(volatile uint64_t *)a);

	k.shown->sum = word;
	return -sig;
}

static long kernel_step(const struct step *s, uint64_t value)
{
	unsigned long a = k.at + s->v[1] * PG;
	size_t len = s->v[2] * PG;

	switch (s->what) {
	case MAP: return kernel_map(s);
	case UNMAP: return munmap((void *)a, len) ? -errno : 0;
	case PROTECT: return mprotect((void *)a, len, kernel_prots[s->v[3]]) ? -errno : 0;
	case MOVE: return kernel_move(s);
	case ADVISE: return madvise((void *)a, len, advice_of[s->v[3]]) ? -errno : 0;
	case FORK: return kernel_fork(s->v[1]);
	case LOAD: return kernel_load(a + spot_of[s->v[2]]);
	case STORE: return kernel_store(a + spot_of[s->v[3]], s->v[2], value);
	case FORCE: return kernel_force(a + spot_of[s->v[2]], value);
	case READ: case WRITE: return kernel_copy(s, value);
	case PIN: return kernel_pin(s);
	case DEVICE_STORE: return kernel_device_store(s, value);
	case PUT: return kernel_put(s->v[0]);
	case GROW: return ftruncate(k.file, (off_t)(s->v[0] * PG)) ? -errno : 0;
	default: return -ENOSYS;
	}
}

/* ---- processes ----------------------------------------------------------------------------------- */

static long obey(const struct command *c)
{
	switch (c->order) {
	case STEP: return kernel_step(&c->step, c->value);
	case LOOK: case LOOK_WHOLE: return look(c->order == LOOK_WHOLE);
	case LOOK_AT_PINS: return look_at_pins();
	case LEAVE: /* its end, but for pins that outlive it */
		return munmap((void *)k.at, PAGES * PG) ? -errno : 0;
	default: return 0;
	}
}

static void serve(unsigned who)
{
	int fd = k.socket[who][1];
	struct command c = { .order = STEP };

	k.me = (int)who;
	while (c.order != FINISH && recv(fd, &c, sizeof(c), 0) == sizeof(c)) {
		long r = obey(&c);

		if (send(fd, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
			break;
	}
	_exit(0);
}

/* The first party.  It, and what it becomes, ends when the runner does: then nobody holds the other ends. */
static void start_kernel(struct shown *shown, int file, int memory)
{
	struct sigaction act = { .sa_handler = app_handler, .sa_flags = SA_NODEFER };
	struct stat st;

	k.shown = shown;
	k.file = file;
	k.memory = memory;
	k.pagemap = -1;
	k.file_inode = fstat(file, &st) ? 0 : st.st_ino;
	k.memory_inode = fstat(memory, &st) ? 0 : st.st_ino;
	for (unsigned i = 0; i < PARTIES; i++)
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, k.socket[i]))
			abort();
	if (fork())
		return;
	for (unsigned i = 0; i < PARTIES; i++)
		close(k.socket[i][0]);
	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	signal(SIGCHLD, SIG_IGN);
	alarm(0);
	k.at = (free_place(PAGES + 1024) + LEAF) & ~(LEAF - 1);
	serve(0);
}

static long order(unsigned party, struct command c)
{
	long r = -EPIPE;

	if (send(k.socket[party][0], &c, sizeof(c), MSG_NOSIGNAL) != sizeof(c) ||
	    recv(k.socket[party][0], &r, sizeof(r), 0) != sizeof(r))
		return -EPIPE;
	return r;
}

#endif

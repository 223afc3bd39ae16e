/* SPDX-License-Identifier: MIT */
/* user.c - the process: its address space, its mappings as kernel code sees them, its memory, its limits. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/highmem.h>
#include <linux/sched.h>

#include "kd.h"

static struct mm_struct user_mm;
static struct user_struct user;
static struct task_struct process;
static __thread struct task_struct *me;
static bool is_capable;

struct task_struct *kd_current(void)
{
	return me ? me : &process;
}

void kd_set_current(struct task_struct *t)
{
	me = t;
}

long kd_locked_vm(void)
{
	return (long)user_mm.locked_vm;
}

long kd_pinned_vm(void)
{
	return (long)atomic64_read(&user_mm.pinned_vm);
}

long kd_user_locked_vm(void)
{
	return (long)atomic_long_read(&user.locked_vm);
}

static void check_counters(void (*tell)(const char *text))
{
	char text[80];

	snprintf(text, sizeof(text), "leak: locked_vm, %ld pages", kd_locked_vm());
	if (kd_locked_vm())
		tell(text);
	snprintf(text, sizeof(text), "leak: pinned_vm, %ld pages", kd_pinned_vm());
	if (kd_pinned_vm())
		tell(text);
	snprintf(text, sizeof(text), "leak: the user's locked_vm, %ld pages", kd_user_locked_vm());
	if (kd_user_locked_vm())
		tell(text);
}

int kd_user_start(void *mm)
{
	user_mm = (struct mm_struct){ .mm_users = ATOMIC_INIT(1), .mm_count = ATOMIC_INIT(1), .kd_mm = mm };
	user_mm.mmap_lock.lock = (struct kd_lock){ .name = "mmap_lock", .mm = mm };
	user = (struct user_struct){ .__count = REFCOUNT_INIT(1) };
	process = (struct task_struct){ .mm = &user_mm, .active_mm = &user_mm, .group_leader = &process, .pid = getpid(),
	                                .tgid = getpid(), .comm = "test", .usage = REFCOUNT_INIT(1) };
	is_capable = false;
	kd_signal(false);
	kd_set_counters(check_counters);
	return 0;
}

void kd_user_stop(void)
{
	struct kd_lock *l = &user_mm.mmap_lock.lock;

	for (struct vm_area_struct *v; (v = user_mm.mmap); free(v))
		user_mm.mmap = v->vm_next;
	/* A driver that forgot it has been told; the machine would wait for it. */
	if (kd_held(l, KD_WRITE))
		kd_unlock(l, KD_WRITE, 0, "kd_stop");
	else if (kd_held(l, KD_READ))
		kd_unlock(l, KD_READ, 0, "kd_stop");
	kd_glue_mm_end(user_mm.kd_mm);
}

/* ---- mappings ---------------------------------------------------------------------------------- */

static unsigned long vm_flags(int prot, int flags)
{
	unsigned long f = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;

	f |= (prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) | (prot & PROT_EXEC ? VM_EXEC : 0);
	return flags & MAP_SHARED ? f | VM_SHARED | VM_MAYSHARE : f;
}

static void insert(const struct vm_area_struct *area)
{
	struct vm_area_struct **at = &user_mm.mmap, *v = kd_alloc(sizeof(*v));

	while (*at && (*at)->vm_start < area->vm_start)
		at = &(*at)->vm_next;
	*v = *area;
	v->vm_next = *at;
	*at = v;
	user_mm.map_count++;
	user_mm.total_vm += vma_pages(v);
}

/* Takes [start, end) out; what lay there stays as other mappings with `flags` if keep, whatever it was cut from. */
static void cut(unsigned long start, unsigned long end, bool keep, unsigned long rights)
{
	struct vm_area_struct **at = &user_mm.mmap, *v;

	while ((v = *at) && v->vm_start < end) {
		struct vm_area_struct old = *v, part = old;

		if (old.vm_end <= start) {
			at = &v->vm_next;
			continue;
		}
		*at = v->vm_next;
		user_mm.map_count--;
		user_mm.total_vm -= vma_pages(v);
		free(v);
		part.vm_end = start;
		if (old.vm_start < start)
			insert(&part);
		part.vm_start = max(old.vm_start, start);
		part.vm_end = min(old.vm_end, end);
		part.vm_flags = (old.vm_flags & ~(VM_READ | VM_WRITE | VM_EXEC)) | rights;
		if (keep)
			insert(&part);
		part = old;
		part.vm_start = end;
		if (old.vm_end > end)
			insert(&part);
		at = &user_mm.mmap;
		while (*at && (*at)->vm_start < min(old.vm_end, end))
			at = &(*at)->vm_next;
	}
}

void *kd_mmap(size_t len, int prot, int flags)
{
	long a = kd_glue_map(user_mm.kd_mm, round_up(len, PAGE_SIZE), prot, flags);
	struct vm_area_struct v = { .vm_start = (unsigned long)a, .vm_end = (unsigned long)a + round_up(len, PAGE_SIZE),
	                            .vm_mm = &user_mm, .vm_flags = vm_flags(prot, flags) };

	if (a < 0)
		return NULL;
	insert(&v);
	return (void *)a;
}

int kd_munmap(void *addr, size_t len)
{
	unsigned long a = (unsigned long)addr;
	int r = kd_glue_unmap(user_mm.kd_mm, a, round_up(len, PAGE_SIZE));

	if (!r)
		cut(a, a + round_up(len, PAGE_SIZE), false, 0);
	return r;
}

int kd_mprotect(void *addr, size_t len, int prot)
{
	unsigned long a = (unsigned long)addr;
	int r = kd_glue_protect(user_mm.kd_mm, a, round_up(len, PAGE_SIZE), prot);

	if (!r)
		cut(a, a + round_up(len, PAGE_SIZE), true, vm_flags(prot, 0) & (VM_READ | VM_WRITE | VM_EXEC));
	return r;
}

bool kd_dirty(const void *addr)
{
	struct page *page;
	bool dirty;

	if (kd_glue_pin(user_mm.kd_mm, GLUE_FAST, (unsigned long)addr, 1, 0, &page, NULL) != 1)
		return false;
	dirty = kd_find(KD_DIRTY, page, NULL);
	kd_glue_unpin(page);
	return dirty;
}

struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *v = mm->mmap;

	if (!kd_held(&mm->mmap_lock.lock, KD_READ))
		kd_problem("find_vma(): the mmap lock is not held");
	while (v && v->vm_end <= addr)
		v = v->vm_next;
	return v;
}

struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *v = find_vma(mm, addr);

	return v && v->vm_start <= addr ? v : NULL;
}

int kd_no_mapping(const char *call)
{
	kd_problem("%s(): a driver's pages in user memory are not in this double", call);
	return -EOPNOTSUPP;
}

/* ---- copying ----------------------------------------------------------------------------------- */

bool kd_access_ok(unsigned long addr, unsigned long n)
{
	return n <= TASK_SIZE && addr <= TASK_SIZE - n;
}

/* Bytes copied. */
static unsigned long copy(unsigned long addr, void *buf, unsigned long n, bool write, const char *call)
{
	struct mm_struct *mm = current->mm;
	long r;

	kd_might_sleep(call);
	if (n && kd_inject(KD_COPY))
		n--;
	if (!n || !mm || !kd_access_ok(addr, n))
		return 0;
	r = kd_glue_copy(mm->kd_mm, addr, buf, n, write);
	return r < 0 ? 0 : (unsigned long)r;
}

unsigned long copy_from_user(void *to, const void __user *from, unsigned long n)
{
	unsigned long done = copy((unsigned long)from, to, n, false, "copy_from_user");

	memset((char *)to + done, 0, n - done);
	return n - done;
}

unsigned long copy_to_user(void __user *to, const void *from, unsigned long n)
{
	return n - copy((unsigned long)to, (void *)(unsigned long)from, n, true, "copy_to_user");
}

unsigned long clear_user(void __user *to, unsigned long n)
{
	static const char zeroes[PAGE_SIZE];

	while (n) {
		unsigned long now = min(n, PAGE_SIZE), left = copy_to_user(to, zeroes, now);

		n -= now - left;
		to = (char *)to + (now - left);
		if (left)
			break;
	}
	return n;
}

long strncpy_from_user(char *to, const char __user *from, long n)
{
	for (long i = 0; i < n; i++) {
		if (copy_from_user(to + i, from + i, 1))
			return -EFAULT;
		if (!to[i])
			return i;
	}
	return n;
}

/* A newer user's longer struct may hold nothing but zeroes behind what is known here. */
int copy_struct_from_user(void *to, size_t ksize, const void __user *from, size_t usize)
{
	size_t n = min(ksize, usize);

	for (size_t i = ksize; i < usize; i++) {
		char c;

		if (copy_from_user(&c, (const char *)from + i, 1))
			return -EFAULT;
		if (c)
			return -E2BIG;
	}
	memset((char *)to + n, 0, ksize - n);
	return copy_from_user(to, from, n) ? -EFAULT : 0;
}

static void *fill(void *p, const void __user *from, size_t n)
{
	if (!p)
		return ERR_PTR(-ENOMEM);
	if (!copy_from_user(p, from, n))
		return p;
	kvfree(p);
	return ERR_PTR(-EFAULT);
}

void *memdup_user(const void __user *from, size_t n)
{
	return fill(kmalloc(n, GFP_USER), from, n);
}

void *vmemdup_user(const void __user *from, size_t n)
{
	return fill(kvmalloc(n, GFP_USER), from, n);
}

/* One byte of each page. */
static size_t fault_in(unsigned long addr, size_t n, bool write)
{
	unsigned long end = addr + n;

	while (addr < end) {
		char c;

		if (copy(addr, &c, 1, false, "fault_in") != 1)
			break;
		if (write && copy(addr, &c, 1, true, "fault_in") != 1)
			break;
		addr = (addr & PAGE_MASK) + PAGE_SIZE;
	}
	return addr < end ? end - addr : 0;
}

size_t fault_in_readable(const char __user *p, size_t n)
{
	return fault_in((unsigned long)p, n, false);
}

size_t fault_in_writeable(char __user *p, size_t n)
{
	return fault_in((unsigned long)p, n, true);
}

int access_process_vm(struct task_struct *t, unsigned long addr, void *buf, int n, unsigned int flags)
{
	long r = t->mm ? kd_glue_copy(t->mm->kd_mm, addr, buf, (size_t)n, flags & FOLL_WRITE) : 0;

	return r < 0 ? 0 : (int)r;
}

/* ---- references, limits -------------------------------------------------------------------------- */

static void take(enum kd_kind kind, const void *key, const char *call, const void *site)
{
	kd_take((struct kd_entry){ .kind = kind, .key = key, .call = call, .site = site });
}

static bool give(enum kd_kind kind, const void *key, unsigned long more, const char *call)
{
	if (kd_drop_as(kind, key, more, false))
		return true;
	kd_problem("%s(): it was not taken", call);
	return false;
}

void mmget(struct mm_struct *mm)
{
	atomic_inc(&mm->mm_users);
	take(KD_MM, mm, "mmget", KD_SITE);
}

bool mmget_not_zero(struct mm_struct *mm)
{
	mmget(mm);
	return true;
}

struct mm_struct *get_task_mm(struct task_struct *t)
{
	if (t->mm)
		mmget(t->mm);
	return t->mm;
}

void mmput(struct mm_struct *mm)
{
	kd_might_sleep("mmput");
	if (give(KD_MM, mm, 0, "mmput"))
		atomic_dec(&mm->mm_users);
}

/* Of the struct: more 1. */
void mmgrab(struct mm_struct *mm)
{
	atomic_inc(&mm->mm_count);
	kd_take((struct kd_entry){ .kind = KD_MM, .key = mm, .more = 1, .call = "mmgrab", .site = KD_SITE });
}

void mmdrop(struct mm_struct *mm)
{
	if (give(KD_MM, mm, 1, "mmdrop"))
		atomic_dec(&mm->mm_count);
}

struct user_struct *kd_user(void)
{
	return &user;
}

struct user_struct *get_uid(struct user_struct *u)
{
	refcount_inc(&u->__count);
	take(KD_USER, u, "get_uid", KD_SITE);
	return u;
}

void free_uid(struct user_struct *u)
{
	if (u && give(KD_USER, u, 0, "free_uid"))
		refcount_dec(&u->__count);
}

bool capable(int cap)
{
	(void)cap;
	return is_capable;
}

void kd_capable(bool yes)
{
	is_capable = yes;
}

void kd_memlock(unsigned long bytes)
{
	kd_opts.memlock = bytes;
}

unsigned long rlimit(unsigned int limit)
{
	return limit == RLIMIT_MEMLOCK && kd_opts.memlock ? kd_opts.memlock : RLIM_INFINITY;
}

bool can_do_mlock(void)
{
	return rlimit(RLIMIT_MEMLOCK) || is_capable;
}

void kd_no_mm(bool yes)
{
	process.mm = yes ? NULL : &user_mm;
}

int __account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc, struct task_struct *task, bool bypass)
{
	(void)task;
	if (WARN(!kd_held(&mm->mmap_lock.lock, KD_WRITE), "__account_locked_vm(): the mmap lock is not held for writing"))
		return -EINVAL;
	if (!inc) {
		WARN(pages > mm->locked_vm, "__account_locked_vm(): %lu pages off, of %lu", pages, mm->locked_vm);
		mm->locked_vm -= min(pages, mm->locked_vm);
		return 0;
	}
	if (!bypass && mm->locked_vm + pages > rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT)
		return -ENOMEM;
	mm->locked_vm += pages;
	return 0;
}

int account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc)
{
	int r;

	if (!pages || !mm)
		return 0;
	down_write(&mm->mmap_lock);
	r = __account_locked_vm(mm, pages, inc, current, capable(CAP_IPC_LOCK));
	up_write(&mm->mmap_lock);
	return r;
}

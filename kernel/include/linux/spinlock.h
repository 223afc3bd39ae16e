/* SPDX-License-Identifier: MIT */
/*
 * Test double (doc/kernel.md).  Locks.  They exclude threads of the test; and they tell: a lock that is let go without being
 * held, taken twice by one thread (which would wait for itself), still held at the end, and sleeping under a spinlock.
 */
#ifndef KD_LINUX_SPINLOCK_H
#define KD_LINUX_SPINLOCK_H

#include <linux/atomic.h>
#include <linux/cleanup.h>

struct kd_lock {
	const char *name;
	void *writer;     /* the thread that has it */
	unsigned readers;
	int count;        /* of a semaphore: how many more may take it */
	void *mm;         /* an mmap lock: the machine's address space */
	const void *site;
};

enum kd_mode { KD_READ, KD_WRITE, KD_DOWN };
/* spin: the thread may not sleep while it holds it. */
void kd_lock(struct kd_lock *l, enum kd_mode mode, int spin, const char *call);
int kd_trylock(struct kd_lock *l, enum kd_mode mode, int spin, const char *call);
/* 0, or -EINTR: injected (KD_SIGNAL), or the test set a signal. */
int kd_lock_killable(struct kd_lock *l, enum kd_mode mode, const char *call);
void kd_unlock(struct kd_lock *l, enum kd_mode mode, int spin, const char *call);
int kd_held(const struct kd_lock *l, enum kd_mode mode);

typedef struct kd_lock spinlock_t;
typedef struct kd_lock raw_spinlock_t;
typedef struct kd_lock rwlock_t;
#define __SPIN_LOCK_UNLOCKED(x) { .name = #x }
#define __RW_LOCK_UNLOCKED(x) { .name = #x }
#define DEFINE_SPINLOCK(x) spinlock_t x = __SPIN_LOCK_UNLOCKED(x)
#define DEFINE_RAW_SPINLOCK(x) raw_spinlock_t x = __SPIN_LOCK_UNLOCKED(x)
#define DEFINE_RWLOCK(x) rwlock_t x = __RW_LOCK_UNLOCKED(x)
#define KD_LOCK_INIT(l) (*(l) = (struct kd_lock){ .name = #l })
#define spin_lock_init(l) KD_LOCK_INIT(l)
#define raw_spin_lock_init(l) KD_LOCK_INIT(l)
#define rwlock_init(l) KD_LOCK_INIT(l)

#define spin_lock(l) kd_lock(l, KD_WRITE, 1, "spin_lock")
#define spin_unlock(l) kd_unlock(l, KD_WRITE, 1, "spin_unlock")
#define spin_trylock(l) kd_trylock(l, KD_WRITE, 1, "spin_trylock")
#define spin_lock_nested(l, sub) spin_lock(l)
#define spin_is_locked(l) ((l)->writer != NULL)
#define spin_lock_irq(l) spin_lock(l)
#define spin_unlock_irq(l) spin_unlock(l)
#define spin_lock_bh(l) spin_lock(l)
#define spin_unlock_bh(l) spin_unlock(l)
#define spin_lock_irqsave(l, flags) ((flags) = 0, spin_lock(l))
#define spin_unlock_irqrestore(l, flags) ((void)(flags), spin_unlock(l))
#define raw_spin_lock spin_lock
#define raw_spin_unlock spin_unlock
#define raw_spin_lock_irqsave spin_lock_irqsave
#define raw_spin_unlock_irqrestore spin_unlock_irqrestore
#define read_lock(l) kd_lock(l, KD_READ, 1, "read_lock")
#define read_unlock(l) kd_unlock(l, KD_READ, 1, "read_unlock")
#define write_lock(l) kd_lock(l, KD_WRITE, 1, "write_lock")
#define write_unlock(l) kd_unlock(l, KD_WRITE, 1, "write_unlock")
#define assert_spin_locked(l) BUG_ON(!kd_held(l, KD_WRITE))
#define lockdep_assert_held(l) WARN_ON(!kd_held((struct kd_lock *)(l), KD_READ))
#define lockdep_assert_held_write(l) WARN_ON(!kd_held((struct kd_lock *)(l), KD_WRITE))
#define lockdep_assert_not_held(l) WARN_ON(kd_held((struct kd_lock *)(l), KD_READ))
#define local_irq_save(flags) ((flags) = 0)
#define local_irq_restore(flags) ((void)(flags))
#define preempt_disable() kd_atomic(1)
#define preempt_enable() kd_atomic(-1)
/* The thread may not sleep from 1 on until -1. */
void kd_atomic(int step);
int in_atomic(void) KD_SYM(in_atomic);
#define in_interrupt() 0

/* ---- sleeping locks ---- */

struct mutex {
	struct kd_lock lock;
};
#define __MUTEX_INITIALIZER(x) { { .name = #x } }
#define DEFINE_MUTEX(x) struct mutex x = __MUTEX_INITIALIZER(x)
#define mutex_init(m) KD_LOCK_INIT(&(m)->lock)
#define mutex_destroy(m) BUG_ON((m)->lock.writer)
#define mutex_lock(m) kd_lock(&(m)->lock, KD_WRITE, 0, "mutex_lock")
#define mutex_lock_nested(m, sub) mutex_lock(m)
#define mutex_lock_interruptible(m) kd_lock_killable(&(m)->lock, KD_WRITE, "mutex_lock_interruptible")
#define mutex_lock_killable(m) kd_lock_killable(&(m)->lock, KD_WRITE, "mutex_lock_killable")
#define mutex_trylock(m) kd_trylock(&(m)->lock, KD_WRITE, 0, "mutex_trylock")
#define mutex_unlock(m) kd_unlock(&(m)->lock, KD_WRITE, 0, "mutex_unlock")
#define mutex_is_locked(m) ((m)->lock.writer != NULL)

struct rw_semaphore {
	struct kd_lock lock;
};
#define __RWSEM_INITIALIZER(x) { { .name = #x } }
#define DECLARE_RWSEM(x) struct rw_semaphore x = __RWSEM_INITIALIZER(x)
#define init_rwsem(s) KD_LOCK_INIT(&(s)->lock)
#define down_read(s) kd_lock(&(s)->lock, KD_READ, 0, "down_read")
#define down_read_killable(s) kd_lock_killable(&(s)->lock, KD_READ, "down_read_killable")
#define down_read_interruptible down_read_killable
#define down_read_trylock(s) kd_trylock(&(s)->lock, KD_READ, 0, "down_read_trylock")
#define up_read(s) kd_unlock(&(s)->lock, KD_READ, 0, "up_read")
#define down_write(s) kd_lock(&(s)->lock, KD_WRITE, 0, "down_write")
#define down_write_killable(s) kd_lock_killable(&(s)->lock, KD_WRITE, "down_write_killable")
#define down_write_trylock(s) kd_trylock(&(s)->lock, KD_WRITE, 0, "down_write_trylock")
#define up_write(s) kd_unlock(&(s)->lock, KD_WRITE, 0, "up_write")
#define rwsem_is_locked(s) ((s)->lock.writer || (s)->lock.readers)

struct semaphore {
	struct kd_lock lock;
};
#define sema_init(s, n) ((s)->lock = (struct kd_lock){ .name = #s, .count = (n) })
#define DEFINE_SEMAPHORE(x, n) struct semaphore x = { { .name = #x, .count = (n) } }
#define down(s) kd_lock(&(s)->lock, KD_DOWN, 0, "down")
#define down_interruptible(s) kd_lock_killable(&(s)->lock, KD_DOWN, "down_interruptible")
#define down_killable(s) kd_lock_killable(&(s)->lock, KD_DOWN, "down_killable")
#define down_trylock(s) (!kd_trylock(&(s)->lock, KD_DOWN, 0, "down_trylock"))
#define up(s) kd_unlock(&(s)->lock, KD_DOWN, 0, "up")

DEFINE_GUARD(mutex, struct mutex *, mutex_lock(_T), mutex_unlock(_T))
DEFINE_GUARD(spinlock, spinlock_t *, spin_lock(_T), spin_unlock(_T))
DEFINE_GUARD(spinlock_irq, spinlock_t *, spin_lock_irq(_T), spin_unlock_irq(_T))
DEFINE_GUARD(spinlock_irqsave, spinlock_t *, spin_lock(_T), spin_unlock(_T))
DEFINE_GUARD(rwsem_read, struct rw_semaphore *, down_read(_T), up_read(_T))
DEFINE_GUARD(rwsem_write, struct rw_semaphore *, down_write(_T), up_write(_T))

#endif

/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  The mmap lock is the machine's own. */
#ifndef KD_LINUX_MMAP_LOCK_H
#define KD_LINUX_MMAP_LOCK_H

#include <linux/mm_types.h>
#include <linux/version.h>

#if !KD_52
#define mmap_read_lock(mm) kd_lock(&(mm)->mmap_lock.lock, KD_READ, 0, "mmap_read_lock")
#define mmap_read_lock_killable(mm) kd_lock_killable(&(mm)->mmap_lock.lock, KD_READ, "mmap_read_lock_killable")
#define mmap_read_trylock(mm) kd_trylock(&(mm)->mmap_lock.lock, KD_READ, 0, "mmap_read_trylock")
#define mmap_read_unlock(mm) kd_unlock(&(mm)->mmap_lock.lock, KD_READ, 0, "mmap_read_unlock")
#define mmap_write_lock(mm) kd_lock(&(mm)->mmap_lock.lock, KD_WRITE, 0, "mmap_write_lock")
#define mmap_write_lock_killable(mm) kd_lock_killable(&(mm)->mmap_lock.lock, KD_WRITE, "mmap_write_lock_killable")
#define mmap_write_trylock(mm) kd_trylock(&(mm)->mmap_lock.lock, KD_WRITE, 0, "mmap_write_trylock")
#define mmap_write_unlock(mm) kd_unlock(&(mm)->mmap_lock.lock, KD_WRITE, 0, "mmap_write_unlock")
#define mmap_assert_locked(mm) WARN_ON(!kd_held(&(mm)->mmap_lock.lock, KD_READ))
#define mmap_assert_write_locked(mm) WARN_ON(!kd_held(&(mm)->mmap_lock.lock, KD_WRITE))
#endif

#endif

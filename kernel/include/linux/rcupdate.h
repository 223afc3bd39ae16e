/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  RCU: callbacks run as queued work does; a reader is in nobody's way and may not sleep. */
#ifndef KD_LINUX_RCUPDATE_H
#define KD_LINUX_RCUPDATE_H

#include <linux/list.h>
#include <linux/spinlock.h>

#define rcu_read_lock() kd_atomic(1)
#define rcu_read_unlock() kd_atomic(-1)
#define rcu_dereference(p) READ_ONCE(p)
#define rcu_dereference_protected(p, c) (p)
#define rcu_assign_pointer(p, v) smp_store_release(&(p), v)
#define RCU_INIT_POINTER(p, v) ((p) = (v))
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head)) KD_SYM(call_rcu);
/* Runs the callbacks. */
void rcu_barrier(void) KD_SYM(rcu_barrier);
#define synchronize_rcu() (might_sleep(), rcu_barrier())
void kd_kfree_rcu(void *p);
#define kfree_rcu(p, member) kd_kfree_rcu(p)

#endif

/* SPDX-License-Identifier: MIT */
/* double_test.c - what stands beside the pin calls in the kernel test double: each wrong use is told, each right one is not. */
#include "kernel.h"

#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/idr.h>
#include <linux/kthread.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/rcupdate.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

/* Memory that is not freed, freed twice or by the wrong call is told. */
static void memory_is_accounted(void **state)
{
	char *a, *b;

	(void)state;
	START(.memory = 0);
	a = kzalloc(100, GFP_KERNEL);
	b = kvmalloc(10000, GFP_KERNEL);
	assert_int_equal(a[99], 0);
	assert_int_equal(ksize(b), 10000);
	assert_true(kd_told("leak: memory #1, 100 bytes"));
	a = krealloc(a, 200, GFP_KERNEL);
	assert_int_equal(a[0], 0);
	kfree(a);
	kfree(b);
	assert_int_equal(kd_expect("it came from kvmalloc()"), 1);
	kfree(NULL);
	kfree(a);
	assert_int_equal(kd_expect("freed already"), 1);
	assert_null(kmalloc_array(SIZE_MAX / 2, 3, GFP_KERNEL));
	finish();
}

/* Only the n-th allocation fails, and not one that may not. */
static void the_nth_allocation_fails(void **state)
{
	void *p[4];

	(void)state;
	START(.memory = 0);
	kd_fail_nth(KD_ALLOC, 2);
	for (int i = 0; i < 4; i++)
		p[i] = kmalloc(8, GFP_KERNEL);
	assert_true(kd_failed());
	assert_non_null(p[0]);
	assert_null(p[1]);
	kd_fail_nth(KD_ALLOC, 1);
	p[1] = kmalloc(8, GFP_KERNEL | __GFP_NOFAIL);
	assert_non_null(p[1]);
	assert_false(kd_failed());
	for (int i = 0; i < 4; i++)
		kfree(p[i]);
	finish();
}

/* Pages of the kernel's own have a struct page, an address, references; several are one behind the other. */
static void pages_of_the_kernels_own(void **state)
{
	struct page *one, *eight;
	unsigned long a;

	(void)state;
	START(.memory = 0);
	one = alloc_page(GFP_KERNEL | __GFP_ZERO);
	eight = alloc_pages(GFP_KERNEL, 3);
	assert_non_null(eight);
	assert_int_equal(*(long *)page_address(one), 0);
	assert_ptr_equal((char *)page_address(eight) + 7 * PG, page_address(eight + 7));
	assert_ptr_equal(virt_to_page((char *)page_address(eight) + 5 * PG + 9), eight + 5);
	assert_ptr_equal(pfn_to_page(page_to_pfn(one)), one);
	assert_ptr_equal(compound_head(eight + 5), eight);
	assert_int_equal(folio_nr_pages(page_folio(eight + 2)), 8);
	get_page(one);
	__free_page(one);
	assert_true(kd_told("leak: pages"));
	put_page(one);
	__free_pages(eight, 2);
	assert_int_equal(kd_expect("it was allocated with order 3"), 1);
	__free_pages(eight, 3);
	a = __get_free_page(GFP_KERNEL);
	free_page(a);
	free_page(a);
	assert_int_equal(kd_expect("the page is free already"), 1);
	finish();
}

static DEFINE_MUTEX(mutex);
static DEFINE_SPINLOCK(spin);

/* A lock left, let go twice, or taken twice, and sleeping under a spinlock: all are told. */
static void locks_are_watched(void **state)
{
	(void)state;
	START(.fatal = jump);
	mutex_unlock(&mutex);
	assert_int_equal(kd_expect("mutex_unlock(mutex): it is not held"), 1);
	mutex_lock(&mutex);
	assert_false(mutex_trylock(&mutex));
	lockdep_assert_held(&mutex);
	if (!setjmp(back)) {
		mutex_lock(&mutex);
		fail();
	}
	assert_int_equal(kd_expect("the thread has it already"), 1);
	assert_true(kd_told("leak: lock held"));
	mutex_unlock(&mutex);
	spin_lock(&spin);
	kfree(kmalloc(8, GFP_ATOMIC));
	assert_int_equal(kd_check(), 1); /* the lock */
	kfree(kmalloc(8, GFP_KERNEL));
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	spin_unlock(&spin);
	assert_int_equal(kd_expect("may sleep, and was called with a spinlock"), 2);
	finish();
}

/* A lock that a test left held does not stop the next one. */
static void a_left_lock_is_told_once(void **state)
{
	(void)state;
	START(.memory = 0);
	mutex_lock(&mutex);
	down_write(&current->mm->mmap_lock);
	finish_wrong("leak: lock held");
	START(.memory = 0);
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	finish();
}

/* Clause C1: accounting stops at the limit. */
static void locked_memory_has_a_limit(void **state)
{
	(void)state;
	START(.memlock = 10 * PG);
	assert_int_equal(account_locked_vm(current->mm, 8, true), 0);
	assert_int_equal(account_locked_vm(current->mm, 3, true), -ENOMEM);
	assert_true(kd_told("leak: locked_vm, 8 pages"));
	account_locked_vm(current->mm, 9, false);
	assert_int_equal(kd_expect("9 pages off, of 8"), 1);
	mmgrab(current->mm);
	mmget(current->mm);
	mmdrop(current->mm);
	assert_true(kd_told("leak: mm reference"));
	mmput(current->mm);
	mmput(current->mm);
	assert_int_equal(kd_expect("mmput(): it was not taken"), 1);
	finish();
}

/* DMA mappings are undone as they were made, after they were asked about, before their page is released. */
static void dma_mappings_are_watched(void **state)
{
	struct device dev = { .init_name = "dev" };
	struct page *page;
	dma_addr_t a;

	(void)state;
	START(.memory = 0);
	assert_int_equal(pin_user_pages_fast((unsigned long)user_memory(1), 1, FOLL_WRITE, &page), 1);
	a = dma_map_page(&dev, page, 0, PG, DMA_TO_DEVICE);
	dma_unmap_page(&dev, a, PG, DMA_TO_DEVICE);
	assert_int_equal(kd_expect("nobody asked dma_mapping_error()"), 1);
	a = dma_map_page(&dev, page, 0, PG, DMA_TO_DEVICE);
	assert_int_equal(dma_mapping_error(&dev, a), 0);
	dma_unmap_page(&dev, a, PG, DMA_FROM_DEVICE);
	assert_int_equal(kd_expect("direction 2, mapped was 1"), 1);
	dma_unmap_page(&dev, a, PG, DMA_TO_DEVICE);
	assert_int_equal(kd_expect("not mapped"), 1);
	a = dma_map_page(&dev, page, 0, PG, DMA_TO_DEVICE);
	assert_int_equal(dma_mapping_error(&dev, a), 0);
	unpin_user_page(page);
	assert_int_equal(kd_expect("unpin_user_page(): dma_map_page() still maps the page for a device"), 1);
	dma_unmap_page(&dev, a, PG, DMA_TO_DEVICE);
	finish();
}

/* Neighbouring frames are one entry, an offset and a cut last page are kept, a list grows; pages come in order. */
static void scatter_lists_describe_pages(void **state)
{
	struct sg_append_table t = { 0 };
	struct page *p, *list[4];
	struct sg_page_iter it;
	struct sg_table s;
	unsigned char buf[PG];
	int n = 0;

	(void)state;
	START(.memory = 0);
	p = alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	list[0] = p;
	list[1] = p + 1;
	list[2] = p + 3;
	list[3] = p + 2;
	assert_int_equal(sg_alloc_table_from_pages(&s, list, 4, 100, 3 * PG, GFP_KERNEL), 0);
	assert_int_equal(s.nents, 3);
	assert_int_equal(s.sgl[0].length, 2 * PG - 100);
	assert_int_equal(s.sgl[2].length, 100);
	memset(buf, 7, PG);
	assert_int_equal(sg_pcopy_from_buffer(s.sgl, s.nents, buf, PG, 2 * PG - 150), PG);
	assert_int_equal(((char *)page_address(p + 1))[PG - 51], 0);
	assert_int_equal(((char *)page_address(p + 1))[PG - 50], 7);
	assert_int_equal(((char *)page_address(p + 3))[0], 7);
	for_each_sgtable_page(&s, &it, 0) {
		assert_ptr_equal(sg_page_iter_page(&it), list[n]);
		n++;
	}
	assert_int_equal(n, 4);
	sg_free_table(&s);
	assert_int_equal(sg_alloc_append_table_from_pages(&t, list, 2, 0, 2 * PG, PG, 2, GFP_KERNEL), 0);
	assert_int_equal(sg_alloc_append_table_from_pages(&t, list + 2, 2, 0, 2 * PG, PG, 0, GFP_KERNEL), 0);
	assert_int_equal(sg_nents(t.sgt.sgl), 4);
	sg_free_append_table(&t);
	__free_pages(p, 2);
	finish();
}

/* Scattered user pages, mapped one behind the other, are the memory that the process has. */
static void vmap_shows_the_same_memory(void **state)
{
	struct page *p[3];
	unsigned char *m, *v;

	(void)state;
	START(.memory = 0);
	m = user_memory(3);
	assert_int_equal(pin_user_pages_fast((unsigned long)m + 2 * PG, 1, FOLL_WRITE, &p[0]), 1);
	assert_int_equal(pin_user_pages_fast((unsigned long)m, 2, FOLL_WRITE, &p[1]), 2);
	v = vmap(p, 3, VM_MAP, PAGE_KERNEL);
	assert_non_null(v);
	assert_true(is_vmalloc_addr(v + PG));
	v[5] = 0xee;
	v[PG] = 0xef;
	assert_int_equal(m[2 * PG + 5], 0xee);
	assert_int_equal(m[0], 0xef);
	m[1] = 0xf0;
	assert_int_equal(v[PG + 1], 0xf0);
	assert_true(kd_told("leak: memory"));
	vunmap(v);
	unpin_user_pages(p, 3);
	finish();
}

/* Clause P14: copying stops at a hole; what was not copied is counted, and zeroes for the kernel. */
static void copies_stop_at_a_hole(void **state)
{
	unsigned char *m, buf[200];
	int v = 0;

	(void)state;
	START(.memory = 0);
	m = user_memory(2);
	kd_munmap(m + PG, PG);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(copy_from_user(buf, m + PG - 50, 200), 150);
	assert_memory_equal(buf, m + PG - 50, 50);
	assert_int_equal(buf[50], 0);
	assert_int_equal(copy_to_user(m + PG - 1, buf, 2), 1);
	assert_int_equal(put_user(5, (int *)m), 0);
	assert_int_equal(get_user(v, (int *)m), 0);
	assert_int_equal(v, 5);
	assert_int_equal(get_user(v, (int *)(m + PG)), -EFAULT);
	assert_int_equal(copy_from_user(buf, &v, 4), 4); /* not the process's memory */
	assert_true(IS_ERR(memdup_user(m + PG, 8)));
	assert_int_equal(fault_in_readable((char *)m, 2 * PG), PG);
	kd_no_mm(true);
	assert_int_equal(copy_from_user(buf, m, 1), 1);
	kd_no_mm(false);
	finish();
}

struct node {
	struct rb_node rb;
	int key;
};

static void insert(struct rb_root *root, struct node *n)
{
	struct rb_node **link = &root->rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = n->key < rb_entry(parent, struct node, rb)->key ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&n->rb, parent, link);
	rb_insert_color(&n->rb, root);
}

/* Trees keep the order under insertions and removals, forwards and backwards. */
static void trees_keep_the_order(void **state)
{
	static struct node n[200];
	struct rb_root root = RB_ROOT;
	struct rb_node *at;
	int last = -1, count = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		n[i].key = i * 77 % 200;
		insert(&root, &n[i]);
	}
	for (int i = 0; i < 200; i += 2)
		rb_erase(&n[i].rb, &root);
	for (at = rb_first(&root); at; at = rb_next(at), count++) {
		assert_true(rb_entry(at, struct node, rb)->key > last);
		last = rb_entry(at, struct node, rb)->key;
	}
	assert_int_equal(count, 100);
	for (at = rb_last(&root), count = 0; at; at = rb_prev(at))
		count++;
	assert_int_equal(count, 100);
	for (at = rb_first_postorder(&root), count = 0; at; at = rb_next_postorder(at))
		count++;
	assert_int_equal(count, 100);
}

/* Indices, identifiers, and their memory. */
static void arrays_hand_out_identifiers(void **state)
{
	DEFINE_XARRAY_ALLOC1(xa);
	DEFINE_IDA(ida);
	unsigned long index, sum = 0;
	int values[30];
	void *entry;
	u32 id;

	(void)state;
	START(.memory = 0);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(xa_alloc(&xa, &id, &values[i], xa_limit_16b, GFP_KERNEL), 0);
		assert_int_equal(id, i + 1);
	}
	assert_ptr_equal(xa_erase(&xa, 7), &values[6]);
	assert_int_equal(xa_alloc(&xa, &id, &values[6], xa_limit_16b, GFP_KERNEL), 0);
	assert_int_equal(id, 7);
	assert_int_equal(xa_insert(&xa, 7, &values[0], GFP_KERNEL), -EBUSY);
	assert_int_equal(xa_alloc(&xa, &id, &values[0], XA_LIMIT(3, 9), GFP_KERNEL), -EBUSY);
	xa_for_each(&xa, index, entry)
		sum += index;
	assert_int_equal(sum, 465);
	assert_int_equal(ida_alloc(&ida, GFP_KERNEL), 0);
	assert_int_equal(ida_alloc(&ida, GFP_KERNEL), 1);
	ida_free(&ida, 0);
	assert_int_equal(ida_alloc(&ida, GFP_KERNEL), 0);
	assert_int_equal(ida_alloc_max(&ida, 1, GFP_KERNEL), -ENOSPC);
	assert_true(kd_told("leak: memory"));
	ida_destroy(&ida);
	xa_destroy(&xa);
	finish();
}

static struct work_struct work;
static DECLARE_COMPLETION(done);
static int ran;

static void work_fn(struct work_struct *w)
{
	(void)w;
	assert_null(current->mm);
	ran++;
	complete(&done);
}

static int thread_fn(void *data)
{
	while (!kthread_should_stop())
		msleep(1);
	return *(int *)data;
}

struct later {
	struct rcu_head rcu;
};

/* Queued work runs when it is waited for, threads until they are stopped, RCU's memory is freed at the barrier. */
static void work_and_threads_run(void **state)
{
	struct task_struct *t;
	struct later *l;
	int five = 5;

	(void)state;
	START(.memory = 0);
	INIT_WORK(&work, work_fn);
	assert_true(schedule_work(&work));
	assert_false(schedule_work(&work));
	assert_int_equal(ran, 0);
	wait_for_completion(&done);
	assert_int_equal(ran, 1);
	schedule_work(&work);
	assert_true(cancel_work_sync(&work));
	assert_int_equal(ran, 1);
	assert_int_equal(wait_for_completion_timeout(&done, 3), 0);
	t = kthread_run(thread_fn, &five, "five");
	assert_false(IS_ERR(t));
	assert_true(kd_told("leak: kernel thread"));
	assert_int_equal(kthread_stop(t), 5);
	l = kmalloc(sizeof(*l), GFP_KERNEL);
	kfree_rcu(l, rcu);
	assert_true(kd_told("leak: memory"));
	rcu_barrier();
	finish();
}

/* What a device's driver left to it goes with the device; warnings, BUG()s and messages are seen. */
static void devices_and_messages(void **state)
{
	struct platform_device pdev = { .name = "p", .dev = { .init_name = "p" } };

	(void)state;
	START(.memory = 0);
	assert_non_null(devm_kzalloc(&pdev.dev, 10, GFP_KERNEL));
	assert_true(kd_told("leak: memory"));
	kd_device_release(&pdev.dev);
	get_device(&pdev.dev);
	put_device(&pdev.dev);
	put_device(&pdev.dev);
	assert_int_equal(kd_expect("put_device(p): it was not taken"), 1);
	dev_err(&pdev.dev, "number %d\n", 42);
	assert_true(kd_logged("p: number 42"));
	assert_true(WARN_ON_ONCE(1));
	assert_int_equal(kd_expect("WARN_ON_ONCE(1)"), 1);
	finish();
}

static DEFINE_MUTEX(device);
static unsigned long told_start, told_end;
static int told, released;

static bool invalidate(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range, unsigned long seq)
{
	mutex_lock(&device);
	mmu_interval_set_seq(mni, seq);
	told_start = range->start;
	told_end = range->end;
	told++;
	assert_ptr_equal(range->mm, current->mm);
	mutex_unlock(&device);
	return true;
}

static int begins(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	(void)mn;
	told += range->event == MMU_NOTIFY_PROTECTION_VMA;
	return 0;
}

static void goes(struct mmu_notifier *mn, struct mm_struct *mm)
{
	(void)mn;
	(void)mm;
	released++;
}

/* Clause N1: a driver that follows the mm is told of munmap and mprotect, and that what it looked up does not stand. */
static void notifiers_follow_the_process(void **state)
{
	static const struct mmu_interval_notifier_ops interval_ops = { .invalidate = invalidate };
	static const struct mmu_notifier_ops ops = { .invalidate_range_start = begins, .release = goes };
	struct mmu_interval_notifier mni;
	struct mmu_notifier mn = { .ops = &ops };
	unsigned long seq;
	unsigned char *m;

	(void)state;
	START(.memory = 0);
	m = user_memory(4);
	assert_int_equal(mmu_interval_notifier_insert(&mni, current->mm, (unsigned long)m, 2 * PG, &interval_ops), 0);
	seq = mmu_interval_read_begin(&mni);
	kd_munmap(m + 3 * PG, PG);
	assert_false(mmu_interval_read_retry(&mni, seq));
	assert_int_equal(told, 0);
	kd_munmap(m + PG, PG);
	assert_true(mmu_interval_read_retry(&mni, seq));
	assert_int_equal(told, 1);
	assert_true(told_start <= (unsigned long)m + PG && told_end >= (unsigned long)m + 2 * PG);
	assert_true(kd_told("leak: MMU notifier"));
	mmu_interval_notifier_remove(&mni);
	assert_int_equal(mmu_notifier_register(&mn, current->mm), 0);
	kd_mprotect(m, PG, PROT_READ);
	assert_int_equal(told, 2);
	mmu_notifier_unregister(&mn, current->mm);
	assert_int_equal(released, 1);
	mmu_notifier_unregister(&mn, current->mm);
	assert_int_equal(kd_expect("it is not registered"), 1);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_is_accounted),
		TEST(the_nth_allocation_fails),
		TEST(pages_of_the_kernels_own),
		TEST(locks_are_watched),
		TEST(a_left_lock_is_told_once),
		TEST(locked_memory_has_a_limit),
		TEST(dma_mappings_are_watched),
		TEST(scatter_lists_describe_pages),
		TEST(vmap_shows_the_same_memory),
		TEST(copies_stop_at_a_hole),
		TEST(trees_keep_the_order),
		TEST(arrays_hand_out_identifiers),
		TEST(work_and_threads_run),
		TEST(devices_and_messages),
		TEST(notifiers_follow_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Test double (doc/kernel.md), not a kernel.  The pin calls and what stands beside them, with the signatures of the version
 * that <linux/version.h> says.
 *
 * 6.18: pin_user_pages*() takes pins, get_user_pages*() plain references; each has its release, the other one is a problem
 * that is told.  5.2: every get is a pin and put_user_page*() releases it; put_page() on it is a problem, unless the test says
 * KD_PUT_PAGE_RELEASES (5.2's own drivers do that).
 */
#ifndef KD_LINUX_MM_H
#define KD_LINUX_MM_H

#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/page-flags.h>
#include <linux/mmap_lock.h>

#define PAGE_ALIGN(a) ALIGN(a, PAGE_SIZE)
#define PAGE_ALIGN_DOWN(a) ALIGN_DOWN(a, PAGE_SIZE)
#define PAGE_ALIGNED(a) IS_ALIGNED((unsigned long)(a), PAGE_SIZE)
#define offset_in_page(p) ((unsigned long)(p) & ~PAGE_MASK)
#define PFN_UP(x) (((x) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define PFN_DOWN(x) ((x) >> PAGE_SHIFT)
#define PFN_PHYS(x) ((phys_addr_t)(x) << PAGE_SHIFT)
#define PHYS_PFN(x) ((unsigned long)((x) >> PAGE_SHIFT))
#define PMD_SHIFT 21
#define PMD_SIZE (1ul << PMD_SHIFT)
#define HPAGE_PMD_SIZE PMD_SIZE
#define HPAGE_PMD_NR 512
#define TASK_SIZE (1ul << 47)
#define untagged_addr(a) (a)

/* ---- pinning -------------------------------------------------------------------------------- */

#if KD_52
#define FOLL_WRITE 0x01
#define FOLL_TOUCH 0x02
#define FOLL_GET 0x04
#define FOLL_DUMP 0x08
#define FOLL_FORCE 0x10
#define FOLL_NOWAIT 0x20
#define FOLL_HWPOISON 0x100
#define FOLL_ANON 0x8000
#define FOLL_LONGTERM 0x10000

long get_user_pages(unsigned long start, unsigned long nr_pages, unsigned int gup_flags, struct page **pages,
                    struct vm_area_struct **vmas) KD_SYM(52_get_user_pages);
long get_user_pages_remote(struct task_struct *tsk, struct mm_struct *mm, unsigned long start, unsigned long nr_pages,
                           unsigned int gup_flags, struct page **pages, struct vm_area_struct **vmas, int *locked)
	KD_SYM(52_get_user_pages_remote);
long get_user_pages_locked(unsigned long start, unsigned long nr_pages, unsigned int gup_flags, struct page **pages,
                           int *locked) KD_SYM(52_get_user_pages_locked);
long get_user_pages_unlocked(unsigned long start, unsigned long nr_pages, struct page **pages, unsigned int gup_flags)
	KD_SYM(52_get_user_pages_unlocked);
int get_user_pages_fast(unsigned long start, int nr_pages, unsigned int gup_flags, struct page **pages)
	KD_SYM(52_get_user_pages_fast);
void put_user_page(struct page *page) KD_SYM(52_put_user_page);
void put_user_pages(struct page **pages, unsigned long npages) KD_SYM(52_put_user_pages);
void put_user_pages_dirty(struct page **pages, unsigned long npages) KD_SYM(52_put_user_pages_dirty);
void put_user_pages_dirty_lock(struct page **pages, unsigned long npages) KD_SYM(52_put_user_pages_dirty_lock);
void put_page(struct page *page) KD_SYM(52_put_page);

/* 5.2 has these here; the functions are those of its mm/frame_vector.c. */
struct frame_vector {
	unsigned int nr_allocated, nr_frames;
	bool got_ref, is_pfns;
	void *ptrs[];
};
struct frame_vector *frame_vector_create(unsigned int nr_frames);
void frame_vector_destroy(struct frame_vector *vec);
int get_vaddr_frames(unsigned long start, unsigned int nr_pfns, unsigned int gup_flags, struct frame_vector *vec);
void put_vaddr_frames(struct frame_vector *vec);
int frame_vector_to_pages(struct frame_vector *vec);
void frame_vector_to_pfns(struct frame_vector *vec);
#define frame_vector_count(vec) ((vec)->nr_frames)
#define frame_vector_pages(vec) \
	((vec)->is_pfns && frame_vector_to_pages(vec) ? ERR_PTR(-EINVAL) : (struct page **)(vec)->ptrs)
#define frame_vector_pfns(vec) (((vec)->is_pfns ? (void)0 : frame_vector_to_pfns(vec)), (unsigned long *)(vec)->ptrs)
/* For VM_IO and VM_PFNMAP mappings, which are not in this double. */
#define follow_pfn(vma, addr, pfn) ((void)(vma), (void)(addr), (void)(pfn), -EINVAL)
#else
#define FOLL_WRITE 0x01
#define FOLL_GET 0x02
#define FOLL_DUMP 0x04
#define FOLL_FORCE 0x08
#define FOLL_NOWAIT 0x10
#define FOLL_NOFAULT 0x20
#define FOLL_HWPOISON 0x40
#define FOLL_ANON 0x80
#define FOLL_LONGTERM 0x100
#define FOLL_SPLIT_PMD 0x200
#define FOLL_PCI_P2PDMA 0x400
#define FOLL_INTERRUPTIBLE 0x800
#define FOLL_HONOR_NUMA_FAULT 0x1000

long get_user_pages(unsigned long start, unsigned long nr_pages, unsigned int gup_flags, struct page **pages)
	KD_SYM(get_user_pages);
long get_user_pages_remote(struct mm_struct *mm, unsigned long start, unsigned long nr_pages, unsigned int gup_flags,
                           struct page **pages, int *locked) KD_SYM(get_user_pages_remote);
long get_user_pages_unlocked(unsigned long start, unsigned long nr_pages, struct page **pages, unsigned int gup_flags)
	KD_SYM(get_user_pages_unlocked);
int get_user_pages_fast(unsigned long start, int nr_pages, unsigned int gup_flags, struct page **pages)
	KD_SYM(get_user_pages_fast);
long pin_user_pages(unsigned long start, unsigned long nr_pages, unsigned int gup_flags, struct page **pages)
	KD_SYM(pin_user_pages);
long pin_user_pages_remote(struct mm_struct *mm, unsigned long start, unsigned long nr_pages, unsigned int gup_flags,
                           struct page **pages, int *locked) KD_SYM(pin_user_pages_remote);
long pin_user_pages_unlocked(unsigned long start, unsigned long nr_pages, struct page **pages, unsigned int gup_flags)
	KD_SYM(pin_user_pages_unlocked);
int pin_user_pages_fast(unsigned long start, int nr_pages, unsigned int gup_flags, struct page **pages)
	KD_SYM(pin_user_pages_fast);
void unpin_user_page(struct page *page) KD_SYM(unpin_user_page);
void unpin_user_pages(struct page **pages, unsigned long npages) KD_SYM(unpin_user_pages);
void unpin_user_pages_dirty_lock(struct page **pages, unsigned long npages, bool make_dirty)
	KD_SYM(unpin_user_pages_dirty_lock);
void unpin_user_page_range_dirty_lock(struct page *page, unsigned long npages, bool make_dirty)
	KD_SYM(unpin_user_page_range_dirty_lock);
void unpin_user_folio(struct folio *folio, unsigned long npages) KD_SYM(unpin_user_folio);
void unpin_folio(struct folio *folio) KD_SYM(unpin_folio);
void unpin_folios(struct folio **folios, unsigned long nfolios) KD_SYM(unpin_folios);
bool folio_maybe_dma_pinned(struct folio *folio) KD_SYM(folio_maybe_dma_pinned);
#define page_maybe_dma_pinned(page) folio_maybe_dma_pinned(page_folio(page))
/* True: the machine has no memory that pages must leave. */
#define folio_is_longterm_pinnable(folio) ((void)(folio), true)
#define is_longterm_pinnable_page(page) ((void)(page), true)
void put_page(struct page *page) KD_SYM(put_page);
#define folio_put(folio) put_page(&(folio)->page)
#define folio_get(folio) get_page(&(folio)->page)
#define folio_put_refs(folio, n) do { for (int kd_i = 0; kd_i < (int)(n); kd_i++) folio_put(folio); } while (0)
#endif

void get_page(struct page *page) KD_SYM(get_page);
void release_pages(struct page **pages, int n) KD_SYM(release_pages);
/* Recorded, for PageDirty() and kd_dirty(); the release that follows tells the machine. */
int set_page_dirty(struct page *page) KD_SYM(set_page_dirty);
int set_page_dirty_lock(struct page *page) KD_SYM(set_page_dirty_lock);
#define folio_mark_dirty(folio) set_page_dirty(&(folio)->page)
#define folio_mark_dirty_lock(folio) set_page_dirty_lock(&(folio)->page)

/* ---- pages ---------------------------------------------------------------------------------- */

void *page_address(const struct page *page) KD_SYM(page_address);
/* A physical address is the address in this process, a pfn its page number: a test's device may use them as pointers. */
struct page *virt_to_page(const void *addr) KD_SYM(virt_to_page);
bool virt_addr_valid(const void *addr) KD_SYM(virt_addr_valid);
#define page_to_virt(page) page_address(page)
#define page_to_phys(page) ((phys_addr_t)(unsigned long)page_address(page))
#define page_to_pfn(page) ((unsigned long)(page_to_phys(page) >> PAGE_SHIFT))
#define pfn_to_page(pfn) virt_to_page((void *)((unsigned long)(pfn) << PAGE_SHIFT))
#define pfn_valid(pfn) virt_addr_valid((void *)((unsigned long)(pfn) << PAGE_SHIFT))
#define phys_to_page(phys) pfn_to_page((phys) >> PAGE_SHIFT)
#define virt_to_phys(p) ((phys_addr_t)(unsigned long)(p))
#define phys_to_virt(p) ((void *)(unsigned long)(p))
#define __pa(p) ((unsigned long)(p))
#define __va(p) ((void *)(unsigned long)(p))
#define virt_to_head_page(p) compound_head(virt_to_page(p))
#define virt_to_pfn(p) ((unsigned long)(p) >> PAGE_SHIFT)
#define pfn_to_kaddr(pfn) ((void *)((unsigned long)(pfn) << PAGE_SHIFT))
#define nth_page(page, n) ((page) + (n))
#define page_to_nid(page) ((void)(page), 0)

/* The first page of the 2^order frames that were allocated as one, and how many they are. */
struct page *kd_compound_head(const struct page *page, unsigned long *nr);
#define compound_head(page) kd_compound_head(page, NULL)
#define page_folio(page) ((struct folio *)kd_compound_head(page, NULL))
#define folio_page(folio, n) (&(folio)->page + (n))
#define folio_nr_pages(folio) ({ unsigned long kd_nr; kd_compound_head(&(folio)->page, &kd_nr); (long)kd_nr; })
#define compound_nr(page) ((unsigned long)folio_nr_pages((struct folio *)(page)))
#define folio_order(folio) ((unsigned int)ilog2((unsigned long)folio_nr_pages(folio)))
#define compound_order(page) folio_order((struct folio *)(page))
#define folio_size(folio) ((size_t)folio_nr_pages(folio) << PAGE_SHIFT)
#define page_size(page) ((unsigned long)folio_size((struct folio *)(page)))
#define folio_page_idx(folio, p) ((unsigned long)((p) - &(folio)->page))
#define folio_address(folio) page_address(&(folio)->page)
#define folio_pfn(folio) page_to_pfn(&(folio)->page)
#define folio_test_large(folio) (folio_nr_pages(folio) > 1)
#define PageCompound(page) (folio_nr_pages(page_folio(page)) > 1)
#define PageHead(page) (PageCompound(page) && compound_head(page) == (page))
#define PageTail(page) (compound_head(page) != (page))
#define PageTransHuge PageHead
void dump_page(struct page *page, const char *reason) KD_SYM(dump_page);

/* ---- address spaces -------------------------------------------------------------------------- */

/* The first mapping that ends behind addr; mmap lock held. */
struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr) KD_SYM(find_vma);
/* The one that holds addr, or NULL. */
struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long addr) KD_SYM(vma_lookup);
#define find_vma_intersection(mm, a, b) ({ \
	struct vm_area_struct *kd_v = find_vma(mm, a); kd_v && kd_v->vm_start < (b) ? kd_v : NULL; })
#define find_extend_vma vma_lookup
#define vma_pages(vma) (((vma)->vm_end - (vma)->vm_start) >> PAGE_SHIFT)
#define vma_is_anonymous(vma) (!(vma)->vm_ops)
#define is_vm_hugetlb_page(vma) ((void)(vma), false)
#define vma_is_fsdax(vma) ((void)(vma), false)

/* A driver's pages in user memory: not in this double.  Told as a problem, and -EOPNOTSUPP. */
int kd_no_mapping(const char *call);
#define remap_pfn_range(vma, addr, pfn, size, prot) kd_no_mapping("remap_pfn_range")
#define io_remap_pfn_range(vma, addr, pfn, size, prot) kd_no_mapping("io_remap_pfn_range")
#define vm_insert_page(vma, addr, page) kd_no_mapping("vm_insert_page")
#define vm_map_pages(vma, pages, n) kd_no_mapping("vm_map_pages")
#define remap_vmalloc_range(vma, addr, pgoff) kd_no_mapping("remap_vmalloc_range")
#define vm_flags_set(vma, flags) ((void)((vma)->vm_flags |= (flags)))
#define vm_flags_clear(vma, flags) ((void)((vma)->vm_flags &= ~(flags)))
#define vm_get_page_prot(flags) __pgprot(flags)
#define pgprot_noncached(prot) (prot)
#define pgprot_writecombine(prot) (prot)

/* 0; -ENOMEM over RLIMIT_MEMLOCK without CAP_IPC_LOCK. */
int account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc) KD_SYM(account_locked_vm);
int __account_locked_vm(struct mm_struct *mm, unsigned long pages, bool inc, struct task_struct *task, bool bypass)
	KD_SYM(__account_locked_vm);
bool can_do_mlock(void) KD_SYM(can_do_mlock);

#include <linux/slab.h>
#include <linux/vmalloc.h>
#endif

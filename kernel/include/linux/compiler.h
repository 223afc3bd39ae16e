/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Attributes and helpers of the compiler. */
#ifndef KD_LINUX_COMPILER_H
#define KD_LINUX_COMPILER_H

/* The library's symbols are called kd_*, the kernel's kd_k_*; its kernel's names exist in the headers only. */
#define KD_SYM(name) __asm__("kd_k_" #name)

#define __user
#define __kernel
#define __iomem
#define __percpu
#define __rcu
#define __force
#define __bitwise
#define __acquires(x)
#define __releases(x)
#define __acquire(x) (void)0
#define __release(x) (void)0
#define __must_hold(x)
#define __must_check __attribute__((warn_unused_result))
#define __maybe_unused __attribute__((unused))
#define __always_unused __attribute__((unused))
#define __used __attribute__((used))
#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __printf(a, b) __attribute__((format(printf, a, b)))
#define __noreturn __attribute__((noreturn))
#define __pure __attribute__((pure))
#define __weak __attribute__((weak))
#define __cold __attribute__((cold))
#define __deprecated
#define __malloc __attribute__((malloc))
#ifndef __counted_by /* newer headers of the system have it */
#define __counted_by(member)
#endif
#define __free(name) __attribute__((cleanup(__free_##name)))
#define __cleanup(fn) __attribute__((cleanup(fn)))
#define noinline __attribute__((noinline))
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define noinline_for_stack noinline
#define notrace
#define asmlinkage
#define fallthrough __attribute__((fallthrough))
#define ____cacheline_aligned __attribute__((aligned(64)))
#define ____cacheline_aligned_in_smp ____cacheline_aligned
#define __read_mostly
#define __ro_after_init
#define __init
#define __exit __attribute__((unused))
#define __initdata
#define __initconst
#define __exitdata
#define __ref
#define __section(name)

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ volatile("" ::: "memory")
#define unreachable() __builtin_unreachable()
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() smp_mb()
#define smp_wmb() smp_mb()
#define mb() smp_mb()
#define rmb() smp_mb()
#define wmb() smp_mb()
#define dma_rmb() smp_mb()
#define dma_wmb() smp_mb()
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define smp_mb__before_atomic() smp_mb()
#define smp_mb__after_atomic() smp_mb()

#define __stringify_1(x...) #x
#define __stringify(x...) __stringify_1(x)
#define __PASTE_(a, b) a##b
#define __PASTE(a, b) __PASTE_(a, b)
#define __UNIQUE_ID(prefix) __PASTE(__PASTE(__unique_id_##prefix, _), __COUNTER__)
#define __same_type(a, b) __builtin_types_compatible_p(__typeof__(a), __typeof__(b))
#define BUILD_BUG_ON(c) _Static_assert(!(c), "BUILD_BUG_ON: " #c)
#define BUILD_BUG_ON_MSG(c, text) _Static_assert(!(c), text)
#ifndef static_assert
#define static_assert(expr, ...) _Static_assert(expr, "" __VA_ARGS__ #expr)
#endif

/* 1 for an option that -D sets to 1, else 0: its value makes an argument of KD_SECOND, or does not. */
#define KD_COMMA_1 0,
#define KD_SECOND(a, b, ...) b
#define KD_IS_ONE2(comma) KD_SECOND(comma 1, 0, 0)
#define KD_IS_ONE1(value) KD_IS_ONE2(KD_COMMA_##value)
#define KD_IS_ONE(value) KD_IS_ONE1(value)
#define IS_ENABLED(option) KD_IS_ONE(option)
#define IS_BUILTIN(option) KD_IS_ONE(option)
#define IS_MODULE(option) 0
#define IS_REACHABLE(option) KD_IS_ONE(option)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * linux_signal.c - SIGBUS and SIGSEGV: ours are served, all others go where they went before.
 *
 * A signal sent by a process (si_code <= 0) is never ours.  The default action is reached by
 * restoring it and returning: the access faults again, and the process dies at that instruction, as
 * a debugger or a core file should show it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "host/host.h"

typedef enum host_fault (*fault_fn)(unsigned long addr, bool write, int sig);

static _Atomic(fault_fn) serve;
static struct sigaction old_bus, old_segv; /* written before `serve`, read after it */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int install_err;
static fault_fn install_fn;

#if defined(__aarch64__)
/* A data abort's WnR bit.  The kernel gives ESR with every fault; without one it is no fault. */
static bool is_write(ucontext_t *uc)
{
	unsigned char *p = uc->uc_mcontext.__reserved;
	unsigned char *end = p + sizeof(uc->uc_mcontext.__reserved);

	while (end - p >= (long)sizeof(struct _aarch64_ctx)) {
		struct _aarch64_ctx *head = (struct _aarch64_ctx *)p;

		if (head->magic == ESR_MAGIC) {
			uint64_t esr = ((struct esr_context *)head)->esr;

			return (esr >> 26 & 0x3e) == 0x24 && (esr >> 6 & 1);
		}
		if (!head->magic || head->size < sizeof(*head))
			break;
		p += head->size;
	}
	return false;
}
#elif defined(__x86_64__)
/* The page fault's error code. */
static bool is_write(ucontext_t *uc)
{
	return uc->uc_mcontext.gregs[REG_ERR] >> 1 & 1;
}
#else
#error "host/linux_signal.c: tell a load from a store on this machine"
#endif

/* A page that broke (BUS_MCEERR), a protection key, a bad instruction: serving would not end it. */
static bool is_access(int sig, const siginfo_t *info)
{
	if (sig == SIGBUS)
		return info->si_code == BUS_ADRERR;
	return sig == SIGSEGV && (info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR);
}

static enum host_fault dispatch(int sig, void *siginfo, void *ucontext)
{
	/* acquire: pairs with the release in install(): old_* are there */
	fault_fn fn = atomic_load_explicit(&serve, memory_order_acquire);
	siginfo_t *info = siginfo;
	int kept = errno;
	enum host_fault fact;

	if (!fn || !is_access(sig, info))
		return HOST_FAULT_OTHER;
	fact = fn((unsigned long)info->si_addr, is_write(ucontext), sig);
	errno = kept;
	return fact;
}

bool host_fault_dispatch(int sig, void *siginfo, void *ucontext)
{
	return dispatch(sig, siginfo, ucontext) == HOST_FAULT_SERVED;
}

/* The signal as if we had never been there; for a sent one, or one we made of another, now, for a fault at the next
 * try. */
static void default_action(int sig, siginfo_t *info, bool now)
{
	struct sigaction dfl;

	memset(&dfl, 0, sizeof(dfl));
	dfl.sa_handler = SIG_DFL;
	sigemptyset(&dfl.sa_mask);
	sigaction(sig, &dfl, NULL);
	if (info->si_code > 0 && !now)
		return;
	/* with its siginfo, who sent it; a kernel that refuses gets a plain one, and so does one we made */
	if (info->si_code > 0 || syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), sig, info))
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig);
}

/* Runs the application's earlier handler under the mask it asked for; our return restores it. */
static void call_old(struct sigaction *old, int sig, siginfo_t *info, void *ucontext)
{
	sigset_t mask = old->sa_mask;

	if (!(old->sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(sig, info, ucontext);
	else
		old->sa_handler(sig);
}

static void pass_on(struct sigaction *old, int sig, siginfo_t *info, void *ucontext, bool made)
{
	static _Atomic uint32_t reset[2]; /* SA_RESETHAND handlers that have run */
	bool plain = !(old->sa_flags & SA_SIGINFO);

	if (plain && old->sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	/* an ignored fault would repeat for ever: the kernel kills then, and so do we */
	if (plain && (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN))
		default_action(sig, info, made);
	/* relaxed: one of two threads gets the 0, nothing else is ordered */
	else if (old->sa_flags & SA_RESETHAND &&
	         atomic_exchange_explicit(&reset[sig == SIGBUS], 1, memory_order_relaxed))
		default_action(sig, info, made);
	else
		call_old(old, sig, info, ucontext);
}

static void on_signal(int sig, siginfo_t *info, void *ucontext)
{
	int kept = errno;

	switch (dispatch(sig, info, ucontext)) {
	case HOST_FAULT_SERVED:
		break;
	case HOST_FAULT_OTHER:
		pass_on(sig == SIGBUS ? &old_bus : &old_segv, sig, info, ucontext, false);
		break;
	case HOST_FAULT_BUS:
		if (sig == SIGSEGV) {
			siginfo_t bus = *info;

			bus.si_signo = SIGBUS;
			bus.si_code = BUS_ADRERR;
			pass_on(&old_bus, SIGBUS, &bus, ucontext, true);
		} else {
			pass_on(&old_bus, sig, info, ucontext, false);
		}
	}
	errno = kept;
}

static int take_signal(int sig, struct sigaction *old)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_signal;
	/* NODEFER: the old handler may touch a window and fault again */
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigemptyset(&sa.sa_mask);
	return sigaction(sig, &sa, old) ? -errno : 0;
}

static void install(void)
{
	/* asked before it is replaced: a signal may come in between and wants to know */
	if (sigaction(SIGBUS, NULL, &old_bus) || sigaction(SIGSEGV, NULL, &old_segv)) {
		install_err = -errno;
		return;
	}
	/* release: old_* are there; pairs with the acquire in host_fault_dispatch */
	atomic_store_explicit(&serve, install_fn, memory_order_release);
	install_err = take_signal(SIGBUS, NULL);
	if (install_err)
		return;
	install_err = take_signal(SIGSEGV, NULL);
	if (install_err)
		sigaction(SIGBUS, &old_bus, NULL);
}

int host_fault_handler(enum host_fault (*fault)(unsigned long addr, bool write, int sig))
{
	static struct host_mutex lock = HOST_MUTEX_INIT(HOST_RANK_STAT);
	int kept = errno;

	host_lock(&lock);
	install_fn = fault;
	pthread_once(&once, install);
	host_unlock(&lock);
	errno = kept;
	return install_err;
}

int host_fault_use(enum host_fault (*fault)(unsigned long addr, bool write, int sig))
{
	/* release: nothing is passed on by us, old_* are not looked at */
	atomic_store_explicit(&serve, fault, memory_order_release);
	return 0;
}

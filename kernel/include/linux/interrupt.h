/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  Handlers' types; a test calls the handler itself. */
#ifndef KD_LINUX_INTERRUPT_H
#define KD_LINUX_INTERRUPT_H

#include <linux/kernel.h>

typedef enum irqreturn {
	IRQ_NONE = 0,
	IRQ_HANDLED = 1,
	IRQ_WAKE_THREAD = 2,
} irqreturn_t;
typedef irqreturn_t (*irq_handler_t)(int irq, void *data);
#define IRQ_RETVAL(x) ((x) ? IRQ_HANDLED : IRQ_NONE)

#endif

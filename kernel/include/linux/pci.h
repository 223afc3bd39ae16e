/* SPDX-License-Identifier: MIT */
/* Test double (doc/kernel.md).  A PCI device is a struct that the test fills; there is no bus and no configuration space. */
#ifndef KD_LINUX_PCI_H
#define KD_LINUX_PCI_H

#include <linux/device.h>
#include <linux/io.h>
#include <linux/mod_devicetable.h>

struct pci_dev {
	struct device dev;
	unsigned int devfn;
	unsigned short vendor, device, subsystem_vendor, subsystem_device;
	unsigned int class;
	u8 revision;
	unsigned int irq;
	unsigned int error_state; /* the test's to set; 0 is normal, too */
	void __iomem *kd_bars[6];
};
#define to_pci_dev(d) container_of(d, struct pci_dev, dev)
#define pci_name(pdev) dev_name(&(pdev)->dev)
#define pci_get_drvdata(pdev) dev_get_drvdata(&(pdev)->dev)
#define pci_set_drvdata(pdev, data) dev_set_drvdata(&(pdev)->dev, data)
#define PCI_DEVFN(slot, func) ((((slot) & 0x1f) << 3) | ((func) & 7))
#define PCI_SLOT(devfn) (((devfn) >> 3) & 0x1f)
#define PCI_FUNC(devfn) ((devfn) & 7)
#define pci_err(pdev, fmt, ...) dev_err(&(pdev)->dev, fmt, ##__VA_ARGS__)
#define pci_warn(pdev, fmt, ...) dev_warn(&(pdev)->dev, fmt, ##__VA_ARGS__)
#define pci_info(pdev, fmt, ...) dev_info(&(pdev)->dev, fmt, ##__VA_ARGS__)
#define pci_dbg(pdev, fmt, ...) dev_dbg(&(pdev)->dev, fmt, ##__VA_ARGS__)
typedef unsigned int pci_channel_state_t;
#define pci_channel_io_normal 1u
#define pci_channel_io_frozen 2u
#define pci_channel_io_perm_failure 3u
#define pci_channel_offline(pdev) ((pdev)->error_state > pci_channel_io_normal)

/* There are no interrupts: -ENOSPC. */
#define PCI_IRQ_MSI 2u
#define PCI_IRQ_MSIX 4u
#define pci_alloc_irq_vectors(pdev, lo, hi, flags) ((void)(pdev), -ENOSPC)
#define pci_free_irq_vectors(pdev) (void)(pdev)

#endif

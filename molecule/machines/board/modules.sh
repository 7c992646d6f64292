#!/bin/sh
# Builds the kernel modules that Debian does not ship, from Debian's own source: simulated GPIO pins with the simulated
# interrupts that they need, and a video node that converts frames and captures none, as the codecs of a Pi do.
set -eu
kernel=$1 into=$2
work=$(mktemp -d)
tar -xJf /usr/src/linux-source-*.tar.xz -C "$work" --strip-components=1 --wildcards \
    '*/drivers/gpio/gpio-sim.c' '*/drivers/gpio/gpiolib.h' '*/kernel/irq/irq_sim.c' \
    '*/drivers/media/v4l2-core/v4l2-mem2mem.c' '*/drivers/media/test-drivers/vim2m.c'
find "$work" -mindepth 2 -type f -exec mv -t "$work" {} +
# irq_sim is meant to be built in: as a module it says so itself, and reaches descriptors by what is exported.
sed -i -e '1i #include <linux/module.h>\n#include <linux/irq.h>\n#include <linux/irqdesc.h>' \
    -e 's/irq_to_desc(\([^)]*\))/irq_data_to_desc(irq_get_irq_data(\1))/' \
    -e '$a MODULE_DESCRIPTION("simulated interrupts");\nMODULE_LICENSE("GPL");' "$work/irq_sim.c"
echo 'obj-m += irq_sim.o gpio-sim.o v4l2-mem2mem.o vim2m.o' >"$work/Kbuild"
make -s -C "/lib/modules/$kernel/build" M="$work" modules
install -D -m 0644 -t "$into" "$work"/*.ko
rm -r "$work"

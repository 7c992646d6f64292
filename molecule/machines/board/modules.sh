#!/bin/sh
# Builds the two kernel modules that Debian does not ship, from Debian's own source: simulated GPIO pins, and the
# simulated interrupts which those need.
set -eu
kernel=$1 into=$2
work=$(mktemp -d)
tar -xJf /usr/src/linux-source-*.tar.xz -C "$work" --strip-components=1 --wildcards \
    '*/drivers/gpio/gpio-sim.c' '*/drivers/gpio/gpiolib.h' '*/kernel/irq/irq_sim.c'
mv "$work"/drivers/gpio/* "$work/kernel/irq/irq_sim.c" "$work"
# irq_sim is meant to be built in: as a module it says so itself, and reaches descriptors by what is exported.
sed -i -e '1i #include <linux/module.h>\n#include <linux/irq.h>\n#include <linux/irqdesc.h>' \
    -e 's/irq_to_desc(\([^)]*\))/irq_data_to_desc(irq_get_irq_data(\1))/' \
    -e '$a MODULE_DESCRIPTION("simulated interrupts");\nMODULE_LICENSE("GPL");' "$work/irq_sim.c"
echo 'obj-m += irq_sim.o gpio-sim.o' >"$work/Kbuild"
make -s -C "/lib/modules/$kernel/build" M="$work" modules
install -D -m 0644 -t "$into" "$work/irq_sim.ko" "$work/gpio-sim.ko"
rm -r "$work"

"""A machine with PCI network cards and an IOMMU, emulated by QEMU: where a port by PCI address can be started.

Its kernel is Debian's, unpacked beside the build and never installed; its only file system is an archive of the few
programs it runs. Each card's wire ends in a tap interface of a network namespace of the lab.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess

import gateway
import lab

MODULES = ("vfio-pci", "vfio_iommu_type1", "tun", "virtio_pci", "virtio_net")
DRIVERS = ("bus_pci", "bus_vdev", "mempool_ring", "net_e1000", "net_virtio", "net_tap")

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
for module in $(cat /modules); do insmod $module || echo "insmod $module failed"; done
ip link set lo up
. /environment
exec <>/dev/ttyS1 >&0 2>&1
stty raw -echo
echo machine: up >/dev/console
while read -r line; do sh -c "$line" </dev/null; echo "exit: $?"; done
"""


def kernel():
    """The image and the modules' folder of the kernel that tools/dev/kernel.sh unpacked; None if there is none."""
    root = gateway.build_dir() / "kernel"
    return (next((root / "boot").glob("vmlinuz-*")), next((root / "lib/modules").iterdir())) if root.exists() else None


def _libraries(*programs):
    """What the dynamic loader opens for them, themselves included."""
    found = set()
    for program in programs:
        found.add(program)
        for line in lab.run("ldd", program).stdout.splitlines():
            path = re.search(r"(/\S+) \(0x", line)
            if path:
                found.add(pathlib.Path(path[1]))
    return found


class Machine:
    """Two processors, a gigabyte, and a card of `queues` for each of `wires` (interface: its namespace); the lab ends it.
    cards: their PCI addresses, as dpdk-devbind.py prints them."""

    def __init__(self, the_lab, model, wires, programs, queues=1):
        self.lab = the_lab
        vmlinuz, modules = kernel()
        image = self._archive(modules, programs)
        self.cards = [f"0000:00:{4 + i:02x}.0" for i in range(len(wires))]
        argv = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1024",
                "-nodefaults", "-no-reboot", "-display", "none", "-device", "intel-iommu,caching-mode=on,aw-bits=48",
                "-kernel", vmlinuz, "-initrd", image, "-append", "console=ttyS0 quiet panic=-1 intel_iommu=on hugepages=128",
                "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
                "-serial", f"unix:{the_lab.dir}/shell.sock,server=on,wait=off"]
        for i, wire in enumerate(wires):
            argv += ["-netdev", f"tap,id=n{i},ifname={wire},script=no,downscript=no,queues={queues}", "-device", f"{model},netdev=n{i},addr={4 + i},mac=02:00:00:00:00:{i + 1:02x}"]
        self.process = the_lab.start("machine", argv, ns="wire")
        lab.wait_for(lambda: "machine: up" in self.process.output() or not self.process.running(), 120, "the machine's kernel is up")
        if not self.process.running():
            raise lab.LabError("QEMU ended:\n" + self.process.output())
        for wire, ns in wires.items():
            lab.run("ip", "-n", "wire", "link", "set", wire, "netns", ns)
            lab.run("ip", "-n", ns, "link", "set", wire, "up")
        self.shell = socket.socket(socket.AF_UNIX)
        self.shell.connect(f"{the_lab.dir}/shell.sock")

    def _archive(self, modules, programs):
        root = self.lab.dir / "root"
        for folder in ("bin", "dev", "proc", "sys", "run", "tmp", "etc"):
            (root / folder).mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin/busybox")
        for applet in lab.run("/bin/busybox", "--list").stdout.split():
            if applet != "busybox":
                (root / "bin" / applet).symlink_to("busybox")
        sanitizers = {key: value for key, value in os.environ.items() if key in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")}
        (root / "environment").write_text("".join(f"export {key}='{value}'\n" for key, value in sanitizers.items()))
        for path in re.findall(r"suppressions=([^:]+)", ":".join(sanitizers.values())):
            (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path.lstrip("/"))
        (root / "var").mkdir()
        (root / "var/run").symlink_to("/run")
        (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\n")
        insert = []
        for module in MODULES:
            for line in lab.run("modprobe", "-d", modules.parents[2], "-S", modules.name, "--show-depends", module).stdout.splitlines():
                path = line.split()[1]
                if line.startswith("insmod") and path not in insert:
                    insert.append(path)
        (root / "lib").mkdir()
        for path in insert:
            shutil.copy(path, root / "lib")
        (root / "modules").write_text("\n".join("/lib/" + pathlib.Path(p).name for p in insert))
        plugins = pathlib.Path("/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0")
        for path in _libraries(*programs, *(plugins / f"librte_{name}.so.23" for name in DRIVERS)):
            if path in programs:
                shutil.copy(path, root / "bin")
                continue
            # One file under its several names, as here: the loader would take copies for different libraries.
            file, name = (root / str(p).lstrip("/") for p in (path.resolve(), path))
            for target in (file, name):
                target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, file)
            if name.resolve() != file:
                name.symlink_to(path.resolve())
        (root / "init").write_text(INIT)
        (root / "init").chmod(0o755)
        image = self.lab.dir / "machine.cpio"
        with open(image, "wb") as out:
            files = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
            subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=files, stdout=out, check=True)
        shutil.rmtree(root)
        return image

    def bind(self, card, driver):
        """What dpdk-devbind.py -b does. An empty driver: unbind."""
        device = f"/sys/bus/pci/devices/{card}"
        self.run(f"test ! -e {device}/driver || echo {card} >{device}/driver/unbind; echo {driver} >{device}/driver_override; "
                 f"test -z '{driver}' || echo {card} >/sys/bus/pci/drivers_probe")

    def run(self, command, seconds=60):
        """Runs a shell command of one line in the machine; returns its exit status and output."""
        self.shell.sendall(command.encode() + b"\n")
        self.shell.settimeout(seconds)
        heard = ""
        while not (end := re.search(r"exit: (\d+)\r?\n\Z", heard)):
            try:
                heard += self.shell.recv(65536).decode(errors="replace")
            except TimeoutError:
                raise lab.LabError(f"the machine did not finish within {seconds} s: {command}\n{heard}\n{self.process.output()[-2000:]}") from None
        return int(end[1]), heard[:end.start()]

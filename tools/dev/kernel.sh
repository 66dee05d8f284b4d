# Sourced by tools/test and tools/dev/check: unpacks Debian's kernel beside a build, for the emulated machine of
# tests/smoke/nic_test.py. Nothing is installed: the kernel this host boots stays what it is.

# unpack_kernel BUILD_DIR
unpack_kernel() {
  local target=$1/kernel work=$1/kernel.part package
  [ -d "$target" ] && return 0
  rm -rf "$work" && mkdir -p "$work"
  package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p')
  if (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package" && dpkg -x ./*.deb root && depmod -b root "$(ls root/lib/modules)") >"$target.log" 2>&1; then
    mv "$work/root" "$target"
  else
    echo "No kernel for the emulated machine (its tests will be skipped): $(tail -n 1 "$target.log")"
  fi
  rm -rf "$work" "$target.log"
}

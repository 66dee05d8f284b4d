# Sourced by tools/demo, tools/test and tools/dev/check: installs the packages of tools/packages.txt that are missing.
# Needs root only when something is missing.

install_missing_packages() {
  local list missing
  list=$(sed 's/#.*//' "$1" | tr -s ' \n' ' ')
  # shellcheck disable=SC2086  # word splitting of the list is wanted
  missing=$(for package in $list; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
  done)
  [ -z "$missing" ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    echo "Missing Debian packages: $(echo $missing)" >&2
    echo "Run this once as root, or: sudo apt-get install --no-install-recommends $(echo $missing)" >&2
    return 1
  fi
  echo "Installing $(echo "$missing" | wc -w) Debian packages ..."
  local log
  log=$(mktemp)
  if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "apt-get failed; its whole output is in $log" >&2
    return 1
  fi
  rm -f "$log"
}

# Sourced: configures and builds a tree, showing progress.

# build_tree ROOT BUILD_DIR [meson setup options]
build_tree() {
  local root=$1 build=$2 log=$2.log started=$SECONDS last=0 pid
  shift 2
  echo "Building in $build ..."
  if [ ! -f "$build/build.ninja" ]; then
    meson setup "$build" "$root" "$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2; return 1; }
  fi
  if [ -t 1 ]; then
    ninja -C "$build" || return 1  # on a terminal ninja shows one moving line
  else
    ninja -C "$build" >"$log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
      sleep 1
      [ $((SECONDS - last)) -ge 20 ] || continue
      last=$SECONDS
      echo "  $(grep -oE '^\[[0-9]+/[0-9]+\]' "$log" | tail -n 1) after $((SECONDS - started)) s"
    done
    wait "$pid" || { grep -E 'error|FAILED' -A 5 "$log" | head -n 60 >&2; echo "The whole build log: $log" >&2; return 1; }
  fi
  echo "Built in $((SECONDS - started)) s."
}

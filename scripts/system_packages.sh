#!/usr/bin/env bash
# Looks for what must be on the machine and installs what is lacking, or prints
# the one command that would and fails. Usage: system_packages.sh [PYTHON]
#
# The thing itself is looked for, not its package: any other way of installing
# it will do.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${1:-python3}

main() {
  succeeds '' && check_version
  local packages
  packages=$(lacking | xargs)
  [ -z "$packages" ] && return

  local update='apt-get update'
  local install="apt-get install --yes --no-install-recommends $packages"
  if [ "$(uname)" = Darwin ]; then
    ask_for "$packages" 'brew install python libmypaint mypaint-brushes'
  elif ! command -v apt-get >/dev/null; then
    ask_for "$packages" "install what Debian calls $packages"
  elif [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    ask_for "$packages" "sudo $update && sudo $install"
  else
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    echo "Installing packages of the system: $packages"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # Words of a command.
    "${sudo[@]}" $update -qq && "${sudo[@]}" $install -qq >/dev/null || exit 1
    check_version
  fi
}

lacking() {
  local library=environments/painting/library.py
  if ! succeeds ''; then
    echo python3 python3-venv
  elif ! succeeds 'import ensurepip, venv'; then
    "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
  fi
  succeeds "import runpy; runpy.run_path('$library')['find_libmypaint']()" ||
    echo libmypaint-1.5-1
  succeeds "import runpy; runpy.run_path('$library')['find_brushes']()" ||
    echo mypaint-brushes
  echo '#include <pthread.h>' | cc -E - >/dev/null 2>&1 || echo gcc libc6-dev
}

# Prints a command and fails, unless only the compiler is lacking: there is a
# slower way to paint without it.
ask_for() {
  [ "$1" = 'gcc libc6-dev' ] && return
  printf 'Please run this and try again:\n  %s\n' "$2"
  exit 1
}

check_version() {
  succeeds 'import sys; sys.exit(sys.version_info < (3, 11))' && return
  echo "$python is $("$python" --version 2>&1), and Python 3.11 or later is" \
    'needed. If you have one, name it: make setup PYTHON=python3.11'
  exit 1
}

succeeds() { "$python" -c "$1" >/dev/null 2>&1; }

main

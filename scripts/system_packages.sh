#!/usr/bin/env bash
# Looks for what must be on the machine and installs what is lacking, or prints
# the one command that would and fails. Usage: system_packages.sh [PYTHON]
#
# The thing itself is looked for, not its package: any other way of installing
# it will do. What can be done without is installed likewise, but that it cannot
# be is no failure.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${1:-python3}

main() {
  succeeds '' && check_version
  local needed optional packages
  needed=$(lacking | xargs)
  optional=$(lacking_optional | xargs)
  packages=$(echo "$needed $optional" | xargs)
  [ -z "$packages" ] && return

  local update='apt-get update'
  local install="apt-get install --yes --no-install-recommends"
  if [ "$(uname)" = Darwin ]; then
    ask_for "$needed" 'brew install python libmypaint mypaint-brushes'
  elif ! command -v apt-get >/dev/null; then
    ask_for "$needed" "install what Debian calls $packages"
  elif [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    ask_for "$needed" "sudo $update && sudo $install $packages"
  else
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    echo "Installing packages of the system: $packages"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # Words of a command.
    "${sudo[@]}" $update -qq &&
      "${sudo[@]}" $install -qq $packages >/dev/null ||
      "${sudo[@]}" $install -qq $needed >/dev/null || exit 1
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
}

# Painting can do without a compiler, more slowly, and without OpenGL. Scenes
# need it; libOpenGL is for MuJoCo's own renderer.
lacking_optional() {
  local gl=environments/scene/gl.py
  echo '#include <pthread.h>' | cc -E - >/dev/null 2>&1 || echo gcc libc6-dev
  [ "$(uname)" = Darwin ] && return
  succeeds "import runpy; runpy.run_path('$gl')['open_context']('auto', 8)" ||
    echo libegl1 libegl-mesa0 libgl1-mesa-dri
  succeeds "import ctypes; ctypes.CDLL('libOpenGL.so.0')" || echo libopengl0
}

# Prints a command, and fails if what is needed ($1) is lacking.
ask_for() {
  if [ -z "$1" ]; then
    printf 'Not needed, but better: run this at some time:\n  %s\n' "$2"
    return
  fi
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

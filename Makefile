# `make demo` and `make reconstruct` train an agent that draws, `make test` runs
# all checks. Each first sets up what a bare machine lacks: packages of the
# system, a virtual environment in .venv, and this package in it.
#
# PYTHON names the Python (3.11 or later) that .venv is made from.

SHELL = /bin/bash
PYTHON ?= python3
BIN = .venv/bin/python
# Two at a time: what takes long in the tests is XLA's compiler, which is
# mostly serial.
PYTEST_FLAGS ?= -n 2

.PHONY: help setup system demo reconstruct test clean

help:
	@echo 'make demo         train an agent that draws digits from noise'
	@echo 'make reconstruct  train an agent that redraws given digits'
	@echo 'make test         run the tests, the linter and the type checker'
	@echo 'make setup        only set up; the others do so themselves'
	@echo 'make clean        remove .venv and what builds left; runs/ stays'

demo: setup
	$(BIN) experiments/mnist.py --flagfile=experiments/flags/demo.flags

reconstruct: setup
	$(BIN) experiments/mnist.py --flagfile=experiments/flags/reconstruct.flags

# All three run, whatever the first ones say.
test: setup
	@status=0; \
	$(BIN) -m ruff check . || status=1; \
	$(BIN) -m mypy || status=1; \
	$(BIN) -m pytest $(PYTEST_FLAGS) || status=1; \
	exit $$status

setup: .venv/.installed

.venv/.installed: setup.py pyproject.toml \
		$(wildcard environments/painting/csrc/*.[ch]) | system
	@if ! $(BIN) -c '' 2>/dev/null; then \
	  echo '$(PYTHON) -m venv .venv'; $(PYTHON) -m venv --clear .venv; fi
	$(BIN) -m pip install --editable '.[train,test]'
	@if ! ls environments/painting/_native*.so >/dev/null 2>&1; then \
	  echo 'Note: the native painting step was not built (no C compiler?).' \
	      'Drawing works without it, several times slower.'; fi
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info environments/painting/_native*.so \
	    .pytest_cache .ruff_cache .mypy_cache .hypothesis

# What must be on the machine. The thing itself is looked for, not its package:
# any other way of installing it will do. The compiler is the one that setup
# can go on without.
define SYSTEM
finds() { "$(PYTHON)" -c "$$1" >/dev/null 2>&1; }

lacking() {
  if ! finds ''; then
    echo python3 python3-venv
  elif ! finds 'import ensurepip, venv'; then
    "$(PYTHON)" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
  fi
  PATH=$$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null |
    grep -q 'libmypaint-1\.5\.so' || echo libmypaint-1.5-1
  compgen -G '/usr/*/mypaint-data/*/brushes' >/dev/null ||
    compgen -G '/usr/local/share/mypaint-data/*/brushes' >/dev/null ||
    echo mypaint-brushes
  echo '#include <pthread.h>' | cc -E - >/dev/null 2>&1 || echo gcc libc6-dev
}

if [ "$$(uname)" = Darwin ]; then
  # Not tried: see BUILD.md.
  brew list libmypaint >/dev/null 2>&1 ||
    { echo 'Please run this and try again: brew install libmypaint'; exit 1; }
else
  packages=$$(lacking | xargs)
  if [ -n "$$packages" ]; then
    install="apt-get install --yes --no-install-recommends $$packages"
    if ! command -v apt-get >/dev/null; then
      echo "This machine lacks what Debian calls: $$packages."
      echo 'Please install it by the means of your system and try again.'
      exit 1
    elif [ "$$(id -u)" = 0 ]; then
      sudo=
    elif sudo -n true 2>/dev/null; then
      sudo='sudo -n'
    else
      echo 'Please run this and try again:'
      echo "  sudo apt-get update && sudo $$install"
      exit 1
    fi
    echo "Installing packages of the system: $$packages"
    export DEBIAN_FRONTEND=noninteractive
    { $$sudo apt-get update -qq && $$sudo $$install -qq; } >/dev/null || exit 1
  fi
fi
if ! finds 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "$(PYTHON) is $$("$(PYTHON)" --version 2>&1), and Python 3.11 or later is" \
    "needed. If you have one, name it: make setup PYTHON=python3.11"
  exit 1
fi
endef
export SYSTEM

system:
	@bash -c "$$SYSTEM"

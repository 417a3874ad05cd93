# `make demo` and `make reconstruct` train an agent that draws, `make test` runs
# all checks. Each first sets up what a bare machine lacks: packages of the
# system, a virtual environment in .venv, and this package in it.
#
# PYTHON names the Python (3.11 or later) that .venv is made from.

PYTHON ?= python3
BIN = .venv/bin/python
NATIVE = environments/painting/_native.so spiral_jax/ops/_native.so
# Three at a time fill two cores: some tests wait for processes. Those of a file
# share what they compile, so they stay together.
PYTEST_FLAGS ?= -n 3 --dist loadfile --no-loadscope-reorder

# Python compiles a module when it is first imported, and keeps the result. Pip
# would compile all that it installs, on one core.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo reconstruct test coverage docs clean

help:
	@echo 'make demo         train an agent that draws digits from noise'
	@echo 'make reconstruct  train an agent that redraws given digits'
	@echo 'make test         run the tests, the linter and the type checker'
	@echo 'make coverage     run the tests and list the lines that none reaches'
	@echo 'make docs         build the documentation, into site/'
	@echo 'make setup        only set up; the others do so themselves'
	@echo 'make clean        remove .venv and what builds left; runs/ stays'

demo: setup
	$(BIN) experiments/mnist.py --flagfile=experiments/flags/demo.flags

reconstruct: setup
	$(BIN) experiments/mnist.py --flagfile=experiments/flags/reconstruct.flags

# All four run, whatever the first ones say.
test: .venv/.distributed
	@status=0; \
	$(BIN) -m pyink --check --quiet . || status=1; \
	$(BIN) -m ruff check . || status=1; \
	MYPY_NUM_WORKERS=2 $(BIN) -m mypy || status=1; \
	$(BIN) -m pytest $(PYTEST_FLAGS) || status=1; \
	exit $$status

# Lines that a process of a test runs count as well.
coverage: .venv/.distributed
	$(BIN) -m pytest $(PYTEST_FLAGS) --cov --cov-report=term-missing:skip-covered

# Warnings, of docstrings as well, are errors.
docs: .venv/.docs
	$(BIN) -m mkdocs build --strict

setup: .venv/.installed

SOURCES = setup.py pyproject.toml scripts/system_packages.sh \
	$(wildcard environments/painting/csrc/*.[ch]) \
	$(wildcard spiral_jax/ops/csrc/*.[ch])

# Installs this package and its EXTRAS into .venv.
define install
@scripts/system_packages.sh '$(PYTHON)'
$(BIN) -c '' 2>/dev/null || $(PYTHON) -m venv --clear --upgrade-deps .venv
rm -f $(NATIVE)
$(BIN) -m pip install --no-compile --editable '.[$(EXTRAS)]'
@for library in $(NATIVE); do \
  test -e $$library || echo "Note: $$library was not built. All works" \
      'without it, but slower.'; \
done
@touch .venv/.installed $@
endef

.venv/.installed: EXTRAS = train,test
# Ray is large, and only its tests need it.
.venv/.distributed: EXTRAS = train,test,distributed
.venv/.docs: EXTRAS = train,test,docs

.venv/.installed .venv/.distributed .venv/.docs: $(SOURCES)
	$(install)

clean:
	rm -rf .venv build dist site *.egg-info $(NATIVE) .pytest_cache .ruff_cache .mypy_cache .hypothesis

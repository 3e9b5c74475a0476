# Every target sets up what it needs in .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One more than there are processors: tests wait for servers.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# Jupyter asks root, as in a container, to say that it is meant.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
KERNELS := $(CURDIR)/$(VENV)/kernels
COMPILED := tests/encoding/tsm/test_compiled.py::test_the_same_bytes_compiled_and_interpreted
# Tests of kernels.
INTERPRETED := tests/encoding/tsm tests/encoding/line_protocol tests/staging/sources/test_quotes.py tests/verification/test_series_columns.py \
  tests/verification/values tests/loading/restore_path tests/loading/write_path tests/on_servers/test_decoder.py tests/on_servers/test_odd_datasets.py
TESTED := -n $(WORKERS) --dist worksteal --cov=loader --cov-branch

.PHONY: demo test check bench soak docs notebooks notebooks-run

demo: $(READY)  ## stage, load and verify TRADES trades (2,000,000) in a real InfluxDB; KEEP=1 leaves it running
	@$(BIN)/python -m tools.demo

test: check  ## lint, types and all tests, against the servers that are here or quick to get
	@if ! command -v go >/dev/null; then echo "no Go: InfluxDB 1.8.10 is not built"; \
	else tools/build-influxd 1.8.10 >/dev/null || echo "InfluxDB 1.8.10 could not be built; the reason is above"; fi
	@if command -v apt-get >/dev/null; then tools/build-influxd 1.6.7 >/dev/null 2>&1 || true; fi
	@if [ "$$LOADER_REQUIRE_SERVERS" = 1 ]; then tools/build-influxd 2.9.1 >/dev/null; fi
	@# Kernels are tested interpreted, where their coverage is seen and no index is out of bounds unseen, and then once more
	@# with everything else, compiled, as they run. COMPILED compiles most of them meanwhile, and looks at what it compiled.
	@rm -rf $(KERNELS)
	@NUMBA_CACHE_DIR=$(KERNELS) NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q $(TESTED) --cov-report= --cov-fail-under=0 $(INTERPRETED)
	@NUMBA_CACHE_DIR=$(KERNELS) $(BIN)/python -m pytest $(TESTED) --cov-append --cov-report=term --durations=5 --deselect $(COMPILED)

check: $(READY)  ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY) $(VENV)/.bench-ready  ## measure staging, encoding, loading and verification; prints a table and writes JSON
	@$(BIN)/python -m benchmarks.run

docs: $(READY)  ## build the documentation as a site, which is read without a server; a broken link is an error
	@$(BIN)/python -m sphinx -W --keep-going -q -E -a -d build/doctrees -b html docs build/site
	@echo "the documentation: $(CURDIR)/build/site/index.html"

soak: $(READY)  ## load both ways for SECONDS (1200) with a fault every 20 seconds, and verify every value
	@$(BIN)/python -m tools.soak

notebooks: $(READY) $(VENV)/.notebooks-ready  ## open the notebooks in Jupyter Lab
	@$(BIN)/jupyter lab --notebook-dir=notebooks $(AS_ROOT)

notebooks-run: $(READY)  ## run the notebooks on the sample and a real InfluxDB, and keep their outputs
	@$(BIN)/python -m tools.notebooks

$(VENV)/.notebooks-ready: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[notebooks]'
	@touch $@

$(VENV)/.bench-ready: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@

$(READY): pyproject.toml constraints.txt
	@echo "installing the loader into $(VENV): about 30 s, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,docs]'
	@touch $@

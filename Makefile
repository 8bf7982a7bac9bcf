# `make` alone lists what can be done.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

# Unless PYTHON is named, on the command line or as a variable of the environment, .venv keeps the
# interpreter that it was made with: a plain `make run` must not throw away what
# `make env PYTHON=python3.13` installed.
ifeq ($(origin PYTHON),undefined)
MADE_WITH := $(shell sed -n 's/^executable = //p' .venv/pyvenv.cfg 2>/dev/null || true)
PYTHON := $(if $(shell test -x "$(MADE_WITH)" && echo yes || true),"$(MADE_WITH)",python3)
endif
JOBS ?= 2
SCALE ?= quick
ARGS ?=
PY := .venv/bin/python
# Without this a kernel could pick up packages from ~/.local instead of the locked ones.
export PYTHONNOUSERSITE := 1
# Images that set this make every process compile all that it imports: seconds for torch alone.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## this list
	@echo "usage: make TARGET [VARIABLE=value ...]"; echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: env
env: ## create .venv with the locked dependencies (redone only when the locks change)
	@$(PYTHON) book/scripts/environment.py

.PHONY: book
book: env ## execute every section at quick scale, render the site to _build/html   [JOBS=2]
	@$(PY) -m book.scripts.execute --jobs $(JOBS)
	@$(PY) -m book.scripts.render

.PHONY: test
test: ruff ## lint, unit, property, notebook and site tests                               [JOBS=2, ARGS=...]
	@$(MAKE) -j2 checks book # while the first kernels are made ready, a core is idle
	@OMP_NUM_THREADS=1 LOKY_MAX_CPU_COUNT=1 $(PY) -m pytest -n $(JOBS) --dist loadscope tests $(ARGS)

.PHONY: test-pythons
test-pythons: ## the suite on every supported Python found here, each in its own .venv-3.x [PYTHONS="3.11 3.13", ARGS=...]
	@$(PYTHON) book/scripts/pythons.py --jobs $(JOBS) $(PYTHONS) -- $(ARGS)

.PHONY: lint
lint: ruff checks ## ruff, mypy, and the notebooks' text twins in step

.PHONY: ruff
ruff: env
	@$(PY) -m ruff check .

.PHONY: checks
checks: env
	@$(PY) -m mypy
	@$(PY) -m book.scripts.sync --check

# Before `env`: a slip of the finger is told at once, not after an installation. Quoted for the
# shell, whatever ARGS holds.
quoted = '$(subst ','\'',$(1))'
.PHONY: known
known:
	@$(PYTHON) book/scripts/known.py $(call quoted,$(SECTION)) $(call quoted,$(SCALE)) $(call quoted,$(ARGS))

.PHONY: run
run: known env ## run one section through papermill  SECTION=clusterability/01_mlps [SCALE=quick|laptop|paper ARGS="-p seeds 2"]
	@mkdir -p _build/runs/$(SCALE)/$(dir $(SECTION))
	$(PY) -m papermill notebooks/$(SECTION).ipynb _build/runs/$(SCALE)/$(SECTION).ipynb \
		$(if $(filter quick,$(SCALE)),,-f notebooks/params/$(SCALE)/$(SECTION).yaml) $(ARGS)

.PHONY: rows
rows: known env ## make a section's rows without its page  SECTION=clusterability/01_mlps [SCALE=paper ARGS="-p seeds 2 --budget 600"]
	@$(PY) -m book.lab run $(SECTION) --scale $(SCALE) $(ARGS)

.PHONY: bench
bench: env ## measured ratios against the peers a user would otherwise write -> data/results/bench.json
	@$(PY) -m tests.benchmarks $(ARGS)

.PHONY: results
results: env ## gather the local result rows into data/results, to be committed
	@$(PY) -m book.lab commit

.PHONY: verify
verify: env ## check all committed rows, recompute a sample of every file  [ARGS="--budget 600 --train"]
	@$(PY) -m book.lab verify $(ARGS)

.PHONY: sync
sync: env ## notebooks/<paper>/*.ipynb from notebooks/text/<paper>/*.md  [SECTION=... ARGS=--anew]
	@$(PY) -m book.scripts.sync $(SECTION) $(ARGS)

.PHONY: picture
picture: env ## draw the opening picture anew from trained networks (needs MNIST and Fashion-MNIST)
	@MPLBACKEND=Agg $(PY) -m book.scripts.opening

.PHONY: dist
dist: env ## the book's own source as one archive -> _build/dist
	@$(PY) -m book.scripts.dist

.PHONY: pdf
pdf: book ## the whole book as one PDF, printed by Chromium -> _build/html/modgraph-book.pdf
	@$(PY) -m book.scripts.pdf

.PHONY: serve
serve: ## serve the rendered site on http://127.0.0.1:8000
	@$(PY) -m http.server --bind 127.0.0.1 --directory _build/html 8000

.PHONY: lock
lock: env ## write constraints.txt anew from what .venv and the .venv-3.x hold
	@$(PY) -m book.scripts.lock

.PHONY: clean
clean: ## remove everything built (_build, .venv, .venv-3.*); data/cache stays
	@rm -rf _build .venv .venv-3.* .venv*.lock modgraph_lib.egg-info book/modgraph_book.egg-info

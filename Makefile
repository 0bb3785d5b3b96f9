# make train   trains LeNet-5 on 4 MPI ranks, beside the sequential network
# make test    runs the tests, on simulated ranks and on 1 to 4 MPI ranks; they draw the same examples every time
# make fuzz    tries fresh examples for MINUTES, and prints how to run again what fails
# make test-kernels   runs those that compute once more, with the linear algebra of other processors
# make test-openmpi   runs those that need MPI once more, on Open MPI instead of MPICH, in an environment of its own
# make test-gloo   runs them on ranks of torch.distributed, over gloo
# make check   lint, formatting, types, spelling, and that no public name lacks documentation
# make bench   timings, side by side
# make bench-hosts   training steps beside torch's own, on two hosts that a slow link joins: namespaces of Linux, as root
# make docs    builds the site into build/docs, runs its pages, and checks its links
#
# Each sets up .venv when it is missing. PYTHON chooses the interpreter that it is made from, PIP adds options for pip;
# RANKS is how many ranks train, RATES are those of the link, SIZES on how many the tests run, MINUTES how long make fuzz takes.

PYTHON ?= python3
PIP ?=
VENV ?= .venv
RANKS ?= 4
SIZES ?= 1 2 3 4
MINUTES ?= 10
RATES ?= 1gbit 100mbit
ARGS ?=

PY := $(VENV)/bin/python
MPIEXEC := $(VENV)/bin/mpiexec

# Ranks share the cores; mpiexec ends a job that takes longer than this many seconds.
export OMP_NUM_THREADS ?= 1
export MPIEXEC_TIMEOUT ?= 3600

.PHONY: train test fuzz test-kernels test-openmpi test-gloo check format bench bench-hosts docs clean

train: $(VENV)/ready
	$(MPIEXEC) -n $(RANKS) $(PY) examples/lenet5.py $(ARGS)

test: $(VENV)/ready
	$(PY) -m pytest --numprocesses auto --dist worksteal
	for ranks in $(SIZES); do \
		echo "== $$ranks MPI ranks"; \
		MPIEXEC_TIMEOUT=900 $(MPIEXEC) -n $$ranks $(PY) -m pytest -p no:cacheprovider tests || exit 1; \
	done

fuzz: $(VENV)/ready
	$(PY) tests/fuzz.py $(MINUTES)

# The names are OpenBLAS's, which NumPy and SciPy bring; other libraries ignore them.
test-kernels: $(VENV)/ready
	for kernel in Haswell Prescott; do \
		echo "== OpenBLAS for $$kernel"; \
		OPENBLAS_CORETYPE=$$kernel $(PY) -m pytest --numprocesses auto --dist worksteal \
			tests/linop tests/distdl_ops/compositions/test_solve.py || exit 1; \
	done

# Its mpiexec refuses to run as root, and to start more ranks than there are cores, unless it is told.
test-openmpi: export OMPI_ALLOW_RUN_AS_ROOT = 1
test-openmpi: export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM = 1
test-openmpi: export PRTE_MCA_rmaps_default_mapping_policy = :oversubscribe
test-openmpi: $(VENV)-openmpi/ready
	$(VENV)-openmpi/bin/python -m pytest -m serial tests/distdl_ops/worlds/test_faults.py tests/distdl_ops/worlds/test_worlds.py
	for ranks in $(SIZES); do \
		echo "== $$ranks ranks of Open MPI"; \
		timeout 900 $(VENV)-openmpi/bin/mpiexec -n $$ranks $(VENV)-openmpi/bin/python -m pytest -p no:cacheprovider tests || exit 1; \
	done

test-gloo: export DISTDL_OPS_WORLD = torch_bridge.worlds:start
test-gloo: $(VENV)/ready
	for ranks in 2 3; do \
		echo "== $$ranks ranks of gloo"; \
		timeout 1800 $(PY) -m torch.distributed.run --standalone --nproc-per-node $$ranks \
			-m pytest -p no:cacheprovider tests/distdl_ops tests/torch_bridge || exit 1; \
	done

check: $(VENV)/ready
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(PY) docs/_ext/names.py
	$(VENV)/bin/codespell

format: $(VENV)/ready
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

bench: $(VENV)/ready
	for ranks in 2 4; do \
		$(MPIEXEC) -n $$ranks $(PY) benchmarks/movements.py || exit 1; \
		$(MPIEXEC) -n $$ranks $(PY) benchmarks/distributed_solvers.py || exit 1; \
	done
	$(PY) benchmarks/plans.py
	for ranks in 1 2 4; do \
		$(MPIEXEC) -n $$ranks $(PY) benchmarks/training_steps.py || exit 1; \
	done
	for network in unet sharded replicated; do \
		for ranks in 1 2 4; do \
			$(MPIEXEC) -n $$ranks $(PY) benchmarks/memory.py $$network || exit 1; \
		done; \
	done

bench-hosts: $(VENV)/ready
	$(MPIEXEC) -n 2 $(PY) benchmarks/peers.py || exit 1
	for rate in $(RATES); do \
		$(PY) benchmarks/hosts.py $$rate 2 benchmarks/peers.py || exit 1; \
		$(PY) benchmarks/hosts.py $$rate 4 benchmarks/peers.py --turns 4 --rows data_large,sharded_large || exit 1; \
	done

docs: $(VENV)-docs/ready
	rm -rf build/docs docs/reference/generated
	$(VENV)-docs/bin/python -m sphinx -q -j auto -W --keep-going -b html docs build/docs
	$(VENV)-docs/bin/python docs/_ext/links.py build/docs
	@echo "open build/docs/index.html"

$(VENV)/ready: EXTRAS = mpi,dev
$(VENV)-openmpi/ready: EXTRAS = openmpi
$(VENV)-docs/ready: EXTRAS = docs
%/ready: pyproject.toml setup.cfg constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install --quiet --disable-pip-version-check $(PIP) --constraint constraints.txt \
		--editable '.[torch,test,examples,$(EXTRAS)]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-openmpi $(VENV)-docs build docs/reference/generated *.egg-info

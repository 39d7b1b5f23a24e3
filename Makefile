# make demo   three ROS 2 nodes on a real face, nothing installed by hand
# make test   every test, lint and types
# make help   the rest

PYTHON ?= $(shell command -v python3.11 || echo python3)
SOURCE ?= portrait
LANDMARKS ?= auto
DOMAIN ?= 0
# For training only: Kaggle's fer2013.csv (or the same as .npz, or folders), the Face Landmarker
# (where `models fetch` puts it), and a folder of videos to measure on, if there is one.
DATA ?= fer2013.csv
TEACHER ?= $(wildcard $(HOME)/.cache/emotion_estimator/face_landmarker.task)
CLIPS ?=
FPS ?= 30
VENV := .venv
RUN := $(VENV)/bin/python
PACKAGE := $(wildcard $(shell git ls-files -co --exclude-standard -- emotion_estimator msg config launch models \
  scripts CMakeLists.txt package.xml 2>/dev/null))
# -P below keeps this folder, whose emotion_estimator has no messages, off the import path.
WITH_ROS := . install/local_setup.sh &&

export AMENT_PREFIX_PATH := $(CURDIR)/$(VENV)
export CMAKE_PREFIX_PATH := $(CURDIR)/$(VENV)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup build demo echo bench train train-quick evaluate test-training test lint types lock clean

define CHECK_PYTHON
$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
  { echo 'needs Python 3.11 (the lock file is for it): make PYTHON=/path/to/python3.11'; exit 2; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
  { echo 'needs the venv module (apt: python3-venv)'; exit 2; }
endef

help:
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 20

setup: $(VENV)/.ready ## make .venv from the lock file, with emotion-estimator in it

$(VENV)/.ready: requirements/demo.lock setup.py scripts/repair_ros_wheels.py
	@$(CHECK_PYTHON)
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@# colcon would take the packages inside the environment for ours.
	@touch $(VENV)/COLCON_IGNORE
	$(RUN) -m pip install --quiet --no-deps -r requirements/demo.lock
	$(RUN) scripts/repair_ros_wheels.py
	$(RUN) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

build: install/.ready ## build the ROS 2 package with colcon

# CMake refuses to export include folders (NumPy's, in .venv) that lie below the source folder, so
# colcon sees this checkout as a package of a workspace: build/src.
install/.ready: $(VENV)/.ready $(PACKAGE)
	@mkdir -p build/src && ln -sfn ../.. build/src/emotion_estimator
	PATH=$(CURDIR)/$(VENV)/bin:$$PATH $(VENV)/bin/colcon --log-level error build --base-paths build/src \
	  --packages-select emotion_estimator --event-handlers console_stderr- \
	  --cmake-args -DPython3_EXECUTABLE=$(CURDIR)/$(RUN) -DBUILD_TESTING=OFF
	@touch $@

demo: build ## run the three nodes on SOURCE (portrait, a device number, a video, an image, a folder)
	@$(WITH_ROS) exec $(RUN) -P -m emotion_estimator.demo --source '$(SOURCE)' \
	  --landmarks $(LANDMARKS) --fps $(FPS) --output out $(ARGS)

echo: build ## print /emotion of a running demo: make echo DOMAIN=the number it printed
	@$(WITH_ROS) ROS_DOMAIN_ID=$(DOMAIN) exec $(RUN) examples/emotion_listener.py

TRAINING := .venv-training
TRAIN = $(TRAINING)/bin/emotion-estimator training
ON_DATA = --data '$(DATA)' $(if $(TEACHER),--teacher '$(TEACHER)') $(if $(CLIPS),--clips '$(CLIPS)')

$(TRAINING)/.ready: requirements/training.lock setup.py
	@$(CHECK_PYTHON)
	test -x $(TRAINING)/bin/python || $(PYTHON) -m venv $(TRAINING)
	@touch $(TRAINING)/COLCON_IGNORE
	@# Not compiled: Python does that for what it imports, which is a part, and saves half a minute.
	$(TRAINING)/bin/python -m pip install --quiet --no-deps --no-compile -r requirements/training.lock
	$(TRAINING)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

train: $(TRAINING)/.ready ## train and ship every model on DATA, with TEACHER; called again, it continues
	$(TRAIN) all $(ON_DATA) --models models $(ARGS)

train-quick: $(TRAINING)/.ready ## the same in a minute on a made set, into out/quick, to see that it runs
	$(TRAIN) all --quick --run out/quick $(ARGS)

evaluate: $(TRAINING)/.ready ## measure the shipped models on DATA: out/report/index.html
	$(TRAIN) evaluate $(ON_DATA) --models models $(ARGS)

test-training: $(TRAINING)/.ready ## the tests of training, those that need TensorFlow too
	$(TRAINING)/bin/python -m pytest test/test_training_*.py $(ARGS)

bench: $(VENV)/.ready ## time and memory of each step of perception
	$(RUN) benchmarks/perception.py $(ARGS)

$(VENV)/.test-ready: $(VENV)/.ready requirements/test.lock
	$(RUN) -m pip install --quiet --no-deps -r requirements/test.lock
	@touch $@

test: $(VENV)/.test-ready build lint types ## lint, types and every test (with ARGS: all but training's)
	@$(WITH_ROS) $(RUN) -P -m pytest --ignore-glob='*/test_training_*' $(ARGS)
	@# Training from end to end takes two minutes more, which make test-training spends.
	@$(if $(ARGS),,$(MAKE) --no-print-directory test-training ARGS=--deselect=test/test_training_all.py)

lint: $(VENV)/.test-ready ## ruff
	$(VENV)/bin/ruff check .

types: $(VENV)/.test-ready ## mypy
	$(VENV)/bin/mypy

lock: ## write the lock files anew from requirements/*.in
	uv pip compile requirements/build.in --override requirements/overrides.txt \
	  --python-version 3.11 --no-annotate --quiet -o requirements/demo.lock
	uv pip compile requirements/test.in --override requirements/overrides.txt \
	  -c requirements/demo.lock --python-version 3.11 --no-annotate --quiet -o requirements/test.lock
	uv pip compile requirements/training.in --override requirements/overrides.txt \
	  -c requirements/test.lock --python-version 3.11 --no-annotate --quiet -o requirements/training.lock

clean: ## remove everything that make made
	rm -rf $(VENV) $(TRAINING) build install log out

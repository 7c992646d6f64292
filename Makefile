# Each target is one line of intent; `make help` lists them.
PYTHON ?= python3
PROJECT := files/missed_moment
NOX := .venv/tools/bin/nox

help: ## show what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/run ## try it without hardware: a synthetic camera, the terminal as LED and button
	@PYTHONPATH=$(PROJECT)/src .venv/run/bin/python -m missed_moment demo

test: .venv/tools ## lint, types, unit tests, real picamera2, a real browser, the roles, a virtual device
	@$(MAKE) --jobs 2 --keep-going --no-print-directory stories rest

# A virtual device mostly waits for its emulated processor. The rest goes on beside it, and lets it go first.
stories: .venv/tools
	@$(NOX) --session machine

rest: .venv/tools
	@nice -n 5 $(NOX)

prove: .venv/tools ## the long proofs: kills, settings, a week of sound, hostile sticks, power cuts, the rest of the matrix
	@MISSED_MOMENT_CUTS=100 MISSED_MOMENT_REPLUGS=20 $(NOX) --session prove changes sensor players proofs same_bytes flashed "unit(pyav='14.2')" "trixie(libraries='newest')"

# What image is made of: raspios, or debian for the stand-in.
BASE ?= raspios
BUILD = PYTHONPATH=image $(PYTHON) -m imaging.build --base=$(BASE) $(if $(FRESH),--fresh)
image: ## make dist/missed-moment-*.img, to be flashed; with BASE=debian a stand-in of Debian's packages
	@$(BUILD)

release: ## the image, and all that goes with it; URL=where it will be found, KEY=minisign's, SOURCES=1 all source packages
	@$(BUILD) --release $(if $(SOURCES),--sources) $(if $(URL),--url=$(URL)) $(if $(KEY),--key=$(KEY))

machine: .venv/tools ## boot a virtual device and play with it: press, plug, pull, ssh
	@$(NOX) --session playground

bench: .venv/tools ## measure side by side; a table here, JSON in files/missed_moment/benchmarks/results
	@$(NOX) --session bench

format: .venv/tools ## format the code, and write the pages that are made from it
	@$(NOX) --session format

lock: .venv/tools ## lock all requirements anew, with hashes
	@$(NOX) --session lock

.venv/%: $(PROJECT)/requirements/%.txt tools/venv.py
	@$(PYTHON) tools/venv.py $@ $<

.PHONY: help demo test stories rest prove image release machine bench format lock

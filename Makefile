# Aliases of scripts/dev.py, which needs nothing but Python 3.11.
.PHONY: run test test-fast check lock

run:
	python3 scripts/dev.py run

test:
	python3 scripts/dev.py test

test-fast:
	python3 scripts/dev.py test --fast

check:
	python3 scripts/dev.py check

lock:
	python3 scripts/dev.py lock

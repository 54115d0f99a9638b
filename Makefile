# Mutirão. `make` alone lists what there is. Each target sets up by itself; nothing needs to be there but Python
# 3.11 or 3.12 and make. PYTHON=/path/to/python3.12 chooses the interpreter, ARGS="…" goes on to the command.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: dev check-format check-lint check-types check-layers check-licences help run setup test check format evals bench chaos lock

BIN := .venv/bin
PY3 := $(or $(shell command -v python3),$(PYTHON),python3)
export PYTHON

# A PORT that happens to lie in the shell is not meant for us: only `make run PORT=9000` counts.
ifneq ($(filter command%,$(origin PORT)),)
run: export MUTIRAO_PORT := $(PORT)
endif

# Keys that lie in the shell must not make a test talk to (and pay) a provider.
test evals bench chaos: export MUTIRAO_IGNORE_PROVIDER_KEYS := 1

help: ## lista os comandos
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## prepara tudo e abre o chat em http://127.0.0.1:8000/chat (PORT=9000 muda a porta)
	@$(PY3) setup_env.py
	@exec $(BIN)/mutirao serve $(ARGS)

setup: ## só prepara o ambiente .venv, com as ferramentas de desenvolvimento
	@$(PY3) setup_env.py --dev

test: ## prepara tudo e roda os testes (ARGS="tests/core -k money" escolhe)
	@$(PY3) setup_env.py --dev
	@$(BIN)/python -m pytest $(ARGS)

check: check-format check-lint check-types check-layers check-licences ## formato, lint, tipos, camadas de imports e licenças

check-format check-lint check-types check-layers check-licences: dev
dev:
	@$(PY3) setup_env.py --dev
check-format:
	$(BIN)/ruff format --check --quiet .
check-lint:
	$(BIN)/ruff check --quiet .
check-types:
	$(BIN)/mypy
check-layers:
	$(BIN)/lint-imports
check-licences:
	$(BIN)/python -m pytest -q tests/contracts/test_licences.py

format: ## arruma o formato e o que o lint sabe consertar
	@$(PY3) setup_env.py --dev
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

evals: ## roda os cenários de avaliação (ARGS="--model openai/gpt-4o-mini" usa um modelo)
	@$(PY3) setup_env.py --dev
	@$(BIN)/mutirao evals run $(ARGS)

bench: ## mede velocidade: primeira página, primeiro texto, CPU e chamadas por turno
	@$(PY3) setup_env.py --dev
	@$(BIN)/python -m bench $(ARGS)

chaos: ## mata o produto umas mil vezes e escreve o que sobrou em docs/chaos.md (uma hora)
	@$(PY3) setup_env.py --dev
	@$(BIN)/python -m tests.chaos $(ARGS)

lock: ## refaz os dois arquivos de dependências a partir do pyproject.toml (precisa do uv)
	uv pip compile pyproject.toml $(UV_LOCK) -o requirements.lock $(ARGS)
	uv pip compile pyproject.toml $(UV_LOCK) --extra dev -c requirements.lock -o requirements-dev.lock $(ARGS)

UV_LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q

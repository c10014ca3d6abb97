# graced: see CONTRIBUTING.md for what each target is good for.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

# A checkout that belongs to another user must build as well.
export GOFLAGS := -buildvcs=false $(GOFLAGS)

GO       ?= go
FUZZTIME ?= 60s
TIMEOUT  ?= 12m
BENCH    ?=
SOAK     ?= 1h
CHAOS    ?= 1h
SLICE    ?= 3m
SESSIONS ?=
GOLANGCI := .tools/golangci-lint-v2.15.0
# The race detector needs cgo, which go switches off where there is no C compiler; the tests then run without it.
RACE      = $$([ "$$($(GO) env CGO_ENABLED)" = 1 ] && echo -race || true)

.PHONY: help build test contract check oracle crash fuzz bench soak roll chaos blackout takeover lint cover man cross clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/graced and bin/gracectl, with links for all of Supervisor's names
	@mkdir -p bin
	$(GO) build -trimpath -o bin/ ./cmd/graced
	@# Without cgo the client needs no dynamic linker, which costs as much as a call. The daemon asks libc about users.
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/gracectl
	@ln -sf graced bin/supervisord
	@ln -sf graced bin/echo_supervisord_conf
	@ln -sf graced bin/pidproxy
	@ln -sf gracectl bin/supervisorctl

check: ## vet and gofmt only
	$(GO) vet ./...
	@unformatted=$$(gofmt -l cmd internal); if [ -n "$$unformatted" ]; then echo "not gofmt'ed:" $$unformatted >&2; exit 1; fi

test: ## everything that must pass: installs what is missing (as root), vets, tests with the race detector, counts what was skipped
	@mkdir -p .tools
	@.ci/prepare .tools/absent
	@$(MAKE) check
	@$(GO) build -o .tools/testsum ./internal/testsum
	@echo "go test $(RACE) -timeout $(TIMEOUT) ./..., then $(SLICE) of chaos with the machine to itself"
	@{ $(GO) test -json $(RACE) -timeout $(TIMEOUT) -skip '^TestChaos$$' ./... && \
		$(GO) test ./cmd/graced -json -timeout $(TIMEOUT) -run '^TestChaos$$' -chaos $(SLICE); } | .tools/testsum -absent .tools/absent

contract: ## both daemons with both clients, each pairing through the same sessions (SESSIONS=/verbs for those of one script)
	@mkdir -p .tools
	@$(GO) build -o .tools/testsum ./internal/testsum
	@touch .tools/absent
	@echo "go test -timeout $(TIMEOUT) -run 'TestSessions$(SESSIONS)' ./internal/contract"
	@$(GO) test -json -count=1 -timeout $(TIMEOUT) -run 'TestSessions$(SESSIONS)' ./internal/contract | .tools/testsum -absent .tools/absent

oracle: ## 20,000 random scenarios against Supervisor's own classes (minutes)
	$(GO) test ./internal/sim -run TestOracle -count=1 -oracle.n=20000 -timeout 30m

crash: ## 20,000 random stories in which the daemon dies and comes back from what it has written (half an hour)
	$(GO) test ./internal/sim -run TestCrash -count=1 -crash.n=20000 -timeout 3h

fuzz: ## run every fuzzer for FUZZTIME (60s)
	@for pkg in $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do \
		for name in $$($(GO) test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
			echo "== $$pkg $$name"; \
			$(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$pkg"; \
		done; \
	done

bench: build ## measure against Supervisor side by side and rewrite docs/benchmarks.md (BENCH=-strict fails on a missed target)
	$(GO) run ./internal/bench $(BENCH)

soak: ## an hour of starts, stops, crashes, changes, tails and events with 200 processes; rewrites its table in docs/benchmarks.md
	$(GO) test ./cmd/graced -run 'TestSoak$$' -count=1 -v -timeout 2h -soak $(SOAK) -soak.doc $(CURDIR)/docs/benchmarks.md

roll: ## ten rounds of rolls of a web server under load, 300,000 requests each (minutes); rewrites its table in docs/benchmarks.md
	$(GO) test ./cmd/graced -run 'TestNoRequestLost$$/^socket$$' -count=1 -v -timeout 2h -roll.rounds 10 -roll.requests 100000 -load.pause 0 -roll.doc $(CURDIR)/docs/benchmarks.md

chaos: ## an hour in which daemon, keeper, both and their processes are killed at random (CHAOS=1h); rewrites its table in docs/benchmarks.md
	$(GO) test ./cmd/graced -run 'TestChaos$$' -count=1 -v -timeout 3h -chaos $(CHAOS) -chaos.doc $(CURDIR)/docs/benchmarks.md

blackout: ## measure how long nobody is answered while the daemon is replaced; rewrites its table in docs/benchmarks.md
	$(GO) test ./cmd/graced -run 'TestBlackout$$' -count=1 -v -blackout -blackout.doc $(CURDIR)/docs/benchmarks.md

takeover: ## take over real supervisords with 53 processes of all kinds, twenty times (minutes; make test takes over fewer, once)
	$(GO) test -p 1 ./internal/takeover ./cmd/graced -run 'Take[Oo]ver' -count=1 -v -timeout 60m -takeover

lint: $(GOLANGCI) ## run golangci-lint (built from source the first time: about 2 minutes)
	$(GOLANGCI) run ./...

$(GOLANGCI):
	@mkdir -p .tools
	GOBIN=$(CURDIR)/.tools/build $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	@mv .tools/build/golangci-lint $@
	@rmdir .tools/build

cover: ## test coverage, package by package, and coverage.out for `go tool cover -html`
	$(GO) test -timeout $(TIMEOUT) -coverprofile=coverage.out ./...
	@$(GO) tool cover -func=coverage.out | tail -n 1

man: ## write docs/man anew, from the tables that the programs read their options by
	$(GO) test ./internal/ctl ./cmd/graced -run 'TestManPage$$' -count=1 -man

cross: ## check that the client builds for macOS and Windows
	@for os in darwin windows; do for arch in amd64 arm64; do \
		echo "GOOS=$$os GOARCH=$$arch go build ./cmd/gracectl"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -o /dev/null ./cmd/gracectl; \
	done; done

clean: ## remove what the other targets made, except the linter
	rm -rf bin coverage.out .tools/absent .tools/testsum

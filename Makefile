# What people and CI call. Everything that is needed and missing is installed by the target that needs it.

GO ?= go
TOOLS := $(CURDIR)/.tools
LINT_VERSION := v2.15.0
LINT := $(TOOLS)/golangci-lint-$(LINT_VERSION)
SERVERS := $(GO) run ./internal/servers/run
# What runs without servers of brokers.
SERVERLESS = $$($(GO) list ./... | grep -v -e /internal/servers -e /transport/rabbitmq -e /transport/kafka)

.PHONY: all build quick check test services services-stop crash battery battery-suites simulate mutants bench lint clean

all: build

build: ## the binary, in ./bin
	$(GO) build -o bin/parley ./cmd/parley

quick: ## before each commit, under three minutes
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt -w these:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	@echo "without the tests that need servers of brokers; make test has them"
	$(GO) test -short -skip 'RabbitMQ|Kafka|NATSServer|TLS' $(SERVERLESS)

check: lint ## everything static
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt -w these:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) mod tidy -diff
	$(GO) vet -tags battery ./transport/nats/... ./transport/transporttest ./delivery/deliverytest
	cd bench && $(GO) vet ./... && $(GO) mod tidy -diff
	cd interop && $(GO) vet ./... && $(GO) mod tidy -diff
	$(GO) test -count=1 ./internal/archtest
	$(GO) test -run '^$$' -bench . -benchtime 1x $(SERVERLESS) >/dev/null

test: ## everything that runs, on real brokers; those that no PARLEY_TEST_… names are installed and started
	$(GO) test ./delivery/simulate -run TestNoScheduleBreaksAPromise -args -first 2000 -n 18000
	$(SERVERS) exec -- sh -ec '$(GO) test -race -shuffle=on -timeout 20m ./... && cd bench && $(GO) test -timeout 20m ./... && cd ../interop && $(GO) test ./...'

services: ## real brokers that are left running: eval "$$(make -s services)"
	@$(SERVERS) start

services-stop: ## ends them
	@$(SERVERS) stop

crash: build ## thirty times kill -9 in the middle of both stories
	$(GO) run ./internal/crash -rounds 30 -parley bin/parley

battery: ## breaks NETWORK (embedded, nats, rabbitmq, kafka) on purpose for minutes; ARGS=-cluster for three nodes
	$(GO) run ./internal/battery -network $(or $(NETWORK),embedded) $(ARGS)

simulate: ## many seeded schedules of faults, in simulated time: make simulate N=100000 FIRST=0 DURATION=10m
	$(GO) test ./delivery/simulate -run TestNoScheduleBreaksAPromise -count=1 -timeout 0 -v -args -n $(or $(N),100000) -first $(or $(FIRST),0) -duration $(or $(DURATION),0)

mutants: ## breaks Parley on purpose, one defect at a time, and runs the check that must notice: make mutants ONLY=name
	PARLEY_POWER_LOSSES=1 $(SERVERS) exec -- $(GO) run ./internal/mutants -only "$(ONLY)"

battery-suites: ## what the suites of make test leave out: delivery on RabbitMQ and Kafka; power loss, full disks (as root) and clusters on NATS
	$(GO) test -tags battery -timeout 60m -run 'RabbitMQ|Kafka' ./delivery/deliverytest
	$(GO) test -tags battery -timeout 30m -run 'PowerLoss|FullDisk|ACluster|ANATSCluster' ./transport/nats
	PARLEY_CHECKS=3 $(GO) test -tags battery -timeout 15m -run 'NATSServerKeeps|OverLoopbackKeeps' ./transport/nats ./transport/transporttest

bench: ## the cost of Parley beside the raw thing; exit code 1 where a target is short
	cd bench && $(GO) run . -suite all -network embedded

lint: $(LINT)
	$(LINT) run ./...

$(LINT):
	@echo "installing golangci-lint $(LINT_VERSION) into .tools (a minute or two)"
	GOBIN=$(TOOLS)/new $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv $(TOOLS)/new/golangci-lint $@

clean: services-stop
	rm -rf bin .tools

.DEFAULT_GOAL := help
.PHONY: help build run test race check format bench validate validate-diagnosis validate-predictions

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## the captest binary, in bin/
	go build -o bin/captest ./cmd/captest

run: ## the main job: find the capacity of the bundled services
	go run ./cmd/captest run

test: ## every test
	go test ./...

race: ## the tests under the race detector, without the slow ones
	go test -race -short ./...

check: ## everything a change must pass
	.ci/run

format: ## rewrite the sources the way check wants them
	go run mvdan.cc/gofumpt@v0.12.0 -w $$(git ls-files '*.go')

bench: ## micro-benchmarks with allocations, then what sending costs side by side (docs/measuring.md)
	go test -run '^$$' -bench . -benchmem ./internal/... ./scenarios
	bench/table

validate: ## does the search find capacities that are known? ten real runs of two targets, three quarters of an hour; interrupt and repeat at will
	CAPTEST_VALIDATE=1 go test -count=1 -timeout $${VALIDATE_TIMEOUT:-60m} -v -run '^TestRealSearchFindsTheTruth$$' ./internal/experiment/search

validate-diagnosis: ## are planted faults named? 56 real runs of the bundled services, three hours; interrupt and repeat at will
	CAPTEST_VALIDATE_DIAGNOSIS=1 go test -count=1 -timeout $${VALIDATE_TIMEOUT:-240m} -v -run '^TestDiagnosisMatrix$$' ./cmd/captest

validate-predictions: ## does --what-if come true? a run of the profile before, then each finding's cure under fixed loads; ten minutes
	CAPTEST_VALIDATE_PREDICTIONS=1 go test -count=1 -timeout $${VALIDATE_TIMEOUT:-30m} -v -run '^TestPredictionsOfCures$$' ./cmd/captest

# make help says what there is. Everything runs from a fresh clone.

GO ?= go
BIN := bin

.PHONY: help grafana build test test-interop record-clients lint scenario fuzz hammer vectors demo nation bench bench-proxy bench-tls bench-check bench-denial deps clean drill-annuaire drill-trust drill-fairness drill-chaos bench-limits drill-upgrade drill-revocation drill-journal oracle-tessera bench-journal bench-indicators bench-pages screenshots mutants

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

build: ## rpn, demo, mutuelle and annuaire in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/...

# SQLite in Go is eight times slower when the race detector watches its inside,
# too: it watches what calls it.
FASTSQL := -gcflags=modernc.org/...=-race=false

CASES ?= 10000
test: deps lint ## everything that must pass before a commit
	GOFLAGS="$(GOFLAGS) $(FASTSQL)" $(GO) test -race -p 2 -timeout 12m ./...
	$(GO) test -count 1 -v -run '^TestTheStateSaysWhichWayIsInUse$$' ./internal/rsaverify # shows whether this machine proved anything of the vectors
	$(GO) test -count 1 ./test/properties -rapid.checks $(CASES)
	$(GO) run ./cmd/demo --once

test-interop: ## the SOAP clients that need a JDK, Mono, PHP or C++, against the running RPN
	./test/deps.sh interop
	$(GO) vet -tags interop ./test/interop
	$(GO) test -tags interop -count 1 -timeout 12m ./test/interop

record-clients: ## keep again what every SOAP client sends, for internal/xmlsig
	./test/deps.sh interop
	$(GO) test -tags interop -count 1 -timeout 5m ./test/interop -record $(CURDIR)/internal/xmlsig/testdata/clients
	$(GO) test -count 1 -run '^TestMessagesOfRealClients$$' ./internal/xmlsig

deps: ## install what the tests run beside Go: needs root or sudo, Debian
	./test/deps.sh

lint: ## gofmt, vet, staticcheck, go.mod, dead code
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "gofmt -w these files:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	./test/deadcode.sh

scenario: ## one scenario, with its log: make scenario NAME=Surveillance
	$(GO) test -race -count 1 -v -run '$(NAME)' ./test/scenarios

FUZZTIME ?= 20s
fuzz: ## each fuzz target for FUZZTIME (20s)
	@for f in $$(git grep -l '^func Fuzz' -- '*_test.go'); do \
		for t in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$f); do \
			echo "$$t in $$(dirname $$f)"; \
			$(GO) test -run '^$$' -fuzz "^$$t$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./$$(dirname $$f) || exit 1; \
		done; done

VECTORS ?= $(abspath ../shared/vectors)
FOR ?= 1m
hammer: ## changed messages against the check for FOR (1m), many times faster than fuzz
	$(GO) test -tags hammer ./internal/xmlsig -run TestHammer -v -timeout 24h -hammer-for $(FOR) -hammer-seed $$(date +%s)

vectors: ## the public test files in VECTORS, each with its recorded verdict
	$(GO) test -tags vectors -count 1 -run '^TestVectors$$' ./internal/xmlsig -vectors $(VECTORS)

demo nation: ## the whole nation on this machine
	$(GO) run ./cmd/demo

bench: ## benchmarks of the packages
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-tls: ## handshakes beside HAProxy; writes docs/bench/tls.md
	./test/deps.sh bench
	$(GO) run ./test/bench -tls -write docs/bench/tls.md

bench-proxy: ## beside HAProxy and Caddy; writes docs/bench/proxy.md
	./test/deps.sh bench
	$(GO) run ./test/bench -write docs/bench/proxy.md

bench-denial: ## what refusing a message and a peer costs: prints the two tables of docs/bench/denial.md
	@table() { awk -v more="$$1" '/^Benchmark/ { n = $$1; sub("^[^/]*/", "", n); sub("-[0-9]+$$", "", n); gsub("_", " ", n); v = m = ""; \
		for (i = 2; i <= NF; i++) { if ($$i == "cpu-ms/op") v = $$(i-1); if ($$i == more) m = $$(i-1) } print "| " n " | " v " | " m " |" }' | sort -t'|' -k3,3 -rn; }; \
	echo "| message | CPU ms | bytes allocated |"; echo "|---|---|---|"; \
	$(GO) test -run '^$$' -bench '^BenchmarkRefuse$$' -benchtime 10x -benchmem ./internal/xmlsig | table B/op; \
	echo; echo "| presented | CPU ms | signatures verified |"; echo "|---|---|---|"; \
	$(GO) test -run '^$$' -bench '^BenchmarkRefusePeer$$' -benchtime 100x ./tlsconf/trust | table signatures/op

bench-check: ## the signature check beside xmlsec1 and goxmldsig; writes docs/bench/check.md
	./test/deps.sh bench
	@mkdir -p $(BIN)
	gcc -O2 -w -o $(BIN)/xmlsec_loop test/benchcheck/peer/xmlsec_loop.c $$(pkg-config --cflags --libs xmlsec1-openssl)
	$(GO) build -o $(BIN)/benchcheck ./test/benchcheck
	taskset -c 1 $(BIN)/benchcheck -xmlsec $(BIN)/xmlsec_loop -out docs/bench/check.md

drill-annuaire: ## outages, poisoning and rebinding of the annuaire, against the real binary
	$(GO) test -c -o $(BIN)/drill-annuaire ./test/drill/annuaire
	cd test/drill/annuaire && $(CURDIR)/$(BIN)/drill-annuaire -full

LISTS ?= 2000
drill-trust: ## who may come in: certificates, lists, responders, LISTS (2000) generated PKIs beside OpenSSL
	$(GO) test -c -o $(BIN)/drill-trust ./test/drill/trust
	cd test/drill/trust && $(CURDIR)/$(BIN)/drill-trust -exchanges 10000
	$(GO) test -count 1 -v -timeout 30m -run '^TestRevocationIsWhatOpenSSLSays$$' ./tlsconf/revocation -openssl-cases $(LISTS)

ROUNDS ?= 1000
drill-journal: ## kill -9, damage, full and read-only disks, clocks, two instances and PostgreSQL: lost, unprovable, undetected, double
	./test/deps.sh
	@mkdir -p $(BIN)
	@{ $(GO) test -count 1 -v -timeout 2h ./journal -rounds $(ROUNDS) -damages $(ROUNDS) -run 'Kill9|Changed|Holes|Cut|Full|ReadOnly|Clock|Gap' && \
	  $(GO) test -count 1 -v -timeout 2h ./test/drill/journal -rounds $$(($(ROUNDS) / 10 + 1)) || echo 'drill: FAILED'; } | tee $(BIN)/drill-journal.log
	@sort -u $(BIN)/drill-journal.log | awk -F' [|] ' '/^drill: / { if (/FAILED/) { bad = 1; next } sub("drill: ", ""); if (!n++) print "\n| | | lost | unprovable | undetected | double |\n|---|---|---|---|---|---|"; print "| " $$0 " |"; \
	  for (i = 3; i <= 6; i++) sum[i] += $$i } END { printf "\nlost %d, unprovable %d, undetected %d, double %d\n", sum[3], sum[4], sum[5], sum[6]; \
	  if (n != $(DRILLS)) { print "drill-journal: " n " of $(DRILLS) drills were played"; bad = 1 } exit bad || sum[3] || sum[4] || sum[5] || sum[6] }'
DRILLS := 14

oracle-tessera: ## the tree of a journal beside Tessera, in a module of its own
	cd tools/tessera && $(GO) vet . && $(GO) test -count 1 -v .

bench-journal: ## what a record costs, on the path and off it
	$(GO) test -run '^$$' -bench . -benchtime 500000x ./journal

DAYS ?= 396
bench-indicators: ## records/s into the figures, size and query times of a country over DAYS (396); writes docs/bench/indicators.md
	$(GO) run ./test/benchindicators -days $(DAYS) -out docs/bench/indicators.md

bench-pages: ## how long each page takes, of a country of 3 000 establishments and 13 months; writes docs/bench/pages.md
	$(GO) run ./test/benchpages -out docs/bench/pages.md

screenshots: ## the images of docs/images, of a fictitious country, by Chromium
	./test/deps.sh
	$(GO) run ./test/benchpages -shots docs/images

mutants: ## break one line at a time: the tests must notice; MUTANTS=limits plays those of a room
	$(GO) run ./test/mutants $(MUTANTS)

drill-revocation: ## who is put out is out: delays over 2 000 open connections
	$(GO) test -count 1 -v -timeout 30m ./test/drill/revocation -run WhoIsOut -connections 2000 -establishments 40 -rounds 5 -limit 5s

PROMETHEUS ?= http://127.0.0.1:9090
PORT ?= 3000
grafana: ## the dashboards in a throw-away Grafana, where one is installed; figures of PROMETHEUS
	PROMETHEUS=$(PROMETHEUS) PORT=$(PORT) ./deploy/grafana/run.sh

clean: ## remove what make built
	rm -rf $(BIN) test/clients/node/node_modules test/portal/node/node_modules

drill-fairness: ## limits over instances, fairness and shedding: simulations, and four instances with a real Redis
	$(GO) test -count 1 -v ./limits/crossbar ./limits/quota ./limits/shed

drill-upgrade: ## 200 exchanges/s on kept connections, three upgrades, a kill -9: none fails, none but those in flight is lost
	$(GO) test -c -o $(BIN)/drill-upgrade ./test/drill/upgrade
	cd test/drill/upgrade && $(CURDIR)/$(BIN)/drill-upgrade -full

drill-chaos: ## everything that the RPN depends on, broken in every way: who reads what, who goes on, how it ends; the table of docs/bench/chaos.md
	./test/deps.sh
	$(GO) test -c -o $(BIN)/drill-chaos ./test/drill/chaos
	cd test/drill/chaos && $(CURDIR)/$(BIN)/drill-chaos -full

bench-limits: ## what a limit costs, a day of 3 000 establishments on 40 instances, what a refusal of a resting insurer takes: the figures of docs/bench/limits.md
	$(GO) test -run '^$$' -bench '^Benchmark(Spend|SpendWithClock|Decision|Allow)$$' -benchtime 1s -benchmem ./limits/quota ./limits ./limits/breaker
	$(GO) test -count 1 -v -timeout 30m -run '^TestADayOfACountry$$' ./limits/quota -day
	$(GO) test -c -o $(BIN)/drill-resting ./test/drill/resting
	cd test/drill/resting && $(CURDIR)/$(BIN)/drill-resting -full

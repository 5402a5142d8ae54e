// Package archtest holds the floors of the code base as a table, and the test that keeps them true.
package archtest

// DO NOT CHANGE THIS TABLE TO MAKE A BUILD PASS. Change it in a commit of its own, together with ARCHITECTURE.md and,
// where a floor moves, a decision record.
//
// A line is a package and what it may import: packages of this module by their path in it ("parley" is the root), and
// libraries by prefix. The standard library is free to all. A package without a line fails. Test files may import,
// beside that, what the last line allows, and any package of this module.
const floors = `
transport               :
transport/cloudevents   : transport  github.com/go-json-experiment/json
transport/mem           : transport
transport/http          : transport  github.com/go-json-experiment/json github.com/google/uuid
transport/nats          : transport transport/cloudevents  github.com/nats-io/nats.go github.com/nats-io/nuid github.com/go-json-experiment/json
transport/rabbitmq      : transport transport/cloudevents  github.com/rabbitmq/amqp091-go
transport/kafka         : transport transport/cloudevents  github.com/twmb/franz-go github.com/go-json-experiment/json
internal/filelock       :
internal/servers        : internal/filelock  github.com/go-json-experiment/json
internal/testdisk       : internal/servers
internal/servers/run    : internal/filelock internal/servers  github.com/go-json-experiment/json
transport/nats/embedded : internal/filelock  github.com/nats-io/nats-server/v2
transport/fault         : transport
transport/transporttest : transport transport/mem  github.com/go-json-experiment/json
ledger                  : transport  github.com/go-json-experiment/json
policy                  : transport ledger
delivery                : transport ledger  github.com/go-json-experiment/json
delivery/simulate       : transport transport/mem transport/fault ledger delivery
delivery/deliverytest   : transport transport/transporttest ledger delivery
operation               : transport ledger
operation/journaltest   : transport operation
store/mem               : transport operation
store/sqlite            : transport operation internal/filelock  modernc.org/sqlite
telemetry               : transport ledger  go.opentelemetry.io/otel/attribute go.opentelemetry.io/otel/codes go.opentelemetry.io/otel/metric
                          go.opentelemetry.io/otel/propagation go.opentelemetry.io/otel/semconv go.opentelemetry.io/otel/trace
parleyotel              : telemetry  go.opentelemetry.io/otel go.opentelemetry.io/contrib/exporters/autoexport
                          github.com/prometheus/client_golang github.com/google/uuid
ledger/collector        : transport ledger delivery  github.com/go-json-experiment/json github.com/google/uuid
parley                  : transport ledger policy delivery ledger/collector operation telemetry
                          github.com/go-json-experiment/json github.com/google/jsonschema-go github.com/google/uuid
                          github.com/santhosh-tekuri/jsonschema/v6 golang.org/x/text golang.org/x/sync
presence                : transport delivery parley  github.com/go-json-experiment/json github.com/google/uuid
network                 : transport transport/mem transport/http transport/nats transport/rabbitmq transport/kafka
                          transport/nats/embedded transport/fault
                          ledger ledger/collector delivery operation store/mem store/sqlite telemetry parley presence
                          github.com/go-json-experiment/json github.com/google/uuid
conform                 : transport transport/mem transport/nats/embedded transport/transporttest delivery/deliverytest network  github.com/go-json-experiment/json
examples/testing        : parley
examples/invoices       : parley network
examples/outside        : operation parley
examples/company        : policy parley examples/outside  golang.org/x/sync
examples/shop/prices    : parley
examples/shop/stock     : parley
examples/shop/cards     : parley
examples/shop/billing   : parley
examples/shop/mail      : parley
examples/shop/storefront: parley
examples/shop/shop      : parley examples/company examples/outside examples/shop/prices examples/shop/stock examples/shop/cards
                          examples/shop/billing examples/shop/mail examples/shop/storefront
examples/shop           : network examples/shop/shop
examples/bank/bureau    : parley
examples/bank/screening : parley
examples/bank/payroll   : parley
examples/bank/lenders   : parley
examples/bank/partner   : parley
examples/bank/treasury  : parley
examples/bank/letters   : parley
examples/bank/loans     : parley
examples/bank/clerks    : parley
examples/bank/bank      : parley examples/company examples/outside examples/bank/bureau examples/bank/screening examples/bank/payroll
                          examples/bank/lenders examples/bank/partner examples/bank/treasury examples/bank/letters examples/bank/loans
                          examples/bank/clerks
examples/bank           : network examples/bank/bank
node                    : transport ledger operation telemetry parley presence network  github.com/go-json-experiment/json
internal/demo           : transport/fault ledger ledger/collector policy parley network examples/outside examples/shop/storefront
                          examples/shop/shop examples/bank/loans examples/bank/bank  github.com/go-json-experiment/json golang.org/x/sync
internal/crash          : ledger parley examples/outside examples/shop/storefront examples/shop/shop examples/bank/loans
                          examples/bank/bank internal/demo internal/servers  golang.org/x/sync
internal/battery        : transport transport/transporttest transport/nats/embedded delivery parley network internal/servers  github.com/go-json-experiment/json
cmd/parley              : transport transport/fault transport/transporttest conform delivery ledger ledger/collector policy parley presence network node
                          operation parleyotel examples/company examples/shop/shop examples/bank/bank internal/demo
                          github.com/go-json-experiment/json github.com/spf13/cobra golang.org/x/term
internal/mutants        :
internal/archtest       :
internal/readme         :
tests                   : github.com/rabbitmq/amqp091-go github.com/twmb/franz-go github.com/nats-io/nats.go go.uber.org/goleak pgregory.net/rapid github.com/rogpeppe/go-internal github.com/cloudevents/sdk-go/v2
                          github.com/google/go-cmp github.com/go-json-experiment/json go.opentelemetry.io/otel
                          go.opentelemetry.io/proto/otlp google.golang.org/protobuf github.com/prometheus/client_model
                          github.com/prometheus/common
`

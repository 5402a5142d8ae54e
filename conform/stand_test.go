package conform

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/parley-io/parley/transport/transporttest"
)

func TestWhatIsImpossibleIsInTheListOfTheDocumentation(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("../docs/brokers.md")
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[int]string)
	for _, p := range transporttest.Brokers() {
		names[p.Number] = p.Name
	}
	for scheme, all := range impossible {
		broker := map[string]string{"mem": "mem", "kafka": "Kafka", "embedded": "embedded NATS, loopback"}[scheme]
		for number, why := range all {
			line := fmt.Sprintf(" %s cannot keep %d (%s): %s.\n", broker, number, names[number], why)
			if !strings.Contains(string(list), line) {
				t.Errorf("docs/brokers.md has no line %q; want one for what %s:// declares", line, scheme)
			}
		}
	}
}

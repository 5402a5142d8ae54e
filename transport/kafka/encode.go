package kafka

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

const (
	attributeStart = "ce_"
	contentType    = "content-type"
)

// encode makes the record that e is on the wire, without its topic and partition.
func encode(e *transport.Envelope) *kgo.Record {
	r := &kgo.Record{Value: e.Body, Headers: make([]kgo.RecordHeader, 0, 10+len(e.Headers))}
	if r.Value == nil {
		r.Value = []byte{} // nil would be a tombstone
	}
	if e.Key != "" {
		r.Key = []byte(e.Key)
	}
	values := make([]byte, 0, 256) // one allocation for most messages; a slice of an outgrown array stays as it is
	for name, value := range e.Attributes {
		begin := len(values)
		values = append(values, value...)
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: headerName(name), Value: values[begin:len(values):len(values)]})
	}
	return r
}

// headerName is an attribute's header. The frequent ones cost no allocation.
func headerName(attribute string) string {
	switch attribute {
	case "datacontenttype":
		return contentType
	case "specversion":
		return "ce_specversion"
	case "id":
		return "ce_id"
	case "source":
		return "ce_source"
	case "type":
		return "ce_type"
	case "subject":
		return "ce_subject"
	case "time":
		return "ce_time"
	case "traceparent":
		return "ce_traceparent"
	case "correlationid":
		return "ce_correlationid"
	case "causationid":
		return "ce_causationid"
	}
	return attributeStart + attribute
}

func isContentType(header string) bool {
	return len(header) == len(contentType) && strings.EqualFold(header, contentType)
}

// attributeName is the reverse of headerName; ok is false for a header that is no attribute.
func attributeName(header string) (name string, ok bool) {
	if isContentType(header) {
		return "datacontenttype", true
	}
	return strings.CutPrefix(header, attributeStart)
}

package interop_test

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/format"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/cloudevents/sdk-go/v2/types"
	amqp "github.com/rabbitmq/amqp091-go"
)

// The SDK's AMQP module speaks AMQP 1.0, which RabbitMQ before 4.0 does not. This is CloudEvents' binding to AMQP over
// AMQP 0-9-1: what is an application property there is a header here. Formats, versions and types are the SDK's.

const attributeStart = "cloudEvents:"

var specs = spec.WithPrefix(attributeStart)

// amqpEvent is a delivery as the SDK reads it.
type amqpEvent struct {
	*amqp.Delivery
	version spec.Version  // of binary mode; nil = it isn't
	format  format.Format // of structured mode; nil = it isn't
}

func newAMQPEvent(d *amqp.Delivery) *amqpEvent {
	e := &amqpEvent{Delivery: d}
	if e.format = format.Lookup(d.ContentType); e.format == nil {
		version, _ := d.Headers[specs.PrefixedSpecVersionName()].(string)
		e.version = specs.Version(version)
	}
	return e
}

func (e *amqpEvent) ReadEncoding() binding.Encoding {
	switch {
	case e.format != nil:
		return binding.EncodingStructured
	case e.version != nil:
		return binding.EncodingBinary
	}
	return binding.EncodingUnknown
}

func (e *amqpEvent) ReadStructured(ctx context.Context, w binding.StructuredWriter) error {
	if e.format == nil {
		return binding.ErrNotStructured
	}
	return w.SetStructuredEvent(ctx, e.format, bytes.NewReader(e.Body))
}

func (e *amqpEvent) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	if e.version == nil {
		return binding.ErrNotBinary
	}
	if e.ContentType != "" {
		if err := w.SetAttribute(e.version.AttributeFromKind(spec.DataContentType), e.ContentType); err != nil {
			return err
		}
	}
	for header, value := range e.Headers {
		name, ok := strings.CutPrefix(header, attributeStart)
		if !ok {
			continue
		}
		var err error
		if attribute := e.version.Attribute(header); attribute != nil {
			err = w.SetAttribute(attribute, value)
		} else {
			err = w.SetExtension(name, value)
		}
		if err != nil {
			return err
		}
	}
	return w.SetData(bytes.NewReader(e.Body))
}

func (e *amqpEvent) GetAttribute(k spec.Kind) (spec.Attribute, any) {
	attribute := e.version.AttributeFromKind(k)
	return attribute, e.Headers[attribute.PrefixedName()]
}

func (e *amqpEvent) GetExtension(name string) any { return e.Headers[attributeStart+name] }

func (e *amqpEvent) Finish(err error) error {
	if err != nil {
		return e.Nack(false, true)
	}
	return e.Ack(false)
}

// amqpWriter makes a message of what the SDK writes.
type amqpWriter struct{ amqp.Publishing }

func (w *amqpWriter) SetStructuredEvent(_ context.Context, f format.Format, event io.Reader) (err error) {
	w.ContentType = f.MediaType()
	w.Body, err = io.ReadAll(event)
	return err
}

func (w *amqpWriter) Start(context.Context) error {
	w.Headers = amqp.Table{}
	return nil
}

func (w *amqpWriter) SetAttribute(a spec.Attribute, value any) (err error) {
	if a.Kind() == spec.DataContentType {
		w.ContentType, err = types.Format(value)
		return err
	}
	return w.SetExtension(a.Name(), value)
}

// SetExtension keeps the types that AMQP 0-9-1 has in full; its times have no fractions of a second.
func (w *amqpWriter) SetExtension(name string, value any) (err error) {
	switch value.(type) {
	case bool, int32:
	default:
		value, err = types.Format(value)
	}
	w.Headers[attributeStart+name] = value
	return err
}

func (w *amqpWriter) SetData(data io.Reader) (err error) {
	w.Body, err = io.ReadAll(data)
	return err
}

func (w *amqpWriter) End(context.Context) error { return nil }

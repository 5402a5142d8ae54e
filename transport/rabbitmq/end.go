package rabbitmq

import (
	"errors"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// endOf finds the end of a stream, as it is at some moment of the call: the offset of the first message that is stored
// after it.
func (s *session) endOf(stream string) (end int64, err error) {
	err = s.transact(func(ch *amqp.Channel) error {
		end, err = endOf(ch, stream)
		return err
	})
	return end, err
}

// endOf reads the last messages, and those after the end: of a stream that moves, the first of these says where it was;
// of one that does not, nothing comes after the last.
func endOf(ch *amqp.Channel, stream string) (end int64, err error) {
	if err := ch.Qos(minPrefetch, 0, false); err != nil {
		return 0, err
	}
	next, err := consumeFrom(ch, stream, "next")
	if err != nil {
		return 0, err
	}
	last, err := consumeFrom(ch, stream, "last")
	if err != nil {
		return 0, err
	}
	wait, asked := silence, false
	for {
		select {
		case d, ok := <-next:
			if !ok {
				return 0, errChannelEnded
			}
			return numberOf(&d, offsetHeader), nil
		case d, ok := <-last:
			if !ok {
				return 0, errChannelEnded
			}
			end, wait, asked = numberOf(&d, offsetHeader)+1, silence/5, false
			if err := d.Ack(false); err != nil { // more may come
				return 0, err
			}
		case <-time.After(wait):
			if asked {
				return end, nil
			}
			if err := ch.Qos(minPrefetch, 0, false); err != nil {
				return 0, err
			}
			wait, asked = 2*firstPause, true // what came before the answer has time to arrive
		}
	}
}

// numberOf is [fields.number] of a message that came by the library.
func numberOf(d *amqp.Delivery, header string) int64 {
	n, _ := d.Headers[header].(int64)
	return n
}

// fits reports whether a stream has what a position says: the message before it, unless that is no longer kept.
func (s *session) fits(stream string, m mark) (fits bool, err error) {
	err = s.transact(func(ch *amqp.Channel) error {
		if err := ch.Qos(1, 0, false); err != nil {
			return err
		}
		before, err := consumeFrom(ch, stream, m.n-1)
		if err != nil {
			return err
		}
		select {
		case d, ok := <-before:
			if !ok {
				return errChannelEnded
			}
			fits = numberOf(&d, offsetHeader) >= m.n || m.sent == 0 || m.sent == numberOf(&d, sentHeader)
		case <-time.After(positionWait): // the stream ends before it
		}
		return nil
	})
	return fits, err
}

var errChannelEnded = errors.New("the server ended the channel")

// consumeFrom consumes from a stream.
func consumeFrom(ch *amqp.Channel, stream string, offset any) (<-chan amqp.Delivery, error) {
	return ch.Consume(stream, "", false, false, false, false, amqp.Table{"x-stream-offset": offset})
}

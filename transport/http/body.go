package http

import (
	"errors"
	"io"
)

var errTooLarge = errors.New("too large")

// readBody reads r to its end, so that its connection can be used again. length is what the header announced, -1 when
// it did not; the result is the caller's own, since an envelope keeps its body for as long as it likes. More than
// limit bytes are errTooLarge, and r is then not read to the end.
func readBody(r io.Reader, length int64, limit int) ([]byte, error) {
	if length > int64(limit) {
		return nil, errTooLarge
	}
	if length < 0 {
		b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
		if err == nil && len(b) > limit {
			return nil, errTooLarge
		}
		return b, err
	}
	if length == 0 {
		return nil, nil
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	var rest [1]byte
	_, err := r.Read(rest[:]) // net/http gives the connection back at EOF
	if err == io.EOF {
		err = nil
	}
	return b, err
}

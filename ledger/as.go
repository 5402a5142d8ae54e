package ledger

// As is rec for one instance of a service: it fills Service and Instance where a transition has none.
func As(rec Recorder, service, instance string) Recorder {
	return stamp{rec: rec, service: service, instance: instance}
}

type stamp struct {
	rec               Recorder
	service, instance string
}

func (s stamp) Record(t Transition, confirmed func()) {
	if t.Service == "" {
		t.Service = s.service
	}
	if t.Instance == "" {
		t.Instance = s.instance
	}
	s.rec.Record(t, confirmed)
}

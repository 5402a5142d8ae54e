package http

import "testing"

func TestALocationIsAPathOnlyWhereItLeadsToThePeer(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ peer, location, want string }{
		{"http://a:80", "http://a:80/x/7?b=c", "/x/7?b=c"},
		{"http://a:80/", "http://a:80/x", "/x"},
		{"http://a:80", "http://a:8080/x", "http://a:8080/x"},
		{"http://a", "https://a/x", "https://a/x"},
		{"http://a", "http://a.example/x", "http://a.example/x"},
		{"http://a", "http://a", "http://a"},
		{"http://a", "//b/x", "http://b/x"},
		{"http://a", "../x", "/orders/x"},
		{"http://a", "/x/a%2Fb:c%20d", "/x/a%2Fb:c%20d"},
		{"http://a/api", "http://a/api/x", "/x"},
		{"http://a/api", "http://a/apis/x", "http://a/apis/x"},
		{"http://a/api", "/api/x", "/x"},
		{"http://a/api", "/x", "http://a/x"},
		{"http://a/api/", "get-quote/7", "/orders/v1/get-quote/7"},
		{"http://a", "http://%zz", ""},
	} {
		if got := located(x.location, x.peer, "orders.v1.get-quote"); got != x.want {
			t.Errorf("located(%q) of peer %s = %q; want %q", x.location, x.peer, got, x.want)
		}
	}
}

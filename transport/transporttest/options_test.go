package transporttest

import (
	"reflect"
	"testing"
)

func TestPeopleChooseChecksByTheEnvironment(t *testing.T) {
	t.Setenv("PARLEY_CONFORM", "full")
	t.Setenv("PARLEY_CHECKS", "5,36")
	t.Setenv("PARLEY_SEED", "7")
	want := Options{Full: true, Only: []int{5, 36}, Seed: 7}
	if got := FromEnvironment(t); !reflect.DeepEqual(got, want) {
		t.Errorf("FromEnvironment = %+v; want %+v", got, want)
	}
	t.Setenv("PARLEY_CONFORM", "")
	t.Setenv("PARLEY_CHECKS", "")
	t.Setenv("PARLEY_SEED", "")
	if got := FromEnvironment(t); !reflect.DeepEqual(got, Options{}) {
		t.Errorf("FromEnvironment of nothing = %+v; want the zero Options", got)
	}
}

func TestASeedChoosesTheSameMoments(t *testing.T) {
	t.Parallel()
	draw := func(number int, seed uint64) uint64 { return newScene(number, Options{Seed: seed}).Random().Uint64() }
	if a, b := draw(4, 7), draw(4, 7); a != b {
		t.Errorf("Random of one check and seed = %d, then %d; want the same", a, b)
	}
	if draw(4, 7) == draw(4, 8) || draw(4, 7) == draw(13, 7) {
		t.Error("Random of another seed or check is the same; want another")
	}
}

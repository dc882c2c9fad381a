package conn

import "testing"

func TestThisVersionOfGRPCIsUsable(t *testing.T) {
	if err := check(); err != nil {
		t.Error(err)
	}
}

func BenchmarkCheck(b *testing.B) {
	for b.Loop() {
		if err := check(); err != nil {
			b.Fatal(err)
		}
	}
}

package datasets

import (
	"log/slog"
	"testing"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// BenchmarkGetFlightInfo is what the service itself adds to the smallest call, without gRPC:
//
//	go test -run '^$' -bench GetFlightInfo ./flightruntime/datasets
func BenchmarkGetFlightInfo(b *testing.B) {
	c := catalog.New(slog.New(slog.DiscardHandler))
	b.Cleanup(c.Close)
	s := New(c, func() int { return 0 })
	ten := inline("ten", "a,b,c,d,e,f,g,h\n1,2,3,4,5,6,7,8\n")
	s.Load(&config.Config{Limits: config.DefaultLimits(), Datasets: []config.Dataset{ten}}, nil)
	if err := c.Attempted(b.Context()); err != nil {
		b.Fatal(err)
	}
	d := flightruntime.DescriptorForPath("ten")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.GetFlightInfo(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
}
